"""Intervals: their coverage in a few settings, and what must hold whatever the data.

The whole study is `studies/coverage.py`; here is enough of it to notice if one breaks.
"""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.evaluation.intervals import bootstrap_ci, difference_ci, wilson_ci

RATES = st.lists(st.integers(0, 8).map(lambda k: k / 8), min_size=1, max_size=40)


def exact_coverage(n: int, p: float) -> float:
    """Of outcomes of 0 and 1: a sum over the numbers of solved problems."""
    total = 0.0
    for k in range(n + 1):
        low, high = bootstrap_ci([1.0] * k + [0.0] * (n - k))
        if low <= p <= high:
            total += math.comb(n, k) * p**k * (1 - p) ** (n - k)
    return total


@pytest.mark.parametrize("n", [20, 50, 150])
@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
def test_outcomes_of_0_and_1_are_covered(n: int, p: float) -> None:
    # At one p the coverage jumps, because so many problems are solved or one more; around it
    # (p ± 0.04) it is what it should be.
    around = [p + step / 250 for step in range(-10, 11)]
    mean = sum(exact_coverage(n, q) for q in around) / len(around)
    assert 0.935 <= mean <= 0.965
    assert exact_coverage(n, p) >= 0.92


@pytest.mark.parametrize(("n", "p"), [(50, 0.3), (50, 0.5), (150, 0.2)])
def test_shares_of_attempts_are_covered(n: int, p: float) -> None:
    rng = random.Random(f"{n} {p}")
    trials = 300
    hits = 0
    for trial in range(trials):
        rates = [rng.betavariate(2 * p, 2 * (1 - p)) for _ in range(n)]
        shares = [sum(rng.random() < rate for _ in range(8)) / 8 for rate in rates]
        low, high = bootstrap_ci(shares, resamples=200, seed=trial)
        hits += low <= p <= high
    assert 0.92 <= hits / trials <= 0.985  # 300 trials: a standard error of 1.3 %


@pytest.mark.parametrize(("n", "gain", "loss"), [(20, 0.2, 0.1), (50, 0.1, 0.02), (150, 0.3, 0.3)])
def test_differences_are_covered(n: int, gain: float, loss: float) -> None:
    rng = random.Random(f"{n} {gain}")
    trials = 300
    hits = 0
    for trial in range(trials):
        found = rng.choices([1.0, -1.0, 0.0], [gain, loss, 1 - gain - loss], k=n)
        low, high = difference_ci(found, resamples=200, seed=trial)
        hits += low <= gain - loss <= high
    assert 0.92 <= hits / trials <= 0.985


def test_all_solved_or_none_has_a_width() -> None:
    low, high = bootstrap_ci([1.0] * 20)
    assert (low, high) == (pytest.approx(20 / (20 + 1.959964**2)), 1.0)
    assert bootstrap_ci([0.0] * 20) == (0.0, pytest.approx(1 - low))
    low, high = difference_ci([0.0] * 20)
    assert -0.2 < low < 0 < high < 0.2


def test_wilson_by_hand() -> None:
    # 8 of 10, z = 1.96: (0.8 + 0.19208 ± 1.96 √(0.016 + 0.009604)) / 1.38416
    low, high = wilson_ci(8, 10)
    assert low == pytest.approx((0.99208 - 1.96 * math.sqrt(0.025604)) / 1.38416, abs=1e-4)
    assert high == pytest.approx((0.99208 + 1.96 * math.sqrt(0.025604)) / 1.38416, abs=1e-4)
    for bad in ((-1, 3), (4, 3), (0, 0)):
        with pytest.raises(ValueError, match="do not exist"):
            wilson_ci(*bad)


@settings(max_examples=40)
@given(RATES, st.integers(0, 5))
def test_rates_have_an_interval_within_0_and_1_around_their_mean(
    values: list[float], seed: int
) -> None:
    low, high = bootstrap_ci(values, resamples=100, seed=seed)
    assert 0 <= low <= math.fsum(values) / len(values) <= high <= 1
    assert low < high
    assert (low, high) == bootstrap_ci(values, resamples=100, seed=seed)
    wider = bootstrap_ci(values, resamples=100, seed=seed, level=0.999)
    assert wider[0] <= low <= high <= wider[1]


@settings(max_examples=40)
@given(RATES, RATES)
def test_differences_have_an_interval_around_their_mean(a: list[float], b: list[float]) -> None:
    differences = [y - x for x, y in zip(a, b, strict=False)]
    low, high = difference_ci(differences, resamples=100)
    assert -1 <= low <= math.fsum(differences) / len(differences) <= high <= 1
    assert low < high


def test_many_resamples_of_many_problems_are_drawn_in_parts() -> None:
    values = [i % 9 / 8 for i in range(4000)]
    low, high = bootstrap_ci(values, resamples=1000)
    half = 1.96 * math.sqrt(sum((v - 0.5) ** 2 for v in values) / 4000 / 4000)
    assert low == pytest.approx(0.5 - half, abs=0.2 * half)
    assert high == pytest.approx(0.5 + half, abs=0.2 * half)


def test_rates_that_only_rounding_tells_apart_are_equal() -> None:
    third = [1 / 3, 1 - 2 / 3]
    assert len(set(third)) == 2
    interval = bootstrap_ci([*third * 8, 1.0, 0.0])
    assert interval == pytest.approx(bootstrap_ci([1 / 3] * 16 + [1.0, 0.0]), abs=0.03)


def test_quantities_without_bounds() -> None:
    low, high = bootstrap_ci([1.0, 2.0, 3.0, 4.0, 5.0, 6.0] * 4)
    assert 2.5 < low < 3.5 < high < 4.5
    assert bootstrap_ci([7.0, 7.0]) == (7.0, 7.0)
    assert all(math.isnan(x) for x in difference_ci([]))
