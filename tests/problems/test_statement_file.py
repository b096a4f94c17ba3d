"""A statement plus a file of tests: every form of the file, and what a bad one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mars2.errors import ProblemError
from mars2.problems.markdown import problem_from_statement

CALL = {"kind": "functional", "args": [1], "expected": 2}
STDIN = {"kind": "stdin", "input": "1", "expected": "2"}


def write(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_a_list_and_json_lines_are_public_tests(tmp_path: Path) -> None:
    a = problem_from_statement("Add 1.", write(tmp_path / "t.json", [STDIN, STDIN]), id="x")
    lines = json.dumps(STDIN) + "\n\n" + json.dumps(STDIN) + "\n"
    b = problem_from_statement("Add 1.", write(tmp_path / "t.jsonl", lines), id="x")
    assert a == b
    assert (a.id, a.statement, len(a.public_tests), a.private_tests) == ("x", "Add 1.", 2, [])


def test_an_object_gives_both_groups_and_settings(tmp_path: Path) -> None:
    value = {
        "entry_point": "f",
        "starter_code": "def f(n):\n",
        "time_limit_s": 1.5,
        "public_tests": [CALL],
        "private_tests": [CALL, CALL],
    }
    path = write(tmp_path / "t.json", value)
    p = problem_from_statement("s", path, id="x")
    assert (p.entry_point, len(p.public_tests), len(p.private_tests)) == ("f", 1, 2)
    assert p.time_limit_s == 1.5
    assert problem_from_statement("s", path, id="x", entry_point="g").entry_point == "g"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("t.json", "[", ": is not valid JSON"),
        ("t.json", "3", ": has to be a list of tests"),
        ("t.json", [], ": holds no tests"),
        ("t.jsonl", "\n", ": holds no tests"),
        ("t.json", [CALL], ": has functional tests, so the name of the function is needed"),
        ("t.json", [STDIN, {"kind": "stdin"}], ", test 2: field input: is missing"),
        ("t.json", [STDIN | {"x": 1}], ", test 1: field x: unknown field"),
        ("t.json", [7], ", test 1: "),
        ("t.json", {"tests": []}, ": field tests: unknown field; the fields are public_tests"),
        ("t.json", {"public_tests": {}}, ": field public_tests: has to be a list of tests"),
        ("t.json", {"private_tests": [{}]}, ', private_tests, test 1: needs "kind", one of'),
        ("t.json", {"public_tests": [STDIN], "time_limit_s": -1}, ": field time_limit_s: "),
        ("t.jsonl", "{}\nx", ', row 1: needs "kind"'),
        ("t.jsonl", json.dumps(STDIN) + "\n\nx", ", row 3: is not valid JSON"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, name: str, value: Any, message: str) -> None:
    path = write(tmp_path / name, value)
    with pytest.raises(ProblemError) as caught:
        problem_from_statement("s", path, id="x")
    assert str(caught.value).startswith(f"{path}{message}")


def test_a_missing_file_and_an_empty_statement_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="no such file"):
        problem_from_statement("s", tmp_path / "t.json", id="x")
    with pytest.raises(ProblemError, match="the statement is empty"):
        problem_from_statement(" \n", write(tmp_path / "t.json", [STDIN]), id="x")
