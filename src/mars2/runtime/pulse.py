"""Ends actors that hang, so that they are started again like any that died.

Each actor answers a ping beside its work, in a thread of its own, so one that is slow answers and
one that is stopped, or stuck where no thread of it goes on, does not. Nothing here knows Ray: see
`mars2.runtime.cluster`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mars2.runtime.supervision import Member


@dataclass(slots=True)
class _Pulse:
    """Of one actor: the ping under way, for how long, and whether any was ever answered."""

    actor: Any
    ping: Any
    silent_s: float = 0.0
    alive: bool = False


class Watch:
    """A thread that asks all members for a sign of life, from `start` to `stop`.

    Before its first sign an actor may wait for room, or be starting: that is not counted. Time is
    counted in turns of this thread, so a driver that was itself stopped blames nobody.

    Args:
        members: those that there are now.
        ping: asks an actor, does not wait.
        answered: whether that has come back, with whatever.
        kill: ends an actor, upon which all that it was asked fails.
        timeout_s: of silence; 0: watch nobody.
        say: told of every end.
    """

    def __init__(
        self,
        members: Callable[[], Iterable[Member[Any]]],
        ping: Callable[[Any], Any],
        answered: Callable[[Any], bool],
        kill: Callable[[Any], None],
        *,
        timeout_s: float,
        say: Callable[[str], None],
    ) -> None:
        self._members = members
        self._ping = ping
        self._answered = answered
        self._kill = kill
        self._timeout_s = timeout_s
        self._say = say
        self._pulses: dict[Member[Any], _Pulse] = {}
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mars2-pulse", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        if self._timeout_s:
            self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._leaving.set()
        if self._timeout_s:
            self._thread.join()

    def _run(self) -> None:
        turn_s = self._timeout_s / 10
        while not self._leaving.wait(turn_s):
            self.turn(turn_s)

    def turn(self, seconds: float) -> None:
        """Look at every member once, `seconds` after the last time."""
        for member in list(self._members()):
            pulse = self._pulses.get(member)
            if pulse is None or pulse.actor is not member.newest:
                actor = member.newest
                self._pulses[member] = _Pulse(actor, self._ping(actor))
            elif self._answered(pulse.ping):
                self._pulses[member] = _Pulse(pulse.actor, self._ping(pulse.actor), alive=True)
            elif pulse.alive:
                pulse.silent_s += seconds
                if pulse.silent_s >= self._timeout_s:
                    self._say(
                        f"{member.name} has given no sign of life for {self._timeout_s:g} s "
                        "(runtime.hang_timeout_s) and is ended"
                    )
                    self._kill(pulse.actor)
                    pulse.silent_s = 0.0
