"""Every strategy under asks, ends, joins and leaves in any order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.config import SearchConfig
from mars2.errors import SearchError
from mars2.search import make_strategy

NAMES = ["ab-mcts", "mcts", "repeated", "best-of-n", "sequential", "debate", "mixture"]
AGENTS = ["ann", "bob"]

configs = st.builds(
    SearchConfig,
    strategy=st.sampled_from(NAMES),
    arm=st.sampled_from(["beta", "gaussian"]),
    agent_choice=st.sampled_from(["thompson", "node", "ucb1"]),
    depth_guided=st.booleans(),
    branching=st.integers(1, 3),
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "tell", "tell", "fail", "cancel", "join", "leave"]),
        st.integers(0, 99),
    ),
    max_size=60,
)


def pending(stats):
    """All pending counts of a strategy's statistics."""
    arms = [arm for key in ("gen", "cont", "arm") for arm in stats.get(key, [])]
    arms += [arm for by_agent in stats.get("agent_arms", {}).values() for arm in by_agent.values()]
    return [arm[1] for arm in arms] + stats.get("busy", []) + stats.get("under_way_below", [])


def without_pending(stats):
    """The statistics that only told rewards may change."""
    kept = {
        key: [(arm[0], *arm[2:]) for arm in stats[key]]
        for key in ("gen", "cont", "arm")
        if key in stats
    }
    kept |= {
        key: stats[key]
        for key in ("children", "told_below", "total", "depths", "latest")
        if key in stats
    }
    return kept


def apply(strategy, step, number, under_way, late):
    """One step; returns what was asked for, if anything."""
    if step == "ask":
        return strategy.ask()
    if step == "join":
        strategy.join(f"late{late}")
    elif step == "leave":
        if len(strategy.agents) > 1:
            strategy.leave(strategy.agents[number % len(strategy.agents)])
    elif under_way:
        node = sorted(under_way)[number % len(under_way)]
        before = without_pending(strategy.statistics())
        if step == "tell":
            strategy.tell(node, number % 9 / 8)
        else:
            getattr(strategy, step)(node)
            assert without_pending(strategy.statistics()) == before
        under_way.discard(node)
    return None


@settings(max_examples=250, deadline=None)
@given(configs, st.integers(0, 2**40), steps)
def test_any_order_keeps_the_books(config, seed, steps):
    strategy = make_strategy(config, AGENTS, seed)
    twin = make_strategy(config, AGENTS, seed)  # is restored, never asked
    depth, agents_of = {None: 0}, {}
    under_way: set[int] = set()
    told: set[int] = set()
    for late, (step, number) in enumerate(steps):
        ended = set(under_way)
        asked = apply(strategy, step, number, under_way, late)
        ended -= under_way
        if asked is not None:
            assert asked.node_id == len(agents_of) + 1  # never one twice
            assert asked.agent in strategy.agents
            assert asked.parent_id is None or asked.parent_id in told
            assert asked.depth == depth[asked.parent_id] + 1
            assert set(asked.references) <= told - {asked.parent_id}
            assert len(set(asked.references)) == len(asked.references)
            depth[asked.node_id] = asked.depth
            agents_of[asked.node_id] = asked.agent
            under_way.add(asked.node_id)
            twin.restore(asked)
        elif step == "ask":
            assert under_way  # something could always be asked of an idle search
        if step == "tell":
            told |= ended
            for node in ended:
                twin.tell(node, number % 9 / 8)
        elif step in ("fail", "cancel"):
            for node in ended:
                getattr(twin, step)(node)
        elif step == "join":
            twin.join(f"late{late}")
        elif step == "leave" and twin.agents != strategy.agents:
            twin.leave(next(a for a in twin.agents if a not in strategy.agents))
        assert strategy.in_flight == len(under_way)
    assert twin.statistics() == strategy.statistics()
    for node in sorted(under_way):
        strategy.cancel(node)
    assert strategy.in_flight == 0
    assert not any(pending(strategy.statistics()))
    assert strategy.ask() is not None


@pytest.mark.parametrize("name", NAMES)
def test_cancel_is_to_the_statistics_what_fail_is(name):
    failed, cancelled = (make_strategy(SearchConfig(strategy=name), AGENTS, 3) for _ in "12")
    for i in range(30):
        assert failed.ask() == cancelled.ask()
        if i % 3:
            failed.tell(i + 1, 0.5)
            cancelled.tell(i + 1, 0.5)
        else:
            failed.fail(i + 1)
            cancelled.cancel(i + 1)
    assert failed.statistics() == cancelled.statistics()


@pytest.mark.parametrize("name", NAMES)
def test_refusals_change_nothing(name):
    strategy = make_strategy(SearchConfig(strategy=name), AGENTS, 3)
    strategy.tell(strategy.ask().node_id, 0.5)
    strategy.cancel(strategy.ask().node_id)
    strategy.join("cyd")
    strategy.leave("bob")
    before = strategy.statistics()
    for call, argument, message in (
        (strategy.cancel, 1, "already ended"),
        (strategy.cancel, 2, "already ended"),
        (strategy.cancel, 3, "never asked for"),
        (strategy.join, "ann", "already in"),
        (strategy.join, "bob", "has left"),
        (strategy.join, "", "name"),
        (strategy.join, None, "name"),
        (strategy.leave, "bob", "not in"),
        (strategy.leave, "zoe", "not in"),
    ):
        with pytest.raises(SearchError, match=message):
            call(argument)
    assert strategy.statistics() == before
    strategy.leave("ann")
    with pytest.raises(SearchError, match="last one"):
        strategy.leave("cyd")
    assert strategy.agents == ("cyd",)


@pytest.mark.parametrize("name", NAMES)
def test_who_left_is_not_asked_and_who_joined_is(name):
    strategy = make_strategy(SearchConfig(strategy=name), AGENTS, 5)
    late = []
    for i in range(60):
        e = strategy.ask()
        if i == 10:
            strategy.leave("bob")  # maybe the one under way
            strategy.join("cyd")
        if i > 10:
            late.append(e.agent)
        strategy.tell(e.node_id, i % 5 / 4)
    assert set(late) == {"ann", "cyd"}


@pytest.mark.parametrize("choice", ["thompson", "node", "ucb1"])
def test_a_joining_agent_has_a_fresh_arm_and_a_leaving_one_keeps_its_own(choice):
    config = SearchConfig(agent_choice=choice)
    strategy = make_strategy(config, AGENTS, 5)
    for _ in range(30):
        strategy.tell(strategy.ask().node_id, 0.5)
    arms = strategy.statistics()["agent_arms"]
    strategy.leave("bob")
    strategy.join("cyd")
    assert strategy.statistics()["agent_arms"] == arms
    if choice == "ucb1":
        assert strategy.ask().agent == "cyd"  # never tried


def test_what_a_departed_agent_has_under_way_may_be_told():
    strategy = make_strategy(SearchConfig(agent_choice="ucb1"), AGENTS, 5)
    e = strategy.ask()
    strategy.leave(e.agent)
    strategy.tell(e.node_id, 1.0)
    assert strategy.statistics()["agent_arms"][0][e.agent] == (1, 0, 1.0)
