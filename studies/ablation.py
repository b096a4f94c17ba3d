"""What each part of MARS²-T+ adds, at an equal budget of nodes: one agent and a team.

Strategies from plain to whole: `repeated` and `sequential`; `ab-mcts` as training rolls out (no
error feedback, the most frequent program); that with each part alone (error feedback in
refinements, depth-guided exploration, the answer by behaviour or by a reward model); and all of
them, `mars2-t+`. Every strategy gets the same problems, seeds and number of nodes, and sees public
tests only. Reported: Pass@1(MCTS), the private result of the chosen program; Pass@N, whether any
node passes; and the differences to `repeated` and to `ab-mcts`, paired by problem, with 95 %
bootstrap intervals. What comes out is printed, also where the order fails.

    python studies/ablation.py                               # the lab's micro models, minutes
    python studies/ablation.py --team smollm2 --nodes 8      # SmolLM2-135M, builtin problems

The lab's problems show one weak example each (see `reward_model.py`): with their own public tests
nearly every search ends right. `--out DIR` keeps each finished part, and the next call goes on
from there; `--reward-model DIR` answers by one that `mars2 reward-model train` wrote.
"""

from __future__ import annotations

import argparse
import asyncio
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
from mars2.evaluation.metrics import bootstrap_ci, mean
from mars2.inference.guide import make_guide
from mars2.inference.rollout import Rollout
from mars2.problems import load
from mars2.training.rundir import finite
from mars2.types import Problem
from mars2.verifier import AnyVerifier, make_verifier

PLAIN: dict[str, Any] = {"strategy": "ab-mcts", "error_feedback": False, "depth_guided": False}
ARMS: dict[str, tuple[dict[str, Any], bool]] = {  # search settings, and whether it selects
    "repeated": ({**PLAIN, "strategy": "repeated"}, False),
    "sequential": ({**PLAIN, "strategy": "sequential"}, False),
    "ab-mcts": (PLAIN, False),
    "+ error feedback": ({**PLAIN, "error_feedback": True}, False),
    "+ depth guidance": ({**PLAIN, "depth_guided": True}, False),
    "+ selection": (PLAIN, True),
    "mars2-t+": ({**PLAIN, "error_feedback": True, "depth_guided": True}, True),
}
BASELINES = ("repeated", "ab-mcts")
Outcomes = dict[str, list[float]]  # problem → [chosen passes, any passes]


def settings(options: argparse.Namespace) -> RunConfig:
    """Team, limits and seed."""
    if options.team == "lab":
        text = Path(str(files("mars2") / "configs" / "quickstart.toml"))
        base = load_config(text).model_dump()
    else:
        one = {"spec": "hf:smollm2", "temperature": 0.8, "max_tokens": 256}
        agents = [{**one, "name": name, "role": role} for name, role in ROLES.items()]
        base = {"agents": agents, "verifier": {"time_limit_s": 4.0}}
    base["seed"] = options.seed
    base.setdefault("search", {}).update(nodes=options.nodes, in_flight=2)
    return load_config(base=base)


ROLES = {"coder": "coder", "fixer": "coder"}


def problems(options: argparse.Namespace) -> list[Problem]:
    """What is solved: easiest first of `builtin`, held-out ones of the lab."""
    if options.team == "lab":
        return [weakened(p) for p in load("lab:mix:heldout", limit=options.problems or 100)]
    return load("builtin", limit=options.problems or 20)


async def run_arm(
    name: str,
    agents: dict[str, Agent],
    tasks: Sequence[Problem],
    config: RunConfig,
    selection: InferenceConfig,
    verifier: AnyVerifier,
) -> Outcomes:
    """Each problem's outcome; what the machinery failed on is left out."""
    search, selects = ARMS[name]
    guide = make_guide(selection if selects else InferenceConfig())
    rollout = Rollout(
        agents, verifier, config.search.model_copy(update=search), seed=config.seed, guide=guide
    )
    trees = await rollout.forest([(f"{p.id}", p) for p in tasks])
    found: Outcomes = {}
    for problem, tree in zip(tasks, trees, strict=True):
        outcome = await judge_tree(problem, tree, verifier, guide, config.seed)
        if outcome is not None:
            found[problem.id] = [float(outcome.selected), float(outcome.any_passed)]
    return found


