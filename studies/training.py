"""What training on a tree brings, and what a second model in it: vanilla GRPO, tree, team.

Methods, on the lab's two micro models (`docs/lab.md`), all with the same batch of nodes for each
policy and update:

    grpo   one agent, repeated sampling (every node a first attempt), no shaping, token-level ratio
    tree   one agent, AB-MCTS with refinements, tree-consistent shaping, sequence-level ratio
    team   as tree, with both agents in each tree

and controls, run only when named with --only: `tree-unshaped`, `team-unshaped` (no shaping) and
`team-grpo` (both agents share a group as in `grpo`). A method of one agent is run for each model.

Equal samples are counted in two ways. A team's run has `steps` updates of both policies, and each
node teaches one of them. A single agent's run has twice the updates on half the trees; half-way it
has had as many nodes as one policy of the team ("per policy"), at the end as many as the team in
all ("in all"). Each arm x seed is an ordinary `mars2 train` run in DIR/ARM-SEED; then `mars2 eval`
searches held-out trees with the trained policies, together and alone, in
DIR/search-METHOD-WHO-SEED. Finished runs are skipped and unfinished ones resumed; the tables come
from the runs' files alone.

    python studies/training.py --out DIR --tune           # learning rates, on training problems
    python studies/training.py --out DIR [--seeds 3] [--only ARM] [--half] [--dry-run]
    python studies/training.py --out DIR --report-only [--json] [--signal]
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

from training_report import build, first_attempts, show, tuning_table
from training_signal import table

from mars2.study.grid import toml

MODELS = ("lark", "loom")
VANILLA: dict[str, Any] = {
    "search": {"strategy": "repeated", "in_flight": 8},
    "credit": {"shaping_gamma": 0.0},
    "objective": {"level": "token"},
}
UNSHAPED: dict[str, Any] = {"credit": {"shaping_gamma": 0.0}}
METHODS: dict[str, dict[str, Any]] = {
    "grpo": VANILLA,
    "tree": {},
    "team": {},
    "tree-unshaped": UNSHAPED,
    "team-unshaped": UNSHAPED,
    "team-grpo": VANILLA,
}
MAIN = ("grpo", "tree", "team")
RATES = (1e-4, 2e-4, 4e-4)
LR = dict.fromkeys(METHODS, 2e-4)
TUNING_SEED, TUNING_STEPS = 100, 24  # no seed of the study
SECONDS_A_NODE = 0.012  # on two shared cores, updates included; from the first runs


@dataclass(frozen=True)
class Job:
    """One command: `mars2 train` or `mars2 eval` with a config of its own."""

    name: str
    settings: dict[str, Any]
    source: str | None = None  # of `mars2 eval`; None: `mars2 train`

    def nodes(self) -> int:
        """Programs that it generates, evaluations included."""
        s, agents = self.settings, len(self.settings["agents"])
        one = s["problems"]["heldout_limit"] * (s["eval"]["samples"] * agents + s["eval"]["nodes"])
        if self.source:
            return one
        train = s["train"]
        points = 2 + (train["steps"] - 1) // train["eval_every"] if train["eval_every"] else 2
        evaluations = points * one if s["problems"].get("heldout") else 0
        return train["steps"] * train["trees_per_step"] * s["search"]["nodes"] + evaluations

    def finished(self, out: Path) -> bool:
        return (out / self.name / ("results.json" if self.source else "report.json")).exists()

    def half(self, out: Path) -> Path | None:
        """What exists once the run is at its evaluation half-way; None: it has none."""
        every = self.settings["train"].get("eval_every")
        name = f"checkpoints/step-{every:05d}/COMPLETE" if every else None
        return None if name is None else out / self.name / name

    def argv(self, out: Path, config: Path) -> list[str]:
        directory = out / self.name
        words = ["train"]
        if self.source:
            words = [
                "eval",
                self.source,
                "--limit",
                str(self.settings["problems"]["heldout_limit"]),
            ]
        words += ["--config", str(config), "--out", str(directory)]
        return words + (["--resume"] if (directory / "config.json").exists() else [])


def is_team(method: str) -> bool:
    """Whether the method trains both models in one run."""
    return method.startswith("team")


def arms(method: str) -> list[str]:
    """The runs that a method needs for one seed."""
    return [method] if is_team(method) else [f"{method}-{model}" for model in MODELS]


def training(method: str, arm: str, seed: int, options: argparse.Namespace) -> Job:
    """The run of an arm."""
    settings = base(options, MODELS if is_team(method) else (arm.removeprefix(f"{method}-"),))
    _merge(settings, copy.deepcopy(METHODS[method]))
    settings["seed"] = seed
    settings["learner"]["lr"] = LR[method]
    # the team's trees are about another agent's work by half: half as many for one agent
    whole = {"steps": options.steps, "trees_per_step": options.trees, "eval_every": 0}
    half = {
        "steps": 2 * options.steps,
        "trees_per_step": options.trees // 2,
        "eval_every": options.steps,
    }
    settings["train"] |= whole if is_team(method) else half
    return Job(f"{arm}-{seed}", settings)


def searching(method: str, who: str, seed: int, options: argparse.Namespace) -> Job:
    """Held-out trees of trained (or, for method "base", untrained) policies."""
    settings = base(options, MODELS if who == "both" else (who,))
    settings["seed"] = seed
    settings["eval"] |= {"samples": 1, "nodes": options.nodes}
    settings["problems"]["heldout_limit"] = options.search_problems
    for agent in settings["agents"]:
        name = agent["name"]
        arm = method if is_team(method) else f"{method}-{name}"
        if method != "base":
            agent["spec"] = f"micro:{options.out / f'{arm}-{seed}' / 'final' / name}"
    return Job(f"search-{method}-{who}-{seed}", settings, "lab:mix:heldout")


def tuning(options: argparse.Namespace) -> Iterator[tuple[str, float, Job]]:
    """Short runs on training problems, none of them seen twice: one model, or both as a team."""
    for rate in RATES:
        for method in MAIN:
            arm = arms(method)[0]
            settings = training(method, arm, TUNING_SEED, options).settings
            del settings["problems"]["heldout"]
            settings["learner"]["lr"] = rate
            settings["train"] |= {
                "steps": TUNING_STEPS,
                "trees_per_step": options.trees // 2,
                "eval_every": 0,
            }
            yield arm, rate, Job(f"tune-{arm}-{rate:g}", settings)


def base(options: argparse.Namespace, models: Sequence[str]) -> dict[str, Any]:
    """The quickstart's settings, for these models."""
    text = files("mars2").joinpath("configs/quickstart.toml").read_text("utf-8")
    settings = tomllib.loads(text)
    settings["agents"] = [a for a in settings["agents"] if a["name"] in models]
    del settings["train"]["time_budget_s"]
    settings["search"] |= {"nodes": options.nodes, "in_flight": options.in_flight}
    settings["problems"]["heldout_limit"] = options.problems
    settings["eval"] |= {"samples": options.samples, "nodes": 1}
    settings["train"] |= {"checkpoint_every": 10, "keep_checkpoints": 2}
    return settings


