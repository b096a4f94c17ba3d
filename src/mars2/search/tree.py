"""Adaptive-branching tree search over several agents (AB-MCTS-A, arXiv 2503.04412; multi-agent
form of arXiv 2602.07848).

At every node the search asks whether to widen (GEN) or to go deeper (CONT) by Thompson
sampling. The tree is flat: lists indexed by node id, one arm per decision, no node objects, no
text, no recursion, so its depth is bounded by memory alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mars2.search.arms import ARMS, Arm, ArmKind, Siblings
from mars2.search.bandit import AgentBandit, AgentChoice
from mars2.search.base import ROOT, Choice, Strategy
from mars2.search.depth import DepthGuide, discount
from mars2.search.draws import Draws
from mars2.types import Expansion


class AbMcts(Strategy):
    """AB-MCTS with a bandit over agents and several expansions under way.

    Select: from the root, draw once from GEN and once from CONT; if GEN wins, or the node has no
    children, expand here; else descend to the child with the best draw of its arm.

    Update by reward r of node v under p, written by agent a: GEN(p), AGENT(a) and the arm of v;
    then, going up from n = p to the root, the arm of n and CONT(parent of n).

    Between ask and tell, GEN of the node being expanded carries one pending observation.

    Args:
        arm: posterior of every arm, "beta" or "gaussian".
        agent_choice: see `AgentBandit`.
        guide: discounts GEN by depth; None: not.
    """

    name = "ab-mcts"

    def __init__(
        self,
        agents: Sequence[str],
        seed: int,
        *,
        arm: ArmKind = "beta",
        agent_choice: AgentChoice = "thompson",
        guide: DepthGuide | None = None,
    ) -> None:
        super().__init__(agents, seed)
        self._draws = Draws(seed)
        self._new_arm = ARMS[arm]
        self._bandit = AgentBandit(arm, agent_choice)
        self._guide = guide
        self._at_depth = [0]  # nodes told, by depth
        # By node id; the root is 0. Slots of failed nodes stay, unreachable and unused.
        self._parent: list[int] = []
        self._index: list[int] = []  # which of its parent's children a told node is
        self._children: list[list[int]] = []  # told ones only, in order of completion
        self._siblings: list[Siblings | None] = []  # of its children; None: has none
        self._gen: list[Arm] = []
        self._cont: list[Arm] = []
        self._arm: list[Arm] = []
        self._add_slot(ROOT)
        self._sample = self._arm[ROOT].sample

    def _choose(self) -> Choice:
        rng = self._draws.of_ask(self.asked + 1)
        node, depth = ROOT, 0
        while (siblings := self._siblings[node]) is not None:
            # GEN is drawn first.
            gen = self._gen[node].draw(rng)
            if self._guide is not None:
                gen = discount(gen, self._guide.weight(depth, self._generated(depth + 1)))
            if gen >= self._cont[node].draw(rng):
                break
            node = self._children[node][siblings.best(self._sample, rng)]
            depth += 1
        return Choice(node, self._bandit.choose(self.agents, node, rng))

    def _generated(self, depth: int) -> int:
        return self._at_depth[depth] if depth < len(self._at_depth) else 0

    def _add_slot(self, parent: int) -> None:
        self._parent.append(parent)
        self._index.append(-1)
        self._children.append([])
        self._siblings.append(None)
        self._gen.append(self._new_arm())
        self._cont.append(self._new_arm())
        self._arm.append(self._new_arm())

    def _asked(self, expansion: Expansion) -> None:
        self._add_slot(expansion.parent_id or ROOT)
        self._pend(expansion, 1)

    def _pend(self, expansion: Expansion, by: int) -> None:
        """An expansion has begun (+1) or ended (-1)."""
        parent = expansion.parent_id or ROOT
        self._gen[parent].pending += by
        self._bandit.pend(parent, expansion.agent, by)

    def _told(self, expansion: Expansion, reward: float) -> None:
        self._pend(expansion, -1)
        node, parent = expansion.node_id, expansion.parent_id or ROOT
        if expansion.depth == len(self._at_depth):
            self._at_depth.append(0)
        self._at_depth[expansion.depth] += 1
        self._gen[parent].observe(reward)
        self._bandit.observe(parent, expansion.agent, reward)
        self._arm[node].observe(reward)
        self._adopt(parent, node)
        node = parent
        while node != ROOT:
            above = self._parent[node]
            arm = self._arm[node]
            arm.observe(reward)
            self._siblings[above].put(self._index[node], arm)  # type: ignore[union-attr]
            self._cont[above].observe(reward)
            node = above

    def _adopt(self, parent: int, node: int) -> None:
        self._index[node] = len(self._children[parent])
        self._children[parent].append(node)
        siblings = self._siblings[parent]
        if siblings is None:
            siblings = self._siblings[parent] = Siblings()
        siblings.append(self._arm[node])

    def _failed(self, expansion: Expansion) -> None:
        self._pend(expansion, -1)

    def beliefs(self, node: int) -> dict[str, tuple[float, ...]]:
        """ "gen", "cont", "arm" (of the node itself), "weight" if guided, and the agents'."""
        found = {
            "gen": self._gen[node].parameters(),
            "cont": self._cont[node].parameters(),
            "arm": self._arm[node].parameters(),
            **self._bandit.beliefs(self.agents, node),
        }
        if self._guide is not None and node in self._depth:
            depth = self._depth[node]
            found["weight"] = (self._guide.weight(depth, self._generated(depth + 1)),)
        return found

    def statistics(self) -> dict[str, Any]:
        """Adds, by node id, parents, children and the statistics of every arm."""
        return {
            **super().statistics(),
            "parent": list(self._parent),
            "children": [list(children) for children in self._children],
            "gen": [arm.statistics() for arm in self._gen],
            "cont": [arm.statistics() for arm in self._cont],
            "arm": [arm.statistics() for arm in self._arm],
            "agent_arms": self._bandit.statistics(),
        }
