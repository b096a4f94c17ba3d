"""A problem from a statement in plain text or Markdown and a file of tests, for `mars2 solve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mars2.errors import ProblemError
from mars2.problems.jsonl import parse_json, parse_problem, parse_test, read_text, rows
from mars2.types import FunctionalTest, Problem, TestCase

_GROUPS = ("public_tests", "private_tests")
_FIELDS = (*_GROUPS, "entry_point", "starter_code", "time_limit_s", "memory_limit_mb")


def _tests(value: list[Any], name: str) -> list[TestCase]:
    return [parse_test(t, f"{name}, test {i}") for i, t in enumerate(value, 1)]


def _read(path: Path) -> dict[str, Any]:
    """The fields of a problem that the test file gives; a plain list of tests is public."""
    text, name = read_text(path), str(path)
    if path.suffix == ".jsonl":
        tests = [parse_test(t, f"{name}, row {n}") for n, t in rows(text, name)]
        return {"public_tests": tests}
    value = parse_json(text, name)
    if isinstance(value, list):
        return {"public_tests": _tests(value, name)}
    if not isinstance(value, dict):
        raise ProblemError(f"{name}: has to be a list of tests, or an object holding them")
    unknown = [k for k in value if k not in _FIELDS]
    if unknown:
        known = ", ".join(_FIELDS)
        raise ProblemError(f"{name}: field {unknown[0]}: unknown field; the fields are {known}")
    for group in _GROUPS:
        if not isinstance(value.get(group, []), list):
            raise ProblemError(f"{name}: field {group}: has to be a list of tests")
    return {k: _tests(v, f"{name}, {k}") if k in _GROUPS else v for k, v in value.items()}


def problem_from_statement(
    text: str,
    tests_path: str | Path,
    *,
    id: str,
    entry_point: str | None = None,
) -> Problem:
    """A Problem whose statement is `text` and whose tests come from a file.

    The file is a JSON list of tests (public), JSON lines with one test a line (suffix .jsonl,
    public), or a JSON object with public_tests, private_tests and optionally entry_point,
    starter_code, time_limit_s, memory_limit_mb. `entry_point` wins over the file's.
    Raises ProblemError for an empty statement, a bad file, no tests, or functional tests
    without an entry point.
    """
    if not text.strip():
        raise ProblemError("the statement is empty")
    path = Path(tests_path)
    fields = _read(path)
    if entry_point is not None:
        fields["entry_point"] = entry_point
    tests = [t for group in _GROUPS for t in fields.get(group, [])]
    if not tests:
        raise ProblemError(f"{path}: holds no tests")
    if any(isinstance(t, FunctionalTest) for t in tests) and not fields.get("entry_point"):
        raise ProblemError(
            f"{path}: has functional tests, so the name of the function is needed: give "
            "--entry-point NAME, or entry_point in the file"
        )
    return parse_problem({"id": id, "statement": text, **fields}, str(path))
