"""Does searching in parallel cost answers? One expansion at a time against eight, on lab problems.

The lab's untrained team, and one of its two agents alone, search the held-out problems twice: one
expansion of a tree at a time, and eight, each request of which takes a heavy-tailed time
(log-normal, mean 1 s, sigma 1: an endpoint's latencies), so that nodes end in another order than
they were asked for. A tree of n nodes is the first n that were asked for: what was decided for
them does not depend on how many follow, so one run gives every budget.

Most of these problems are solved by either, so they are reported apart: those that are hard, where
at most one of 8 first attempts with other seeds is right. Reported: share of problems where a node
passes all tests (Pass@N), and where the chosen one does (Pass@1(MCTS)); differences paired by
problem, averaged over seeds, with 95 % bootstrap intervals over problems.

    python studies/parallel_lab.py [--seeds 2] [--nodes 64] [--problems 200] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from mars2.agents.base import Agent
from mars2.agents.team import build_team
from mars2.config import RunConfig, load_config
from mars2.evaluation.metrics import difference_ci, mean
from mars2.inference.rollout import Rollout
from mars2.inference.select import select
from mars2.problems import load
from mars2.search.runner import Expand
from mars2.search.seeds import derive
from mars2.types import Expansion, Node, Problem
from mars2.verifier import AnyVerifier, make_verifier

IN_FLIGHT = 8
MEAN_S, SIGMA = 1.0, 1.0
BUDGETS = (8, 16, 32, 64, 128)
PILOT = 8
WHO = {"team": ("lark", "loom"), "lark alone": ("lark",)}
Outcomes = dict[int, dict[str, tuple[float, float]]]  # budget → problem → (Pass@N, Pass@1(MCTS))


class Slow(Rollout):
    """Each expansion ends a heavy-tailed time after its program was judged."""

    def expand_for(self, problem: Problem, tree_id: str) -> Expand:
        """As that of `Rollout`, and then waits."""
        expand = super().expand_for(problem, tree_id)

        async def later(e: Expansion, parent: Node | None, references: Sequence[Node]) -> Node:
            node = await expand(e, parent, references)
            rng = random.Random(derive("latency", self.seed, tree_id, e.node_id))
            await asyncio.sleep(MEAN_S * rng.lognormvariate(-SIGMA * SIGMA / 2, SIGMA))
            return node

        return later


async def grow(
    kind: type[Rollout],
    agents: dict[str, Agent],
    tasks: Sequence[Problem],
    config: RunConfig,
    verifier: AnyVerifier,
    **search: Any,
) -> list[list[Node]]:
    """The nodes of one tree a problem."""
    settings = config.search.model_copy(update=search)
    rollout = kind(agents, verifier, settings, seed=config.seed, ordered=False)
    return [tree.nodes for tree in await rollout.forest([(p.id, p) for p in tasks])]


async def outcomes(
    trees: Sequence[Sequence[Node]], tasks: Sequence[Problem], verifier: AnyVerifier, most: int
) -> Outcomes:
    """Judged by all tests, at every budget up to `most`."""
    found: Outcomes = {n: {} for n in BUDGETS if n <= most}
    for problem, nodes in zip(tasks, trees, strict=True):
        passing = [n for n in nodes if n.verdict.ok]
        verdicts = await asyncio.gather(*(verifier.verify(problem, n.code) for n in passing))
        right = {n.node_id for n, v in zip(passing, verdicts, strict=True) if v.ok}
        for budget, of in found.items():
            within = [n for n in nodes if n.node_id <= budget]
            chosen = select(within)
            any_right = any(n.node_id in right for n in within)
            of[problem.id] = (
                float(any_right),
                float(chosen is not None and chosen.node_id in right),
            )
    return found


async def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each searcher, kind of problems and budget."""
    base = load_config(Path(str(files("mars2") / "configs" / "quickstart.toml")))
    tasks = load("lab:mix:heldout", limit=options.problems)
    team = build_team(base.agents)
    rows: list[dict[str, Any]] = []

    def log(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        async with make_verifier(base.verifier) as verifier:
            for who, names in WHO.items():
                agents = {n: team.agents[n] for n in names}
                pilot = base.model_copy(update={"seed": 1_000})
                first = await grow(
                    Rollout, agents, tasks, pilot, verifier, strategy="repeated", nodes=PILOT
                )
                judged = [
                    await asyncio.gather(*(verifier.verify(p, n.code) for n in nodes))
                    for p, nodes in zip(tasks, first, strict=True)
                ]
                hard = [
                    p.id
                    for p, of in zip(tasks, judged, strict=True)
                    if sum(v.ok for v in of) <= PILOT // 8
                ]
                log(f"{who}: {len(hard)} of {len(tasks)} problems are hard")
                one, many = [], []
                for seed in range(options.seeds):
                    config = base.model_copy(update={"seed": seed})
                    both = (
                        (one, Rollout, {"in_flight": 1}),
                        (many, Slow, {"in_flight": IN_FLIGHT, "concurrency": 10_000}),
                    )
                    for into, kind, how in both:
                        trees = await grow(
                            kind, agents, tasks, config, verifier, nodes=options.nodes, **how
                        )
                        into.append(await outcomes(trees, tasks, verifier, options.nodes))
                        log(f"{who}, seed {seed}: {how['in_flight']} in flight done")
                sets = {"all": [p.id for p in tasks], "hard": hard}
                rows += [
                    row(who, name, ids, budget, one, many)
                    for name, ids in sets.items()
                    for budget in one[0]
                ]
    finally:
        await team.aclose()
    return rows


def row(
    who: str,
    name: str,
    ids: Sequence[str],
    budget: int,
    one: Sequence[Outcomes],
    many: Sequence[Outcomes],
) -> dict[str, Any]:
    """Rates of both, and paired differences (eight minus one) with intervals."""
    line: dict[str, Any] = {"who": who, "problems": f"{len(ids)} {name}", "nodes": budget}
    for index, metric in enumerate(("pass@n", "pass@1(mcts)")):
        a, b = (
            [mean([found[budget][p][index] for found in side]) for p in ids] for side in (one, many)
        )
        differences = [y - x for x, y in zip(a, b, strict=True)]
        line[metric] = {
            "one": mean(a),
            "eight": mean(b),
            "difference": mean(differences),
            "ci95": list(difference_ci(differences)),
        }
    return line


def show(report: dict[str, Any]) -> str:
    """A Markdown table."""

    def cells(of: dict[str, Any]) -> str:
        low, high = of["ci95"]
        difference = f"{of['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
        return f"{of['one']:.3f} | {of['eight']:.3f} | {difference}"

    lines = [
        report["machine"],
        "",
        "| who | problems | nodes | Pass@N, one | eight | difference "
        "| Pass@1(MCTS), one | eight | difference |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in report["rows"]:
        shown = f"{cells(r['pass@n'])} | {cells(r['pass@1(mcts)'])}"
        lines.append(f"| {r['who']} | {r['problems']} | {r['nodes']} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = asyncio.run(measure(options))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {options.seeds} seeds"
    report = {"machine": machine, "rows": rows}
    print(json.dumps(report) if options.json else show(report))


if __name__ == "__main__":
    main()
