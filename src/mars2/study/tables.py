"""A study's tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from mars2.report.tables import Table
from mars2.report.text import NOTHING, count, interval
from mars2.study.analysis import (
    Compared,
    family_size,
    plateau,
    stated,
    study_power,
    variations,
)
from mars2.study.crossed import of_rates
from mars2.study.metrics import LEVELS, parse_metric
from mars2.study.predict import Predicted, mean_of
from mars2.study.prediction import parse_trait
from mars2.study.results import BySeed, Results
from mars2.study.spec import Accounting

EQUAL = {"in_all": "in all", "per_policy": "per policy"}
"""How an accounting is called in a column "nodes equal"."""

_METHOD = (
    "Differences are paired by seed and problem. Intervals of 95 %: hierarchical bootstrap over "
    "seeds, then problems, widened by Student's t for the few seeds; p values by that t."
)


def all_tables(
    results: Results, found: Sequence[Compared], foretold: Sequence[Predicted]
) -> list[Table]:
    """In the order of the page."""
    planned = [c for c in found if not c.comparison.exploratory]
    later = [c for c in found if c.comparison.exploratory]
    tables = []
    if planned:
        title = "What was expected, and what was found"
        tables.append(_comparisons("comparisons", title, planned, results))
    if later:
        title = "Exploratory comparisons, not corrected for their number"
        tables.append(_comparisons("exploratory", title, later, results))
    for one in foretold:
        tables += [_gains(one, results.study.accountings()[0]), _ranks(one)]
    tables.append(_arms(results))
    for accounting in results.study.accountings():
        tables.append(_learning(results, accounting))
        apart = _apart(results, accounting)
        if apart.rows:
            tables.append(apart)
        for evaluation in results.study.searched(accounting):
            table = _budgets(results, accounting, evaluation)
            if table.rows:
                tables.append(table)
        tables.append(_diversity(results, accounting))
    tables.append(_power(results))
    return tables


def _comparisons(key: str, title: str, rows: Sequence[Compared], results: Results) -> Table:
    columns = ["comparison", "metric", "nodes equal", "expected", "difference [95 %]",
               "failures removed", "d", "p, Holm", "seeds that agree", "verdict"]  # fmt: skip
    if key == "exploratory":
        columns[7] = "p"
    lines = []
    for row in rows:
        c, gap = row.comparison, row.gap
        lines.append(
            [
                f"{c.a} − {c.b}",
                c.metric,
                EQUAL[row.accounting],
                c.expect,
                NOTHING if gap is None else interval(gap["mean"], gap["ci95"], sign=True),
                NOTHING if row.removed is None else f"{100 * row.removed:.0f} %",
                NOTHING if gap is None or math.isnan(gap["d"]) else f"{gap['d']:.2f}",
                NOTHING if gap is None else p_value(row.adjusted),
                row.agree or NOTHING,
                row.verdict,
            ]
        )
    alpha = results.study.power.alpha
    note = (
        f"{_METHOD} Adjusted after Holm for all {family_size(results.study)} comparisons that were "
        f"declared. A verdict is held or opposite where p < {alpha:g}, once all seeds are there. "
        "d: mean over the standard deviation of problems' mean differences. Failures removed: of "
        "those of the second."
    )
    return Table(key, title, columns, lines, (note,))


def p_value(p: float) -> str:
    """Three digits, or a bound."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _gains(one: Predicted, accounting: Accounting) -> Table:
    declared = one.declared
    rows = []
    for team in one.teams:
        bests = dict.fromkeys(team.best[y] for y in declared.y if y in team.best)
        rows.append(
            [
                team.label,
                " + ".join(team.agents),
                *(_trait(x, team.x[x]) for x in declared.x),
                "; ".join(bests) or NOTHING,
                *(_signed(team.y[y]) for y in declared.y),
            ]
        )
    over = "the mean of its members alone"
    if declared.against == "best":
        over = (
            "its member that is best alone, chosen by the same numbers, which favours it: gains "
            "are, if anything, too low"
        )
    equal = EQUAL[declared.accounting or accounting]
    note = (
        f"{declared.about or 'Teams'}. Gains, nodes equal {equal}, are over {over}. What is known "
        f"before is of {declared.before}."
    )
    columns = ["team", "members", *declared.x, "best alone", *(f"gain: {y}" for y in declared.y)]
    title = f"Before training, and the gain: {one.name}"
    return Table(f"prediction-{one.name}", title, columns, rows, (note,)).compact("best alone")


