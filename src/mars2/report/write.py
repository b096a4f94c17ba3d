"""A report as files: report.html, report.md, report.json, and figures/ where they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mars2.errors import UsageError
from mars2.report.comparison import Comparison, compare_runs, shown_command
from mars2.report.diversity import diversity_command, diversity_figure, missing_diversity
from mars2.report.evaluations import budget_figure
from mars2.report.page import html
from mars2.report.panels import Figure, build_figures, colours_of
from mars2.report.problems import Problems, problems_of
from mars2.report.runs import Group, grouped, load_runs
from mars2.report.summary import summarize, tables
from mars2.report.tables import Table
from mars2.report.text import LONGEST, NOTE, shown
from mars2.training.rundir import write_atomic, write_json


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a report says, before it is written in any form."""

    groups: list[Group]
    summary: dict[str, Any]
    tables: list[Table]
    figures: list[Figure]
    problems: Problems
    comparison: Comparison = field(default_factory=Comparison)

    def notes(self) -> list[str]:
        """What a reader must know about the runs, each with the run's name."""
        return [f"{run['name']}: {note}" for run in self.summary["runs"] for note in run["notes"]]

    def to_json(self) -> dict[str, Any]:
        """The summary, every figure as its panels and lines, every problem, and `comparison`:
        what `mars2 compare --json` prints, or null."""
        figures = [asdict(figure) for figure in self.figures]
        problems = self.problems.to_json()
        more = {"figures": figures, "problems": problems, "comparison": self.comparison.found}
        return self.summary | more


def build_report(paths: Sequence[Path]) -> Report:
    """Read the runs. Raises UsageError if one is no run, or given twice."""
    groups = grouped(load_runs(paths))
    summary = summarize(groups)
    problems = problems_of(groups)
    figures = build_figures(groups)
    figures += [f for f in (budget_figure(groups), diversity_figure(groups)) if f is not None]
    comparison = compare_runs(groups)
    found = tables(groups, summary, problems, comparison)
    return Report(groups, summary, found, figures, problems, comparison)


def write_report(report: Report, out: Path, *, figures: bool = True) -> list[Path]:
    """Write the report into `out`, replacing one that is there; what was written, the page first.

    The page takes Jinja2 and figures take matplotlib, both of the extra `report`. Without figures
    and without Jinja2 there is no page.

    Raises:
        UsageError: figures are wanted and one of the two is missing; the rest is written.
    """
    out.mkdir(parents=True, exist_ok=True)
    written = [out / "report.md", out / "report.json"]
    write_json(written[1], report.to_json())
    write_atomic(written[0], markdown(report, drawn=False))
    if figures:
        from mars2.report.figures import draw_figures

        written += draw_figures(report.figures, colours_of(report.groups), out / "figures")
        write_atomic(written[0], markdown(report, drawn=True))
    try:
        page = html(report, drawn=figures)
    except ImportError as error:
        if figures:
            hint = "pip install 'mars2[report]', or use --no-figures"
            raise UsageError(f"report.html needs Jinja2: {hint} ({error})") from None
        return written
    write_atomic(out / "report.html", page)
    return [out / "report.html", *written]


def markdown(report: Report, *, drawn: bool) -> str:
    """The page; `drawn` tells whether the figures' files are there to be shown."""
    names = [g.name for g in report.groups]
    parts = [f"# {escaped(' · '.join(names))}"]
    if report.notes():
        parts.append("\n".join(f"- {escaped(note)}" for note in report.notes()))
    tables = {t.key: t for t in report.tables}
    long = [tables.pop(k) for k in ("all-settings", "problems") if k in tables]
    parts += [f"## {escaped(t.title)}\n\n{markdown_table(t)}" for t in tables.values()]
    if report.comparison.why:
        command = escaped(shown_command(report.comparison), len(shown_command(report.comparison)))
        parts.append(f"## Compared on the same problems\n\n{report.comparison.why}\n\n- {command}")
    missing = missing_diversity(report.groups)
    if missing:
        commands = "\n".join(f"- {escaped(diversity_command(run))}" for run in missing)
        parts.append(f"## Diversity\n\nNot measured yet:\n\n{commands}")
    if drawn:
        parts += [_figure(f) for f in report.figures]
        if any(len(g.runs) > 1 for g in report.groups):
            parts.append("Bands and bars over several runs reach from the smallest to the largest.")
    parts += [
        f"<details>\n<summary>{t.title}</summary>\n\n{markdown_table(t)}\n\n</details>"
        for t in long
    ]
    return "\n\n".join(parts) + "\n"


def _figure(figure: Figure) -> str:
    values = ", ".join(f"{escaped(k)} {v:.4g}" for k, v in figure.constant.items())
    constant = f"\n\nThe same at every step: {values}." if values else ""
    return (
        f"## {figure.title}\n\n<picture>\n"
        f'<source media="(prefers-color-scheme: dark)" srcset="figures/{figure.name}-dark.svg">\n'
        f'<img src="figures/{figure.name}.svg" alt="{_described(figure)}">\n</picture>{constant}'
    )


def _described(figure: Figure) -> str:
    panels = ", ".join(shown(p.title) for p in figure.panels)
    return f"{figure.title}: {panels}".replace('"', "'").replace("<", "&lt;")


def markdown_table(table: Table) -> str:
    rows = [table.columns, ["---"] * len(table.columns), *table.rows]
    lines = ["| " + " | ".join(escaped(c) for c in row) + " |" for row in rows]
    return "\n".join(lines + [f"\n{escaped(note, NOTE)}" for note in table.notes])


def escaped(text: str, longest: int = LONGEST) -> str:
    """One line of text that Markdown shows as it is."""
    return shown(text, longest).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def default_out(paths: Sequence[Path]) -> Path:
    """RUN/report of one run; of several, `report` beside the first."""
    return paths[0] / "report" if len(paths) == 1 else paths[0].resolve().parent / "report"
