"""Whether agents fail on the same problems: what a second agent is worth.

Agents A and B pass problem i with rates a_i and b_i. An attempt of each fails twice with chance
(1 − a_i)(1 − b_i), and so on. Products of observed rates are unbiased, because the attempts of two
agents are independent given the problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from mars2.diversity.solutions import Solution
from mars2.evaluation.metrics import pass_at_k

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Outcomes = Mapping[str, Mapping[str, Sequence[bool]]]
"""Agent → problem → independent attempts."""


def outcomes_of(solutions: Iterable[Solution]) -> dict[str, dict[str, list[bool]]]:
    """Attempts by agent and problem; those not known to have passed or failed are left out."""
    found: dict[str, dict[str, list[bool]]] = {}
    for s in solutions:
        if s.passed is not None:
            found.setdefault(s.agent, {}).setdefault(s.problem, []).append(s.passed)
    return found


def error_overlap(
    outcomes: Outcomes, *, resamples: int = 2000, seed: int = 0
) -> list[dict[str, Any]]:
    """Every pair of agents, on the problems that both attempted.

    Shares of problems that one attempt of each would leave solved by `both`, `only_a`, `only_b` or
    `neither` (they sum to 1). `joint_failure_excess`: `neither` less what it would be if failing
    were independent over problems, (1 − pass@1 of A)(1 − pass@1 of B). `fails_b_given_a`: how often
    B fails where A fails, neither / (1 − pass@1 of A). `failure_jaccard`: where at least one fails,
    how often both do. `pass@2`: an attempt of each, 1 − neither; `pass@2_a`, `pass@2_b`: two of the
    same agent (unbiased, problems with two attempts of both agents); `gain`: the pair's pass@2 on
    those problems less that of the better agent alone. NaN where undefined.

    `ci95` holds 95 % percentile bootstrap intervals over problems of all of them; samples of
    problems in which one is undefined are left out of its interval. NaN below two problems.
    """
    return [
        _pair(a, b, outcomes, resamples=resamples, seed=seed)
        for a, b in combinations(sorted(outcomes), 2)
    ]


def _pair(a: str, b: str, outcomes: Outcomes, *, resamples: int, seed: int) -> dict[str, Any]:
    import numpy as np

    shared = sorted(
        p for p in outcomes[a].keys() & outcomes[b].keys() if outcomes[a][p] and outcomes[b][p]
    )
    rows = [_row(outcomes[a][p], outcomes[b][p]) for p in shared]
    n = len(rows)
    table = np.array(rows, dtype=float).reshape(n, _COLUMNS)
    whole = _statistics(np.ones((1, n)), table)
    # Drawing n problems anew is weighing each by how often it was drawn.
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n, np.full(n, 1 / n), resamples) if n > 1 else np.zeros((1, n))
    drawn = _statistics(weights.astype(float), table)
    return {
        "a": a,
        "b": b,
        "problems": n,
        "problems_with_two": int(table[:, -1].sum()),
        **{name: float(value[0]) for name, value in whole.items()},
        "ci95": {name: _interval(values) for name, values in drawn.items()},
    }


_COLUMNS = 6


def _row(a: Sequence[bool], b: Sequence[bool]) -> tuple[float, ...]:
    """Rates of A and B; where both have two attempts, pass@2 of A, of B and of the pair, and 1."""
    rate_a, rate_b = sum(a) / len(a), sum(b) / len(b)
    if min(len(a), len(b)) < 2:
        return (rate_a, rate_b, 0.0, 0.0, 0.0, 0.0)
    two_a, two_b = (pass_at_k(len(xs), sum(xs), 2) for xs in (a, b))
    return (rate_a, rate_b, two_a, two_b, 1 - (1 - rate_a) * (1 - rate_b), 1.0)


def _statistics(weights: Array, table: Array) -> dict[str, Array]:
    """Each statistic by row of `weights` [m, problems]; NaN where it is undefined."""
    import numpy as np

    a, b = table[:, 0], table[:, 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        total = weights.sum(1)
        columns = np.stack([a, b, a * b, a * (1 - b), (1 - a) * b, (1 - a) * (1 - b)], axis=1)
        rate_a, rate_b, both, only_a, only_b, neither = (weights @ columns).T / total
        two_a, two_b, pair = (weights @ table[:, 2:5]).T / (weights @ table[:, 5])
        return {
            "both": both,
            "only_a": only_a,
            "only_b": only_b,
            "neither": neither,
            "joint_failure_excess": neither - (1 - rate_a) * (1 - rate_b),
            "fails_b_given_a": neither / _some(1 - rate_a),
            "fails_a_given_b": neither / _some(1 - rate_b),
            "failure_jaccard": neither / _some(1 - both),
            "pass@2": 1 - neither,
            "pass@2_a": two_a,
            "pass@2_b": two_b,
            "gain": pair - np.maximum(two_a, two_b),
        }


def _some(values: Array) -> Array:
    """NaN for what is zero but for rounding: nothing to take a share of."""
    import numpy as np

    return np.where(values > 1e-12, values, np.nan)


def _interval(values: Array) -> list[float]:
    import numpy as np

    defined = values[~np.isnan(values)]
    if not len(defined):
        return [float("nan")] * 2
    return [float(q) for q in np.quantile(defined, [0.025, 0.975])]
