"""The shipped problems: enough of them, sound, and judged rightly by the real verifier."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
from builtin_sources import TOOL, P, build

from mars2.config import VerifierConfig
from mars2.problems import load
from mars2.types import FunctionalTest, Problem, Status, StdinTest
from mars2.verifier import Verifier

REJECTED = {
    Status.WRONG_ANSWER,
    Status.RUNTIME_ERROR,
    Status.TIME_LIMIT,
    Status.MEMORY_LIMIT,
    Status.OUTPUT_LIMIT,
}


@pytest.fixture(scope="module")
def problems() -> dict[str, Problem]:
    return {p.id: p for p in load("builtin")}


@pytest.fixture(scope="module")
def sources() -> list[P]:
    return build.load_problems()


def test_there_are_enough_of_each_kind(problems: dict[str, Problem]) -> None:
    assert len(problems) >= 120
    kinds = Counter("functional" if p.entry_point else "stdin" for p in problems.values())
    assert min(kinds["functional"], kinds["stdin"]) >= 40
    difficulties = Counter(p.difficulty for p in problems.values())
    assert set(difficulties) == {"easy", "medium", "hard"}
    assert min(difficulties.values()) >= 15


def test_each_has_enough_tests_of_its_kind(problems: dict[str, Problem]) -> None:
    for p in problems.values():
        assert len(p.public_tests) >= 2, p.id
        assert len(p.private_tests) >= 8, p.id
        kind = FunctionalTest if p.entry_point else StdinTest
        assert all(isinstance(t, kind) for t in p.tests()), p.id


def test_order_is_easy_to_hard_and_the_first_are_one_liners(problems: dict[str, Problem]) -> None:
    order = [["easy", "medium", "hard"].index(p.difficulty or "") for p in problems.values()]
    assert order == sorted(order)
    assert all(p.entry_point for p in load("builtin", limit=20))


def test_statements_name_the_function_and_show_public_tests_only(
    problems: dict[str, Problem],
) -> None:
    for p in problems.values():
        if p.entry_point:
            assert f"`{p.entry_point}(" in p.statement, p.id
            assert p.starter_code.startswith(f"def {p.entry_point}("), p.id
            for t in p.private_tests:
                assert isinstance(t, FunctionalTest)
                call = f"{p.entry_point}({', '.join(map(repr, t.args))})"
                assert f"`{call}`" not in p.statement, p.id
        assert "Examples" in p.statement, p.id


def test_nothing_shipped_holds_a_reference(problems: dict[str, Problem], sources: list[P]) -> None:
    assert {p.id for p in sources} == set(problems)
    shipped = build.SHIPPED.read_text(encoding="utf-8")
    for p in sources:
        assert json.dumps(p.reference, ensure_ascii=False)[1:-1] not in shipped, p.id


@pytest.mark.slow
def test_shipped_file_is_what_the_sources_give() -> None:
    done = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


async def test_references_pass_and_wrong_programs_fail_private_tests(
    problems: dict[str, Problem], sources: list[P]
) -> None:
    faults: list[str] = []
    async with Verifier(VerifierConfig(workers=2)) as verifier:

        async def check(source: P) -> None:
            problem = problems[source.id]
            verdict = await verifier.verify(problem, source.reference)
            if not verdict.ok:
                faults.append(f"{source.id}: the reference: {verdict.tests[-1:]}")
            hidden = problem.model_copy(update={"public_tests": []})
            for i, code in enumerate(source.wrong):
                verdict = await verifier.verify(hidden, code)
                if verdict.status not in REJECTED:
                    faults.append(f"{source.id}: wrong[{i}]: {verdict.status}")

        await asyncio.gather(*map(check, sources))
    assert not faults, "\n".join(faults)


# ------------------------------------------------- what build.py refuses

GOOD = P(
    id="builtin/next",
    difficulty="easy",
    title="Next",
    statement="Return n + 1.",
    entry_point="f",
    public=[([1], 2), ([2], 3)],
    private=[[n] for n in range(3, 11)],
    reference="def f(n: int) -> int:\n    return n + 1\n",
    wrong=["def f(n): return n", "def f(n): return n + 2", "def f(n): return 1 - n"],
)


def test_a_sound_problem_gives_its_row() -> None:
    row = build.row(GOOD)
    assert [t["expected"] for t in row["private_tests"]] == list(range(4, 12))
    assert row["starter_code"] == "def f(n: int) -> int:\n"
    assert "- `f(1)` returns `2`" in row["statement"]
    assert "reference" not in row


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "next"}, "slug"),
        ({"public": [([1], 2)]}, "public has 1, needs 2"),
        ({"private": [[3]]}, "private has 1, needs 8"),
        ({"wrong": GOOD.wrong[:2]}, "wrong has 2, needs 3"),
        ({"public": [([1], 2), ([2], 4)]}, "you wrote 4, the reference 3"),
        ({"public": [([1], 2.0), ([2], 3)]}, "you wrote 2.0, the reference 2"),
        ({"private": [[n] for n in range(2, 10)]}, "given twice"),
        ({"wrong": [*GOOD.wrong, "def f(n): return 1 + n"]}, "wrong[3] passes every private"),
        ({"wrong": [*GOOD.wrong, "def f(n): return n + 1 if n > 2 else 0"]}, "wrong[3] passes"),
        ({"wrong": [*GOOD.wrong, "def f(n) return"]}, "wrong[3] on '[1]': SyntaxError"),
        ({"reference": "def f(n):\n    return 1 // 0\n"}, "the reference fails on [1]"),
        ({"reference": "def f(n):\n    return {n}\n"}, "not JSON serializable"),
        ({"statement": "Return n + 1.\n\nExamples:\n"}, "leave examples out"),
    ],
)
def test_an_unsound_problem_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(build.Unsound) as caught:
        build.row(replace(GOOD, **change))
    assert message in str(caught.value)
    assert "next" in str(caught.value)


def test_a_stdin_problem_is_run_as_a_program() -> None:
    p = replace(
        GOOD,
        entry_point=None,
        public=[("1\n", "2\n"), ("2\n", "3\n")],
        private=[f"{n}\n" for n in range(3, 11)],
        reference="import sys\nif __name__ == '__main__':\n    print(int(sys.stdin.read()) + 1)\n",
        wrong=["print(input())", "print(int(input()) + 2)", "exit(3)"],
    )
    row = build.row(p)
    assert row["private_tests"][0] == {"kind": "stdin", "input": "3\n", "expected": "4\n"}
    assert "Input 2:\n```\n2\n```\nOutput 2:\n```\n3\n```" in row["statement"]
