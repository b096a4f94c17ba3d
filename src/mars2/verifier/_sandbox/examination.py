"""The examiner's process of one assertion test, as the fork server sees it.

It is a fork of the server itself, because it needs the test program, which no process that a
submission shares anything with may have. It is locked in like a program, as another user where
there is one.
"""

from __future__ import annotations

import os
import select
import signal
import struct
from typing import Any, NoReturn

from . import channel, examiner, processes, program
from .walls import Walls

_POISON = struct.pack(">I", 0xFFFFFFFF)  # no message is that long
_FINISH_S = 1.0


class Examination:
    """A running examiner. Its report is in the file `report` when it has ended."""

    def __init__(
        self,
        walls: Walls,
        fds: channel.Channel,
        tests: memoryview,
        entry: str,
        limit: int,
        limits: Any,
    ) -> None:
        """`limit`: bytes of a result; `limits`: as `walls.before_fork` gave them."""
        self._walls, self._fds, self._limits = walls, fds, limits
        self.report = os.memfd_create("report", os.MFD_CLOEXEC)
        self._answers = fds.theirs[channel.SUBJECT_ANSWERS]
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._become(bytes(tests), entry, limit)
            finally:
                os._exit(1)
        self.pidfd = os.pidfd_open(self.pid)

    def _become(self, tests: bytes, entry: str, limit: int) -> NoReturn:
        keep = (*self._fds.examiners, self.report)
        moved = [os.dup2(fd, 300 + index, inheritable=False) for index, fd in enumerate(keep)]
        null = self._fds.theirs[channel.NULL]
        for fd in range(3):
            os.dup2(null, fd)
        os.closerange(3, 300)
        os.closerange(300 + len(keep), 1 << 16)
        os.setsid()
        os.chdir("/")
        self._walls.confine_examiner(self._limits)

        def report(kind: bytes, payload: bytes) -> None:
            data = program.FRAME.pack(len(payload), b"X" if kind == b"D" else kind) + payload
            while data:
                data = data[os.write(moved[2], data) :]

        examiner.examine(tests, moved[0], moved[1], report, entry=entry, output_limit=limit)
        os._exit(0)

    def end(self, unhurried: bool) -> float:
        """Make sure that it ends, reap it; returns its CPU seconds.

        `unhurried`: the submission's process has ended by itself, and the examiner may finish
        if it needs no more answers.
        """
        if unhurried:
            try:
                os.set_blocking(self._answers, False)
                os.write(self._answers, _POISON)
            except OSError:
                pass
            select.select([self.pidfd], [], [], _FINISH_S)
        processes.send(self.pid, signal.SIGKILL)
        _, _, usage = os.wait4(self.pid, 0)
        return usage.ru_utime + usage.ru_stime

    def close(self) -> None:
        """Forget the report."""
        os.close(self.report)
        os.close(self.pidfd)
