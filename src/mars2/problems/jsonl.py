"""Reads problems from JSON lines, strictly: an error names the file, the row and the field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mars2.errors import ProblemError
from mars2.types import Problem, TestCase

_TESTS: TypeAdapter[TestCase] = TypeAdapter(TestCase)
_KINDS = ("stdin", "functional", "assertion")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) != len(pairs):
        keys = [k for k, _ in pairs]
        raise ValueError(f"key {next(k for k in keys if keys.count(k) > 1)!r} is given twice")
    return seen


def read_text(path: Path) -> str:
    """The text of a UTF-8 file; raises ProblemError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ProblemError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise ProblemError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise ProblemError(f"{path}: cannot be read: {error.strerror}") from None


def parse_json(text: str, where: str) -> Any:
    """The value of a JSON text, keys unique; raises ProblemError starting with `where`."""
    try:
        return json.loads(text, object_pairs_hook=_no_repeats)
    except json.JSONDecodeError as error:
        at = f"column {error.colno}" if "\n" not in text else f"line {error.lineno}"
        raise ProblemError(f"{where}: is not valid JSON: {error.msg} ({at})") from None
    except (ValueError, RecursionError) as error:
        raise ProblemError(f"{where}: is not valid JSON: {error}") from None


def rows(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """(row, value) for each line that is not blank; rows count from 1 and count blank lines."""
    # not splitlines(): it also cuts at separators that are legal inside a JSON string
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, parse_json(line, f"{name}, row {number}")


def _field(loc: Iterable[int | str]) -> str:
    """ "public_tests[0].args" from a pydantic location, less the name of the union's branch."""
    path = ""
    previous: int | str = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not (part in _KINDS and isinstance(previous, int)):
            path += f".{part}" if path else part
        previous = part
    return path


def _explain(error: ValidationError, where: str, *, test: bool = False) -> ProblemError:
    """A ProblemError naming place, field and fault of a validation error's first entry.

    `test` says that a single test was validated, not a problem.
    """
    entry = error.errors(include_url=False)[0]
    loc = entry["loc"][1:] if test else entry["loc"]  # a test's begins with its kind
    field = _field(loc)
    what = entry["msg"].removeprefix("Value error, ")
    if entry["type"] == "extra_forbidden":
        what = "unknown field"
        if len(loc) == 1 and not test:
            what += f"; the fields are {', '.join(Problem.model_fields)}"
    elif entry["type"] == "missing":
        what = "is missing"
    elif entry["type"] == "union_tag_not_found":
        what = f'needs "kind", one of {", ".join(_KINDS)}'
    elif entry["type"] == "union_tag_invalid":
        what = f'"kind" has to be one of {", ".join(_KINDS)}'
    return ProblemError(f"{where}: field {field}: {what}" if field else f"{where}: {what}")


def parse_problem(value: Any, where: str) -> Problem:
    """A Problem from a decoded JSON value; raises ProblemError starting with `where`."""
    if not isinstance(value, dict):
        raise ProblemError(f"{where}: has to be a JSON object, not {type(value).__name__}")
    try:
        return Problem.model_validate(value, strict=True)
    except ValidationError as error:
        raise _explain(error, where) from None


def parse_test(value: Any, where: str) -> TestCase:
    """A test from a decoded JSON value; raises ProblemError starting with `where`."""
    try:
        return _TESTS.validate_python(value, strict=True)
    except ValidationError as error:
        raise _explain(error, where, test=True) from None


def parse_problems(text: str, name: str) -> list[Problem]:
    """The problems of a JSON-lines text; `name` is the file's name for messages."""
    problems: list[Problem] = []
    first: dict[str, int] = {}
    for number, value in rows(text, name):
        where = f"{name}, row {number}"
        problem = parse_problem(value, where)
        if problem.id in first:
            raise ProblemError(
                f"{where}: field id: {problem.id!r} is already used in row {first[problem.id]}"
            )
        first[problem.id] = number
        problems.append(problem)
    if not problems:
        raise ProblemError(f"{name}: holds no problems")
    return problems


def read_jsonl(path: Path) -> list[Problem]:
    """The problems of a JSON-lines file, in its order."""
    return parse_problems(read_text(path), str(path))


def read_builtin() -> list[Problem]:
    """The problems shipped with the package, easy to hard."""
    data = resources.files("mars2.problems") / "data" / "builtin.jsonl"
    return parse_problems(data.read_text(encoding="utf-8"), "builtin.jsonl")
