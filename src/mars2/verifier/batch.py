"""Judging a file of submissions: bounded concurrency, verdicts in the order of submissions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence

from mars2.config import VerifierConfig
from mars2.errors import UsageError
from mars2.types import Problem, Submission, TestSet, Verdict
from mars2.verifier import AnyVerifier, make_verifier

_AHEAD = 4  # submissions under way for each worker


async def run_verify(
    problems: Iterable[Problem],
    submissions: Sequence[Submission],
    config: VerifierConfig | None = None,
    *,
    tests: TestSet = "all",
    early_stop: bool = True,
    verifier: AnyVerifier | None = None,
) -> AsyncIterator[Verdict]:
    """Verdicts in the order of `submissions`, each with its submission's id.

    Uses `verifier` if given, else one of its own. Raises UsageError before anything runs if a
    submission names a problem that is not among `problems`.
    """
    by_id = {problem.id: problem for problem in problems}
    for submission in submissions:
        if submission.problem_id not in by_id:
            raise UsageError(
                f"submission {submission.id!r}: problem_id {submission.problem_id!r} "
                f"is not among the {len(by_id)} problems"
            )
    if verifier is None:
        async with make_verifier(config or VerifierConfig()) as own:
            async for verdict in _in_order(by_id, submissions, own, tests, early_stop):
                yield verdict
    else:
        async for verdict in _in_order(by_id, submissions, verifier, tests, early_stop):
            yield verdict


async def _in_order(
    by_id: dict[str, Problem],
    submissions: Sequence[Submission],
    verifier: AnyVerifier,
    tests: TestSet,
    early_stop: bool,
) -> AsyncIterator[Verdict]:
    window = verifier.config.workers * _AHEAD
    waiting: deque[asyncio.Task[Verdict]] = deque()
    try:
        for submission in submissions:
            if len(waiting) >= window:
                yield await waiting.popleft()
            problem = by_id[submission.problem_id]
            judging = verifier.verify(
                problem,
                _code(problem, submission),
                tests=tests,
                early_stop=early_stop,
                id=submission.id,
            )
            waiting.append(asyncio.create_task(judging))
        while waiting:
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _code(problem: Problem, submission: Submission) -> str | None:
    if submission.completion is None:
        return submission.code
    from mars2.prompts import extract_program

    return extract_program(problem, submission.completion)
