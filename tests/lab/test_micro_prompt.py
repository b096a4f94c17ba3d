"""The compact prompt: parts survive whatever they contain, and the real failure is in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.prompts.micro import (
    FINE,
    HIDDEN,
    MAX_CODE,
    compact,
    cut,
    evidence,
    generate_prompt,
    parse_prompt,
    refine_prompt,
    render_generate,
    render_refine,
)
from mars2.types import (
    AssertionTest,
    FunctionalTest,
    Problem,
    Status,
    StdinTest,
    TestVerdict,
    Verdict,
)

PROBLEM = Problem(
    id="p",
    statement="Double each.",
    entry_point="f",
    public_tests=[
        FunctionalTest(args=[[1, 2]], expected=[2, 4]),
        FunctionalTest(args=[[3]], expected=[6]),
    ],
    private_tests=[FunctionalTest(args=[[98765]], expected=[197530])],
)
texts = st.text(alphabet=st.sampled_from("QPEA: \n\r\t\"'\\ab☃"), max_size=40)


def verdict(*tests: TestVerdict, status: Status = Status.WRONG_ANSWER) -> Verdict:
    return Verdict(problem_id="p", status=status, passed=0, total=3, tests=list(tests))


def lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(texts)
def test_generate_round_trip(statement: str) -> None:
    assert parse_prompt(generate_prompt(statement)) == {"statement": lines(statement)}


@given(texts, texts, texts)
def test_refine_round_trip(statement: str, code: str, failure: str) -> None:
    parts = parse_prompt(refine_prompt(statement, code, failure))
    assert parts == {
        "statement": lines(statement),
        "code": lines(code.strip("\n")),
        "failure": lines(failure),
    }


@pytest.mark.parametrize("text", ["", "Q:a", "A:\n", "P:\n x\nE:y\nA:\n", "Q:a\nE:b\nA:\n"])
def test_other_text_is_no_prompt(text: str) -> None:
    with pytest.raises(ValueError, match="not a micro prompt"):
        parse_prompt(text)


def test_refinement_has_statement_code_and_the_real_failure() -> None:
    result = verdict(
        TestVerdict(status=Status.PASSED), TestVerdict(status=Status.WRONG_ANSWER, actual="[9]")
    )
    prompt = render_refine(PROBLEM, "def f(a):return [x*x for x in a]", result, 2)
    assert parse_prompt(prompt) == {
        "statement": "Double each.",
        "code": "def f(a):return [x*x for x in a]",
        "failure": "f([3])=[9], want [6]",
    }


@pytest.mark.parametrize(
    ("actual", "shown"), [("'x y'", '"x y"'), ('"x y"', '"x y"'), ("{1", "{1")]
)
def test_values_look_the_same_whatever_the_verifier_prints(actual: str, shown: str) -> None:
    result = verdict(TestVerdict(status=Status.WRONG_ANSWER, actual=actual))
    assert evidence(PROBLEM, result, 2) == f"f([1,2])={shown}, want [2,4]"


def test_an_exception_and_a_limit_are_named() -> None:
    error = TestVerdict(status=Status.RUNTIME_ERROR, exception="NameError: name 'y'")
    assert evidence(PROBLEM, verdict(error), 2) == "f([1,2]) raises NameError: name 'y'"
    slow = TestVerdict(status=Status.TIME_LIMIT, limit="cpu time 2 s")
    assert evidence(PROBLEM, verdict(slow), 2) == "f([1,2]) ends with time limit (cpu time 2 s)"


def test_private_failures_are_never_shown() -> None:
    passed = TestVerdict(status=Status.PASSED)
    wrong = TestVerdict(
        status=Status.WRONG_ANSWER, input="[98765]", expected="[197530]", actual="[7]"
    )
    assert evidence(PROBLEM, verdict(passed, passed, wrong), 2) == HIDDEN
    prompt = render_refine(PROBLEM, "x", verdict(passed, passed, wrong), 2)
    assert "98765" not in prompt
    assert "197530" not in prompt
    assert "98765" not in render_generate(PROBLEM)


def test_nothing_failed_or_nothing_ran() -> None:
    assert evidence(PROBLEM, verdict(status=Status.PASSED), 2) == FINE
    assert evidence(PROBLEM, verdict(status=Status.NO_CODE), 2) == "no code"
    assert (
        parse_prompt(render_refine(PROBLEM, None, verdict(status=Status.NO_CODE), 2))["code"] == ""
    )


def test_other_kinds_of_tests() -> None:
    stdin = Problem(id="p", statement="s", public_tests=[StdinTest(input="1\n", expected="2\n")])
    result = verdict(TestVerdict(status=Status.WRONG_ANSWER, actual="3\n"))
    assert evidence(stdin, result, 1) == "input '1\\n'='3\\n', want '2\\n'"
    check = Problem(id="p", statement="s", public_tests=[AssertionTest(program="assert 0")])
    failed = verdict(TestVerdict(status=Status.RUNTIME_ERROR, exception="AssertionError"))
    assert evidence(check, failed, 1) == "the test program raises AssertionError"


def test_long_things_are_cut_in_the_middle_and_say_so() -> None:
    assert cut("x" * 60) == "x" * 60
    assert len(cut("x" * 10_000)) <= 62
    assert "9956 more" in cut("x" * 10_000)
    assert len(compact(list(range(1000)))) <= 62
    prompt = refine_prompt("s" * 3000, "c" * 10_000, "e")
    parts = parse_prompt(prompt)
    assert parts["statement"] == "s" * 3000  # the statement is always whole
    assert len(parts["code"]) < MAX_CODE + 10
    assert "more..." in parts["code"]


def test_values_that_are_not_json() -> None:
    assert compact({1, 2}) == "{1, 2}"
    assert compact(float("inf")) == "Infinity"
