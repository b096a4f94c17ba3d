"""The baselines that tree search is compared with, and the factory of all strategies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mars2.config import SearchConfig
from mars2.errors import SearchError
from mars2.search.base import ROOT, Choice, Strategy
from mars2.search.depth import DepthGuide
from mars2.search.rounds import Debate, Mixture
from mars2.types import Expansion


class Repeated(Strategy):
    """Repeated sampling: every node is a first attempt, agents take turns."""

    name = "repeated"

    def _choose(self) -> Choice:
        return Choice(ROOT, self.agents[self.asked % len(self.agents)])

    def _told(self, expansion: Expansion, reward: float) -> None:
        pass  # first attempts do not learn from each other


class BestOfN(Repeated):
    """Best of n: independent first attempts, of which a selector takes one (not this part)."""

    name = "best-of-n"


class Sequential(Strategy):
    """Sequential refinement: one first attempt, then each node refines the latest one.

    Agents take turns. One expansion at a time: `ask` returns None while one is under way.
    A failed one is followed by another attempt on the same node.
    """

    name = "sequential"

    def __init__(self, agents: Sequence[str], seed: int) -> None:
        super().__init__(agents, seed)
        self._latest = ROOT

    def _choose(self) -> Choice | None:
        if self.in_flight:
            return None
        return Choice(self._latest, self.agents[self.asked % len(self.agents)])

    def _told(self, expansion: Expansion, reward: float) -> None:
        self._latest = expansion.node_id

    def statistics(self) -> dict[str, Any]:
        """Adds the node that is refined next."""
        return {**super().statistics(), "latest": self._latest}


def make_strategy(config: SearchConfig, agents: Sequence[str], seed: int) -> Strategy:
    """The strategy that the settings name, for one tree.

    Raises:
        SearchError: no agents, a name given twice, or an unknown strategy.
    """
    match config.strategy:
        case "ab-mcts":
            # Here and not above: these need NumPy, whose import takes longer than all of ours,
            # and most commands never search.
            from mars2.search.tree import AbMcts

            guide = DepthGuide(config.depth_gamma, config.depth_rho)
            return AbMcts(
                agents,
                seed,
                arm=config.arm,
                agent_choice=config.agent_choice,
                guide=guide if config.depth_guided else None,
            )
        case "mcts":
            from mars2.search.mcts import Mcts

            return Mcts(
                agents,
                seed,
                branching=config.branching,
                exploration=config.exploration,
                arm=config.arm,
                agent_choice=config.agent_choice,
            )
        case "repeated":
            return Repeated(agents, seed)
        case "best-of-n":
            return BestOfN(agents, seed)
        case "sequential":
            return Sequential(agents, seed)
        case "debate":
            return Debate(agents, seed)
        case "mixture":
            return Mixture(agents, seed)
    raise SearchError(f"unknown search strategy {config.strategy!r}")
