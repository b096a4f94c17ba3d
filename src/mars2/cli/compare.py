"""`mars2 compare`: do evaluated runs differ, problem by problem, beyond chance?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mars2.cli.options import Ks, json_option
from mars2.cli.output import Output, percent
from mars2.errors import UsageError
from mars2.evaluation.compare import compare, load_evaluated
from mars2.training.rundir import write_json


@click.command(name="compare")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--k", "ks", type=Ks(), help="Compare pass@k for these too, e.g. 2,8.")
@click.option("--shared", is_flag=True, help="Use the problems that all runs have.")
@click.option("--resamples", type=click.IntRange(min=100), default=2000, show_default=True)
@click.option("--seed", type=int, default=0, help="Of resamples and random sign patterns.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the JSON here too."
)
@json_option
def command(
    runs: tuple[Path, ...],
    ks: list[int] | None,
    shared: bool,
    resamples: int,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Compare RUNS of `mars2 eval`, or the evaluations of `mars2 train`, on the same problems.

    Each pair of runs and metric: difference B − A with its interval, and a p value adjusted for
    the number of comparisons (Holm).
    """
    output = Output(as_json)
    if out is not None and not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: there is no directory {out.absolute().parent}")
    found = compare(
        load_evaluated(runs), ks=ks or (), shared=shared, resamples=resamples, seed=seed
    )
    if out is not None:
        write_json(out, found)
    if as_json:
        output.data(found)
    else:
        _show(output, found)


def _show(output: Output, found: dict[str, Any]) -> None:
    rows = [
        [
            pair["a"],
            pair["b"],
            pair["metric"],
            percent(pair["a_value"]),
            percent(pair["b_value"]),
            f"{pair['difference']:+.3f} [{pair['ci95'][0]:+.3f}, {pair['ci95'][1]:+.3f}]",
            _p(pair["p"]),
            _p(pair["p_adjusted"]),
            f"{len(pair['only_a'])} / {len(pair['only_b'])}" if "only_a" in pair else "–",
        ]
        for pair in found["pairs"]
    ]
    columns = ["A", "B", "metric", "A's", "B's", "B − A [95 %]", "p", "p (Holm)", "only A / only B"]
    output.table(f"{found['problems']} problems", columns, rows)
    if found["differing"]:
        names = [run["name"] for run in found["runs"]]
        settings = [
            [key, *("–" if v is None else str(v) for v in values)]
            for key, values in found["differing"].items()
        ]
        output.table("settings that differ", ["setting", *names], settings)


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"
