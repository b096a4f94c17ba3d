"""Reads the corpus of programs with known verdicts in `cases/`.

Ordinary cases (`stdin`, `functional`, `assertion`) are one program each. Files named `hostile*`
may besides hold an *attack*: the text of a function `attack()` from which one program of every
kind is made, because what one kind of test withstands another may not:

- `goal = "leak"`: the program answers whatever `attack()` returns, and the expected answer
  (`want`) is a secret that no honest program can know, so it must never pass;
- `goal = "harmless"`: the program attacks, then answers rightly whatever came of it, so it
  passes unless the attack ended it; what matters is what the attack left behind.

Hostile programs really do what they say, to whoever runs them. Each begins with a line that is
no Python (`SAFETY`), so that none can run as it is stored; only `read` with `armed=True`, for a
verifier to judge it, takes that line away. Programs and tests name their surroundings by
placeholders such as `{canary}` (see `canaries.py`); only the names given to `read` are replaced.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mars2.types import AssertionTest, FunctionalTest, Problem, Status, StdinTest

CASES = Path(__file__).parent / "cases"
TIME_LIMIT_S = 1.0
ROOM_S = 4.0  # where no verdict of time is right: a slow host inflates CPU seconds too
KINDS = ("stdin", "functional", "assertion")
ORDINARY = KINDS
HOSTILE = tuple(sorted(path.stem for path in CASES.glob("hostile*.toml")))
SAFETY = "!! hostile program: only a verifier may run it !!\n"

_NOT_PASSED = ("wrong_answer", "runtime_error")
_HARMLESS = "\ndef _try():\n    try:\n        attack()\n    except Exception:\n        pass\n"
_FAILED = frozenset(status.value for status in Status) - {"passed", "infra", "no_code"}


@dataclass(frozen=True)
class Case:
    """One program and the statuses that are right for it."""

    name: str
    code: str
    expected: tuple[str, ...]
    problem: Problem
    lcb_expected: tuple[str, ...] | None = None

    def right(self, profile: str) -> frozenset[str]:
        """The acceptable statuses in that profile.

        The official checker gives other statuses for many programs (it neither measures memory
        nor sees exit statuses), but where a program must not pass, it must not pass there.
        """
        if profile == "native":
            return frozenset(self.expected)
        if self.lcb_expected is not None:
            return frozenset(self.lcb_expected)
        return _FAILED | {"passed"} if "passed" in self.expected else _FAILED


def read(group: str, values: Mapping[str, str] | None = None, *, armed: bool = False) -> list[Case]:
    """The cases of `cases/GROUP.toml`, with `{name}` replaced for every name in `values`.

    Only `armed` hostile programs can run. Raises ValueError if a hostile one lacks `SAFETY`.
    """
    made = []
    for row in rows(group):
        for program in _programs(row):
            case = _case(group, program, values or {})
            if group in HOSTILE:
                if not case.code.startswith(SAFETY):
                    raise ValueError(f"{case.problem.id} does not begin with the safety line")
                if armed:
                    case = Case(**{**vars(case), "code": case.code.removeprefix(SAFETY)})
            made.append(case)
    return made


def rows(group: str) -> list[dict[str, Any]]:
    """The cases of a group as they are stored, an attack of several kinds once."""
    return tomllib.loads((CASES / f"{group}.toml").read_text(encoding="utf-8"))["case"]


def _programs(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The row itself, or one row for each kind of an attack."""
    if "attack" not in row:
        return [row]
    leak = row["goal"] == "leak"
    expected = row.get("expected", _NOT_PASSED if leak else ("passed",))
    want = row.get("want", "{secret}")
    base = {key: row[key] for key in row.keys() & {"seconds", "megabytes", "lcb_expected"}}
    made = []
    for kind in row.get("kinds", KINDS):
        new = {**base, "name": f"{row['name']}/{kind}", "expected": expected, "code": row["attack"]}
        new["code"] += "" if leak else _HARMLESS
        if kind == "stdin":
            new["code"] += "\nprint(attack())\n" if leak else "\n_try()\nprint(int(input()) + 1)\n"
            new["tests"] = [["{probe}\n", f"{want}\n"] if leak else ["41\n", "42\n"]]
        else:
            answer = "return attack()" if leak else "_try(); return x + 1"
            new["code"] += f"\ndef f(x):\n    {answer}\n"
            new["entry"] = "f"
            question = ["{probe}", want] if leak else [41, 42]
            if kind == "functional":
                new["calls"] = json.dumps([[question[:1], question[1]]])
            else:
                new["program"] = f"assert f({question[0]!r}) == {question[1]!r}\n"
        made.append(new)
    return made


def _case(group: str, row: dict[str, Any], values: Mapping[str, str]) -> Case:
    def fill(text: str) -> str:
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    lcb = row.get("lcb_expected")
    return Case(
        row["name"],
        fill(row["code"]),
        tuple(row["expected"]),
        _problem(group, row, fill),
        tuple(lcb) if lcb is not None else None,
    )


def _problem(group: str, row: dict[str, Any], fill: Any) -> Problem:
    limit = row.get("seconds", TIME_LIMIT_S)
    right = {*row["expected"], *(row.get("lcb_expected") or ())}
    if "calls" in row:
        pairs = json.loads(fill(row["calls"]))
        tests: list[Any] = [FunctionalTest(args=args, expected=want) for args, want in pairs]
    elif "program" in row:
        tests = [AssertionTest(program=fill(row["program"]))]
    else:
        tests = [StdinTest(input=fill(text), expected=fill(want)) for text, want in row["tests"]]
    return Problem(
        id=f"{group}/{row['name']}",
        statement="",
        entry_point=row.get("entry"),
        private_tests=tests,
        time_limit_s=max(limit, ROOM_S) if "time_limit" not in right else limit,
        memory_limit_mb=row.get("megabytes"),
    )
