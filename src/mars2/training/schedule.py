"""The learning rate as a pure function of the number of optimizer steps already taken.

Nothing else enters: it cannot restart with an epoch, a resume or a skipped step, and after the
warm-up it never rises.
"""

from __future__ import annotations

import math
from typing import Literal


def learning_rate(
    step: int,
    total: int,
    *,
    peak: float,
    warmup: int = 0,
    schedule: Literal["constant", "linear", "cosine"] = "constant",
) -> float:
    """Rate of optimizer step number `step` (from 0) of `total` planned ones.

    Linear rise over `warmup` steps to `peak`, then constant, or falling to 0 at `total` and
    staying there.
    """
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if schedule == "constant":
        return peak
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    if schedule == "linear":
        return peak * (1 - progress)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))
