"""A study's figures, as data for `mars2.report.figures`."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from mars2.report.curves import Curve
from mars2.report.panels import Figure, Line, Panel
from mars2.study.crossed import of_rates
from mars2.study.metrics import LEVELS
from mars2.study.predict import Predicted, mean_of
from mars2.study.results import Results
from mars2.study.tables import EQUAL

_FAST = 1000  # resamples of a band


def all_figures(results: Results, foretold: Sequence[Predicted]) -> list[Figure]:
    """Learning, search and diversity of the arms, then of the controls; what foretells gains."""
    arms = results.study.arms
    main = [name for name, arm in arms.items() if not arm.control]
    controls = [name for name, arm in arms.items() if arm.control]
    found = []
    for names, suffix, title in ((main, "", ""), (controls, "-controls", ", controls")):
        if names:
            found += [
                _learning(results, names, f"learning{suffix}", f"Learning{title}"),
                _search(results, names, f"search{suffix}", f"Search at test time{title}"),
                _diversity(results, names, f"diversity{suffix}", f"Diversity{title}"),
            ]
    found += [_gains(one) for one in foretold]
    return [figure for figure in found if figure.panels]


def _learning(results: Results, arms: Sequence[str], name: str, title: str) -> Figure:
    panels = []
    for accounting in results.study.accountings():
        lines = []
        for arm in arms:
            points = results.along(arm, accounting)
            if len(points) > 1:
                lines.append(_band(arm, points))
        if lines:
            heading = f"Held-out pass@1, nodes equal {EQUAL[accounting]}"
            panels.append(Panel(heading, "share solved", lines, x="nodes of a team"))
    note = "Bands are 95 % intervals over seeds and problems."
    return Figure(name, title, panels, columns=2, note=note)


def _search(results: Results, arms: Sequence[str], name: str, title: str) -> Figure:
    panels = []
    study = results.study
    for accounting in study.accountings():
        for evaluation in study.searched(accounting):
            spec = study.evaluations[evaluation]
            for kind, what in (("mcts", "Pass@1(MCTS)"), ("any", "Pass@N")):
                lines = []
                for arm in arms:
                    values = [
                        (n, results.values(arm, f"{evaluation}.{kind}@{n}", accounting))
                        for n in spec.shown()
                    ]
                    known = [(n, v) for n, v in values if v]
                    if len(known) > 1:
                        lines.append(_band(arm, known))
                if lines:
                    heading = f"{what}, {evaluation}, {EQUAL[accounting]}"
                    panels.append(Panel(heading, "share solved", lines, x="nodes of a tree"))
    note = "Bands are 95 % intervals over seeds and problems."
    return Figure(name, title, panels, columns=2, note=note)


def _diversity(results: Results, arms: Sequence[str], name: str, title: str) -> Figure:
    accounting = results.study.accountings()[-1]
    wanted: list[tuple[str, str, str | None]] = [
        (f"{level.capitalize()} diversity", "diversity", level) for level in LEVELS
    ]
    panels = []
    for heading, key, level in [*wanted, ("Joint failure", "joint_failure", None)]:
        lines = []
        for arm in arms:
            points = results.means_along(arm, accounting, key, level)
            if len(points) > 1:
                lines.append(_range(arm, points))
        if lines:
            unit = "share" if level is None else "mean distance"
            panels.append(Panel(heading, unit, lines, x="nodes of a team"))
    note = f"Bands reach from the smallest to the largest seed; nodes equal {EQUAL[accounting]}."
    return Figure(name, title, panels, columns=2, note=note)


def _gains(one: Predicted) -> Figure:
    panels = []
    for x in one.declared.x:
        for y in one.declared.y:
            lines = []
            for team in one.teams:
                known, gain = mean_of(team.x[x]), mean_of(team.y[y])
                if known is not None and gain is not None:
                    low, high = ([gain["ci95"][i]] for i in (0, 1))
                    curve = Curve([known["mean"]], [gain["mean"]], low, high)
                    lines.append(Line(team.label, curve, marks=True))
            if lines:
                label = x.replace("_", " ")
                panels.append(Panel(f"Gain in {y}", "gain", lines, x=label, whole=x == "agents"))
    note = "A team a point. Bars are 95 % intervals over seeds and problems."
    title = f"Before training, and the gain: {one.name}"
    columns = len(one.declared.y)
    return Figure(f"prediction-{one.name}", title, panels, columns=columns, note=note)


def _band(arm: str, points: Sequence[tuple[int, Any]]) -> Line:
    found = [(n, of_rates(by_seed, resamples=_FAST)) for n, by_seed in points]
    steps, values = [n for n, _ in found], [e["mean"] for _, e in found]
    low, high = ([e["ci95"][i] for _, e in found] for i in (0, 1))
    return Line(arm, Curve(steps, values, low, high))


def _range(arm: str, points: Sequence[tuple[int, dict[int, float]]]) -> Line:
    values = [(n, list(by_seed.values())) for n, by_seed in points]
    return Line(
        arm,
        Curve(
            [n for n, _ in values],
            [fmean(v) for _, v in values],
            [min(v) for _, v in values],
            [max(v) for _, v in values],
        ),
    )


def colours(results: Results, figure: Figure) -> list[str]:
    """Arms, then teams, by colour: that of an arm is the same in all figures. Controls have figures
    and so colours of their own."""
    drawn = dict.fromkeys(line.who for panel in figure.panels for line in panel.lines)
    known = results.study.arms
    kinds = {known[who].control for who in drawn if who in known}
    arms = [name for name, arm in known.items() if arm.control in kinds]
    return arms + [who for who in drawn if who not in arms]
