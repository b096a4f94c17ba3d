"""Reads files of submissions: our own, LiveCodeBench's custom evaluator's, EvalPlus's.

    mars2     {"id", "problem_id", "code" | "completion"}: a completion is a model's answer, in
              which the program is looked for
    lcb       {"question_id", "code_list"} for every problem, exactly once; or a list of such
              code lists alone, in the order of the problems' ids as text
    evalplus  {"task_id", "solution" | "completion"}, also HumanEval's: a completion is appended
              to the problem's starter code as it stands (github.com/evalplus/evalplus)

A file is JSON lines or one JSON array, gzipped or not; which is found out from its content.
All is checked before anything runs, and a fault names the file, the row and the field.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from mars2.errors import UsageError
from mars2.problems.jsonl import parse_json, rows
from mars2.types import Problem, Submission

Format = Literal["mars2", "lcb", "evalplus"]
FORMATS: tuple[Format, ...] = get_args(Format)
_TELLING: dict[str, Format] = {"problem_id": "mars2", "question_id": "lcb", "task_id": "evalplus"}
_SHOWN = 10  # ids named in a message; the rest are counted
_Rows = list[tuple[str, Any]]  # where each stands ("FILE, row 3") and its value


@dataclass(frozen=True)
class Loaded:
    """Submissions in the file's order, and the format that it was in.

    In `lcb` and `evalplus`, ids are "TASK/0", "TASK/1"… for the samples of one task, in order.
    """

    format: Format
    submissions: list[Submission]


def read_submissions(
    path: Path, problems: Iterable[Problem], format: Format | None = None
) -> Loaded:
    """The submissions of a file, each for one of `problems`; `format` None: by its content.

    Raises:
        UsageError: missing or unreadable file, bad JSON, unknown format, missing or unknown
            field, an id used twice, a problem that is not there; with `lcb` also a problem
            without submissions.
    """
    values = _values(path)
    if not values:
        raise UsageError(f"{path}: holds no submissions")
    known = {problem.id: problem for problem in problems}
    format = format or _detect(values)
    if format == "mars2":
        found = _own(values, known)
    elif format == "lcb":
        found = _lcb(values, known, str(path))
    else:
        found = _evalplus(values, known, str(path))
    return Loaded(format, found)


def program(problem: Problem, submission: Submission) -> str | None:
    """The program that is judged: the code, or what the completion holds; None without any."""
    if submission.completion is None:
        return submission.code
    from mars2.prompts import extract_program

    return extract_program(problem, submission.completion)


def task_of(submission_id: str) -> str:
    """The task's id in an id of the formats `lcb` and `evalplus`: "TASK/3" → "TASK"."""
    return submission_id.rpartition("/")[0]


