"""Actors that are started again when they die, and what was asked of them asked again.

Ray can restart an actor by itself, but not its state: here whoever notices a death starts a new
actor, brings it to the state it has to have, and asks again. Everything that is asked is either
without effect (a seeded request, a verdict) or starts from a state that the new actor was given,
so asking twice counts once. Nothing here knows Ray: see `mars2.runtime.cluster`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

H = TypeVar("H")
T = TypeVar("T")


class Gone(Exception):
    """The actor that was asked is no more. It may have done what it was asked, or not."""


class Member(Generic[H]):
    """One actor, by turns as many processes as it takes.

    Args:
        name: of the actor, for messages.
        create: makes an actor and does not wait for it.
        prepare: brings a new one to the state it has to have, waits; raises Gone.
        kill: ends one at once, also a dead one.
        restarts: in a row, without an answer in between; one more death is the end.
        lost: the error of that end, of a message.
        say: told of every restart.

    Attributes:
        handle: the actor now.
        newest: that one, or the one that is being made ready in its place.
        under_way: calls of a `Group` that wait for it.
    """

    def __init__(
        self,
        name: str,
        create: Callable[[], H],
        prepare: Callable[[H], object],
        kill: Callable[[H], None],
        *,
        restarts: int,
        lost: Callable[[str], Exception],
        say: Callable[[str], None],
    ) -> None:
        self.name = name
        self.restarts = restarts
        self.under_way = 0
        self.renewal: asyncio.Task[None] | None = None
        self._create = create
        self._prepare = prepare
        self._kill = kill
        self._lost = lost
        self._say = say
        self._deaths = 0
        self._end: Exception | None = None
        self._lock = threading.RLock()  # held while an actor is made ready, or told of new state
        self.handle = self.newest = create()

    def begin(self) -> None:
        """Make the first actor ready."""
        with self._lock:
            try:
                self._prepare(self.handle)
            except Gone as error:
                self.replace(self.handle, error)

    def replace(self, dead: H, why: Gone) -> None:
        """Start another one in place of `dead`, unless that has been done. Safe in threads.

        Raises:
            Exception: what `lost` makes: it died too often, or `close` was called.
        """
        with self._lock:
            if self._end is not None:
                raise self._end
            if self.handle is dead:
                self._start_another(why)

    def _start_another(self, why: Gone) -> None:
        while True:
            if self._deaths >= self.restarts and self._end is None:
                often = f"{self._deaths + 1} times in a row" if self._deaths else "once"
                self._end = self._lost(
                    f"{self.name} died {often}, at last because: {why}. "
                    f"runtime.restarts = {self.restarts} allows no more"
                )
            if self._end is not None:
                self._kill(self.newest)
                raise self._end
            self._deaths += 1
            self._kill(self.newest)
            self._say(f"{self.name} died and is started again ({why})")
            self.newest = self._create()
            try:
                self._prepare(self.newest)
            except Gone as error:
                why = error
                continue
            self.handle = self.newest  # not before: nobody may ask one that has no state yet
            return

    def answered(self) -> None:
        """It does what it is asked: deaths before do not count any more."""
        self._deaths = 0

    def call(self, ask: Callable[[H], T]) -> T:
        """What `ask` gives of the actor, asked again when it dies meanwhile. Blocks."""
        for _ in range(self.restarts + 1):
            handle = self.handle
            try:
                answer = ask(handle)
            except Gone as error:
                why = error
                self.replace(handle, error)
            else:
                self.answered()
                return answer
        raise self._lost(self.too_often(why))

    def tell(self, ask: Callable[[H], T]) -> T:
        """`call`, with nobody starting another actor meanwhile."""
        with self._lock:
            return self.call(ask)

    def too_often(self, why: Gone) -> str:
        """What to say of a call that no actor survives."""
        return f"{self.name} died {self.restarts + 1} times while asked the same, at last: {why}"

    def close(self) -> None:
        """End the actor. Whoever waits for it gets an error."""
        self._end = self._end or self._lost(f"{self.name} was closed")
        self._kill(self.newest)


def begin_all(members: Sequence[Member[H]]) -> None:
    """`Member.begin` of all at once. If one cannot, all are closed and its error raised."""
    with ThreadPoolExecutor(max(1, len(members)), thread_name_prefix="mars2-begin") as pool:
        try:
            for begun in [pool.submit(member.begin) for member in members]:
                begun.result()
        except BaseException:
            for member in members:
                member.close()
            raise


class Group(Generic[H]):
    """Actors that can answer the same; each call goes to the one with the fewest under way."""

    def __init__(self, members: Sequence[Member[H]]) -> None:
        self.members = list(members)

    async def call(self, ask: Callable[[H], Awaitable[T]]) -> T:
        """What `ask` gives of one of the actors; of another one, or anew, when that one dies."""
        first = self.members[0]
        for _ in range(first.restarts + 1):
            member = min(self.members, key=lambda m: (m.renewal is not None, m.under_way))
            handle = member.handle
            member.under_way += 1
            try:
                if member.renewal is not None:
                    await asyncio.shield(member.renewal)
                    handle = member.handle
                answer = await ask(handle)
            except Gone as error:
                why = error
                await self._renew(member, handle, error)
            else:
                member.answered()
                return answer
            finally:
                member.under_way -= 1
        raise first._lost(member.too_often(why))

    async def _renew(self, member: Member[H], dead: H, why: Gone) -> None:
        """One thread restarts, however many calls noticed; the others wait for it."""
        if member.renewal is None:
            if member.handle is not dead:
                return
            restart = asyncio.to_thread(member.replace, dead, why)
            member.renewal = asyncio.ensure_future(restart)
            member.renewal.add_done_callback(lambda _: setattr(member, "renewal", None))
        await asyncio.shield(member.renewal)

    def close(self) -> None:
        """End all actors."""
        for member in self.members:
            member.close()
