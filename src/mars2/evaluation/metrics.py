"""Pass rates. Pure functions over per-problem outcomes; intervals are in `intervals`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mars2.evaluation.intervals import bootstrap_ci, difference_ci

__all__ = ["bootstrap_ci", "difference_ci", "mean", "pass_at_k"]


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
