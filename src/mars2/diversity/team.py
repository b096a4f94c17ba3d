"""Which agents to put in a team: what pairings would solve, from evaluations of each agent alone.

Independent attempts of different agents are independent given the problem, so those that each made
alone tell without bias what a team finds that samples repeatedly (strategy `repeated`). Searches
that refine are not predicted. See docs/team.md.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from mars2.diversity.overlap import error_overlap
from mars2.errors import UsageError
from mars2.evaluation.compare import Evaluated, common_problems
from mars2.evaluation.metrics import bootstrap_ci, difference_ci, mean, pass_at_k

Order = Literal["pass@n", "pass@1(mcts)", "gain"]
DRAWS = 128  # of a problem with right and wrong programs to select from


@dataclass(frozen=True, slots=True)
class Attempts:
    """Independent attempts of one agent at one problem.

    `passed`: all tests. `contenders`: a digest of the program of those that pass the public tests,
    None for the others; None as a whole where that is not known.
    """

    passed: Sequence[bool]
    contenders: Sequence[str | None] | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """An agent, where it was evaluated, and its attempts by problem."""

    name: str
    run: str
    attempts: Mapping[str, Attempts]

    @property
    def fewest(self) -> int:
        """The fewest attempts at a problem that has some."""
        return min((n for a in self.attempts.values() if (n := len(a.passed))), default=0)


# --------------------------------------------------------------------------- one problem


def turns(nodes: int, agents: int) -> list[int]:
    """Nodes of each agent when they take turns: the first ones have the remainder."""
    return [nodes // agents + (i < nodes % agents) for i in range(agents)]


def expected_pass(of: Sequence[Attempts], nodes: Sequence[int]) -> float:
    """Chance that some of `nodes[i]` fresh attempts of each agent passes all tests.

    1 − Π_i C(n_i − c_i, k_i) / C(n_i, k_i): every factor is unbiased for (1 − p_i)^k_i (Chen et al.
    2021, arXiv 2107.03374, eq. 1), and agents are independent given the problem.

    Raises:
        ValueError: fewer attempts than nodes.
    """
    failing = [
        1.0 - pass_at_k(len(a.passed), sum(a.passed), k)
        for a, k in zip(of, nodes, strict=True)
        if k
    ]
    return 1.0 - math.prod(failing)


def expected_selected(of: Sequence[Attempts], nodes: Sequence[int], rng: random.Random) -> float:
    """Chance that the program passes which the selector "public" takes of such attempts.

    The mean over random choices of `nodes[i]` attempts of each agent, in turns, of what the
    selector does with them: unbiased, as a U-statistic is. Exact where all programs that pass the
    public tests are right, or none is; else the mean of `DRAWS` choices. NaN where it is not known
    which programs pass the public tests.
    """
    if any(a.contenders is None for a in of):
        return math.nan
    known = [list(zip(a.contenders or (), a.passed, strict=True)) for a in of]
    right = any(ok for one in known for digest, ok in one if digest is not None)
    if not right:
        return 0.0
    if all(ok for one in known for digest, ok in one if digest is not None):
        return expected_pass(of, nodes)
    return mean([float(_selects_right(known, nodes, rng)) for _ in range(DRAWS)])


def _selects_right(
    known: Sequence[Sequence[tuple[str | None, bool]]], nodes: Sequence[int], rng: random.Random
) -> bool:
    """One choice of attempts: is the earliest of the largest group of equal programs right?"""
    drawn = [rng.sample(one, k) for one, k in zip(known, nodes, strict=True)]
    told = [one[i] for i in range(max(nodes)) for one in drawn if i < len(one)]
    shown = [(digest, ok) for digest, ok in told if digest is not None]
    if not shown:
        return False
    votes = Counter(digest for digest, _ in shown)
    return max(shown, key=lambda pair: votes[pair[0]])[1]  # the first of equals


# --------------------------------------------------------------------------- all teams


def members(runs: Sequence[Evaluated], *, shared: bool = False) -> list[Member]:
    """The agents of evaluations, on the problems that all of these have.

    Agents keep their names where these differ, else they are RUN:NAME.

    Raises:
        UsageError: the runs are of different problems and not `shared`, or have none in common.
    """
    kept = common_problems(runs, shared=shared)
    count = Counter(agent for run in runs for agent in run.result.attempts)
    found: list[Member] = []
    for run in runs:
        for agent, of in run.result.attempts.items():
            known = run.result.contenders.get(agent, {})
            attempts = {p: Attempts(of[p], known.get(p)) for p in kept if p in of}
            name = agent if count[agent] == 1 else f"{run.name}:{agent}"
            found.append(Member(name, run.name, attempts))
    return found


def suggest(
    agents: Sequence[Member],
    *,
    nodes: int | None = None,
    size: int = 2,
    by: Order = "pass@n",
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Every team of `size` agents, best first.

    Args:
        nodes: of the whole team, by turns; by default as many as every agent has attempts.
        by: what teams are sorted by.

    Returns:
        `{"nodes", "size", "agents": [{"name", "run", "problems", "pass@1", "pass@n",
        "pass@1(mcts)", "ci95"}], "teams": [{"agents", "nodes": {AGENT: its share}, "problems",
        "left_out", "pass@n", "pass@1(mcts)", "best_alone", "best_alone_pass@n", "gain",
        "gain_pass@1(mcts)", "joint_failure_excess", "ci95"}], "error_overlap": as of
        `error_overlap`}`. An agent's `pass@n` is with all the nodes. `gain` is over the member with
        the highest `pass@n`, `gain_pass@1(mcts)` over that with the highest Pass@1(MCTS), on the
        same problems. `joint_failure_excess`: mean over the team's pairs. NaN where it is not known
        which programs pass the public tests.

    Raises:
        UsageError: fewer agents than `size`, or too few attempts for as many nodes.
    """
    if len(agents) < size:
        names = ", ".join(a.name for a in agents) or "none"
        raise UsageError(
            f"teams of {size} need at least {size} agents with attempts of their own, and there "
            f"are: {names}"
        )
    wanted = min(a.fewest for a in agents) if nodes is None else nodes
    if wanted < size:
        raise UsageError(f"--nodes {wanted}: a team of {size} needs at least {size} nodes")
    for agent in agents:
        most = max((len(a.passed) for a in agent.attempts.values()), default=0)
        if most < wanted:
            raise UsageError(
                f"--nodes {wanted}: {agent.name} has at most {most} independent attempts at a "
                f"problem, and what it does alone with {wanted} nodes needs as many: give --nodes "
                f"{max(most, size)}, or evaluate it with --samples {wanted}"
            )

    estimate = _Estimate(wanted, seed)
    options: dict[str, Any] = {"resamples": resamples, "seed": seed}
    overlap = error_overlap(
        {a.name: {p: list(of.passed) for p, of in a.attempts.items()} for a in agents}, **options
    )
    teams = [_team(team, estimate, overlap, options) for team in combinations(agents, size)]
    teams.sort(key=lambda team: (math.isnan(team[by]), -team[by], team["agents"]))
    return {
        "nodes": wanted,
        "size": size,
        "agents": [_alone(agent, estimate, options) for agent in agents],
        "teams": teams,
        "error_overlap": overlap,
    }


