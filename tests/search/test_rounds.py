"""Debate and mixture: who is asked when, for what, and shown what."""

import pytest

from mars2.errors import SearchError
from mars2.search.rounds import Debate, Mixture
from mars2.types import Expansion

AGENTS = ("ann", "bob", "cyd")


def round_of(strategy):
    """Ask until the barrier."""
    asked = []
    while (e := strategy.ask()) is not None:
        asked.append(e)
        assert len(asked) <= len(strategy.agents), "no barrier"
    return asked


def brief(expansions):
    return [(e.agent, e.parent_id, e.references) for e in expansions]


def end(strategy, rewards):
    """Tell {node: reward}, or fail where it is None."""
    for node, reward in rewards.items():
        if reward is None:
            strategy.fail(node)
        else:
            strategy.tell(node, reward)


FIRST = [("ann", None, ()), ("bob", None, ()), ("cyd", None, ())]


@pytest.mark.parametrize("kind", [Debate, Mixture])
def test_the_first_round_is_one_first_attempt_an_agent(kind):
    strategy = kind(AGENTS, 0)
    asked = round_of(strategy)
    assert brief(asked) == FIRST
    assert {e.action for e in asked} == {"generate"}


@pytest.mark.parametrize("kind", [Debate, Mixture])
def test_a_round_is_a_barrier(kind):
    strategy = kind(AGENTS, 0)
    round_of(strategy)
    strategy.tell(3, 0.5)
    strategy.fail(1)
    before = strategy.statistics()
    assert strategy.ask() is None
    assert strategy.statistics() == before
    strategy.tell(2, 0.5)
    assert strategy.ask().node_id == 4


def test_debaters_refine_their_own_and_see_the_others():
    strategy = Debate(AGENTS, 0)
    round_of(strategy)
    end(strategy, {3: 0.5, 1: 1.0, 2: 0.0})  # in any order
    second = round_of(strategy)
    assert brief(second) == [("ann", 1, (2, 3)), ("bob", 2, (1, 3)), ("cyd", 3, (1, 2))]
    assert {(e.depth, e.action) for e in second} == {(2, "refine")}
    end(strategy, {4: 0.5, 5: 0.5, 6: 0.5})
    assert brief(round_of(strategy))[1] == ("bob", 5, (4, 6))


def test_a_debater_that_failed_is_missing_from_the_next_round():
    strategy = Debate(AGENTS, 0)
    round_of(strategy)
    end(strategy, {1: 0.5, 2: None, 3: 0.5})
    # bob has no program: again a first attempt, shown nothing
    assert brief(round_of(strategy)) == [("ann", 1, (3,)), ("bob", None, ()), ("cyd", 3, (1,))]
    end(strategy, {4: None, 5: 0.5, 6: 0.5})
    # ann has its program of the first round, which the others have seen
    assert brief(round_of(strategy)) == [("ann", 1, (5, 6)), ("bob", 5, (6,)), ("cyd", 6, (5,))]


def test_mixture_refines_the_best_and_shows_the_others():
    strategy = Mixture(AGENTS, 0)
    round_of(strategy)
    end(strategy, {2: 0.75, 3: 0.75, 1: 0.25})
    layer = round_of(strategy)
    assert brief(layer) == [(agent, 2, (1, 3)) for agent in AGENTS]
    assert {e.depth for e in layer} == {2}
    end(strategy, {4: 0.0, 5: None, 6: 0.5})
    assert brief(round_of(strategy)) == [(agent, 6, (4,)) for agent in AGENTS]


@pytest.mark.parametrize("kind", [Debate, Mixture])
def test_a_round_without_any_program_is_repeated(kind):
    strategy = kind(AGENTS, 0)
    round_of(strategy)
    end(strategy, {1: None, 2: None, 3: None})
    assert brief(round_of(strategy)) == FIRST
    end(strategy, {4: 0.5, 5: 0.5, 6: 0.5})
    third = brief(round_of(strategy))
    for node in (7, 8, 9):
        strategy.cancel(node)
    assert brief(round_of(strategy)) == third


@pytest.mark.parametrize("kind", [Debate, Mixture])
def test_who_joins_or_leaves(kind):
    strategy = kind(AGENTS, 0)
    strategy.ask()
    strategy.join("dee")  # from the next round on
    strategy.leave("cyd")  # not asked in this one any more
    strategy.leave("ann")  # under way: may be told
    assert [e.agent for e in round_of(strategy)] == ["bob"]
    end(strategy, {1: 1.0, 2: 0.5})
    second = brief(round_of(strategy))
    if kind is Debate:
        assert second == [("bob", 2, (1,)), ("dee", None, ())]
    else:
        assert second == [("bob", 1, (2,)), ("dee", 1, (2,))]


def test_when_all_that_is_due_leaves_the_next_round_begins():
    strategy = Debate(("ann", "bob"), 0)
    strategy.tell(strategy.ask().node_id, 0.5)
    strategy.leave("bob")
    assert brief([strategy.ask()]) == [("ann", 1, ())]


@pytest.mark.parametrize("kind", [Debate, Mixture])
def test_restoring_what_is_not_due_is_refused(kind):
    strategy = kind(AGENTS, 0)
    round_of(strategy)
    before = strategy.statistics()
    with pytest.raises(SearchError, match="round"):  # the barrier
        strategy.restore(Expansion(4, None, 1, "ann", "generate"))
    assert strategy.statistics() == before
    end(strategy, {1: 0.5, 2: 1.0, 3: 0.5})
    before = strategy.statistics()
    for wrong in (
        Expansion(4, 2, 2, "bob", "refine", (1, 3)),
        Expansion(4, 1, 2, "ann", "refine", (2,)),
        Expansion(4, None, 1, "ann", "generate"),
    ):
        with pytest.raises(SearchError, match="round"):
            strategy.restore(wrong)
    assert strategy.statistics() == before
