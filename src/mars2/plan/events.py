"""A clock that jumps, and the things that take time on it: servers of models, workers, learners.

A server with continuous batching is processor sharing: with n answers under way each gets a token
every step(n) seconds. Instead of an event a token, it keeps how many tokens each answer under way
has got since the server began (the same for all), so an answer costs two events whatever its
length.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence

Done = Callable[[], None]


class Clock:
    """Seconds since the start. Events of one time happen in the order in which they were made."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Done]] = []
        self._order = itertools.count()

    def at(self, time: float, event: Done) -> None:
        """Have something happen."""
        heapq.heappush(self._events, (time, next(self._order), event))

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Until nothing is left to happen, or the condition holds."""
        events = self._events
        while events and not until():
            self.now, _, event = heapq.heappop(events)
            event()


class Server:
    """One replica of a serving engine: at most `slots` answers at once, the others wait in order.

    Args:
        step: seconds of one token for each, by how many answers are under way.

    Attributes:
        busy: seconds with anything under way; area: answers under way, times seconds.
    """

    def __init__(self, clock: Clock, slots: int, step: Callable[[int], float]) -> None:
        self.clock = clock
        self.slots = slots
        self._steps = [0.0, *(step(n) for n in range(1, slots + 1))]
        self.busy = self.area = 0.0
        self._got = 0.0  # tokens that each answer under way since the start would have
        self._since = 0.0
        self._ends: list[tuple[float, int, Done]] = []
        self._waiting: deque[tuple[float, Done]] = deque()
        self._order = itertools.count()
        self._plan = 0
        self._stopped = 0

    @property
    def load(self) -> int:
        """Answers under way and waiting."""
        return len(self._ends) + len(self._waiting)

    def submit(self, tokens: float, done: Done) -> None:
        """An answer of this length."""
        self._advance()
        if len(self._ends) < self.slots:
            heapq.heappush(self._ends, (self._got + tokens, next(self._order), done))
            self._schedule()
        else:
            self._waiting.append((tokens, done))

    def stop(self) -> None:
        """Nothing goes on until `go` has been called as often."""
        self._advance()
        self._stopped += 1
        self._schedule()

    def go(self) -> None:
        """See `stop`."""
        self._advance()
        self._stopped -= 1
        self._schedule()

    def _advance(self) -> None:
        passed, under_way = self.clock.now - self._since, len(self._ends)
        self._since = self.clock.now
        if under_way and not self._stopped:
            self._got += passed / self._steps[under_way]
            self.busy += passed
            self.area += passed * under_way

    def _schedule(self) -> None:
        self._plan += 1
        if self._ends and not self._stopped:
            plan, left = self._plan, max(0.0, self._ends[0][0] - self._got)
            seconds = left * self._steps[len(self._ends)]
            self.clock.at(self.clock.now + seconds, lambda: self._end(plan))

    def _end(self, plan: int) -> None:
        if plan != self._plan:
            return  # something has begun or ended since this was foreseen
        self._advance()
        self._got = max(self._got, self._ends[0][0])
        ended = []
        while self._ends and self._ends[0][0] <= self._got + 1e-9:
            ended.append(heapq.heappop(self._ends)[2])
        while self._waiting and len(self._ends) < self.slots:
            tokens, done = self._waiting.popleft()
            heapq.heappush(self._ends, (self._got + tokens, next(self._order), done))
        self._schedule()
        for done in ended:
            done()


class BatchServer:
    """The local back end: what waits becomes a batch, which ends when its longest answer does.

    Args:
        seconds: of a batch, by its lengths.
    """

    def __init__(
        self, clock: Clock, slots: int, seconds: Callable[[Sequence[float]], float]
    ) -> None:
        self.clock = clock
        self.slots = slots
        self._seconds = seconds
        self.busy = self.area = 0.0
        self._waiting: deque[tuple[float, Done]] = deque()
        self._running = 0
        self._foreseen = False

    @property
    def load(self) -> int:
        """Answers under way and waiting."""
        return self._running + len(self._waiting)

    def submit(self, tokens: float, done: Done) -> None:
        """An answer of this length."""
        self._waiting.append((tokens, done))
        if not self._running and not self._foreseen:  # others of this moment join the batch
            self._foreseen = True
            self.clock.at(self.clock.now, self._begin)

    def stop(self) -> None:
        """A batch under way is not interrupted: new weights wait for it."""

    def go(self) -> None:
        """See `stop`."""

    def _begin(self) -> None:
        self._foreseen = False
        count = min(self.slots, len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(count)]
        self._running = count
        seconds = self._seconds([tokens for tokens, _ in batch])
        self.busy += seconds
        self.area += seconds * count
        self.clock.at(self.clock.now + seconds, lambda: self._end([done for _, done in batch]))

    def _end(self, done: list[Done]) -> None:
        self._running = 0
        for each in done:
            each()
        if self._waiting and not self._running and not self._foreseen:
            self._foreseen = True
            self.clock.at(self.clock.now, self._begin)


class Workers:
    """`count` that take jobs in order: the verifier, or an endpoint with as many places."""

    def __init__(self, clock: Clock, count: int) -> None:
        self.clock = clock
        self.busy = 0.0
        self._free = count
        self._waiting: deque[tuple[float, Done]] = deque()

    def submit(self, seconds: float, done: Done) -> None:
        """A job that takes so long."""
        if self._free:
            self._free -= 1
            self._begin(seconds, done)
        else:
            self._waiting.append((seconds, done))

    def _begin(self, seconds: float, done: Done) -> None:
        self.busy += seconds
        self.clock.at(self.clock.now + seconds, lambda: self._end(done))

    def _end(self, done: Done) -> None:
        if self._waiting:
            self._begin(*self._waiting.popleft())
        else:
            self._free += 1
        done()
