import asyncio
import copy
import math
import pickle

import pytest
from search_helpers import FakeExpand, make_node, reward_of

from mars2.config import SearchConfig
from mars2.errors import (
    EndpointDownError,
    GenerationError,
    InfraError,
    ResumeError,
    SearchError,
)
from mars2.search import (
    Journal,
    TreeJob,
    derive,
    make_strategy,
    read_journal,
    run_forest,
    run_tree,
)
from mars2.types import Status

AGENTS = ["ann", "bob", "cyd"]
MODES = pytest.mark.parametrize("ordered", [True, False])


def strategy(name="ab-mcts", seed=0):
    return make_strategy(SearchConfig(strategy=name), AGENTS, seed)


def uneven(e):
    """Turns of the event loop that an expansion takes: 0 to 12."""
    return derive("steps", e.node_id) % 13


def slower(e):
    return derive("other", e.node_id) % 29


@MODES
@pytest.mark.parametrize("name", ["ab-mcts", "repeated", "sequential"])
async def test_spends_the_budget_within_the_limits(name, ordered):
    s, expand = strategy(name), FakeExpand("t", uneven)
    result = await run_tree("t", s, expand, budget=30, in_flight=4, ordered=ordered)
    assert [n.node_id for n in result.nodes] == list(range(1, 31))
    assert sorted(expand.started) == list(range(1, 31))
    assert expand.peak == (1 if name == "sequential" else 4)
    assert (s.asked, s.in_flight, result.failed) == (30, 0, [])


@MODES
async def test_nodes_carry_their_parent(ordered):
    expand = FakeExpand("t", uneven)
    result = await run_tree("t", strategy(), expand, budget=30, in_flight=4, ordered=ordered)
    by_id = {n.node_id: n for n in result.nodes}
    assert any(n.parent_id for n in result.nodes)
    for n in result.nodes:
        parent = by_id.get(n.parent_id)
        assert expand.parents[n.node_id] is parent
        assert n.depth == (parent.depth + 1 if parent else 1)
        assert n.action == ("refine" if parent else "generate")


async def test_ordered_does_not_depend_on_speed():
    results = [
        await run_tree(
            "t", strategy(), FakeExpand("t", steps), budget=30, in_flight=4, ordered=True
        )
        for steps in (uneven, slower, lambda e: 0)
    ]
    assert results[0] == results[1] == results[2]


async def test_one_in_flight_is_the_same_in_both_modes():
    results = [
        await run_tree("t", strategy(), FakeExpand("t", uneven), budget=30, ordered=ordered)
        for ordered in (True, False)
    ]
    assert results[0] == results[1]


@MODES
async def test_a_failed_request_ends_one_node(ordered):
    def outcome(e):
        if e.node_id % 3 == 1:
            return GenerationError("no answer")
        return InfraError("no sandbox") if e.node_id % 3 == 2 else None

    s = strategy()
    expand = FakeExpand("t", uneven, outcome)
    result = await run_tree("t", s, expand, budget=12, in_flight=4, ordered=ordered)
    assert [n.node_id for n in result.nodes] == [3, 6, 9, 12]
    assert [(f.expansion.node_id, f.kind) for f in result.failed] == [
        (i, "generation" if i % 3 == 1 else "infra") for i in (1, 2, 4, 5, 7, 8, 10, 11)
    ]
    assert result.failed[0].error == "no answer"
    assert s.asked == 12
    assert sum(a[0] for arms in s.statistics()["agent_arms"].values() for a in arms.values()) == 4


@MODES
async def test_an_infra_verdict_is_masked_never_a_zero(tmp_path, ordered):
    def outcome(e):
        return make_node("t", e, 0.0, Status.INFRA) if e.node_id == 2 else None

    s = strategy("repeated")
    with Journal.open(tmp_path / "j", {}) as journal:
        result = await run_tree(
            "t",
            s,
            FakeExpand("t", outcome=outcome),
            budget=4,
            in_flight=2,
            journal=journal.tree("t"),
            ordered=ordered,
        )
    assert [n.node_id for n in result.nodes] == [1, 3, 4]
    (failed,) = result.failed
    assert (failed.kind, failed.node.node_id) == ("infra", 2)
    kinds = {e["node_id"]: e["event"] for e in read_journal(tmp_path / "j") if "node_id" in e}
    assert kinds == {1: "tell", 2: "fail", 3: "tell", 4: "tell"}


