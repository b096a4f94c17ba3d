"""Error overlap against counts done by hand, and by simulation."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.diversity.overlap import error_overlap, outcomes_of
from mars2.diversity.solutions import Solution

T, F = True, False


def one(outcomes, **more):
    (pair,) = error_overlap(outcomes, resamples=200, **more)
    return pair


def test_single_attempts_are_counts():
    a = {"p1": [T], "p2": [T], "p3": [F], "p4": [F], "p5": [F], "only-a": [T]}
    b = {"p1": [T], "p2": [F], "p3": [T], "p4": [F], "p5": [F]}
    found = one({"a": a, "b": b})
    assert (found["a"], found["b"], found["problems"]) == ("a", "b", 5)
    assert [found[k] for k in ("both", "only_a", "only_b", "neither")] == pytest.approx(
        [1 / 5, 1 / 5, 1 / 5, 2 / 5]
    )
    assert found["joint_failure_excess"] == pytest.approx(2 / 5 - 3 / 5 * 3 / 5)
    assert found["fails_b_given_a"] == pytest.approx(2 / 3)
    assert found["failure_jaccard"] == pytest.approx(2 / 4)
    assert found["pass@2"] == pytest.approx(3 / 5)
    assert found["problems_with_two"] == 0
    assert math.isnan(found["gain"])
    assert math.isnan(found["ci95"]["gain"][0])


def test_rates_multiply_and_pass_at_2_is_unbiased_by_hand():
    # p1: a 2 of 4, b 1 of 2. p2: a 4 of 4, b 0 of 2.
    found = one({"a": {"p1": [T, T, F, F], "p2": [T] * 4}, "b": {"p1": [T, F], "p2": [F, F]}})
    assert found["both"] == pytest.approx((1 / 4 + 0) / 2)
    assert found["only_a"] == pytest.approx((1 / 4 + 1) / 2)
    assert found["only_b"] == pytest.approx((1 / 4 + 0) / 2)
    assert found["neither"] == pytest.approx((1 / 4 + 0) / 2)
    assert found["pass@2"] == pytest.approx(1 - 1 / 8)
    assert found["pass@2_a"] == pytest.approx((1 - 1 / 6 + 1) / 2)  # 1 − C(2,2)/C(4,2)
    assert found["pass@2_b"] == pytest.approx((1 + 0) / 2)
    assert found["gain"] == pytest.approx(7 / 8 - 11 / 12)
    assert found["problems_with_two"] == 2


def test_agents_that_complement_each_other_gain_and_equal_ones_do_not():
    even = {f"p{i}": [i % 2 == 0] * 2 for i in range(20)}
    odd = {f"p{i}": [i % 2 == 1] * 2 for i in range(20)}
    found = one({"even": even, "odd": odd})
    assert found["neither"] == 0
    assert found["gain"] == pytest.approx(0.5)
    assert found["joint_failure_excess"] == pytest.approx(-0.25)
    assert found["fails_b_given_a"] == 0
    same = one({"even": even, "twin": even})
    assert same["gain"] == 0
    assert same["fails_b_given_a"] == 1
    assert same["joint_failure_excess"] == pytest.approx(0.25)


def test_what_cannot_be_known_is_nan():
    found = one({"a": {"p": [T, T]}, "b": {"p": [T, T]}})
    assert math.isnan(found["fails_b_given_a"])
    assert math.isnan(found["failure_jaccard"])
    assert found["gain"] == 0
    assert math.isnan(found["ci95"]["both"][0])  # of one problem
    apart = one({"a": {"p": [T]}, "b": {"q": [T]}})
    assert apart["problems"] == 0
    assert math.isnan(apart["both"])
    assert error_overlap({"a": {"p": [T]}}) == []


@given(
    st.lists(
        st.tuples(*[st.lists(st.booleans(), min_size=1, max_size=5)] * 2), min_size=1, max_size=12
    )
)
def test_shares_sum_to_one_and_lie_in_their_intervals_range(attempts):
    outcomes = {
        name: {f"p{i}": pair[k] for i, pair in enumerate(attempts)} for k, name in enumerate("ab")
    }
    found = one(outcomes)
    assert sum(found[k] for k in ("both", "only_a", "only_b", "neither")) == pytest.approx(1)
    for low, high in found["ci95"].values():
        assert math.isnan(low) or low <= high


def test_reproducible_and_symmetric():
    rng = random.Random(3)
    outcomes = {
        n: {f"p{i}": [rng.random() < 0.5 for _ in range(3)] for i in range(9)} for n in "ab"
    }
    assert one(outcomes, seed=5) == one(outcomes, seed=5)
    assert one(outcomes, seed=5) != one(outcomes, seed=6)
    back = one({"a": outcomes["b"], "b": outcomes["a"]})
    assert back["only_a"] == one(outcomes)["only_b"]
    assert back["fails_a_given_b"] == one(outcomes)["fails_b_given_a"]


def test_the_share_that_both_fail_is_unbiased():
    """Problems of rates .2/.4 and .8/.6, two attempts each: neither = (.8·.6 + .2·.4) / 2."""
    rng = random.Random(0)
    found = []
    for _ in range(3000):
        outcomes = {
            name: {
                p: [rng.random() < r for _ in range(2)] for p, r in zip("pq", rates, strict=True)
            }
            for name, rates in {"a": (0.2, 0.8), "b": (0.4, 0.6)}.items()
        }
        found.append(error_overlap(outcomes, resamples=1)[0]["neither"])
    assert sum(found) / len(found) == pytest.approx((0.8 * 0.6 + 0.2 * 0.4) / 2, abs=0.012)


def test_unknown_outcomes_are_left_out():
    solutions = [
        Solution("p", "a", "x", passed=True),
        Solution("p", "a", "x"),
        Solution("p", "b", "x", passed=False),
    ]
    assert outcomes_of(solutions) == {"a": {"p": [True]}, "b": {"p": [False]}}
