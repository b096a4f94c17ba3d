"""MBPP (Austin et al. 2021, arXiv 2108.07732) and MBPP+ (Liu et al. 2023, arXiv 2305.01210).

Layouts: huggingface.co/datasets/google-research-datasets/mbpp (CONFIG/SPLIT-*.parquet), or the
files of github.com/google-research/google-research/mbpp (mbpp.jsonl, sanitized-mbpp.json), whose
splits are ranges of ids; huggingface.co/datasets/evalplus/mbppplus (data/test-*.parquet).

The statement shows tests, because only they tell the function's name: all of MBPP's, as its paper
does, which are therefore public; the first of MBPP+'s, as EvalPlus does.
"""

from __future__ import annotations

import ast
import re

from mars2.problems.dataset import Chosen, Dataset, Head, build
from mars2.problems.fields import Fields
from mars2.problems.hub import Hub
from mars2.problems.python import parsed
from mars2.types import AssertionTest, Problem

_SPLITS = {"test": (11, 510), "train": (601, 974), "validation": (511, 600), "prompt": (1, 10)}


def _head(fields: Fields, chosen: Chosen) -> Head | None:
    number = fields.get("task_id", int)
    first, last = _SPLITS[chosen[1]]
    return Head(f"mbpp/{number}") if first <= number <= last else None


def _plus_head(fields: Fields, _: Chosen) -> Head:
    return Head(f"Mbpp/{fields.get('task_id', int)}")  # as EvalPlus calls them


def _entry(fields: Fields, test: str) -> str | None:
    """The function that the first test calls and the reference solution defines."""
    defined = {n.name for n in parsed(fields, "code").body if isinstance(n, ast.FunctionDef)}
    calls = [n for n in ast.walk(ast.parse(test)) if isinstance(n, ast.Call)]
    names = [n.func.id for n in calls if isinstance(n.func, ast.Name)]
    return next((name for name in names if name in defined), None)


def _assertions(fields: Fields, name: str) -> list[str]:
    tests = fields.texts(name, optional=name != "test_list")
    for place, test in enumerate(tests):
        parsed(fields, name, f"[{place}]", test)
    return tests


def _programs(fields: Fields, tests: list[str]) -> list[AssertionTest]:
    """Each test with what has to run before it, under the names of either layout."""
    before = fields.texts("test_imports", optional=True)
    setup = fields.get("test_setup_code", str, optional=True)
    head = "\n".join(filter(None, [*before, setup]))
    return [AssertionTest(program=f"{head}\n{test}\n" if head else f"{test}\n") for test in tests]


def _statement(fields: Fields, tests: list[str]) -> str:
    text = fields.text("text" if fields.has("text") else "prompt")
    what = "these tests" if tests[1:] else "this test"
    return "\n".join([text.strip(), "", f"Your code should pass {what}:", "", *tests])


def _problem(fields: Fields, head: Head, _: Chosen) -> Problem:
    tests = _assertions(fields, "test_list")
    if not tests:
        fields.fail("test_list", "holds no tests")
    harder = _assertions(fields, "challenge_test_list")
    return build(
        fields,
        head,
        statement=_statement(fields, tests),
        entry_point=_entry(fields, tests[0]),
        public_tests=_programs(fields, tests),
        private_tests=_programs(fields, harder),
    )


def _plus_problem(fields: Fields, head: Head, _: Chosen) -> Problem:
    tests = _assertions(fields, "test_list")
    if not tests:
        fields.fail("test_list", "holds no tests")
    program = fields.text("test")
    entry = _entry(fields, tests[0])
    parsed(fields, "test")
    if re.search(r"\bcandidate\b", program) and "def check(" not in program:
        if entry is None:
            fields.fail("test", "tests `candidate`, and no test in test_list says what that is")
        program = f"candidate = {entry}\n{program}"
    elif "def check(" in program:
        program = f"{program}\ncheck({entry})\n"
    return build(
        fields,
        head,
        statement=_statement(fields, tests[:1]),
        entry_point=entry,
        public_tests=_programs(fields, tests[:1]),
        private_tests=[*_programs(fields, tests[1:]), AssertionTest(program=program)],
    )


_COMMON = ("task_id", "prompt", "code", "test_list", "test_imports")

MBPP = Dataset(
    columns=(*_COMMON, "text", "test_setup_code", "challenge_test_list"),
    layouts=lambda chosen: [
        [f"{chosen[0]}/{chosen[1]}-*"],
        ["mbpp" if chosen[0] == "full" else "sanitized-mbpp"],
    ],
    hub=lambda chosen: Hub("google-research-datasets/mbpp", chosen[0], chosen[1]),
    head=_head,
    problem=_problem,
    variants=(("full", "sanitized"), tuple(_SPLITS)),
)
PLUS = Dataset(
    columns=(*_COMMON, "test"),
    layouts=lambda _: [["data/test-*"], ["test-*"], ["test"]],
    hub=lambda _: Hub("evalplus/mbppplus"),
    head=_plus_head,
    problem=_plus_problem,
)