class _Estimate:
    """Chances by problem of teams with a number of nodes, each computed once."""

    def __init__(self, nodes: int, seed: int) -> None:
        self.nodes, self._seed = nodes, seed
        self._known: dict[tuple[tuple[str, ...], str], tuple[float, float]] = {}

    def usable(self, team: Sequence[Member]) -> list[str]:
        """Problems at which each member has as many attempts as the whole team has nodes."""
        return [
            p
            for p in team[0].attempts
            if all(p in m.attempts and len(m.attempts[p].passed) >= self.nodes for m in team)
        ]

    def __call__(self, team: Sequence[Member], problem: str) -> tuple[float, float]:
        """(Pass@N, Pass@1(MCTS)) of one problem."""
        names = tuple(m.name for m in team)
        if (names, problem) not in self._known:
            of = [m.attempts[problem] for m in team]
            shares = turns(self.nodes, len(team))
            rng = random.Random(f"{self._seed}:{names}:{problem}")
            found = expected_pass(of, shares), expected_selected(of, shares, rng)
            self._known[names, problem] = found
        return self._known[names, problem]


def _alone(agent: Member, estimate: _Estimate, options: Mapping[str, Any]) -> dict[str, Any]:
    problems = estimate.usable([agent])
    both = [estimate([agent], p) for p in problems]
    values = {
        "pass@1": [mean([float(x) for x in agent.attempts[p].passed]) for p in problems],
        "pass@n": [found for found, _ in both],
        "pass@1(mcts)": [selected for _, selected in both],
    }
    return {
        "name": agent.name,
        "run": agent.run,
        "problems": len(problems),
        **{name: mean(of) for name, of in values.items()},
        "ci95": {name: _interval(of, options) for name, of in values.items()},
    }


def _team(
    team: Sequence[Member],
    estimate: _Estimate,
    overlap: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    names = [m.name for m in team]
    problems = estimate.usable(team)
    if not problems:
        raise UsageError(
            f"{', '.join(names)}: no problem has {estimate.nodes} attempts of each; give fewer "
            "--nodes"
        )
    together = [estimate(team, p) for p in problems]
    alone = {m.name: [estimate([m], p) for p in problems] for m in team}
    excess = [o["joint_failure_excess"] for o in overlap if {o["a"], o["b"]} <= set(names)]
    entry: dict[str, Any] = {
        "agents": names,
        "nodes": dict(zip(names, turns(estimate.nodes, len(team)), strict=True)),
        "problems": len(problems),
        "left_out": len(set().union(*(m.attempts for m in team))) - len(problems),
        "joint_failure_excess": mean(excess),
    }
    ci95: dict[str, list[float]] = {}
    for i, (metric, gain) in enumerate((("pass@n", "gain"), ("pass@1(mcts)", "gain_pass@1(mcts)"))):
        values = [both[i] for both in together]
        best = max(names, key=lambda name: mean([both[i] for both in alone[name]]))
        differences = [v - both[i] for v, both in zip(values, alone[best], strict=True)]
        if metric == "pass@n":
            entry["best_alone"] = best
            entry["best_alone_pass@n"] = mean([both[i] for both in alone[best]])
        entry |= {metric: mean(values), gain: mean(differences)}
        ci95[metric] = _interval(values, options)
        ci95[gain] = _interval(differences, options, paired=True)
    return entry | {"ci95": ci95}


def _interval(
    values: Sequence[float], options: Mapping[str, Any], *, paired: bool = False
) -> list[float]:
    if any(math.isnan(v) for v in values):
        return [math.nan, math.nan]
    return list((difference_ci if paired else bootstrap_ci)(values, **options))