def _trait(name: str, values: BySeed) -> str:
    found = mean_of(values)
    if found is None:
        return NOTHING
    if not parse_trait(name).measured:
        return f"{found['mean']:g}"
    return interval(found["mean"], found["ci95"], sign=name != "joint_failure")


def _signed(values: BySeed) -> str:
    found = mean_of(values)
    return NOTHING if found is None else interval(found["mean"], found["ci95"], sign=True)


def _ranks(one: Predicted) -> Table:
    rows = [
        [
            r.x,
            r.y,
            str(r.teams),
            NOTHING if r.rho is None else interval(r.rho, r.ci95, sign=True),
        ]
        for r in one.ranks
    ]
    columns = ["before", "gain in", "teams", "rank correlation [95 %]"]
    note = (
        "Spearman's, over teams. Intervals redraw seeds and problems, the same for all teams: they "
        "tell what these teams' order is known to, and nothing of other teams."
        + (" Not declared beforehand." if one.declared.exploratory else "")
    )
    title = f"Does it foretell the gain? {one.name}"
    return Table(f"prediction-{one.name}-ranks", title, columns, rows, (note,))


def _arms(results: Results) -> Table:
    study = results.study
    rows = []
    for name, arm in study.arms.items():
        teams = "; ".join(" + ".join(team) for team in arm.teams)
        seeds = f"{len(results.cells(name))} of {len(study.seeds)}"
        kind = "control" if arm.control else ""
        rows.append([name, arm.about, teams, arm.train, kind or NOTHING, seeds])
    columns = ["arm", "what it is", "teams", "trained", "kind", "seeds finished"]
    return Table("arms", "Arms", columns, rows).compact("kind")


def _cell(values: Any) -> str:
    if not values:
        return NOTHING
    found = of_rates(values)
    return interval(found["mean"], found["ci95"])


def _learning(results: Results, accounting: Accounting) -> Table:
    rows = []
    for arm in results.study.arms:
        ends = results.ends(arm, accounting)
        if not ends:
            continue
        state, rise = plateau(results, arm, accounting)
        spent = [end["spent"] for end in ends if end["spent"]]
        used = [fmean(s[k] for s in spent) if spent else None for k in ("nodes", "updates")]
        rows.append(
            [
                arm,
                *(count(x) for x in used),
                _cell(results.values(arm, "pass@1", accounting)),
                _cell(results.values(arm, "ceiling", accounting)),
                NOTHING if rise is None else interval(rise["mean"], rise["ci95"], sign=True),
                state if state != "untrained" else NOTHING,
            ]
        )
    nodes = results.study.nodes
    columns = ["arm", "nodes", "updates", "pass@1 at the end", "ceiling", "rise in the window",
               "plateau"]  # fmt: skip
    note = (
        "Held-out problems. Nodes: programs that a team generated to learn from, mean over teams "
        f"and seeds. Ceiling: mean pass@1 of the last {nodes.plateau} measurements. Plateau: "
        "reached where the rise from the first to the last of them is surely below "
        f"{nodes.tolerance:g}; still rising where it is surely above 0."
    )
    title = f"Learning, nodes equal {EQUAL[accounting]}"
    return Table(f"learning-{accounting}", title, columns, rows, (note,))


