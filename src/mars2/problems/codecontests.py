"""CodeContests (Li et al. 2022, arXiv 2203.07814), the training and test data of AlphaCode.

Layout: huggingface.co/datasets/deepmind/code_contests, data/SPLIT-*.parquet. Public tests are the
statement's examples; private and generated ones are private here.
"""

from __future__ import annotations

import json
from typing import Any

from mars2.problems.cases import columns, packed
from mars2.problems.dataset import Chosen, Dataset, Head, build
from mars2.problems.fields import Fault, Fields
from mars2.problems.hub import Hub
from mars2.problems.unpack import pack
from mars2.types import Problem, TestCase

# contest_problem.proto of github.com/google-deepmind/code_contests; from 7 on, Codeforces' letters
_DIFFICULTIES = ("unknown", "easy", "medium", "hard", "harder", "hardest", "external")
_SETS = ("private_tests", "generated_tests")


def _head(fields: Fields, _: Chosen) -> Head:
    number = fields.get("difficulty", int, optional=True) or 0
    if not 0 <= number <= 28:
        fields.fail("difficulty", f"is {number}; it has to be from 0 to 28")
    names = _DIFFICULTIES
    difficulty = names[number] if number < len(names) else chr(ord("A") + number - len(names))
    return Head(fields.text("name"), None if number == 0 else difficulty)


def both(value: Any) -> list[TestCase]:
    """The tests of {"private_tests", "generated_tests"}."""
    cases: list[TestCase] = []
    for name in _SETS:
        try:
            cases += columns(value[name])
        except Fault as fault:
            raise Fault(fault.what, f"{name}{fault.at}") from None
    return cases


def _seconds(fields: Fields) -> float | None:
    limit = fields.get("time_limit", dict, optional=True)
    if limit is None:
        return None
    parts = [limit.get("seconds") or 0, limit.get("nanos") or 0]
    if any(type(part) is not int for part in parts):
        fields.fail("time_limit", "has to hold seconds and nanos as integers")
    return float(parts[0] + parts[1] / 1e9) or None


def _problem(fields: Fields, head: Head, _: Chosen) -> Problem:
    if fields.get("input_file", str, optional=True):
        fields.fail("input_file", "is set: a program that reads a file cannot be judged here")
    public = fields.get("public_tests", dict)
    with fields.faults("public_tests"):
        public_tests = columns(public)
    hidden = {name: fields.get(name, dict) for name in _SETS}
    memory = fields.get("memory_limit_bytes", int, optional=True)
    about = {name: fields.get(name, int, optional=True) for name in ("cf_rating", "source")}
    return build(
        fields,
        head,
        statement=fields.text("description"),
        public_tests=public_tests,
        private_tests=packed(fields, "", pack(json.dumps(hidden).encode()), both),
        time_limit_s=_seconds(fields),
        memory_limit_mb=max(memory >> 20, 1) if memory else None,
        metadata={name: value for name, value in about.items() if value},
    )


DATASET = Dataset(
    columns=(
        *("name", "description", "public_tests", *_SETS, "difficulty", "source", "cf_rating"),
        *("time_limit", "memory_limit_bytes", "input_file"),
    ),
    layouts=lambda chosen: [[f"data/{chosen[0]}-*"], [f"{chosen[0]}-*"], [chosen[0]]],
    hub=lambda chosen: Hub("deepmind/code_contests", split=chosen[0]),
    head=_head,
    problem=_problem,
    variants=(("test", "valid", "train"),),
    difficulties=(*_DIFFICULTIES[1:], *(chr(ord("A") + i) for i in range(22))),
)
