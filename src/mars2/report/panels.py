"""What is drawn, as data: figures of panels of lines. Knows no plotting library.

One group of runs: a panel a metric, a colour an agent. Several groups: a panel a metric and agent,
a colour a group, so that what is compared shares axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from mars2.report.curves import Curve, Points, group_curve, points, smoothed, window_for
from mars2.report.runs import Group, Run, number

Style = Literal["solid", "dashed", "dotted"]
Scope = Literal["agent", "policy", "run"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a panel.

    `who` names the colour (an agent, policy or group of runs; "" is the ink) and `part` the style,
    where a panel has several lines of one colour. `raw` is the curve before smoothing. With
    `marks`, points stand apart and `low`, `high` are intervals; else they are a band.
    """

    who: str
    curve: Curve
    part: str = ""
    style: Style = "solid"
    raw: Curve | None = None
    marks: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One small plot over `x`.

    `floor` None: free; else the axis reaches down to it; likewise `ceiling`. `whole`: `x` is of
    whole numbers.
    """

    title: str
    unit: str
    lines: list[Line]
    floor: float | None = None
    ceiling: float | None = None
    x: str = "step"
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """Panels of one subject; `name` is that of its files.

    `constant`: metrics that were the same at every step, which need no panel: title → value.
    `note`: what bands and bars are, where that needs saying.
    """

    name: str
    title: str
    panels: list[Panel]
    constant: dict[str, float] = field(default_factory=dict)
    columns: int = 3
    note: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One line of a metric: where its values are below the agent, policy or row."""

    path: tuple[str, ...]
    name: str = ""
    style: Style = "solid"


@dataclass(frozen=True, slots=True)
class Metric:
    """What a panel shows. `floor` and `ceiling` as in `Panel`."""

    title: str
    unit: str
    scope: Scope
    parts: tuple[Part, ...]
    floor: float | None = 0.0
    ceiling: float | None = None


def _one(title: str, unit: str, scope: Scope, *path: str, **more: float | None) -> Metric:
    return Metric(title, unit, scope, (Part(path),), **more)


def _share(title: str, scope: Scope, *path: str) -> Metric:
    return _one(title, "share", scope, *path, ceiling=1.0)


