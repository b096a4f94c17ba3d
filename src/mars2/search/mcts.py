"""Monte Carlo tree search with a fixed branching factor: the textbook baseline of `ab-mcts`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mars2.errors import SearchError
from mars2.search.arms import ArmKind
from mars2.search.bandit import AgentBandit, AgentChoice
from mars2.search.base import ROOT, Choice, Strategy
from mars2.search.draws import Draws
from mars2.types import Expansion


class Mcts(Strategy):
    """PUCT over trees in which every node, the root included, has at most `branching` children.

    A node's `branching` edges are its children, places of expansions under way, and free places.
    From the root, take the edge with the highest Q + c P sqrt(N) / (1 + n) (PUCT as in AlphaZero,
    arXiv 1712.01815) until it is a free place: expand there. The prior P is uniform, 1 /
    branching. n counts nodes below the edge, the child included, N is the sum of n over the
    node's edges; expansions under way count in both, but not in Q (WU-UCT, arXiv 1810.11755). Q
    of a child is the mean reward of its subtree; Q of a free place is that of the node itself
    (first-play urgency; 1/2 at an empty root). A free place wins ties, then the older child.

    Children below which nothing can be expanded now are passed over; `ask` returns None while
    there is no free place anywhere. A failed expansion frees its place.

    Args:
        branching: at least 1.
        exploration: c, at least 0.
        arm, agent_choice: the bandit over agents, see `AgentBandit`.

    Raises:
        SearchError: also for a setting out of range.
    """

    name = "mcts"

    def __init__(
        self,
        agents: Sequence[str],
        seed: int,
        *,
        branching: int = 3,
        exploration: float = 1.0,
        arm: ArmKind = "beta",
        agent_choice: AgentChoice = "thompson",
    ) -> None:
        super().__init__(agents, seed)
        if branching < 1:
            raise SearchError(f"branching must be at least 1, got {branching}")
        if not 0 <= exploration < math.inf:
            raise SearchError(f"exploration must be a number of at least 0, got {exploration}")
        self._branching = branching
        self._exploration = exploration
        self._draws = Draws(seed)
        self._bandit = AgentBandit(arm, agent_choice)
        # By node id; the root is 0.
        self._parent: list[int] = []
        self._children: list[list[int]] = []  # told ones only, in order of completion
        self._busy: list[int] = []  # expansions of the node under way
        self._open: list[int] = []  # children below which something can be expanded
        # Of the subtree, the node included (the root is no node):
        self._told_below: list[int] = []
        self._under_way_below: list[int] = []
        self._total: list[float] = []  # sum of rewards
        self._add_slot(ROOT)

    def _choose(self) -> Choice | None:
        node = ROOT
        if not self._is_open(node):
            return None
        while (child := self._best_child(node)) is not None:
            node = child
        rng = self._draws.of_ask(self.asked + 1)
        return Choice(node, self._bandit.choose(self.agents, node, rng))

    def _best_child(self, node: int) -> int | None:
        """The child to descend to, or None to expand `node`, which is open."""
        told, under_way = self._told_below, self._under_way_below
        own = node != ROOT
        bonus = (
            self._exploration
            / self._branching
            * math.sqrt(told[node] - own + under_way[node])  # sum over the edges
        )
        best, best_score = None, -math.inf
        if self._is_free(node):
            best_score = self._value(node) + bonus
        for child in self._children[node]:
            if self._is_open(child):
                score = self._value(child) + bonus / (1 + told[child] + under_way[child])
                if score > best_score:
                    best, best_score = child, score
        return best

    def _value(self, node: int) -> float:
        told = self._told_below[node]
        return self._total[node] / told if told else 0.5

    def _is_free(self, node: int) -> bool:
        return len(self._children[node]) + self._busy[node] < self._branching

    def _is_open(self, node: int) -> bool:
        return self._open[node] > 0 or self._is_free(node)

    def _add_slot(self, parent: int) -> None:
        self._parent.append(parent)
        self._children.append([])
        self._busy.append(0)
        self._open.append(0)
        self._told_below.append(0)
        self._under_way_below.append(0)
        self._total.append(0.0)

    def _asked(self, expansion: Expansion) -> None:
        self._add_slot(expansion.parent_id or ROOT)
        self._pend(expansion, 1)

    def _told(self, expansion: Expansion, reward: float) -> None:
        self._pend(expansion, -1, told=True)
        self._bandit.observe(expansion.parent_id or ROOT, expansion.agent, reward)
        for node in self._path(expansion.node_id):
            self._told_below[node] += 1
            self._total[node] += reward

    def _failed(self, expansion: Expansion) -> None:
        self._pend(expansion, -1)

    def _pend(self, expansion: Expansion, by: int, told: bool = False) -> None:
        """An expansion has begun (+1) or ended (-1), with a node or not."""
        node = expansion.parent_id or ROOT
        self._bandit.pend(node, expansion.agent, by)
        for above in self._path(node):
            self._under_way_below[above] += by
        was_open = self._is_open(node)
        self._busy[node] += by
        if told:
            self._children[node].append(expansion.node_id)
            self._open[node] += 1  # a new node has free places
        while node != ROOT and (is_open := self._is_open(node)) != was_open:
            node = self._parent[node]
            was_open = self._is_open(node)
            self._open[node] += 1 if is_open else -1

    def _path(self, node: int) -> list[int]:
        """From the node up to the root, both included."""
        path = [node]
        while node != ROOT:
            node = self._parent[node]
            path.append(node)
        return path

    def _check_restored(self, expansion: Expansion) -> None:
        parent = expansion.parent_id or ROOT
        if not self._is_free(parent):
            raise SearchError(f"recorded node {expansion.node_id}: no free place under {parent}")

    def beliefs(self, node: int) -> dict[str, tuple[float, ...]]:
        """ "edge" of the node itself, and the agents'."""
        told = self._told_below[node]
        edge = (self._value(node), float(told), float(self._under_way_below[node]))
        return {"edge": edge, **self._bandit.beliefs(self.agents, node)}

    def statistics(self) -> dict[str, Any]:
        """Adds, by node id, the shape, counts and sums of subtrees; and the agents' arms."""
        return {
            **super().statistics(),
            "parent": list(self._parent),
            "children": [list(children) for children in self._children],
            "busy": list(self._busy),
            "open": list(self._open),
            "told_below": list(self._told_below),
            "under_way_below": list(self._under_way_below),
            "total": list(self._total),
            "agent_arms": self._bandit.statistics(),
        }
