"""What a cell's process does, one job after the other; each is a command of `mars2`, or the cell's
record. A job that is finished has a marker, which also says what it cost.

    DIR/cells/ARM/SEED/...     run directories of `mars2 train` and `mars2 eval`
    DIR/done/...json           a marker a job
    DIR/records/ARM/SEED.json  what a finished cell came to, by problem
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from mars2.errors import Mars2Error, ResumeError
from mars2.lab.dial import Recipe
from mars2.study.grid import Cell, Grid, Search, TrainRun, toml
from mars2.study.models import PREFIX, made_agent, make, recipes
from mars2.study.record import make_record
from mars2.training.rundir import write_atomic, write_json

Kind = Literal["model", "train", "eval", "reward-model", "record"]
Run = Callable[[Sequence[str]], int]
"""Runs a command of `mars2`; its exit code."""


@dataclass(frozen=True, slots=True)
class Job:
    """`nodes`: programs it generates (or, making a model, examples that it learns from), `updates`:
    of all policies; `work` does it, given how to run a command, and returns the exit code."""

    name: str
    kind: Kind
    nodes: int
    updates: int
    work: Callable[[Run], int]

    def marker(self, out: Path) -> Path:
        """Exists once the job is finished."""
        return out / "done" / f"{self.name}.json"

    def finished(self, out: Path) -> bool:
        """Whether it has been done."""
        return self.marker(out).exists()

    def do(self, out: Path, run: Run) -> int:
        """Do it and leave the marker, with its wall time and its CPU time in seconds, that of ended
        child processes included. What it costs is measured only if nothing was begun."""
        begun = out / "begun" / f"{self.name}.json"
        whole = not begun.exists()
        begun.parent.mkdir(parents=True, exist_ok=True)
        begun.touch()
        started, used = time.monotonic(), _cpu_seconds()
        code = self.work(run)
        if code == 0:
            seconds = round(time.monotonic() - started, 2) if whole else None
            cpu = round(_cpu_seconds() - used, 2) if whole else None
            self.marker(out).parent.mkdir(parents=True, exist_ok=True)
            facts = {"kind": self.kind, "nodes": self.nodes, "updates": self.updates}
            write_json(self.marker(out), facts | {"seconds": seconds, "cpu_seconds": cpu})
        return code


def _cpu_seconds() -> float:
    """Of this process and its ended children; threads included."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def jobs_of(grid: Grid, cell: Cell) -> list[Job]:
    """Everything the cell needs, in order, what others need as well included."""
    searches = sorted(cell.searches, key=lambda s: s.evaluation is not None)
    uses_model = any(_uses_reward_model(s) for s in searches)
    rewards = grid.study.reward_model if uses_model else None
    jobs = _models(grid, [*cell.agents(), *(rewards.agents if rewards is not None else ())])
    for run in cell.runs():
        previous = 0
        for step in sorted(run.stages):
            jobs.append(_stage(grid, run, step, previous))
            previous = step
    if rewards is not None:
        jobs += _reward_model(grid)
    jobs += [_search(grid, search) for search in searches]
    return [*jobs, _record(grid, cell)]


def _uses_reward_model(search: Search) -> bool:
    inference = search.config.inference
    chooses = inference.selector in ("reward-model", "combined")
    return search.evaluation is not None and (chooses or inference.reward_model_weight > 0)


# --------------------------------------------------------------------------- kinds of jobs


def count_problems(source: str | None, limit: int | None) -> int:
    """How many problems a source gives with this limit.

    Raises:
        ProblemError: the source is unusable.
    """
    there = _all_problems(source) if source else 0
    return there if limit is None else min(limit, there)


@lru_cache(maxsize=4)
def _all_problems(source: str) -> int:
    from mars2.problems import load

    return len(load(source))


def _models(grid: Grid, agents: Sequence[str]) -> list[Job]:
    """Of the models that the study makes for these agents."""
    specs = dict.fromkeys(grid.study.agent(name)["spec"] for name in agents)
    names = [spec.removeprefix(PREFIX) for spec in specs if spec.startswith(PREFIX)]

    def job(name: str, wanted: Recipe) -> Job:
        def work(call: Run) -> int:
            make(grid.out, wanted)
            return 0

        return Job(f"models/{name}", "model", wanted.steps * wanted.batch, 0, work)

    found = recipes([grid.study.models[name] for name in names])
    return [job(name, wanted) for name, wanted in found.items()]


