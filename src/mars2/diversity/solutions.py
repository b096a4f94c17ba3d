"""Solutions to compare: of an evaluation, of a training run, or of a file of JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mars2.errors import UsageError
from mars2.prompts.extract import split_answer
from mars2.search.journal import read_journal

Which = Literal["attempts", "trees"]
Nodes = Literal["first", "all"]


@dataclass(frozen=True, slots=True)
class Solution:
    """One answer of an agent to a problem.

    `step`: training steps made when it was written, None outside training. `program`: None if the
    answer held none. `reasoning`: the text before the program, "" if there was none, None if the
    answer's text is not known. `passed`: all tests of an independent attempt, None if that is not
    known or the answer is no such attempt.
    """

    problem: str
    agent: str
    program: str | None
    reasoning: str | None = None
    step: int | None = None
    passed: bool | None = None


@dataclass(slots=True)
class Source:
    """Solutions of one run or file, in the order in which they were written.

    `latest`: the step that stands for the run as a whole; None: all of them. `judged`: independent
    attempts of that step that are known to have passed or failed.
    """

    path: Path
    which: Which | Literal["file"]
    solutions: list[Solution]
    judged: list[Solution]
    latest: int | None = None
    notes: list[str] = field(default_factory=list)


def load_source(path: Path, which: Which = "attempts", nodes: Nodes = "first") -> Source:
    """The solutions of a run directory or of a file of JSON lines.

    Args:
        which: of a run, the independent attempts of its evaluation (of a training run: of all its
            held-out evaluations, or, where it has none, what its trees hold), or its trees.
        nodes: of trees, the first attempts only, or refinements too.

    Raises:
        UsageError: neither a run nor such a file, or nothing in it; names the row and the field.
        ResumeError: a journal cannot be read.
    """
    if path.is_file():
        rows = _rows(path)
        return Source(path, "file", rows, [s for s in rows if s.passed is not None])
    if not path.is_dir():
        raise UsageError(f"{path}: there is no such run directory or file")
    journal = path / "journal.jsonl"
    if (path / "metrics.jsonl").exists() or (path / "eval").is_dir():
        source = _training(path, which, nodes)
    elif journal.is_file():
        judged = _evaluation(journal, "attempts", nodes, None)
        found = judged if which == "attempts" else _evaluation(journal, "trees", nodes, None)
        source = Source(path, which, found, judged)
    else:
        raise UsageError(
            f"{path} holds no journal.jsonl; give the --out directory of mars2 eval or train, or a "
            "file of JSON lines"
        )
    if not source.solutions:
        raise UsageError(f"{path} holds no solutions ({source.which}, --nodes {nodes})")
    return source


# --------------------------------------------------------------------------- runs


def _training(path: Path, which: Which, nodes: Nodes) -> Source:
    evaluated = {
        step: _evaluation(journal, "attempts", nodes, step)
        for step, journal in sorted(_evaluated_steps(path).items())
    }
    latest = max(evaluated, default=None)
    judged = [] if latest is None else evaluated[latest]
    if which == "attempts" and latest is not None:
        solutions = [s for step in evaluated.values() for s in step]
        return Source(path, "attempts", solutions, judged, latest)
    source = Source(path, "trees", _grown(path, nodes), judged)
    if which == "attempts":
        source.notes.append("the run has no held-out evaluation: first attempts of its own trees")
    return source


def attempts_in(journal: Path) -> list[Solution]:
    """Independent first attempts in the journal of one evaluation.

    Raises:
        ResumeError: the journal cannot be read.
    """
    return _evaluation(journal, "attempts", "first", None)


def _evaluated_steps(path: Path) -> dict[int, Path]:
    """Journals of held-out evaluations by the steps made before them."""
    found: dict[int, Path] = {}
    for journal in sorted((path / "eval").glob("*.jsonl")):
        number = re.fullmatch(r"step(\d+)", journal.stem)
        if journal.stem == "before":
            found[0] = journal
        elif number:
            found[int(number[1])] = journal
    after = path / "eval" / "after.jsonl"
    if after.exists():
        found[max([_steps_done(path), *found])] = after
    return found


def _steps_done(path: Path) -> int:
    try:
        return int(json.loads((path / "manifest.json").read_text(encoding="utf-8"))["steps_done"])
    except (OSError, ValueError, KeyError, TypeError):
        return max((row["step"] for row in _metrics(path)), default=0)


def _metrics(path: Path) -> list[dict[str, Any]]:
    """Whole lines of metrics.jsonl, by rising step, the last of each."""
    found: dict[int, dict[str, Any]] = {}
    try:
        lines = (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            row = json.loads(line)
            found[int(row["step"])] = row
        except (ValueError, KeyError, TypeError):
            continue
    return [found[step] for step in sorted(found)]


def _grown(path: Path, nodes: Nodes) -> list[Solution]:
    """What the training trees hold. A tree `000012/PROBLEM` belongs to the step that counted it.

    Steps count `trees.count` trees each: in a synchronous run in the order of their numbers, in an
    asynchronous one as they ended.
    """
    rows = _metrics(path)
    free = any((row.get("loop") or {}).get("mode") == "async" for row in rows)
    found: dict[str, list[Solution]] = {}
    ends: dict[str, int] = {}
    for place, event in enumerate(read_journal(path / "journal.jsonl")):
        if event["event"] == "header":
            continue
        ends[event["tree"]] = place
        problem = event["tree"].partition("/")[2]
        solution = _of_node(event, problem, nodes, None)
        if solution is not None:
            found.setdefault(event["tree"], []).append(solution)
    order = sorted(ends, key=lambda tree: (ends[tree] if free else 0, tree))
    step_of = dict(zip(order, _steps(rows), strict=False))
    return [
        replace(s, step=step_of[tree], passed=None) for tree in order for s in found.get(tree, [])
    ]


def _steps(rows: Iterable[dict[str, Any]]) -> Iterator[int]:
    """The step of each tree in order; those of a step that is not closed yet come last."""
    step = 0
    for row in rows:
        step = row["step"]
        for _ in range(int((row.get("trees") or {}).get("count") or 0)):
            yield step
    while True:
        yield step + 1


def _evaluation(journal: Path, which: Which, nodes: Nodes, step: int | None) -> list[Solution]:
    """Trees of an evaluation are LABEL/AGENT/PROBLEM, and LABEL/team/PROBLEM for the team's."""
    found = []
    for event in read_journal(journal):
        if event["event"] != "tell":
            continue
        parts = event["tree"].split("/", 2)
        agent = event["node"]["agent"]
        if len(parts) < 3 or (parts[1] == agent) != (which == "attempts"):
            continue
        solution = _of_node(event, parts[2], nodes, step)
        if solution is not None:
            known = which == "attempts"  # trees are judged on public tests
            found.append(solution if known else replace(solution, passed=None))
    return found


