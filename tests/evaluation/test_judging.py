"""Whom the selector picks after each node, and that private tests have no say in it."""

from __future__ import annotations

from collections.abc import Sequence

from mars2.evaluation.judge import judge_tree, selections
from mars2.inference.guide import Guide
from mars2.search.runner import TreeResult
from mars2.types import FunctionalTest, Generation, Node, Problem, Status, Verdict

PROBLEM = Problem(
    id="p",
    statement="",
    entry_point="f",
    public_tests=[FunctionalTest(args=[1], expected=1)],
    private_tests=[FunctionalTest(args=[2], expected=4)],
)


def node(node_id: int, code: str | None, public: bool, reward: float | None = None) -> Node:
    status = Status.PASSED if public else Status.WRONG_ANSWER
    verdict = Verdict(status=status, passed=int(public), total=1)
    return Node(
        "t", node_id, None, 1, "a", "generate", (), Generation(""), code, verdict,
        float(public) if reward is None else reward,
    )  # fmt: skip


class ByText:
    """A verifier for which the program `right` alone passes; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    async def verify(self, problem: Problem, code: str | None, **_: object) -> Verdict:
        self.asked.append(code)
        ok = code == "right"
        return Verdict(status=Status.PASSED if ok else Status.WRONG_ANSWER, passed=1 + ok, total=2)


NODES = [
    node(1, None, public=False),  # no program
    node(2, "bad", public=False),
    node(4, "worse", public=False),  # ties with node 2, which was first
    node(3, "other", public=True),  # the first that passes public tests
    node(5, "bad", public=False),  # changes nothing
    node(6, "right", public=True),  # ties with node 3, which has the lower id
    node(7, "right", public=True),  # now most agree on it: the first of them
]


async def test_a_tree_is_judged_and_every_prefix_answered() -> None:
    verifier = ByText()
    order = [n.node_id for n in NODES]
    by_id = sorted(NODES, key=lambda n: n.node_id)
    outcome = await judge_tree(PROBLEM, TreeResult("t", by_id), verifier, order=order)  # type: ignore[arg-type]
    assert outcome is not None
    assert outcome.selected_at == ((1, None), (2, 2), (4, 3), (7, 6))
    assert outcome.passed == (6, 7)
    assert outcome.order == (1, 2, 4, 3, 5, 6, 7)
    assert (outcome.selected, outcome.any_passed, outcome.nodes) == (True, True, 7)
    assert verifier.asked == ["other", "right", "right"]  # a public failure settles it
    assert [outcome.passed_at(n) for n in range(1, 8)] == [False] * 5 + [True] * 2
    assert [outcome.selected_passed_at(n) for n in range(1, 8)] == [False] * 6 + [True]


async def test_each_prefix_is_answered_as_a_tree_of_its_size_would_be() -> None:
    guide, verifier = Guide(), ByText()
    found = dict(await selections(PROBLEM, NODES, verifier, guide))  # type: ignore[arg-type]
    picked = None
    for n in range(1, len(NODES) + 1):
        picked = found.get(n, picked)
        seen = TreeResult("t", NODES[:n])
        alone = await guide.choose(seen, PROBLEM, verifier, 0)  # type: ignore[arg-type]
        assert picked == (alone.node_id if alone else None)
    assert verifier.asked == []


async def test_a_tree_without_nodes_has_no_answer() -> None:
    outcome = await judge_tree(PROBLEM, TreeResult("t"), ByText())  # type: ignore[arg-type]
    assert outcome is not None
    assert (outcome.selected, outcome.any_passed, outcome.selected_at) == (False, False, ())


class Scores:
    """A reward model that prefers longer programs; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def score(self, problem: Problem, codes: Sequence[str]) -> list[float]:
        self.asked += codes
        return [len(code) / 100 for code in codes]


async def test_a_reward_model_scores_each_program_once() -> None:
    model = Scores()
    codes = ["x", "xxx", "xx", "xxxx", "xxx"]
    nodes = [node(i, code, public=True) for i, code in enumerate(codes, 1)]
    guide = Guide("reward-model", model)
    found = await selections(PROBLEM, nodes, ByText(), guide)  # type: ignore[arg-type]
    assert found == [(1, 1), (2, 2), (4, 4)]
    assert sorted(model.asked) == ["x", "xx", "xxx", "xxxx"]
