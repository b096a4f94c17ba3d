"""`mars2 train`: search, credit, learn; evaluation before and after when held-out problems are
named. `quickstart` runs the same with a packaged config.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from mars2.agents.team import Team
from mars2.cli.options import (
    chosen,
    config_options,
    json_option,
    preset_option,
    run_async,
    runtime_options,
    telemetry_options,
)
from mars2.cli.output import Output, percent
from mars2.cli.selection import Selection
from mars2.cli.step_view import step_line, step_table
from mars2.config import RunConfig, load_config
from mars2.errors import ResumeError, UsageError
from mars2.evaluation.evaluate import EvalResult, evaluate, paired_rise
from mars2.inference.rollout import Rollout
from mars2.runtime.base import Runtime, open_runtime
from mars2.search.journal import Journal
from mars2.telemetry import span
from mars2.telemetry.session import watched
from mars2.training.rundir import RunDir, write_json
from mars2.training.trackers import Kind, Trackers, check_trackers
from mars2.types import Problem
from mars2.verifier import AnyVerifier


@click.command(name="train")
@config_options
@telemetry_options
@runtime_options
@preset_option
@click.option("--problems", "train_source", help="Training problems (problems.train).")
@click.option("--heldout", help="Held-out problems, evaluated before and after.")
@click.option("--steps", type=click.IntRange(min=1), help="Steps (train.steps).")
@click.option(
    "--frozen",
    multiple=True,
    metavar="NAME",
    help="An agent that takes part but does not learn (repeatable).",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Run directory: new or empty; with --resume, the run to continue.",
)
@click.option("--resume", is_flag=True, help="Continue the run in --out with its own settings.")
@json_option
def command(
    train_source: str | None,
    heldout: str | None,
    steps: int | None,
    frozen: tuple[str, ...],
    out: Path,
    resume: bool,
    as_json: bool,
    **shared: Any,
) -> None:
    """Train a team by multi-agent tree search on executed problems."""
    if serves():
        return
    output = Output(as_json)
    forced = {
        "problems__train": train_source,
        "problems__heldout": heldout,
        "train__steps": steps,
    }
    if resume and shared["preset"]:
        output.log(f"--resume: the run has its own settings; --preset {shared['preset']} is unused")
    config = resolve_run(out, resume, shared, forced)
    if not config.agents:
        raise UsageError("no agents: give --agent NAME=BACKEND:MODEL, or a --config")
    config = freeze(config, frozen)
    report = run_training(config, out, resume, output)
    if as_json:
        output.data(report)
    else:
        show_report(output, report, config)


def resolve_run(
    out: Path,
    resume: bool,
    shared: dict[str, Any],
    forced: dict[str, Any],
    base: dict[str, Any] | None = None,
) -> RunConfig:
    """The settings of a run: from options, or on resume those of the run itself, on top of which
    options are allowed only as long as they change nothing (checked when the run is opened).

    Raises:
        ConfigError: bad file, key or value.
        ResumeError: `out` holds no run.
    """
    if resume:
        path = out / "config.json"
        try:
            base = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ResumeError(f"--resume: {out} holds no run to continue: {error}") from None
    return chosen(shared).resolve(base, **forced)


def freeze(config: RunConfig, frozen: Sequence[str]) -> RunConfig:
    """The same settings with `train = false` for these agents. Raises UsageError for others."""
    data = config.model_dump()
    agents = {a["name"]: a for a in data["agents"]}
    for name in frozen:
        if name not in agents:
            raise UsageError(f"--frozen {name}: the team has {', '.join(agents)}")
        agents[name]["train"] = False
    return load_config(base=data)


def run_training(config: RunConfig, out: Path, resume: bool, output: Output) -> dict[str, Any]:
    """Train and evaluate; returns the report (see `Session.report`)."""
    with watched(config.telemetry, "train", out.resolve().name, output.log):
        return _run_training(config, out, resume, output)


def _run_training(config: RunConfig, out: Path, resume: bool, output: Output) -> dict[str, Any]:
    _refuse_budgets(config)
    try:
        import mars2.training.trainer  # noqa: F401
        from mars2.training.memory import share_one_heap
    except ImportError as error:
        raise UsageError(f"training needs torch: pip install 'mars2[train]' ({error})") from None
    check_trackers(config.train.trackers)
    if not resume:
        RunDir.check_new(out)
    limits = config.problems
    wanted = Selection(limits.difficulty, limits.since, limits.until, limits.limit, limits.skip_bad)
    problems = wanted.load(limits.train, output)
    held = Selection(limit=limits.heldout_limit, skip_bad=limits.skip_bad)
    heldout = held.load(limits.heldout, output) if limits.heldout else []
    share_one_heap()  # before policies and learners start threads
    with open_runtime(config, output.log) as runtime:
        session = Session(config, out, resume, output, problems, heldout, runtime)
        return run_async(session.run())


def serves() -> bool:
    """Whether torchrun started this process to be part of sharded learners. Then it has been, and
    nothing is left to do; the process that is rank 0 runs the command."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or os.environ["RANK"] == "0":
        return False
    from mars2.training.sharded import serve

    serve()
    return True


