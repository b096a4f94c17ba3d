"""What each part of MARS²-T+ adds, at an equal budget of nodes: one agent and a team.

Six searches: `repeated`, `sequential`, `ab-mcts` as training rolls out (no error feedback), that
with error feedback in refinements, with depth-guided exploration, and with both. Each finished
tree is answered twice: by the most frequent program among those that pass the public tests, and
by the selection of MARS²-T+ (agreement of behaviour; with `--reward-model` also by it). So every
part is measured alone, added to `ab-mcts`, and taken away from the whole, on the same trees.
Every search gets the same problems, seeds and number of nodes, and sees public tests only.

Reported: Pass@1(MCTS), the private result of the answer; Pass@N, whether any node passes; and
differences to the baselines, paired by problem and averaged over seeds, with 95 % bootstrap
intervals over problems. What comes out is printed, also where the order fails.

    python studies/ablation.py                               # the lab's micro models, minutes
    python studies/ablation.py --reward-model DIR --seeds 3  # as `reward_model.py --out` wrote it
    python studies/ablation.py --team smollm2 --nodes 8      # SmolLM2-135M, builtin problems

The lab's problems show one weak example each (see `reward_model.py`): with their own public tests
nearly every search ends right. `--out DIR` keeps each finished part, and the next call goes on
from there.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from reward_model import weakened

from mars2.agents.base import Agent
from mars2.agents.team import build_team
from mars2.config import InferenceConfig, RunConfig, load_config
from mars2.evaluation.evaluate import judge_tree
from mars2.evaluation.metrics import bootstrap_ci, difference_ci, mean
from mars2.inference.guide import Guide, make_guide
from mars2.inference.rollout import Rollout
from mars2.inference.select import Selector
from mars2.problems import load
from mars2.search.runner import TreeResult
from mars2.training.rundir import finite, write_atomic
from mars2.types import Problem
from mars2.verifier import AnyVerifier, make_verifier

PUBLIC: Selector = "public"
PLAIN: dict[str, Any] = {"strategy": "ab-mcts", "error_feedback": False, "depth_guided": False}
SEARCHES: dict[str, dict[str, Any]] = {
    "repeated": {**PLAIN, "strategy": "repeated"},
    "sequential": {**PLAIN, "strategy": "sequential"},
    "ab-mcts": PLAIN,
    "feedback": {**PLAIN, "error_feedback": True},
    "depth": {**PLAIN, "depth_guided": True},
    "both": {**PLAIN, "error_feedback": True, "depth_guided": True},
}
ARMS: dict[str, tuple[str, bool]] = {  # the search, and whether T+'s selection answers
    "repeated": ("repeated", False),
    "sequential": ("sequential", False),
    "ab-mcts": ("ab-mcts", False),
    "+ error feedback": ("feedback", False),
    "+ depth guidance": ("depth", False),
    "+ selection": ("ab-mcts", True),
    "mars2-t+": ("both", True),
    "- error feedback": ("depth", True),
    "- depth guidance": ("feedback", True),
    "- selection": ("both", False),
    "repeated + sel.": ("repeated", True),
    "sequential + sel.": ("sequential", True),
}
BASELINES = ("repeated", "ab-mcts", "mars2-t+")
ROLES = {"coder": "coder", "debugger": "debugger"}  # one policy, two roles
Outcomes = dict[str, dict[str, float]]  # problem → "any", and each selector → passes


def settings(options: argparse.Namespace) -> RunConfig:
    """Team and limits."""
    if options.team == "lab":
        text = Path(str(files("mars2") / "configs" / "quickstart.toml"))
        base = load_config(text).model_dump()
    else:
        one = {"spec": "hf:smollm2", "dtype": "bfloat16", "temperature": 0.8, "max_tokens": 128}
        agents = [{**one, "name": name, "role": role} for name, role in ROLES.items()]
        base = {"agents": agents, "verifier": {"time_limit_s": 1.0}}
    base.setdefault("search", {}).update(nodes=options.nodes, in_flight=2)
    return load_config(base=base)


def problems(options: argparse.Namespace) -> list[Problem]:
    """What is solved: easiest first of `builtin`, held-out ones of the lab."""
    if options.team == "lab":
        return [weakened(p) for p in load("lab:mix:heldout", limit=options.problems)]
    return load("builtin", limit=options.problems)


async def grow_and_answer(
    search: str,
    agents: dict[str, Agent],
    tasks: Sequence[Problem],
    config: RunConfig,
    guides: dict[str, Guide],
    verifier: AnyVerifier,
) -> Outcomes:
    """Each problem's outcome; what the machinery failed on is left out."""
    how = config.search.model_copy(update=SEARCHES[search])
    rollout = Rollout(agents, verifier, how, seed=config.seed)
    trees = await rollout.forest([(p.id, p) for p in tasks])
    answered = await asyncio.gather(
        *(
            _answer(problem, tree, config.seed, guides, verifier)
            for problem, tree in zip(tasks, trees, strict=True)
        )
    )
    return {p.id: found for p, found in zip(tasks, answered, strict=True) if found is not None}


async def _answer(
    problem: Problem, tree: TreeResult, seed: int, guides: dict[str, Guide], verifier: AnyVerifier
) -> dict[str, float] | None:
    found: dict[str, float] = {}
    for name, guide in guides.items():
        outcome = await judge_tree(problem, tree, verifier, guide, seed)
        if outcome is None:
            return None
        found |= {name: float(outcome.selected), "any": float(outcome.any_passed)}
    return found