async def test_a_slow_request_blocks_nothing_as_completed():
    gate = asyncio.Event()
    done = []

    class Expand(FakeExpand):
        async def __call__(self, e, parent):
            if e.node_id == 1:
                await gate.wait()
            return await super().__call__(e, parent)

    def on_node(node):
        done.append(node.node_id)
        if len(done) == 9:
            gate.set()

    await run_tree("t", strategy(), Expand("t"), budget=10, in_flight=2, on_node=on_node)
    assert done == [*range(2, 11), 1]


@MODES
async def test_other_errors_cancel_the_rest_and_propagate(tmp_path, ordered):
    gate = asyncio.Event()
    cancelled = []

    async def expand(e, parent):
        if e.node_id == 2:
            raise KeyError("a bug")
        try:
            await gate.wait()
        except asyncio.CancelledError:
            cancelled.append(e.node_id)
            raise

    path = tmp_path / "j"
    with Journal.open(path, {}) as journal, pytest.raises(KeyError, match="a bug"):
        await run_tree(
            "t",
            strategy(),
            expand,
            budget=9,
            in_flight=3,
            journal=journal.tree("t"),
            ordered=ordered,
        )
    assert set(cancelled) == {1, 3}
    assert {e["event"] for e in read_journal(path)} == {"header", "ask"}


@MODES
@pytest.mark.parametrize("reward", [math.nan, 1.5, -1.0])
async def test_bad_rewards_are_not_recorded(tmp_path, ordered, reward):
    def outcome(e):
        return make_node("t", e, reward) if e.node_id == 3 else None

    path = tmp_path / "j"
    with Journal.open(path, {}) as journal, pytest.raises(SearchError, match="node 3"):
        await run_tree(
            "t",
            strategy(),
            FakeExpand("t", outcome=outcome),
            budget=9,
            journal=journal.tree("t"),
            ordered=ordered,
        )
    told = [e["node_id"] for e in read_journal(path) if e["event"] == "tell"]
    assert told == [1, 2]


@MODES
async def test_an_expansion_must_return_what_was_asked(ordered):
    async def expand(e, parent):
        return make_node("another", e, 1.0)

    with pytest.raises(SearchError, match="another"):
        await run_tree("t", strategy(), expand, budget=3, ordered=ordered)


@MODES
async def test_stop_on_success(tmp_path, ordered):
    def outcome(e):
        return make_node("t", e, 1.0 if e.node_id == 6 else 0.0)

    path = tmp_path / "j"
    results = []
    for _ in range(2):  # the second time all comes from the journal
        expand = FakeExpand("t", lambda e: 1 if e.node_id == 6 else 40, outcome)
        s = strategy()
        with Journal.open(path, {}) as journal:
            results.append(
                await run_tree(
                    "t",
                    s,
                    expand,
                    budget=100,
                    in_flight=4,
                    journal=journal.tree("t"),
                    ordered=ordered,
                    stop_on_success=True,
                )
            )
        assert s.in_flight == 0
    assert expand.started == []
    assert results[0] == results[1]
    assert max(n.reward for n in results[0].nodes) == 1.0
    assert s.asked <= 9
    assert len(results[0].nodes) + len(results[0].cancelled) == s.asked
    assert bool(results[0].cancelled) is not ordered


@MODES
async def test_the_endpoint_is_down(tmp_path, ordered):
    path = tmp_path / "j"
    with Journal.open(path, {}) as journal, pytest.raises(EndpointDownError, match="refused"):
        await run_tree(
            "t",
            strategy(),
            FakeExpand("t", uneven, lambda e: EndpointDownError("connection refused")),
            budget=20,
            in_flight=4,
            journal=journal.tree("t"),
            ordered=ordered,
        )
    # Nothing was spent: with the endpoint back, the same expansions run.
    with Journal.open(path, {}) as journal:
        expand = FakeExpand("t", uneven)
        result = await run_tree(
            "t",
            strategy(),
            expand,
            budget=20,
            in_flight=4,
            journal=journal.tree("t"),
            ordered=ordered,
        )
    assert len(result.nodes) == 20
    assert sorted(expand.started) == list(range(1, 21))


@MODES
@pytest.mark.parametrize("good", [1, 3, 4])
async def test_one_answer_makes_unreachable_requests_ordinary_failures(ordered, good):
    def outcome(e):
        return None if e.node_id == good else EndpointDownError("refused")

    result = await run_tree(
        "t",
        strategy(),
        FakeExpand("t", uneven, outcome),
        budget=20,
        in_flight=4,
        ordered=ordered,
    )
    assert [n.node_id for n in result.nodes] == [good]
    assert len(result.failed) == 19


