"""`mars2 quickstart`: train two different micro models together in one tree, on a CPU."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import click

from mars2.cli.options import config_options, json_option, runtime_options, telemetry_options
from mars2.cli.output import Output
from mars2.cli.train import resolve_run, run_training, serves, show_report


@click.command(name="quickstart")
@config_options
@telemetry_options
@runtime_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run directory [runs/quickstart-N, the first free N].",
)
@click.option("--resume", is_flag=True, help="Continue the run in --out.")
@json_option
def command(out: Path | None, resume: bool, as_json: bool, **shared: Any) -> None:
    """Train a heterogeneous two-agent team by tree search on executed problems, in minutes.

    Needs no GPU, no download and no endpoint: the two micro models ship with the package.
    """
    if serves():
        return
    output = Output(as_json)
    if out is None:
        if resume:
            raise click.UsageError("--resume needs --out, the run to continue")
        out = first_free(Path("runs"))
    config = resolve_run(out, resume, shared, {}, base=packaged())
    team = " and ".join(a.spec for a in config.agents)
    output.log(f"training {team} in one tree on {config.problems.train}; run directory {out}")
    report = run_training(config, out, resume, output)
    if as_json:
        output.data(report)
    else:
        show_report(output, report, config)


def packaged() -> dict[str, Any]:
    """The settings of the quickstart as shipped."""
    text = resources.files("mars2").joinpath("configs/quickstart.toml").read_text("utf-8")
    return tomllib.loads(text)


def first_free(parent: Path) -> Path:
    """The first of quickstart-1, quickstart-2, … that does not exist."""
    number = 1
    while (parent / f"quickstart-{number}").exists():
        number += 1
    return parent / f"quickstart-{number}"
