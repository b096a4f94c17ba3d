"""The one interface of all search strategies, and the book-keeping they share.

A strategy decides where the next expansion goes and who writes it; it knows rewards and ids,
never text. `ask` hands out an expansion, `tell` or `fail` ends it; many may be under way.
Everything told is checked before anything changes.

Random numbers of the k-th ask come from a generator seeded by (seed, k). So a strategy's
future depends only on its seed, its statistics and how many expansions it has asked for, and a
recorded search is restored by `restore` + `tell` + `fail` without repeating a single draw.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Real
from random import Random
from typing import Any

from mars2.errors import SearchError
from mars2.search.seeds import derive
from mars2.types import Expansion

ROOT = 0  # the root's id inside strategies; nodes count from 1


class Strategy(ABC):
    """ask / tell / fail over one tree.

    Args:
        agents: names of the agents that can write a node; unique, at least one.
        seed: of this tree.

    Raises:
        SearchError: no agents, or a name given twice.
    """

    name: str

    def __init__(self, agents: Sequence[str], seed: int) -> None:
        self.agents = tuple(agents)
        if not self.agents:
            raise SearchError("a search needs at least one agent")
        if len(set(self.agents)) != len(self.agents):
            raise SearchError(f"agent names must be unique, got {', '.join(self.agents)}")
        self.seed = seed
        self.asked = 0
        self._under_way: dict[int, Expansion] = {}
        self._depth: dict[int, int] = {ROOT: 0}  # of the root and of every told node
        self._rng = Random()

    @property
    def in_flight(self) -> int:
        """Expansions asked for and neither told nor failed."""
        return len(self._under_way)

    def ask(self) -> Expansion | None:
        """The next expansion, or None if nothing can be asked before a tell or fail."""
        self._rng.seed(derive(self.seed, "ask", self.asked + 1))
        choice = self._choose(self._rng)
        if choice is None:
            return None
        parent, agent = choice
        expansion = Expansion(
            node_id=self.asked + 1,
            parent_id=None if parent == ROOT else parent,
            depth=self._depth[parent] + 1,
            agent=agent,
            action="generate" if parent == ROOT else "refine",
        )
        self._begin(expansion)
        return expansion

    def restore(self, expansion: Expansion) -> None:
        """Take over a recorded ask, as if `ask` had just returned it.

        Raises:
            SearchError: it is not the next one of a search with these agents.
        """
        parent = ROOT if expansion.parent_id is None else expansion.parent_id
        if expansion.node_id != self.asked + 1:
            raise SearchError(
                f"recorded node {expansion.node_id} is out of turn: the next is {self.asked + 1}"
            )
        if expansion.agent not in self.agents:
            raise SearchError(f"recorded agent {expansion.agent!r} is not in this search")
        if parent not in self._depth:
            raise SearchError(f"recorded parent {parent} of node {expansion.node_id} is unknown")
        if expansion.depth != self._depth[parent] + 1:
            raise SearchError(f"recorded depth {expansion.depth} of node {expansion.node_id}")
        self._begin(expansion)

    def check(self, node_id: int, reward: float | None = None) -> None:
        """Would `tell` (or `fail`, if `reward` is None) accept this? Changes nothing.

        Raises:
            SearchError: unknown or already ended node, reward outside [0, 1], NaN or no number.
        """
        if node_id not in self._under_way:
            known = isinstance(node_id, int) and 1 <= node_id <= self.asked
            what = "has already ended" if known else "was never asked for"
            raise SearchError(f"node {node_id!r} {what}")
        if reward is None:
            return
        if not isinstance(reward, Real):
            raise SearchError(f"reward of node {node_id} is not a number: {reward!r}")
        if math.isnan(reward) or not 0.0 <= reward <= 1.0:
            raise SearchError(f"reward of node {node_id} must lie in [0, 1], got {reward!r}")

    def tell(self, node_id: int, reward: float) -> None:
        """The expansion gave a node with this reward.

        Raises:
            SearchError: as `check`; nothing has changed then.
        """
        if reward is None:
            raise SearchError(f"node {node_id!r} was told without a reward")
        self.check(node_id, reward)
        expansion = self._under_way.pop(node_id)
        self._depth[node_id] = expansion.depth
        self._told(expansion, float(reward))

    def fail(self, node_id: int) -> None:
        """The expansion gave no node: no statistics change but pending ones.

        Raises:
            SearchError: as `check`; nothing has changed then.
        """
        self.check(node_id)
        self._failed(self._under_way.pop(node_id))

    def statistics(self) -> dict[str, Any]:
        """All that future decisions depend on, for comparison and inspection."""
        return {
            "strategy": self.name,
            "seed": self.seed,
            "agents": self.agents,
            "asked": self.asked,
            "under_way": sorted(self._under_way),
            "depths": dict(sorted(self._depth.items())),
        }

    def _begin(self, expansion: Expansion) -> None:
        self.asked += 1
        self._under_way[expansion.node_id] = expansion
        self._asked(expansion)

    @abstractmethod
    def _choose(self, rng: Random) -> tuple[int, str] | None:
        """(id to expand, agent), or None. Must not change any statistic."""

    def _asked(self, expansion: Expansion) -> None:
        """An expansion has begun (from `ask` or `restore`)."""
        return None

    @abstractmethod
    def _told(self, expansion: Expansion, reward: float) -> None:
        """An expansion has ended with a valid reward."""

    def _failed(self, expansion: Expansion) -> None:
        """An expansion has ended without a node."""
        return None