def _merge(into: dict[str, Any], new: dict[str, Any]) -> None:
    for section, values in new.items():
        into.setdefault(section, {}).update(values)


def plan(options: argparse.Namespace) -> list[Job]:
    """Everything to run, seed by seed, so that an early end leaves whole seeds."""
    if options.tune:
        return [job for _, _, job in tuning(options)]
    jobs = []
    for seed in range(options.seeds):
        for method in METHODS:
            wanted = [
                arm
                for arm in arms(method)
                if (options.only in (arm, method) if options.only else method in MAIN)
            ]
            jobs += [training(method, arm, seed, options) for arm in wanted]
    if options.only or options.half:
        return jobs
    for who in ("both", *MODELS):
        for seed in range(options.seeds):
            jobs += [searching(m, who, seed, options) for m in ("base", *MAIN)]
    return jobs


def execute(jobs: Sequence[Job], options: argparse.Namespace) -> None:
    """Run what is not finished, one process at a time."""
    options.out.mkdir(parents=True, exist_ok=True)
    deadline = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    for job in jobs:
        if job.finished(options.out):
            continue
        if deadline is not None and time.monotonic() > deadline:
            print(f"--minutes {options.minutes:g} are over before {job.name}", file=sys.stderr)
            return
        half = job.half(options.out) if options.half else None
        if half is not None and half.exists():
            continue
        config = options.out / f"{job.name}.toml"
        config.write_text(toml(job.settings), encoding="utf-8")
        started = time.monotonic()
        with open(options.out / f"{job.name}.log", "a", encoding="utf-8") as log:
            call(
                [sys.executable, "-m", "mars2.cli.main", *job.argv(options.out, config)], log, half
            )
        print(f"{job.name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def call(argv: Sequence[str], log: IO[str], until: Path | None) -> None:
    """Run a command to its end, or end it once `until` exists.

    Raises:
        CalledProcessError: it failed.
    """
    env = {"OMP_NUM_THREADS": "1"} | os.environ
    with subprocess.Popen(argv, stdout=log, stderr=log, env=env) as process:
        while until is not None and process.poll() is None:
            if until.exists():
                process.terminate()  # SIGINT is ignored by jobs of a shell in the background
                process.wait()
                return
            time.sleep(1)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)


