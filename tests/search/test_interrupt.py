"""Searches that end early: interrupted, solved, or with a team that changes on the way."""

import asyncio

import pytest
from search_helpers import FakeExpand, grow, grow_forest, make_node, strategy, uneven

from mars2.errors import GenerationError, SearchError
from mars2.search import Forest, Journal, Limiter, RunSettings, TreeJob, read_journal
from mars2.search.codec import expansion_from_json


def kinds(path, tree="t"):
    return [
        (e["event"], e.get("node_id") or e["agent"])
        for e in list(read_journal(path))[1:]
        if e["tree"] == tree
    ]


@pytest.mark.parametrize("ordered", [True, False])
async def test_an_interrupted_search_has_its_best_so_far(tmp_path, ordered):
    gate = asyncio.Event()
    closed = []

    class Stuck(FakeExpand):
        async def __call__(self, e, *rest):
            if e.node_id >= 6:
                try:
                    await gate.wait()
                finally:
                    await asyncio.sleep(0)
                    closed.append(e.node_id)
            return await super().__call__(e, *rest)

    path = tmp_path / "j"
    limiter = Limiter(5)
    with Journal.open(path, {}) as journal:
        forest = Forest(
            [TreeJob("t", strategy(), Stuck("t"))],
            RunSettings(20, in_flight=4, ordered=ordered),
            journal=journal,
            limiter=limiter,
        )
        task = asyncio.create_task(forest.run())
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (result,) = forest.results()
    assert [n.node_id for n in result.nodes] == [1, 2, 3, 4, 5]
    unfinished = [e.node_id for e in result.unfinished]
    assert sorted(closed) == unfinished
    assert len(asyncio.all_tasks()) == 1
    assert limiter.free == 5
    assert {i for kind, i in kinds(path) if kind == "ask"} == {*range(1, 6), *unfinished}
    assert not any(kind in ("fail", "cancel") for kind, _ in kinds(path))
    with Journal.open(path, {}) as journal:
        whole = await grow("t", strategy(), FakeExpand("t"), budget=20, journal=journal)
    assert [n.node_id for n in whole.nodes] == list(range(1, 21))


async def test_what_fails_because_it_is_interrupted_has_not_failed(tmp_path):
    """Some clients turn a cancellation into an error of their own; some finish all the same."""

    class Client(FakeExpand):
        async def __call__(self, e, *rest):
            try:
                await asyncio.sleep(9999)
            except asyncio.CancelledError:
                if e.node_id == 1:
                    raise GenerationError("connection closed") from None
            return await super().__call__(e, *rest)

    path = tmp_path / "j"
    with Journal.open(path, {}) as journal:
        settings = RunSettings(20, in_flight=3)
        forest = Forest([TreeJob("t", strategy(), Client("t"))], settings, journal=journal)
        task = asyncio.create_task(forest.run())
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    (result,) = forest.results()
    assert [e.node_id for e in result.unfinished] == [1]
    assert [n.node_id for n in result.nodes] == [2, 3]
    assert [event for event in kinds(path) if event[0] != "ask"] == [("tell", 2), ("tell", 3)]


async def test_results_at_any_time():
    forest = Forest([TreeJob("t", strategy(), FakeExpand("t"))], RunSettings(5))
    assert forest.results()[0].nodes == []
    assert await forest.run() == forest.results()
    assert "5 nodes" in repr(forest.results())
    with pytest.raises(SearchError, match="once"):
        await forest.run()


async def test_success_cancels_what_is_under_way(tmp_path):
    """Also what has not taken its first step, and what does not care that it was cancelled."""
    caring = []

    class Expand(FakeExpand):
        async def __call__(self, e, *rest):
            if e.node_id == 2:
                try:
                    await asyncio.sleep(9999)
                except asyncio.CancelledError:
                    caring.append(e.node_id)
                    return make_node("t", e, 1.0)
            if e.node_id == 3:
                await asyncio.sleep(9999)
            return await super().__call__(e, *rest)

    def outcome(e):
        return make_node("t", e, 1.0 if e.node_id == 9 else 0.0)

    path = tmp_path / "j"
    s = strategy("repeated")
    limiter = Limiter(6)
    with Journal.open(path, {}) as journal:
        result = await grow(
            "t",
            s,
            Expand("t", lambda e: 1, outcome),
            budget=100,
            in_flight=6,
            stop_on_success=True,
            journal=journal,
            limiter=limiter,
        )
    assert caring == [2]
    assert result.solved
    assert len(asyncio.all_tasks()) == 1
    assert (s.in_flight, limiter.free) == (0, 6)
    cancelled = [e.node_id for e in result.cancelled]
    assert {2, 3} <= set(cancelled)
    assert [i for kind, i in kinds(path) if kind == "cancel"] == cancelled
    assert len(result.nodes) + len(cancelled) == s.asked == result.spent.nodes
    assert 2 not in [n.node_id for n in result.nodes]


