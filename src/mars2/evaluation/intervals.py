"""Confidence intervals over problems: of a mean of pass rates, and of a mean difference.

The plain percentile bootstrap is too narrow for few problems and for rates near 0 or 1 (64 %
instead of 95 % for 20 problems of which one in twenty is solved). What is used instead was chosen
by simulation (`studies/coverage.py`; docs/evaluation.md has the table):

- outcomes that are all 0 or 1: resampling them is drawing from a binomial distribution, and the
  interval is found by inverting the test of it: Wilson's score interval (Wilson 1927). It has a
  width also where all problems are solved, or none.
- rates in between: bootstrap-t over problems (Efron 1981; Hesterberg 2015, section 5.5), each
  limit no further out than Wilson's for as many problems. No rates with that mean vary more than
  outcomes of 0 and 1, and resamples in which nearly all rates are equal make bootstrap-t far too
  wide.
- differences of pairs: percentile bootstrap over the problems and two more, half a gain, half a
  loss and one without a difference: the pseudo-pairs of Agresti and Min (2005), as large as the
  largest difference seen.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any

_CHUNK = 1 << 20  # numbers drawn at once


def bootstrap_ci(
    values: Sequence[float], *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Interval of the mean of pass rates, one value in [0, 1] a problem.

    Values outside [0, 1] are taken for a quantity without bounds: bootstrap-t alone. Use
    `difference_ci` for differences between two rates of the same problem.

    Returns:
        (low, high), the mean between them; both NaN for no values. Reproducible for a seed.
    """
    if not values:
        return (math.nan, math.nan)
    n = len(values)
    mean = math.fsum(values) / n
    if min(values) < 0 or max(values) > 1:
        return (
            (mean, mean) if len(set(values)) == 1 else _bootstrap_t(values, resamples, level, seed)
        )
    low, high = wilson_ci(mean * n, n, level=level)
    if len(set(values)) > 1 and not set(values) <= {0, 1}:
        by_resampling = _bootstrap_t(values, resamples, level, seed)
        low, high = max(low, by_resampling[0]), min(high, by_resampling[1])
    return (min(low, mean), max(high, mean))


def wilson_ci(successes: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a probability, from successes among n (Wilson 1927).

    Raises:
        ValueError: unless 0 ≤ successes ≤ n and n > 0.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes among {n} do not exist")
    z = _z(level)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (max(0.0, centre - half), min(1.0, centre + half))


def difference_ci(
    differences: Sequence[float], *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Interval of the mean difference of pairs, one value in [-1, 1] a problem.

    Returns:
        (low, high), the mean between them; both NaN for no values. Reproducible for a seed.
    """
    if not differences:
        return (math.nan, math.nan)
    import numpy as np

    n = len(differences)
    largest = max(map(abs, differences)) or 1.0
    pairs = Counter(differences)
    pairs.update({largest: 0.5, -largest: 0.5, 0.0: 1.0})
    means = [counts @ x / (n + 2) for x, counts in _resamples(pairs, n + 2, resamples, seed)]
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    mean = math.fsum(differences) / n
    return (min(float(low), mean), max(float(high), mean))


def _bootstrap_t(
    values: Sequence[float], resamples: int, level: float, seed: int
) -> tuple[float, float]:
    """m − t* s/√n, with t* the quantiles of (m* − m)√n / s* over resamples.

    A resample of equal values has no s*: its t* is infinite, on the side on which its mean is.
    """
    import numpy as np

    n = len(values)
    mean = math.fsum(values) / n
    squares = math.fsum((v - mean) ** 2 for v in values) / n
    error = math.sqrt(squares / (n - 1))
    nothing = 1e-9 * squares  # values that only rounding tells apart are equal
    ratios = []
    for x, counts in _resamples(Counter(values), n, resamples, seed):
        shift = counts @ (x - mean) / n
        square = counts @ (x - mean) ** 2 / n - shift**2
        flat = square <= nothing
        t = shift / np.sqrt(np.where(flat, 1.0, square) / (n - 1))
        ratios.append(np.where(flat & (shift**2 > nothing), np.copysign(np.inf, shift), t))
    # No interpolation: it is undefined between infinities.
    ordered = np.sort(np.concatenate(ratios))
    tail = (1 - level) / 2 * (len(ordered) - 1)
    high_t, low_t = ordered[math.ceil(len(ordered) - 1 - tail)], ordered[math.floor(tail)]
    return (float(mean - high_t * error), float(mean - low_t * error))


def _resamples(
    weights: Mapping[float, float], n: int, resamples: int, seed: int
) -> Iterator[tuple[Any, Any]]:
    """Resamples of n values drawn by weight: the different values [d], and how often each was
    drawn [part of resamples, d]. Rates have few different values, so this is quick."""
    import numpy as np

    x = np.array(list(weights), dtype=float)
    chances = np.array(list(weights.values()), dtype=float)
    rng = np.random.default_rng(seed)
    most = max(1, _CHUNK // len(x))
    for start in range(0, resamples, most):
        yield x, rng.multinomial(n, chances / chances.sum(), min(most, resamples - start))


def _z(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not between 0 and 1")
    return NormalDist().inv_cdf((1 + level) / 2)
