"""The problems' table of the page: what its template, and the script that filters it, need."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from mars2.report.figures import LIGHT
from mars2.report.problems import Outcome, ProblemRow, Problems, Solver, outcome_cell
from mars2.report.runs import Group
from mars2.report.text import LONGEST, Score, shown

_TEAM_CLASS = ("team s0", "team s1", "team s2")


def problem_view(
    problems: Problems, groups: Sequence[Group], names: Sequence[str]
) -> dict[str, Any]:
    """Columns, rows and filters.

    A row's `solved` has a character a solver: 1 solved, 0 not, - not tried. Filters are
    (value, label, number of problems); the script knows how to read the values.
    """
    runs = {r.name: (g, r) for g in groups for r in g.runs}
    several = len({s.run for s in problems.solvers}) > 1
    dated = any(r.date for r in problems.rows)
    levels = list(dict.fromkeys(r.difficulty for r in problems.rows if r.difficulty))
    columns: list[dict[str, Any]] = [{"name": "problem", "numeric": False, "colour": None}]
    columns += [
        {"name": name, "numeric": False, "colour": None}
        for name, there in (("difficulty", levels), ("date", dated))
        if there
    ]
    lead = len(columns)
    for solver in problems.solvers:
        name = solver.name
        known = solver.agent in names and not several
        colour = names.index(name) % len(LIGHT.cycle) if known else None
        columns.append({"name": name, "numeric": False, "colour": colour})
        if solver.agent is None:
            columns.append({"name": "nodes", "numeric": True, "colour": None})
    marks = [_marks(row) for row in problems.rows]
    paths = {name: str(run.path) for name, (_, run) in runs.items()}
    rows = [
        _row(row, mark, problems.solvers, bool(levels), dated, paths)
        for row, mark in zip(problems.rows, marks, strict=True)
    ]
    spans = []
    for run in dict.fromkeys(s.run for s in problems.solvers) if several else ():
        span = sum(1 + (s.agent is None) for s in problems.solvers if s.run == run)
        group = runs[run][0].name
        spans.append((run, span, names.index(group) % len(LIGHT.cycle) if group in names else 0))
    return {
        "columns": columns,
        "lead": lead,
        "runs": spans,
        "rows": rows,
        "difficulties": levels,
        "filters": _filters(problems.solvers, marks, several),
        "commands": any(row["commands"] for row in rows),
    }


def _marks(row: ProblemRow) -> str:
    return "".join("-" if o is None else str(int(o.solved)) for o in row.outcomes)


def _row(
    row: ProblemRow,
    marks: str,
    solvers: Sequence[Solver],
    levelled: bool,
    dated: bool,
    paths: dict[str, str],
) -> dict[str, Any]:
    cells = [_cell(row.difficulty or "")] * levelled + [_cell(row.date or "")] * dated
    commands = []
    for solver, outcome in zip(solvers, row.outcomes, strict=True):
        cells.append(_outcome(outcome))
        if solver.agent is not None:
            continue
        nodes = outcome.nodes if outcome else None
        cells.append(_cell("" if nodes is None else f"{nodes:,}", "n", nodes))
        # An id that cannot be shown whole cannot be copied either.
        if outcome is not None and len(row.id) <= LONGEST and shown(row.id) == row.id:
            command = ("mars2", "view", paths[solver.run], "--problem", row.id)
            commands.append(shlex.join(command))
    return {
        "id": row.id,
        "title": row.title,
        "difficulty": row.difficulty,
        "solved": marks,
        "cells": cells,
        "commands": commands,
    }


def _cell(text: str, kind: str = "", value: float | None = None) -> dict[str, Any]:
    """`kind` is its class; `value`, if any, what it is sorted by and, as a share, drawn as."""
    return {"text": text, "kind": kind, "value": None if value is None else f"{value:.6g}"}


def _outcome(outcome: Outcome | None) -> dict[str, Any]:
    text = outcome_cell(outcome)
    if outcome is None or not isinstance(text, Score) or text.value is None:
        return _cell(text)
    kind = "share" if outcome.selected is None else _TEAM_CLASS[round(2 * text.value)]
    return _cell(text, kind, text.value)


def _filters(
    solvers: Sequence[Solver], marks: Sequence[str], several: bool
) -> list[tuple[str, str, str]]:
    """Only those that let something through."""
    tried = [m.replace("-", "") for m in marks]
    found = [
        ("all", "by all", sum("0" not in m and "1" in m for m in tried)),
        ("some", "by some, not by all", sum("0" in m and "1" in m for m in tried)),
        ("none", "by nobody", sum("1" not in m for m in tried)),
    ]
    for i, solver in enumerate(solvers):
        name = shown(solver.agent or f"the {solver.team}", 40)
        name += f" of {shown(solver.run, 40)}" if several else ""
        found.append((str(i), f"by {name}", sum(m[i] == "1" for m in marks)))
        found.append((f"-{i}", f"not by {name}", sum(m[i] == "0" for m in marks)))
    return [(value, label, f"{number:,}") for value, label, number in found if number]
