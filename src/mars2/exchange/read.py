"""Reads sample files strictly: everything is checked in a first pass, before anything is judged.

A second pass gives the programs, so that a file larger than memory can be judged.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mars2.errors import UsageError
from mars2.exchange.formats import NO_PROGRAM, SampleFormat, foreign_ids
from mars2.exchange.rows import read_rows
from mars2.types import Problem, Submission
from mars2.verifier.formats import checked_field

_SHOWN = 10  # ids named in a message; the rest are counted


@dataclass(frozen=True)
class Samples:
    """A file that was checked.

    Attributes:
        counts: how many programs each problem has, by problem id, in the order of the problems.
        digest: SHA-256 of the file, first 16 hex digits.
    """

    path: Path
    format: SampleFormat
    counts: dict[str, int]
    digest: str
    _problems: Mapping[str, Problem]  # by the evaluator's id

    def submissions(self) -> Iterator[Submission]:
        """Every program in the file's order, called "ID/0", "ID/1"… by problem.

        `NO_PROGRAM` becomes an empty completion, which is judged as an answer without a program.
        """
        given: dict[str, int] = dict.fromkeys(self.counts, 0)
        for foreign, codes in _programs(self.path, self.format, self._problems):
            problem = self._problems[foreign].id
            for code in codes:
                program = {"completion": ""} if code == NO_PROGRAM else {"code": code}
                yield Submission(id=f"{problem}/{given[problem]}", problem_id=problem, **program)
                given[problem] += 1


def check_samples(path: Path, problems: Sequence[Problem], format: SampleFormat) -> Samples:
    """Read the whole file once.

    Raises:
        UsageError: as `read_rows`; a field that is missing or of another type; ids that are
            unknown (with the nearest that are known) or missing; with `lcb` also an id that is
            given twice, and problems with unequal numbers of programs.
    """
    ours = foreign_ids(problems, format)
    own = {problem.id: problem for problem in problems}
    by_foreign = {foreign: own[id] for foreign, id in ours.items()}
    places: dict[str, list[int]] = {}
    counts: dict[str, int] = {}
    row = 0
    for row, foreign, codes in _checked(path, format, sorted(ours)):
        places.setdefault(foreign, []).append(row)
        counts[foreign] = counts.get(foreign, 0) + len(codes)
    if not row:
        raise UsageError(f"{path}: holds no samples")
    _check_ids(path, format, places, ours)
    if format == "lcb":
        _check_counts(path, places, counts)
    ordered = {id: counts[foreign] for foreign, id in ours.items()}
    return Samples(path, format, ordered, _digest(path), by_foreign)


# --------------------------------------------------------------------------- rows


def _checked(
    path: Path, format: SampleFormat, ids: Sequence[str]
) -> Iterator[tuple[int, str, list[Any]]]:
    """(row, the evaluator's id, programs) of every row; a completion is a tuple of itself."""
    place = -1
    for row, value in read_rows(path):
        place += 1
        where = f"{path}, row {row}"
        if format != "lcb":
            yield row, *_pair(value, where)
        elif isinstance(value, list):
            # code lists alone, in the order of the ids as text
            if place >= len(ids):
                raise UsageError(
                    f"{path}: holds more code lists without ids than there are problems, {len(ids)}"
                )
            yield row, ids[place], _strings(value, where)
        else:
            foreign = checked_field(where, value, "question_id", (str, int))
            codes = checked_field(where, value, "code_list", (list,))
            yield row, str(foreign), _strings(codes, f"{where}, code_list")


def _pair(value: Any, where: str) -> tuple[str, list[Any]]:
    task = checked_field(where, value, "task_id", (str,))
    if "solution" in value:  # as in EvalPlus, it wins
        return task, [checked_field(where, value, "solution", (str,))]
    if "completion" in value:
        return task, [(checked_field(where, value, "completion", (str,)),)]
    raise UsageError(f"{where}: needs a field solution or completion")


def _programs(
    path: Path, format: SampleFormat, problems: Mapping[str, Problem]
) -> Iterator[tuple[str, list[str]]]:
    for _, foreign, codes in _checked(path, format, sorted(problems)):
        prompted = [c if isinstance(c, str) else _completed(problems[foreign], c) for c in codes]
        yield foreign, prompted


def _completed(problem: Problem, completion: tuple[str]) -> str:
    return problem.starter_code + completion[0]


def _strings(codes: list[Any], where: str) -> list[Any]:
    if not codes:
        raise UsageError(f"{where}: is empty; give at least one program")
    for place, code in enumerate(codes):
        if not isinstance(code, str):
            kind = type(code).__name__
            raise UsageError(f"{where}[{place}]: has to be a string, not {kind}")
    return codes


# --------------------------------------------------------------------------- all of it


def _check_ids(
    path: Path, format: SampleFormat, places: Mapping[str, list[int]], ours: Mapping[str, str]
) -> None:
    unknown = [
        f"{id!r} (row {rows[0]}{_near(id, ours)})" for id, rows in places.items() if id not in ours
    ]
    twice = [
        f"{id!r} (rows {', '.join(map(str, rows[:3]))})"
        for id, rows in places.items()
        if len(rows) > 1 and format == "lcb"
    ]
    missing = [repr(id) for id in ours if id not in places]
    faults = {"unknown": unknown, "missing": missing, "given more than once": twice}
    told = [f"{what}: {_some(ids)}" for what, ids in faults.items() if ids]
    if told:
        field = "question_id" if format == "lcb" else "task_id"
        raise UsageError(
            f"{path}: has to hold each of the {len(ours)} problems by its {field}; "
            + "; ".join(told)
        )


def _near(id: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(id, known, n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def _check_counts(path: Path, places: Mapping[str, list[int]], counts: Mapping[str, int]) -> None:
    first = next(iter(counts))
    for id, count in counts.items():
        if count != counts[first]:
            raise UsageError(
                f"{path}, row {places[id][0]}: {id!r} has {count} programs and {first!r} (row "
                f"{places[first][0]}) has {counts[first]}; LiveCodeBench's evaluator needs as "
                "many for every problem"
            )


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
