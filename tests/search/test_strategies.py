import math

import pytest

from mars2.config import SearchConfig
from mars2.errors import SearchError
from mars2.search import make_strategy
from mars2.search.seeds import derive
from mars2.types import Expansion

NAMES = ["ab-mcts", "mcts", "repeated", "best-of-n", "sequential", "debate", "mixture"]
AGENTS = ["ann", "bob"]


def make(name, agents=AGENTS, seed=0, **settings):
    return make_strategy(SearchConfig(strategy=name, **settings), agents, seed)


def play(strategy, n=40):
    decisions = []
    for _ in range(n):
        e = strategy.ask()
        decisions.append(e)
        strategy.tell(e.node_id, derive(e.node_id) % 5 / 4)
    return decisions


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_search(name):
    assert play(make(name, seed=7)) == play(make(name, seed=7))


def test_other_seed_other_search():
    assert play(make("ab-mcts", seed=7)) != play(make("ab-mcts", seed=8))


@pytest.mark.parametrize("name", NAMES)
def test_first_expansion_and_ids(name):
    strategy = make(name)
    first = strategy.ask()
    assert (first.node_id, first.parent_id, first.depth, first.action) == (1, None, 1, "generate")
    assert (strategy.asked, strategy.in_flight) == (1, 1)
    strategy.tell(1, 0.5)
    assert (strategy.asked, strategy.in_flight) == (1, 0)
    assert strategy.ask().node_id == 2


@pytest.mark.parametrize("name", NAMES)
def test_refinements_name_their_parent(name):
    depth = {None: 0}
    for e in play(make(name)):
        assert e.depth == depth[e.parent_id] + 1
        assert e.action == ("generate" if e.parent_id is None else "refine")
        assert e.parent_id is None or e.parent_id < e.node_id
        depth[e.node_id] = e.depth


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "reward", [math.nan, -0.001, 1.001, math.inf, -math.inf, "1", None, [1.0], 1j]
)
def test_bad_rewards_change_nothing(name, reward):
    strategy = make(name)
    strategy.tell(strategy.ask().node_id, 0.5)
    node = strategy.ask().node_id
    before = strategy.statistics()
    with pytest.raises(SearchError, match=f"node {node}"):
        strategy.tell(node, reward)
    assert strategy.statistics() == before
    strategy.tell(node, 1)  # the node can still be told


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("node", [0, 3, -1, "1", None])
def test_unknown_nodes_change_nothing(name, node):
    strategy = make(name)
    strategy.tell(strategy.ask().node_id, 0.5)
    strategy.ask()
    before = strategy.statistics()
    with pytest.raises(SearchError, match="never asked for"):
        strategy.tell(node, 0.5)
    with pytest.raises(SearchError, match="never asked for"):
        strategy.fail(node)
    assert strategy.statistics() == before


@pytest.mark.parametrize("name", NAMES)
def test_a_node_ends_once(name):
    strategy = make(name)
    strategy.tell(strategy.ask().node_id, 0.5)
    strategy.fail(strategy.ask().node_id)
    before = strategy.statistics()
    for node in (1, 2):
        with pytest.raises(SearchError, match="already ended"):
            strategy.tell(node, 0.5)
        with pytest.raises(SearchError, match="already ended"):
            strategy.fail(node)
    assert strategy.statistics() == before


@pytest.mark.parametrize("name", NAMES)
def test_failed_nodes_are_never_parents(name):
    strategy = make(name)
    failed = set()
    for i in range(40):
        e = strategy.ask()
        assert e.parent_id not in failed
        if i % 2:
            strategy.tell(e.node_id, 0.5)
        else:
            failed.add(e.node_id)
            strategy.fail(e.node_id)


@pytest.mark.parametrize("name", NAMES)
def test_restore_gives_the_same_future_without_draws(name):
    original, restored = make(name, seed=3), make(name, seed=3)
    for e in play(original, 25):
        restored.restore(e)
        restored.tell(e.node_id, derive(e.node_id) % 5 / 4)
    assert restored.statistics() == original.statistics()
    assert play(restored) == play(original)


@pytest.mark.parametrize(
    ("recorded", "message"),
    [
        (Expansion(3, None, 1, "ann", "generate"), "out of turn"),
        (Expansion(2, None, 1, "zoe", "generate"), "zoe"),
        (Expansion(2, 9, 2, "ann", "refine"), "parent 9"),
        (Expansion(2, 1, 5, "ann", "refine"), "depth 5"),
        (Expansion(2, 1, 2, "ann", "generate"), "action 'generate'"),
        (Expansion(2, 1, 2, "ann", "refine", (1, 9)), "reference 9"),
        (Expansion(2, 1, 2, "ann", "refine", (0,)), "reference 0"),
    ],
)
def test_restore_refuses_what_does_not_fit(recorded, message):
    strategy = make("ab-mcts")
    strategy.tell(strategy.ask().node_id, 0.5)
    before = strategy.statistics()
    with pytest.raises(SearchError, match=message):
        strategy.restore(recorded)
    assert strategy.statistics() == before


@pytest.mark.parametrize("name", ["repeated", "best-of-n"])
def test_independent_attempts_take_turns_at_the_root(name):
    strategy = make(name)
    asked = [strategy.ask() for _ in range(5)]
    assert [e.agent for e in asked] == ["ann", "bob", "ann", "bob", "ann"]
    assert all(e.parent_id is None for e in asked)


def test_sequential_refines_the_latest_one_at_a_time():
    strategy = make("sequential")
    assert strategy.ask().parent_id is None
    assert strategy.ask() is None
    assert strategy.asked == 1
    strategy.fail(1)
    second = strategy.ask()
    assert (second.parent_id, second.agent) == (None, "bob")
    strategy.tell(2, 0.0)
    assert strategy.ask().parent_id == 2
    strategy.tell(3, 0.0)
    last = strategy.ask()
    assert (last.parent_id, last.depth, last.agent) == (3, 3, "bob")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("agents", [[], ["ann", "ann"]])
def test_bad_agents(name, agents):
    with pytest.raises(SearchError, match="agent"):
        make(name, agents)


def test_settings_reach_the_strategy():
    assert make("best-of-n").name == "best-of-n"
    one = make("mcts", branching=1)
    assert one.ask().depth == 1
    assert one.ask() is None  # one place at the root, and it is taken
    for name in ("ab-mcts", "mcts"):
        arms = make(name, arm="gaussian", agent_choice="node")
        parents = {e.parent_id or 0 for e in play(arms)}
        assert set(arms.statistics()["agent_arms"]) == parents
        assert all(
            len(arm) == 4
            for by_agent in arms.statistics()["agent_arms"].values()
            for arm in by_agent.values()
        )
    plain, guided = make("ab-mcts"), make("ab-mcts", depth_guided=True, depth_gamma=0.5)
    play(plain)
    play(guided)
    assert len(guided.statistics()["children"][0]) < len(plain.statistics()["children"][0])


def test_unknown_strategy():
    config = SearchConfig.model_construct(strategy="guess")
    with pytest.raises(SearchError, match="guess"):
        make_strategy(config, AGENTS, 0)