def _refuse_budgets(config: RunConfig) -> None:
    """Trees of unequal size, cut by a budget, would change what is learnt."""
    limits = config.budget.model_dump(exclude_defaults=True)
    if limits:
        raise UsageError(
            f"budget.{min(limits)} is set, which training does not follow: leave it out; "
            "train.steps, train.time_budget_s, search.nodes and eval.nodes bound a training run"
        )


@dataclass
class Session:
    """One call of `train`: the team, the verifier and the evaluations around the loop."""

    config: RunConfig
    out: Path
    resume: bool
    output: Output
    problems: list[Problem]
    heldout: list[Problem]
    runtime: Runtime
    _evaluated: dict[str, EvalResult] = field(default_factory=dict)
    _trackers: Trackers | None = None

    async def run(self) -> dict[str, Any]:
        """Everything, and what it came to.

        Raises:
            Mars2Error: as `mars2.training.trainer.train`.
        """
        from mars2.training.trainer import StepReport, train

        started = time.monotonic()
        team = self.runtime.team()
        policies = {name: agent.policy.name for name, agent in team.agents.items()}
        try:
            async with self.runtime.verifier() as verifier:

                async def on_start(run: RunDir, step: int) -> None:
                    learning = run.manifest["learning"]
                    still = [n for n, a in team.agents.items() if a.policy.name not in learning]
                    if still:
                        self.output.log(f"taking part without learning: {', '.join(still)}")
                    if step:
                        self.output.log(f"resumed after step {step}")
                    self._forget_later(run, step)
                    self._trackers = Trackers(
                        self.config.train.trackers,
                        run.path,
                        self.config.model_dump(mode="json"),
                        step,
                        self.output.log,
                    )
                    await self._evaluate("before", 0, run, team, verifier)

                async def on_step(report: StepReport) -> float | None:
                    self.output.log_table(
                        lambda: step_table(report.metrics, report.steps, policies),
                        step_line(report.metrics, report.steps),
                    )
                    self._track("metrics", report.metrics, report.step)
                    every, last = self.config.train.eval_every, report.step == report.steps
                    if not every or (report.step % every and not last):
                        return None
                    label = "after" if last else f"step{report.step:05d}"
                    return await self._evaluate(label, report.step, report.run, team, verifier)

                result = await train(
                    self.config,
                    self.out,
                    agents=team.agents,
                    problems=self.problems,
                    open_forest=lambda journal: Rollout(
                        team.agents,
                        verifier,
                        self.config.search,
                        seed=self.config.seed,
                        reward=self.config.credit.reward,
                        reward_tests=self.config.credit.reward_tests,
                        journal=journal,
                        ordered=self.config.train.mode == "sync",
                    ),
                    resume=self.resume,
                    on_start=on_start,
                    on_step=on_step,
                    make_learner=self.runtime.make_learner,
                    say=self.output.log,
                )
                if "after" not in self._evaluated:
                    await self._evaluate("after", result.steps, result.run, team, verifier)
        finally:
            if self._trackers is not None:
                self._trackers.close()
            await team.aclose()
        return self._report(result, time.monotonic() - started)

    def _track(self, kind: Kind, row: dict[str, Any], step: int) -> None:
        if self._trackers is not None:
            self._trackers.log(kind, row, step)

    def _forget_later(self, run: RunDir, step: int) -> None:
        """Evaluations of weights that are about to be made anew."""
        for path in (run.path / "eval").glob("*.json*"):
            after = path.stem == "after" and step < self.config.train.steps
            # A synchronous run makes the same weights again; their evaluation goes on.
            later = path.stem > f"step{step:05d}" and path.stem.startswith("step")
            if after or (later and self.config.train.mode == "async"):
                path.unlink()

    async def _evaluate(
        self, label: str, step: int, run: RunDir, team: Team, verifier: AnyVerifier
    ) -> float | None:
        """The agents' mean pass@1 on held-out problems, None if there are none."""
        if not self.heldout:
            return None
        directory = run.path / "eval"
        with Journal.open(directory / f"{label}.jsonl", {"config_hash": run.digest}) as journal:
            total = len(self.heldout) * (
                self.config.eval.samples * len(team.agents) + self.config.eval.nodes
            )
            showing = self.output.progress(f"held-out evaluation, {label}", total)
            with span("evaluation", label=label), showing as advance:
                result = await evaluate(
                    team.agents,
                    self.heldout,
                    verifier,
                    self.config,
                    label=label,
                    journal=journal,
                    on_node=lambda _: advance(),
                )
        self._evaluated[label] = result
        summary = self._summary(result)
        write_json(directory / f"{label}.json", {"summary": summary, "outcomes": result.to_json()})
        self._track("eval", summary, step)
        means = ", ".join(f"{n} {a['pass@1']:.3f}" for n, a in summary["agents"].items())
        self.output.log(f"held-out pass@1 {label}: {means}")
        return summary["team"]["pass@1"]

    def _summary(self, result: EvalResult) -> dict[str, Any]:
        return result.summary(resamples=self.config.eval.bootstrap, seed=self.config.seed)

    def _report(self, result: Any, seconds: float) -> dict[str, Any]:
        report: dict[str, Any] = {"before": None, "after": None}
        if self.heldout:
            before, after = self._evaluated["before"], self._evaluated["after"]
            report = {"before": self._summary(before), "after": self._summary(after)}
            report["rise"] = paired_rise(
                before, after, resamples=self.config.eval.bootstrap, seed=self.config.seed
            )
        report |= {
            "steps": result.steps,
            "status": result.status,
            "seed": self.config.seed,
            "final": {name: str(path) for name, path in result.final.items()},
            "best": result.run.manifest.get("best"),
            "halted": result.run.manifest.get("halted", {}),
            "seconds": round(seconds, 1),
            "run_dir": str(self.out),
        }
        write_json(result.run.path / "report.json", report)
        return report


