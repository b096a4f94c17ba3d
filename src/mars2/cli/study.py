"""`mars2 study`: plan, run and report a grid of arms × seeds that a file declares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mars2.cli.options import json_option
from mars2.cli.output import Output
from mars2.errors import UsageError
from mars2.study.analysis import family_size, stated, study_power, variations
from mars2.study.cost import CORE_SECONDS_A_NODE, CellCost, costs, measured_pace
from mars2.study.grid import Cell, Grid, make_grid
from mars2.study.inserts import changes, write_changes
from mars2.study.jobs import count_problems
from mars2.study.metrics import parse_metric
from mars2.study.page import build_report, show_tables, write_study_report
from mars2.study.power import needed
from mars2.study.results import Results
from mars2.study.runner import cell_command, duration, run_cells
from mars2.study.spec import Comparison, Study, load_study
from mars2.study.store import locked, open_store
from mars2.study.summary import collect, read_summary, write_summary
from mars2.training.rundir import write_json

_SEEDS = (3, 5, 8, 12, 20)
_PROBLEMS = (50, 100, 200, 400)


@click.group(name="study")
def command() -> None:
    """Plan, run and report a study: arms × seeds, declared in a TOML file before it is run."""


_study = click.argument("study", type=click.Path(path_type=Path, dir_okay=False))
_runs = click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the study's runs [runs/studies/NAME].",
)


def _runs_of(study: Path, runs: Path | None) -> Path:
    return (runs or Path("runs/studies") / study.stem).absolute()


# --------------------------------------------------------------------------- run


@command.command(name="run")
@_study
@_runs
@click.option("--only", multiple=True, metavar="ARM[/SEED]", help="These cells alone (repeatable).")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="At once.")
@click.option("--dry-run", is_flag=True, help="What there is to run, and what it costs.")
@json_option
def run(
    study: Path, runs: Path | None, only: tuple[str, ...], jobs: int, dry_run: bool, as_json: bool
) -> None:
    """Run what is not finished of STUDY. Kill it as you like: the same command goes on."""
    output = Output(as_json)
    declared = load_study(study)
    out = _runs_of(study, runs)
    grid = make_grid(declared, out)
    cells = chosen(grid, only)
    if dry_run:
        _show_costs(grid, cells, jobs, output)
        return
    lacking = {c.arm: grid.missing[c.arm] for c in cells if c.arm in grid.missing}
    if lacking:
        reasons = "\n  ".join(f"{arm}: {why}" for arm, why in lacking.items())
        raise UsageError(
            f"some arms cannot be run here; build what they lack, or name others with --only\n"
            f"  {reasons}"
        )
    with locked(out) as lock:
        open_store(out, declared)
        run_cells(grid, cells, cell_command(out), jobs=jobs, lock=lock, say=output.log)
    output.log(f"finished: {out}. `mars2 study report {study}` makes tables and figures of it")
    if as_json:
        output.data({"runs": str(out), "cells": [cell.name for cell in cells]})


def chosen(grid: Grid, only: Sequence[str]) -> list[Cell]:
    """The cells that --only names; all without it.

    Raises:
        UsageError: no such arm or seed.
    """
    if not only:
        return list(grid.cells)
    found: list[Cell] = []
    for text in only:
        arm, _, seed = text.partition("/")
        here = [c for c in grid.cells if c.arm == arm and seed in ("", str(c.seed))]
        if not here:
            seeds = ", ".join(map(str, grid.study.seeds))
            raise UsageError(
                f"--only {text}: arms are {', '.join(grid.study.arms)}; seeds are {seeds}"
            )
        found += here
    return [cell for cell in grid.cells if cell in found]


def _show_costs(grid: Grid, cells: Sequence[Cell], jobs: int, output: Output) -> None:
    found, pace = costs(grid, cells), measured_pace(grid.out, jobs)
    seconds = {c.cell.name: c.seconds(pace) for c in found}
    total = pace.left(found)
    if output.as_json:
        rows = [
            {"cell": c.cell.name, "state": c.state, "nodes": c.nodes, "updates": c.updates,
             "seconds": round(seconds[c.cell.name], 1), "missing": grid.missing.get(c.cell.arm)}
            for c in found
        ]  # fmt: skip
        output.data({"cells": rows, "seconds": round(total, 1), "measured_jobs": pace.measured})
        return
    lines = [_cost_row(grid, c, seconds[c.cell.name]) for c in found]
    output.table("Cells", ["cell", "state", "nodes", "updates", "left"], lines)
    for arm, why in grid.missing.items():
        output.show(f"{arm} cannot be run here: {why}\n")
    said = (
        f"at the pace of {pace.measured} finished jobs"
        if pace.measured
        else f"at {CORE_SECONDS_A_NODE} s of a core a node, as the lab's; measured once jobs finish"
    )
    nodes, updates = sum(c.nodes for c in found), sum(c.updates for c in found)
    output.show(f"{nodes:,} nodes, {updates:,} updates; left: about {duration(total)} {said}")


def _cost_row(grid: Grid, cost: CellCost, seconds: float) -> list[str]:
    state = "cannot run" if cost.cell.arm in grid.missing else cost.state
    return [cost.cell.name, state, f"{cost.nodes:,}", f"{cost.updates:,}", duration(seconds)]


# --------------------------------------------------------------------------- report


@command.command(name="report")
@_study
@_runs
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where summary and report go [results/NAME beside the study file].",
)
@click.option("--from-summary", is_flag=True, help="Read no run: the summary that is there.")
@click.option("--no-figures", is_flag=True, help="Tables only; needs no matplotlib.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PAGE.md",
    help="Write no report, but what stands between this page's markers, and its figures.",
)
@click.option(
    "--check",
    is_flag=True,
    help="With --into: write nothing; exit code 1 if the page would change.",
)
@json_option
def report(
    study: Path,
    runs: Path | None,
    out: Path | None,
    from_summary: bool,
    no_figures: bool,
    into: Path | None,
    check: bool,
    as_json: bool,
) -> int:
    """Say what STUDY came to: summary.json from its runs, all else from that file alone.

    Without a directory of runs, or with --from-summary or --check, the committed summary is read.
    """
    output = Output(as_json)
    if check and into is None:
        raise UsageError("--check is of a page: name it with --into PAGE.md")
    target = out or study.parent / "results" / study.stem
    directory, path = _runs_of(study, runs), target / "summary.json"
    if not (from_summary or check) and (runs is not None or (directory / "study.json").exists()):
        declared = load_study(study)
        open_store(directory, declared)
        write_summary(path, collect(make_grid(declared, directory), study.stem))
        output.log(f"summary: {path}")
    elif not path.exists():
        raise UsageError(
            f"neither runs in {directory} nor a summary in {path}: `mars2 study run {study}` first"
        )
    else:
        output.log(f"from {path} alone")
    found = build_report(read_summary(path))
    if into is not None:
        changed = changes(into, study.stem, found, figures=not no_figures)
        return _show_changes(into, changed, check, output)
    written = write_study_report(found, target, figures=not no_figures)
    output.log(f"report: {written[0]}")
    if as_json:
        output.data({"verdicts": dict(found.verdicts()), "report": str(written[0])})
        return 0
    for verdict, lines in found.verdicts():
        output.show(f"{verdict}:\n" + "\n".join(f"  {line}" for line in lines) + "\n")
    for table in show_tables(found):
        output.table(table.title, table.columns, table.rows)
    return 0


def _show_changes(page: Path, changed: dict[Path, str], check: bool, output: Output) -> int:
    names = [str(file) for file in changed]
    if not check:
        write_changes(changed)
    if output.as_json:
        output.data({"page": str(page), "up_to_date": not changed, "changed": names})
    elif not changed:
        output.show(f"{page} is up to date")
    else:
        said = "would change" if check else "written"
        output.show("\n".join(f"{said}: {name}" for name in names))
    return int(check and bool(changed))


# --------------------------------------------------------------------------- plan


@command.command(name="plan")
@_study
@click.option(
    "--pilot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="summary.json of a pilot [power.pilot of the study file].",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the JSON here too."
)
@json_option
def plan(study: Path, pilot: Path | None, out: Path | None, as_json: bool) -> int:
    """How many seeds and problems STUDY needs, from a pilot's variances, by simulation of its test.

    Exit code 1 if the study as declared has less power than it wants.
    """
    output = Output(as_json)
    declared = load_study(study)
    found = power_plan(declared, study.parent, pilot)
    if out is not None:
        write_json(out, found)
    if as_json:
        output.data(found)
    else:
        _show_plan(found, output)
    return 0 if found["enough"] else 1


def power_plan(study: Study, folder: Path, pilot: Path | None) -> dict[str, Any]:
    """The power of each planned comparison at the study's size, and what the least certain needs.

    Raises:
        UsageError: fewer than two seeds or problems, no comparison, or a pilot that has none.
    """
    chosen = study.power
    source = pilot or (folder / chosen.pilot if chosen.pilot else None)
    rows: list[tuple[str, dict[str, float], int]] = []
    known = stated(study)
    grid = make_grid(study, folder)

    def problems_of(comparison: Comparison) -> int:
        return count_problems(*grid.heldout(parse_metric(comparison.metric).evaluation))

    if source is not None:
        for v in variations(study, Results(read_summary(source))):
            c = v.comparison
            name = f"{c.a} − {c.b}, {c.metric}, nodes equal {v.accounting}"
            rows.append((name, v.sd, problems_of(c)))
        if not rows:
            raise UsageError(
                f"{source} has none of the study's comparisons with two seeds or more: a pilot "
                "needs the arms that are compared, by the same names"
            )
    elif known is not None:
        sizes = {problems_of(c) for c in study.comparisons if not c.exploratory}
        rows = [(f"any, on {n} problems", known, n) for n in sorted(sizes)]
    seeds, family = len(study.seeds), max(1, family_size(study))
    if not rows or seeds < 2 or min(n for _, _, n in rows) < 2:
        raise UsageError("power needs a comparison, and at least two seeds and two problems")
    powers = [study_power(study, sd, seeds, n) for _, sd, n in rows]
    worst = min(range(len(rows)), key=powers.__getitem__)
    problems = rows[worst][2]
    table = needed(
        chosen.effect,
        rows[worst][1],
        chosen.power,
        seeds=sorted({*_SEEDS, seeds}),
        problems=sorted({*_PROBLEMS, problems}),
        alpha=chosen.alpha,
        comparisons=family,
    )
    return {
        "effect": chosen.effect,
        "wanted": chosen.power,
        "alpha": chosen.alpha,
        "family": family,
        "seeds": seeds,
        "pilot": None if source is None else source.name,
        "comparisons": [
            {"name": name, "sd": sd, "problems": n, "power": p}
            for (name, sd, n), p in zip(rows, powers, strict=True)
        ],
        "least_certain": rows[worst][0],
        "grid": table,
        "enough": min(powers) >= chosen.power,
    }


def _show_plan(found: dict[str, Any], output: Output) -> None:
    output.show(
        f"Power to find a difference of {found['effect']:g} at alpha = {found['alpha']:g}, "
        f"corrected for {found['family']} comparisons; {found['wanted']:g} is wanted. Declared: "
        f"{found['seeds']} seeds.\n"
    )
    parts = ("seed", "problem", "rest")
    rows = [
        [
            r["name"],
            r["problems"],
            *(f"{r['sd'][k]:.3f}" for k in parts),
            f"{r['power']:.2f}",
        ]
        for r in found["comparisons"]
    ]
    columns = ["difference", "problems", "sd of seeds", "of problems", "of the rest", "power"]
    output.table("As declared", columns, rows)
    problems = sorted({r["problems"] for r in found["grid"]})
    by_seed: dict[int, list[str]] = {}
    for r in found["grid"]:
        by_seed.setdefault(r["seeds"], []).append(f"{r['power']:.2f}{' *' * r['enough']}")
    output.table(
        f"Power for {found['least_certain']} (* enough)",
        ["seeds", *(f"{p} problems" for p in problems)],
        [[s, *cells] for s, cells in by_seed.items()],
    )
