"""Is a reward model worth having? It, agreement of behaviour, and both, on held-out problems.

The lab's team is too good for the question: where a program passes the lab's three public tests it
nearly always passes the private ones, which leaves nothing to choose. So the public tests are made
weak, as those of real problems often are: each problem shows ONE example, a drawn input cut to its
first two elements; all twelve of the lab's tests judge. The programs are what the untrained team
writes in its usual search, rewarded by that one example.

Trees of the training problems are labelled by all tests and a scalar head is trained on them
(70 % of these problems; 15 % calibrate it). Trees of the lab's held-out problems, whose
compositions neither team nor reward model has seen, are then answered by each selector. Reported,
with 95 % bootstrap intervals over problems: AUC; the share of problems where the chosen program
passes all tests; and the same on the problems where there is something to choose: right and wrong
programs among those that pass the example. All numbers depend on the seed alone, up to rounding
of batched matrix products.

    python studies/reward_model.py [--out DIR] [--nodes 12] [--epochs 8] [--base BASE] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

# Two threads that wait for each other lose more than they win on models this small.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from mars2.agents.team import build_team
from mars2.config import RunConfig, load_config
from mars2.inference.rollout import Rollout
from mars2.inference.select import SELECTORS, choose, public_best
from mars2.lab.families import composition_of
from mars2.lab.families.cases import draw_input
from mars2.lab.families.render import render, run
from mars2.problems import load
from mars2.rewards.base import RewardModel, load_reward_model
from mars2.rewards.data import Written, label, lines_of, read_examples, summary
from mars2.rewards.metrics import auc, auc_interval, compare
from mars2.rewards.train import TrainSettings, train
from mars2.training.rundir import finite
from mars2.types import FunctionalTest, Node, Problem
from mars2.verifier import AnyVerifier, make_verifier

SHOWN = 2  # elements of the one public example


def weakened(problem: Problem) -> Problem:
    """The problem with one short public example; all of its tests become private."""
    composition, rng = composition_of(problem), random.Random(f"weak:{problem.id}")
    right = run(render(composition, "comprehension"))
    value: Any = None
    while not value:
        drawn = draw_input(composition, rng)
        value = drawn[:SHOWN] if isinstance(drawn, list) else " ".join(drawn.split()[:SHOWN])
    example = FunctionalTest(args=[value], expected=right(value))
    return problem.model_copy(
        update={"public_tests": [example], "private_tests": problem.tests("all")}
    )


async def grow(
    split: str, limit: int | None, nodes: int, config: RunConfig, verifier: AnyVerifier
) -> list[tuple[Problem, Sequence[Node]]]:
    """A tree a problem of the split."""
    problems = [weakened(p) for p in load(f"lab:mix:{split}", limit=limit)]
    search = config.search.model_copy(update={"nodes": nodes})
    team = build_team(config.agents)
    try:
        rollout = Rollout(team.agents, verifier, search, seed=config.seed)
        trees = await rollout.forest([(f"{split}/{p.id}", p) for p in problems])
    finally:
        await team.aclose()
    return [(p, tree.nodes) for p, tree in zip(problems, trees, strict=True)]


def written(trees: Sequence[tuple[Problem, Sequence[Node]]]) -> list[Written]:
    """The trees' nodes, to be labelled."""
    return [Written(p.id, n.tree_id, n.node_id, n.code) for p, nodes in trees for n in nodes]


async def held_out(
    trees: Sequence[tuple[Problem, Sequence[Node]]], model: RewardModel, verifier: AnyVerifier
) -> dict[str, Any]:
    """AUC and selection accuracy; every number by problem, one tree each."""
    judged = await label(written(trees), {p.id: p for p, _ in trees}, verifier)
    right = {(e.tree_id, e.node_id): e.label for e in judged.examples}
    values: dict[str, dict[str, float]] = {how: {} for how in ("random", *SELECTORS, "oracle")}
    undecided: list[str] = []
    rows: list[tuple[float, bool, str, bool]] = []  # score, right, problem, passes the example
    seconds = dict.fromkeys(SELECTORS, 0.0)
    for problem, nodes in trees:
        known = [n for n in nodes if (n.tree_id, n.node_id) in right]
        scores = await model.score(problem, [n.code or "" for n in known])
        for node, score in zip(known, scores, strict=True):
            rows.append((score, right[node.tree_id, node.node_id], problem.id, node.verdict.ok))
        tied = [n for n in public_best(known) if n.verdict.ok]
        if not tied:
            continue
        kinds = [right[n.tree_id, n.node_id] for n in tied]
        if len(set(kinds)) == 2:
            undecided.append(problem.id)
        values["random"][problem.id] = sum(kinds) / len(kinds)
        values["oracle"][problem.id] = float(any(kinds))
        for selector in SELECTORS:
            started = time.monotonic()
            chosen = await choose(tied, problem, selector, verifier, model)
            seconds[selector] += time.monotonic() - started
            assert chosen is not None
            values[selector][problem.id] = float(right[chosen.tree_id, chosen.node_id])
    only = {how: {p: of[p] for p in undecided} for how, of in values.items()}
    return {
        "data": summary(judged.examples),
        "auc": _auc(rows),
        "auc_public_passing": _auc([r for r in rows if r[3]]),
        "selection": compare(values, against="random"),
        "selection_undecided": compare(only, against="random"),
        "undecided_combined_minus": {
            how: compare({h: only[h] for h in ("combined", how)}, against=how)[f"minus_{how}"][
                "combined"
            ]
            for how in ("agreement", "reward-model")
        },
        "seconds_a_problem": {s: round(t / max(1, len(values[s])), 4) for s, t in seconds.items()},
    }


