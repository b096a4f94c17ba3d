"""Judging through an existing HTTP sandbox that speaks SandboxFusion's API.

Every test is one POST to /run_code (github.com/bytedance/SandboxFusion, sandbox_api.py) with a
driver program around the submission (`remote_driver`); what it reports is compared here, with
the same code as for the local sandbox. What the server does wrong (it cannot be reached, answers
with an error, loses or cuts output) is never the submission's failure: the request is repeated,
and at last the verdict is `infra`.

Isolation is the server's, and unknown here. The submission shares its machine, files and user
with the driver: it can forge what it printed or returned, which helps nobody without the
expected outputs, but in assertion tests the tests are there too. See docs/verifier.md.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import random
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from mars2.config import VerifierConfig
from mars2.errors import ConfigError, InfraError
from mars2.types import Problem, Status, StdinTest, TestSet, TestVerdict, Verdict
from mars2.verifier.cache import VerdictCache, key
from mars2.verifier.evidence import cut
from mars2.verifier.judge import Limits, Ran, judge
from mars2.verifier.remote_job import SERVER_EXTRA_S, RemoteJob, Trouble

_HTTP_EXTRA_S = 60.0  # for the request to wait for its turn there
_BODY_BYTES = 256 << 20
_BIG_BYTES = 200_000  # comparing more than this happens in a thread
_BACKOFF_MAX_S = 8.0
_TRY_AGAIN = (408, 425, 429)  # and all from 500 on
_PROBE = Problem(
    id="probe", statement="", public_tests=[StdinTest(input="ready\n", expected="ready")]
)


class RemoteVerifier:
    """Judges programs on the server at `config.backend`; the interface of `Verifier`.

    Use as `async with RemoteVerifier(config) as verifier`. At most `config.workers` requests are
    under way at once.
    """

    def __init__(
        self, config: VerifierConfig, *, attempts: int = 4, backoff_s: float = 0.5
    ) -> None:
        """`attempts` of each request, the pauses between them doubling from `backoff_s`.

        Raises ConfigError for a profile or an isolation level that no server can be held to.
        """
        self.config = config
        self.python = "unknown"
        """The server's Python, known once started."""
        if not config.backend.startswith(("http://", "https://")):
            raise ConfigError(
                f"backend {config.backend!r}: give a server's http:// or https:// URL"
            )
        if config.profile != "native":
            raise ConfigError(f"profile {config.profile!r} needs the backend local or bwrap")
        if config.isolation != "basic":
            raise ConfigError(
                f"isolation {config.isolation!r} cannot be verified on a server: use the backend "
                "local or bwrap, or ask for isolation basic"
            )
        self._url = config.backend.rstrip("/").removesuffix("/run_code") + "/run_code"
        self._attempts, self._backoff = attempts, backoff_s
        self._turns = asyncio.Semaphore(config.workers)
        self._client: httpx.AsyncClient | None = None
        self.cache = VerdictCache(config.cache)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Run one program there. Raises InfraError if that does not work."""
        if self._client is not None:
            return
        self._client = httpx.AsyncClient(trust_env=not _is_local(self._url))
        try:
            ran = await self._run(
                _PROBE, _PROBE.public_tests[0], "print(input())\n", self._limits(_PROBE, [])
            )
            if ran.stdout != b"ready\n":
                said = cut(ran.stderr.decode("utf-8", "replace"), 500)
                raise Trouble(f"it does not run Python programs as it should: {said}")
        except Trouble as error:
            await self.aclose()
            raise InfraError(f"the sandbox server {self._url} cannot be used: {error}") from None
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Let go of connections and write the cache."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        await asyncio.to_thread(self.cache.close)

    async def verify(
        self,
        problem: Problem,
        code: str | None,
        *,
        tests: TestSet = "all",
        early_stop: bool = True,
        id: str = "",
    ) -> Verdict:
        """Judge `code` on the problem's tests, public ones first; see `Verifier.verify`."""
        if self._client is None:
            raise InfraError("the verifier is not running: use `async with RemoteVerifier(...)`")
        cases = problem.tests(tests)
        if code is None:
            verdict = _verdict(problem, cases, [], Status.NO_CODE)
        else:
            place = key(
                problem,
                code,
                config=self.config,
                tests=tests,
                early_stop=early_stop,
                python=f"{self._url} {self.python}",
            )
            verdict = await self.cache.single_flight(
                place, lambda: self._judge(problem, code, cases, early_stop)
            )
        return verdict.model_copy(update={"id": id, "problem_id": problem.id})

    def _limits(self, problem: Problem, cases: list[Any]) -> Limits:
        return Limits(
            time_s=problem.time_limit_s or self.config.time_limit_s,
            memory=(problem.memory_limit_mb or self.config.memory_limit_mb) << 20,
            output=max(self.config.output_limit_kb << 10, _room(cases)),
            processes=self.config.processes,
        )

    async def _judge(
        self, problem: Problem, code: str, cases: list[Any], early_stop: bool
    ) -> Verdict:
        limits, results = self._limits(problem, cases), []
        for case in cases:
            try:
                ran = await self._run(problem, case, code, limits)
            except Trouble as error:
                told = cut(f"the sandbox server {self._url} failed: {error}", 1000)
                results.append(TestVerdict(status=Status.INFRA, exception=told))
                break
            entry = problem.entry_point or ""
            if ran.size() > _BIG_BYTES:
                result = await asyncio.to_thread(judge, case, entry, ran, limits)
            else:
                result = judge(case, entry, ran, limits)
            results.append(result)
            if early_stop and result.status is not Status.PASSED:
                break
        return _verdict(problem, cases, results)

    async def _run(self, problem: Problem, case: Any, code: str, limits: Limits) -> Ran:
        """Run one test there, as often as it takes. Raises Trouble."""
        for attempt in range(1, self._attempts + 1):
            job = RemoteJob(problem, case, code, limits)
            try:
                async with self._turns:
                    answer = await self._post(job)
                ran, python = job.ran(answer)
                if self.python == "unknown":
                    self.python = python
                return ran
            except Trouble as error:
                if not error.again or attempt == self._attempts:
                    raise
            pause = min(self._backoff * 2 ** (attempt - 1), _BACKOFF_MAX_S)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        raise Trouble("no attempt was made", again=False)

    async def _post(self, job: RemoteJob) -> dict[str, Any]:
        if self._client is None:
            raise InfraError("the verifier was closed")
        timeout = httpx.Timeout(job.wall + SERVER_EXTRA_S + _HTTP_EXTRA_S, connect=10.0)
        body = bytearray()
        try:
            async with self._client.stream(
                "POST", self._url, json=job.request(), timeout=timeout
            ) as response:
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _BODY_BYTES:
                        raise Trouble(f"its answer is larger than {_BODY_BYTES >> 20} MiB")
        except httpx.HTTPError as error:
            raise Trouble(f"{type(error).__name__}: {error}") from None
        except httpx.InvalidURL as error:
            raise Trouble(f"the URL cannot be used: {error}", again=False) from None
        status = response.status_code
        if status != 200:
            told = bytes(body[:300]).decode("utf-8", "replace")
            again = status >= 500 or status in _TRY_AGAIN
            raise Trouble(f"it answered HTTP {status}: {told}", again)
        try:
            answer = json.loads(bytes(body))
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Trouble("its answer is no JSON object")
        return answer


def _verdict(
    problem: Problem, cases: list[Any], results: list[TestVerdict], status: Status | None = None
) -> Verdict:
    failing = (r.status for r in results if r.status is not Status.PASSED)
    return Verdict(
        problem_id=problem.id,
        status=status or next(failing, Status.PASSED),
        passed=sum(r.status is Status.PASSED for r in results),
        total=len(cases),
        tests=results,
        seconds=round(sum(r.seconds or 0.0 for r in results), 4),
    )


def _room(cases: list[Any]) -> int:
    """Bytes that a right answer may need, as a power of two: the server learns no length."""
    longest = max((len(c.expected) for c in cases if isinstance(c, StdinTest)), default=0)
    return 1 << (longest * 2).bit_length()


def _is_local(url: str) -> bool:
    """True for this machine, which no proxy reaches."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
