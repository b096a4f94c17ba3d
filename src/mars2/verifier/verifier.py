"""The verifier: programs and tests in, verdicts out, never blocking the event loop."""

from __future__ import annotations

import asyncio
import itertools
import marshal
import sys
from typing import Any, Self

from mars2.config import VerifierConfig
from mars2.errors import InfraError
from mars2.types import (
    AssertionTest,
    FunctionalTest,
    Problem,
    Status,
    StdinTest,
    TestSet,
    TestVerdict,
    Verdict,
)
from mars2.verifier._sandbox import frames
from mars2.verifier.judge import Limits, Ran, judge
from mars2.verifier.worker import Worker, WorkerLost

_ATTEMPTS = 3
_BIG_BYTES = 200_000  # comparing more than this happens in a thread


class Verifier:
    """Judges programs in `config.workers` sandboxed fork servers.

    Use as `async with Verifier(config) as verifier`. Raises InfraError if no runner can be
    started; a runner that dies while judging is replaced and the job repeated, and only when
    that fails again and again the verdict is `infra`.
    """

    def __init__(
        self,
        config: VerifierConfig | None = None,
        *,
        python: str = sys.executable,
        without: frozenset[str] = frozenset(),
    ) -> None:
        """`python` runs the programs (it needs only its standard library).

        `without` switches walls off by name (see `isolation_level`), for tests.
        """
        self.config = config or VerifierConfig()
        self._workers = [Worker(without, python) for _ in range(self.config.workers)]
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._open = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Start all workers. Raises InfraError if one cannot be."""
        if self._open:
            return
        results = await asyncio.gather(
            *(worker.start() for worker in self._workers), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                await self._kill_workers()
                raise result
        self._idle = asyncio.Queue()
        for worker in self._workers:
            self._idle.put_nowait(worker)
        self._open = True

    async def aclose(self) -> None:
        """Kill the workers and every program still running."""
        self._open = False
        await self._kill_workers()

    async def _kill_workers(self) -> None:
        await asyncio.gather(*(worker.kill() for worker in self._workers))

    def worker_pids(self) -> list[int]:
        """Process ids of the running workers."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    async def verify(
        self,
        problem: Problem,
        code: str | None,
        *,
        tests: TestSet = "all",
        early_stop: bool = True,
        id: str = "",
    ) -> Verdict:
        """Judge `code` on the problem's tests, public ones first.

        `early_stop` ends at the first failing test. `code` None is `no_code`. Raises InfraError
        if the verifier is closed or its runner cannot be started.
        """
        cases = problem.tests(tests)
        if code is None:
            return _verdict(id, problem, cases, [], Status.NO_CODE)
        lost = WorkerLost("never ran")
        for _ in range(_ATTEMPTS):
            if not self._open:
                raise InfraError("the verifier is not running: use `async with Verifier(...)`")
            worker = await self._idle.get()
            try:
                await worker.start()
                job = _Job(self.config, worker, problem, code)
                results = await job.run(cases, early_stop)
                return _verdict(id, problem, cases, results)
            except WorkerLost as error:
                lost = error
                await worker.kill()
            except BaseException:  # cancelled in the middle of a job: its state is unknown
                await asyncio.shield(worker.kill())
                raise
            finally:
                self._idle.put_nowait(worker)
        failed = TestVerdict(status=Status.INFRA, exception=f"the program runner failed: {lost}")
        return _verdict(id, problem, cases, [failed])


