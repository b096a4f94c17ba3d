"""Paired tests by hand: small cases counted out, and properties."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.evaluation.paired import holm, mcnemar, sign_flip


def test_mcnemar_by_hand() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(3, 3) == 1
    assert mcnemar(0, 5) == 2 / 32
    assert mcnemar(1, 7) == mcnemar(7, 1) == 2 * (1 + 8) / 256
    assert mcnemar(2, 9) == pytest.approx(2 * (1 + 11 + 55) / 2048)
    with pytest.raises(ValueError, match="no counts"):
        mcnemar(-1, 2)


def test_sign_flip_by_hand() -> None:
    assert sign_flip([]) == sign_flip([0.0, 0.0]) == 1
    # ±1 ±2 ±3: 6 in 1 of 8 patterns and -6 in another.
    assert sign_flip([1, 2, 3]) == 2 / 8
    # seen |1 + 2 - 3| = 0: every pattern is as far
    assert sign_flip([1, 2, -3]) == 1
    # seen 4 = -1 + 2 + 3; as far are ±6 and ±4
    assert sign_flip([-1, 2, 3, 0, 0]) == 4 / 8


def test_sign_flip_of_outcomes_of_0_and_1_is_mcnemar() -> None:
    for a, b in ((0, 4), (1, 6), (3, 8), (5, 5)):
        assert sign_flip([-1.0] * a + [1.0] * b) == pytest.approx(mcnemar(a, b))


@settings(max_examples=40)
@given(st.lists(st.integers(-8, 8).map(lambda k: k / 8), max_size=9))
def test_sign_flip_counts_every_pattern(differences: list[float]) -> None:
    moved = [d for d in differences if d]
    seen = abs(math.fsum(moved))
    sums = [
        abs(math.fsum(s * d for s, d in zip(signs, moved, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(moved))
    ]
    assert sign_flip(differences) == sum(s >= seen for s in sums) / len(sums)


def test_many_pairs_are_drawn_and_agree_with_the_exact_test() -> None:
    p = sign_flip([1.0] * 24 + [-1.0] * 11, seed=3)
    assert p == pytest.approx(mcnemar(11, 24), abs=0.006)
    assert p == sign_flip([1.0] * 24 + [-1.0] * 11, seed=3)
    assert sign_flip([1.0] * 100) == 1 / 20_001  # never 0


def test_holm_by_hand() -> None:
    assert holm([]) == []
    # sorted .01 × 4, .02 × 3, .03 × 2, .04 × 1, each at least the one before
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.001, 0.9]) == [0.002, 0.9]


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_value_nor_changes_their_order(ps: list[float]) -> None:
    adjusted = holm(ps)
    assert all(p <= q <= min(1.0, len(ps) * p) + 1e-12 for p, q in zip(ps, adjusted, strict=True))
    ranked = [q for _, q in sorted(zip(ps, adjusted, strict=True))]
    assert ranked == sorted(ranked)