async def measure(options: argparse.Namespace) -> dict[str, dict[str, list[Outcomes]]]:
    """Who searched → search → outcomes, one of each seed."""
    config, tasks = settings(options), problems(options)
    guides = {PUBLIC: Guide(), selection(options): make_guide(_inference(options))}
    team = build_team(config.agents)
    first = next(iter(team.agents))
    who = {f"one ({first})": {first: team.agents[first]}, "team": team.agents}
    results: dict[str, dict[str, list[Outcomes]]] = {
        name: {search: [] for search in SEARCHES} for name in who
    }
    try:
        async with make_verifier(config.verifier) as verifier:
            for seed in range(options.seeds):
                seeded = config.model_copy(update={"seed": seed})
                for name, search in itertools.product(who, SEARCHES):
                    kept, started = _kept(options, f"{seed} {name} {search}"), time.monotonic()
                    if kept is not None and kept.exists():
                        found = json.loads(kept.read_text())
                    else:
                        found = await grow_and_answer(
                            search, who[name], tasks, seeded, guides, verifier
                        )
                        if kept is not None:
                            write_atomic(kept, json.dumps(found))
                    results[name][search].append(found)
                    seconds = time.monotonic() - started
                    what = f"seed {seed}, {name}, {search}: {len(found)} problems, {seconds:.0f} s"
                    print(what, file=sys.stderr, flush=True)
    finally:
        await team.aclose()
    return results


def selection(options: argparse.Namespace) -> Selector:
    """How MARS²-T+ answers."""
    return "combined" if options.reward_model else "agreement"


def _inference(options: argparse.Namespace) -> InferenceConfig:
    return InferenceConfig(selector=selection(options), reward_model=options.reward_model)


def _kept(options: argparse.Namespace, name: str) -> Path | None:
    if options.out is None:
        return None
    options.out.mkdir(parents=True, exist_ok=True)
    what = (options.team, options.problems, options.nodes, options.reward_model)
    key = "-".join(str(part).replace("/", "_") for part in (*what, name))
    return options.out / f"{key}.json"


def compared(searches: dict[str, list[Outcomes]], selector: str) -> dict[str, Any]:
    """Rates, and differences to the baselines on the problems that both have."""

    def by_problem(arm: str, key: str | None = None) -> dict[str, float]:
        search, selects = ARMS[arm]
        key = key or (selector if selects else PUBLIC)
        seeds = searches[search]
        shared = set.intersection(*(set(found) for found in seeds))
        return {p: mean([found[p][key] for found in seeds]) for p in sorted(shared)}

    table: dict[str, Any] = {}
    for name in ARMS:
        chosen, passed = by_problem(name), by_problem(name, "any")
        row: dict[str, Any] = {"problems": len(chosen)}
        row["pass@1(mcts)"] = _interval(list(chosen.values()))
        row["pass@n"] = _interval(list(passed.values()))
        for base in BASELINES:
            other = by_problem(base)
            shared = sorted(chosen.keys() & other.keys())
            changes = [chosen[p] - other[p] for p in shared]
            row[f"minus {base}"] = [mean(changes), *difference_ci(changes)]
        table[name] = row
    return table


def _interval(values: Sequence[float]) -> list[float]:
    return [mean(values), *bootstrap_ci(values)]


def show(report: dict[str, Any]) -> str:
    """A table for each searcher."""
    lines = [report["machine"]]
    widths = (22, 22, *(26 for _ in BASELINES))
    heads = ("Pass@1(MCTS)", "Pass@N", *(f"minus {base}" for base in BASELINES))
    for who, table in report["results"].items():
        lines.append(
            f"\n{who:<18}" + "".join(f"{h:>{w}}" for h, w in zip(heads, widths, strict=True))
        )
        for name, row in table.items():
            cells = [_cell(row["pass@1(mcts)"], ""), _cell(row["pass@n"], "")]
            cells += [_cell(row[f"minus {base}"], "+") for base in BASELINES]
            shown = (f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))
            lines.append(f"{name:<18}" + "".join(shown))
    return "\n".join(lines)


def _cell(value: Sequence[float], sign: str) -> str:
    return f"{value[0]:{sign}.3f} [{value[1]:{sign}.3f}, {value[2]:{sign}.3f}]"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--team", choices=["lab", "smollm2"], default="lab")
    parser.add_argument("--problems", type=int, help="how many [lab: 100, smollm2: 20]")
    parser.add_argument("--nodes", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 0 on")
    parser.add_argument("--reward-model", help="directory")
    parser.add_argument("--out", type=Path, help="keep finished parts here")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.problems = options.problems or (100 if options.team == "lab" else 20)
    results = asyncio.run(measure(options))
    report = {
        "machine": (
            f"{platform.machine()}, {os.cpu_count()} cores, {options.team}, "
            f"{options.problems} problems, {options.nodes} nodes a tree, {options.seeds} seeds, "
            f"selection: {selection(options)}"
        ),
        "results": {
            who: compared(searches, selection(options)) for who, searches in results.items()
        },
    }
    print(json.dumps(finite(report)) if options.json else show(report))


if __name__ == "__main__":
    main()
