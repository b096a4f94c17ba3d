"""Statistics of a table [seeds, problems] in which every seed was judged on the same problems.

Seeds and problems are crossed random effects: y_sp = m + a_s + b_p + e_sp. The interval of the mean
is a hierarchical bootstrap: seeds' effects are redrawn, then problems' (the same for all seeds),
then the rest, each reflated to its estimated variance component (Carpenter, Goldstein and Rasbash
2003). Redrawing rows and columns of the table as they are (the pigeonhole bootstrap, Owen 2007)
counts the rest three times and a few seeds too little: from 86 to 99 % of its 95 % intervals held
the truth in simulations (docs/studies.md). A variance of five seeds is itself uncertain, so the
bootstrap's quantiles are widened by Student's t over the normal, with Satterthwaite's degrees of
freedom of the two-way table (Satterthwaite 1946; Clark 1973 for crossed effects). p values are of
that t. tests/study/test_crossed.py checks coverage, size and power on data of known truth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

RESAMPLES = 4000
NORMAL = NormalDist().inv_cdf(0.975)
Rates = Mapping[str, float]  # problem → a number


@dataclass(frozen=True, slots=True)
class Components:
    """Mean squares of a two-way table without replicates; NaN where there is but one row."""

    seeds: int
    problems: int
    ms_seeds: float
    ms_problems: float
    ms_rest: float

    @property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom of the variance of the mean."""
        s, p = self.seeds, self.problems
        if s < 2 or p < 2:
            return max(s, p) - 1.0
        whole = self.ms_seeds + self.ms_problems - self.ms_rest
        parts = (
            self.ms_seeds**2 / (s - 1)
            + self.ms_problems**2 / (p - 1)
            + self.ms_rest**2 / ((s - 1) * (p - 1))
        )
        least = float(min(s, p) - 1)
        return max(least, whole**2 / parts) if parts > 0 and whole > 0 else least

    def deviations(self) -> dict[str, float]:
        """Estimated standard deviations `{"seed", "problem", "rest"}`, none below 0."""
        rest = 0.0 if math.isnan(self.ms_rest) else self.ms_rest  # one row: all is its spread

        def of(square: float, n: int) -> float:
            return 0.0 if math.isnan(square) else math.sqrt(max(0.0, (square - rest) / n))

        return {
            "seed": of(self.ms_seeds, self.problems),
            "problem": of(self.ms_problems, self.seeds),
            "rest": math.sqrt(rest),
        }


def components(table: Array) -> Components:
    """Of [seeds, problems]."""
    s, p = table.shape
    mean = table.mean()
    of_seeds, of_problems = table.mean(axis=1), table.mean(axis=0)
    rest = table - of_seeds[:, None] - of_problems[None, :] + mean

    def square(total: float, df: int) -> float:
        return total / df if df else math.nan

    return Components(
        s,
        p,
        square(float(p * ((of_seeds - mean) ** 2).sum()), s - 1),
        square(float(s * ((of_problems - mean) ** 2).sum()), p - 1),
        square(float((rest**2).sum()), (s - 1) * (p - 1)),
    )


