"""`mars2 report`: the tables and curves of evaluations and training runs, finished or not."""

from __future__ import annotations

from pathlib import Path

import click

from mars2.cli.options import json_option
from mars2.cli.output import Output
from mars2.report.write import build_report, default_out, write_report


@click.command(name="report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for the report [RUN/report; of several runs, report beside the first].",
)
@click.option("--no-figures", is_flag=True, help="Tables only; needs no matplotlib.")
@json_option
def command(runs: tuple[Path, ...], out: Path | None, no_figures: bool, as_json: bool) -> None:
    """Say what RUNS came to, in tables and curves: evaluations and training runs.

    Runs that differ by their seed only are one curve, their mean with a band. Writes report.html
    (one file that needs no other), report.md, report.json and figures (SVG for light and dark
    pages, PNG).
    """
    output = Output(as_json)
    report = build_report(runs)
    if as_json:
        output.data(report.to_json())
    else:
        for table in report.tables:
            if table.key in ("all-settings", "problems"):
                continue  # long: they are in the files
            output.table(table.title, table.columns, table.rows)
            for line in table.notes:
                output.show(f"{line}\n")
        if report.comparison.why:
            output.show(f"{report.comparison.why}\n{report.comparison.command}\n")
        for note in report.notes():
            output.show(f"note: {note}")
    target = out or default_out(runs)
    written = write_report(report, target, figures=not no_figures)
    if written[0].name != "report.html":
        output.log("no report.html: it needs Jinja2, pip install 'mars2[report]'")
    output.log(f"report: {written[0]}")
