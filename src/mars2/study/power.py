"""How many seeds and problems a comparison needs, from the variances of a pilot.

By simulation, of the very test that will be made: for normal effects the mean and the mean squares
of a two-way table are independent, the squares scaled chi-squares, so a table is drawn as four
numbers. A comparison counts as found if its p value is below alpha over the number of comparisons,
the hardest step of Holm's procedure: the power of the family's easiest finding is stated, not more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mars2.study.crossed import quantile_t

DRAWS = 4000


def power(
    effect: float,
    sd: Mapping[str, float],
    seeds: int,
    problems: int,
    *,
    alpha: float = 0.05,
    comparisons: int = 1,
    draws: int = DRAWS,
    seed: int = 0,
) -> float:
    """Share of studies that would find a mean difference of `effect`, on its own side of 0.

    Args:
        sd: standard deviations "seed", "problem" and "rest" of a paired difference (see
            `Components.deviations`).

    Raises:
        ValueError: fewer than two seeds or problems, or no variation at all.
    """
    import numpy as np

    if seeds < 2 or problems < 2:
        raise ValueError("a test over seeds and problems needs at least two of each")
    a, b, e = (sd[name] ** 2 for name in ("seed", "problem", "rest"))
    if a + b + e <= 0:
        raise ValueError("the standard deviations are all 0: there is nothing to be unsure of")
    rng = np.random.default_rng(seed)
    s, p = seeds, problems
    df_e = (s - 1) * (p - 1)
    ms_s = (e + p * a) * rng.chisquare(s - 1, draws) / (s - 1)
    ms_p = (e + s * b) * rng.chisquare(p - 1, draws) / (p - 1)
    ms_e = e * rng.chisquare(df_e, draws) / df_e
    means = effect + math.sqrt(a / s + b / p + e / (s * p)) * rng.standard_normal(draws)
    var_s, var_p = np.maximum(0, (ms_s - ms_e) / p), np.maximum(0, (ms_p - ms_e) / s)
    errors = np.sqrt(var_s / s + var_p / p + ms_e / (s * p))
    whole = np.maximum(0, ms_s + ms_p - ms_e)
    parts = ms_s**2 / (s - 1) + ms_p**2 / (p - 1) + ms_e**2 / df_e
    df = np.maximum(min(s, p) - 1, whole**2 / parts)
    t = means / np.maximum(errors, 1e-300) * (1 if effect >= 0 else -1)
    return float((t > _critical(df, alpha / comparisons)).mean())


def _critical(df: Any, alpha: float) -> Any:
    """Two-sided critical values of t, interpolated in 1/df between computed ones."""
    import numpy as np

    known = np.array([1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 14, 20, 30, 60, 120, 1000, 1e5])
    values = np.array([quantile_t(1 - alpha / 2, float(k)) for k in known])
    return np.interp(1 / df, (1 / known)[::-1], values[::-1])


def needed(
    effect: float,
    sd: Mapping[str, float],
    target: float,
    *,
    seeds: Sequence[int],
    problems: Sequence[int],
    alpha: float = 0.05,
    comparisons: int = 1,
) -> list[dict[str, Any]]:
    """A row `{"seeds", "problems", "power", "enough"}` for each pair."""
    rows = []
    for s in seeds:
        for p in problems:
            found = power(effect, sd, s, p, alpha=alpha, comparisons=comparisons)
            rows.append({"seeds": s, "problems": p, "power": found, "enough": found >= target})
    return rows