def _of_node(
    event: dict[str, Any], problem: str, nodes: Nodes, step: int | None
) -> Solution | None:
    if event["event"] != "tell":
        return None
    node = event["node"]
    if nodes == "first" and node["action"] != "generate":
        return None
    return Solution(
        problem,
        node["agent"],
        node["code"],
        split_answer(node["generation"]["text"])[0],
        step,
        node["verdict"]["status"] == "passed",
    )


# --------------------------------------------------------------------------- files


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    problem: str = Field(min_length=1)
    agent: str = Field(min_length=1)
    program: str | None = None
    text: str | None = None
    step: int | None = None
    passed: bool | None = None

    @model_validator(mode="after")
    def _something(self) -> _Row:
        if self.program is None and self.text is None:
            raise ValueError("needs program or text")
        return self


def _rows(path: Path) -> list[Solution]:
    """`{"problem", "agent", "program" and/or "text", "step"?, "passed"?}` a line."""
    found = []
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    found.append(_solution(path, number, line))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    if not found:
        raise UsageError(f"{path} holds no solutions")
    return found


def _solution(path: Path, number: int, line: str) -> Solution:
    try:
        row = _Row.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the row"
        raise UsageError(f"{path}, row {number}, {where}: {first['msg']}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path}, row {number}: is no JSON object") from None
    reasoning, code = (None, None) if row.text is None else split_answer(row.text)
    program = code if row.program is None else row.program
    return Solution(row.problem, row.agent, program, reasoning, row.step, row.passed)
