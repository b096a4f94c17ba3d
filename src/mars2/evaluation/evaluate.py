"""Evaluation of a team on held-out problems: each agent alone, then the team in one tree.

Private tests only judge here: no reward, prompt or choice sees them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from mars2.agents.base import Agent
from mars2.config import BudgetConfig, RunConfig
from mars2.errors import UsageError
from mars2.evaluation.judge import contender, judge_tree
from mars2.evaluation.outcomes import EvalResult, TreeOutcome, paired_rise
from mars2.inference.guide import make_guide
from mars2.inference.rollout import Rollout
from mars2.rewards.base import RewardModel
from mars2.search.budget import Spent, make_budget
from mars2.search.journal import Journal
from mars2.search.limiter import Limiter
from mars2.search.runner import OnNode, TreeResult
from mars2.types import Node, Problem
from mars2.verifier import AnyVerifier

_JUDGED_AT_ONCE = 8  # trees whose private tests are unpacked together

__all__ = ["EvalResult", "TreeOutcome", "evaluate", "judge_tree", "paired_rise"]


async def evaluate(
    agents: Mapping[str, Agent],
    problems: Sequence[Problem],
    verifier: AnyVerifier,
    config: RunConfig,
    *,
    label: str = "eval",
    journal: Journal | None = None,
    ordered: bool = True,
    trees: bool = True,
    on_node: OnNode | None = None,
    reward_model: RewardModel | None = None,
) -> EvalResult:
    """Judge each agent's independent first attempts, then one tree of the team a problem.

    `budget`: limits of the whole run hold for all requests together; trees get what the attempts
    have left, and there are no trees if that is nothing. Limits of a problem, and reallocation,
    are of trees alone.

    Args:
        config: `eval.samples`, `eval.nodes`, `search`, `budget`, `inference`, `seed`.
        label: prefix of tree ids, so that several evaluations can share one journal.

    Raises:
        EndpointDownError: an endpoint is down from the start.
        UsageError: an agent is called "team", the name under which trees are recorded.
    """
    if "team" in agents:
        raise UsageError('an agent is called "team", as trees are in the journal: rename it')
    guide = make_guide(config.inference, reward_model)
    limiter = Limiter(config.search.concurrency)
    alone = _alone(config)
    budget = make_budget(alone)

    async def attempt(name: str, agent: Agent) -> list[TreeResult]:
        rollout = Rollout(
            {name: agent},
            verifier,
            alone.search,
            seed=config.seed,
            reward_tests="all",
            journal=journal,
            ordered=ordered,
            limiter=limiter,
            budget=budget,
        )
        jobs = [(f"{label}/{name}/{p.id}", p) for p in problems]
        return await rollout.forest(jobs, on_node=on_node)

    attempts: dict[str, dict[str, list[bool]]] = {}
    contenders: dict[str, dict[str, list[str | None]]] = {}
    alone_spent: dict[str, Spent] = {}
    masked = 0
    try:
        async with asyncio.TaskGroup() as group:
            forests = {n: group.create_task(attempt(n, agent)) for n, agent in agents.items()}
    except BaseExceptionGroup as errors:  # callers handle errors, not groups
        raise errors.exceptions[0] from errors.exceptions[0].__cause__
    for name, forest in forests.items():
        results = forest.result()
        attempts[name] = {
            p.id: [n.verdict.ok for n in r.nodes] for p, r in zip(problems, results, strict=True)
        }
        contenders[name] = {
            p.id: [contender(p, n) for n in r.nodes] for p, r in zip(problems, results, strict=True)
        }
        alone_spent[name] = sum((r.spent for r in results), Spent())
        masked += sum(len(r.failed) for r in results)
    spent = budget.spent()
    cut_attempts = len(agents) * len(problems) * config.eval.samples - spent.nodes
    cut_trees = 0

    outcomes: dict[str, TreeOutcome] = {}
    left = budget.run.left(spent)
    if trees and left is None:
        cut_trees = len(problems)
    elif trees:
        search = config.search.model_copy(update={"nodes": config.eval.nodes})
        budget = make_budget(config.model_copy(update={"search": search}), run=left)
        together = Rollout(
            agents,
            verifier,
            search,
            seed=config.seed,
            reward_tests="public",
            journal=journal,
            ordered=ordered,
            limiter=limiter,
            budget=budget,
            guide=guide,
        )
        jobs = [(f"{label}/team/{p.id}", p) for p in problems]
        told: dict[str, list[int]] = {tree_id: [] for tree_id, _ in jobs}

        def on_told(node: Node) -> None:
            told[node.tree_id].append(node.node_id)
            if on_node is not None:
                on_node(node)

        results = await together.forest(jobs, on_node=on_told)
        spent += budget.spent()
        cut_trees = sum(r.spent.nodes == 0 for r in results)
        few = asyncio.Semaphore(_JUDGED_AT_ONCE)

        async def judged_tree(problem: Problem, tree: TreeResult) -> TreeOutcome | None:
            async with few:
                order = told[tree.tree_id]
                return await judge_tree(problem, tree, verifier, guide, config.seed, order)

        judged = await asyncio.gather(*map(judged_tree, problems, results))
        outcomes = {p.id: o for p, o in zip(problems, judged, strict=True) if o is not None}
        masked += sum(o.failed for o in outcomes.values()) + (len(judged) - len(outcomes))
    return EvalResult(
        attempts, outcomes, masked, cut_attempts, cut_trees, spent, alone_spent, contenders
    )


def _alone(config: RunConfig) -> RunConfig:
    """The settings of independent first attempts."""
    search = config.search.model_copy(
        update={
            "strategy": "repeated",
            "nodes": config.eval.samples,
            "in_flight": config.eval.samples,
            "stop_on_success": False,
        }
    )
    limits = config.budget
    run = BudgetConfig(
        nodes=limits.nodes, tokens=limits.tokens, seconds=limits.seconds, cost=limits.cost
    )
    return config.model_copy(update={"search": search, "budget": run})
