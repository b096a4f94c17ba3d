"""`mars2 view`: a run's search trees as a page, followed live, or as JSON, DOT and Mermaid."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click

from mars2.cli.options import json_option
from mars2.cli.output import Output
from mars2.errors import UsageError
from mars2.training.rundir import write_atomic
from mars2.viewer.run import Run, chooser, open_run
from mars2.viewer.tail import Wanted
from mars2.viewer.texts import Limits

Format = Literal["html", "json", "dot", "mermaid"]


@click.command(name="view")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--problem", "problems", multiple=True, help="Only trees of this problem.")
@click.option("--tree", "trees", multiple=True, help="Only this tree; * and ? match many.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["html", "json", "dot", "mermaid"]),
    default="html",
    show_default=True,
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="File to write, - for stdout [html: RUN/view.html, else -].",
)
@click.option("--full", is_flag=True, help="Cut nothing, however large the file.")
@click.option("--live", is_flag=True, help="Follow the run in a local server until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), help="Of --live [0: any free one].")
@json_option
def command(
    run: Path,
    problems: tuple[str, ...],
    trees: tuple[str, ...],
    format_: Format,
    out: Path | None,
    full: bool,
    live: bool,
    port: int | None,
    as_json: bool,
) -> None:
    """Look at the search trees of RUN: a directory of eval, train or solve, or a journal.

    Writes one HTML file that needs nothing else and asks nothing of any network.
    """
    output = Output(as_json)
    _check(format_, out, live, port)
    found = open_run(run)
    limits = Limits.none() if full else Limits()
    wanted = chooser(found, problems, trees)
    if live:
        from mars2.viewer.serve import serve

        serve(found, limits, wanted, port or 0, output.log)
        return
    text, count, notes = _written(found, format_, limits, wanted, full)
    if not count:
        raise UsageError(_nothing(found, problems, trees))
    for note in notes:
        output.log(note)
    target = out or (found.path / "view.html" if format_ == "html" else Path("-"))
    if str(target) == "-":
        sys.stdout.write(text)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, text)
    if as_json:
        output.data({"out": str(target), "trees": count, "bytes": len(text.encode())})
    else:
        output.log(f"{count} trees: {target}")


def _check(format_: Format, out: Path | None, live: bool, port: int | None) -> None:
    if live and (out is not None or format_ != "html"):
        raise UsageError("--live serves the page and writes nothing: leave out --out and --format")
    if port is not None and not live:
        raise UsageError("--port goes with --live")


def _written(
    run: Run, format_: Format, limits: Limits, wanted: Wanted | None, full: bool
) -> tuple[str, int, list[str]]:
    """The text, how many trees are in it, and what to tell about it."""
    if format_ == "html":
        from mars2.viewer.static import static_page

        return static_page(run, limits, wanted)
    from mars2.viewer.export import diagrams, to_json
    from mars2.viewer.forest import read_trees

    forest = read_trees(run, wanted)
    if format_ == "json":
        return to_json(run, forest, full=full), len(forest), []
    return diagrams(forest, format_), len(forest), []


def _nothing(run: Run, problems: tuple[str, ...], trees: tuple[str, ...]) -> str:
    if problems or trees:
        asked = ", ".join([*problems, *trees])
        return f"{run.journal} has no tree like {asked}; leave out --problem and --tree to see all"
    return f"{run.journal} has no trees yet; --live waits for them"