@MODES
async def test_cancellation_leaves_a_journal_that_goes_on(tmp_path, ordered):
    path = tmp_path / "j"
    uninterrupted = await run_tree(
        "t", strategy(), FakeExpand("t", uneven), budget=20, in_flight=4, ordered=True
    )
    with Journal.open(path, {}) as journal:
        seen = asyncio.Event()
        count = 0

        def on_node(node):
            nonlocal count
            count += 1
            if count == 7:
                seen.set()

        task = asyncio.create_task(
            run_tree(
                "t",
                strategy(),
                FakeExpand("t", uneven),
                budget=20,
                in_flight=4,
                journal=journal.tree("t"),
                ordered=ordered,
                on_node=on_node,
            )
        )
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    told = [e["node_id"] for e in read_journal(path) if e["event"] == "tell"]
    assert len(told) >= 7
    with Journal.open(path, {}) as journal:
        expand = FakeExpand("t", slower)
        result = await run_tree(
            "t",
            strategy(),
            expand,
            budget=20,
            in_flight=4,
            journal=journal.tree("t"),
            ordered=ordered,
        )
    assert not set(told) & set(expand.started)
    assert len(result.nodes) == 20
    if ordered:
        assert result == uninterrupted


async def run_journaled(path, ordered, budget=24, seed=0, steps=uneven):
    """Run with a tenth of failures; (result, strategy, expand)."""

    def outcome(e):
        return GenerationError("lost") if derive("lost", e.node_id) % 10 == 0 else None

    s, expand = strategy(seed=seed), FakeExpand("t", steps, outcome)
    with Journal.open(path, {}) as journal:
        result = await run_tree(
            "t",
            s,
            expand,
            budget=budget,
            in_flight=4,
            journal=journal.tree("t"),
            ordered=ordered,
        )
    return result, s, expand


async def test_ordered_resume_from_every_line_equals_the_uninterrupted_run(tmp_path):
    path = tmp_path / "j"
    result, s, _ = await run_journaled(path, ordered=True)
    assert result.failed
    statistics, following = s.statistics(), s.ask()
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:kept]) + b'{"event":"tell","tr')
        ended = {e["node_id"] for e in read_journal(path) if e["event"] in ("tell", "fail")}
        again, t, expand = await run_journaled(path, ordered=True, steps=slower)
        assert again == result
        assert t.statistics() == statistics
        assert sorted(expand.started) == sorted(set(range(1, 25)) - ended)
        assert t.ask() == following


async def test_as_completed_replay_restores_statistics_exactly(tmp_path):
    path = tmp_path / "j"
    result, s, _ = await run_journaled(path, ordered=False)
    order = [e["node_id"] for e in read_journal(path) if e["event"] in ("tell", "fail")]
    assert order != sorted(order)
    again, t, expand = await run_journaled(path, ordered=False)
    assert expand.started == []
    assert again == result
    assert t.statistics() == s.statistics()
    assert t.ask() == s.ask()


async def test_as_completed_resume_repeats_and_loses_nothing(tmp_path):
    path = tmp_path / "j"
    await run_journaled(path, ordered=False)
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:kept]))
        past = list(read_journal(path))
        ended = {e["node_id"] for e in past if e["event"] in ("tell", "fail")}
        result, s, expand = await run_journaled(path, ordered=False, steps=slower)
        assert sorted(expand.started) == sorted(set(range(1, 25)) - ended)
        assert len(result.nodes) + len(result.failed) == 24
        # What was asked before is asked again as it was.
        asks = [e for e in read_journal(path) if e["event"] == "ask"]
        before = [e for e in past if e["event"] == "ask"]
        assert asks[: len(before)] == before
        assert (s.asked, s.in_flight) == (24, 0)


async def test_a_journal_of_other_agents_does_not_fit(tmp_path):
    path = tmp_path / "j"
    await run_journaled(path, ordered=False)
    other = make_strategy(SearchConfig(), ["zoe"], 0)
    with Journal.open(path, {}) as journal, pytest.raises(ResumeError, match="line 2"):
        await run_tree("t", other, FakeExpand("t"), budget=5, journal=journal.tree("t"))


@pytest.mark.parametrize(
    "event",
    [
        '{"event":"tell","tree":"t","node_id":1,"reward":0,"node":{}}',
        '{"event":"tell","tree":"t","node_id":1,"reward":0,"node":null}',
        '{"event":"tell","tree":"t","node_id":1,"reward":0,"node":7}',
        '{"event":"fail","tree":"t","node_id":1}',
        '{"event":"fail","tree":"t","node_id":8,"kind":"infra","error":"","node":null}',
        '{"event":"ask","tree":"t"}',
    ],
)
async def test_a_bad_event_names_its_line(tmp_path, event):
    path = tmp_path / "j"
    with Journal.open(path, {}) as journal:
        journal.tree("t").ask(strategy().ask())
    with path.open("a") as file:
        file.write(event + "\n")
    with Journal.open(path, {}) as journal, pytest.raises(ResumeError, match="line 3"):
        await run_tree("t", strategy(), FakeExpand("t"), budget=5, journal=journal.tree("t"))


