"""Who gets which worker: plain objects stand for workers, the rules are the pool's own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.verifier.pool import Pool


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


def pool(count: int) -> tuple[Any, list[Any]]:
    workers: list[Any] = [Named(f"w{i}") for i in range(count)]
    return Pool(workers), workers


async def test_idle_workers_come_first() -> None:
    found, workers = pool(2)
    taken = [await found.take(True) for _ in range(4)]
    assert set(taken[:2]) == set(taken[2:]) == set(workers)
    found.give(taken[1])
    assert await found.take(True) is taken[1]  # the other one has two


async def test_large_programs_wait_for_an_idle_worker_and_nobody_overtakes_them() -> None:
    found, _ = pool(1)
    first = await found.take(False)
    large = asyncio.create_task(found.take(False))
    small = asyncio.create_task(found.take(True))
    await asyncio.sleep(0)
    assert not large.done()
    assert not small.done()
    found.give(first)
    assert await large is first
    assert await small is first  # behind the large one
    assert len(found._waiting) == 0


async def test_nobody_waits_behind_a_slow_program() -> None:
    found, _ = pool(1)
    first = await found.take(True)
    second = await found.take(True)
    found.give(second, slow=True)
    again = asyncio.create_task(found.take(True))
    await asyncio.sleep(0)
    assert not again.done()
    found.give(first)
    assert await again is first
    assert await found.take(True) is first  # and what follows may wait behind it once more


async def test_who_gave_up_waiting_gets_nothing() -> None:
    found, _ = pool(1)
    held = [await found.take(True), await found.take(True)]
    waiting = [asyncio.create_task(found.take(True)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    found.give(held[0])
    waiting[1].cancel()  # in the moment in which it was served
    with pytest.raises(asyncio.CancelledError):
        await waiting[1]
    assert await waiting[2] is held[0]


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=40))
def test_places_are_never_lost_or_given_twice(steps: list[tuple[bool, bool, bool]]) -> None:
    async def play() -> None:
        found, workers = pool(2)
        waiting: list[asyncio.Task[Any]] = []
        held: list[Any] = []
        for take, small, slow in steps:
            if take:
                waiting.append(asyncio.create_task(found.take(small)))
            elif held:
                worker = held.pop(0)
                found.give(worker, slow and held.count(worker) > 0)
            await asyncio.sleep(0)
            held += [task.result() for task in waiting if task.done()]
            waiting = [task for task in waiting if not task.done()]
            assert all(held.count(worker) <= 2 for worker in workers)
        while held:
            found.give(held.pop())
            await asyncio.sleep(0)
            held += [task.result() for task in waiting if task.done()]
            waiting = [task for task in waiting if not task.done()]
        assert not waiting
        assert set(found._taken.values()) == {0}

    asyncio.run(play())
