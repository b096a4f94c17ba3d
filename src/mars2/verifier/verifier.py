"""The verifier: programs and tests in, verdicts out, never blocking the event loop."""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import sys
from typing import Any, Self

from mars2.config import VerifierConfig
from mars2.errors import ConfigError, InfraError
from mars2.types import LcbResult, Problem, Status, TestSet, TestVerdict, Verdict
from mars2.verifier import bwrap
from mars2.verifier._sandbox.walls import Settings
from mars2.verifier.cache import VerdictCache, key
from mars2.verifier.job import Job
from mars2.verifier.level import of_hello, require
from mars2.verifier.packages import exposed
from mars2.verifier.pool import Pool
from mars2.verifier.worker import GivenBack, Worker, WorkerLost

_ATTEMPTS = 3
_log = logging.getLogger(__name__)


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
        if self.config.backend not in ("local", "bwrap"):
            raise ConfigError(
                f"verifier.backend is {self.config.backend!r}: local, bwrap, or the http:// URL of "
                "a SandboxFusion server (opened by make_verifier)"
            )
        packages = exposed(self.config.packages)
        prefix = bwrap.command() if self.config.backend == "bwrap" else ()
        first = random.randrange(1 << 16)  # not every verifier of a machine on the same CPUs
        self._workers = [
            Worker(Settings(without, packages, first + index), python, prefix)
            for index in range(self.config.workers)
        ]
        self._python = sys.version if python == sys.executable else python
        self.cache = VerdictCache(self.config.cache)
        """Verdicts of identical jobs, by `config.cache`."""
        self._pool = Pool(self._workers)
        self._open = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Start all workers.

        Raises InfraError if one cannot be, ConfigError if it does not reach `config.isolation`.
        """
        if self._open:
            return
        results = await asyncio.gather(
            *(worker.start() for worker in self._workers), return_exceptions=True
        )
        try:
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            for worker in self._workers:
                require(self.config.isolation, worker.hello)
            reached = of_hello(self._workers[0].hello)
            if reached.level != "strict":
                _warn(reached.level, ", ".join(reached.lacking("strict")))
        except BaseException:
            await self._kill_workers()
            raise
        self._pool = Pool(self._workers)
        self._open = True

    async def aclose(self) -> None:
        """Kill the workers and every program still running."""
        self._open = False
        await self._kill_workers()
        self.cache.close()

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

        `early_stop` ends at the first failing test. `code` None is `no_code`. Identical programs
        are judged once, see `config.cache`. Raises InfraError if the verifier is closed.
        """
        cases = problem.tests(tests)
        if code is None:
            return _verdict(id, problem, cases, [], Status.NO_CODE)
        if self.config.cache == "off":
            return await self._judge(problem, code, cases, early_stop, id)
        digest = key(
            problem,
            code,
            config=self.config,
            tests=tests,
            early_stop=early_stop,
            python=self._python,
        )
        verdict = await self.cache.single_flight(
            digest, lambda: self._judge(problem, code, cases, early_stop, id)
        )
        return verdict.model_copy(update={"id": id, "problem_id": problem.id})

    async def _judge(
        self, problem: Problem, code: str, cases: list[Any], early_stop: bool, id: str
    ) -> Verdict:
        job = Job(self.config, problem, code, cases, early_stop)
        lost = 0
        while not job.done:
            if not self._open:
                raise InfraError("the verifier is not running: use `async with Verifier(...)`")
            worker, told, slow = await self._pool.take(job.small), [], False
            try:
                await worker.start()
                told = await job.run(worker)
            except GivenBack:
                slow = True
            except (WorkerLost, InfraError) as error:  # it died, or could not be started again
                await worker.bury()
                lost += not isinstance(error, WorkerLost) or error.begun
                if lost == _ATTEMPTS:
                    why = f"the program runner failed: {error}"
                    failed = TestVerdict(status=Status.INFRA, exception=why)
                    return _verdict(id, problem, cases, [*job.results, failed])
            finally:
                self._pool.give(worker, slow)
            await asyncio.sleep(0)  # whoever waits for the worker sends it work first
            await job.take(told)
        return _verdict(id, problem, cases, job.results, lcb=job.lcb())


@functools.cache
def _warn(isolation: str, walls: str) -> None:
    """Once a process: whoever relies on walls should know which do not stand."""
    _log.warning(
        "programs run at isolation level %s; missing: %s (see `mars2 doctor`)", isolation, walls
    )


def _verdict(
    id: str,
    problem: Problem,
    cases: list[Any],
    results: list[TestVerdict],
    status: Status | None = None,
    lcb: LcbResult | None = None,
) -> Verdict:
    failing = (r.status for r in results if r.status is not Status.PASSED)
    return Verdict(
        id=id,
        problem_id=problem.id,
        status=status or next(failing, Status.PASSED),
        passed=sum(r.status is Status.PASSED for r in results),
        total=len(cases),
        tests=results,
        lcb=lcb,
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
