"""Depth-guided exploration: what it does to a draw, and to the shape of trees."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.search.depth import DepthGuide, discount
from mars2.search.seeds import derive
from mars2.search.tree import AbMcts

finite = st.floats(-1e6, 1e6)
unit = st.floats(0, 1)


def test_weight_by_hand():
    guide = DepthGuide(0.98, 0.9)
    assert guide.weight(0, 0) == 1.0
    assert guide.weight(0, 3) == pytest.approx(0.98**3)
    assert guide.weight(2, 4) == pytest.approx((0.98 * 0.81) ** 4)
    assert guide.weight(10_000, 0) == 1.0
    assert guide.weight(10_000, 5) == 0.0  # underflow is no error


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 50), st.integers(0, 50))
def test_weight_falls_with_depth_and_count(gamma, rho, depth, count):
    guide = DepthGuide(gamma, rho)
    weight = guide.weight(depth, count)
    assert 0 <= weight <= 1
    assert guide.weight(depth + 1, count) <= weight
    assert guide.weight(depth, count + 1) <= weight


@given(finite, unit)
def test_a_discount_never_raises_a_draw(draw, weight):
    assert discount(draw, weight) <= draw
    assert discount(draw, 1.0) == draw


@given(finite, finite, unit)
def test_a_discount_keeps_the_order_of_draws(a, b, weight):
    low, high = sorted((a, b))
    assert discount(low, weight) <= discount(high, weight)


@given(finite, unit, unit)
def test_a_smaller_weight_discounts_more(draw, a, b):
    low, high = sorted((a, b))
    assert discount(draw, low) <= discount(draw, high)


def test_discount_at_the_edges():
    assert discount(0.5, 0.0) == 0.0
    assert discount(-0.5, 0.0) == -math.inf
    assert discount(-0.5, 0.5) == -1.0
    assert discount(0.0, 0.0) == 0.0


def grown(arm, guide, seed, n=80):
    tree = AbMcts(("ann", "bob"), seed, arm=arm, guide=guide)
    for _ in range(n):
        e = tree.ask()
        tree.tell(e.node_id, derive(seed, e.node_id) % 5 / 4)
    return tree.statistics()


@pytest.mark.parametrize("arm", ["beta", "gaussian"])
def test_guided_trees_are_narrower_and_deeper(arm):
    def shape(guide):
        trees = [grown(arm, guide, seed) for seed in range(15)]
        width = sum(len(t["children"][0]) for t in trees)
        depth = sum(max(t["depths"].values()) for t in trees)
        return width, depth

    width, depth = shape(None)
    guided_width, guided_depth = shape(DepthGuide(0.98, 0.9))
    assert guided_width < width
    assert guided_depth > depth


@pytest.mark.parametrize("arm", ["beta", "gaussian"])
def test_no_discount_changes_nothing(arm):
    assert grown(arm, DepthGuide(1.0, 1.0), 3) == grown(arm, None, 3)


def test_only_told_nodes_count():
    tree = AbMcts(("ann",), 0, guide=DepthGuide(0.5, 1.0))
    for _ in range(3):
        tree.ask()
    assert tree._generated(1) == 0
    tree.tell(1, 0.5)
    tree.fail(2)
    tree.cancel(3)
    assert (tree._generated(1), tree._generated(2)) == (1, 0)