@MODES
async def test_forest(tmp_path, ordered):
    ids = [f"tree {i}" for i in range(6)]
    limiter = asyncio.Semaphore(5)
    running = peak = 0
    nodes, fails = [], []

    def job(tree_id):
        inner = FakeExpand(
            tree_id,
            uneven,
            lambda e: GenerationError("lost") if e.node_id == 3 else None,
        )

        async def expand(e, parent):
            nonlocal running, peak
            running += 1
            peak = max(peak, running)
            try:
                return await inner(e, parent)
            finally:
                running -= 1

        return TreeJob(tree_id, strategy(seed=derive(0, tree_id)), expand)

    with Journal.open(tmp_path / "j", {}) as journal:
        results = await run_forest(
            [job(i) for i in ids],
            budget=10,
            in_flight=3,
            journal=journal,
            limiter=limiter,
            ordered=ordered,
            on_node=lambda n: nodes.append((n.tree_id, n.node_id)),
            on_fail=lambda tree, f: fails.append((tree, f.expansion.node_id)),
        )
    assert peak == 5
    assert [r.tree_id for r in results] == ids
    assert [len(r.nodes) for r in results] == [9] * 6
    assert sorted(nodes) == sorted((i, n) for i in ids for n in range(1, 11) if n != 3)
    assert sorted(fails) == [(i, 3) for i in ids]
    # The trees hold what each would hold alone.
    if ordered:
        alone = job(ids[2])
        assert results[2] == await run_tree(
            ids[2], alone.strategy, alone.expand, budget=10, in_flight=3, ordered=True
        )
    with Journal.open(tmp_path / "j", {}) as journal:
        again = [job(i) for i in ids]
        resumed = await run_forest(again, budget=10, in_flight=3, journal=journal, ordered=ordered)
    assert resumed == results


async def test_forest_refuses_equal_ids_and_passes_errors_on():
    def job(tree_id, outcome=None):
        return TreeJob(tree_id, strategy(), FakeExpand(tree_id, uneven, outcome))

    with pytest.raises(SearchError, match="'a'"):
        await run_forest([job("a"), job("b"), job("a")], budget=3)
    with pytest.raises(KeyError, match="bug"):
        await run_forest([job("a"), job("b", lambda e: KeyError("bug"))], budget=3)
    with pytest.raises(EndpointDownError):
        await run_forest([job(i, lambda e: EndpointDownError("down")) for i in "ab"], budget=3)
    assert await run_forest([], budget=3) == []


async def test_no_place_is_idle_as_completed():
    """With work left, every place under the limit is in use at every turn of the loop."""
    jobs, running, idle = [], 0, 0
    total = 8 * 20

    def make(tree_id):
        inner = FakeExpand(tree_id, lambda e: 3 + uneven(e))

        async def expand(e, parent):
            nonlocal running
            running += 1
            try:
                return await inner(e, parent)
            finally:
                running -= 1

        return TreeJob(tree_id, strategy(seed=len(tree_id)), expand)

    jobs = [make("t" * (i + 1)) for i in range(8)]
    done = 0

    def on_node(node):
        nonlocal done
        done += 1

    async def watch():
        nonlocal idle
        await asyncio.sleep(0)
        while done < total - 24:
            await asyncio.sleep(0)
            idle += running < 12 - 6  # a place may be between two expansions for a turn

    watcher = asyncio.create_task(watch())
    await run_forest(jobs, budget=20, in_flight=3, limiter=asyncio.Semaphore(12), on_node=on_node)
    await watcher
    assert idle <= 2


@pytest.mark.parametrize(("budget", "in_flight"), [(0, 1), (1, 0), (-1, 1)])
async def test_bad_limits(budget, in_flight):
    with pytest.raises(SearchError, match="at least 1"):
        await run_tree("t", strategy(), FakeExpand("t"), budget=budget, in_flight=in_flight)


async def test_nothing_is_copied_or_pickled(monkeypatch, tmp_path):
    def forbidden(*args, **kwargs):
        raise AssertionError("state was copied")

    for module, name in ((copy, "deepcopy"), (pickle, "dumps"), (pickle, "dump")):
        monkeypatch.setattr(module, name, forbidden)
    result, _, _ = await run_journaled(tmp_path / "j", ordered=False)
    assert len(result.nodes) + len(result.failed) == 24


def test_rewards_of_the_helpers_differ():
    assert len({reward_of("t", i) for i in range(1, 30)}) > 4
