"""The process that programs are forked from.

It is a fork of the server, warm and small, that does next to nothing: every page that a process
writes between two forks has to be copied, so the supervision is the server's and not its own.
It never has a test in its memory: the program reads its job itself.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import struct
import time
from collections.abc import Callable
from typing import NoReturn

from . import affinity, channel, pages, processes

_STARTED = struct.Struct("=i")  # process id
_ENDED = struct.Struct("=idq")  # wait status, CPU seconds, peak resident bytes
_ANSWER_S = 5.0
# The C library's, without what `os.fork` does around it for programs with threads: this process
# has none, and that is half of what a forked Python costs before its first line. Nor does
# `random` seed itself anew: a program gets the same verdict every time.
_fork = ctypes.PyDLL(None).fork


class Lost(Exception):
    """The zygote is gone or does not answer."""


class Zygote:
    """The server's handle on its zygote."""

    def __init__(
        self,
        fds: channel.Channel,
        pins: pages.Pins,
        home: affinity.Home,
        lock: Callable[[], None],
        become: Callable[[], NoReturn],
        readable: bool,
    ) -> None:
        """`lock` is called in the zygote, `become` in each forked program; `readable`: /proc is.

        `base` are the resident bytes that every program starts with, `written` the memory that
        programs write, to be copied at each fork.
        """
        self._fds, self._lock, self._become = fds, lock, become
        self._pins, self._home, self._readable = pins, home, readable
        self.written: list[pages.Range] = []
        self.pid = self.base = 0
        self._go = self._status = -1

    def start(self) -> None:
        """Fork it. There may be none alive."""
        self._close()
        self._pins.let_go()
        go, self._go = os.pipe2(os.O_CLOEXEC)
        self._status, status = os.pipe2(os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._pins.hold(self.written)
                self._fds.settle(go, status)
                self._lock()
                gc.disable()  # until a program's own code runs
                _serve(self._become)
            finally:
                os._exit(1)
        os.close(go)
        os.close(status)
        self.base = processes.resident(self.pid) if self._readable else 0

    def _close(self) -> None:
        for fd in (self._go, self._status):
            if fd >= 0:
                os.close(fd)

    @property
    def status(self) -> int:
        """A descriptor that is readable when a program has ended, or the zygote itself."""
        return self._status

    def fork(self) -> None:
        """Start a program. Raises Lost."""
        self._home.look(self.pid)
        os.ftruncate(self._fds.started, 0)
        try:
            os.write(self._go, b"g")
        except BrokenPipeError:
            raise Lost from None

    def program(self) -> int:
        """Process id of the program that was started last. Raises Lost.

        Not asked for short ones: to be told would cost each of them a change of processes.
        """
        give_up, over = time.monotonic() + _ANSWER_S, False
        while not (data := os.pread(self._fds.started, _STARTED.size, 0)):
            if over or time.monotonic() > give_up:
                raise Lost
            over = self.over(0.001)
        return int(_STARTED.unpack(data)[0])

    def release(self) -> None:
        """The program that was started last is not a short one. Raises Lost."""
        self._home.release(self.program())

    def over(self, seconds: float) -> bool:
        """True as soon as the program has ended, or the zygote; False after that time."""
        return bool(select.select([self._status], [], [], seconds)[0])

    def ended(self) -> tuple[int, float, int]:
        """How the program ended: wait status, CPU seconds, peak resident bytes. Raises Lost."""
        if not self.over(_ANSWER_S):
            raise Lost  # a program of the same user stopped it
        data = os.read(self._status, _ENDED.size)  # written at once: all of it or the end
        if len(data) < _ENDED.size:
            raise Lost
        status, cpu, peak = _ENDED.unpack(data)
        return status, cpu, peak


def _serve(become: Callable[[], NoReturn]) -> NoReturn:
    while os.read(channel.GO, 1):
        pid = _fork()
        if pid == 0:
            become()
        os.pwrite(channel.STARTED, _STARTED.pack(pid), 0)
        _, status, usage = os.wait4(pid, 0)
        peak = usage.ru_maxrss * 1024
        os.write(channel.STATUS, _ENDED.pack(status, usage.ru_utime + usage.ru_stime, peak))
    os._exit(0)
