"""`mars2 eval`: pass@1 of each agent, Pass@1(MCTS) and Pass@N of the team."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mars2 import __version__
from mars2.agents.team import build_team
from mars2.cli.options import chosen, config_options, json_option, preset_option, run_async
from mars2.cli.output import Output, percent
from mars2.config import RunConfig
from mars2.errors import UsageError
from mars2.evaluation.evaluate import EvalResult, evaluate
from mars2.problems import load
from mars2.search.journal import Journal
from mars2.training.rundir import RunDir, problems_digest, write_json
from mars2.types import Problem
from mars2.verifier import make_verifier


@click.command(name="eval")
@click.argument("source")
@config_options
@preset_option
@click.option("--budget", type=click.IntRange(min=1), help="Nodes of the team's tree [16].")
@click.option("--samples", type=click.IntRange(min=1), help="First attempts an agent [4].")
@click.option("--strategy", type=click.Choice(["ab-mcts", "repeated", "sequential"]))
@click.option("--difficulty", help="Only problems of this difficulty.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N problems.")
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
    strategy: str | None,
    difficulty: str | None,
    limit: int | None,
    out: Path | None,
    resume: bool,
    as_json: bool,
    **shared: Any,
) -> None:
    """Evaluate a team on the problems of SOURCE; private tests only judge."""
    output = Output(as_json)
    config = chosen(shared).resolve(
        eval__nodes=budget, eval__samples=samples, search__strategy=strategy
    )
    if not config.agents:
        raise UsageError("no agents: give --agent NAME=BACKEND:MODEL[@URL], or a --config")
    if resume and out is None:
        raise UsageError("--resume needs --out, the directory to go on in")
    problems = load(source, difficulty=difficulty, limit=limit)
    run = _open_run(out, resume, config, problems) if out else None
    started = time.monotonic()
    result = run_async(_run(config, problems, run, output))
    summary = result.summary(resamples=config.eval.bootstrap, seed=config.seed)
    report = {
        "source": source,
        "problems": len(problems),
        "nodes": config.eval.nodes,
        "samples": config.eval.samples,
        "strategy": config.search.strategy,
        **summary,
        "masked": result.masked,
        "cut_attempts": result.cut_attempts,
        "cut_trees": result.cut_trees,
        "spent": asdict(result.spent),
        "seconds": round(time.monotonic() - started, 1),
        "run_dir": str(out) if out else None,
    }
    if run is not None:
        write_json(run.path / "results.json", report | {"outcomes": result.to_json()})
        run.update_manifest(status="finished")
    if as_json:
        output.data(report)
    else:
        show_summary(output, f"{source}: {len(problems)} problems", summary, config)
        if result.masked:
            output.show(f"{result.masked} attempts or nodes were lost and are not counted")
        if result.cut_attempts or result.cut_trees:
            cut = f"{result.cut_attempts} first attempts and {result.cut_trees} trees"
            output.show(f"{cut} did not begin: the budget of the run was spent")
        spent = result.spent
        price = f", cost {spent.cost:.4g}" if spent.cost else ""
        output.show(f"{spent.nodes} nodes, {spent.tokens} tokens{price}, {report['seconds']} s")


def _open_run(out: Path, resume: bool, config: RunConfig, problems: list[Problem]) -> RunDir:
    """Start or continue the record in `out`; refuses before anything is written."""
    digest = problems_digest(problems)
    if resume:
        return RunDir.resume(out, config, digest)
    return RunDir.create(out, config, {"mars2": __version__, "kind": "eval", "problems": digest})


async def _run(
    config: RunConfig, problems: list[Problem], run: RunDir | None, output: Output
) -> EvalResult:
    team = build_team(config.agents)
    total = len(problems) * (config.eval.samples * len(config.agents) + config.eval.nodes)
    header = {"config_hash": config.digest()}
    try:
        with Journal.open(run.journal, header) if run else nullcontext() as journal:
            async with make_verifier(config.verifier) as verifier:
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


def show_summary(output: Output, title: str, summary: dict[str, Any], config: RunConfig) -> None:
    """The headline table: a row an agent, then the team."""
    rows: list[list[str]] = []
    for name, agent in summary["agents"].items():
        more = [f"{k} {v:.3f}" for k, v in agent.items() if k.startswith("pass@") and k != "pass@1"]
        rows.append([name, "pass@1", percent(agent["pass@1"], agent["ci95"]), ", ".join(more)])
    team = summary["team"]
    names = {"pass@1(mcts)": "Pass@1(MCTS)", "pass@n": f"Pass@N (N = {config.eval.nodes})"}
    for key, name in names.items():
        if key in team:
            rows.append(["team", name, percent(team[key], team["ci95"][key]), ""])
    output.table(title, ["who", "metric", "value [95 % interval]", "also"], rows)
