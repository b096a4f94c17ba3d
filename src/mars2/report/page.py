"""A report as one HTML file that needs nothing else: no network, no other file, no library.

What to show is decided here; `assets/` has the templates, which escape every value, the style
sheet and the script. A policy in the page forbids whatever it does not hold itself.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mars2 import __version__
from mars2.report.comparison import shown_command
from mars2.report.diversity import diversity_command, missing_diversity
from mars2.report.figures import DARK, LIGHT, Theme, again
from mars2.report.panels import Figure, Line, Panel, colours_of
from mars2.report.problem_rows import problem_view
from mars2.report.runs import Group
from mars2.report.tables import Table
from mars2.report.text import NOTE, NOTHING, Score, interval, shown

if TYPE_CHECKING:
    from mars2.report.write import Report

ASSETS = Path(__file__).parent / "assets"
_NUMBER = re.compile(r"(< )?[+−-]?[\d.,]+(e[+-]?\d+)?( (s|min|h|%))?")
_REACHES = (0.05, 0.1, 0.2, 0.5, 1.0)  # how far from 0 differences are drawn
_MANY = 15  # rows of a comparison that are shown; more are folded away


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: tables, tables that are folded away, figures, remarks."""

    id: str
    title: str
    tables: list[dict[str, Any]] = field(default_factory=list)
    folded: list[dict[str, Any]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    captions: bool = True


def html(report: Report, *, drawn: bool) -> str:
    """The page. `drawn`: with figures, which takes matplotlib.

    Raises:
        ImportError: Jinja2, or with `drawn` matplotlib, is missing.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def plain(value: Any) -> Any:
        return value if isinstance(value, Markup) else shown(str(value), NOTE)

    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        finalize=plain,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    script = (ASSETS / "report.js").read_text(encoding="utf-8")
    style = (ASSETS / "report.css").read_text(encoding="utf-8")
    names = colours_of(report.groups)
    sections = _sections(report, names, Markup if drawn else None)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html").render(
        title=" · ".join(shown(g.name, 60) for g in report.groups),
        lead=_lead(report),
        notes=report.notes(),
        sections=[s for s in sections if s is not None],
        problems=problem_view(report.problems, report.groups, names),
        version=__version__,
        script=Markup(script),
        script_hash=Markup(f"sha256-{digest}"),
        style=Markup(colour_style() + style),
    )


def _lead(report: Report) -> str:
    """One sentence of what was run."""
    runs = report.summary["runs"]
    kinds = {"training" if r["steps"] else "evaluation" for r in runs}
    what = " and ".join(sorted(kinds))
    agents = list(dict.fromkeys(a for r in runs for a in r["agents"]))
    listed = ", ".join(shown(a, 40) for a in agents[:6]) + ", …" * (len(agents) > 6)
    problems = len(report.problems.rows)
    status = sorted({r["status"] for r in runs})
    parts = [
        f"{len(runs)} {what} runs" if len(runs) > 1 else f"{what.capitalize()}, {status[0]}",
        f"agents {listed}" if len(agents) > 1 else f"agent {listed}" if agents else "",
        f"{problems:,} problem{'s' * (problems != 1)}" if problems else "",
    ]
    return "; ".join(p for p in parts if p) + "."


def _sections(report: Report, names: Sequence[str], markup: Any) -> list[Section | None]:
    tables = {t.key: table_view(t, names, report.groups) for t in report.tables}
    figures = {
        f.name: figure_view(f, names, report.groups, markup) for f in report.figures if markup
    }
    training = [figures[n] for n in figures if n not in ("budget", "diversity")]

    def some(*keys: str) -> list[dict[str, Any]]:
        return [tables[k] for k in keys if k in tables]

    def drawn(name: str) -> list[dict[str, Any]]:
        return [figures[name]] if name in figures else []

    found = [
        _results(report, some),
        Section("settings", "Settings", some("settings"), folded=some("all-settings")),
        Section("training", "Training", some("training"), figures=training),
        Section("budget", "Budget", some("budget"), figures=drawn("budget")),
        Section("groups", "Kinds of problems", some("difficulty", "month")),
        _diversity(report, some, drawn("diversity")),
        Section("cost", "Time, tokens and cost", some("runs")),
    ]
    if report.problems.rows:
        found.append(Section("problems", "Problems"))
    return [s for s in found if s.tables or s.folded or s.figures or s.notes or s.id == "problems"]


def _results(report: Report, some: Any) -> Section:
    compared = some("compare")
    long = [t for t in compared if len(t["rows"]) > _MANY]
    tables = some("results", "seeds") + [t for t in compared if t not in long]
    why, command = report.comparison.why, shown_command(report.comparison)
    return Section(
        *("results", "Results", tables, long),
        notes=[why] if why else [],
        commands=[command] if why else [],
    )


def _diversity(report: Report, some: Any, figures: list[dict[str, Any]]) -> Section:
    missing = missing_diversity(report.groups)
    commands = [diversity_command(r) for r in missing]
    notes = ["Not measured yet:" if len(missing) == 1 else "Not measured yet for these runs:"]
    tables = some(*(t.key for t in report.tables if t.key.startswith("diversity-")))
    title = "Diversity"
    if not missing:
        return Section("diversity", title, tables, figures=figures)
    return Section("diversity", title, tables, figures=figures, notes=notes, commands=commands)


def table_view(table: Table, names: Sequence[str], groups: Sequence[Group]) -> dict[str, Any]:
    """For the template; with one run, the column that would repeat its name is left out.

    Colours are of agents, or of groups where several are compared. A row has that of its name, or
    else a column has that of the name it begins with. Of two runs compared each has its own.
    """
    several = sum(len(g.runs) for g in groups) > 1
    named = ("run", "runs", "who") if len(groups) > 1 else ("who", "agent", "arm", "solutions by")
    keep = [i for i, c in enumerate(table.columns) if several or c != "run"]
    columns = []
    for i in keep:
        name = table.columns[i]
        agent = name.removesuffix(" pass@1")
        columns.append(
            {
                "name": name,
                "numeric": _numeric([row[i] for row in table.rows]),
                "colour": _colour(agent, names) if agent != name and len(groups) == 1 else None,
            }
        )
    rows: list[dict[str, Any]] = []
    reach = _reach([row[i] for row in table.rows for i in keep])
    for row in table.rows:
        own = [_colour(row[i], names) if table.columns[i] in named else None for i in keep]
        # A team may be called like a group of runs: the first column decides.
        place = next((i for i, c in enumerate(own) if c is not None), None)
        cells = [_cell(row[i], reach) | {"chip": at == place} for at, i in enumerate(keep)]
        for cell, i in zip(cells, keep, strict=True):
            one_of_two = table.key == "compare" and i < 2 and len(groups) > 1
            cell["colour"] = _colour(row[i], names) if one_of_two else None
        rows.append({"colour": None if place is None else own[place], "cells": cells})
    drawn = sum(any(row["cells"][at]["ci"] for row in rows) for at in range(len(keep)))
    key = f"{table.key} forest" if drawn == 1 else table.key
    notes = list(table.notes)
    if any(cell["ci"] and cell["ci"]["signed"] for row in rows for cell in row["cells"]):
        drawn_from = f"Differences are drawn from −{reach:g} to +{reach:g}."
        notes[-1:] = [" ".join([*notes[-1:], drawn_from])]
    return {
        **{"key": key, "title": table.title, "columns": columns, "rows": rows},
        "notes": notes,
    }


def _reach(cells: Sequence[str]) -> float:
    """How far from 0 all differences in a table are drawn: as far as the farthest needs."""
    scores = [c for c in cells if isinstance(c, Score) and c.signed and c.scale]
    ends = [abs(x) for c in scores for x in (c.value, c.low, c.high) if x is not None]
    return next((r for r in _REACHES if r >= max(ends, default=0.0)), _REACHES[-1])


def _colour(name: str, names: Sequence[str]) -> int | None:
    return names.index(name) % len(LIGHT.cycle) if name in names else None


def _numeric(cells: Sequence[str]) -> bool:
    """All that is there are numbers, none with an interval, which is drawn."""
    known = [c for c in cells if c not in ("", NOTHING)]
    return bool(known) and all(_NUMBER.fullmatch(c) is not None for c in known)


def _cell(text: str, reach: float = 1.0) -> dict[str, Any]:
    """Of a number with an interval: the number, the interval, and in percent where to draw them.

    `reach`: the scale of a difference is from −reach to reach.
    """
    cell: dict[str, Any] = {"text": text, "detail": "", "ci": None}
    if not isinstance(text, Score) or text.low is None or text.high is None or text.value is None:
        return cell
    cell["text"], _, cell["detail"] = text.replace("-", "−").partition(" ")
    if text.scale:

        def place(x: float) -> float:
            share = (x / reach + 1) / 2 if text.signed else x
            return 100 * min(1.0, max(0.0, share))

        low, high = place(text.low), place(text.high)
        cell["ci"] = {
            "low": f"{low:.1f}",
            "width": f"{max(0.0, high - low):.1f}",
            "value": f"{place(text.value):.1f}",
            "signed": text.signed,
        }
    return cell


def figure_view(
    figure: Figure, names: Sequence[str], groups: Sequence[Group], markup: Any
) -> dict[str, Any]:
    from mars2.report.inline import inline_panel

    used = [n for n in names if any(x.who == n for p in figure.panels for x in p.lines)]
    panels = [
        {
            "title": p.title,
            "unit": p.unit,
            "svg": markup(inline_panel(p, names, f"{figure.name}{i}", _described(p))),
        }
        for i, p in enumerate(figure.panels)
    ]
    return {
        "name": figure.name,
        "title": figure.title,
        "legend": [(n, _colour(n, names), again(n, names)) for n in used],
        "panels": panels,
        "constant": [(title, f"{value:.4g}") for title, value in figure.constant.items()],
        "note": figure.note,
        "numbers": table_view(_numbers(figure), names, groups),
    }


def _described(panel: Panel) -> str:
    """For those who do not see it: where each line begins and ends."""
    lines = []
    for line in panel.lines[:12]:
        steps, values = line.curve.steps, line.curve.values
        name = " ".join(x for x in (shown(line.who, 60), line.part) if x) or "value"
        lines.append(
            f"{name}: {values[0]:.4g} at {panel.x} {steps[0]}, {values[-1]:.4g} at {steps[-1]}"
        )
    return "; ".join(lines) + "."


def _numbers(figure: Figure) -> Table:
    """A line of a figure a row."""
    rows = [
        [panel.title, line.who or NOTHING, line.part or NOTHING, *_extent(line)]
        for panel in figure.panels
        for line in panel.lines
    ]
    columns = ["panel", "who", "line", "points", "first", "last", "smallest", "largest"]
    return Table("numbers", f"{figure.title}: numbers", columns, rows).compact("who", "line")


def _extent(line: Line) -> list[str]:
    curve = line.curve
    ends = []
    for place in (0, -1):
        known = curve.low is not None and curve.high is not None and line.marks
        band = [curve.low[place], curve.high[place]] if known and curve.low and curve.high else None
        text = interval(curve.values[place], band) if band else f"{curve.values[place]:.4g}"
        ends.append(str(text))
    values = [f"{x:.4g}" for x in (min(curve.values), max(curve.values))]
    return [str(len(curve.values)), *ends, *values]


def colour_style() -> str:
    """The theme of the figures as CSS variables, and a class `kN` for each of its colours."""

    def variables(theme: Theme) -> str:
        named = {"ink": theme.ink, "quiet": theme.quiet, "line": theme.grid}
        named |= {f"c{i}": colour for i, colour in enumerate(theme.cycle)}
        return ":root{" + "".join(f"--{k}:{v};" for k, v in named.items()) + "}"

    classes = "".join(f".k{i}{{--k:var(--c{i})}}" for i in range(len(LIGHT.cycle)))
    dark = f"@media screen and (prefers-color-scheme:dark){{{variables(DARK)}}}"
    return f"{variables(LIGHT)}\n{dark}\n{classes}\n"
