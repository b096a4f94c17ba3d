"""Scripts that block, hang or fail: the event loop and the end of the process do not wait."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Sequence

import pytest

from mars2.agents.scripted import ScriptedPolicy
from mars2.errors import GenerationError
from mars2.types import Message, Sampling

PROMPT = (Message("user", "x"),)
LONG = 60  # seconds after which a test of what must not wait has failed


async def ask(policy: ScriptedPolicy, seed: int = 0) -> str:
    return (await policy.generate(PROMPT, Sampling(), seed=seed)).text


async def test_the_loop_goes_on_while_a_script_blocks() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def answer(messages: Sequence[Message], seed: int) -> str:
        begun.set()
        return f"{go_on.wait(LONG)} {seed}"

    asked = asyncio.create_task(ask(ScriptedPolicy("p", answer), 7))
    await asyncio.to_thread(begun.wait, LONG)
    go_on.set()
    assert await asked == "True 7"


async def test_requests_are_answered_one_after_the_other_in_one_thread() -> None:
    running, seen, threads = 0, [], set()

    def answer(messages: Sequence[Message], seed: int) -> str:
        nonlocal running
        running += 1
        assert running == 1
        threads.add(threading.get_ident())
        seen.append(seed)
        running -= 1
        return str(seed)

    policy = ScriptedPolicy("p", answer)
    assert await asyncio.gather(*(ask(policy, i) for i in range(50))) == [*map(str, range(50))]
    assert seen == [*range(50)]
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


async def test_coroutine_functions_answer_together_in_the_loop() -> None:
    both = asyncio.Barrier(2)

    async def answer(messages: Sequence[Message], seed: int) -> str:
        await both.wait()
        return threading.current_thread().name

    policy = ScriptedPolicy("p", answer)
    here = threading.current_thread().name
    assert await asyncio.gather(ask(policy), ask(policy)) == [here, here]
    later = ScriptedPolicy("p", lambda messages, seed: answer(messages, seed))
    assert await asyncio.gather(ask(later), ask(later)) == [here, here]


async def test_cancelled_calls_are_forgotten_and_those_that_wait_never_made() -> None:
    begun, go_on = threading.Event(), threading.Event()
    seen = []

    def answer(messages: Sequence[Message], seed: int) -> str:
        seen.append(seed)
        begun.set()
        go_on.wait(LONG)
        return str(seed)

    policy = ScriptedPolicy("p", answer)
    tasks = [asyncio.create_task(ask(policy, i)) for i in range(3)]
    await asyncio.to_thread(begun.wait, LONG)
    for task in tasks[:2]:
        task.cancel()
    await asyncio.wait(tasks[:2])  # although the script still blocks
    assert all(task.cancelled() for task in tasks[:2])
    go_on.set()
    assert await tasks[2] == "2"
    assert seen == [0, 2]


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("k"), StopIteration()])
async def test_what_a_script_raises_ends_one_request(error: Exception) -> None:
    def answer(messages: Sequence[Message], seed: int) -> str:
        if seed:
            raise error
        return "fine"

    policy = ScriptedPolicy("p", answer)
    with pytest.raises(GenerationError, match="scripted policy 'p'"):
        await ask(policy, 1)
    assert await ask(policy) == "fine"


def test_a_policy_works_in_one_loop_after_another_and_its_thread_ends_with_it() -> None:
    known = {*threading.enumerate()}
    begun, go_on = threading.Event(), threading.Event()

    def answer(messages: Sequence[Message], seed: int) -> str:
        if seed:
            begun.set()
            go_on.wait(LONG)
        return "fine"

    async def abandon(policy: ScriptedPolicy) -> None:
        task = asyncio.create_task(ask(policy, 1))
        await asyncio.to_thread(begun.wait, LONG)
        task.cancel()

    policy = ScriptedPolicy("p", answer)
    assert asyncio.run(ask(policy)) == "fine"
    asyncio.run(abandon(policy))  # its loop is closed before the call ends
    go_on.set()
    assert asyncio.run(ask(policy)) == "fine"
    (thread,) = {*threading.enumerate()} - known
    gone = weakref.ref(policy)
    del policy
    gc.collect()
    assert gone() is None
    thread.join(LONG)
    assert not thread.is_alive()
