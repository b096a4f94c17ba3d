"""Choosing by behaviour and by a reward model, with real programs in the real verifier."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.config import VerifierConfig
from mars2.errors import ConfigError
from mars2.inference.agreement import PATIENCE, Group, answer, group, group_by_behaviour
from mars2.inference.select import choose, pick, public_best
from mars2.types import (
    FunctionalTest,
    Generation,
    Node,
    Problem,
    Status,
    StdinTest,
    TestVerdict,
    Verdict,
)
from mars2.verifier import Verifier
from mars2.verifier.compare import outputs_match, results_match

SORT = Problem(
    id="sort",
    statement="Sort a.",
    entry_point="f",
    public_tests=[FunctionalTest(args=[[1, 2]], expected=[1, 2])],
    private_tests=[FunctionalTest(args=[[3, 1, 2]], expected=[1, 2, 3])],
)
SORTS = ("def f(a):return sorted(a)", "def f(a):\n a.sort()\n return tuple(a)")
ECHO, CRASH, HANG = (
    "def f(a):return a",
    "def f(a):return [1,2] if a==[1,2] else a[99]",
    "def f(a):\n while a!=[1,2]:pass\n return a",
)


def node(node_id: int, code: str | None, *, ok: bool = True, reward: float | None = None) -> Node:
    status = Status.PASSED if ok else Status.WRONG_ANSWER
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
        verdict=Verdict(status=status, passed=int(ok), total=1),
        reward=float(ok) if reward is None else reward,
    )


def tree(*codes: str) -> list[Node]:
    return [node(i, code) for i, code in enumerate(codes, 1)]


class Scores:
    """A reward model that knows its scores by program."""

    def __init__(self, scores: dict[str, float]) -> None:
        self.scores = scores

    async def score(self, problem: Problem, codes: Sequence[str]) -> list[float]:
        return [self.scores[c] for c in codes]


@pytest.fixture(params=["native", "lcb"])
async def verifier(request: Any) -> AsyncIterator[Verifier]:
    config = VerifierConfig(profile=request.param, workers=2, time_limit_s=0.5)
    async with Verifier(config) as started:
        yield started


async def test_the_largest_group_wins_whatever_its_programs_look_like(verifier: Verifier) -> None:
    nodes = tree(ECHO, *SORTS)
    chosen = await choose(nodes, SORT, "agreement", verifier)
    assert chosen is nodes[1]
    # Equal syntax trees make ECHO the answer of the plain selector.
    nodes = tree(SORTS[0], ECHO, ECHO, "def f(x):return sorted(x)", SORTS[1])
    assert await choose(nodes, SORT, "public", verifier) is nodes[1]
    assert await choose(nodes, SORT, "agreement", verifier) is nodes[0]


async def test_programs_that_crash_or_hang_never_win_while_another_is_there(
    verifier: Verifier,
) -> None:
    codes = [CRASH, HANG, ECHO, SORTS[0], SORTS[1]]
    groups = await group_by_behaviour(SORT, codes, verifier, inputs=4)
    assert [(g.members, g.failed) for g in groups] == [
        ((0, 1), True),
        ((2,), False),
        ((3, 4), False),
    ]
    nodes = tree(CRASH, CRASH, CRASH, ECHO, *SORTS)
    chosen = await choose(nodes, SORT, "agreement", verifier)
    assert chosen is nodes[4]


async def test_inputs_that_most_programs_fail_on_decide_nothing(verifier: Verifier) -> None:
    codes = [CRASH, CRASH.replace("99", "98"), ECHO]
    groups = await group_by_behaviour(SORT, codes, verifier, inputs=4)
    assert [g.members for g in groups] == [(0, 1, 2)]


async def test_the_reward_model_chooses_and_combines(verifier: Verifier) -> None:
    nodes = tree(ECHO, *SORTS)
    for scores, single, combined in (
        ((0.7, 0.5, 0.4), 0, 1),  # two fair programs of one mind beat one good one
        ((0.95, 0.5, 0.4), 0, 0),
        ((0.1, 0.2, 0.3), 2, 2),
        ((0.5, 0.5, 0.5), 0, 1),
    ):
        model = Scores(dict(zip((ECHO, *SORTS), scores, strict=True)))
        assert await choose(nodes, SORT, "reward-model", verifier, model) is nodes[single]
        assert await choose(nodes, SORT, "combined", verifier, model) is nodes[combined]


async def test_only_what_public_tests_cannot_tell_apart_is_a_candidate(verifier: Verifier) -> None:
    wrong = [node(i, f"def f(a):return [{i}]", ok=False) for i in range(2, 6)]
    nodes = [node(1, None, ok=False), *wrong, node(9, ECHO)]
    model = Scores({n.code or "": 1.0 for n in wrong} | {ECHO: 0.0})
    for selector in ("public", "agreement", "reward-model", "combined"):
        chosen = await choose(nodes, SORT, selector, verifier, model)
        assert chosen is nodes[-1]
    assert await choose([node(1, None, ok=False)], SORT, "agreement", verifier) is None
    assert await choose([], SORT, "agreement", verifier) is None


def test_a_reward_mixed_with_other_things_does_not_tell_passing_nodes_apart() -> None:
    nodes = [node(1, "x=1", reward=0.6), node(2, "x=2", reward=0.9), node(3, "x=3", ok=False)]
    assert public_best(nodes) == nodes[:2]


async def test_a_missing_model_or_an_unknown_selector_says_what_to_do(verifier: Verifier) -> None:
    for selector in ("reward-model", "combined"):
        with pytest.raises(ConfigError, match=r"needs inference\.reward_model"):
            await choose(tree(ECHO), SORT, selector, verifier)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="'best'; there are public, agreement"):
        await choose(tree(ECHO), SORT, "best", verifier)  # type: ignore[arg-type]


async def test_private_tests_are_never_looked_at(verifier: Verifier) -> None:
    """Whatever they hold, the choice is the same: here they would call ECHO right."""
    bent = SORT.model_copy(
        update={"private_tests": [FunctionalTest(args=[[3, 1, 2]], expected=[3, 1, 2])]}
    )
    nodes = tree(ECHO, *SORTS)
    assert await choose(nodes, bent, "agreement", verifier) is nodes[1]


async def test_long_answers_are_compared_whole(verifier: Verifier) -> None:
    """Equal in length, beginning and end: what a verdict shows of them is the same."""
    long = "def f(a):return [*range(3000),{},*range(3000)]"
    method = "class Solution:\n def f(self,a):\n  return (*range(3000),0,*range(3000))"
    codes = [long.format(0), long.format(1), method]
    groups = await group_by_behaviour(SORT, codes, verifier, inputs=2)
    assert [g.members for g in groups] == [(0, 2), (1,)]
    text = Problem(
        id="text", statement="s", public_tests=[StdinTest(input="3\n1 2 3\n", expected="6")]
    )
    codes = [
        "for i in range(3000):print(i)",
        "for i in range(3000):print(i+(i==1500))",
        "import sys\nfor i in range(3000):sys.stdout.write(f'{i} \\n')\nsys.exit()",
    ]
    groups = await group_by_behaviour(text, codes, verifier, inputs=2)
    assert [g.members for g in groups] == [(0, 2), (1,)]


async def test_standard_output_is_compared_as_the_verifier_does(verifier: Verifier) -> None:
    problem = Problem(
        id="sum", statement="s", public_tests=[StdinTest(input="3\n1 2 3\n", expected="6\n")]
    )
    codes = [
        "input();print(sum(map(int,input().split())))",
        "import sys\nprint(float(sum(map(int,sys.stdin.read().split()[1:]))),' ')",
        "n=int(input());print(n*(n+1)//2)",
    ]
    groups = await group_by_behaviour(problem, codes, verifier)
    assert [g.members for g in groups] == [(0, 1), (2,)]


async def test_without_inputs_all_are_one_group(verifier: Verifier) -> None:
    blind = SORT.model_copy(update={"public_tests": []})
    groups = await group_by_behaviour(blind, [ECHO, CRASH], verifier)
    assert groups == [Group((0, 1), False)]


async def test_programs_known_to_be_wrong_are_not_compared() -> None:
    """Whatever agrees among them fails the public tests; the verifier here would raise."""
    nodes = [node(i, code, ok=False) for i, code in enumerate((ECHO, CRASH, CRASH), start=1)]
    assert await choose(nodes, SORT, "agreement", None) is nodes[1]  # type: ignore[arg-type]


async def test_a_program_that_never_ends_is_given_up_after_a_few_inputs() -> None:
    """On the tenth input as well it would cost the whole time limit and tell nothing new."""
    ran: dict[str, int] = {}

    class Counting:
        async def verify(self, problem: Problem, code: str, **_: Any) -> Verdict:
            ran[code] = ran.get(code, 0) + 1
            test = problem.public_tests[0]
            assert isinstance(test, FunctionalTest)
            if code == HANG or (code == CRASH and ran[code] == 1):
                result = TestVerdict(status=Status.TIME_LIMIT)
            else:
                actual = repr(test.args[0] if code == ECHO else sorted(test.args[0]))
                result = TestVerdict(status=Status.WRONG_ANSWER, actual=actual)
            return Verdict(status=result.status, passed=0, total=1, tests=[result])

    codes = [HANG, SORTS[0], ECHO, CRASH]
    groups = await group_by_behaviour(SORT, codes, Counting(), inputs=10)  # type: ignore[arg-type]
    made = ran[SORTS[0]]
    assert made > PATIENCE
    assert ran == {HANG: PATIENCE, SORTS[0]: made, ECHO: made, CRASH: made}
    assert groups == [Group((0, 3), True), Group((1,), False), Group((2,), False)]


# --------------------------------------------------------------------------- pure parts

TEXT = st.text("01 \n.-a", max_size=8)
PLAIN = st.recursive(
    st.integers(-2, 2) | st.booleans() | st.sampled_from([0.0, 1.0, "", "a"]) | st.none(),
    lambda x: st.lists(x, max_size=3) | st.tuples(x, x) | st.dictionaries(st.integers(0, 2), x),
    max_leaves=5,
)


def seen(actual: str) -> TestVerdict:
    return TestVerdict(status=Status.WRONG_ANSWER, actual=actual)


@given(TEXT, TEXT)
def test_texts_are_equal_where_the_verifier_says_so(a: str, b: str) -> None:
    same = answer(seen(a), stdin=True) == answer(seen(b), stdin=True)
    assert same == outputs_match(a, b)


@given(PLAIN, PLAIN)
def test_results_are_equal_where_the_verifier_says_so(a: Any, b: Any) -> None:
    same = answer(seen(repr(a)), stdin=False) == answer(seen(repr(b)), stdin=False)
    assert same == results_match(a, b)


@given(st.lists(st.lists(st.sampled_from([None, 1, 2]), min_size=4, max_size=4), max_size=5))
def test_groups_are_a_partition_in_order_and_one_at_most_failed(columns: list[list[Any]]) -> None:
    codes = ["a", "b", "a", "c", "d", "b"]
    groups = group(codes, ["a", "b", "c", "d"], columns)
    assert sorted(i for g in groups for i in g.members) == list(range(6))
    assert sum(g.failed for g in groups) <= 1
    assert [min(g.members) for g in groups] == sorted(min(g.members) for g in groups)
    together = {i: n for n, g in enumerate(groups) for i in g.members}
    assert together[0] == together[2]
    assert together[1] == together[5]


def test_programs_given_up_are_failed_and_do_not_say_which_inputs_are_valid() -> None:
    columns = [[None, None, 1, 1], [2, None, 2, 3]]
    groups = group("abcd", "abcd", columns, given_up={0, 1})
    assert groups == [Group((0, 1), True), Group((2,), False), Group((3,), False)]
    assert group("ab", "ab", [[None, None]], {0, 1}) == [Group((0, 1), True)]
    assert group("abcd", "abcd", columns) == [
        Group((0, 2), False),
        Group((1,), True),
        Group((3,), False),
    ]


def test_groups_are_picked_by_size_sum_and_order() -> None:
    groups = [Group((0, 3), True), Group((1,), False), Group((2, 4), False), Group((5, 6), False)]
    assert pick(groups, None) == 2
    assert pick(groups[:2], None) == 1
    assert pick(groups[:1], None) == 0
    assert pick(groups, [1, 0.9, 0.2, 1, 0.3, 0.1, 0.2]) == 1
    assert pick(groups, [1, 0.4, 0.2, 1, 0.3, 0.1, 0.2]) == 4
    with pytest.raises(ValueError, match="empty"):
        pick([], None)
