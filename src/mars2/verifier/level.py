"""Which walls this machine gives programs: for `mars2 doctor` and for tests that need some."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mars2.verifier._sandbox.walls import Settings
from mars2.verifier.worker import Worker


@dataclass(frozen=True)
class Isolation:
    """`active` walls by name; `missing` ones with the reason."""

    active: tuple[str, ...]
    missing: dict[str, str]


def isolation_level(without: frozenset[str] = frozenset()) -> Isolation:
    """Start one worker, ask it, stop it. Raises InfraError if none can be started."""

    async def ask() -> Isolation:
        worker = Worker(Settings(without))
        await worker.start()
        hello = worker.hello
        await worker.kill()
        return Isolation(tuple(hello["active"]), dict(hello["missing"]))

    return asyncio.run(ask())