class _Job:
    """One program on one worker."""

    def __init__(self, config: VerifierConfig, worker: Worker, problem: Problem, code: str) -> None:
        self._worker, self._entry = worker, problem.entry_point or ""
        self._source = code.encode("utf-8", "surrogatepass")
        self._limits = Limits(
            time_s=problem.time_limit_s or config.time_limit_s,
            memory=(problem.memory_limit_mb or config.memory_limit_mb) << 20,
            output=config.output_limit_kb << 10,
            processes=config.processes,
        )

    async def run(self, cases: list[Any], early_stop: bool) -> list[TestVerdict]:
        """Tests in order, functional ones in a row together. Raises WorkerLost."""
        limits = self._limits
        opening = frames.pack(
            {
                "op": "job",
                "entry": self._entry,
                "time": limits.time_s,
                "memory": limits.memory,
                "output": limits.output,
                "processes": limits.processes,
            },
            self._source,
        )
        end = frames.pack({"op": "end"})
        results: list[TestVerdict] = []
        ended = False
        while len(results) < len(cases) and not (early_stop and _failed(results)):
            rest = cases[len(results) :]
            if isinstance(rest[0], FunctionalTest):
                results += await self._calls(opening, _leading_calls(rest), early_stop)
            else:
                ended = len(rest) == 1  # nothing can follow: saves a round trip
                head = {"op": "test", "kind": rest[0].kind}
                test = frames.pack(head, _payload(rest[0]))
                await self._worker.send(opening, test, end if ended else b"")
                answer, blobs = await self._worker.receive(limits.time_s * 4)
                results.append(await self._judge(rest[0], Ran.parse(answer, blobs)))
            opening = b""
        if not ended:
            await self._worker.send(end)
        await self._worker.receive(1.0)
        return results

    async def _calls(
        self, opening: bytes, cases: list[FunctionalTest], early_stop: bool
    ) -> list[TestVerdict]:
        """Verdicts of a beginning of `cases`, at least one, all from one process.

        Earlier calls may have left something in a program's globals, so that only a failure
        on the first call of a process counts; at any other the list ends before it.
        """
        calls = frames.pack({"op": "calls"}, *map(_payload, cases))
        await self._worker.send(opening, calls)
        results: list[TestVerdict] = []
        while True:
            answer, blobs = await self._worker.receive(self._limits.time_s * 4)
            for ran in Ran.parse_calls(answer, blobs)[: len(cases) - len(results)]:
                verdict = await self._judge(cases[len(results)], ran)
                failed = verdict.status is not Status.PASSED
                if failed and results:
                    return await self._stop(results)
                results.append(verdict)
                if failed and early_stop:
                    return await self._stop(results)
            if len(results) == len(cases) or answer["exit"] is not None:
                return results

    async def _stop(self, results: list[TestVerdict]) -> list[TestVerdict]:
        await self._worker.send(frames.pack({"op": "stop"}))
        while (await self._worker.receive(self._limits.time_s * 4))[0]["op"] != "stopped":
            pass
        return results

    async def _judge(self, case: Any, ran: Ran) -> TestVerdict:
        if len(ran.stdout) + sum(len(data) for _, data in ran.frames) > _BIG_BYTES:
            return await asyncio.to_thread(judge, case, self._entry, ran, self._limits)
        return judge(case, self._entry, ran, self._limits)


def _failed(results: list[TestVerdict]) -> bool:
    return bool(results) and results[-1].status is not Status.PASSED


def _leading_calls(cases: list[Any]) -> list[FunctionalTest]:
    return list(itertools.takewhile(lambda case: isinstance(case, FunctionalTest), cases))


def _payload(case: Any) -> bytes:
    """What the process gets of a test: never what is expected (an assertion program has to)."""
    if isinstance(case, StdinTest):
        return case.input.encode("utf-8", "surrogatepass")
    if isinstance(case, AssertionTest):
        return case.program.encode("utf-8", "surrogatepass")
    return marshal.dumps(case.args)


def _verdict(
    id: str,
    problem: Problem,
    cases: list[Any],
    results: list[TestVerdict],
    status: Status | None = None,
) -> Verdict:
    failing = (r.status for r in results if r.status is not Status.PASSED)
    return Verdict(
        id=id,
        problem_id=problem.id,
        status=status or next(failing, Status.PASSED),
        passed=sum(r.status is Status.PASSED for r in results),
        total=len(cases),
        tests=results,
        seconds=round(sum(r.seconds or 0.0 for r in results), 4),
    )


def verify_sync(
    problem: Problem,
    code: str | None,
    *,
    config: VerifierConfig | None = None,
    tests: TestSet = "all",
    early_stop: bool = True,
    id: str = "",
) -> Verdict:
    """Judge one program from code without an event loop; starts and stops one worker."""

    async def once() -> Verdict:
        settings = (config or VerifierConfig()).model_copy(update={"workers": 1})
        async with Verifier(settings) as verifier:
            return await verifier.verify(problem, code, tests=tests, early_stop=early_stop, id=id)

    return asyncio.run(once())
