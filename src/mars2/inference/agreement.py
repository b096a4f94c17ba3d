"""Programs grouped by what they do on generated inputs, without knowing what is right.

Right programs agree with each other; wrong ones are wrong in different ways (the idea of
AlphaCode's clustering, Li et al. 2022, arXiv 2203.07814, section 4.6). Programs run in the
verifier like any other: one test each, whose expected output nothing equals, and what they
answered is read from the verdict.
"""

from __future__ import annotations

import ast
import asyncio
import decimal
import hashlib
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mars2.inference.inputs import generate_inputs
from mars2.types import FunctionalTest, Problem, Status, StdinTest, TestCase, TestVerdict
from mars2.verifier import AnyVerifier

INPUTS = 24
"""Generated inputs a problem."""
PATIENCE = 2
"""Inputs on which a program may run out of a limit before it is not run any more."""

_NOTHING = "\x00no program answers this\x00"
_SHOWN = 4000
"""Characters of an answer that verdicts hold whole; longer ones are cut in the middle."""


@dataclass(frozen=True, slots=True)
class Group:
    """Programs, by their index in the order given, that no input told apart.

    `failed`: they crash or run out of a limit where most others answer; all such programs are
    one group.
    """

    members: tuple[int, ...]
    failed: bool


async def group_by_behaviour(
    problem: Problem,
    codes: Sequence[str],
    verifier: AnyVerifier,
    *,
    inputs: int = INPUTS,
    seed: int = 0,
) -> list[Group]:
    """The groups, in the order of their first members; all in one if there is no input to run.

    A program that runs out of its limits on `PATIENCE` inputs is taken for failed and not run on
    the others: of programs that never end, every run costs the whole time limit. Inputs that at
    least half of the other distinct programs fail on are taken for invalid and ignored, and so
    are those where the verifier's machinery failed. Answers are compared whole: those too long
    for a verdict are reduced to a digest by the program's own process.
    """
    tests = generate_inputs(problem, inputs, seed=seed)
    distinct = list(dict.fromkeys(codes))
    rows = await asyncio.gather(*(_results(problem, tests, code, verifier) for code in distinct))
    given_up = {i for i, row in enumerate(rows) if len(row) < len(tests)}
    columns = []
    for place, test in enumerate(tests):
        results = [row[place] if place < len(row) else _GIVEN_UP for row in rows]
        if not any(r is None or r.status is Status.INFRA for r in results):
            stdin = isinstance(test, StdinTest)
            columns.append([answer(r, stdin=stdin) for r in results if r is not None])
    return group(codes, distinct, columns, given_up)


def group(
    codes: Sequence[str],
    distinct: Sequence[str],
    columns: Sequence[Sequence[Hashable | None]],
    given_up: Collection[int] = (),
) -> list[Group]:
    """Groups from what each distinct program answered on each input; None: it failed. Pure.

    `given_up`: indices into `distinct` of programs that failed whatever the columns say.
    """
    kept = [i for i in range(len(distinct)) if i not in given_up]
    valid = [c for c in columns if 2 * sum(c[i] is None for i in kept) < len(kept)]
    behaviour: dict[str, Hashable] = {}
    for i, code in enumerate(distinct):
        answers = tuple(column[i] for column in valid)
        behaviour[code] = None if None in answers or i in given_up else answers
    members: dict[Hashable, list[int]] = {}
    for i, code in enumerate(codes):
        members.setdefault(behaviour[code], []).append(i)
    return [Group(tuple(of), failed=key is None) for key, of in members.items()]


_GIVEN_UP = TestVerdict(status=Status.TIME_LIMIT)
_LIMITS = (Status.TIME_LIMIT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT)


async def _results(
    problem: Problem, tests: Sequence[TestCase], code: str, verifier: AnyVerifier
) -> list[TestVerdict | None]:
    """One program's results, input by input, until it is given up; None: it could not be run."""
    results: list[TestVerdict | None] = []
    spent = 0
    for test in tests:
        result = await _run(problem, test, code, verifier)
        results.append(result)
        spent += result is not None and result.status in _LIMITS
        if spent == PATIENCE:
            break
    return results


