"""Solve one problem with a team: search, pick, and say whether the private tests agree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mars2.agents.base import Agent
from mars2.config import RunConfig
from mars2.inference import show
from mars2.inference.guide import make_guide
from mars2.inference.judging import judged
from mars2.inference.rollout import Rollout
from mars2.inference.select import select
from mars2.rewards.base import RewardModel
from mars2.search.budget import make_budget
from mars2.search.journal import Journal
from mars2.search.runner import OnNode, TreeResult
from mars2.types import Node, Problem, Verdict
from mars2.verifier import AnyVerifier


@dataclass(frozen=True, slots=True)
class Solution:
    """The answer of a search. `final` is the verdict on all tests (None without an answer).

    `interrupted`: the search was cancelled, and this is the best so far by public tests alone;
    `final` is None then.
    """

    node: Node | None
    tree: TreeResult
    final: Verdict | None
    interrupted: bool = False

    @property
    def solved(self) -> bool:
        """True if the answer passes every test there is."""
        return self.final is not None and self.final.ok

    @property
    def code(self) -> str | None:
        """The program, if any was written."""
        return self.node.code if self.node else None

    def __str__(self) -> str:
        spent = self.tree.spent
        if self.node is None:
            state = "interrupted before any program" if self.interrupted else "no program"
            state += " was written"
        elif self.interrupted:
            verdict = self.node.verdict
            state = f"interrupted, {verdict.passed}/{verdict.total} public tests passed"
        else:
            state = "solved" if self.solved else f"not solved: {self.final and self.final.status}"
        who = f" by {self.node.agent} in node {self.node.node_id}" if self.node else ""
        return (
            f"{self.tree.tree_id}: {state}{who} "
            f"({spent.nodes} nodes, {spent.tokens} tokens, {spent.seconds:.1f} s)"
        )

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        return show.html(str(self), self.tree.nodes, self.code)


OnResult = Callable[[Solution], None]


async def solve(
    problem: Problem,
    agents: Mapping[str, Agent],
    verifier: AnyVerifier,
    config: RunConfig,
    *,
    tree_id: str | None = None,
    journal: Journal | None = None,
    on_node: OnNode | None = None,
    on_result: OnResult | None = None,
    reward_model: RewardModel | None = None,
) -> Solution:
    """Search with public tests as reward and judge the selected node on all tests.

    Args:
        config: `search`, `budget`, the prices of `agents`, `inference` and `seed`.
        on_result: called with what is returned, or, before CancelledError goes on, with the best
            so far. Choosing that runs no program.
        reward_model: one that is loaded already, instead of `inference.reward_model`.

    Raises:
        EndpointDownError: no request got through.
        ConfigError, UsageError: a reward model is needed, and there is none that works.
    """
    guide = make_guide(config.inference, reward_model)
    rollout = Rollout(
        agents,
        verifier,
        config.search,
        seed=config.seed,
        journal=journal,
        ordered=False,
        budget=make_budget(config),
        guide=guide,
    )
    forest = rollout.open([(tree_id or problem.id, problem)], on_node)
    try:
        (tree,) = await forest.run()
        node = await guide.choose(tree, problem, verifier, config.seed)
        full = problem.unpacked()
        final = await judged(verifier, full, node.code, id=tree.tree_id) if node else None
        solution = Solution(node=node, tree=tree, final=final)
    except asyncio.CancelledError:
        if on_result is not None:
            (tree,) = forest.results()
            on_result(Solution(select(tree.nodes), tree, final=None, interrupted=True))
        raise
    if on_result is not None:
        on_result(solution)
    return solution
