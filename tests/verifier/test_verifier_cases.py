"""Every ordinary program of the corpus gets its right verdict, and none outlives it."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec

import pytest
import verifier_corpus
from process_tree import descendants

from mars2.config import VerifierConfig
from mars2.types import Status, Verdict
from mars2.verifier import Verifier

CASES = [case for group in verifier_corpus.ORDINARY for case in verifier_corpus.read(group)]


@pytest.fixture(scope="module")
def outcome() -> tuple[dict[str, Verdict], dict[int, int]]:
    """Verdicts by problem id, and processes left under each worker afterwards."""

    async def judge_all() -> tuple[dict[str, Verdict], dict[int, int]]:
        async with Verifier(VerifierConfig(workers=2)) as verifier:
            verdicts = await asyncio.gather(
                *(verifier.verify(case.problem, case.code) for case in CASES)
            )
            left = {pid: len(descendants(pid)) for pid in verifier.worker_pids()}
        return {verdict.problem_id: verdict for verdict in verdicts}, left

    return asyncio.run(judge_all())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.problem.id)
def test_verdict(
    case: verifier_corpus.Case, outcome: tuple[dict[str, Verdict], dict[int, int]]
) -> None:
    if "numpy" in case.code and find_spec("numpy") is None:
        pytest.skip("numpy is not installed")
    verdict = outcome[0][case.problem.id]
    assert verdict.status.value in case.expected, verdict.tests


def test_nothing_is_left_under_the_workers(
    outcome: tuple[dict[str, Verdict], dict[int, int]],
) -> None:
    assert outcome[1]
    assert set(outcome[1].values()) == {2}  # the fork server and its zygote


def test_the_corpus_is_broad_enough() -> None:
    assert len({case.problem.id for case in CASES}) == len(CASES) >= 170


def test_failures_carry_evidence(outcome: tuple[dict[str, Verdict], dict[int, int]]) -> None:
    limits = {Status.TIME_LIMIT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT}
    for verdict in outcome[0].values():
        if verdict.ok:
            continue
        last = verdict.tests[-1]
        assert last.input is not None
        if last.status in limits:
            assert last.limit, verdict
        elif last.status is Status.WRONG_ANSWER:
            assert last.actual is not None or last.exception, verdict
        else:
            assert last.exception or last.limit, verdict