async def _run(
    problem: Problem, test: TestCase, code: str, verifier: AnyVerifier
) -> TestVerdict | None:
    """The verdict on one input alone, a digest for an answer that is too long for it.

    One test a call: profile `lcb` would stop at the first failure, and all of these fail.
    """
    result = await _judge(problem, test, code, verifier)
    if result is None or result.actual is None or len(result.actual) <= _SHOWN:
        return result
    hashing = hashing_program(problem, test, code)
    if hashing is None:
        return None
    return await _judge(*hashing, verifier)


async def _judge(
    problem: Problem, test: TestCase, code: str, verifier: AnyVerifier
) -> TestVerdict | None:
    blind = problem.model_copy(update={"public_tests": [_blind(test)], "private_tests": []})
    verdict = await verifier.verify(blind, code, tests="public", early_stop=False)
    if verdict.status is Status.INFRA or not verdict.tests:
        return None
    return verdict.tests[0]


def _blind(test: TestCase) -> TestCase:
    """The test without knowledge of a right answer."""
    if isinstance(test, StdinTest):
        return test.model_copy(update={"expected": _NOTHING})
    return test.model_copy(update={"expected": {_NOTHING: _NOTHING}})


# --------------------------------------------------------------------------- answers


def answer(result: TestVerdict, *, stdin: bool) -> Hashable | None:
    """Equal for answers that the verifier's comparison calls equal; None if there is none.

    Printed text: lines without surrounding space, lines of numbers as numbers. Results: as
    values, a tuple on top as a list; what has no literal form by its text.
    """
    if result.status not in (Status.PASSED, Status.WRONG_ANSWER) or result.actual is None:
        return None
    if stdin:
        return tuple(map(_line, result.actual.strip().split("\n")))
    try:
        value = ast.literal_eval(result.actual)
        return ("value", _frozen(list(value) if isinstance(value, tuple) else value))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ("text", result.actual)


def _line(line: str) -> Hashable:
    text = line.strip()
    try:
        numbers = tuple(Decimal(word) for word in text.split())
    except decimal.DecimalException:
        return text
    return text if not numbers or any(n.is_nan() for n in numbers) else numbers


def _frozen(value: Any) -> Hashable:
    """Hashable, and equal where the values are; a list equals no tuple."""
    if isinstance(value, list | tuple):
        return (type(value).__name__, tuple(map(_frozen, value)))
    if isinstance(value, dict):
        return ("dict", frozenset((k, _frozen(v)) for k, v in value.items()))
    if isinstance(value, set):
        return ("set", frozenset(value))
    hash(value)
    return value


# --------------------------------------------------------------------------- long answers

_HASH_RESULT = """

def {name}(*args):
    import hashlib
    here = globals()
    owner, _, member = "{entry}".rpartition(".")
    solution = here.get(owner or "Solution")
    method = isinstance(solution, type) and hasattr(solution, member)
    result = (getattr(solution(), member) if method else here["{entry}"])(*args)
    text = repr(list(result) if type(result) is tuple else result)
    return [len(text), hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()]

if isinstance(globals().get("Solution"), type):
    Solution.{name} = lambda self, *args: {name}(*args)
"""

_HASH_OUTPUT = """
import hashlib, io, sys
held, real = io.BytesIO(), sys.stdout
sys.stdout = io.TextIOWrapper(held, "utf-8", "surrogateescape", write_through=True)
try:
    exec(compile({code!r}, "solution.py", "exec"), {{"__name__": "__main__"}})
finally:
    text = held.getvalue().decode("utf-8", "replace").strip()
    text = "\\n".join(line.strip() for line in text.split("\\n"))
    sys.stdout = real
    print(len(text), hashlib.sha256(text.encode()).hexdigest())
"""


def hashing_program(
    problem: Problem, test: TestCase, code: str
) -> tuple[Problem, TestCase, str] | None:
    """The same program, giving length and SHA-256 of its answer's text instead; None if the
    problem has no entry point to wrap.
    """
    if isinstance(test, StdinTest):
        return problem, test, _HASH_OUTPUT.format(code=code)
    if not isinstance(test, FunctionalTest) or not problem.entry_point:
        return None
    name = f"digest_{hashlib.sha256(code.encode('utf-8', 'replace')).hexdigest()[:8]}"
    suffix = _HASH_RESULT.format(name=name, entry=problem.entry_point)
    return problem.model_copy(update={"entry_point": name}), test, code + suffix
