"""Pass rates and their confidence intervals. Pure functions over per-problem outcomes."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; NaN when there is nothing to average."""
    return math.fsum(values) / len(values) if values else math.nan


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Unbiased pass@k of one problem from i.i.d. samples: 1 − C(n−c, k) / C(n, k).

    Source: Chen et al. 2021 (arXiv 2107.03374), equation 1. Tree nodes are not i.i.d.: never
    call it on them.

    Raises:
        ValueError: unless 0 ≤ correct ≤ samples and 1 ≤ k ≤ samples.
    """
    if not 0 <= correct <= samples:
        raise ValueError(f"correct={correct} is not within 0..samples={samples}")
    if not 1 <= k <= samples:
        raise ValueError(f"k={k} is not within 1..samples={samples}: draw more samples")
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)


def bootstrap_ci(
    values: Sequence[float], *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean, resampling problems (one value a problem).

    Returns:
        (low, high); both NaN for no values. Reproducible for a seed.
    """
    if not values:
        return (math.nan, math.nan)
    rng = random.Random(seed)
    n = len(values)
    means = sorted(math.fsum(rng.choices(values, k=n)) / n for _ in range(resamples))
    tail = (1.0 - level) / 2.0
    return (_quantile(means, tail), _quantile(means, 1.0 - tail))


def _quantile(ordered: Sequence[float], q: float) -> float:
    position = q * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])
