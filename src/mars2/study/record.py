"""What a finished cell came to, by problem, from the files of its runs alone.

    {"format", "arm", "seed", "problems": [ID...],
     "systems": [{"name", "agents",
       "points": [{"nodes", "rates": {AGENT: [share passed, a problem]}, "joint_failure",
                   "diversity": {LEVEL: mean}}...],
       "ends": {ACCOUNTING or "untrained": {"point": index, "spent": {...},
                "joint_failure": [...], "diversity": {LEVEL: [...]},
                "trees": {EVALUATION: [[first n that finds it or 0,
                                        [n where the answer turns right, wrong...]]...]}}}}]}

Lists of numbers are in the order of "problems", null where a number is not known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from mars2.diversity.embed import make_embedder
from mars2.diversity.measure import LEVELS, problem_distances
from mars2.diversity.solutions import Solution, attempts_in
from mars2.errors import ResumeError
from mars2.evaluation.outcomes import EvalResult, TreeOutcome
from mars2.study.grid import Cell, Grid, Search, System
from mars2.training.rundir import read_metrics

FORMAT = 1
UNTRAINED = "untrained"
Numbers = list[float | None]


def make_record(grid: Grid, cell: Cell) -> dict[str, Any]:
    """See the module.

    Raises:
        ResumeError: a run of the cell is not finished, or its runs are of different problems.
    """
    reader = _Reader(grid, cell)
    systems = [reader.system(system) for system in cell.systems]
    return {
        "format": FORMAT,
        "arm": cell.arm,
        "seed": cell.seed,
        "problems": reader.problems,
        "systems": systems,
    }


class _Reader:
    def __init__(self, grid: Grid, cell: Cell) -> None:
        self.grid, self.cell = grid, cell
        self.problems: list[str] = []
        self._embed = make_embedder("lexical")

    def system(self, system: System) -> dict[str, Any]:
        points: list[dict[str, Any]] = []
        ends: dict[str, Any] = {}
        if not system.runs:
            found = next(s for s in self._searches(system) if s.evaluation is None)
            folder = found.folder(self.grid.out)
            point, detail = self._point(
                0, [folder / "results.json"], attempts_in(folder / "journal.jsonl")
            )
            points.append(point)
            ends[UNTRAINED] = {"point": 0, **detail, "spent": {}, "trees": self._trees(system)}
        else:
            last = max(system.ends.values())
            shared = set.intersection(*(set(run.measured(last)) for run in system.runs))
            for step in sorted(shared):
                files = [run.evaluation(self.grid.out, step, ".json") for run in system.runs]
                journals = [run.evaluation(self.grid.out, step, ".jsonl") for run in system.runs]
                nodes = step * sum(run.step_nodes for run in system.runs)
                written = [s for journal in journals for s in attempts_in(journal)]
                point, detail = self._point(nodes, files, written)
                for accounting, end in system.ends.items():
                    if end == step:
                        ends[accounting] = {
                            "point": len(points),
                            **detail,
                            "spent": self._spent(system, step),
                            "trees": self._trees(system, accounting),
                        }
                points.append(point)
        return {"name": system.name, "agents": system.agents, "points": points, "ends": ends}

    def _point(
        self, nodes: int, files: Sequence[Path], written: Sequence[Solution]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        attempts: dict[str, dict[str, list[bool]]] = {}
        for path in files:
            attempts |= _outcomes(path).attempts
        for by_problem in attempts.values():
            self._check(list(by_problem))
        rates = {
            agent: {p: sum(xs) / len(xs) for p, xs in by_problem.items() if xs}
            for agent, by_problem in attempts.items()
        }
        failure = {p: x for p in self.problems if (x := joint_failure(attempts, p)) is not None}
        distances = {level: problem_distances(written, level, self._embed) for level in LEVELS}
        point = {
            "nodes": nodes,
            "rates": {agent: self._listed(found) for agent, found in rates.items()},
            "joint_failure": _mean(failure),
            "diversity": {level: _mean(found) for level, found in distances.items() if found},
        }
        detail = {
            "joint_failure": self._listed(failure),
            "diversity": {level: self._listed(d) for level, d in distances.items() if d},
        }
        return point, detail

    def _trees(self, system: System, accounting: str | None = None) -> dict[str, Any]:
        found = {}
        for search in self._searches(system):
            here = accounting in search.accountings if accounting else not search.accountings
            if search.evaluation is not None and here:
                trees = _outcomes(search.folder(self.grid.out) / "results.json").trees
                self._check([p for p in self.problems if p in trees] or list(trees), some=True)
                found[search.evaluation] = [
                    _compact(trees[p]) if p in trees else None for p in self.problems
                ]
        return found

    def _searches(self, system: System) -> list[Search]:
        return [s for s in self.cell.searches if s.system is system]

    def _spent(self, system: System, step: int) -> dict[str, float]:
        """Of all the system's runs up to a step."""
        total = {"nodes": 0, "updates": 0, "samples": 0}
        for run in system.runs:
            for row in read_metrics(run.folder(self.grid.out) / "metrics.jsonl"):
                if row["step"] > step:
                    break
                total["nodes"] += row["trees"]["nodes"]
                for policy in row["policies"].values():
                    if policy["update"]:
                        total["updates"] += policy["update"]["optimizer_steps"]
                        total["samples"] += policy["update"]["samples"]
        return dict(total)

    def _check(self, problems: list[str], *, some: bool = False) -> None:
        """All evaluations of a cell are of the same problems."""
        if not self.problems:
            self.problems = problems
        wrong = set(problems) - set(self.problems) if some else {*problems} ^ {*self.problems}
        if wrong:
            raise ResumeError(
                f"{self.cell.name}: its evaluations are of different problems ({min(wrong)} is not "
                "in all of them)"
            )

    def _listed(self, found: Mapping[str, float]) -> Numbers:
        return [round(found[p], 5) if p in found else None for p in self.problems]


def joint_failure(
    attempts: Mapping[str, Mapping[str, Sequence[bool]]], problem: str
) -> float | None:
    """Chance that two first attempts at a problem both fail: by two agents, mean over their pairs,
    or by the one there is. Unbiased; None without enough attempts."""
    of = [list(by_problem.get(problem, ())) for by_problem in attempts.values()]
    if len(of) == 1:
        n, failed = len(of[0]), of[0].count(False)
        return failed * (failed - 1) / (n * (n - 1)) if n > 1 else None
    if not all(of):
        return None
    failing = [xs.count(False) / len(xs) for xs in of]
    return fmean(a * b for a, b in combinations(failing, 2))


def _compact(tree: TreeOutcome) -> list[Any]:
    """[first n whose node passes or 0, each n at which the answer turns right or wrong]."""
    first = next((n for n, node in enumerate(tree.order, 1) if node in tree.passed), 0)
    turns, right = [], False
    for n, picked in tree.selected_at:
        if (picked in tree.passed) != right:
            right = not right
            turns.append(n)
    return [first, turns]


def _outcomes(path: Path) -> EvalResult:
    try:
        return EvalResult.from_json(json.loads(path.read_text(encoding="utf-8"))["outcomes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResumeError(f"{path} is no finished evaluation: {error!r}") from None


def _mean(found: Mapping[str, float]) -> float | None:
    return round(fmean(found.values()), 5) if found else None
