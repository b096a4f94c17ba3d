"""The one interface of all search strategies, and the book-keeping they share.

A strategy decides where the next expansion goes and who writes it; it knows rewards and ids,
never text. `ask` hands out an expansion, `tell`, `fail` or `cancel` ends it; many may be under
way, and agents may join and leave. Everything is checked before anything changes.

Random numbers of the k-th ask come from a generator seeded by (seed, k). So a strategy's
future depends only on its seed, its statistics and how many expansions it has asked for, and a
recorded search is restored by `restore` + `tell` + `fail` + `cancel` (and `join` and `leave`)
without repeating a single draw.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

from mars2.errors import SearchError
from mars2.types import Expansion

ROOT = 0  # the root's id inside strategies; nodes count from 1


class Choice(NamedTuple):
    """What to expand next: node id (or ROOT), agent, further nodes whose programs it is shown."""

    parent: int
    agent: str
    references: tuple[int, ...] = ()


class Strategy(ABC):
    """ask / tell / fail / cancel over one tree.

    `agents` are those that may be asked now, `departed` those that left, both in order.

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
        self.departed: tuple[str, ...] = ()
        self.asked = 0
        self._under_way: dict[int, Expansion] = {}
        self._depth: dict[int, int] = {ROOT: 0}  # of the root and of every told node

    @property
    def in_flight(self) -> int:
        """Expansions asked for and not yet told, failed or cancelled."""
        return len(self._under_way)

    def ask(self) -> Expansion | None:
        """The next expansion, or None if nothing can be asked before one under way ends."""
        choice = self._choose()
        if choice is None:
            return None
        parent, agent, references = choice
        expansion = Expansion(
            node_id=self.asked + 1,
            parent_id=None if parent == ROOT else parent,
            depth=self._depth[parent] + 1,
            agent=agent,
            action="generate" if parent == ROOT else "refine",
            references=references,
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
        if expansion.action != ("generate" if parent == ROOT else "refine"):
            raise SearchError(f"recorded action {expansion.action!r} of node {expansion.node_id}")
        for reference in expansion.references:
            if reference == ROOT or reference not in self._depth:
                raise SearchError(
                    f"recorded reference {reference} of node {expansion.node_id} is unknown"
                )
        self._check_restored(expansion)
        self._begin(expansion)

    def check(self, node_id: int, reward: float | None = None) -> None:
        """Would `tell` (or `fail` and `cancel`, if `reward` is None) accept this? Changes nothing.

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

    def cancel(self, node_id: int) -> None:
        """The expansion was given up from outside; to the statistics the same as `fail`.

        Raises:
            SearchError: as `check`; nothing has changed then.
        """
        self.fail(node_id)

    def join(self, agent: str) -> None:
        """A further agent may be asked from now on; nothing is known of it yet.

        Raises:
            SearchError: no name, or that of an agent that is here or has left; nothing has
                changed then.
        """
        if not isinstance(agent, str) or not agent:
            raise SearchError(f"an agent needs a name, got {agent!r}")
        if agent in self.agents:
            raise SearchError(f"agent {agent!r} is already in this search")
        if agent in self.departed:
            raise SearchError(f"agent {agent!r} has left this search: join under another name")
        self.agents = (*self.agents, agent)

    def leave(self, agent: str) -> None:
        """The agent is not asked again. What it has under way may still be told.

        Raises:
            SearchError: not in this search, or the last one; nothing has changed then.
        """
        if agent not in self.agents:
            raise SearchError(f"agent {agent!r} is not in this search")
        if len(self.agents) == 1:
            raise SearchError(f"agent {agent!r} is the last one of this search")
        self.agents = tuple(other for other in self.agents if other != agent)
        self.departed = (*self.departed, agent)
        self._left(agent)

    def statistics(self) -> dict[str, Any]:
        """All that future decisions depend on, for comparison and inspection."""
        return {
            "strategy": self.name,
            "seed": self.seed,
            "agents": self.agents,
            "departed": self.departed,
            "asked": self.asked,
            "under_way": sorted(self._under_way),
            "depths": dict(sorted(self._depth.items())),
        }

    def beliefs(self, node: int) -> dict[str, tuple[float, ...]]:
        """What the next decision at a node (or ROOT) would be made by, for people to look at.

        By name: "gen", "cont" and "arm" hold `Arm.parameters`, "weight" the discount of GEN,
        "edge" the (mean reward, nodes, expansions under way) of a subtree, "@AGENT" what the
        choice of agents there goes by. Empty for strategies that do not learn.
        """
        return {}

    def _begin(self, expansion: Expansion) -> None:
        self.asked += 1
        self._under_way[expansion.node_id] = expansion
        self._asked(expansion)

    @abstractmethod
    def _choose(self) -> Choice | None:
        """What to expand next, or None. Must not change any statistic."""

    def _check_restored(self, expansion: Expansion) -> None:
        """Raise SearchError for a recorded ask that this strategy cannot take over."""
        return None

    def _asked(self, expansion: Expansion) -> None:
        """An expansion has begun (from `ask` or `restore`)."""
        return None

    @abstractmethod
    def _told(self, expansion: Expansion, reward: float) -> None:
        """An expansion has ended with a valid reward."""

    def _failed(self, expansion: Expansion) -> None:
        """An expansion has ended without a node."""
        return None

    def _left(self, agent: str) -> None:
        """An agent has left."""
        return None
