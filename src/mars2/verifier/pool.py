"""Which worker takes the next program: an idle one, else one that will soon be.

A worker has one program running and may have one more waiting, so that it never waits for a
message. Only small programs wait there: a large message would keep the fork server from watching
the one that runs. Whoever came first is served first.
"""

from __future__ import annotations

import asyncio
from collections import deque

from mars2.verifier.worker import Worker


class Pool:
    """The workers of a verifier and who has them."""

    def __init__(self, workers: list[Worker]) -> None:
        self._taken = dict.fromkeys(workers, 0)  # in the order in which they were taken last
        self._slow: set[Worker] = set()
        self._waiting: deque[tuple[asyncio.Future[Worker], bool]] = deque()

    async def take(self, small: bool) -> Worker:
        """A place on a worker; `small`: it may be the place after a running program."""
        if not self._waiting and (worker := self._choose(small)):
            return worker
        place: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._waiting.append((place, small))
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give(place.result())
            raise

    def give(self, worker: Worker, slow: bool = False) -> None:
        """Return a place. `slow`: nothing ran there, because the program before takes long."""
        self._taken[worker] -= 1
        if slow:
            self._slow.add(worker)
        else:
            self._slow.discard(worker)
        while self._waiting:
            place, small = self._waiting[0]
            chosen = None if place.done() else self._choose(small)
            if chosen is not None:
                place.set_result(chosen)
            elif not place.done():
                break
            self._waiting.popleft()

    def _choose(self, small: bool) -> Worker | None:
        places = sorted(self._taken.items(), key=lambda item: item[1])
        for worker, taken in places:
            if taken == 0 or (small and taken == 1 and worker not in self._slow):
                self._taken[worker] = self._taken.pop(worker) + 1
                return worker
        return None
