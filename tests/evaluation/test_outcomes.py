"""Numbers from outcomes, checked by hand: budget curves, groups, and what files say."""

from __future__ import annotations

import json

import pytest

from mars2.errors import UsageError
from mars2.evaluation.outcomes import EvalResult, TreeOutcome
from mars2.evaluation.results import details, problem_info
from mars2.search.budget import Spent
from mars2.types import FunctionalTest, Problem

# Nodes were told in the order 1, 3, 2, 4. Nodes 2 and 4 pass all tests; the selector holds node 1
# at first, none better until node 2 (the third told), and leaves it for node 3 at the end.
LATE = TreeOutcome(
    selected=False,
    any_passed=True,
    nodes=4,
    failed=0,
    order=(1, 3, 2, 4),
    passed=(2, 4),
    selected_at=((1, 1), (3, 2), (4, 3)),
)
# Solved by its first node, after which the tree ended.
EARLY = TreeOutcome(True, True, 1, 0, order=(1,), passed=(1,), selected_at=((1, 1),))
# No program at all in two nodes.
NEVER = TreeOutcome(False, False, 2, 1, order=(1, 2), passed=(), selected_at=((1, None),))


def test_budget_curves_by_hand() -> None:
    curves = EvalResult({}, {"late": LATE, "early": EARLY, "never": NEVER}).curves(resamples=50)
    third = pytest.approx(1 / 3)
    two = pytest.approx(2 / 3)
    assert [point[:2] for point in curves["pass@n"]] == [[1, third], [2, third], [3, two], [4, two]]
    assert [point[:2] for point in curves["pass@1(mcts)"]] == [
        [1, third],
        [2, third],
        [3, two],
        [4, third],
    ]
    assert all(low <= value <= high for of in curves.values() for _, value, low, high in of)


def test_curves_end_at_the_headline_numbers() -> None:
    result = EvalResult({}, {"late": LATE, "early": EARLY, "never": NEVER})
    team = result.summary(resamples=50)["team"]
    curves = result.curves(resamples=50)
    for name in ("pass@n", "pass@1(mcts)"):
        assert curves[name][-1][1:] == [team[name], *team["ci95"][name]]


def test_files_come_back_as_they_were_and_old_ones_without_curves() -> None:
    result = EvalResult(
        {"a": {"late": [True, False], "early": []}},
        {"late": LATE, "early": EARLY},
        masked=2,
        cut_attempts=1,
        cut_trees=3,
        spent=Spent(9, 100, 1.5, 0.25),
        spent_alone={"a": Spent(4, 40)},
    )
    assert EvalResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    tree = {"selected": True, "any_passed": True, "nodes": 4, "failed": 0}
    old = EvalResult.from_json({"attempts": {"a": {"p": [True]}}, "trees": {"p": tree}})
    assert old.summary(resamples=50)["team"]["pass@n"] == 1
    assert old.curves() == {}


def test_pass_at_k_for_each_k_of_those_that_have_as_many_attempts() -> None:
    result = EvalResult({"a": {"p": [True, False, False, False], "q": [True, True], "r": []}})
    agent = result.summary(ks=[1, 2, 4], resamples=50)["agents"]["a"]
    assert agent["pass@1"] == pytest.approx((1 / 4 + 1) / 2)
    assert agent["pass@2"] == pytest.approx(((1 - 3 / 6) + 1) / 2)
    assert agent["pass@4"] == 1  # p alone
    assert agent["left_out"] == {"pass@4": 1}
    assert set(agent["intervals"]) == {"pass@1", "pass@2", "pass@4"}
    with pytest.raises(UsageError, match=r"pass@8 of a: no problem has more than 4 .* --samples 8"):
        result.summary(ks=[8])


def problem(name: str, difficulty: str | None, date: str | None) -> Problem:
    test = FunctionalTest(args=[1], expected=1)
    return Problem(
        id=name, statement="", entry_point="f", private_tests=[test], difficulty=difficulty,
        date=date, metadata={"title": name.upper()} if name == "p" else {},
    )  # fmt: skip


def test_groups_by_difficulty_and_month_by_hand() -> None:
    problems = [
        problem("p", "hard", "2024-02-11"),
        problem("q", None, "2024-01-31"),
        problem("r", "hard", "2024-02-01"),
        problem("s", "easy", None),
    ]
    info = problem_info(problems)
    kind = {"format": "functional"}
    assert info["p"] == {"title": "P", "difficulty": "hard", "date": "2024-02-11"} | kind
    assert info["s"] == {"difficulty": "easy", "date": None} | kind
    result = EvalResult(
        {"a": {"p": [True, True], "q": [False, False], "r": [True, False], "s": [False, False]}},
        {"p": EARLY, "q": NEVER, "r": LATE},  # that of s was lost
    )
    groups = details(result, info, resamples=50)["groups"]
    assert list(groups["difficulty"]) == ["hard", "easy", "unknown"]
    assert list(groups["month"]) == ["2024-01", "2024-02", "unknown"]
    hard, february = groups["difficulty"]["hard"], groups["month"]["2024-02"]
    assert hard == february
    assert hard["problems"] == 2
    assert hard["agents"]["a"]["pass@1"] == 0.75
    assert hard["agents"]["a"]["pass@2"] == 1
    assert hard["team"]["pass@1(mcts)"] == 0.5
    assert hard["team"]["pass@n"] == 1
    assert "pass@n" not in groups["difficulty"]["easy"]["team"]


def test_without_difficulty_or_date_there_are_no_groups() -> None:
    info = problem_info([problem("p", None, None)])
    result = EvalResult({"a": {"p": [True]}})
    assert details(result, info, resamples=50)["groups"] == {"difficulty": {}, "month": {}}
