"""An event loop whose clock jumps to the next timer instead of waiting for it.

With it, a program made of `asyncio.sleep` is an exact discrete-event simulation of itself: the
code that runs is the real one, in the order in which it would run, and takes no time. What it
computes is free on this clock; only sleeping takes time. Not for sockets or threads.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at 0 s. Timers fire at their time, to a nanosecond."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Skip(self))
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self.now


class _Skip(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._of = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits and nothing is going to happen")
        self._of.now += max(timeout, 0.0)
        return super().select(0)


def run(program: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, without waiting."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(program)
