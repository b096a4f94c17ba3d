"""Tests of whether two runs differ on the same problems. Pure functions of paired outcomes."""

from __future__ import annotations

import math
from collections.abc import Sequence

EXACT_PAIRS = 16
"""Up to so many pairs that differ, the sign-flip test counts every case."""


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p value of McNemar's exact test: of the problems that one run alone solved, is
    either run's share compatible with a fair coin? (McNemar 1947, in its binomial form.)

    Raises:
        ValueError: a negative count.
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"({only_a}, {only_b}) are no counts")
    n = only_a + only_b
    tail = sum(math.comb(n, i) for i in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**n)


def sign_flip(differences: Sequence[float], *, draws: int = 20_000, seed: int = 0) -> float:
    """Two-sided p value of the paired permutation test of the mean difference.

    Under the hypothesis that the runs are alike each difference is as likely as its negative: p
    is the share of sign patterns whose sum is at least as far from 0 as the one seen (Fisher
    1935). All patterns are counted if no more than `EXACT_PAIRS` differences are not 0; else
    `draws` random ones and the one seen, as Phipson and Smyth (2010) advise. Reproducible for a
    seed.
    """
    import numpy as np

    x = np.array([abs(d) for d in differences if d != 0], dtype=float)
    if not len(x):
        return 1.0
    # Sums of the same numbers in another order differ in the last bits.
    seen = abs(math.fsum(differences)) * (1 - 1e-9)
    if len(x) <= EXACT_PAIRS:
        sums = np.zeros(1)
        for value in x:
            sums = np.concatenate([sums + value, sums - value])
        return float((np.abs(sums) >= seen).mean())
    rng = np.random.default_rng(seed)
    hits = 0
    for start in range(0, draws, 1000):
        signs = rng.integers(0, 2, (min(1000, draws - start), len(x))) * 2.0 - 1.0
        hits += int((np.abs(signs @ x) >= seen).sum())
    return (hits + 1) / (draws + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """p values adjusted for their number (Holm 1979), in the order given: the i-th smallest of m
    times m − i + 1, never below a smaller one's, at most 1."""
    adjusted = [1.0] * len(ps)
    so_far = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        so_far = max(so_far, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = so_far
    return adjusted
