"""Who writes the next node: a bandit over the agents, shared by the tree searches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from numpy.random import Generator

from mars2.search.arms import ARMS, Arm, ArmKind
from mars2.search.base import ROOT

AgentChoice = Literal["thompson", "node", "ucb1"]


class AgentBandit:
    """Arms of agents, for the whole tree or for each expanded node.

    Arms begin with the first observation, so an agent that joins late has a fresh one and the
    arm of one that left stays as it was.

    Args:
        arm: posterior of every arm.
        choice: "thompson": one arm an agent for the whole tree; "node": one an agent and expanded
            node, fed by that node's children; "ucb1": UCB1 over the tree's arms.
    """

    def __init__(self, arm: ArmKind, choice: AgentChoice) -> None:
        self._new_arm = ARMS[arm]
        self._choice = choice
        self._arms: dict[int, dict[str, Arm]] = {}  # by node; ROOT's alone unless per node

    def choose(self, agents: Sequence[str], node: int, rng: Generator) -> str:
        """The agent for an expansion of `node`; one of `agents`."""
        if len(agents) == 1:
            return agents[0]
        known = self._arms.get(self._place(node), {})
        arms = [known.get(agent) for agent in agents]
        if self._choice == "ucb1":
            scores = ucb1_scores(arms)
            top = max(scores)
            tied = [agent for agent, score in zip(agents, scores, strict=True) if score == top]
            return tied[0] if len(tied) == 1 else tied[int(rng.integers(len(tied)))]
        draws = [(arm or self._new_arm()).draw(rng) for arm in arms]
        return agents[draws.index(max(draws))]

    def pend(self, node: int, agent: str, by: int) -> None:
        """An expansion of `node` by `agent` has begun (+1) or ended (-1).

        Only UCB1 counts it. It draws nothing: without counting work under way it would name one
        agent for a whole wave. Only the counts of its bonus see this, never a mean.
        """
        if self._choice == "ucb1":
            self._arm(node, agent).pending += by

    def observe(self, node: int, agent: str, reward: float) -> None:
        """`agent` wrote a child of `node` that got `reward`."""
        self._arm(node, agent).observe(reward)

    def beliefs(self, agents: Sequence[str], node: int) -> dict[str, tuple[float, ...]]:
        """What the choice at a node goes by, by "@AGENT": an arm's parameters, or UCB1's (score,
        mean, pulls with those under way). Empty with a single agent, where nothing is chosen.
        """
        if len(agents) == 1:
            return {}
        known = self._arms.get(self._place(node), {})
        arms = [known.get(agent) or self._new_arm() for agent in agents]
        if self._choice != "ucb1":
            return {f"@{a}": arm.parameters() for a, arm in zip(agents, arms, strict=True)}
        scores = ucb1_scores(arms)
        return {
            f"@{agent}": (score, arm.mean, arm.count + arm.pending)
            for agent, arm, score in zip(agents, arms, scores, strict=True)
        }

    def statistics(self) -> dict[int, dict[str, tuple[float, ...]]]:
        """Statistics of every arm, by node and agent."""
        return {
            node: {agent: arm.statistics() for agent, arm in sorted(arms.items())}
            for node, arms in sorted(self._arms.items())
        }

    def _place(self, node: int) -> int:
        return node if self._choice == "node" else ROOT

    def _arm(self, node: int, agent: str) -> Arm:
        arms: dict[str, Any] = self._arms.setdefault(self._place(node), {})
        if agent not in arms:
            arms[agent] = self._new_arm()
        return arms[agent]


def ucb1_scores(arms: Sequence[Arm | None]) -> list[float]:
    """UCB1 (Auer et al. 2002): mean + sqrt(2 ln N / n), infinite for an arm never pulled.

    Pulls under way count in n and N but not in the mean (WU-UCT, arXiv 1810.11755). An arm whose
    pulls are all under way has the mean 1/2.
    """
    pulls = [arm.count + arm.pending if arm else 0 for arm in arms]
    total = sum(pulls)
    return [
        arm.mean + math.sqrt(2 * math.log(total) / n) if arm and n else math.inf
        for arm, n in zip(arms, pulls, strict=True)
    ]
