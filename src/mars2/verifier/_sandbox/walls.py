"""All walls around programs, set up once per fork server and once per program.

The server and the program only say *when*; which walls there are, what this machine refuses and
how a program is locked in is decided here, from `isolation` and its neighbours.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

from . import isolation, linux
from .scratch import Scratch


@dataclass(frozen=True)
class Settings:
    """What the grader asks of the walls: walls switched off (for tests), packages to expose."""

    without: frozenset[str] = frozenset()
    packages: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Settings:
        """From the JSON text on the launcher's command line."""
        fields = json.loads(text)
        return cls(frozenset(fields["without"]), fields["packages"])

    def dump(self) -> str:
        """As JSON text for the launcher's command line."""
        return json.dumps({"without": sorted(self.without), "packages": self.packages})


class Walls:
    """The walls of one fork server. Build it in the server's process, before any program."""

    def __init__(self, level: isolation.Level, settings: Settings) -> None:
        self.level = level
        self.alone = level.has("pid")
        """This process is the first of a PID namespace: one signal reaches every program."""
        self.readable = True
        """/proc shows this server's processes, so that memory and sleep can be sampled."""
        keep = isolation.keep_paths()
        if self.alone:
            self.readable = self._mount_proc()
        else:
            linux.set_subreaper()
        isolation.private_files(level, keep)
        self.uid = isolation.choose_uid(level, keep, set(settings.without))
        self.scratch = Scratch(level, keep, self.uid)
        linux.set_undumpable()
        level.active.append("no new privileges")
        os.chdir("/")

    def _mount_proc(self) -> bool:
        if not self.level.has("mount"):
            self.level.missing["proc"] = "no mount namespace"
            return False
        flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
        try:
            linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
        except OSError:
            return False
        return self.level.attempt("proc", linux.mount, "proc", "/proc", "proc", flags)

    def before_fork(self, limits: isolation.Limits) -> Any:
        """Worked out in the server, so that a program's process has little to do: see `confine`."""
        return isolation.rlimits(limits, self._process_base())

    def confine(self, prepared: Any) -> None:
        """In a program's process, before its code: no way back. Raises OSError."""
        isolation.confine(prepared, self.uid)

    def _process_base(self) -> int:
        if self.uid is not None:
            return 0
        if self.level.has("user"):
            return 2  # the launcher and this server count in this user namespace
        return isolation.count_tasks(os.getuid())
