"""Every problem with who solved it: a row a problem, a column an agent or team of each run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mars2.report.evaluations import latest
from mars2.report.runs import Evaluation, Group, Run
from mars2.report.tables import Table
from mars2.report.text import Score, count, finite, mapping

TEAM_WORDS = ("no", "found, not chosen", "solved")


@dataclass(frozen=True, slots=True)
class Solver:
    """A column: an agent of a run, or, with `agent` None, its team with one tree a problem.

    `team` is what the latter is called.
    """

    run: str
    agent: str | None
    team: str = "team"

    @property
    def name(self) -> str:
        """Of the agent, or what its team is called."""
        return self.team if self.agent is None else self.agent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a solver made of a problem.

    Of an agent: how many of its attempts passed all tests, and of a training run the share that
    did before it. Of a team: did the selected program pass, did any, in how many nodes.
    """

    attempts: int = 0
    passed: int = 0
    before: float | None = None
    selected: bool | None = None
    found: bool | None = None
    nodes: int | None = None

    @property
    def solved(self) -> bool:
        """Any attempt passed; of a team: the program that it selected."""
        return bool(self.selected) if self.selected is not None else self.passed > 0


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """A problem, and its outcome by each solver; None where a solver did not try it."""

    id: str
    title: str | None
    difficulty: str | None
    date: str | None
    outcomes: list[Outcome | None]


@dataclass(frozen=True, slots=True)
class Problems:
    """All problems of all runs' latest evaluations, in the order in which they first occur."""

    solvers: list[Solver]
    rows: list[ProblemRow]

    def to_json(self) -> dict[str, Any]:
        """`{"solvers": [{"run", "agent"}], "rows": [{…, "outcomes": [{…} or null]}]}`.

        An outcome is {"passed", "attempts", "before"} or {"selected", "found", "nodes"}.
        """
        return {
            "solvers": [{"run": s.run, "agent": s.agent} for s in self.solvers],
            "rows": [
                {
                    "id": row.id,
                    "title": row.title,
                    "difficulty": row.difficulty,
                    "date": row.date,
                    "outcomes": [None if o is None else _outcome_json(o) for o in row.outcomes],
                }
                for row in self.rows
            ],
        }


def problems_of(groups: Sequence[Group]) -> Problems:
    """Read the latest evaluation of each run; entries that are none are left out."""
    runs = [r for g in groups for r in g.runs]
    columns: list[tuple[Solver, dict[str, Outcome]]] = []
    info: dict[str, dict[str, Any]] = {}
    for run in runs:
        evaluation = latest(run)
        if evaluation is None:
            continue
        for problem, known in mapping(evaluation.more.get("problem_info")).items():
            info.setdefault(problem, mapping(known))
        columns += _columns(run, evaluation)
    ids = list(dict.fromkeys(p for _, found in columns for p in found))
    rows = [
        ProblemRow(
            problem,
            _word(info.get(problem, {}).get("title")),
            _word(info.get(problem, {}).get("difficulty")),
            (_word(info.get(problem, {}).get("date")) or "")[:10] or None,
            [found.get(problem) for _, found in columns],
        )
        for problem in ids
    ]
    return Problems([s for s, _ in columns], rows)


def problems_table(problems: Problems) -> Table:
    """The same as text; columns that nothing is known of are left out."""
    several = len({s.run for s in problems.solvers}) > 1
    columns = ["problem", "title", "difficulty", "date"]
    for solver in problems.solvers:
        prefix = f"{solver.run} · " if several else ""
        columns += [prefix + solver.name] + [f"{prefix}nodes"] * (not solver.agent)
    rows = []
    for row in problems.rows:
        cells = [row.id, row.title or "", row.difficulty or "", row.date or ""]
        for solver, outcome in zip(problems.solvers, row.outcomes, strict=True):
            cells.append(outcome_cell(outcome))
            if solver.agent is None:
                cells.append(count(outcome.nodes) if outcome else "")
        rows.append(cells)
    table = Table("problems", "Problems", columns, rows)
    return table.compact("title", "difficulty", "date")


def outcome_cell(outcome: Outcome | None) -> str:
    """`3/4`, after training `1/4 → 3/4`, of a team one of `TEAM_WORDS`; sorted by its value."""
    if outcome is None:
        return ""
    if outcome.selected is not None:
        rank = 2 if outcome.selected else int(bool(outcome.found))
        return Score(TEAM_WORDS[rank], rank / 2)
    if not outcome.attempts:
        return ""
    share = outcome.passed / outcome.attempts
    text = f"{outcome.passed}/{outcome.attempts}"
    if outcome.before is not None:
        text = f"{_hundredths(outcome.before)} → {_hundredths(share)}"
    return Score(text, share, scale=True)


def _hundredths(share: float) -> str:
    return f"{share:.2f}"


def _columns(run: Run, evaluation: Evaluation) -> list[tuple[Solver, dict[str, Outcome]]]:
    first = run.evaluations[0] if len(run.evaluations) > 1 else None
    earlier = mapping(first.outcomes.get("attempts")) if first else {}
    columns = []
    for agent, by_problem in mapping(evaluation.outcomes.get("attempts")).items():
        old = mapping(earlier.get(agent))
        found = {
            p: Outcome(len(xs), sum(x is True for x in xs), _share(old.get(p)))
            for p, xs in mapping(by_problem).items()
            if isinstance(xs, list)
        }
        columns.append((Solver(run.name, agent), found))
    trees = {p: mapping(t) for p, t in mapping(evaluation.outcomes.get("trees")).items()}
    if trees:
        columns.append((Solver(run.name, None, run.team), {p: _tree(t) for p, t in trees.items()}))
    return columns


def _share(attempts: Any) -> float | None:
    if not isinstance(attempts, list) or not attempts:
        return None
    return sum(x is True for x in attempts) / len(attempts)


def _tree(tree: dict[str, Any]) -> Outcome:
    nodes = finite(tree.get("nodes"))
    return Outcome(
        selected=tree.get("selected") is True,
        found=tree.get("any_passed") is True,
        nodes=None if nodes is None else int(nodes),
    )


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    if outcome.selected is not None:
        return {"selected": outcome.selected, "found": outcome.found, "nodes": outcome.nodes}
    return {"passed": outcome.passed, "attempts": outcome.attempts, "before": outcome.before}
