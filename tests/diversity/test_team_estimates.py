"""What a team would solve: against enumeration of every choice, and against fresh attempts."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.diversity.overlap import error_overlap
from mars2.diversity.team import (
    Attempts,
    Member,
    expected_pass,
    expected_selected,
    members,
    suggest,
    turns,
)
from mars2.errors import UsageError
from mars2.evaluation.compare import Evaluated
from mars2.evaluation.judge import contender
from mars2.evaluation.outcomes import EvalResult
from mars2.inference.select import select
from mars2.types import FunctionalTest, Problem, Status, TestVerdict, Verdict

PROGRAMS = {"r": True, "s": True, "x": False, "y": False}  # right and wrong ones, all pass public


def attempts_of(written: str) -> Attempts:
    """`-` is a program that fails a public test."""
    return Attempts(
        [PROGRAMS.get(c, False) for c in written], [None if c == "-" else c for c in written]
    )


def answer(told: Sequence[str]) -> bool:
    """What the real selector takes of nodes told in this order; is it right?"""
    nodes = [
        SimpleNamespace(
            node_id=i,
            code=f"{c}=1",
            reward=float(c != "-"),
            verdict=SimpleNamespace(ok=c != "-"),
        )
        for i, c in enumerate(told)
    ]
    for node in nodes:
        node.code = node.code.replace("-", "z")
    chosen = select(nodes)  # type: ignore[arg-type]
    return chosen is not None and PROGRAMS.get(chosen.code[0], False)


def every_choice(written: Sequence[str], shares: Sequence[int]) -> list[list[str]]:
    """Each ordered choice of attempts, in turns."""
    orders = [itertools.permutations(w, k) for w, k in zip(written, shares, strict=True)]
    return [
        [o[i] for i in range(max(shares)) for o in chosen if i < len(o)]
        for chosen in itertools.product(*orders)
    ]


def test_turns() -> None:
    assert turns(8, 2) == [4, 4]
    assert turns(8, 3) == [3, 3, 2]
    assert turns(1, 2) == [1, 0]


@settings(max_examples=60)
@given(
    st.lists(st.text("rsxy-", min_size=2, max_size=4), min_size=2, max_size=2),
    st.integers(1, 4),
)
def test_chances_are_the_mean_over_every_choice_of_attempts(written: list[str], nodes: int) -> None:
    shares = turns(nodes, 2)
    of = [attempts_of(w) for w in written]
    choices = every_choice(written, shares)
    found = sum(any(PROGRAMS.get(c, False) for c in told) for told in choices) / len(choices)
    assert expected_pass(of, shares) == pytest.approx(found)
    right = sum(answer(told) for told in choices) / len(choices)
    estimated = expected_selected(of, shares, random.Random(0))
    wrong = {c for w in written for c in w} & {"x", "y"}
    if not wrong:
        assert estimated == pytest.approx(right)  # exact
    else:  # 128 draws: five standard errors, and what a rare event may miss
        assert abs(estimated - right) < 5 * math.sqrt(right * (1 - right) / 128) + 0.05


def test_both_are_unbiased_for_fresh_attempts() -> None:
    """Brute force: teams that really sample, against estimates from few attempts of each alone."""
    rng = random.Random(1)
    chances = [{"r": 0.3, "x": 0.25, "-": 0.45}, {"s": 0.1, "x": 0.3, "-": 0.6}]

    def written(agent: int, n: int) -> str:
        return "".join(rng.choices(list(chances[agent]), list(chances[agent].values()), k=n))

    shares = turns(5, 2)
    true_pass = 1 - 0.7**3 * 0.9**2
    trials = 4000
    teams = [[written(0, 3), written(1, 2)] for _ in range(trials)]
    told = [[w[i] for i in range(3) for w in team if i < len(w)] for team in teams]
    true_selected = sum(map(answer, told)) / trials
    estimates = []
    for _ in range(trials // 4):
        of = [attempts_of(written(0, 6)), attempts_of(written(1, 6))]
        estimates.append((expected_pass(of, shares), expected_selected(of, shares, rng)))
    assert sum(p for p, _ in estimates) / len(estimates) == pytest.approx(true_pass, abs=0.025)
    assert sum(s for _, s in estimates) / len(estimates) == pytest.approx(true_selected, abs=0.04)
    assert true_selected < true_pass - 0.1  # so the one is not mistaken for the other


def test_ties_go_to_the_earliest_by_turns() -> None:
    def chance(*written: str) -> float:
        shares = turns(sum(map(len, written)), 2)
        return expected_selected([attempts_of(w) for w in written], shares, random.Random(0))

    assert chance("r", "x") == 1
    assert chance("x", "r") == 0
    # the first agent's right program comes before or after the second's wrong one
    assert chance("-r", "x") == pytest.approx(0.5, abs=0.2)


def test_unknown_contenders_give_no_chance_of_selecting() -> None:
    of = [Attempts([True, False]), attempts_of("r-")]
    assert math.isnan(expected_selected(of, [1, 1], random.Random(0)))
    assert expected_pass(of, [1, 1]) == 0.75


def member(name: str, *written: str) -> Member:
    return Member(name, "run", {f"p{i}": attempts_of(w) for i, w in enumerate(written)})


def test_a_team_by_hand() -> None:
    # a and b solve different problems, c the same as a but less often; p2 nobody
    agents = [
        member("a", "rrrr", "----", "----"),
        member("b", "----", "ss--", "----"),
        member("c", "rr--", "----", "----"),
    ]
    found = suggest(agents, nodes=4, resamples=200)
    assert [t["agents"] for t in found["teams"]] == [["a", "b"], ["b", "c"], ["a", "c"]]
    best = found["teams"][0]
    half = 1 - 1 / 6  # two of four attempts, of which two are right
    assert best["nodes"] == {"a": 2, "b": 2}
    assert best["pass@n"] == best["pass@1(mcts)"] == pytest.approx((1 + half) / 3)
    assert best["best_alone"] == "a"
    assert best["best_alone_pass@n"] == pytest.approx(1 / 3)
    assert best["gain"] == best["gain_pass@1(mcts)"] == pytest.approx(half / 3)
    assert (best["problems"], best["left_out"]) == (3, 0)
    low, high = best["ci95"]["gain"]
    assert low < best["gain"] < high
    # failures together, as the overlap of errors has it
    overlap = error_overlap(
        {m.name: {p: list(a.passed) for p, a in m.attempts.items()} for m in agents[:2]},
        resamples=10,
    )
    assert best["joint_failure_excess"] == overlap[0]["joint_failure_excess"]
    assert best["joint_failure_excess"] < 0 < found["teams"][2]["joint_failure_excess"]
    alone = {a["name"]: a for a in found["agents"]}
    assert alone["b"]["pass@1"] == pytest.approx(0.5 / 3)
    assert alone["b"]["pass@n"] == pytest.approx(1 / 3)
    three = suggest(agents, nodes=4, size=3, resamples=200)["teams"]
    assert [t["nodes"] for t in three] == [{"a": 2, "b": 1, "c": 1}]
    assert three[0]["pass@n"] == pytest.approx((1 + 0.5) / 3)


def test_order_and_seed() -> None:
    agents = [member("a", "rx-y", "r-x-"), member("b", "sx--", "xx-r"), member("c", "----", "xxs-")]
    for by, key in (("pass@n", "pass@n"), ("pass@1(mcts)", "pass@1(mcts)"), ("gain", "gain")):
        values = [t[key] for t in suggest(agents, by=by, resamples=100)["teams"]]  # type: ignore[arg-type]
        assert values == sorted(values, reverse=True)
    assert suggest(agents, seed=3, resamples=100) == suggest(agents, seed=3, resamples=100)


def test_problems_with_few_attempts_are_left_out_and_too_few_are_refused() -> None:
    short = Member("b", "run", {"p0": attempts_of("r-"), "p1": attempts_of("rrr-")})
    found = suggest([member("a", "rrrr", "----"), short], nodes=4, resamples=100)["teams"][0]
    assert (found["problems"], found["left_out"]) == (1, 1)
    assert suggest([member("a", "rrrr", "----"), short], resamples=100)["nodes"] == 2
    with pytest.raises(UsageError, match=r"b has at most 4 .* --nodes 4, or .* --samples 5"):
        suggest([member("a", "rrrrr", "-----"), short], nodes=5)
    with pytest.raises(UsageError, match=r"at least 3 agents .* a, b"):
        suggest([member("a", "rr"), member("b", "rr")], size=3)
    with pytest.raises(UsageError, match="needs at least 2 nodes"):
        suggest([member("a", "rr"), member("b", "rr")], nodes=1)
    apart = [member("a", "rr"), Member("b", "run", {"p1": attempts_of("rr")})]
    with pytest.raises(UsageError, match="a, b: no problem has 2 attempts of each"):
        suggest(apart)


def test_what_a_contender_is() -> None:
    problem = Problem(
        id="p",
        statement="",
        entry_point="f",
        public_tests=[FunctionalTest(args=[1], expected=1)],
        private_tests=[FunctionalTest(args=[2], expected=2)],
    )

    def digest(code: str | None, *statuses: Status) -> str | None:
        status = next((s for s in statuses if s is not Status.PASSED), Status.PASSED)
        tests = [TestVerdict(status=s) for s in statuses]
        verdict = Verdict(problem_id="p", status=status, passed=0, total=2, tests=tests)
        return contender(problem, SimpleNamespace(code=code, verdict=verdict))  # type: ignore[arg-type]

    ok, bad = Status.PASSED, Status.WRONG_ANSWER
    right = digest("def f(x):\n return x", ok, ok)
    assert right == digest("def f(x): return x  # the same", ok, ok)
    assert right == digest("def f(x):\n return x", ok, bad)
    assert right not in (None, digest("def f(y): return y", ok, bad))
    assert digest("def f(x): return x", bad) is None
    assert digest("def f(x", Status.COMPILE_ERROR) is None
    assert digest(None) is None
    broken = Verdict(problem_id="p", status=Status.COMPILE_ERROR, passed=0, total=2)
    assert contender(problem, SimpleNamespace(code="x", verdict=broken)) is None  # type: ignore[arg-type]


def evaluated(name: str, **attempts: dict[str, str]) -> Evaluated:
    known = {a: {p: attempts_of(w) for p, w in of.items()} for a, of in attempts.items()}
    result = EvalResult(
        {a: {p: list(x.passed) for p, x in of.items()} for a, of in known.items()},
        contenders={
            a: {p: list(x.contenders or ()) for p, x in of.items()} for a, of in known.items()
        },
    )
    assert EvalResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    return Evaluated(name, Path(name), result)


def test_agents_of_several_runs() -> None:
    one = evaluated("one", a={"p": "r-"}, b={"p": "--"})
    two = evaluated("two", a={"p": "x-"})
    found = members([one, two])
    assert [(m.name, m.run) for m in found] == [("one:a", "one"), ("b", "one"), ("two:a", "two")]
    assert found[0].attempts == {"p": attempts_of("r-")}
    other = evaluated("three", c={"p": "rr", "q": "rr"})
    with pytest.raises(UsageError, match="--shared"):
        members([one, other])
    assert set(members([one, other], shared=True)[-1].attempts) == {"p"}