def _apart(results: Results, accounting: Accounting) -> Table:
    """What other tables have the mean of."""
    metrics = ["ceiling"]
    for name in results.study.searched(accounting):
        metrics.append(f"{name}.mcts@{results.study.evaluations[name].nodes}")
    rows = []
    for arm, spec in results.study.arms.items():
        for team in spec.teams if len(spec.teams) > 1 else ():
            found = [_cell(results.of_team(arm, team, m, accounting)) for m in metrics]
            if any(cell != NOTHING for cell in found):
                rows.append([arm, " + ".join(team), *found])
    title = f"Arms of several teams, team by team, nodes equal {EQUAL[accounting]}"
    return Table(f"teams-{accounting}", title, ["arm", "team", *metrics], rows)


def _budgets(results: Results, accounting: Accounting, evaluation: str) -> Table:
    spec = results.study.evaluations[evaluation]
    shown = spec.shown()
    rows = []
    for arm in results.study.arms:
        for kind, what in (("mcts", "Pass@1(MCTS)"), ("any", "Pass@N")):
            found = [
                _cell(results.values(arm, f"{evaluation}.{kind}@{n}", accounting)) for n in shown
            ]
            if any(cell != NOTHING for cell in found):
                rows.append([arm, what, *found])
    title = f"Search at test time: {evaluation}, nodes equal {EQUAL[accounting]}"
    notes = (spec.about,) if spec.about else ()
    columns = ["arm", "metric", *(f"N = {n}" for n in shown)]
    return Table(f"search-{accounting}-{evaluation}", title, columns, rows, notes)


def _diversity(results: Results, accounting: Accounting) -> Table:
    names = [f"diversity.{level}" for level in LEVELS] + ["joint_failure"]
    rows = [
        [arm, *(_cell(results.values(arm, name, accounting)) for name in names)]
        for arm in results.study.arms
        if results.ends(arm, accounting)
    ]
    columns = ["arm", *LEVELS, "joint failure"]
    note = (
        "Expected distance of two first attempts at a held-out problem, each by an agent of the "
        "team drawn at random (docs/diversity.md). Joint failure: the chance that both fail, of "
        "attempts by two agents where there are several."
    )
    title = f"Diversity at the end of training, nodes equal {EQUAL[accounting]}"
    table = Table(f"diversity-{accounting}", title, columns, rows, (note,))
    return table.compact(*LEVELS)


def _power(results: Results) -> Table:
    study = results.study
    chosen = study.power
    problems = len(results.problems)
    rows = []
    sd = stated(study)
    if sd is not None:
        power = _share(study, sd, problems)
        rows.append(["stated before", NOTHING, str(problems), *_deviations(sd), power])
    for v in variations(study, results):
        name = f"{v.comparison.a} − {v.comparison.b}, {parse_metric(v.comparison.metric).text}"
        power = _share(study, v.sd, v.problems)
        rows.append([name, EQUAL[v.accounting], str(v.problems), *_deviations(v.sd), power])
    columns = [
        "difference",
        "nodes equal",
        "problems",
        "sd of seeds",
        "of problems",
        "of the rest",
        "power",
    ]
    note = (
        f"Power to find a difference of {chosen.effect:g} with {len(study.seeds)} seeds at "
        f"alpha = {chosen.alpha:g}, corrected for {family_size(study)} comparisons; "
        f"{chosen.power:g} was wanted. With the deviations stated before, and those observed."
    )
    return Table("power", "What this study could find", columns, rows, (note,))


def _deviations(sd: dict[str, float]) -> list[str]:
    return [f"{sd[k]:.3f}" for k in ("seed", "problem", "rest")]


def _share(study: Any, sd: dict[str, float], problems: int) -> str:
    seeds = len(study.seeds)
    if seeds < 2 or problems < 2 or sum(sd.values()) <= 0:
        return NOTHING
    return f"{study_power(study, sd, seeds, problems):.2f}"
