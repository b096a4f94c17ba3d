"""From an expansion that the search asked for to a judged node: the one place where prompts,
agents, verifier and search meet. Training, evaluation and `solve` all expand through here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from mars2 import telemetry
from mars2.agents.base import Agent
from mars2.config import SearchConfig
from mars2.errors import EndpointDownError, GenerationError
from mars2.inference.guide import Guide
from mars2.inference.judging import judged
from mars2.prompts import build_prompt, extract_program
from mars2.search import make_strategy
from mars2.search.budget import Budget
from mars2.search.forest import Forest
from mars2.search.journal import Journal
from mars2.search.limiter import Limiter
from mars2.search.runner import Expand, OnNode, RunSettings, TreeJob, TreeResult
from mars2.search.seeds import derive
from mars2.types import Expansion, Node, Problem, Status, TestSet, Verdict
from mars2.verifier import AnyVerifier

RewardKind = Literal["binary", "fraction"]

_UNGUIDED = Guide()
UNKNOWN_REWARD = 0.5
"""Reward of a program for which there is no test to run: neither good nor bad."""


def reward_of(verdict: Verdict, kind: RewardKind = "binary") -> float:
    """Raw reward r in [0, 1]: all passed (`binary`) or the passed share (`fraction`).

    With nothing to run (no public tests at test time) a program scores `UNKNOWN_REWARD`.
    """
    if verdict.total == 0:
        return UNKNOWN_REWARD if verdict.ok else 0.0
    if kind == "fraction":
        return verdict.passed / verdict.total
    return 1.0 if verdict.ok else 0.0


class Rollout:
    """Grows trees: one strategy a tree, all trees under one limit of concurrent expansions.

    Args:
        reward_tests: "all" on training problems, "public" wherever private tests only judge.
        journal: every ask, tell and fail is appended; trees already in it are replayed.
        ordered: waves told in the order asked, so that a seed gives the same tree every time;
            False tells nodes as they complete, which keeps a slow endpoint busier.
        limiter: to share one limit between rollouts; by default `search.concurrency` here.
        budget: what all trees of this rollout may spend, see `mars2.search.make_budget`; by
            default `search.nodes` each.
        guide: what a reward model adds to rewards.

    Attributes:
        reached: True once any agent has answered. From then on an endpoint that is down ends one
            node, in whatever tree; before, it ends the search that finds nobody else.
    """

    def __init__(
        self,
        agents: Mapping[str, Agent],
        verifier: AnyVerifier,
        search: SearchConfig,
        *,
        seed: int,
        reward: RewardKind = "binary",
        reward_tests: TestSet = "public",
        journal: Journal | None = None,
        ordered: bool = True,
        limiter: Limiter | None = None,
        budget: Budget | None = None,
        guide: Guide = _UNGUIDED,
    ) -> None:
        self.agents = dict(agents)
        self.verifier = verifier
        self.search = search
        self.seed = seed
        self.reward: RewardKind = reward
        self.reward_tests: TestSet = reward_tests
        self.journal = journal
        self.ordered = ordered
        self._limiter = limiter or Limiter(search.concurrency)
        self._budget = budget
        self._guide = guide
        self.reached = False

    async def tree(
        self, tree_id: str, problem: Problem, on_node: OnNode | None = None
    ) -> TreeResult:
        """Search one problem; as `forest`."""
        return (await self.forest([(tree_id, problem)], on_node))[0]

    async def forest(
        self, jobs: Sequence[tuple[str, Problem]], on_node: OnNode | None = None
    ) -> list[TreeResult]:
        """Search many problems at once, each under its tree id; results in the order of `jobs`.

        `on_node` is called for each finished node, replayed ones included. Failed requests do
        not fail a tree.

        Raises:
            EndpointDownError: nothing got through to any endpoint.
        """
        return await self.open(jobs, on_node).run()

    def open(self, jobs: Sequence[tuple[str, Problem]], on_node: OnNode | None = None) -> Forest:
        """The search that `forest` runs; whoever holds it has its results so far at any time."""
        agents = list(self.agents)
        return Forest(
            [
                TreeJob(
                    tree_id,
                    make_strategy(self.search, agents, seed=derive(self.seed, tree_id)),
                    self.expand_for(problem, tree_id),
                    problem.id,
                )
                for tree_id, problem in jobs
            ],
            RunSettings(
                budget=self._budget or self.search.nodes,
                in_flight=self.search.in_flight,
                ordered=self.ordered,
                stop_on_success=self.search.stop_on_success,
                on_node=on_node,
            ),
            journal=self.journal,
            limiter=self._limiter,
        )

    def expand_for(self, problem: Problem, tree_id: str) -> Expand:
        """The coroutine that turns an expansion of this problem's tree into a judged node."""

        async def expand(
            expansion: Expansion, parent: Node | None, references: Sequence[Node]
        ) -> Node:
            agent = self.agents[expansion.agent]
            prompt = build_prompt(
                problem,
                style=agent.policy.prompt_style,
                system_prompt=agent.role.system_prompt,
                parent=parent,
                references=references,
                error_feedback=self.search.error_feedback,
            )
            seed = derive(self.seed, tree_id, expansion.node_id)
            try:
                with telemetry.span("generate", policy=agent.policy.name) as asking:
                    generation = await agent.generate(prompt, seed=seed)
                    asking.note(
                        version=generation.policy_version,
                        tokens=generation.usage.completion_tokens,
                        prompt_tokens=generation.usage.prompt_tokens,
                    )
            except EndpointDownError as error:
                if self.reached:
                    raise GenerationError(str(error)) from error
                raise
            self.reached = True
            code = extract_program(problem, generation.text)
            verdict = await self._judge(problem, code, f"{tree_id}#{expansion.node_id}")
            return Node(
                tree_id=tree_id,
                node_id=expansion.node_id,
                parent_id=expansion.parent_id,
                depth=expansion.depth,
                agent=expansion.agent,
                action=expansion.action,
                prompt=prompt,
                generation=generation,
                code=code,
                verdict=verdict,
                reward=await self._guide.reward(problem, code, reward_of(verdict, self.reward)),
            )

        return expand

    async def _judge(self, problem: Problem, code: str | None, verdict_id: str) -> Verdict:
        if code is not None and not problem.count(self.reward_tests):
            return Verdict(
                id=verdict_id, problem_id=problem.id, status=Status.PASSED, passed=0, total=0
            )
        return await judged(
            self.verifier,
            problem.unpacked(self.reward_tests),
            code,
            tests=self.reward_tests,
            early_stop=self.reward == "binary",
            id=verdict_id,
        )
