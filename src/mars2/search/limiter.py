"""The places under a common limit on expansions under way, given out fairly.

A tree with many expansions waiting must not starve another. So a free place goes to the tree
that holds the fewest, among equals to the one whose last place is longest ago. What to do with
the place is decided when it is given, on the latest statistics. Nothing waits in a task: whoever
gives a place back hands it on in the same call, so a place with work waiting is never idle.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod

from mars2.errors import SearchError


class Taker(ABC):
    """Something that takes places; the limiter keeps its book-keeping in it."""

    held = 0
    _turn = 0
    _queued: tuple[int, int] | None = None  # its valid entry in the limiter's queue

    @abstractmethod
    def begin(self) -> bool:
        """A place is offered: begin something and return True, or return False.

        After False it is offered nothing until `Limiter.want`. Must not raise.
        """


class Limiter:
    """At most `places` expansions at once; share one between searches to bound them together.

    Of one event loop.

    Raises:
        SearchError: fewer than one place.
    """

    def __init__(self, places: int) -> None:
        if places < 1:
            raise SearchError(f"a limit on expansions under way must be at least 1, got {places}")
        self.places = places
        self.free = places
        self._queue: list[tuple[int, int, Taker]] = []  # a heap; may hold outdated entries
        self._turns = 0
        self._offering = False

    def want(self, *takers: Taker) -> None:
        """Offer these a place as soon as it is their turn."""
        for taker in takers:
            if taker._queued is None:
                self._enqueue(taker)
        self._offer()

    def wanted_by(self, taker: Taker) -> bool:
        """True if it is waiting for its turn."""
        return taker._queued is not None

    def leave(self, taker: Taker) -> None:
        """Offer this taker nothing any more. Places that it holds it still gives back."""
        taker._queued = None

    def give_back(self, taker: Taker) -> None:
        """A place is free again."""
        taker.held -= 1
        self.free += 1
        if taker._queued is not None:
            self._enqueue(taker)  # it has moved forward
        self._offer()

    def _enqueue(self, taker: Taker) -> None:
        if taker._turn == 0:
            self._next_turn(taker)
        taker._queued = (taker.held, taker._turn)
        heapq.heappush(self._queue, (*taker._queued, taker))

    def _next_turn(self, taker: Taker) -> None:
        self._turns += 1
        taker._turn = self._turns

    def _offer(self) -> None:
        if self._offering:  # the outer call goes on
            return
        self._offering = True
        try:
            while self.free and self._queue:
                held, turn, taker = heapq.heappop(self._queue)
                if taker._queued != (held, turn):
                    continue
                taker._queued = None
                self.free -= 1
                taker.held += 1
                if taker.begin():
                    self._next_turn(taker)
                    self._enqueue(taker)
                else:
                    self.free += 1
                    taker.held -= 1
        finally:
            self._offering = False