FIGURES: tuple[tuple[str, str, tuple[Metric, ...]], ...] = (
    (
        "learning",
        "Learning",
        (
            _one("Training reward", "mean raw reward", "agent", "reward"),
            _share("Training pass rate", "agent", "pass_rate"),
            _one("Advantage", "mean", "agent", "advantage", "mean", floor=None),
            _share("Trees solved", "run", "trees", "pass_rate"),
            Metric(
                "First attempts and refinements",
                "share passed",
                "run",
                (
                    Part(("trees", "pass_rate_generate"), "first attempts"),
                    Part(("trees", "pass_rate_refine"), "refinements", "dashed"),
                ),
                ceiling=1.0,
            ),
        ),
    ),
    (
        "optimisation",
        "Optimisation",
        (
            _one("Loss", "per update", "policy", "update", "loss", floor=None),
            _one("KL to the reference", "nats a token", "policy", "update", "kl"),
            _one("Entropy", "nats a token", "policy", "update", "entropy"),
            Metric(
                "Clip fraction",
                "share",
                "policy",
                (
                    Part(("update", "clip_fraction"), "all"),
                    Part(("update", "dual_clip_fraction"), "by the dual clip", "dashed"),
                ),
            ),
            _one("Importance ratio", "mean", "policy", "update", "ratio_mean", floor=None),
            Metric(
                "Rollout correction",
                "weight",
                "policy",
                (
                    Part(("update", "correction_mean"), "mean"),
                    Part(("update", "correction_max"), "largest", "dashed"),
                ),
                floor=None,
            ),
            _one("Corrections at the cap", "share", "policy", "update", "corrected_fraction"),
            _one("Gradient norm", "before clipping", "policy", "update", "grad_norm"),
            _one("Learning rate", "", "policy", "update", "lr"),
            Metric(
                "Staleness",
                "versions",
                "policy",
                (
                    Part(("staleness", "mean"), "mean"),
                    Part(("staleness", "max"), "largest", "dashed"),
                ),
            ),
            _one("Samples learnt from", "samples", "policy", "update", "samples"),
            _one("Samples dropped as stale", "samples", "policy", "stale"),
        ),
    ),
    (
        "search",
        "Search trees",
        (
            _one("Size", "nodes a tree", "run", "trees", "size"),
            _one("Depth", "levels", "run", "trees", "depth"),
            _one("Root width", "first attempts a tree", "run", "trees", "root_width"),
            _share("Informative trees", "run", "trees", "informative_share"),
            _one("Nodes", "nodes a step", "agent", "nodes"),
            _one("Refinements", "nodes a step", "agent", "refinements"),
        ),
    ),
    (
        "outputs",
        "Outputs",
        (
            Metric(
                "Output length",
                "tokens",
                "agent",
                (Part(("length", "mean"), "mean"), Part(("length", "p95"), "95 %", "dashed")),
            ),
            _one("Truncated outputs", "share", "agent", "truncation_rate"),
            _one("Empty outputs", "share", "agent", "empty_rate"),
        ),
    ),
    (
        "speed",
        "Speed",
        (
            Metric(
                "Throughput",
                "tokens/s",
                "run",
                (
                    Part(("throughput", "generated_tokens_per_second"), "written"),
                    Part(("throughput", "trained_tokens_per_second"), "trained", "dashed"),
                ),
            ),
            Metric(
                "Time of a step",
                "seconds",
                "run",
                (
                    Part(("seconds", "rollout"), "rollout"),
                    Part(("seconds", "update"), "update", "dashed"),
                    Part(("seconds", "idle"), "idle", "dotted"),
                ),
            ),
            Metric(
                "Time between steps",
                "seconds",
                "run",
                (
                    Part(("seconds", "evaluation"), "evaluation"),
                    Part(("seconds", "checkpoint"), "checkpoint", "dashed"),
                ),
            ),
        ),
    ),
)
"""(name, title, metrics) of each figure, in order. A metric without values is left out."""


def build_figures(groups: Sequence[Group]) -> list[Figure]:
    """All figures that have something to show."""
    figures = []
    for name, title, metrics in FIGURES:
        panels = [p for m in metrics for p in _metric_panels(groups, m)]
        if name == "learning":
            panels = _evaluation_panels(groups) + panels
        constant = {p.title: v for p in panels if (v := _constant(p)) is not None}
        panels = [p for p in panels if p.title not in constant]
        columns = 4 if len(groups) > 1 and len(_members(groups, "agent")) in (2, 4) else 3
        if panels:
            figures.append(Figure(name, title, panels, constant, columns))
    return figures


def _constant(panel: Panel) -> float | None:
    """The value that all lines have at all of several steps, or None. Evaluations are drawn."""
    values = [v for x in panel.lines for v in x.curve.values]
    if any(x.marks for x in panel.lines) or all(len(x.curve.steps) == 1 for x in panel.lines):
        return None
    largest = max(map(abs, values))
    return values[0] if max(values) - min(values) <= 1e-4 * largest else None


def colours_of(groups: Sequence[Group]) -> list[str]:
    """Names that have a colour, in the order of colours: agents and shared policies, or groups."""
    if len(groups) > 1:
        return [g.name for g in groups]
    return list(dict.fromkeys([*_members(groups, "agent"), *_members(groups, "policy")]))


def _members(groups: Sequence[Group], scope: Scope) -> list[str]:
    """Agents, or what policies are called, over all groups."""
    runs = [r for g in groups for r in g.runs]
    if scope == "run":
        return [""]
    if scope == "agent":
        return list(dict.fromkeys(a for r in runs for a in r.agents))
    return list(dict.fromkeys(shown for r in runs for shown in _policies(r)))