def show_report(output: Output, report: dict[str, Any], config: RunConfig) -> None:
    """Before and after, side by side."""
    if report["before"] is None:
        output.show(f"{report['status']} after {report['steps']} steps; no held-out problems")
    else:
        show_change(output, report, config)
    if report["status"] == "stopped":
        budget, steps = config.train.time_budget_s, config.train.steps
        output.show(
            f"training stopped after {report['steps']} of {steps} steps: "
            f"train.time_budget_s = {budget:g} was spent"
        )
    for name, reason in report["halted"].items():
        output.show(f"{name} stopped learning: {reason}")
    for name, path in report["final"].items():
        output.show(f"weights of {name}: {path}")
    if best := report["best"]:
        output.show(f"best kept step: {best['step']} ({best['measure']} {best['value']:.3f})")
    output.show(f"run: {report['run_dir']}  ({report['seconds']} s)")


def show_change(output: Output, report: dict[str, Any], config: RunConfig) -> None:
    """The table that says whether anything was learnt."""
    before, after = report["before"], report["after"]
    rows = [
        [name, "pass@1", percent(old["pass@1"], old["ci95"]), percent(new["pass@1"], new["ci95"])]
        for (name, old), new in zip(before["agents"].items(), after["agents"].values(), strict=True)
    ]
    for key, title in {
        "pass@1(mcts)": "Pass@1(MCTS)",
        "pass@n": f"Pass@N (N = {config.eval.nodes})",
    }.items():
        rows.append(
            ["team", title]
            + [percent(x["team"][key], x["team"]["ci95"][key]) for x in (before, after)]
        )
    rise = report["rise"]
    output.table(
        f"{config.problems.heldout}: {rise['problems']} held-out problems, 95 % intervals",
        ["who", "metric", "before", "after"],
        rows,
    )
    output.show(f"mean pass@1 of the agents rose by {percent(rise['mean'], rise['ci95'])}")
