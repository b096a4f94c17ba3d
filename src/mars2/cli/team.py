"""`mars2 team`: which agents to put together."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_args

import click

from mars2.cli.options import json_option
from mars2.cli.output import Output, percent
from mars2.diversity.team import Order, members, suggest
from mars2.evaluation.compare import load_evaluated


@click.group(name="team")
def command() -> None:
    """Which agents to put in a team."""


@command.command(name="suggest")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--nodes",
    type=click.IntRange(min=1),
    help="Of the whole team, by turns [the fewest attempts that any agent has].",
)
@click.option("--size", type=click.IntRange(min=2), default=2, show_default=True)
@click.option(
    "--by", type=click.Choice(get_args(Order)), default="pass@n", show_default=True, help="Sort."
)
@click.option("--shared", is_flag=True, help="Use the problems that all runs have.")
@click.option("--resamples", type=click.IntRange(min=100), default=2000, show_default=True)
@click.option("--seed", type=int, default=0, help="Of resamples and of drawn attempts.")
@json_option
def suggest_command(
    runs: tuple[Path, ...],
    nodes: int | None,
    size: int,
    by: Order,
    shared: bool,
    resamples: int,
    seed: int,
    as_json: bool,
) -> None:
    """What each pairing of agents would solve, from RUNS of `mars2 eval` of each alone.

    Expected Pass@N and Pass@1(MCTS) of a team that samples repeatedly, what it gains over its best
    member with the same nodes, and whether its members fail on the same problems.
    """
    output = Output(as_json)
    found = suggest(
        members(load_evaluated(runs), shared=shared),
        nodes=nodes,
        size=size,
        by=by,
        resamples=resamples,
        seed=seed,
    )
    if as_json:
        output.data(found)
    else:
        _show(output, found)


def _show(output: Output, found: dict[str, Any]) -> None:
    n = found["nodes"]
    metrics = ("pass@1", "pass@n", "pass@1(mcts)")
    output.table(
        f"agents alone with {n} nodes",
        ["agent", "problems", "pass@1", f"Pass@{n}", "Pass@1(MCTS)"],
        [
            [a["name"], a["problems"], *(percent(a[m], a["ci95"][m]) for m in metrics)]
            for a in found["agents"]
        ],
    )
    rows = [
        [
            ", ".join(f"{name} {k}" for name, k in team["nodes"].items()),
            *(percent(team[m], team["ci95"][m]) for m in metrics[1:]),
            team["best_alone"],
            *(_signed(team[m], team["ci95"][m]) for m in ("gain", "gain_pass@1(mcts)")),
            f"{team['joint_failure_excess']:+.3f}",
        ]
        for team in found["teams"]
    ]
    columns = ["team", f"Pass@{n}", "Pass@1(MCTS)", "best alone", "gain", "gain (MCTS)", "overlap"]
    output.table(f"teams of {found['size']} with {n} nodes [95 % interval]", columns, rows)
    output.show(
        "gain: over the best member with the same nodes. overlap: how much more often an attempt "
        "of each fails together than if failures were independent; below 0 they complement each "
        "other"
    )
    if any(math.isnan(a["pass@1(mcts)"]) for a in found["agents"]):
        output.show(
            "Pass@1(MCTS) needs to know which attempts pass the public tests, and a run does not "
            "say: `mars2 eval … --resume` on a finished run adds it"
        )
    if left := max(team["left_out"] for team in found["teams"]):
        output.show(f"up to {left} problems are left out of a team: too few attempts")


def _signed(value: float, interval: list[float]) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:+.3f} [{interval[0]:+.3f}, {interval[1]:+.3f}]"
