"""One CPU for a server, its zygote and short programs.

They run by turns: each wakes the next and sleeps. On one CPU that is a change of processes; from
one CPU to another it is an interrupt and cold caches, a sixth of all verdicts a second with two
workers on two CPUs. A program that runs for longer gets all CPUs, and a server whose CPU is wanted
by others moves on.
"""

from __future__ import annotations

import os
import random
import time

_LOOK_S = 0.5
_WAITING = 0.1  # of the time: so long this process was ready and did not run; alone it is 0.03


class Home:
    """The CPU of one fork server. Without `sched_setaffinity` or statistics it does nothing."""

    def __init__(self, place: int) -> None:
        """`place` tells servers of one verifier apart, so that each begins elsewhere."""
        self._random = random.Random(place)
        self._all: list[int] = []
        try:
            cpus = sorted(os.sched_getaffinity(0))
            self._waited, self._looked = _waited(), time.monotonic()
            if len(cpus) > 1:
                self._cpu = cpus[place % len(cpus)]
                os.sched_setaffinity(0, {self._cpu})
                self._all = cpus
        except (OSError, ValueError, AttributeError, IndexError):
            pass

    def look(self, zygote: int) -> None:
        """From time to time: move to another CPU, with the zygote, if this one is crowded."""
        now = time.monotonic()
        if not self._all or now - self._looked < _LOOK_S:
            return
        try:
            waited = _waited()
            crowded = waited - self._waited > _WAITING * (now - self._looked)
            self._waited, self._looked = waited, now
            if crowded:
                self._cpu = self._random.choice([cpu for cpu in self._all if cpu != self._cpu])
                for pid in (0, zygote):
                    os.sched_setaffinity(pid, {self._cpu})
        except OSError:
            self._all = []

    def release(self, program: int) -> None:
        """That program is not a short one."""
        if self._all:
            try:
                os.sched_setaffinity(program, self._all)
            except OSError:
                pass  # it has ended


def _waited() -> float:
    """Seconds that this process was ready and waited for a CPU."""
    fd = os.open("/proc/self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(fd, 200).split()[1]) / 1e9
    finally:
        os.close(fd)
