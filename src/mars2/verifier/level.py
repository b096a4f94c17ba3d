"""How well programs are walled in on this machine: levels, what they need, who demands one.

`strict`: namespaces, a private root and a system call filter, and a user of their own where root
judges. `restricted`: the filter and Landlock, on the machine's own file tree. `basic`: limits on
processes only. A level holds what the ones below it hold, in another way where need be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mars2.errors import ConfigError
from mars2.verifier._sandbox.walls import Settings
from mars2.verifier.worker import Worker

LevelName = Literal["basic", "restricted", "strict"]
LEVELS: tuple[LevelName, ...] = get_args(LevelName)  # weakest first

_ALWAYS = ("no new privileges", "capabilities dropped")
_NEEDS: dict[str, tuple[str, ...]] = {
    "basic": (),
    "restricted": ("seccomp", "landlock", *_ALWAYS),
    "strict": ("mount", "pid", "net", "ipc", "uts", "private root", "proc", "seccomp", *_ALWAYS),
}
_ADVICE = {
    "strict": (
        "allow user namespaces on this machine or in the container (Docker: "
        "--security-opt seccomp=unconfined --security-opt apparmor=unconfined), or run as root"
    ),
    "restricted": "use Linux 5.13 or newer with Landlock switched on (lsm=landlock,...)",
}


@dataclass(frozen=True)
class Isolation:
    """`active` walls by name; `missing` ones with the reason."""

    active: tuple[str, ...]
    missing: dict[str, str]

    @property
    def level(self) -> LevelName:
        """The highest level of which every wall stands."""
        return next(name for name in reversed(LEVELS) if not self.lacking(name))

    def lacking(self, level: LevelName) -> dict[str, str]:
        """Walls of that level that do not stand, with the reason."""
        if level == "restricted" and not self.lacking("strict"):
            return {}
        needed = list(_NEEDS[level])
        if level == "strict" and "user" not in self.active and "uid" in self.missing:
            needed.append("uid")  # root without a user namespace: programs need another user
        absent = [wall for wall in needed if wall not in self.active]
        return {wall: self.missing.get(wall, "not set up") for wall in absent}


def of_hello(hello: Mapping[str, Any]) -> Isolation:
    """What a fork server said about its walls when it started."""
    return Isolation(tuple(hello["active"]), dict(hello["missing"]))


def require(wanted: LevelName, hello: Mapping[str, Any]) -> None:
    """Raises ConfigError if the fork server with that hello does not reach `wanted`.

    The message names both levels, each wall that is missing with the reason, and what to do.
    """
    isolation = of_hello(hello)
    lacking = isolation.lacking(wanted)
    if not lacking:
        return
    walls = "".join(f"\n  {wall}: {reason}" for wall, reason in lacking.items())
    raise ConfigError(
        f"verifier.isolation is {wanted!r}, but programs on this machine would run at level "
        f"{isolation.level!r}. Missing walls:{walls}\n"
        f"To get them: {_ADVICE[wanted]}; `mars2 doctor` shows all walls. To run without them: "
        f"--set verifier.isolation={isolation.level}"
    )


def isolation_level(without: frozenset[str] = frozenset()) -> Isolation:
    """Start one worker, ask it, stop it. Raises InfraError if none can be started."""

    async def ask() -> Isolation:
        worker = Worker(Settings(without))
        await worker.start()
        hello = worker.hello
        await worker.kill()
        return of_hello(hello)

    return asyncio.run(ask())
