"""Single numbers of a study by name, for prose: no number of a page is typed by hand.

team.ceiling                       an arm:         0.512 [0.480, 0.544]
team-tree.ab-mcts.mcts@60          a difference:  +0.041 [+0.013, +0.069], paired
team-tree.ceiling per_policy p     at the end of an accounting (the first, if not said), a part
learning-in_all/team/updates       a cell of a table: TABLE/ROW/COLUMN, a row by its first cells
seeds                              a fact of the study
"""

from __future__ import annotations

import math
from typing import Any

from mars2.errors import UsageError
from mars2.report.text import NOTHING, count, interval
from mars2.study.analysis import Compared, family_size
from mars2.study.crossed import difference, estimate, of_rates
from mars2.study.metrics import parse_metric
from mars2.study.page import StudyReport
from mars2.study.spec import ACCOUNTINGS, Accounting
from mars2.study.tables import p_value

_OF_ALL = ("mean", "ci")
_OF_DECLARED = ("p", "d", "removed", "agree", "verdict")


def quoted(report: StudyReport, name: str) -> str:
    """The number's text.

    Raises:
        UsageError: nothing is called so, or it is not measured; tells what there is.
    """
    if "/" in name:
        return _cell(report, name)
    head, *rest = name.split() or [""]
    if "." not in head:
        return _fact(report, name.strip())
    return _measured(report, head, rest)


def plain(text: str) -> str:
    """A name of a row or column as one types it: with a hyphen for the minus sign."""
    return " ".join(text.replace("−", "-").split())


# --------------------------------------------------------------------------- cells of tables


def _cell(report: StudyReport, name: str) -> str:
    key, *parts = (plain(part) for part in name.split("/"))
    tables = {t.key: t for t in report.tables}
    if key not in tables:
        raise UsageError(f"there is no table {key!r}; there are {', '.join(tables)}")
    table = tables[key]
    *row, column = parts
    columns = [plain(c) for c in table.columns]
    if column not in columns:
        raise UsageError(f"{key} has no column {column!r}; there are {'; '.join(columns)}")
    fits = [r for r in table.rows if row and [plain(cell) for cell in r[: len(row)]] == row]
    if len(fits) != 1:
        wrong = "several rows begin" if fits else "no row begins"
        there = "; ".join("/".join(map(plain, r[: max(1, len(row))])) for r in table.rows)
        raise UsageError(f"{key}: {wrong} with {'/'.join(row)!r}; rows are {there}")
    return fits[0][columns.index(column)]


# --------------------------------------------------------------------------- arms, differences


def _measured(report: StudyReport, head: str, rest: list[str]) -> str:
    arms, _, metric = head.partition(".")
    pair = _arms(report, arms)
    accounting, part = _options(report, rest, declared=len(pair) == 2)
    try:
        kind = parse_metric(metric).kind
    except ValueError as error:
        raise UsageError(str(error)) from None
    values = [report.results.values(arm, metric, accounting) for arm in pair]
    found: dict[str, Any] | None = None
    if all(values):
        one = estimate if kind == "gain" else of_rates
        found = one(values[0]) if len(pair) == 1 else difference(values[0], values[1])
    if found is None:
        raise UsageError(f"{head}: not measured at the end of {accounting}")
    if part in _OF_DECLARED:
        return _declared(report, pair, parse_metric(metric).text, accounting, part)
    text = interval(found["mean"], found["ci95"], sign=len(pair) == 2)
    mean, _, ends = text.partition(" ")
    return {"": text, "mean": mean, "ci": ends}[part]


def _arms(report: StudyReport, text: str) -> list[str]:
    """One arm, or the two whose names a hyphen joins: names may have hyphens themselves."""
    arms = report.results.study.arms
    if text in arms:
        return [text]
    places = [i for i, letter in enumerate(text) if letter == "-"]
    found = [[text[:i], text[i + 1 :]] for i in places if {text[:i], text[i + 1 :]} <= arms.keys()]
    if len(found) != 1:
        wrong = "may be several pairs of arms" if found else "is no arm and no two joined by -"
        raise UsageError(f"{text!r} {wrong}; arms are {', '.join(arms)}")
    return found[0]


def _options(report: StudyReport, words: list[str], *, declared: bool) -> tuple[Accounting, str]:
    known = report.results.study.accountings()
    parts = _OF_ALL + (_OF_DECLARED if declared else ())
    accounting, part = known[0], ""
    for word in words:
        if word in parts:
            part = word
        elif word in known:
            accounting = next(a for a in ACCOUNTINGS if a == word)
        else:
            raise UsageError(f"{word!r} is none of {', '.join([*known, *parts])}")
    return accounting, part


def _declared(
    report: StudyReport, pair: list[str], metric: str, accounting: Accounting, part: str
) -> str:
    for row in report.compared:
        c = row.comparison
        if [c.a, c.b, c.metric, row.accounting] == [*pair, metric, accounting]:
            return _part(row, part)
    said = "; ".join(
        f"{r.comparison.a}-{r.comparison.b}.{r.comparison.metric} {r.accounting}"
        for r in report.compared
    )
    raise UsageError(f"{part} is of declared comparisons, and these are {said or 'none'}")


def _part(row: Compared, part: str) -> str:
    d = math.nan if row.gap is None else row.gap["d"]
    found = {
        "p": p_value(row.adjusted),
        "d": NOTHING if math.isnan(d) else f"{d:.2f}",
        "removed": NOTHING if row.removed is None else f"{100 * row.removed:.0f} %",
        "agree": row.agree or NOTHING,
        "verdict": row.verdict,
    }
    return found[part]


# --------------------------------------------------------------------------- facts


def _fact(report: StudyReport, name: str) -> str:
    study = report.results.study

    def verdicts(wanted: str) -> int:
        return sum(r.verdict == wanted and not r.comparison.exploratory for r in report.compared)

    facts: dict[str, int | str] = {
        "seeds": len(study.seeds),
        "problems": len(report.results.problems),
        "arms": len(study.arms),
        "cells": len(report.results.summary["cells"]),
        "comparisons": family_size(study),
        "held": verdicts("held"),
        "opposite": verdicts("opposite"),
        "not-shown": verdicts("not shown"),
        "alpha": f"{study.power.alpha:g}",
        "effect": f"{study.power.effect:g}",
        "between": study.nodes.between,
        **{a: getattr(study.nodes, a) for a in study.accountings()},
    }
    if name not in facts:
        raise UsageError(
            f"{name!r} is no number: give ARM.METRIC, ARM-ARM.METRIC, TABLE/ROW/COLUMN, or one of "
            + ", ".join(facts)
        )
    value = facts[name]
    return count(value) if isinstance(value, int) else value
