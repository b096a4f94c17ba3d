"""Wall-clock seconds by phase, where phases overlap and happen several times at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class PhaseClock:
    """Counts the seconds during which a phase happened at least once, and those in which none did.

    `laps` reads and resets.
    """

    def __init__(self) -> None:
        self._running: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def now(self) -> float:
        """Seconds from any origin."""
        return time.monotonic()

    def begin(self, phase: str) -> None:
        """One more of this phase is under way."""
        self._advance()
        self._running[phase] = self._running.get(phase, 0) + 1

    def end(self, phase: str) -> None:
        """One less."""
        self._advance()
        self._running[phase] -= 1
        if not self._running[phase]:
            del self._running[phase]

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """The block is of this phase."""
        self.begin(phase)
        try:
            yield
        finally:
            self.end(phase)

    def laps(self) -> dict[str, float]:
        """Seconds by phase since the last call; "idle" are those without any."""
        self._advance()
        seconds, self._seconds = self._seconds, {}
        return seconds

    def _advance(self) -> None:
        now = time.monotonic()
        for phase in self._running or ("idle",):
            self._seconds[phase] = self._seconds.get(phase, 0.0) + now - self._last
        self._last = now