async def measure(options: argparse.Namespace) -> dict[str, dict[str, Outcomes]]:
    """Who searched → strategy → outcomes."""
    config, tasks = settings(options), problems(options)
    selector = "combined" if options.reward_model else "agreement"
    selection = InferenceConfig(selector=selector, reward_model=options.reward_model)
    team = build_team(config.agents)
    first = next(iter(team.agents))
    results: dict[str, dict[str, Outcomes]] = {}
    try:
        async with make_verifier(config.verifier) as verifier:
            for who, agents in (
                (f"one ({first})", {first: team.agents[first]}),
                ("team", team.agents),
            ):
                for name in ARMS:
                    kept = _kept(options, f"{who} {name}")
                    started = time.monotonic()
                    if kept is not None and kept.exists():
                        found = json.loads(kept.read_text())
                    else:
                        found = await run_arm(name, agents, tasks, config, selection, verifier)
                        if kept is not None:
                            kept.write_text(json.dumps(found))
                    results.setdefault(who, {})[name] = found
                    seconds = time.monotonic() - started
                    print(f"{who}: {name}: {len(found)} problems, {seconds:.0f} s", file=sys.stderr)
    finally:
        await team.aclose()
    return results


def _kept(options: argparse.Namespace, name: str) -> Path | None:
    if options.out is None:
        return None
    options.out.mkdir(parents=True, exist_ok=True)
    what = (options.team, options.problems, options.nodes, options.seed, options.reward_model)
    key = "-".join(str(part).replace("/", "_") for part in (*what, name))
    return options.out / f"{key}.json"


def compared(arms: dict[str, Outcomes]) -> dict[str, Any]:
    """Rates, and differences to the baselines on the problems that both have."""
    table: dict[str, Any] = {}
    for name, found in arms.items():
        chosen, passed = ([row[i] for row in found.values()] for i in (0, 1))
        row: dict[str, Any] = {
            "problems": len(found),
            "pass@1(mcts)": [mean(chosen), *bootstrap_ci(chosen)],
            "pass@n": [mean(passed), *bootstrap_ci(passed)],
        }
        for base in BASELINES:
            other = arms[base]
            rises = [found[p][0] - other[p][0] for p in sorted(found.keys() & other.keys())]
            row[f"minus {base}"] = [mean(rises), *bootstrap_ci(rises)]
        table[name] = row
    return table


def show(report: dict[str, Any]) -> str:
    """A table for each searcher."""
    lines = [report["machine"]]
    for who, table in report["results"].items():
        lines.append(
            f"\n{who:<18}{'Pass@1(MCTS)':>22}{'Pass@N':>22}"
            + "".join(f"{'minus ' + base:>26}" for base in BASELINES)
        )
        for name, row in table.items():
            cells = [_cell(row["pass@1(mcts)"], ""), _cell(row["pass@n"], "")]
            cells += [_cell(row[f"minus {base}"], "+") for base in BASELINES]
            widths = (22, 22, 26, 26)
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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reward-model", help="directory")
    parser.add_argument("--out", type=Path, help="keep finished parts here")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = asyncio.run(measure(options))
    report = {
        "machine": (
            f"{platform.machine()}, {os.cpu_count()} cores, {options.team}, "
            f"{options.nodes} nodes a tree, seed {options.seed}, "
            f"selection by {'reward model' if options.reward_model else 'agreement'}"
        ),
        "results": {who: compared(arms) for who, arms in results.items()},
    }
    print(json.dumps(finite(report)) if options.json else show(report))


if __name__ == "__main__":
    main()
