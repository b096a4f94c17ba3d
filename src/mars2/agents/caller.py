"""Calls functions that may block, without blocking the event loop or the end of the process.

An executor would not do: its threads are waited for when the process ends, and nobody can
interrupt a call that hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

# What to call, and how to hand over its value and its error. None: end.
_Job = tuple[Callable[[], Any], Callable[[Any, BaseException | None], None]]


class Caller:
    """One thread of its own, in which functions are called one after the other, in that order."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] | None = None

    async def call(self, function: Callable[[], T]) -> T:
        """What the function returns or raises. Cancelling it forgets a call that has begun, and
        drops one that has not.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

        def called() -> Any:
            return None if ended.cancelled() else function()

        def settle(value: Any, error: BaseException | None) -> None:
            if not ended.done():
                ended.set_result((value, error))

        def hand_over(value: Any, error: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, value, error)

        self._queue().put((called, hand_over))
        value, error = await ended
        if error is not None:
            raise error
        return value

    def _queue(self) -> SimpleQueue[_Job | None]:
        if self._jobs is None:
            self._jobs = SimpleQueue()
            weakref.finalize(self, self._jobs.put, None)
            threading.Thread(
                target=_serve, args=[self._jobs], name="mars2-caller", daemon=True
            ).start()
        return self._jobs


def _serve(jobs: SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        function, hand_over = job
        value, error = None, None
        try:
            value = function()
        except BaseException as raised:
            error = raised
        hand_over(value, error)
        del job, function, hand_over, value, error  # while waiting, nothing is kept alive
