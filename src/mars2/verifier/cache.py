"""Verdicts of identical jobs, judged once: in memory, in a directory, and while under way.

A verdict depends on the program, the tests and the settings that `key` digests, and on nothing
else, so the same digest may be answered from here. Verdicts that say that the machinery failed
are never kept. Whoever can write the directory can forge verdicts: keep it from programs.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import marshal
import secrets
import sys
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from mars2 import __version__
from mars2.config import VerifierConfig
from mars2.errors import UsageError
from mars2.types import FunctionalTest, Problem, Status, StdinTest, TestSet, Verdict
from mars2.verifier.cache_file import CacheFile

MEMORY_VERDICTS = 10_000


def key(
    problem: Problem,
    code: str,
    *,
    config: VerifierConfig,
    tests: TestSet = "all",
    early_stop: bool = True,
    python: str = sys.version,
) -> str:
    """SHA-256 (hexadecimal) of all that a verdict depends on.

    That is: the program, the tests in order with kinds and expected outputs, the entry point,
    the profile, every limit, `early_stop`, the packages that programs may import with their
    versions, the interpreter (`python`, its version text) and this package's version. Isolation,
    ids and the number of workers change no verdict and are left out.
    """
    settings = (
        config.profile,
        problem.entry_point or "",
        problem.time_limit_s or config.time_limit_s,
        problem.memory_limit_mb or config.memory_limit_mb,
        config.output_limit_kb,
        config.processes,
        early_stop,
        python,
        _versions(tuple(config.packages)),
        code.encode("utf-8", "surrogatepass"),
        _tests_digest(problem, tests),
    )
    # version 2: exact by type and value, and the same bytes for equal values every time
    return hashlib.sha256(marshal.dumps(settings, 2)).hexdigest()


@functools.lru_cache(maxsize=16)
def _versions(packages: tuple[str, ...]) -> tuple[str, ...]:
    found = [f"mars2 {__version__}"]
    for name in sorted(packages):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} -")
    return tuple(found)


_Memo = dict[str, tuple[tuple[Any, ...], bytes]]
_digests: dict[int, tuple[weakref.ref[Problem], _Memo]] = {}


def _tests_digest(problem: Problem, which: TestSet) -> bytes:
    """Digest of the problem's tests, computed once for each Problem object and test set."""
    cases = problem.tests(which)
    place = id(problem)
    known = _digests.get(place)
    if known is None or known[0]() is not problem:
        known = (weakref.ref(problem, lambda _: _digests.pop(place, None)), {})
        _digests[place] = known
    memo = known[1].get(which)
    # the lists of a Problem can be changed in place: compare which tests they hold
    if memo is not None and list(map(id, memo[0])) == list(map(id, cases)):
        return memo[1]
    digest = _digest(cases)
    known[1][which] = (tuple(cases), digest)
    return digest


def _digest(cases: Sequence[Any]) -> bytes:
    content: list[tuple[Any, ...]] = []
    for case in cases:
        if isinstance(case, StdinTest):
            content.append((case.kind, case.input, case.expected))
        elif isinstance(case, FunctionalTest):
            content.append((case.kind, case.args, case.expected))
        else:
            content.append((case.kind, case.program))
    try:
        return hashlib.sha256(marshal.dumps(content, 2)).digest()
    except ValueError:  # an expected value that is no plain data: equal to nothing we know
        return secrets.token_bytes(32)


class VerdictCache:
    """Verdicts by `key`. Use from one event loop at a time; call `close` at the end.

    The verdict kept for a key has the ids of whoever was judged first: give it your own.
    """

    def __init__(self, where: str = "memory", *, capacity: int = MEMORY_VERDICTS) -> None:
        """`where` is "off", "memory", or a directory, made if absent, that processes can share.

        `capacity` bounds the verdicts in memory; the least recently used go first. Raises
        UsageError if the directory cannot be used or its file is damaged.
        """
        if where == "":
            raise UsageError('cache: give "off", "memory" or a directory')
        self.hits = 0
        """Requests that were answered without judging."""
        self._off = where == "off"
        self._capacity = capacity
        self._memory: OrderedDict[str, Verdict] = OrderedDict()
        self._flights: dict[str, _Flight] = {}
        self._file = CacheFile(Path(where)) if where not in ("off", "memory") else None

    @property
    def fault(self) -> str | None:
        """Why the directory is no longer read or written, if so; verdicts stay right."""
        return self._file.fault if self._file is not None else None

    def get(self, key: str) -> Verdict | None:
        """The verdict kept for `key`. Reads the disk if memory lacks it: short, but blocking."""
        verdict = self._recent(key)
        if verdict is None and self._file is not None:
            verdict = self._file.get(key)
            if verdict is not None:
                self._remember(key, verdict)
        self.hits += verdict is not None
        return verdict

    def put(self, key: str, verdict: Verdict) -> None:
        """Keep a verdict, unless it is `infra` anywhere. Written to disk by a thread."""
        if self._off or verdict.status is Status.INFRA:
            return
        if any(test.status is Status.INFRA for test in verdict.tests):
            return
        self._remember(key, verdict)
        if self._file is not None:
            self._file.put(key, verdict)

    async def single_flight(self, key: str, judge: Callable[[], Awaitable[Verdict]]) -> Verdict:
        """The verdict kept for `key`, else that of `judge()`, which all who ask meanwhile share.

        A caller who is cancelled takes nothing from the others; `judge` is cancelled when nobody
        waits for it any more. What it raises, every waiting caller gets. With "off", `judge` is
        simply called.
        """
        if self._off:
            return await judge()
        verdict = self._recent(key)
        if verdict is not None:
            self.hits += 1
            return verdict
        flight = self._flights.get(key)
        if flight is None:
            flight = _Flight(asyncio.ensure_future(self._judged(key, judge)))
            self._flights[key] = flight
            flight.task.add_done_callback(lambda _: self._land(key, flight))
        else:
            self.hits += 1
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._land(key, flight)
                flight.task.cancel()
                await asyncio.wait([flight.task])  # nothing of the program outlives the call

    async def _judged(self, key: str, judge: Callable[[], Awaitable[Verdict]]) -> Verdict:
        if self._file is not None:
            verdict = await asyncio.to_thread(self._file.get, key)
            if verdict is not None:
                self.hits += 1
                self._remember(key, verdict)
                return verdict
        verdict = await judge()
        self.put(key, verdict)
        return verdict

    def _land(self, key: str, flight: _Flight | None) -> None:
        if flight is not None and self._flights.get(key) is flight:
            del self._flights[key]

    def _recent(self, key: str) -> Verdict | None:
        verdict = self._memory.get(key)
        if verdict is not None:
            self._memory.move_to_end(key)
        return verdict

    def _remember(self, key: str, verdict: Verdict) -> None:
        self._memory[key] = verdict
        self._memory.move_to_end(key)
        while len(self._memory) > self._capacity:
            self._memory.popitem(last=False)

    def close(self) -> None:
        """Write what is still to be written. The cache must not be used afterwards."""
        if self._file is not None:
            self._file.close()


class _Flight:
    """A judgement under way and how many wait for it."""

    def __init__(self, task: asyncio.Future[Verdict]) -> None:
        self.task, self.waiting = task, 0
