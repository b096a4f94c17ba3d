"""One program: its tests in processes of fork servers, their reports into verdicts.

Several tests share a process, one after another, until one fails. In the `native` profile a
failure counts only on the first test of a process (an earlier test may have left something
behind), so that any other is repeated first in a fresh one. Exceptions are limits that were
measured from outside. The official profile shares one process as the official checker does.
"""

from __future__ import annotations

import asyncio
import itertools
import marshal
import signal
from typing import Any

from mars2.config import VerifierConfig
from mars2.types import (
    AssertionTest,
    FunctionalTest,
    LcbResult,
    Problem,
    Status,
    StdinTest,
    TestVerdict,
)
from mars2.verifier import official
from mars2.verifier.judge import Limits, Ran, judge
from mars2.verifier.worker import Worker

_BIG_BYTES = 200_000  # comparing more than this happens in a thread
_SMALL_BYTES = 50_000  # what a socket takes at once
_KILLS = 2  # a program that is killed by nobody we know gets this many more chances
_MEASURED = (Status.TIME_LIMIT, Status.OUTPUT_LIMIT)


class Job:
    """One program. Until `done`: `run` its next process on a worker, then `take` what it told.

    Two steps, so that the worker already runs another program while this one is judged.
    """

    def __init__(
        self,
        config: VerifierConfig,
        problem: Problem,
        code: str,
        cases: list[Any],
        early_stop: bool,
    ) -> None:
        self._cases = cases
        self._entry = problem.entry_point or ""
        self._official = config.profile == "lcb"
        self._early_stop = early_stop or self._official
        self._limits = Limits(
            time_s=problem.time_limit_s or config.time_limit_s,
            memory=(problem.memory_limit_mb or config.memory_limit_mb) << 20,
            output=max(config.output_limit_kb << 10, _room(cases)),
            processes=config.processes,
        )
        self._source = code.encode("utf-8", "surrogatepass")
        self._head = {
            "op": "run",
            "profile": config.profile,
            "entry": self._entry,
            "time": self._limits.time_s,
            "memory": self._limits.memory,
            "output": self._limits.output,
            "processes": self._limits.processes,
        }
        self._kills, self._fresh = 0, True
        self.results: list[TestVerdict] = []
        self._outcomes: list[official.Outcome] = []

    @property
    def done(self) -> bool:
        """Every test is judged, or one failed and that is enough."""
        return len(self.results) == len(self._cases) or self._over()

    @property
    def small(self) -> bool:
        """Its next process needs no large message."""
        cases = self._cases[len(self.results) :]
        return len(self._source) + sum(map(_size, cases)) < _SMALL_BYTES

    def lcb(self) -> LcbResult | None:
        """What the official checker would have returned; None in the native profile."""
        return official.result(self._outcomes) if self._outcomes else None

    def _over(self) -> bool:
        failed = bool(self.results) and self.results[-1].status is not Status.PASSED
        return failed and self._early_stop

    async def run(self, worker: Worker) -> list[Ran]:
        """Run the next tests in one process; what it told last is to be `take`n.

        What a process tells before its end is judged at once, because it may be enough. Raises
        WorkerLost, or GivenBack if it did not begin.
        """
        cases = _alike(self._cases[len(self.results) :])
        head = {**self._head, "kind": cases[0].kind}
        blobs = [self._source, *map(_payload, cases)]
        turn = worker.begin(head, blobs, self._limits.time_s * 4)
        self._fresh, going_on = True, True
        try:
            while True:
                answer, blobs = await turn.receive()
                rans = Ran.parse(answer, blobs)
                if answer["final"]:
                    return rans if going_on else []
                going_on = going_on and await self.take(rans)
                if not going_on:
                    turn.stop()
        finally:
            turn.leave()

    async def take(self, rans: list[Ran]) -> bool:
        """Judge the next tests; False if nothing after them in the same process counts."""
        for ran in rans:
            if self.done or not await self._take(self._cases[len(self.results)], ran, self._fresh):
                return False
            self._fresh = False
        return not self.done

    async def _take(self, case: Any, ran: Ran, fresh: bool) -> bool:
        """Judge one test; False if nothing after it in this process counts."""
        if ran.exit == -signal.SIGKILL and not ran.killed and self._kills < _KILLS:
            self._kills += 1
            return False
        if self._official and not isinstance(case, AssertionTest):
            verdict, outcome = await self._judge_official(case, ran)
            self._outcomes.append(outcome)
        else:
            verdict = await self._judge(case, ran)
            failed = verdict.status is not Status.PASSED
            if failed and not fresh and verdict.status not in _MEASURED:
                return False
        self.results.append(verdict)
        return ran.answer is not None and not self._over()

    async def _judge(self, case: Any, ran: Ran) -> TestVerdict:
        if ran.size() > _BIG_BYTES:
            return await asyncio.to_thread(judge, case, self._entry, ran, self._limits)
        return judge(case, self._entry, ran, self._limits)

    async def _judge_official(self, case: Any, ran: Ran) -> tuple[TestVerdict, official.Outcome]:
        if ran.size() > _BIG_BYTES:
            return await asyncio.to_thread(official.judge, case, self._entry, ran, self._limits)
        return official.judge(case, self._entry, ran, self._limits)


def _alike(cases: list[Any]) -> list[Any]:
    """The leading tests that can share a process."""
    if isinstance(cases[0], AssertionTest):
        return cases[:1]
    return list(itertools.takewhile(lambda case: type(case) is type(cases[0]), cases))


def _room(cases: list[Any]) -> int:
    """Bytes that a right answer may need, as a power of two: the sandbox learns no length."""
    longest = max((len(c.expected) for c in cases if isinstance(c, StdinTest)), default=0)
    return 1 << (longest * 2).bit_length()


def _size(case: Any) -> int:
    """About the bytes of its payload; functional arguments, which are small, count as nothing."""
    if isinstance(case, StdinTest):
        return len(case.input)
    return len(case.program) if isinstance(case, AssertionTest) else 0


def _payload(case: Any) -> bytes:
    """What the process gets of a test: never what is expected (an assertion program has to)."""
    if isinstance(case, StdinTest):
        return case.input.encode("utf-8", "surrogatepass")
    if isinstance(case, AssertionTest):
        return case.program.encode("utf-8", "surrogatepass")
    assert isinstance(case, FunctionalTest)
    return marshal.dumps(case.args, 2)  # each list its own, as from JSON