def costs(jobs: Sequence[Job], out: Path) -> str:
    """What there is to run, and how long it may take."""
    lines, seconds = [], 0.0
    for job in jobs:
        begun = (out / job.name / "config.json").exists()
        state = "finished" if job.finished(out) else "unfinished" if begun else "to run"
        if state != "finished":
            seconds += job.nodes() * SECONDS_A_NODE
        lines.append(f"{job.name:<26}{state:<12}{job.nodes():>7} nodes")
    lines.append(f"left: about {seconds / 60:.0f} minutes at {SECONDS_A_NODE} s a node")
    return "\n".join(lines)


def main() -> None:
    """Run, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="directory of the runs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20, help="updates of a team's policies")
    parser.add_argument("--trees", type=int, default=32, help="trees a step of a team")
    parser.add_argument("--nodes", type=int, default=8, help="nodes a tree")
    parser.add_argument("--in-flight", type=int, default=4, help="expansions at once in a tree")
    parser.add_argument("--problems", type=int, default=200, help="held-out problems")
    parser.add_argument("--samples", type=int, default=4, help="first attempts an agent, problem")
    parser.add_argument("--search-problems", type=int, default=100, help="held-out trees")
    parser.add_argument("--only", help="one arm (grpo-lark), or all arms of a method (tree)")
    parser.add_argument("--tune", action="store_true", help="the grid of learning rates instead")
    parser.add_argument("--half", action="store_true", help="one agent's runs only half-way")
    parser.add_argument("--minutes", type=float, help="start nothing new after that")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--report-only", action="store_true")
    parser.add_argument("--signal", action="store_true", help="what taught, from the journals")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.out = options.out.absolute()
    known = [*METHODS, *(arm for method in METHODS for arm in arms(method))]
    if options.only and options.only not in known:
        parser.error(f"--only {options.only!r}: there are {', '.join(dict.fromkeys(known))}")
    jobs = plan(options)
    if options.dry_run:
        print(costs(jobs, options.out))
        return
    if not options.report_only:
        execute(jobs, options)
    if options.tune:
        tuned = [
            (arm, rate, first_attempts(options.out / job.name, last=TUNING_STEPS // 3))
            for arm, rate, job in tuning(options)
            if job.finished(options.out)
        ]
        print(tuning_table(tuned))
        return
    if options.signal:
        print(table(options.out, {m: arms(m) for m in METHODS}, options.seeds))
        return
    report = build(options.out, {m: arms(m) for m in METHODS}, options.seeds)
    print(json.dumps(report) if options.json else show(report))


if __name__ == "__main__":
    main()