def read_file(path: Path) -> str:
    """The text of a UTF-8 file, unpacked if it is gzipped. Raises UsageError."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(f"{path}: cannot be unpacked: {error}") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _values(path: Path) -> _Rows:
    text = read_file(path)
    name = str(path)
    if not text.lstrip().startswith("["):
        return [(f"{name}, row {number}", value) for number, value in rows(text, name)]
    values = parse_json(text, name)
    return [(f"{name}, row {number}", value) for number, value in enumerate(values, 1)]


def _detect(values: _Rows) -> Format:
    where, first = values[0]
    if isinstance(first, list):
        return "lcb"
    if isinstance(first, dict):
        found = [format for field, format in _TELLING.items() if field in first]
        if len(found) == 1:
            return found[0]
        if "id" in first and "question_id" not in first:
            return "mars2"
    raise UsageError(
        f"{where}: is no submission of a known format: it needs one of the fields "
        f"{', '.join(_TELLING)} (formats {', '.join(FORMATS)}; --format says which)"
    )


# --------------------------------------------------------------------------- mars2


def _own(values: _Rows, known: dict[str, Problem]) -> list[Submission]:
    submissions: list[Submission] = []
    seen: dict[str, str] = {}
    for where, value in values:
        try:
            # not model_validate_json: it refuses lone surrogates, which a model can write
            row = Submission.model_validate(value)
        except ValidationError as error:
            issue = error.errors()[0]
            field = ".".join(str(p) for p in issue["loc"]) or "row"
            raise UsageError(f"{where}, {field}: {issue['msg']}") from None
        if row.id in seen:
            raise UsageError(f"{where}: id {row.id!r} is already in {seen[row.id]}")
        if row.problem_id not in known:
            raise UsageError(
                f"{where}, submission {row.id!r}: problem_id {row.problem_id!r} is not among "
                f"the {len(known)} problems"
            )
        seen[row.id] = where
        submissions.append(row)
    return submissions


# --------------------------------------------------------------------------- lcb


def _lcb(values: _Rows, known: dict[str, Problem], name: str) -> list[Submission]:
    by_question = _questions(known)
    if isinstance(values[0][1], list):
        values = _named(values, by_question, name)
    lists: list[tuple[str, list[str]]] = []
    for where, value in values:
        question = str(checked_field(where, value, "question_id", (str, int)))
        codes = checked_field(where, value, "code_list", (list,))
        if not codes:
            raise UsageError(f"{where}, code_list: is empty; give at least one program")
        for place, code in enumerate(codes):
            if not isinstance(code, str):
                kind = type(code).__name__
                raise UsageError(f"{where}, code_list[{place}]: has to be a string, not {kind}")
        lists.append((question, codes))
    given = Counter(question for question, _ in lists)
    faults = (
        ("unknown", [q for q in given if q not in by_question]),
        ("missing", [q for q in by_question if q not in given]),
        ("given more than once", [q for q, n in given.items() if n > 1]),
    )
    if any(ids for _, ids in faults):
        told = "; ".join(f"{what}: {_ids(ids)}" for what, ids in faults if ids)
        raise UsageError(
            f"{name}: has to hold each of the {len(by_question)} problems exactly once; {told}"
        )
    return [
        Submission(id=f"{question}/{place}", problem_id=by_question[question], code=code)
        for question, codes in lists
        for place, code in enumerate(codes)
    ]


def _questions(known: dict[str, Problem]) -> dict[str, str]:
    """LiveCodeBench's question id → problem id: the same, or kept in the problem's metadata."""
    return {str(p.metadata.get("question_id", p.id)): p.id for p in known.values()}


def _named(values: _Rows, by_question: dict[str, str], name: str) -> _Rows:
    if len(values) != len(by_question):
        raise UsageError(
            f"{name}: holds {len(values)} code lists without ids for {len(by_question)} problems"
        )
    return [
        (where, {"question_id": question, "code_list": value})
        for (where, value), question in zip(values, sorted(by_question), strict=True)
    ]


# --------------------------------------------------------------------------- evalplus


def _evalplus(values: _Rows, known: dict[str, Problem], name: str) -> list[Submission]:
    submissions: list[Submission] = []
    samples: dict[str, int] = defaultdict(int)
    unknown: dict[str, None] = {}
    for where, value in values:
        task = checked_field(where, value, "task_id", (str,))
        if task not in known:
            unknown[task] = None
            continue
        if "solution" in value:  # as there, it wins
            code = checked_field(where, value, "solution", (str,))
        elif "completion" in value:
            code = known[task].starter_code + checked_field(where, value, "completion", (str,))
        else:
            raise UsageError(f"{where}: needs a field solution or completion")
        submissions.append(Submission(id=f"{task}/{samples[task]}", problem_id=task, code=code))
        samples[task] += 1
    if unknown:
        raise UsageError(
            f"{name}: task_id not among the {len(known)} problems: {_ids(list(unknown))}"
        )
    return submissions


def checked_field(where: str, value: Any, field: str, kinds: tuple[type, ...]) -> Any:
    """`value[field]` of a row, of one of the `kinds`. Raises UsageError that says `where`."""
    if not isinstance(value, dict):
        raise UsageError(f"{where}: has to be a JSON object, not {type(value).__name__}")
    if field not in value:
        raise UsageError(f"{where}, {field}: is missing; the row has {', '.join(value) or 'none'}")
    found = value[field]
    if type(found) not in kinds:
        names = {str: "a string", int: "a number", list: "a list"}
        wanted = " or ".join(names[kind] for kind in kinds)
        raise UsageError(f"{where}, {field}: has to be {wanted}, not {type(found).__name__}")
    return found


def _ids(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(map(repr, ids[:_SHOWN])) + more
