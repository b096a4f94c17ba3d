"""What every back end offers to those who need programs judged."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from mars2.config import VerifierConfig
from mars2.types import Problem, TestSet, Verdict


class AnyVerifier(Protocol):
    """A verifier of any back end; see `Verifier` for what the methods do."""

    config: VerifierConfig

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...

    async def verify(
        self,
        problem: Problem,
        code: str | None,
        *,
        tests: TestSet = "all",
        early_stop: bool = True,
        id: str = "",
    ) -> Verdict:
        """Judge `code` on the problem's tests."""
        ...
