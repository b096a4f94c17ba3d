"""Judging many submissions: order, completions, refusal before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from mars2.config import VerifierConfig
from mars2.errors import UsageError
from mars2.types import Problem, Status, StdinTest, Submission
from mars2.verifier.batch import run_verify
from mars2.verifier.worker import Worker


def problem(id: str) -> Problem:
    return Problem(id=id, statement="", private_tests=[StdinTest(input=id, expected=id)])


PROBLEMS = [problem(str(k)) for k in range(3)]


async def test_verdicts_come_in_the_order_of_submissions() -> None:
    slow = "import time\ntime.sleep(0.2)\nprint(input())"
    submissions = [
        Submission(id=f"s{k}", problem_id=str(k % 3), code=slow if k == 0 else "print(input())")
        for k in range(12)
    ]
    verdicts = [v async for v in run_verify(PROBLEMS, submissions, VerifierConfig(workers=2))]
    assert [v.id for v in verdicts] == [s.id for s in submissions]
    assert [v.problem_id for v in verdicts] == [s.problem_id for s in submissions]
    assert all(v.ok for v in verdicts)


async def test_completions_are_extracted() -> None:
    submissions = [
        Submission(id="a", problem_id="0", completion="Sure:\n```python\nprint(input())\n```"),
        Submission(id="b", problem_id="0", completion="I cannot do that, sorry."),
    ]
    verdicts = [v async for v in run_verify(PROBLEMS, submissions, VerifierConfig(workers=1))]
    assert [v.status for v in verdicts] == [Status.PASSED, Status.NO_CODE]


async def test_an_unknown_problem_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def start(self: Worker) -> Any:
        raise AssertionError("started")

    monkeypatch.setattr(Worker, "start", start)
    submissions = [
        Submission(id="good", problem_id="0", code="print(input())"),
        Submission(id="bad", problem_id="nowhere", code="print(1)"),
    ]
    with pytest.raises(UsageError, match=r"'bad'.*'nowhere'"):
        async for _ in run_verify(PROBLEMS, submissions):
            pass