def _auc(rows: Sequence[tuple[float, bool, str, bool]]) -> dict[str, Any]:
    scores, labels, problems = [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]
    return {"mean": auc(scores, labels), "ci95": auc_interval(scores, labels, problems)}


async def study(arguments: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Everything: the report."""
    config = load_config(Path(str(files("mars2") / "configs" / "quickstart.toml")))
    config = config.model_copy(update={"seed": arguments.seed})
    clock, started = {}, time.monotonic()

    def lap(name: str) -> None:
        clock[name] = round(time.monotonic() - started, 1)
        print(f"{name}: {clock[name]} s", file=sys.stderr, flush=True)

    async with make_verifier(config.verifier) as verifier:
        trees = await grow("train", arguments.limit, arguments.nodes, config, verifier)
        judged = await label(written(trees), {p.id: p for p, _ in trees}, verifier)
        data = out / "train.jsonl"
        data.write_text(lines_of(judged.examples), encoding="utf-8")
        lap("training trees grown and labelled")
        examples, digest = read_examples(data)
        settings = TrainSettings(
            base=arguments.base,
            epochs=arguments.epochs,
            lr=5e-4,
            batch_tokens=1024,
            seed=arguments.seed,
        )

        def log(line: str) -> None:
            print(line, file=sys.stderr, flush=True)

        report = await asyncio.to_thread(
            train, examples, digest, settings, out / "model", log=log, device="cpu"
        )
        lap("trained")
        model = load_reward_model(out / "model", device="cpu")
        heldout = await grow("heldout", arguments.limit, arguments.nodes, config, verifier)
        found = await held_out(heldout, model, verifier)
        lap("held-out problems answered")
    return {
        "settings": {k: v for k, v in vars(arguments).items() if k not in ("out", "json")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.python_version()}",
        "seconds": clock,
        "training_data": summary(examples),
        "training": {k: report[k] for k in ("best_epoch", "calibration", "epochs", "test")},
        "heldout": found,
    }


def show(report: dict[str, Any]) -> None:
    """The report as Markdown."""

    def cell(of: dict[str, Any]) -> str:
        low, high = of["ci95"]
        return f"{of['mean']:.3f} [{low:.3f}, {high:.3f}]"

    found = report["heldout"]
    print(f"training data: {report['training_data']}\nheld-out data: {found['data']}\n")
    print(f"held-out AUC, all programs: {cell(found['auc'])}")
    print(f"held-out AUC, those that pass the example: {cell(found['auc_public_passing'])}\n")
    every, some = found["selection"], found["selection_undecided"]
    print(
        f"| chosen by | all ({every['problems']} problems) | minus random | "
        f"something to choose ({some['problems']}) | minus random |"
    )
    print("|---|---|---|---|---|")
    for how in ("random", *SELECTORS, "oracle"):
        print(
            f"| {how} | {cell(every[how])} | {_minus(every, how, cell)} | {cell(some[how])} | "
            f"{_minus(some, how, cell)} |"
        )
    print()
    for how, of in found["undecided_combined_minus"].items():
        print(f"combined minus {how}, where there is something to choose: {cell(of)}")
    print(f"\nseconds a problem: {found['seconds_a_problem']}; in all: {report['seconds']}")


def _minus(of: dict[str, Any], how: str, cell: Any) -> str:
    return "" if how == "random" else cell(of["minus_random"][how])


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, help="keep data and model here (new directory)")
    parser.add_argument("--limit", type=int, help="only the first so many problems of each split")
    parser.add_argument("--nodes", type=int, default=12, help="of a tree")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--base", default="micro:loom")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if arguments.out is None:
            out = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        else:
            out = arguments.out
            out.mkdir(parents=True)
        report = asyncio.run(study(arguments, out))
        if arguments.out is not None:
            (out / "report.json").write_text(json.dumps(finite(report), indent=1) + "\n")
    if arguments.json:
        print(json.dumps(finite(report)))
    else:
        show(report)


if __name__ == "__main__":
    main()
