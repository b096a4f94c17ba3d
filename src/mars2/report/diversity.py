"""What `mars2 diversity` wrote into a run's directory, as tables and a figure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from mars2.report.curves import Curve
from mars2.report.panels import Figure, Line, Panel
from mars2.report.runs import Group, Run
from mars2.report.tables import Table
from mars2.report.text import NOTHING, count, finite, interval, mapping, rows_of, shown


def diversity_tables(groups: Sequence[Group]) -> list[Table]:
    """A table a level, equal solutions, and what agents solve where others fail."""
    runs = [r for g in groups for r in g.runs]
    levels = dict.fromkeys(level for run in runs for level in _levels(run))
    return [
        *(_level_table(i, level, runs) for i, level in enumerate(levels)),
        Table(
            "diversity-duplicates",
            "Solutions that repeat another one of the same problem",
            ["run", "agent", "solutions", "equal text", "equal program"],
            [row for run in runs for row in _duplicates(run)],
        ),
        Table(
            "diversity-overlap",
            "Problems that one agent solves and another does not: one attempt of each "
            "(95 % intervals)",
            ["run", "first and second", "problems", *_SHARES.values()],
            [row for run in runs for row in _overlap(run, _SHARES)],
        ),
        Table(
            "diversity-gain",
            "What a second agent is worth: solved by an attempt of each, or by two of one agent "
            "(95 % intervals)",
            ["run", "first and second", *_GAINS.values()],
            [row for run in runs for row in _overlap(run, _GAINS)],
            (_GAIN_NOTE,),
        ).compact(*_GAINS.values()),
    ]


def missing_diversity(groups: Sequence[Group]) -> list[Run]:
    """Runs without diversity.json."""
    return [r for g in groups for r in g.runs if not r.diversity]


def diversity_command(run: Run) -> str:
    """The command that writes the run's diversity.json."""
    return shown(shlex.join(("mars2", "diversity", str(run.path))))


def diversity_figure(groups: Sequence[Group]) -> Figure | None:
    """Diversity by training step, a panel a level; None without two steps anywhere."""
    many = sum(len(g.runs) for g in groups) > 1
    panels: dict[str, list[Line]] = {}
    for group in groups:
        for run in group.runs:
            for level, found in _levels(run).items():
                by_agent: dict[str, dict[int, float]] = {}
                for row in rows_of(found.get("steps")):
                    step, value = finite(row.get("step")), finite(row.get("diversity"))
                    if step is not None and value is not None:
                        by_agent.setdefault(str(row.get("agent")), {})[int(step)] = value
                for agent, points in by_agent.items():
                    steps = sorted(points)
                    curve = Curve(steps, [points[s] for s in steps])
                    title = f"{level.capitalize()} · {agent}" if many else level.capitalize()
                    who = group.name if len(groups) > 1 else "" if many else agent
                    panels.setdefault(title, []).append(Line(who, curve))
    drawn = [
        Panel(title, "diversity", lines, 0.0)
        for title, lines in panels.items()
        if any(len(x.curve.steps) > 1 for x in lines)
    ]
    return Figure("diversity", "Diversity by training step", drawn) if drawn else None


def _levels(run: Run) -> dict[str, dict[str, Any]]:
    return {k: mapping(v) for k, v in mapping(run.diversity.get("levels")).items()}


def _level_table(number: int, level: str, runs: Sequence[Run]) -> Table:
    """Within each agent and between agents; the method once, unless runs differ in it."""
    rows: list[list[str]] = []
    methods: dict[str, list[str]] = {}
    for run in runs:
        found = _levels(run).get(level, {})
        mine = [*_within(found), *_between(found)]
        rows += [[run.name, *row] for row in mine]
        if mine and isinstance(method := found.get("method"), str):
            methods.setdefault(method, []).append(run.name)
    notes = [
        f"Method: {method}." + (f" ({', '.join(names)})" if len(methods) > 1 else "")
        for method, names in methods.items()
    ]
    return Table(
        f"diversity-{number}",
        f"{shown(level).capitalize()} diversity: mean distance of two solutions of one problem "
        "(95 % intervals)",
        ["run", "solutions by", "distance", "problems", "solutions"],
        rows,
        tuple(notes),
    )


def _within(found: dict[str, Any]) -> list[list[str]]:
    rows = []
    for agent, value in mapping(found.get("agents")).items():
        values = mapping(value)
        counts = [count(finite(values.get(k))) for k in ("problems", "solutions")]
        rows.append([agent, interval(values.get("diversity"), values.get("ci95")), *counts])
    return rows


def _between(found: dict[str, Any]) -> list[list[str]]:
    rows = []
    for row in rows_of(found.get("between")):
        score = interval(row.get("diversity"), row.get("ci95"))
        rows.append([_pair(row), score, count(finite(row.get("problems"))), NOTHING])
    return rows


def _duplicates(run: Run) -> list[list[str]]:
    return [
        [run.name, agent, *(count(finite(mapping(v).get(k))) for k in keys)]
        for keys in [("solutions", "exact", "normalised")]
        for agent, v in mapping(run.diversity.get("duplicates")).items()
    ]


_SHARES = {
    "both": "both",
    "only_a": "only first",
    "only_b": "only second",
    "neither": "neither",
}
_GAINS = {
    "pass@2": "one of each",
    "pass@2_a": "two of the first",
    "pass@2_b": "two of the second",
    "gain": "gain over the better one",
}
_GAIN_NOTE = (
    "The gain is on the problems with two attempts of both. Which agent is the better one is seen "
    "on the same attempts, so it is, if anything, too low."
)


def _overlap(run: Run, columns: dict[str, str]) -> list[list[str]]:
    """A row a pair; what an older file lacks is left open, and a pair that lacks all left out."""
    rows = []
    for row in rows_of(run.diversity.get("error_overlap")):
        ends = mapping(row.get("ci95"))
        cells = [interval(row.get(k), ends.get(k), sign=k == "gain") for k in columns]
        if any(c != NOTHING for c in cells):
            problems = [count(finite(row.get("problems")))] if columns is _SHARES else []
            rows.append([run.name, _pair(row), *problems, *cells])
    return rows


def _pair(row: dict[str, Any]) -> str:
    return f"{_text(row.get('a'))} and {_text(row.get('b'))}"


def _text(value: Any) -> str:
    return NOTHING if value is None else shown(str(value))
