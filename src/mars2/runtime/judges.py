"""Verifiers in actors, behind the interface of one in this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Self

from mars2.config import VerifierConfig
from mars2.runtime import cluster
from mars2.runtime.supervision import Group, Member
from mars2.types import Problem, TestSet, Verdict

_CLOSE_S = 10.0  # for a verifier to write its cache


class RemoteJudges:
    """Each program goes to the verifier with the fewest under way; when that dies, to another one
    or to the one started in its place."""

    def __init__(self, config: VerifierConfig, members: Sequence[Member[Any]]) -> None:
        self.config = config
        self._group = Group(members)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        closing = [cluster.answer(m.handle.close.remote()) for m in self._group.members]
        with contextlib.suppress(Exception):
            await asyncio.wait_for(asyncio.gather(*closing, return_exceptions=True), _CLOSE_S)
        self._group.close()

    async def verify(
        self,
        problem: Problem,
        code: str | None,
        *,
        tests: TestSet = "all",
        early_stop: bool = True,
        id: str = "",
    ) -> Verdict:
        """As `Verifier.verify`.

        Raises:
            RuntimeLostError: verifiers die again and again.
        """
        return await self._group.call(
            lambda actor: cluster.answer(actor.verify.remote(problem, code, tests, early_stop, id))
        )
