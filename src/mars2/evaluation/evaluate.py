"""Evaluation of a team on held-out problems: each agent alone, then the team in one tree.

Private tests only judge here: no reward, prompt or choice sees them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mars2.agents.base import Agent
from mars2.config import BudgetConfig, RunConfig
from mars2.evaluation.metrics import bootstrap_ci, mean, pass_at_k
from mars2.inference.guide import Guide, make_guide
from mars2.inference.rollout import Rollout
from mars2.rewards.base import RewardModel
from mars2.search.budget import Spent, make_budget
from mars2.search.journal import Journal
from mars2.search.limiter import Limiter
from mars2.search.runner import OnNode, TreeResult
from mars2.types import Problem, Status
from mars2.verifier import AnyVerifier

_BY_TESTS = Guide()


@dataclass(frozen=True, slots=True)
class TreeOutcome:
    """One problem's tree, judged on all tests: did the selected node, did any node pass?"""

    selected: bool
    any_passed: bool
    nodes: int
    failed: int


@dataclass(frozen=True, slots=True)
class EvalResult:
    """Outcomes by problem id. `attempts[agent][problem]` are independent first attempts.

    Attempts and trees that are `cut` did not begin: the budget of the run was spent. A tree that
    is cut counts as unsolved, unless all are: then `trees` is empty.
    """

    attempts: dict[str, dict[str, list[bool]]]
    trees: dict[str, TreeOutcome] = field(default_factory=dict)
    masked: int = 0  # attempts and nodes lost to failed requests or to the sandbox's machinery
    cut_attempts: int = 0
    cut_trees: int = 0
    spent: Spent = field(default_factory=Spent)

    def agent_rates(self, agent: str) -> dict[str, float]:
        """Share of correct attempts by problem; problems without a usable attempt left out."""
        return {p: mean([float(x) for x in xs]) for p, xs in self.attempts[agent].items() if xs}

    def mean_rates(self) -> dict[str, float]:
        """Mean of the agents' pass@1 by problem (problems that every agent attempted)."""
        rates = [self.agent_rates(a) for a in self.attempts]
        shared = set.intersection(*(set(r) for r in rates)) if rates else set()
        return {p: mean([r[p] for r in rates]) for p in sorted(shared)}

    def summary(self, *, resamples: int = 2000, seed: int = 0) -> dict[str, Any]:
        """`{"agents": {NAME: {pass@1, ci95, pass@K}}, "team": {pass@1, pass@1(mcts), pass@n}}`.

        Intervals are 95 % percentile bootstrap over problems.
        """

        def interval(values: Sequence[float]) -> list[float]:
            return list(bootstrap_ci(values, resamples=resamples, seed=seed))

        agents: dict[str, Any] = {}
        for name in self.attempts:
            rates = list(self.agent_rates(name).values())
            agents[name] = {"pass@1": mean(rates), "ci95": interval(rates)}
            agents[name] |= self._pass_at_samples(name)
        team_rates = list(self.mean_rates().values())
        team: dict[str, Any] = {"pass@1": mean(team_rates)}
        intervals: dict[str, list[float]] = {"pass@1": interval(team_rates)}
        if self.trees:
            selected = [float(t.selected) for t in self.trees.values()]
            found = [float(t.any_passed) for t in self.trees.values()]
            team |= {"pass@1(mcts)": mean(selected), "pass@n": mean(found)}
            intervals |= {"pass@1(mcts)": interval(selected), "pass@n": interval(found)}
        team["ci95"] = intervals
        return {"agents": agents, "team": team}

    def _pass_at_samples(self, agent: str) -> dict[str, float]:
        counts = {len(xs) for xs in self.attempts[agent].values() if xs}
        k = min(counts, default=0)
        if k < 2:
            return {}
        values = [pass_at_k(len(xs), sum(xs), k) for xs in self.attempts[agent].values() if xs]
        return {f"pass@{k}": mean(values)}

    def to_json(self) -> dict[str, Any]:
        """Every outcome, for the run directory."""
        return {
            "attempts": self.attempts,
            "trees": {
                p: {
                    "selected": t.selected,
                    "any_passed": t.any_passed,
                    "nodes": t.nodes,
                    "failed": t.failed,
                }
                for p, t in self.trees.items()
            },
            "masked": self.masked,
            "cut_attempts": self.cut_attempts,
            "cut_trees": self.cut_trees,
            "spent": asdict(self.spent),
        }


def paired_rise(
    before: EvalResult, after: EvalResult, *, resamples: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Rise of the agents' mean pass@1, paired by problem: `{"mean", "ci95", "problems"}`."""
    old, new = before.mean_rates(), after.mean_rates()
    rises = [new[p] - old[p] for p in sorted(old.keys() & new.keys())]
    low, high = bootstrap_ci(rises, resamples=resamples, seed=seed)
    return {"mean": mean(rises), "ci95": [low, high], "problems": len(rises)}


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
    """
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
        results = await together.forest(
            [(f"{label}/team/{p.id}", p) for p in problems], on_node=on_node
        )
        spent += budget.spent()
        cut_trees = sum(r.spent.nodes == 0 for r in results)
        judged = await asyncio.gather(
            *(
                judge_tree(p, r, verifier, guide, config.seed)
                for p, r in zip(problems, results, strict=True)
            )
        )
        outcomes = {p.id: o for p, o in zip(problems, judged, strict=True) if o is not None}
        masked += sum(o.failed for o in outcomes.values()) + (len(judged) - len(outcomes))
    return EvalResult(attempts, outcomes, masked, cut_attempts, cut_trees, spent)


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


async def judge_tree(
    problem: Problem,
    result: TreeResult,
    verifier: AnyVerifier,
    guide: Guide = _BY_TESTS,
    seed: int = 0,
) -> TreeOutcome | None:
    """Run all tests on the nodes that passed the public ones (a public failure settles it).

    Returns None if the verifier's machinery failed on one: an unknown is not a failure.
    """
    candidates = [n for n in result.nodes if n.code is not None and n.verdict.ok]
    verdicts = await asyncio.gather(
        *(verifier.verify(problem, n.code, id=f"{n.tree_id}#{n.node_id}") for n in candidates)
    )
    if any(v.status is Status.INFRA for v in verdicts):
        return None
    passed = {n.node_id for n, v in zip(candidates, verdicts, strict=True) if v.ok}
    chosen = await guide.choose(result, problem, verifier, seed)
    return TreeOutcome(
        selected=chosen is not None and chosen.node_id in passed,
        any_passed=bool(passed),
        nodes=len(result.nodes),
        failed=len(result.failed),
    )
