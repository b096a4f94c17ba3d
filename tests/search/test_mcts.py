"""PUCT with fixed branching against a slow reference, and its edges."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.errors import SearchError
from mars2.search.mcts import Mcts
from mars2.search.seeds import derive
from mars2.types import Expansion

AGENTS = ("ann", "bob")


class Reference:
    """The rule written down plainly over what was asked and told."""

    def __init__(self, branching, c):
        self.b, self.c = branching, c
        self.parent: dict[int, int] = {}
        self.reward: dict[int, float] = {}
        self.order: list[int] = []  # told nodes
        self.gone: set[int] = set()

    def alive(self):
        return [v for v in self.parent if v not in self.gone]

    def below(self, u):
        """Nodes and expansions under way in u's subtree, itself included."""
        found, grew = {u}, True
        while grew:
            more = {v for v in self.alive() if self.parent[v] in found} - found
            grew = bool(more)
            found |= more
        return found - {0}

    def q(self, u):
        rewards = [self.reward[v] for v in self.below(u) if v in self.reward]
        return sum(rewards) / len(rewards) if rewards else 0.5

    def edges(self, u):
        return [v for v in self.alive() if self.parent[v] == u]

    def children(self, u):
        return [v for v in self.order if self.parent[v] == u]

    def is_open(self, u):
        return len(self.edges(u)) < self.b or any(self.is_open(v) for v in self.children(u))

    def choose(self):
        node = 0
        if not self.is_open(0):
            return None
        while True:
            total = sum(len(self.below(v)) for v in self.edges(node))
            options = []
            if len(self.edges(node)) < self.b:
                options.append((self.q(node) + self.c / self.b * math.sqrt(total), None))
            for v in self.children(node):
                if self.is_open(v):
                    bonus = self.c / self.b * math.sqrt(total) / (1 + len(self.below(v)))
                    options.append((self.q(v) + bonus, v))
            top = max(score for score, _ in options)
            best = next(v for score, v in options if score == top)
            if best is None:
                return node
            node = best


@settings(max_examples=60, deadline=None)
@given(
    branching=st.integers(1, 4),
    c=st.sampled_from([0.0, 1.0, 4.0]),
    data=st.data(),
)
def test_decides_as_the_reference_does(branching, c, data):
    tree = Mcts(AGENTS, 0, branching=branching, exploration=c)
    reference = Reference(branching, c)
    under_way: list[int] = []
    for _ in range(40):
        step = data.draw(st.sampled_from(["ask", "ask", "tell", "tell", "fail", "cancel"]))
        if step == "ask" or not under_way:
            expected = reference.choose()
            e = tree.ask()
            if expected is None:
                assert e is None
                continue
            assert (e.parent_id or 0) == expected
            reference.parent[e.node_id] = expected
            under_way.append(e.node_id)
            continue
        node = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
        if step == "tell":
            # Powers of two: means are exact enough to tie alike.
            reference.reward[node] = data.draw(st.integers(0, 8)) / 8
            reference.order.append(node)
            tree.tell(node, reference.reward[node])
        else:
            reference.gone.add(node)
            getattr(tree, step)(node)
    stats = tree.statistics()
    for u in [0, *reference.order]:
        assert stats["open"][u] == sum(reference.is_open(v) for v in reference.children(u))


def test_branching_bounds_every_node_and_counts_what_is_under_way():
    tree = Mcts(AGENTS, 3, branching=2)
    assert [tree.ask().parent_id for _ in range(2)] == [None, None]
    assert tree.ask() is None
    tree.tell(1, 0.5)
    assert tree.ask().parent_id == 1
    tree.fail(2)
    assert {tree.ask().parent_id for _ in range(2)} == {None, 1}
    assert tree.ask() is None


def test_higher_exploration_is_broader():
    def depth(c):
        tree = Mcts(AGENTS, 0, branching=3, exploration=c)
        for _ in range(60):
            e = tree.ask()
            tree.tell(e.node_id, derive(e.node_id) % 5 / 4)
        return max(tree.statistics()["depths"].values())

    assert depth(0.0) > depth(2.0) >= depth(50.0)


def test_the_better_agent_writes_more():
    tree = Mcts(AGENTS, 1)
    wrote = []
    for _ in range(150):
        e = tree.ask()
        wrote.append(e.agent)
        tree.tell(e.node_id, 0.75 if e.agent == "bob" else 0.25)
    assert wrote.count("bob") > 110


def test_a_chain_needs_no_recursion():
    tree = Mcts(("ann",), 0, branching=1)
    for i in range(1500):
        e = tree.ask()
        assert e.depth == i + 1
        tree.tell(e.node_id, 1.0)


def test_bad_settings_and_records():
    with pytest.raises(SearchError, match="branching"):
        Mcts(AGENTS, 0, branching=0)
    for c in (-1.0, math.nan, math.inf):
        with pytest.raises(SearchError, match="exploration"):
            Mcts(AGENTS, 0, exploration=c)
    tree = Mcts(AGENTS, 0, branching=1)
    tree.ask()
    with pytest.raises(SearchError, match="no free place"):
        tree.restore(Expansion(2, None, 1, "ann", "generate"))
    assert tree.asked == 1