def _policies(run: Run) -> dict[str, str]:
    """What a policy is called → its key. It bears the name of its agent if it has one only."""
    users: dict[str, list[str]] = {}
    for agent, policy in run.agents.items():
        users.setdefault(policy, []).append(agent)
    keys = dict.fromkeys(p for row in run.rows for p in row.get("policies", {}))
    return {users[k][0] if len(users.get(k, [])) == 1 else k: k for k in keys}


def _metric_panels(groups: Sequence[Group], metric: Metric) -> list[Panel]:
    members = _members(groups, metric.scope)
    if len(groups) == 1:
        lines = [x for m in members for x in _lines(groups[0], m, metric, m)]
        return [_panel(metric, metric.title, lines)] if lines else []
    panels = []
    for member in members:
        lines = [x for g in groups for x in _lines(g, member, metric, g.name)]
        title = f"{metric.title} · {member}" if member else metric.title
        if lines:
            panels.append(_panel(metric, title, lines))
    return panels


def _panel(metric: Metric, title: str, lines: list[Line]) -> Panel:
    return Panel(title, metric.unit, lines, metric.floor, metric.ceiling)


def _lines(group: Group, member: str, metric: Metric, who: str) -> list[Line]:
    lines = []
    for part in metric.parts:
        curve = group_curve(group, partial(_points, member, metric.scope, part.path))
        if curve is None:
            continue
        raw = curve if window_for(len(curve.values)) > 1 and curve.low is None else None
        lines.append(Line(who, smoothed(curve), part.name, part.style, raw))
    return lines


def _points(member: str, scope: Scope, path: tuple[str, ...], run: Run) -> Points:
    if scope == "run":
        return points(run, path)
    if scope == "agent":
        return points(run, ("agents", member, *path))
    key = _policies(run).get(member)
    return {} if key is None else points(run, ("policies", key, *path))


def _evaluation_panels(groups: Sequence[Group]) -> list[Panel]:
    """Held-out pass@1 by agent, and what the team finds; from two evaluations on."""
    alone = all(r.team == "tree" for g in groups for r in g.runs)
    name = "Tree" if alone else "Team"
    team = {f"{name}, selected answer": "pass@1(mcts)", f"{name}, any of its nodes": "pass@n"}
    panels: list[Panel] = []

    def add(title: str, lines: list[Line]) -> None:
        if any(len(line.curve.steps) > 1 for line in lines):
            panels.append(Panel(title, "share solved", lines, 0.0, 1.0))

    agents = _members(groups, "agent")
    if len(groups) == 1:
        add("Held-out pass@1", [x for a in agents for x in _held_out(groups[0], a, a)])
    else:
        for agent in agents:
            lines = [x for g in groups for x in _held_out(g, agent, g.name)]
            add(f"Held-out pass@1 · {agent}", lines)
    many = len(groups) > 1
    for title, key in team.items():
        add(title, [x for g in groups for x in _held_out(g, None, g.name if many else "", key)])
    return panels


def _held_out(group: Group, agent: str | None, who: str, key: str = "pass@1") -> list[Line]:
    """Of an agent, or of the team: points with the interval of a run, or the range of several."""

    base = ("team",) if agent is None else ("agents", agent)
    interval = (*base, "ci95", key) if agent is None else (*base, "ci95")
    curve = group_curve(group, partial(_evaluated, (*base, key), None))
    if curve is None:
        return []
    low, high = curve.low, curve.high
    if low is None:
        ends = [group_curve(group, partial(_evaluated, interval, place)) for place in (0, 1)]
        if ends[0] and ends[1] and ends[0].steps == curve.steps == ends[1].steps:
            low, high = ends[0].values, ends[1].values
    return [Line(who, Curve(curve.steps, curve.values, low, high), marks=True)]


def _evaluated(path: Sequence[str], place: int | None, run: Run) -> Points:
    """Of each evaluation the number at a path, or in a place of the list there."""
    found: Points = {}
    for evaluation in run.evaluations:
        value: Any = evaluation.summary
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if place is not None:
            value = value[place] if isinstance(value, list) and len(value) > place else None
        known = number({"value": value}, ("value",))
        if evaluation.step is not None and known is not None:
            found[evaluation.step] = known
    return found
