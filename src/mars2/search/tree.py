"""Adaptive-branching tree search over several agents (AB-MCTS-A, arXiv 2503.04412; multi-agent
form of arXiv 2602.07848).

At every node the search asks whether to widen (GEN) or to go deeper (CONT) by Thompson
sampling. The tree is flat: lists indexed by node id, one arm per decision, no node objects, no
text, no recursion, so its depth is bounded by memory alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any, Literal

from mars2.search.arms import ARMS, Arm, ArmKind
from mars2.search.base import ROOT, Strategy
from mars2.types import Expansion

AgentChoice = Literal["thompson", "node", "ucb1"]


class AbMcts(Strategy):
    """AB-MCTS with a bandit over agents and several expansions under way.

    Select: from the root, draw once from GEN and once from CONT; if GEN wins, or the node has no
    children, expand here; else descend to the child with the best draw of its arm.

    Update by reward r of node v under p, written by agent a: GEN(p), AGENT(a) and the arm of v;
    then, going up from n = p to the root, the arm of n and CONT(parent of n).

    Between ask and tell, GEN of the node being expanded carries one pending observation.

    Args:
        arm: posterior of every arm, "beta" or "gaussian".
        agent_choice: "thompson": one arm an agent for the whole tree; "node": one an agent and
            expanded node, fed by that node's children; "ucb1": UCB1 over the tree's agent arms.
    """

    name = "ab-mcts"

    def __init__(
        self,
        agents: Sequence[str],
        seed: int,
        *,
        arm: ArmKind = "beta",
        agent_choice: AgentChoice = "thompson",
    ) -> None:
        super().__init__(agents, seed)
        self._new_arm = ARMS[arm]
        self._agent_choice = agent_choice
        # By node id; the root is 0. Slots of failed nodes stay, unreachable and unused.
        self._parent: list[int] = []
        self._children: list[list[int]] = []  # told ones only, in order of completion
        self._gen: list[Arm] = []
        self._cont: list[Arm] = []
        self._arm: list[Arm] = []
        # Agent arms by the node expanded; only ROOT's are used unless the choice is per node.
        self._agent_arms: dict[int, dict[str, Arm]] = {}
        self._add_slot(ROOT)

    def _choose(self, rng: Random) -> tuple[int, str]:
        node = ROOT
        while children := self._children[node]:
            # GEN is drawn first.
            if self._gen[node].draw(rng) >= self._cont[node].draw(rng):
                break
            node = self._best_child(children, rng)
        return node, self._choose_agent(node, rng)

    def _best_child(self, children: list[int], rng: Random) -> int:
        arms = self._arm
        best, best_draw = children[0], -math.inf
        for child in children:
            draw = arms[child].draw(rng)
            if draw > best_draw:
                best, best_draw = child, draw
        return best

    def _choose_agent(self, node: int, rng: Random) -> str:
        if len(self.agents) == 1:
            return self.agents[0]
        arms = self._arms_of_agents(node)
        if self._agent_choice == "ucb1":
            scores = ucb1_scores(arms)
            top = max(scores)
            tied = [agent for agent, score in zip(self.agents, scores, strict=True) if score == top]
            return tied[0] if len(tied) == 1 else rng.choice(tied)
        draws = [(arm or self._new_arm()).draw(rng) for arm in arms]
        return self.agents[draws.index(max(draws))]

    def _arms_of_agents(self, node: int) -> list[Arm | None]:
        arms = self._agent_arms.get(self._bandit_of(node), {})
        return [arms.get(agent) for agent in self.agents]

    def _agent_arm(self, node: int, agent: str) -> Arm:
        arms = self._agent_arms.setdefault(self._bandit_of(node), {})
        if agent not in arms:
            arms[agent] = self._new_arm()
        return arms[agent]

    def _bandit_of(self, node: int) -> int:
        return node if self._agent_choice == "node" else ROOT

    def _add_slot(self, parent: int) -> None:
        self._parent.append(parent)
        self._children.append([])
        self._gen.append(self._new_arm())
        self._cont.append(self._new_arm())
        self._arm.append(self._new_arm())

    def _asked(self, expansion: Expansion) -> None:
        parent = expansion.parent_id or ROOT
        self._add_slot(parent)
        self._gen[parent].pending += 1
        if self._agent_choice == "ucb1":
            # UCB1 draws nothing: without counting work under way it would name one agent for
            # a whole wave. Only the counts of its bonus see these, never a mean.
            self._agent_arm(parent, expansion.agent).pending += 1

    def _told(self, expansion: Expansion, reward: float) -> None:
        self._settle(expansion)
        parent = expansion.parent_id or ROOT
        self._children[parent].append(expansion.node_id)
        self._gen[parent].observe(reward)
        self._agent_arm(parent, expansion.agent).observe(reward)
        self._arm[expansion.node_id].observe(reward)
        node = parent
        while node != ROOT:
            above = self._parent[node]
            self._arm[node].observe(reward)
            self._cont[above].observe(reward)
            node = above

    def _failed(self, expansion: Expansion) -> None:
        self._settle(expansion)

    def _settle(self, expansion: Expansion) -> None:
        parent = expansion.parent_id or ROOT
        self._gen[parent].pending -= 1
        if self._agent_choice == "ucb1":
            self._agent_arm(parent, expansion.agent).pending -= 1

    def statistics(self) -> dict[str, Any]:
        """Adds, by node id, parents, children and the statistics of every arm."""
        return {
            **super().statistics(),
            "parent": list(self._parent),
            "children": [list(children) for children in self._children],
            "gen": [arm.statistics() for arm in self._gen],
            "cont": [arm.statistics() for arm in self._cont],
            "arm": [arm.statistics() for arm in self._arm],
            "agent_arms": {
                node: {agent: arm.statistics() for agent, arm in sorted(arms.items())}
                for node, arms in sorted(self._agent_arms.items())
            },
        }


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
