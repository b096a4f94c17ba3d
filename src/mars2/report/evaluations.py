"""What an evaluation tells beyond its headline: curves over the budget, groups of problems.

Read from `results.json`, and from the evaluations of a training run, of which the last one counts.
Keys that a file lacks leave out what would be shown of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from mars2.report.curves import Curve, Points, group_curve
from mars2.report.panels import Figure, Line, Panel, Style
from mars2.report.runs import Evaluation, Group, Run
from mars2.report.tables import Table
from mars2.report.text import NOTHING, count, finite, interval, mapping

TEAM = {"pass@1(mcts)": "Pass@1(MCTS)", "pass@n": "Pass@N"}
"""What a team is measured by: key → how it is written."""

_STYLES: dict[str, Style] = {"pass@n": "solid", "pass@1(mcts)": "dashed"}


def latest(run: Run) -> Evaluation | None:
    """The evaluation of the run's present state: the only one, or the one after most steps."""
    return run.evaluations[-1] if run.evaluations else None


def budget_figure(groups: Sequence[Group]) -> Figure | None:
    """Pass@N and Pass@1(MCTS) over the first n nodes; None if no run has curves.

    One group: both in one panel. Several: a panel a metric, a colour a group. The band of a single
    run is the 95 % interval over problems, of several runs their range.
    """
    many = len(groups) > 1
    lines: dict[str, list[Line]] = {}
    for key, title in reversed(TEAM.items()):
        for group in groups:
            curve = _budget_curve(group, key)
            if curve is not None:
                part, style = ("", "solid") if many else (title, _STYLES[key])
                line = Line(group.name if many else "", curve, part, style)  # type: ignore[arg-type]
                lines.setdefault(title if many else "Solved within n nodes", []).append(line)
    panels = [
        Panel(title, "share of problems", found, 0.0, 1.0, x="nodes of a tree")
        for title, found in lines.items()
    ]
    if not panels:
        return None
    note = "Bands are 95 % bootstrap intervals over problems"
    note += ", of several runs their range." if any(len(g.runs) > 1 for g in groups) else "."
    return Figure("budget", "Budget", panels, columns=2, note=note)


def budget_table(groups: Sequence[Group]) -> Table:
    """The curves of `budget_figure` at 1, 2, 4, 8… nodes and at the last."""
    rows = []
    for run in (r for g in groups for r in g.runs):
        curves = {key: _curve_rows(run, key) for key in TEAM}
        sizes = sorted({n for found in curves.values() for n in found})
        for n in (n for n in sizes if n & (n - 1) == 0 or n == sizes[-1]):
            found = [curves[key].get(n) for key in TEAM]
            cells = [NOTHING if x is None else interval(x[0], x[1:]) for x in found]
            rows.append([run.name, count(n), *cells])
    columns = ["run", "nodes", *TEAM.values()]
    return Table("budget", "Solved within n nodes of a tree (95 % intervals)", columns, rows)


def group_tables(groups: Sequence[Group]) -> list[Table]:
    """Results by difficulty and by month, of every run that has them."""
    runs = [r for g in groups for r in g.runs]
    titles = {"difficulty": "Results by difficulty", "month": "Results by month of release"}
    found = []
    for key, title in titles.items():
        split = {r.name: _split(r, key) for r in runs}
        agents = list(
            dict.fromkeys(a for s in split.values() for v in s.values() for a in v["agents"])
        )
        rows = [
            [run, name, count(finite(v.get("problems"))), *_group_cells(v, agents)]
            for run, parts in split.items()
            for name, v in parts.items()
        ]
        columns = ["run", key, "problems", *(f"{a} pass@1" for a in agents), *TEAM.values()]
        found.append(Table(key, title + " (95 % intervals)", columns, rows))
    return found


def _split(run: Run, key: str) -> dict[str, dict[str, Any]]:
    """Of each group of problems: its object, with `agents` and `team` made sure of."""
    evaluation = latest(run)
    parts = mapping(mapping(evaluation.more.get("groups")).get(key)) if evaluation else {}
    order = {"easy": 0, "medium": 1, "hard": 2}
    names = sorted(parts, key=lambda n: (order.get(n.lower(), 3), n))
    split = {}
    for name in names:
        part = mapping(parts[name])
        agents = {a: mapping(v) for a, v in mapping(part.get("agents")).items()}
        split[name] = part | {"agents": agents, "team": mapping(part.get("team"))}
    return split


def _group_cells(part: dict[str, Any], agents: Sequence[str]) -> list[str]:
    cells = []
    for agent in agents:
        values = part["agents"].get(agent, {})
        cells.append(interval(values.get("pass@1"), values.get("ci95")))
    ends = mapping(part["team"].get("ci95"))
    return cells + [interval(part["team"].get(key), ends.get(key)) for key in TEAM]


def _curve_rows(run: Run, key: str) -> dict[int, list[float | None]]:
    """Nodes → [value, low, high] of the run's latest evaluation, as far as they are numbers."""
    evaluation = latest(run)
    listed = mapping(evaluation.more.get("curves")).get(key) if evaluation else None
    rows: dict[int, list[float | None]] = {}
    for row in listed if isinstance(listed, list) else []:
        if not isinstance(row, list) or len(row) < 2:
            continue
        n, *values = (finite(x) for x in [*row, None, None][:4])
        if n is not None and n >= 1 and values[0] is not None:
            rows[int(n)] = values
    return rows


def _budget_curve(group: Group, key: str) -> Curve | None:
    def points(place: int, run: Run) -> Points:
        found = _curve_rows(run, key)
        return {n: v for n, row in found.items() if (v := row[place]) is not None}

    curve = group_curve(group, partial(points, 0))
    if curve is None or curve.low is not None:
        return curve
    low, high = (group_curve(group, partial(points, place)) for place in (1, 2))
    if low and high and low.steps == curve.steps == high.steps:
        return Curve(curve.steps, curve.values, low.values, high.values)
    return curve
