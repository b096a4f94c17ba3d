"""Reads the corpus of programs with known verdicts in `cases/`."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mars2.types import AssertionTest, FunctionalTest, Problem, StdinTest

CASES = Path(__file__).parent / "cases"
TIME_LIMIT_S = 1.0


@dataclass(frozen=True)
class Case:
    """One program and the statuses that are right for it."""

    name: str
    code: str
    expected: tuple[str, ...]
    problem: Problem


def read(group: str) -> list[Case]:
    """The cases of `cases/GROUP.toml`."""
    rows = tomllib.loads((CASES / f"{group}.toml").read_text(encoding="utf-8"))["case"]
    return [
        Case(row["name"], row["code"], tuple(row["expected"]), _problem(group, row)) for row in rows
    ]


def _problem(group: str, row: dict[str, Any]) -> Problem:
    if "calls" in row:
        pairs = json.loads(row["calls"])
        tests: list[Any] = [FunctionalTest(args=args, expected=want) for args, want in pairs]
    elif "program" in row:
        tests = [AssertionTest(program=row["program"])]
    else:
        tests = [StdinTest(input=text, expected=want) for text, want in row["tests"]]
    return Problem(
        id=f"{group}/{row['name']}",
        statement="",
        entry_point=row.get("entry"),
        private_tests=tests,
        time_limit_s=TIME_LIMIT_S,
    )
