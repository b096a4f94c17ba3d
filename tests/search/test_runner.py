import asyncio
import math

import pytest
from search_helpers import FakeExpand, grow, make_node, reward_of, slower, strategy, uneven

from mars2.errors import EndpointDownError, GenerationError, InfraError, SearchError
from mars2.search import Journal, read_journal
from mars2.types import Status

MODES = pytest.mark.parametrize("ordered", [True, False])


@MODES
@pytest.mark.parametrize("name", ["ab-mcts", "repeated", "sequential"])
async def test_spends_the_budget_within_the_limits(name, ordered):
    s, expand = strategy(name), FakeExpand("t", uneven)
    result = await grow("t", s, expand, budget=30, in_flight=4, ordered=ordered)
    assert [n.node_id for n in result.nodes] == list(range(1, 31))
    assert sorted(expand.started) == list(range(1, 31))
    assert expand.peak == (1 if name == "sequential" else 4)
    assert (s.asked, s.in_flight, result.failed) == (30, 0, [])


@MODES
async def test_nodes_carry_their_parent(ordered):
    expand = FakeExpand("t", uneven)
    result = await grow("t", strategy(), expand, budget=30, in_flight=4, ordered=ordered)
    by_id = {n.node_id: n for n in result.nodes}
    assert any(n.parent_id for n in result.nodes)
    for n in result.nodes:
        parent = by_id.get(n.parent_id)
        assert expand.parents[n.node_id] is parent
        assert n.depth == (parent.depth + 1 if parent else 1)
        assert n.action == ("refine" if parent else "generate")


async def test_ordered_does_not_depend_on_speed():
    results = [
        await grow("t", strategy(), FakeExpand("t", steps), budget=30, in_flight=4, ordered=True)
        for steps in (uneven, slower, lambda e: 0)
    ]
    assert results[0] == results[1] == results[2]


async def test_one_in_flight_is_the_same_in_both_modes():
    results = [
        await grow("t", strategy(), FakeExpand("t", uneven), budget=30, ordered=ordered)
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
    result = await grow("t", s, expand, budget=12, in_flight=4, ordered=ordered)
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
        result = await grow(
            "t",
            s,
            FakeExpand("t", outcome=outcome),
            budget=4,
            in_flight=2,
            journal=journal,
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
        async def __call__(self, e, parent, references):
            if e.node_id == 1:
                await gate.wait()
            return await super().__call__(e, parent, references)

    def on_node(node):
        done.append(node.node_id)
        if len(done) == 9:
            gate.set()

    await grow("t", strategy(), Expand("t"), budget=10, in_flight=2, on_node=on_node)
    assert done == [*range(2, 11), 1]


@MODES
async def test_other_errors_cancel_the_rest_and_propagate(tmp_path, ordered):
    gate = asyncio.Event()
    cancelled = []

    async def expand(e, parent, references):
        if e.node_id == 2:
            raise KeyError("a bug")
        try:
            await gate.wait()
        except asyncio.CancelledError:
            cancelled.append(e.node_id)
            raise

    path = tmp_path / "j"
    with Journal.open(path, {}) as journal, pytest.raises(KeyError, match="a bug"):
        await grow(
            "t",
            strategy(),
            expand,
            budget=9,
            in_flight=3,
            journal=journal,
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
        await grow(
            "t",
            strategy(),
            FakeExpand("t", outcome=outcome),
            budget=9,
            journal=journal,
            ordered=ordered,
        )
    told = [e["node_id"] for e in read_journal(path) if e["event"] == "tell"]
    assert told == [1, 2]


@MODES
async def test_an_expansion_must_return_what_was_asked(ordered):
    async def expand(e, parent, references):
        return make_node("another", e, 1.0)

    with pytest.raises(SearchError, match="another"):
        await grow("t", strategy(), expand, budget=3, ordered=ordered)


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
                await grow(
                    "t",
                    s,
                    expand,
                    budget=100,
                    in_flight=4,
                    journal=journal,
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
        await grow(
            "t",
            strategy(),
            FakeExpand("t", uneven, lambda e: EndpointDownError("connection refused")),
            budget=20,
            in_flight=4,
            journal=journal,
            ordered=ordered,
        )
    # Nothing was spent: with the endpoint back, the same expansions run.
    with Journal.open(path, {}) as journal:
        expand = FakeExpand("t", uneven)
        result = await grow(
            "t",
            strategy(),
            expand,
            budget=20,
            in_flight=4,
            journal=journal,
            ordered=ordered,
        )
    assert len(result.nodes) == 20
    assert sorted(expand.started) == list(range(1, 21))


@MODES
@pytest.mark.parametrize("good", [1, 3, 4])
async def test_one_answer_makes_unreachable_requests_ordinary_failures(ordered, good):
    def outcome(e):
        return None if e.node_id == good else EndpointDownError("refused")

    result = await grow(
        "t",
        strategy(),
        FakeExpand("t", uneven, outcome),
        budget=20,
        in_flight=4,
        ordered=ordered,
    )
    assert [n.node_id for n in result.nodes] == [good]
    assert len(result.failed) == 19


@pytest.mark.parametrize(("budget", "in_flight"), [(0, 1), (1, 0), (-1, 1)])
async def test_bad_limits(budget, in_flight):
    with pytest.raises(SearchError, match=r"at least 1|above 0"):
        await grow("t", strategy(), FakeExpand("t"), budget=budget, in_flight=in_flight)


def test_rewards_of_the_helpers_differ():
    assert len({reward_of("t", i) for i in range(1, 30)}) > 4
