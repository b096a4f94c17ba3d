"""A summary, asked by arm, metric and accounting: numbers by seed and problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from mars2.study.crossed import averaged
from mars2.study.metrics import Metric, parse_metric
from mars2.study.record import UNTRAINED
from mars2.study.spec import Accounting, Study

Values = dict[str, float]  # by problem
BySeed = dict[int, Values]


@dataclass(slots=True)
class Results:
    """Raises ValidationError on a summary whose study is none."""

    summary: Mapping[str, Any]
    study: Study = field(init=False)
    problems: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.study = Study.model_validate(self.summary["study"])
        self.problems = list(self.summary["problems"])

    def cells(self, arm: str) -> dict[int, Mapping[str, Any]]:
        """Finished cells of an arm, by seed."""
        return {c["seed"]: c for c in self.summary["cells"] if c["arm"] == arm}

    def values(self, arm: str, metric: str | Metric, accounting: Accounting) -> BySeed:
        """The mean over the arm's teams; seeds without that number are left out."""
        wanted = parse_metric(metric) if isinstance(metric, str) else metric
        found: BySeed = {}
        for seed, cell in self.cells(arm).items():
            of = [self._value(system, wanted, accounting) for system in cell["systems"]]
            known = [x for x in of if x]
            if len(known) == len(of) and (mean := averaged(known)):
                found[seed] = mean
        return found

    def of_team(
        self, arm: str, agents: Sequence[str], metric: str, accounting: Accounting
    ) -> BySeed:
        """Of one of the arm's teams."""
        wanted, found = parse_metric(metric), {}
        for seed, cell in self.cells(arm).items():
            for system in cell["systems"]:
                if system["agents"] == list(agents) and (
                    value := self._value(system, wanted, accounting)
                ):
                    found[seed] = value
        return found

    def ends(self, arm: str, accounting: Accounting) -> list[Mapping[str, Any]]:
        """The end of each team of each cell."""
        found = [_end(s, accounting) for c in self.cells(arm).values() for s in c["systems"]]
        return [end for end in found if end is not None]

    def along(self, arm: str, accounting: Accounting) -> list[tuple[int, BySeed]]:
        """Held-out pass@1 by nodes of a team, up to the end of an accounting."""
        table: dict[int, BySeed] = {}
        for seed, cell in self.cells(arm).items():
            for nodes, of in self._points(cell, accounting).items():
                known = [self._rates(point) for point in of]
                if len(known) == len(cell["systems"]) and (mean := averaged(known)):
                    table.setdefault(nodes, {})[seed] = mean
        return sorted(table.items())

    def means_along(
        self, arm: str, accounting: Accounting, key: str, level: str | None = None
    ) -> list[tuple[int, dict[int, float]]]:
        """Nodes → seed → "joint_failure", or "diversity" at a level, mean over the teams."""
        table: dict[int, dict[int, float]] = {}
        for seed, cell in self.cells(arm).items():
            for nodes, of in self._points(cell, accounting).items():
                found = [p[key].get(level) if level else p[key] for p in of]
                if len(found) == len(cell["systems"]) and None not in found:
                    table.setdefault(nodes, {})[seed] = fmean(found)
        return sorted(table.items())

    def window(self, arm: str, accounting: Accounting) -> list[tuple[int, BySeed]]:
        """The measurements that the ceiling is a mean of."""
        points = [(n, by_seed) for n, by_seed in self.along(arm, accounting) if n]
        return points[-self.study.nodes.plateau :]

    # ------------------------------------------------------------------ one team

    def _points(
        self, cell: Mapping[str, Any], accounting: Accounting
    ) -> dict[int, list[Mapping[str, Any]]]:
        found: dict[int, list[Mapping[str, Any]]] = {}
        for system in cell["systems"]:
            end = _end(system, accounting)
            for point in system["points"][: end["point"] + 1] if end is not None else ():
                found.setdefault(point["nodes"], []).append(point)
        return found

    def _rates(self, point: Mapping[str, Any]) -> Values:
        return averaged([self._named(rates) for rates in point["rates"].values()])

    def _named(self, numbers: Sequence[float | None]) -> Values:
        pairs = zip(self.problems, numbers, strict=True)
        return {p: float(x) for p, x in pairs if x is not None}

    def _value(self, system: Mapping[str, Any], metric: Metric, accounting: Accounting) -> Values:
        """Empty: not measured."""
        end = _end(system, accounting)
        if end is None:
            return {}
        if metric.kind == "pass@1":
            return self._rates(system["points"][end["point"]])
        if metric.kind == "ceiling":
            first = max(min(1, end["point"]), end["point"] - self.study.nodes.plateau + 1)
            points = system["points"][first : end["point"] + 1]
            return averaged([self._rates(point) for point in points])
        if metric.kind == "joint_failure":
            return self._named(end["joint_failure"])
        if metric.kind == "diversity":
            return self._named(end["diversity"].get(metric.level) or [None] * len(self.problems))
        trees = end["trees"].get(metric.evaluation) or [None] * len(self.problems)
        n = metric.nodes or 0
        pairs = [(p, t) for p, t in zip(self.problems, trees, strict=True) if t is not None]
        if metric.kind == "any":
            return {p: float(0 < first <= n) for p, (first, _) in pairs}
        right = {p: float(sum(turn <= n for turn in turns) % 2) for p, (_, turns) in pairs}
        if metric.kind == "mcts":
            return right
        alone = self._rates(system["points"][end["point"]])
        return {p: x - alone[p] for p, x in right.items() if p in alone}


def _end(system: Mapping[str, Any], accounting: Accounting) -> Mapping[str, Any] | None:
    ends = system["ends"]
    return ends.get(accounting, ends.get(UNTRAINED))
