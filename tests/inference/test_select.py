"""The answer is picked from public information only."""

from __future__ import annotations

from mars2.inference.rollout import UNKNOWN_REWARD, reward_of
from mars2.inference.select import select
from mars2.types import Generation, Node, Status, Verdict


def node(node_id: int, code: str | None, reward: float) -> Node:
    status = Status.PASSED if reward == 1 else Status.WRONG_ANSWER
    return Node(
        tree_id="t",
        node_id=node_id,
        parent_id=None,
        depth=1,
        agent="a",
        action="generate",
        prompt=(),
        generation=Generation(text=code or ""),
        code=code,
        verdict=Verdict(status=status, passed=int(reward), total=1),
        reward=reward,
    )


def test_the_highest_reward_wins() -> None:
    chosen = select([node(1, "x = 1", 0.0), node(2, "x = 2", 1.0), node(3, "x = 3", 0.5)])
    assert chosen is not None
    assert chosen.node_id == 2


def test_ties_go_to_what_most_programs_say_whatever_the_layout() -> None:
    nodes = [node(1, "x = 9", 1.0), node(2, "x=1", 1.0), node(3, "x = 1  # one", 1.0)]
    chosen = select(nodes)
    assert chosen is not None
    assert chosen.node_id == 2


def test_then_the_earliest() -> None:
    chosen = select([node(2, "x = 2", 1.0), node(1, "x = 1", 1.0)])
    assert chosen is not None
    assert chosen.node_id == 1


def test_no_program_no_answer() -> None:
    assert select([node(1, None, 0.0)]) is None
    assert select([]) is None


def test_programs_that_do_not_parse_can_be_chosen() -> None:
    chosen = select([node(1, "def f(:", 0.0)])
    assert chosen is not None


def test_rewards() -> None:
    def verdict(status: Status, passed: int, total: int) -> Verdict:
        return Verdict(status=status, passed=passed, total=total)

    assert reward_of(verdict(Status.PASSED, 4, 4)) == 1.0
    assert reward_of(verdict(Status.WRONG_ANSWER, 3, 4)) == 0.0
    assert reward_of(verdict(Status.WRONG_ANSWER, 3, 4), "fraction") == 0.75
    assert reward_of(verdict(Status.PASSED, 0, 0)) == UNKNOWN_REWARD
    assert reward_of(verdict(Status.NO_CODE, 0, 0)) == 0.0
