"""A report as files: report.md, report.json, and figures/ where they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mars2.report.panels import Figure, build_figures, colours_of
from mars2.report.runs import Group, grouped, load_runs
from mars2.report.summary import Table, summarize, tables
from mars2.training.rundir import write_atomic, write_json


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a report says, before it is written in any form."""

    groups: list[Group]
    summary: dict[str, Any]
    tables: list[Table]
    figures: list[Figure]

    def notes(self) -> list[str]:
        """What a reader must know about the runs, each with the run's name."""
        return [f"{run['name']}: {note}" for run in self.summary["runs"] for note in run["notes"]]

    def to_json(self) -> dict[str, Any]:
        """The summary, and every figure as its panels and lines."""
        return self.summary | {"figures": [asdict(figure) for figure in self.figures]}


def build_report(paths: Sequence[Path]) -> Report:
    """Read the runs. Raises UsageError if one is no run, or given twice."""
    groups = grouped(load_runs(paths))
    summary = summarize(groups)
    return Report(groups, summary, tables(groups, summary), build_figures(groups))


def write_report(report: Report, out: Path, *, figures: bool = True) -> list[Path]:
    """Write the report into `out`, replacing one that is there; what was written.

    Raises:
        UsageError: figures are wanted and matplotlib is missing; the rest is written.
    """
    out.mkdir(parents=True, exist_ok=True)
    written = [out / "report.md", out / "report.json"]
    write_json(written[1], report.to_json())
    write_atomic(written[0], markdown(report, drawn=False))
    if not figures:
        return written
    from mars2.report.figures import draw_figures

    written += draw_figures(report.figures, colours_of(report.groups), out / "figures")
    write_atomic(written[0], markdown(report, drawn=True))
    return written


def markdown(report: Report, *, drawn: bool) -> str:
    """The page; `drawn` tells whether the figures' files are there to be shown."""
    names = [g.name for g in report.groups]
    parts = [f"# {_escaped(' · '.join(names))}"]
    if report.notes():
        parts.append("\n".join(f"- {_escaped(note)}" for note in report.notes()))
    parts += [f"## {t.title}\n\n{_markdown_table(t)}" for t in report.tables]
    if drawn:
        parts += [_figure(f) for f in report.figures]
        if any(len(g.runs) > 1 for g in report.groups):
            parts.append("Bands and bars over several runs reach from the smallest to the largest.")
    return "\n\n".join(parts) + "\n"


def _figure(figure: Figure) -> str:
    values = ", ".join(f"{_escaped(k)} {v:.4g}" for k, v in figure.constant.items())
    constant = f"\n\nThe same at every step: {values}." if values else ""
    return (
        f"## {figure.title}\n\n<picture>\n"
        f'<source media="(prefers-color-scheme: dark)" srcset="figures/{figure.name}-dark.svg">\n'
        f'<img src="figures/{figure.name}.svg" alt="{_described(figure)}">\n</picture>{constant}'
    )


def _described(figure: Figure) -> str:
    return f"{figure.title}: {', '.join(p.title for p in figure.panels)}".replace('"', "'").replace(
        "<", "&lt;"
    )


def _markdown_table(table: Table) -> str:
    rows = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "\n".join("| " + " | ".join(_escaped(c) for c in row) + " |" for row in rows)


def _escaped(text: str) -> str:
    """One line of text that Markdown shows as it is."""
    kept = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(kept.split())


def default_out(paths: Sequence[Path]) -> Path:
    """RUN/report of one run; of several, `report` beside the first."""
    return paths[0] / "report" if len(paths) == 1 else paths[0].resolve().parent / "report"
