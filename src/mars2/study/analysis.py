"""What a summary says: plateaus, the comparisons with their verdicts, and what they vary by."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mars2.evaluation.paired import holm
from mars2.study.crossed import difference, estimate
from mars2.study.power import power
from mars2.study.results import Results
from mars2.study.spec import Accounting, Comparison, Study

Verdict = Literal["held", "opposite", "not shown", "unfinished"]
Plateau = Literal["reached", "still rising", "not shown", "untrained"]


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison in one accounting. `gap`, `a` and `b` as of `estimate`, None if not measured.

    `adjusted`: p value after Holm over all that were planned (an exploratory one has its own).
    `removed`: the share of b's failures that a does not make, for what is a pass rate.
    `agree`: seeds whose own difference has the declared sign.
    """

    comparison: Comparison
    accounting: Accounting
    gap: dict[str, Any] | None
    a: dict[str, Any] | None
    b: dict[str, Any] | None
    adjusted: float
    verdict: Verdict

    @property
    def removed(self) -> float | None:
        rate = self.comparison.metric.split(".")[-1].split("@")[0]
        if self.gap is None or self.b is None or rate not in ("ceiling", "pass", "mcts", "any"):
            return None
        left = 1 - self.b["mean"]
        return self.gap["mean"] / left if left > 1e-9 else None

    @property
    def agree(self) -> str:
        if self.gap is None or self.comparison.expect == "different":
            return ""
        sign = 1 if self.comparison.expect == "greater" else -1
        seeds = self.gap["seeds"].values()
        return f"{sum(sign * x > 0 for x in seeds)}/{len(seeds)}"


def compared(results: Results) -> list[Compared]:
    """All comparisons, planned ones first. One that lacks seeds has no verdict yet, so that a study
    is not ended where it looks well, but counts for the correction: a family is what was declared.
    """
    study = results.study
    rows: list[tuple[Comparison, Accounting, Any, Any, Any]] = []
    for comparison, accounting in declared(study):
        one, other = (
            results.values(arm, comparison.metric, accounting)
            for arm in (comparison.a, comparison.b)
        )
        gap = difference(one, other)
        a, b = (estimate(x) if x else None for x in (one, other))
        rows.append((comparison, accounting, gap, a, b))
    planned = [row for row in rows if not row[0].exploratory]
    adjusted = iter(holm([_p(row[2]) for row in planned]))
    found = []
    for comparison, accounting, gap, a, b in planned + [r for r in rows if r[0].exploratory]:
        p = _p(gap) if comparison.exploratory else next(adjusted)
        verdict: Verdict = "unfinished"
        if gap is not None and len(gap["seeds"]) == len(study.seeds):
            verdict = _verdict(comparison, gap, p, study.power.alpha)
        found.append(Compared(comparison, accounting, gap, a, b, p, verdict))
    return found


def declared(study: Study) -> Iterator[tuple[Comparison, Accounting]]:
    """Every comparison, once an accounting that it is of."""
    for comparison in study.comparisons:
        for accounting in study.compared_in(comparison):
            yield comparison, accounting


def family_size(study: Study) -> int:
    """Number of comparisons whose p values are corrected together."""
    return sum(not c.exploratory for c, _ in declared(study))


def _p(gap: dict[str, Any] | None) -> float:
    return 1.0 if gap is None or math.isnan(gap["p"]) else gap["p"]


def _verdict(comparison: Comparison, gap: dict[str, Any], p: float, alpha: float) -> Verdict:
    if p >= alpha:
        return "not shown"
    wanted = {"greater": gap["mean"] > 0, "less": gap["mean"] < 0, "different": True}
    return "held" if wanted[comparison.expect] else "opposite"


def plateau(results: Results, arm: str, accounting: Accounting) -> tuple[Plateau, Any]:
    """Whether training had stopped to help, and the rise within the window of the ceiling.

    "reached": the interval of the rise from the window's first to its last measurement lies below
    `nodes.tolerance`; "still rising": it lies above 0, and not below that.
    """
    if results.study.arms[arm].train == "none":
        return "untrained", None
    window = results.window(arm, accounting)
    rise = difference(window[-1][1], window[0][1]) if len(window) > 1 else None
    if rise is None or math.isnan(rise["ci95"][0]):
        return "not shown", rise
    low, high = rise["ci95"]
    if high < results.study.nodes.tolerance:
        return "reached", rise
    return ("still rising" if low > 0 else "not shown"), rise


@dataclass(frozen=True, slots=True)
class Variation:
    """Of a planned comparison: standard deviations of its paired difference, as of `estimate`, and
    on how many problems."""

    comparison: Comparison
    accounting: Accounting
    sd: dict[str, float]
    problems: int


def variations(study: Study, pilot: Results) -> list[Variation]:
    """Of the study's planned comparisons, those that a pilot (or the study itself) has with at
    least two seeds."""
    found = []
    for comparison, accounting in declared(study):
        if comparison.exploratory:
            continue
        gap = difference(
            pilot.values(comparison.a, comparison.metric, accounting),
            pilot.values(comparison.b, comparison.metric, accounting),
        )
        if gap is not None and len(gap["seeds"]) > 1 and sum(gap["sd"].values()) > 0:
            found.append(Variation(comparison, accounting, gap["sd"], gap["problems"]))
    return found


def stated(study: Study) -> dict[str, float] | None:
    """Standard deviations that the file states; None if it names a pilot instead."""
    chosen = study.power
    if chosen.sd_seed is None or chosen.sd_problem is None or chosen.sd_rest is None:
        return None
    return {"seed": chosen.sd_seed, "problem": chosen.sd_problem, "rest": chosen.sd_rest}


def study_power(study: Study, sd: dict[str, float], seeds: int, problems: int) -> float:
    """Power to find the stated effect, in a family of the study's size."""
    chosen = study.power
    family = max(1, family_size(study))
    return power(chosen.effect, sd, seeds, problems, alpha=chosen.alpha, comparisons=family)
