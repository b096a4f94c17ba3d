"""Agents that work in rounds, each seeing what the others wrote: debate and mixture of agents.

Rounds are barriers: nothing of the next one is asked before the last expansion of this one has
ended. A program is a node, so these spend the same budget as a tree search. In a round every
agent writes once; who joins takes part from the next round on. An expansion that failed is
missing from what the next round is shown; the agent itself goes on. After a round in which all
failed, the programs before it are shown again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from mars2.errors import SearchError
from mars2.search.base import ROOT, Choice, Strategy
from mars2.types import Expansion


class Written(NamedTuple):
    """A node of a round."""

    node: int
    agent: str
    reward: float


class Rounds(Strategy):
    """What debate and mixture share: the barrier, and what the round before has written."""

    def __init__(self, agents: Sequence[str], seed: int) -> None:
        super().__init__(agents, seed)
        self._due: list[Choice] = []  # of this round, not yet asked for
        self._written: list[Written] = []  # in this round
        self._shown: list[Written] = []  # the latest programs before this round

    @abstractmethod
    def _plan(self, shown: Sequence[Written]) -> list[Choice]:
        """The next round, one choice an agent; `shown` is in order of node id, maybe empty."""

    def _choose(self) -> Choice | None:
        if self._due:
            return self._due[0]
        return None if self.in_flight else self._next_round()[0]

    def _next_round(self) -> list[Choice]:
        return self._plan(self._before_next_round())

    def _before_next_round(self) -> list[Written]:
        return sorted(self._written) or self._shown

    def _check_restored(self, expansion: Expansion) -> None:
        recorded = Choice(expansion.parent_id or ROOT, expansion.agent, expansion.references)
        expected = self._choose()
        if recorded != expected:
            raise SearchError(
                f"recorded node {expansion.node_id} is {recorded}, not {expected} as in this round"
            )

    def _asked(self, expansion: Expansion) -> None:
        if not self._due:
            self._due = self._next_round()
            self._shown = self._before_next_round()
            self._written = []
        self._due.pop(0)

    def _told(self, expansion: Expansion, reward: float) -> None:
        self._written.append(Written(expansion.node_id, expansion.agent, reward))

    def _left(self, agent: str) -> None:
        self._due = [choice for choice in self._due if choice.agent != agent]

    def statistics(self) -> dict[str, Any]:
        """Adds what is due, written and shown in this round."""
        return {
            **super().statistics(),
            "due": list(self._due),
            "written": sorted(self._written),
            "shown": list(self._shown),
        }


class Debate(Rounds):
    """Multi-agent debate (Du et al., arXiv 2305.14325).

    First every agent makes a first attempt; then, round by round, every agent refines its own
    latest program and is shown those that the others wrote in the round before. An agent without
    a program makes a first attempt, shown nothing.
    """

    name = "debate"

    def __init__(self, agents: Sequence[str], seed: int) -> None:
        super().__init__(agents, seed)
        self._latest: dict[str, int] = {}

    def _plan(self, shown: Sequence[Written]) -> list[Choice]:
        return [
            Choice(
                self._latest[agent],
                agent,
                tuple(written.node for written in shown if written.agent != agent),
            )
            if agent in self._latest
            else Choice(ROOT, agent)
            for agent in self.agents
        ]

    def _told(self, expansion: Expansion, reward: float) -> None:
        super()._told(expansion, reward)
        self._latest[expansion.agent] = expansion.node_id

    def statistics(self) -> dict[str, Any]:
        """Adds each agent's latest program."""
        return {**super().statistics(), "latest": dict(sorted(self._latest.items()))}


class Mixture(Rounds):
    """Mixture of agents (Wang et al., arXiv 2406.04692).

    Layers of one program an agent. The first layer are first attempts. In every further one, all
    refine the best program of the layer before (the oldest of equals) and are shown its others.
    """

    name = "mixture"

    def _plan(self, shown: Sequence[Written]) -> list[Choice]:
        if not shown:
            return [Choice(ROOT, agent) for agent in self.agents]
        best = max(shown, key=lambda written: written.reward).node  # the first of equals
        others = tuple(written.node for written in shown if written.node != best)
        return [Choice(best, agent, others) for agent in self.agents]
