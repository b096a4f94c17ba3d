"""Reads problems from JSON lines, strictly: an error names the file, the row and the field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mars2.errors import ProblemError
from mars2.problems.dataset import Head, OnBad, normalised
from mars2.problems.explain import fault
from mars2.problems.fields import Fault, Fields, Place, RowError, unique_keys
from mars2.problems.window import Window
from mars2.types import Problem, TestCase

_TESTS: TypeAdapter[TestCase] = TypeAdapter(TestCase)


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
        return _value(text)
    except Fault as error:
        raise ProblemError(f"{where}: {error}") from None


def _value(text: str) -> Any:
    """As `strict_json`, but NaN and Infinity are allowed in our own format."""
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except json.JSONDecodeError as error:
        at = f"column {error.colno}" if "\n" not in text else f"line {error.lineno}"
        raise Fault(f"is not valid JSON: {error.msg} ({at})") from None
    except (ValueError, RecursionError) as error:
        raise Fault(f"is not valid JSON: {error}") from None


def rows(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """(row, value) for each line that is not blank; rows count from 1 and count blank lines."""
    # not splitlines(): it also cuts at separators that are legal inside a JSON string
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, parse_json(line, f"{name}, row {number}")


def _explain(error: ValidationError, where: str, *, test: bool = False) -> ProblemError:
    field, what = fault(error, test=test)
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


def _own(fields: Fields) -> Problem:
    try:
        return Problem.model_validate(fields.value, strict=True)
    except ValidationError as error:
        raise RowError(fields.place, *fault(error)) from None


def read_jsonl(path: Path, window: Window, on_bad: OnBad | None = None) -> Iterator[Problem]:
    """The problems of a JSON-lines file, in its order; see `mars2.problems.dataset.read`."""
    latest: list[Problem] = []

    def head(fields: Fields) -> Head:
        latest[:] = [_own(fields)]
        return Head(latest[0].id, latest[0].difficulty, latest[0].date)

    return normalised(read_rows(path), head, lambda *_: latest[0], window, on_bad)


def read_rows(path: Path) -> Iterator[tuple[Place, Any]]:
    """The rows of a JSON-lines file: each a value, or the RowError that it is."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            place = Place(str(path), number)
            try:
                yield place, _value(line)
            except Fault as error:
                yield place, RowError(place, "", error.what)


def read_builtin() -> list[Problem]:
    """The problems shipped with the package, easy to hard."""
    data = resources.files("mars2.problems") / "data" / "builtin.jsonl"
    lines = rows(data.read_text(encoding="utf-8"), "builtin.jsonl")
    return [parse_problem(value, f"builtin.jsonl, row {number}") for number, value in lines]
