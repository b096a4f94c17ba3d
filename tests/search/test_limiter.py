"""Places under a common limit: never more than there are, never idle, nobody starves."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.errors import SearchError
from mars2.search.limiter import Limiter, Taker


class Tree(Taker):
    def __init__(self, work, log, at_once=99, others=()):
        self.work, self.log, self.at_once = work, log, at_once
        self.others = others

    def begin(self):
        if not self.work or self.held > self.at_once:
            return False
        for other in self.others:  # nobody who waits and could take more holds fewer
            if other._queued and other.work and other.held < other.at_once:
                assert other.held >= self.held - 1
        self.work -= 1
        self.log.append(self)
        return True


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 9), st.lists(st.integers(0, 12), min_size=1, max_size=7), st.integers())
def test_places_are_full_and_fair_while_there_is_work(places, works, seed):
    limiter, log, rng = Limiter(places), [], Random(seed)
    trees = []
    trees += [Tree(work, log, rng.randrange(1, 5), trees) for work in works]
    limiter.want(*trees)
    while any(tree.held for tree in trees):
        held = sum(tree.held for tree in trees)
        assert held + limiter.free == places
        wanting = [t for t in trees if t.work and t.held < t.at_once]
        assert not (limiter.free and wanting)
        tree = rng.choice([t for t in trees if t.held])
        limiter.give_back(tree)
        limiter.want(tree)
    assert len(log) == sum(works)
    assert limiter.free == places


def test_a_tree_with_much_waiting_does_not_starve_another():
    limiter, log = Limiter(4), []
    big, small = Tree(1000, log), Tree(10, log)
    limiter.want(big)
    assert (big.held, small.held) == (4, 0)
    limiter.want(small)
    for _ in range(3):
        limiter.give_back(big)
    assert (big.held, small.held) == (2, 2)
    for _ in range(4):  # in turn, at equal numbers
        limiter.give_back(log[-1])
        assert (big.held, small.held) == (2, 2)


def test_equals_take_turns():
    limiter, log = Limiter(1), []
    trees = [Tree(3, log) for _ in range(3)]
    limiter.want(*trees)
    for _ in range(8):
        limiter.give_back(log[-1])
    assert [trees.index(t) for t in log] == [0, 1, 2] * 3


def test_who_has_left_is_offered_nothing():
    limiter, log = Limiter(1), []
    first, second, third = (Tree(1, log) for _ in range(3))
    limiter.want(first, second, third)
    limiter.leave(second)
    limiter.give_back(first)
    assert log == [first, third]


def test_bad_limit():
    with pytest.raises(SearchError, match="at least 1"):
        Limiter(0)