def _stage(grid: Grid, run: TrainRun, step: int, previous: int) -> Job:
    config = run.config
    heldout = count_problems(config.problems.heldout, config.problems.heldout_limit)
    points = [s for s in run.measured(step) if s > previous or (s == 0 == previous)]
    measured = len(points) * heldout * (config.eval.samples * len(config.agents) + 1)
    nodes = (step - previous) * run.step_nodes + measured
    updates = (step - previous) * run.policies * config.learner.minibatches

    def work(call: Run) -> int:
        folder, kept = run.folder(grid.out), run.stage(grid.out, step)
        done = _steps_done(folder)
        if done > step and not kept.exists():
            raise ResumeError(
                f"{run.name} has made {done} steps and what it was after {step} was not kept: the "
                "study was extended by an arm that needs it; give that arm a study of its own"
            )
        if not kept.exists():
            words = ["train", "--config", _written(grid, run.name, config.model_dump()), "--set"]
            words += [f"train.steps={step}", "--out", str(folder), *_again(folder)]
            code = call(words)
            if code:
                return code
            _keep(folder, kept)
        return 0

    return Job(f"{run.name}@{step}", "train", nodes, updates, work)


def _steps_done(folder: Path) -> int:
    try:
        return int(json.loads((folder / "manifest.json").read_text())["steps_done"])
    except (OSError, ValueError, KeyError):
        return 0


def _keep(folder: Path, kept: Path) -> None:
    """Copy what the next stage would replace: final weights and the evaluation after them."""
    partial = kept.with_name(f".{kept.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(folder / "final", partial / "weights")
    for suffix in (".json", ".jsonl"):
        shutil.copy(folder / "eval" / f"after{suffix}", partial / f"eval{suffix}")
    os.replace(partial, kept)


def _search(grid: Grid, search: Search) -> Job:
    config, source = search.config, search.config.problems.heldout or ""
    limit = config.problems.heldout_limit
    each = config.eval.samples * len(config.agents) + config.eval.nodes

    def work(call: Run) -> int:
        folder = search.folder(grid.out)
        path = _written(grid, search.name, config.model_dump())
        words = ["eval", source, "--config", path, "--out", str(folder), *_again(folder)]
        return call(words + ([] if limit is None else ["--limit", str(limit)]))

    return Job(search.name, "eval", count_problems(source, limit) * each, 0, work)


def _reward_model(grid: Grid) -> list[Job]:
    spec = grid.study.reward_model
    assert spec is not None
    agents = [made_agent(grid.study, grid.out, name) for name in spec.agents]
    config = grid.study.config({"search": {"nodes": spec.nodes}}, agents=agents, seed=0)
    folder = grid.reward_model.parent
    data, trees = folder / "data.jsonl", folder / "trees"

    def collect(call: Run) -> int:
        folder.mkdir(parents=True, exist_ok=True)
        data.unlink(missing_ok=True)  # of a call that was killed before it left its marker
        path = _written(grid, "reward-model", config.model_dump())
        words = ["reward-model", "collect", "--source", config.problems.train, "--config", path]
        words += ["--limit", str(spec.problems), "--out", str(data), "--grow", str(trees)]
        return call([*words, *_again(trees)])

    def fit(call: Run) -> int:
        model = grid.reward_model
        begun = model.is_dir() and any(model.iterdir())
        words = ["reward-model", "train", str(data), "--base", spec.base, "--out", str(model)]
        words += ["--epochs", str(spec.epochs), "--lr", str(spec.lr)]
        return call(words + (["--resume"] if begun else []))

    nodes = spec.problems * spec.nodes
    return [
        Job("reward-model/data", "reward-model", nodes, 0, collect),
        Job("reward-model/model", "reward-model", nodes * spec.epochs, 0, fit),
    ]


def record_path(out: Path, cell: Cell) -> Path:
    """Of a cell."""
    return out / "records" / cell.arm / f"{cell.seed}.json"


def _record(grid: Grid, cell: Cell) -> Job:
    # Its name says what it is of: with another evaluation in the study it is made anew.
    parts = "\n".join(sorted(search.name for search in cell.searches))
    digest = hashlib.sha256(parts.encode()).hexdigest()[:8]
    name = f"{cell.arm}/{cell.seed}/record-{digest}"

    def work(call: Run) -> int:
        path = record_path(grid.out, cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, make_record(grid, cell))
        return 0

    return Job(name, "record", 0, 0, work)


def _written(grid: Grid, name: str, settings: dict[str, Any]) -> str:
    """The settings as a file, for `--config`."""
    path = grid.out / "configs" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, toml(settings))
    return str(path)


def _again(folder: Path) -> list[str]:
    return ["--resume"] if (folder / "config.json").exists() else []


class CellFailed(Mars2Error):
    """A command of a cell ended with an error, which its log tells."""


def do_cell(grid: Grid, cell: Cell, run: Run, say: Callable[[str], None]) -> None:
    """All unfinished jobs of a cell.

    Raises:
        CellFailed: a command failed.
        KeyboardInterrupt: a command was interrupted.
    """
    for job in jobs_of(grid, cell):
        if job.finished(grid.out):
            continue
        say(f"job {job.name}")
        code = job.do(grid.out, run)
        if code == 130:
            raise KeyboardInterrupt
        if code:
            raise CellFailed(f"{job.name} ended with exit code {code}")
