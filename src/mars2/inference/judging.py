"""One program judged, and told to telemetry: how `solve`, training and evaluation all ask."""

from __future__ import annotations

from typing import Any

from mars2 import telemetry
from mars2.types import Problem, Verdict
from mars2.verifier import AnyVerifier


async def judged(verifier: AnyVerifier, problem: Problem, code: str | None, **how: Any) -> Verdict:
    """`verifier.verify` with these arguments."""
    with telemetry.span("verify") as judging:
        verdict = await verifier.verify(problem, code, **how)
        judging.note(status=verdict.status.value, program_seconds=verdict.seconds)
    return verdict
