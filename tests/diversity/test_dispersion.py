"""Spread, entropy and Vendi score against numbers worked out by hand."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.diversity.dispersion import (
    cosine_distances,
    differ,
    entropy_bits,
    mean_between,
    mean_within,
    miller_madow,
    vendi,
)
from mars2.errors import Mars2Error

counts = st.lists(st.integers(1, 50), min_size=1, max_size=12)
rows = st.lists(
    st.lists(st.floats(-5, 5).filter(lambda x: x == 0 or abs(x) > 1e-3), min_size=3, max_size=3),
    min_size=1,
    max_size=7,
)


def test_cosine_distances_by_hand():
    found = cosine_distances(np.array([[1.0, 0.0], [3.0, 3.0], [0.0, 2.0], [-1.0, 0.0]]))
    half = 1 - 1 / math.sqrt(2)
    assert found == pytest.approx(
        np.array([[0, half, 1, 2], [half, 0, half, 2 - half], [1, half, 0, 1], [2, 2 - half, 1, 0]])
    )


def test_empty_vectors_are_equal_to_each_other_only():
    found = cosine_distances(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))
    assert found.tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]


def test_broken_embeddings_are_an_error():
    with pytest.raises(Mars2Error, match="not finite"):
        cosine_distances(np.array([[1.0, math.nan]]))


@given(rows)
def test_cosine_distances_are_symmetric_and_bounded(vectors):
    found = cosine_distances(np.array(vectors))
    assert np.allclose(found, found.T)
    assert (found >= 0).all()
    assert (found <= 2).all()
    assert (np.diag(found) == 0).all()
    positive = cosine_distances(np.abs(np.array(vectors)))
    assert (positive <= 1 + 1e-12).all()


DISTANCES = np.array(
    [
        [0.0, 0.2, 0.4, 1.0],
        [0.2, 0.0, 0.6, 0.8],
        [0.4, 0.6, 0.0, 0.5],
        [1.0, 0.8, 0.5, 0.0],
    ]
)


def test_means_over_pairs_by_hand():
    assert mean_within(DISTANCES, [0, 1, 2]) == pytest.approx((0.2 + 0.4 + 0.6) / 3)
    assert mean_within(DISTANCES, [0, 3]) == pytest.approx(1.0)
    assert math.isnan(mean_within(DISTANCES, [2]))
    assert mean_between(DISTANCES, [0, 1], [2, 3]) == pytest.approx((0.4 + 1.0 + 0.6 + 0.8) / 4)
    assert math.isnan(mean_between(DISTANCES, [0], []))


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_mean_over_pairs_does_not_depend_on_how_many_there_are(n):
    """Kinds a and b with chances 0.3 and 0.7, at distance 1: the mean is 2 · 0.3 · 0.7."""
    rng = random.Random(n)
    means = []
    for _ in range(4000):
        kinds = [rng.random() < 0.3 for _ in range(n)]
        means.append(mean_within(np.not_equal.outer(kinds, kinds).astype(float), range(n)))
    assert np.mean(means) == pytest.approx(0.42, abs=4 * np.std(means) / math.sqrt(4000))


def test_vendi_by_hand():
    assert vendi(np.zeros((4, 4))) == pytest.approx(1.0)  # all alike
    assert vendi(1 - np.eye(4)) == pytest.approx(4.0)  # all orthogonal
    pairs = 1 - np.kron(np.eye(2), np.ones((2, 2)))
    assert vendi(pairs) == pytest.approx(2.0)  # two kinds
    # Similarity s of two: eigenvalues (1 ± s) / 2.
    a, b = 0.8, 0.2
    by_hand = math.exp(-(a * math.log(a) + b * math.log(b)))
    assert vendi(np.array([[0, 0.4], [0.4, 0]])) == pytest.approx(by_hand)
    assert math.isnan(vendi(np.zeros((0, 0))))


@given(rows)
def test_vendi_is_between_one_and_how_many_there_are(vectors):
    nonzero = [v for v in vectors if any(v)] or [[1.0, 0.0, 0.0]]
    found = vendi(cosine_distances(np.array(nonzero)))
    assert 1 - 1e-6 <= found <= len(nonzero) + 1e-6


def test_entropy_by_hand():
    assert entropy_bits([4]) == 0.0
    assert entropy_bits([1, 1]) == pytest.approx(1.0)
    assert entropy_bits([2, 1, 1]) == pytest.approx(1.5)
    assert entropy_bits([3, 0, 0]) == 0.0
    assert math.isnan(entropy_bits([]))
    assert miller_madow([2, 1, 1]) == pytest.approx(1.5 + 2 / (2 * 4 * math.log(2)))
    assert math.isnan(miller_madow([0]))


@given(counts)
def test_entropy_is_bounded(found):
    assert -1e-12 <= entropy_bits(found) <= math.log2(len(found)) + 1e-9
    assert miller_madow(found) >= entropy_bits(found)
    assert entropy_bits([1] * len(found)) == pytest.approx(math.log2(len(found)))


def test_miller_madow_is_nearer_to_the_truth():
    """Four equally likely kinds (2 bits), eight draws."""
    rng = random.Random(0)
    plain, corrected = [], []
    for _ in range(2000):
        kinds = [rng.randrange(4) for _ in range(8)]
        found = [kinds.count(k) for k in range(4)]
        plain.append(entropy_bits(found))
        corrected.append(miller_madow(found))
    assert abs(np.mean(corrected) - 2) < abs(np.mean(plain) - 2) / 3


def test_differ_by_hand():
    assert differ([2, 2]) == pytest.approx(4 / 6)
    assert differ([4]) == 0.0
    assert differ([1, 1, 1]) == 1.0
    assert math.isnan(differ([1]))