def bootstrap_means(table: Array, *, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """Redrawn means [resamples] of a table [seeds, problems], less its mean; see the module."""
    s, p = table.shape
    found, mean = components(table), table.mean()
    sd = found.deviations()
    of_seeds, of_problems, normal = _draws(s, p, resamples, seed)
    total = normal * (sd["rest"] / math.sqrt(s * p))
    for effects, spread, counts in (
        (table.mean(axis=1) - mean, sd["seed"], of_seeds),
        (table.mean(axis=0) - mean, sd["problem"], of_problems),
    ):
        norm = math.sqrt(float((effects**2).mean()))
        if norm > 0:
            total = total + counts @ effects * (spread / norm / len(effects))
    return total


@lru_cache(maxsize=8)
def _draws(seeds: int, problems: int, resamples: int, seed: int) -> tuple[Array, Array, Array]:
    """How often each seed [resamples, seeds] and problem is drawn, and normal numbers [resamples].

    Tables of one shape are redrawn alike, which also makes their intervals comparable.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    counts = [
        rng.multinomial(n, [1 / n] * n, size=resamples).astype(float) for n in (seeds, problems)
    ]
    return counts[0], counts[1], rng.standard_normal(resamples)


def estimate(by_seed: Mapping[int, Rates], *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Mean over seeds and problems, with what is known of its error.

    Problems that a seed lacks are left out of all. With one seed the interval is over problems
    alone and says nothing about other seeds.

    Returns:
        `{"mean", "ci95", "se", "df", "p" (that the mean is 0, two-sided), "d" (mean over the
        standard deviation of problems' means), "seeds": {seed: mean}, "problems", "sd":
        components' standard deviations}`. NaN where undefined.

    Raises:
        ValueError: no seed, or no problem that all have.
    """
    import numpy as np

    if not by_seed:
        raise ValueError("no seed to take a mean over")
    shared = sorted(set.intersection(*(set(rates) for rates in by_seed.values())))
    table = np.array([[rates[p] for p in shared] for rates in by_seed.values()], dtype=float)
    if not table.size:
        raise ValueError("the seeds have no problem in common: there is no mean")
    found = components(table)
    drawn = bootstrap_means(table, resamples=resamples)
    mean, error, df = float(table.mean()), float(drawn.std()), found.df
    wider = quantile_t(0.975, df) / NORMAL if df > 0 else math.nan
    low, high = (float(q) * wider for q in np.quantile(drawn, [0.025, 0.975]))
    spread = float(table.mean(axis=0).std(ddof=1)) if len(shared) > 1 else math.nan
    return {
        "mean": mean,
        "ci95": [mean + low, mean + high],
        "se": error,
        "df": df,
        "p": _p(mean, error, df),
        "d": mean / spread if spread > 0 else math.nan,
        "seeds": {str(s): float(m) for s, m in zip(by_seed, table.mean(axis=1), strict=True)},
        "problems": len(shared),
        "sd": found.deviations(),
    }


def of_rates(by_seed: Mapping[int, Rates], *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """`estimate` of what lies between 0 and 1; so does its interval."""
    return _within(estimate(by_seed, resamples=resamples), 0.0, 1.0)


def _within(found: dict[str, Any], low: float, high: float) -> dict[str, Any]:
    return found | {"ci95": [min(high, max(low, end)) for end in found["ci95"]]}


def difference(
    one: Mapping[int, Rates], other: Mapping[int, Rates], *, resamples: int = RESAMPLES
) -> dict[str, Any] | None:
    """`estimate` of `one` minus `other`, paired by seed and problem; None without a common seed.

    Both are rates or gains of rates, so the interval is cut at -1 and 1.
    """
    pairs = {s: (one[s], other[s]) for s in one if s in other}
    if not pairs:
        return None
    gaps = {s: {p: a[p] - b[p] for p in a if p in b} for s, (a, b) in pairs.items()}
    return _within(estimate(gaps, resamples=resamples), -1.0, 1.0)


def averaged(several: Sequence[Rates]) -> dict[str, float]:
    """Mean over teams or agents, of the problems that all have."""
    if len(several) == 1:
        return dict(sorted(several[0].items()))
    shared = set.intersection(*(set(rates) for rates in several)) if several else set()
    return {p: sum(rates[p] for rates in several) / len(several) for p in sorted(shared)}


def _p(mean: float, error: float, df: float) -> float:
    if df <= 0:
        return math.nan
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * upper_t(abs(mean) / error, df)


# --------------------------------------------------------------------------- Student's t


def upper_t(t: float, df: float) -> float:
    """P(T > t) for t ≥ 0: half the regularised incomplete beta function I_x(df/2, 1/2) at
    x = df/(df + t²) (Abramowitz and Stegun 26.5.27)."""
    return 0.5 * _incomplete_beta(df / (df + t * t), df / 2, 0.5)


def quantile_t(level: float, df: float) -> float:
    """The t with P(T ≤ t) = level, for level in [0.5, 1), by Newton's method.

    From the normal quantile, which is below it, the steps rise towards it: the tail is convex.
    """
    scale = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    t = NormalDist().inv_cdf(level)
    for _ in range(200):
        density = scale * (1 + t * t / df) ** (-(df + 1) / 2)
        step = (upper_t(t, df) - (1 - level)) / density
        t += step
        if abs(step) < 1e-12 * max(1.0, t):
            break
    return t


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """I_x(a, b) by its continued fraction (Numerical Recipes, section 6.4; Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        + a * math.log(x) + b * math.log1p(-x)
    )  # fmt: skip
    if x > (a + 1) / (a + b + 2):
        return 1 - front * _fraction(1 - x, b, a) / b
    return front * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    result = d
    for m in range(1, 500):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / ((1 + step * d) or tiny)
            c = (1 + step / c) or tiny
            result *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return result
