"""`mars2 reward-model collect`: from journals, or trees grown here, to labelled programs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mars2 import __version__
from mars2.agents.team import build_team
from mars2.cli.options import chosen, config_options, json_option, run_async
from mars2.cli.output import Output
from mars2.cli.verify_journal import Journal as Verdicts
from mars2.cli.verify_journal import digest
from mars2.config import RunConfig
from mars2.errors import UsageError
from mars2.inference.rollout import Rollout
from mars2.problems import load
from mars2.rewards.data import (
    Collected,
    Written,
    find_journals,
    label,
    lines_of,
    program_id,
    read_nodes,
    summary,
)
from mars2.search.budget import make_budget
from mars2.search.journal import Journal
from mars2.training.rundir import RunDir, problems_digest, write_atomic
from mars2.types import Problem
from mars2.verifier import make_verifier

_FREE = ("workers", "cache", "isolation")  # settings of the verifier that change no verdict


@click.command(name="collect")
@click.argument("journals", nargs=-1, type=click.Path(path_type=Path))
@click.option("--source", required=True, help="The problems that the journals are about.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N problems.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write."
)
@click.option(
    "--grow",
    type=click.Path(path_type=Path, file_okay=False),
    help="First grow trees with the team of --agent or --config; their run directory.",
)
@click.option("--trees", type=click.IntRange(min=1), default=1, help="--grow: trees a problem [1].")
@click.option("--budget", type=click.IntRange(min=1), help="--grow: nodes of a tree [8].")
@click.option("--resume", is_flag=True, help="Go on where an earlier call stopped.")
@config_options
@json_option
def command(
    journals: tuple[Path, ...],
    source: str,
    limit: int | None,
    out: Path,
    grow: Path | None,
    trees: int,
    budget: int | None,
    resume: bool,
    as_json: bool,
    **shared: Any,
) -> None:
    """Label the programs of JOURNALS (journals or run directories) by all tests of --source.

    Writes JSON lines, one node each. Identical programs are judged once; what was judged is
    kept in FILE.partial until the file is written.
    """
    output = Output(as_json)
    config = chosen(shared).resolve(search__nodes=budget)
    if not journals and grow is None:
        raise UsageError("nothing to collect from: give journals or run directories, or --grow DIR")
    if grow is not None and not config.agents:
        raise UsageError("--grow needs a team: give --agent NAME=BACKEND:MODEL, or a --config")
    if out.exists():
        raise UsageError(f"--out {out}: there is such a file already; choose another name")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no directory {out.parent}")
    problems = load(source, limit=limit)
    found = find_journals(journals)
    settings = config.verifier.model_dump(mode="json", exclude=set(_FREE))
    kept = Verdicts(out, settings | {"problems": digest(problems)}, resume=resume)
    try:
        if grow is not None:
            grown = _grow(grow, resume, config, problems, trees, output)
            found = list(dict.fromkeys([*found, grown]))
        nodes = read_nodes(found)
        if not nodes:
            raise UsageError(f"{', '.join(map(str, found))}: holds no finished node")
        started = time.monotonic()
        with _told_how_to_go_on(output, kept.path):
            result = run_async(_label(nodes, problems, config, kept, output))
        _check_collected(result, source)
        write_atomic(out, lines_of(result.examples))
        kept.remove()
    finally:
        kept.close()
    report = {
        "out": str(out),
        "nodes": len(nodes),
        "programs": result.programs,
        **summary(result.examples),
        "left_out": dict(result.left_out),
        "seconds": round(time.monotonic() - started, 1),
    }
    output.data(report) if as_json else _show_collected(output, report)


def _grow(
    path: Path,
    resume: bool,
    config: RunConfig,
    problems: list[Problem],
    trees: int,
    output: Output,
) -> Path:
    """Search every problem `trees` times with public rewards; the journal's path."""
    known = problems_digest(problems)
    if resume and path.exists():
        run = RunDir.resume(path, config, known)
    else:
        manifest = {"mars2": __version__, "kind": "reward-model collect", "problems": known}
        run = RunDir.create(path, config, manifest)
    with _told_how_to_go_on(output, run.journal):
        run_async(_grow_trees(run, config, problems, trees, output))
    run.update_manifest(status="finished")
    return run.journal


async def _grow_trees(
    run: RunDir, config: RunConfig, problems: list[Problem], trees: int, output: Output
) -> None:
    team = build_team(config.agents, vllm=config.vllm)
    total = len(problems) * trees * config.search.nodes
    try:
        with Journal.open(run.journal, {"config_hash": config.digest()}) as journal:
            async with make_verifier(config.verifier) as verifier:
                rollout = Rollout(
                    team.agents,
                    verifier,
                    config.search,
                    seed=config.seed,
                    journal=journal,
                    budget=make_budget(config),
                )
                with output.progress("grow", total) as advance:
                    jobs = [(f"collect/{k}/{p.id}", p) for k in range(trees) for p in problems]
                    await rollout.forest(jobs, on_node=lambda _: advance())
    finally:
        await team.aclose()


async def _label(
    nodes: list[Written],
    problems: list[Problem],
    config: RunConfig,
    kept: Verdicts,
    output: Output,
) -> Collected:
    known = {p.id: p for p in problems}
    distinct = {
        program_id(n.problem_id, n.code)
        for n in nodes
        if n.code is not None and n.problem_id in known
    }
    async with make_verifier(config.verifier) as verifier:
        with output.progress("judge", len(distinct)) as advance:
            return await label(
                nodes,
                known,
                verifier,
                kept,
                at_once=4 * config.verifier.workers,
                on_judged=advance,
            )


@contextmanager
def _told_how_to_go_on(output: Output, path: Path) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError):
        output.log(f"what was done is kept in {path}: go on with --resume")
        raise KeyboardInterrupt from None


def _check_collected(result: Collected, source: str) -> None:
    if result.examples:
        return
    reasons = ", ".join(f"{n} {why}" for why, n in result.left_out.items())
    raise UsageError(
        f"no node could be labelled ({reasons}): is {source} the source of these journals?"
    )


def _show_collected(output: Output, report: dict[str, Any]) -> None:
    left = ", ".join(f"{n} {why}" for why, n in report["left_out"].items()) or "none"
    output.show(
        f"{report['out']}: {report['examples']} programs ({report['programs']} distinct) of "
        f"{report['problems']} problems, {report['right']} right; left out: {left}"
    )
    output.show(
        f"{report['public_passing']} pass the public tests, {report['public_passing_right']} of "
        f"them all tests; {report['undecided_problems']} problems have both kinds  "
        f"({report['seconds']} s)"
    )
    if not report["undecided_problems"]:
        output.show("no problem has both kinds: there is nothing to choose between")
