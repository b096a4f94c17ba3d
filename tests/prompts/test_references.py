"""Prompts that show other nodes' programs, and prompts that do not tell what failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mars2.prompts import build_prompt
from mars2.types import Generation, Node, Problem, Status, StdinTest, TestVerdict, Verdict

PROBLEM = Problem(
    id="p/sum",
    statement="Print the sum.",
    public_tests=[
        StdinTest(input="1 2\n", expected="3\n"),
        StdinTest(input="5 5\n", expected="10\n"),
    ],
    private_tests=[StdinTest(input="70001 70002\n", expected="140003\n")],
)
WRONG = TestVerdict(status=Status.WRONG_ANSWER, input="5 5\n", expected="10\n", actual="-77\n")
PASSED = TestVerdict(status=Status.PASSED)


def node(number: int, code: str | None, *tests: TestVerdict, agent: str = "a") -> Node:
    status = next((t.status for t in tests if t.status is not Status.PASSED), Status.PASSED)
    passed = sum(t.status is Status.PASSED for t in tests)
    return Node(
        tree_id="t",
        node_id=number,
        parent_id=None,
        depth=1,
        agent=agent,
        action="generate",
        prompt=(),
        generation=Generation(text=""),
        code=code,
        verdict=Verdict(status=status, passed=passed, total=2, tests=list(tests)),
        reward=float(status is Status.PASSED),
    )


def text(**more: object) -> str:
    return build_prompt(PROBLEM, style="chat", **more)[-1].content  # type: ignore[arg-type]


def test_programs_of_others_are_shown_with_what_they_pass() -> None:
    others = [
        node(1, "print(1)", PASSED, WRONG, agent="bob"),
        node(2, "print(2)", PASSED, PASSED, agent="eve"),
    ]
    prompt = text(references=others, parent=node(3, "print(3)", PASSED, WRONG))
    assert "A program by bob, which passes 1 of 2 shown tests:\n```python\nprint(1)\n```" in prompt
    assert "A program by eve, which passes 2 of 2 shown tests:" in prompt
    assert prompt.index("print(2)") < prompt.index("Your previous program:\n```python\nprint(3)")
    first = text(references=others)
    assert "print(1)" in first
    assert "Write the program" in first


def test_each_program_is_shown_once_and_never_the_own_one() -> None:
    own = node(9, "print(0)", PASSED, WRONG)
    others = [node(1, "print(0)"), node(2, "print(5)"), node(3, "print(5)"), node(4, None)]
    prompt = text(references=others, parent=own)
    assert prompt.count("print(0)") == prompt.count("print(5)") == 1


def test_many_and_long_references_are_bounded() -> None:
    others = [node(n, f"x = {n}\n" + "y = 1\n" * 20_000) for n in range(1, 10)]
    prompt = text(references=others)
    assert len(prompt) < 15_000
    assert "x = 9\n" in prompt
    assert "x = 5\n" not in prompt
    assert "middle cut" in prompt


def test_a_private_test_of_a_reference_does_not_count() -> None:
    other = node(1, "print(1)", PASSED, PASSED)
    private = replace(other, verdict=failed_privately())
    assert "passes 2 of 2 shown tests" in text(references=[private])
    assert "70001" not in text(references=[private])


def failed_privately() -> Verdict:
    hidden = TestVerdict(status=Status.WRONG_ANSWER, input="70001 70002\n", actual="70003\n")
    return Verdict(status=hidden.status, passed=2, total=3, tests=[PASSED, PASSED, hidden])


@pytest.mark.parametrize("style", ["chat", "micro"])
def test_without_error_feedback_only_the_failure_is_told(style: str) -> None:
    parent = node(1, "print(8)", PASSED, WRONG)
    said = build_prompt(PROBLEM, style=style, parent=parent)[-1].content  # type: ignore[arg-type]
    silent = build_prompt(PROBLEM, style=style, parent=parent, error_feedback=False)[-1].content  # type: ignore[arg-type]
    assert "-77" in said
    assert "-77" not in silent
    assert "print(8)" in silent
    assert PROBLEM.statement in silent
    right = node(1, "print(8)", PASSED, PASSED)
    fine = build_prompt(PROBLEM, style=style, parent=right, error_feedback=False)[-1].content  # type: ignore[arg-type]
    assert "pass" in fine
    assert fine != silent
