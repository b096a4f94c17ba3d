"""Depth-guided exploration: shallow levels stay broad, deep levels refine rather than widen.

At a node of depth d the draw of GEN is discounted by w = (gamma rho^d)^c, c being the nodes that
this tree already has at depth d + 1 (MARS²-T+, arXiv 2602.07848; the power of rho is how we let
the base fall with depth).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DepthGuide:
    """The settings of the discount: base at the root, and its factor a level; both in (0, 1]."""

    gamma: float
    rho: float

    def weight(self, depth: int, generated: int) -> float:
        """w in [0, 1] at a node of `depth` (root: 0) with `generated` nodes one level below."""
        return (self.gamma * self.rho**depth) ** generated


def discount(draw: float, weight: float) -> float:
    """A draw made worse by a weight in [0, 1]: times the weight, or divided by it if negative.

    Draws of a Gaussian arm can be negative, and a negative number times w < 1 is a larger one:
    the discount would favour what it is to hold back, and most where widening looks worst.
    Dividing keeps the order of draws, lowers every draw but 0, and lowers it more the smaller w.
    """
    if draw >= 0:
        return draw * weight
    return draw / weight if weight > 0 else -math.inf
