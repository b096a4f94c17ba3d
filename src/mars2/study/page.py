"""A study's report as files: report.md, report.html and figures, from its summary alone.

The same summary gives the same bytes: nothing here asks the time, the machine or a run directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mars2.errors import UsageError
from mars2.report.page import ASSETS, colour_style, figure_view, table_view
from mars2.report.panels import Figure
from mars2.report.tables import Table
from mars2.report.write import escaped, markdown_table
from mars2.study.analysis import Compared, compared
from mars2.study.figures import all_figures, colours
from mars2.study.predict import predicted
from mars2.study.results import Results
from mars2.study.summary import missing_cells
from mars2.study.tables import EQUAL, all_tables
from mars2.training.rundir import write_atomic

_VERDICTS = {
    "held": "Held",
    "opposite": "The opposite was found",
    "not shown": "Not shown",
    "unfinished": "No verdict yet: seeds are missing",
}


@dataclass(frozen=True, slots=True)
class StudyReport:
    """Everything the page says, before it is written in any form."""

    results: Results
    compared: list[Compared]
    tables: list[Table]
    figures: list[Figure]

    def verdicts(self) -> list[tuple[str, list[str]]]:
        """Verdict → the planned comparisons, in words."""
        found: dict[str, list[str]] = {}
        for row in self.compared:
            c = row.comparison
            if c.exploratory:
                continue
            sign = {"greater": ">", "less": "<", "different": "≠"}[c.expect]
            text = f"{c.a} {sign} {c.b} in {c.metric}, nodes equal {EQUAL[row.accounting]}"
            if row.gap is not None:
                low, high = row.gap["ci95"]
                text += f": {row.gap['mean']:+.3f} [{low:+.3f}, {high:+.3f}]"
            found.setdefault(row.verdict, []).append(text)
        return [(_VERDICTS[v], found[v]) for v in _VERDICTS if v in found]

    def notes(self) -> list[str]:
        """What a reader must know before the numbers."""
        study = self.results.study
        missing = missing_cells(dict(self.results.summary), study.seeds)
        total = len(study.arms) * len(study.seeds)
        notes = [
            f"{total - len(missing)} of {total} cells (arm × seed) are finished; "
            f"{len(self.results.problems)} held-out problems."
        ]
        if missing:
            named = ", ".join(missing[:8]) + (" …" if len(missing) > 8 else "")
            notes.append(f"Unfinished: {named}. Numbers below are of what is finished.")
        if len(study.seeds) < 5:
            notes.append(
                f"{len(study.seeds)} seeds: intervals over so few are wide, and say little."
            )
        return notes


def build_report(summary: dict[str, Any]) -> StudyReport:
    """All numbers of a summary."""
    results = Results(summary)
    found, foretold = compared(results), predicted(results)
    tables = all_tables(results, found, foretold)
    return StudyReport(results, found, tables, all_figures(results, foretold))


def write_study_report(report: StudyReport, out: Path, *, figures: bool = True) -> list[Path]:
    """Write into `out`; what was written, the page first.

    Raises:
        UsageError: matplotlib or Jinja2, of the extra `report`, is missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    written = [out / "report.md"]
    write_atomic(written[0], markdown(report, drawn=figures))
    if figures:
        from mars2.report.figures import draw_figures

        for figure in report.figures:
            written += draw_figures([figure], colours(report.results, figure), out / "figures")
    try:
        page = html(report, drawn=figures)
    except ImportError as error:
        hint = "pip install 'mars2[report]'"
        raise UsageError(f"report.html needs Jinja2: {hint} ({error})") from None
    write_atomic(out / "report.html", page)
    return [out / "report.html", *written]


def markdown(report: StudyReport, *, drawn: bool) -> str:
    """The page as Markdown."""
    study = report.results.study
    parts = [f"# {escaped(study.title)}"]
    if study.question:
        parts.append(escaped(study.question, 2000))
    parts.append(notes_list(report))
    if lists := verdict_lists(report):
        parts.append(lists)
    for table in report.tables:
        parts.append(f"## {escaped(table.title)}\n\n{markdown_table(table)}")
    for figure in report.figures if drawn else ():
        parts.append(f"## {figure.title}\n\n{picture(figure, 'figures')}")
    return "\n\n".join(parts) + "\n"


def notes_list(report: StudyReport) -> str:
    """What a reader must know before the numbers."""
    return "\n".join(f"- {escaped(note, 600)}" for note in report.notes())


def verdict_lists(report: StudyReport) -> str:
    """Each verdict with the planned comparisons that have it."""
    return "\n\n".join(
        f"**{verdict}**\n\n" + "\n".join(f"- {escaped(text, 300)}" for text in found)
        for verdict, found in report.verdicts()
    )


def picture(figure: Figure, folder: str) -> str:
    """A figure whose files are in `folder`, for light and dark pages, with its note."""
    return (
        '<picture>\n<source media="(prefers-color-scheme: dark)" '
        f'srcset="{folder}/{figure.name}-dark.svg">\n<img src="{folder}/{figure.name}.svg" '
        f'alt="{figure.title}">\n</picture>\n\n{figure.note}'
    )


def html(report: StudyReport, *, drawn: bool) -> str:
    """The page as one file that needs nothing else.

    Raises:
        ImportError: Jinja2, or with `drawn` matplotlib, is missing.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader([ASSETS, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    study = report.results.study
    main = [name for name, arm in study.arms.items() if not arm.control]
    style = (ASSETS / "report.css").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        title=study.title,
        question=study.question,
        notes=report.notes(),
        verdicts=report.verdicts(),
        tables=[table_view(table, main, ()) for table in report.tables],
        figures=[
            figure_view(figure, colours(report.results, figure), (), Markup)
            for figure in (report.figures if drawn else ())
        ],
        style=Markup(colour_style() + style),
    )


def show_tables(report: StudyReport) -> Sequence[Table]:
    """Those that a terminal shows: the verdicts, and what each arm came to."""
    return [t for t in report.tables if not t.key.startswith("search-")]
