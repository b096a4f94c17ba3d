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
    """Within each agent, between agents, equal solutions, and who fails where another succeeds."""
    runs = [r for g in groups for r in g.runs]
    return [
        Table(
            "diversity",
            "Diversity of an agent's solutions of one problem (95 % intervals)",
            ["run", "level", "agent", "diversity", "problems", "solutions", "method"],
            [row for run in runs for row in _within(run)],
        ),
        Table(
            "diversity-between",
            "Diversity between agents (95 % intervals)",
            ["run", "level", "agents", "diversity"],
            [row for run in runs for row in _between(run)],
        ),
        Table(
            "duplicates",
            "Solutions that repeat another one of the same problem",
            ["run", "agent", "solutions", "equal text", "equal program"],
            [row for run in runs for row in _duplicates(run)],
        ),
        Table(
            "overlap",
            "Problems that one agent solves and another does not",
            ["run", "agents", "problems", "both", "only first", "only second", "neither"],
            [row for run in runs for row in _overlap(run)],
        ),
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


def _within(run: Run) -> list[list[str]]:
    rows = []
    for level, found in _levels(run).items():
        for agent, value in mapping(found.get("agents")).items():
            values = mapping(value)
            counts = [count(finite(values.get(k))) for k in ("problems", "solutions")]
            score = interval(values.get("diversity"), values.get("ci95"))
            rows.append([run.name, level, agent, score, *counts, _text(found.get("method"))])
    return rows


def _between(run: Run) -> list[list[str]]:
    return [
        [run.name, level, _pair(row), interval(row.get("diversity"), row.get("ci95"))]
        for level, found in _levels(run).items()
        for row in rows_of(found.get("between"))
    ]


def _duplicates(run: Run) -> list[list[str]]:
    return [
        [run.name, agent, *(count(finite(mapping(v).get(k))) for k in keys)]
        for keys in [("solutions", "exact", "normalised")]
        for agent, v in mapping(run.diversity.get("duplicates")).items()
    ]


def _overlap(run: Run) -> list[list[str]]:
    keys = ("problems", "both", "only_a", "only_b", "neither")
    return [
        [run.name, _pair(row), *(_amount(row.get(k)) for k in keys)]
        for row in rows_of(run.diversity.get("error_overlap"))
    ]


def _amount(value: Any) -> str:
    """A count, or a share where it is none."""
    known = finite(value)
    return interval(known, None) if known is not None and known % 1 else count(known)


def _pair(row: dict[str, Any]) -> str:
    return f"{_text(row.get('a'))} and {_text(row.get('b'))}"


def _text(value: Any) -> str:
    return NOTHING if value is None else shown(str(value))
