"""`mars2 eval`: pass@k of each agent, Pass@1(MCTS) and Pass@N of the team, with intervals."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import click

from mars2 import __version__
from mars2.agents.team import build_team
from mars2.cli.options import (
    Ks,
    chosen,
    config_options,
    json_option,
    preset_option,
    run_async,
    telemetry_options,
)
from mars2.cli.output import Output, percent
from mars2.cli.selection import Selection, selection_options
from mars2.config import InferenceConfig, RunConfig, SearchConfig
from mars2.errors import UsageError
from mars2.evaluation.evaluate import EvalResult, evaluate
from mars2.evaluation.results import details, problem_info
from mars2.search.journal import Journal
from mars2.telemetry import emit
from mars2.telemetry.session import watched
from mars2.training.rundir import RunDir, problems_digest, write_json
from mars2.types import Problem
from mars2.verifier import make_verifier

STRATEGIES = get_args(SearchConfig.model_fields["strategy"].annotation)
SELECTORS = get_args(InferenceConfig.model_fields["selector"].annotation)


@click.command(name="eval")
@click.argument("source")
@config_options
@telemetry_options
@preset_option
@click.option("--budget", type=click.IntRange(min=1), help="Nodes of the team's tree [16].")
@click.option("--samples", type=click.IntRange(min=1), help="First attempts an agent [4].")
@click.option(
    "--k",
    "ks",
    type=Ks(),
    help="Estimate pass@k for these, from the first attempts, e.g. 1,4,8 [1 and --samples].",
)
@click.option("--strategy", type=click.Choice(STRATEGIES), help="Of the tree [ab-mcts].")
@click.option("--selector", type=click.Choice(SELECTORS), help="Who picks the answer [public].")
@selection_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep config, journal and results here.",
)
@click.option("--resume", is_flag=True, help="Go on in --out where an earlier call stopped.")
@json_option
def command(
    source: str,
    budget: int | None,
    samples: int | None,
    ks: list[int] | None,
    strategy: str | None,
    selector: str | None,
    out: Path | None,
    resume: bool,
    as_json: bool,
    **shared: Any,
) -> None:
    """Evaluate a team on the problems of SOURCE; private tests only judge."""
    output = Output(as_json)
    selection = Selection.taken(shared)
    config = chosen(shared).resolve(
        eval__nodes=budget,
        eval__samples=samples,
        search__strategy=strategy,
        inference__selector=selector,
    )
    if not config.agents:
        raise UsageError("no agents: give --agent NAME=BACKEND:MODEL[@URL], or a --config")
    if resume and out is None:
        raise UsageError("--resume needs --out, the directory to go on in")
    if ks and ks[-1] > config.eval.samples:
        raise UsageError(
            f"--k {ks[-1]}: pass@{ks[-1]} is estimated from at least {ks[-1]} independent first "
            f"attempts, and there are {config.eval.samples} an agent: give --samples {ks[-1]}. "
            "(Nodes of a tree are not independent; what the tree finds is Pass@N.)"
        )
    name = out.resolve().name if out else f"eval-{os.getpid()}"
    with watched(config.telemetry, "eval", name, output.log):
        problems = selection.load(source, output)
        run = _open_run(out, resume, config, problems) if out else None
        started = time.monotonic()
        result = run_async(_run(config, problems, run, output))
    options: dict[str, Any] = {"resamples": config.eval.bootstrap, "seed": config.seed}
    if ks:
        options["ks"] = [k for k in ks if k > 1]
    summary = result.summary(**options)
    more = details(result, problem_info(problems), **options)
    report = {
        "source": source,
        "problems": len(problems),
        "nodes": config.eval.nodes,
        "samples": config.eval.samples,
        "strategy": config.search.strategy,
        "selector": config.inference.selector,
        **summary,
        "groups": more["groups"],
        "curves": more["curves"],
        "masked": result.masked,
        "cut_attempts": result.cut_attempts,
        "cut_trees": result.cut_trees,
        "spent": asdict(result.spent),
        "spent_alone": {name: asdict(spent) for name, spent in result.spent_alone.items()},
        "seconds": round(time.monotonic() - started, 1),
        "run_dir": str(out) if out else None,
    }
    if run is not None:
        kept = report | {"problem_info": more["problem_info"], "outcomes": result.to_json()}
        write_json(run.path / "results.json", kept)
        run.update_manifest(status="finished")
    if as_json:
        output.data(report)
    else:
        show(output, report, config)


def _open_run(out: Path, resume: bool, config: RunConfig, problems: list[Problem]) -> RunDir:
    """Start or continue the record in `out`; refuses before anything is written."""
    digest = problems_digest(problems)
    if resume:
        return RunDir.resume(out, config, digest)
    return RunDir.create(out, config, {"mars2": __version__, "kind": "eval", "problems": digest})


async def _run(
    config: RunConfig, problems: list[Problem], run: RunDir | None, output: Output
) -> EvalResult:
    judging = config.verifier
    if run is not None and judging.cache == "memory":
        # What the journal does not hold, verdicts of tree nodes on private tests, outlives a kill.
        judging = judging.model_copy(update={"cache": str(run.path / "verdicts")})
    team = build_team(config.agents, vllm=config.vllm)
    total = len(problems) * (config.eval.samples * len(config.agents) + config.eval.nodes)
    record = Journal.open(run.journal, {"config_hash": run.digest}) if run else nullcontext()
    try:
        with record as journal:
            if run is not None and journal is not None:
                emit("run directory", path=str(run.path), resumed=bool(journal.trees))
            async with make_verifier(judging) as verifier:
                with output.progress("eval", total) as advance:
                    return await evaluate(
                        team.agents,
                        problems,
                        verifier,
                        config,
                        journal=journal,
                        on_node=lambda _: advance(),
                    )
    finally:
        await team.aclose()


def show(output: Output, report: dict[str, Any], config: RunConfig) -> None:
    """The report for people: headline, groups, budget curve, and what it took."""
    title = f"{report['source']}: {report['problems']} problems"
    show_summary(output, title, report, config)
    for what, groups in report["groups"].items():
        _show_groups(output, what, groups)
    _show_curves(output, report["curves"])
    if report["masked"]:
        output.show(f"{report['masked']} attempts or nodes were lost and are not counted")
    for name, agent in report["agents"].items():
        for metric, problems in agent.get("left_out", {}).items():
            output.show(f"{metric} of {name} leaves out {problems} problems: too few attempts")
    if report["cut_attempts"] or report["cut_trees"]:
        cut = f"{report['cut_attempts']} first attempts and {report['cut_trees']} trees"
        output.show(f"{cut} did not begin: the budget of the run was spent")
    spent = report["spent"]
    price = f", cost {spent['cost']:.4g}" if spent["cost"] else ""
    output.show(f"{spent['nodes']} nodes, {spent['tokens']} tokens{price}, {report['seconds']} s")


def show_summary(output: Output, title: str, summary: dict[str, Any], config: RunConfig) -> None:
    """The headline table: a row an agent and pass@k, then the team."""
    rows: list[list[str]] = []
    for name, agent in summary["agents"].items():
        for metric, interval in agent["intervals"].items():
            rows.append([name, metric, percent(agent[metric], interval)])
    team = summary["team"]
    names = {"pass@1(mcts)": "Pass@1(MCTS)", "pass@n": f"Pass@N (N = {config.eval.nodes})"}
    for key, name in names.items():
        if key in team:
            rows.append(["team", name, percent(team[key], team["ci95"][key])])
    output.table(title, ["who", "metric", "value [95 % interval]"], rows)


def _show_groups(output: Output, what: str, groups: dict[str, Any]) -> None:
    """A row a group: pass@1 of each agent and the team's two."""
    if not groups:
        return
    agents = list(next(iter(groups.values()))["agents"])
    rows = []
    for name, group in groups.items():
        values = [(a["pass@1"], a["ci95"]) for a in group["agents"].values()]
        team = group["team"]
        for key in ("pass@1(mcts)", "pass@n"):
            if key in team:
                values.append((team[key], team["ci95"][key]))
        cells = [percent(value, interval) for value, interval in values]
        cells += ["–"] * (len(agents) + 2 - len(cells))
        rows.append([name, str(group["problems"]), *cells])
    columns = [what, "problems", *(f"{a} pass@1" for a in agents), "Pass@1(MCTS)", "Pass@N"]
    output.table(f"by {what}", columns, rows)


def _show_curves(output: Output, curves: dict[str, list[list[float]]]) -> None:
    """The budget curves at powers of two and at the end."""
    if not curves:
        return
    last = len(curves["pass@n"])
    shown = [n for n in range(1, last + 1) if n & (n - 1) == 0 or n == last]
    rows = [
        [str(n), *(percent(v, ci) for _, v, *ci in (curves[name][n - 1] for name in curves))]
        for n in shown
    ]
    output.table("by nodes of the tree", ["n", "Pass@n", "Pass@1(MCTS)"], rows)