async def test_a_success_in_one_tree_leaves_the_others_alone():
    def outcome(e):
        return make_node("a", e, 1.0)

    jobs = [
        TreeJob("a", strategy(), FakeExpand("a", uneven, outcome)),
        TreeJob("b", strategy(), FakeExpand("b", uneven, lambda e: make_node("b", e, 0.0))),
    ]
    a, b = await grow_forest(jobs, budget=20, in_flight=4, stop_on_success=True, limiter=Limiter(3))
    assert a.solved
    assert len(b.nodes) == 20


async def test_a_request_that_a_client_cancels_ends_one_node():
    def outcome(e):
        return asyncio.CancelledError() if e.node_id == 3 else None

    result = await grow("t", strategy(), FakeExpand("t", outcome=outcome), budget=8, in_flight=2)
    assert [f.expansion.node_id for f in result.failed] == [3]
    assert len(result.nodes) == 7


async def test_agents_join_and_leave_and_a_replay_knows(tmp_path):
    path = tmp_path / "j"

    async def run(told_to):
        s = strategy()

        def on_node(node):
            for number, change in told_to:
                if node.node_id == number:
                    change(forest)

        with Journal.open(path, {}) as journal:
            forest = Forest(
                [TreeJob("t", s, FakeExpand("t", uneven))],
                RunSettings(60, in_flight=3, on_node=on_node),
                journal=journal,
            )
            (result,) = await forest.run()
        return s, result

    s, result = await run([(10, lambda f: f.join("zoe")), (30, lambda f: f.leave("ann"))])
    by_zoe = [n.node_id for n in result.nodes if n.agent == "zoe"]
    assert by_zoe
    assert min(by_zoe) > 10
    events = kinds(path)
    left = events.index(("leave", "ann"))
    agents = {n.node_id: n.agent for n in result.nodes}
    assert "ann" not in {agents[i] for kind, i in events[left:] if kind == "ask"}
    assert ("join", "zoe") in events
    t, again = await run([])
    assert again == result
    assert t.statistics() == s.statistics()
    # The recorded asks are those of a fresh strategy that is told the same in the same order.
    fresh = strategy()
    for event in list(read_journal(path))[1:]:
        if event["event"] == "ask":
            assert fresh.ask() == expansion_from_json(event)
        elif event["event"] == "tell":
            fresh.tell(event["node_id"], event["reward"])
        else:
            getattr(fresh, event["event"])(event["agent"])


async def test_who_cannot_join_or_leave():
    forest = Forest([TreeJob("t", strategy(), FakeExpand("t"))], RunSettings(5))
    with pytest.raises(SearchError, match="not running"):
        forest.join("zoe")
    errors = []

    def on_node(node):
        for change, agent in ((running.join, "ann"), (running.leave, "zoe")):
            with pytest.raises(SearchError) as caught:
                change(agent)
            errors.append(caught)

    settings = RunSettings(2, on_node=on_node)
    running = Forest([TreeJob("t", strategy(), FakeExpand("t"))], settings)
    await running.run()
    assert len(errors) == 4


@pytest.mark.parametrize("name", ["debate", "mixture"])
async def test_the_nodes_of_references_are_handed_over(tmp_path, name):
    path = tmp_path / "j"
    with Journal.open(path, {}) as journal:
        expand = FakeExpand("t", uneven)
        result = await grow("t", strategy(name), expand, budget=12, in_flight=3, journal=journal)
    asked = {e["node_id"]: e["references"] for e in read_journal(path) if e["event"] == "ask"}
    assert any(asked.values())
    assert expand.references == {i: tuple(references) for i, references in asked.items()}
    with Journal.open(path, {}) as journal:
        assert await grow("t", strategy(name), None, budget=12, journal=journal) == result
