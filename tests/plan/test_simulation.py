"""The simulation, against what can be worked out: queues, pipelines, waves, the loop's rules."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.plan.events import BatchServer, Clock, Server, Workers
from mars2.plan.simulation import Outcome, Policy, Rules, Simulation
from mars2.plan.workload import Draws, Workload

FIXED = Workload(output_tokens=10, output_sigma=0.0, verify_seconds=0.0)


def run(
    *,
    mode: str = "sync",
    learn: Callable[[int], float] = lambda n: 5.0,
    step: Callable[[int], float] = lambda n: 1.0,
    work: Workload = FIXED,
    seed: int = 0,
    publish: float = 0.0,
    together: bool = False,
    policies: int = 1,
    **rules: int | float | None,
) -> Outcome:
    """A small system whose answers all take 10 tokens of a second each, unless told otherwise."""
    clock = Clock()
    made = [
        Policy(
            1 / policies,
            [Server(clock, 1000, step)],
            Draws(work, 100, random.Random(f"{seed}/{i}")),
            learn,
            publish,
            together=together,
        )
        for i in range(policies)
    ]
    base: dict[str, int | float | None] = {
        "steps": 3,
        "trees_per_step": 4,
        "nodes": 8,
        "in_flight": 2,
    }
    all_rules = Rules(mode=mode, **(base | rules))  # type: ignore[arg-type]
    return Simulation(all_rules, made, Workers(clock, 4), clock, seed).run()


def test_a_barrier_adds_up_waves_and_learning() -> None:
    out = run(publish=1.0)
    # 4 waves of 10 s, then 5 s of learning and 1 s of publishing; three times
    assert out.seconds == pytest.approx(3 * (4 * 10 + 5 + 1))
    assert out.nodes == 3 * 4 * 8
    assert out.samples == out.nodes
    assert out.serving == pytest.approx(40 / 46)
    assert out.learning == pytest.approx(6 / 46)
    assert (out.stale, out.staleness) == (0, 0)


@pytest.mark.parametrize("in_flight", [1, 2, 4, 8])
def test_expansions_in_flight_shorten_a_step(in_flight: int) -> None:
    assert run(in_flight=in_flight).seconds == pytest.approx(3 * (8 / in_flight * 10 + 5))


def test_without_a_barrier_the_slower_side_decides() -> None:
    free = run(mode="async", steps=20, learn=lambda n: 5.0)
    assert free.seconds == pytest.approx(20 * 40, rel=0.05)  # learning hides behind rollout
    slow = run(mode="async", steps=20, learn=lambda n: 60.0, max_staleness=1)
    # Learners are behind; the batches wait, and trees are held back.
    assert slow.learning > 0.85
    assert slow.paused > 0
    assert slow.seconds < run(mode="sync", steps=20, learn=lambda n: 60.0).seconds


def test_samples_that_are_too_old_are_dropped() -> None:
    slow = run(mode="async", steps=20, learn=lambda n: 200.0, max_staleness=0)
    assert slow.stale > 0
    assert slow.staleness == 0
    bounded = run(mode="async", steps=20, learn=lambda n: 60.0, max_staleness=1)
    assert bounded.staleness <= 1


def test_one_device_for_both_takes_turns() -> None:
    apart = run(mode="async", steps=20, learn=lambda n: 20.0)
    turns = run(mode="async", steps=20, learn=lambda n: 20.0, together=True)
    assert turns.seconds > apart.seconds + 15 * 20


def test_uninformative_trees_are_replaced_up_to_the_bound() -> None:
    none = run(informative=0.0, refill_rounds=1)
    assert (none.samples, none.nodes) == (0, 3 * 2 * 4 * 8)
    half = run(informative=0.5, refill_rounds=3, steps=10)
    assert half.samples <= 10 * 4 * 8 < half.nodes


def test_the_same_seed_gives_the_same_run() -> None:
    work = Workload(output_tokens=30, output_sigma=0.8, verify_seconds=0.3)
    one, same, other = (run(work=work, seed=s, mode="async", policies=2) for s in (1, 1, 2))
    assert one == same
    assert one != other


@given(st.integers(1, 8), st.integers(1, 8), st.sampled_from(["sync", "async"]))
@settings(max_examples=25, deadline=None)
def test_every_node_is_counted_once(in_flight: int, nodes: int, mode: str) -> None:
    out = run(in_flight=in_flight, nodes=nodes, mode=mode, concurrency=5)
    assert out.samples + out.stale <= out.nodes
    assert out.nodes >= 3 * 4 * nodes
    assert 0 < out.serving <= 1


def test_processor_sharing_by_hand() -> None:
    """A step takes as many seconds as there are answers under way: two of 10 tokens, the second
    5 s later. The first has 5 tokens then; the rest takes it 10 s; the second ends alone."""
    clock, ends = Clock(), []
    server = Server(clock, 8, float)
    server.submit(10, lambda: ends.append(clock.now))
    clock.at(5, lambda: server.submit(10, lambda: ends.append(clock.now)))
    clock.run()
    assert ends == pytest.approx([15, 20])
    assert (server.busy, server.area) == pytest.approx((20, 5 + 2 * 10 + 5))


def test_a_full_server_lets_wait_and_a_stopped_one_stands_still() -> None:
    clock, ends = Clock(), []
    server = Server(clock, 1, lambda n: 1.0)
    for _ in range(2):
        server.submit(10, lambda: ends.append(clock.now))
    clock.at(3, server.stop)
    clock.at(7, server.go)
    clock.run()
    assert ends == pytest.approx([14, 24])


def test_batches_end_together() -> None:
    clock, ends = Clock(), []
    server = BatchServer(clock, 2, max)
    for tokens in (3.0, 9.0, 4.0):
        server.submit(tokens, lambda: ends.append(clock.now))
    clock.run()
    assert ends == [9, 9, 13]


def test_waiting_time_of_m_d_1() -> None:
    """Poisson arrivals, constant service, one worker: W = ρ s / (2 (1 − ρ)) (Pollaczek and
    Khinchine)."""
    clock, rng, rate, service = Clock(), random.Random(0), 0.7, 1.0
    worker, waits, now = Workers(clock, 1), [], 0.0

    def arrive(time: float) -> Callable[[], None]:
        return lambda: worker.submit(service, lambda: waits.append(clock.now - time - service))

    for _ in range(12_000):
        now += rng.expovariate(rate)
        clock.at(now, arrive(now))
    clock.run()
    assert sum(waits) / len(waits) == pytest.approx(rate / (2 * (1 - rate)), rel=0.1)
    assert worker.busy / clock.now == pytest.approx(rate, rel=0.04)
