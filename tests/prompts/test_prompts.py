from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.prompts import build_prompt, feedback
from mars2.prompts.feedback import cut_middle
from mars2.types import (
    AssertionTest,
    FunctionalTest,
    Generation,
    Node,
    Problem,
    Status,
    StdinTest,
    TestVerdict,
    Verdict,
)

STDIN = Problem(
    id="p/sum",
    statement="Print the sum of the numbers on the line.",
    public_tests=[
        StdinTest(input="1 2\n", expected="3\n"),
        StdinTest(input="5 5\n", expected="10\n"),
    ],
    private_tests=[StdinTest(input="70001 70002\n", expected="140003\n")],
)
CALL = Problem(
    id="p/double",
    statement="Return twice x.",
    starter_code="def double(x):",
    entry_point="double",
    public_tests=[FunctionalTest(args=[4], expected=8)],
    private_tests=[FunctionalTest(args=[31337], expected=62674)],
)


def node(problem: Problem, verdict: Verdict, code: str | None = "print(0)\n") -> Node:
    return Node(
        tree_id="t",
        node_id=1,
        parent_id=None,
        depth=1,
        agent="a",
        action="generate",
        prompt=(),
        generation=Generation(text=""),
        code=code,
        verdict=verdict,
        reward=0.0,
    )


def failing(*tests: TestVerdict, total: int = 3) -> Verdict:
    status = next((t.status for t in tests if t.status is not Status.PASSED), Status.PASSED)
    passed = sum(t.status is Status.PASSED for t in tests)
    return Verdict(status=status, passed=passed, total=total, tests=list(tests))


def user_text(problem: Problem, verdict: Verdict, code: str | None = "print(0)\n") -> str:
    return build_prompt(problem, style="chat", parent=node(problem, verdict, code))[-1].content


def test_first_attempt_has_statement_call_and_no_feedback():
    system, user = build_prompt(STDIN, style="chat", system_prompt="You are brief.")
    assert (system.role, system.content) == ("system", "You are brief.")
    assert user.role == "user"
    assert STDIN.statement in user.content
    assert "standard input" in user.content
    assert "```python" in user.content
    assert "wrong" not in user.content.lower()
    assert "previous" not in user.content.lower()
    assert len(build_prompt(STDIN, style="chat")) == 1  # no empty system message
    text = build_prompt(CALL, style="chat")[0].content
    assert "function `double`" in text
    assert "def double(x):" in text
    assert "double(4) returns 8" in text


def test_a_method_and_a_test_program_are_described():
    method = CALL.model_copy(update={"starter_code": "class Solution:\n    def double(self, x):"})
    assert (
        "class `Solution` with the method `double`" in build_prompt(method, style="chat")[0].content
    )
    checked = Problem(id="q", statement="S", private_tests=[AssertionTest(program="assert f(1)")])
    assert "assert" not in build_prompt(checked, style="chat")[0].content


def test_refinement_has_statement_code_and_the_real_wrong_answer():
    wrong = TestVerdict(status=Status.WRONG_ANSWER, input="1 2\n", expected="3\n", actual="12\n")
    text = user_text(STDIN, failing(wrong), "print(input().replace(' ', ''))\n")
    assert STDIN.statement in text
    assert "print(input().replace(' ', ''))" in text
    for part in ("wrong answer", "Input: 1 2", "Expected: 3", "Got: 12"):
        assert part in text


def test_refinement_has_exception_and_traceback():
    crashed = TestVerdict(
        status=Status.RUNTIME_ERROR,
        exception="ZeroDivisionError: division by zero",
        traceback="Traceback (most recent call last):\n"
        '  File "solution.py", line 2\n'
        "ZeroDivisionError: division by zero",
    )
    text = user_text(CALL, failing(crashed))
    assert "Call: double(4)" in text
    assert 'File "solution.py", line 2' in text
    assert text.count("ZeroDivisionError: division by zero") == 1
    only = TestVerdict(status=Status.RUNTIME_ERROR, exception="KeyError: 3")
    assert "KeyError: 3" in user_text(CALL, failing(only))


@pytest.mark.parametrize(
    ("status", "limit", "words"),
    [
        (Status.TIME_LIMIT, "cpu time 2 s", "Test 2: time limit exceeded (cpu time 2 s)"),
        (Status.MEMORY_LIMIT, "memory 256 MB", "Test 2: memory limit exceeded (memory 256 MB)"),
        (Status.OUTPUT_LIMIT, "output 1 MB", "Test 2: too much output (output 1 MB)"),
    ],
)
def test_refinement_names_the_limit_and_the_test(status, limit, words):
    ok = TestVerdict(status=Status.PASSED)
    text = user_text(STDIN, failing(ok, TestVerdict(status=status, limit=limit)))
    assert words in text
    assert "Input: 5 5" in text


def test_compile_error_shows_message_and_line_even_without_public_tests():
    hidden_only = CALL.model_copy(update={"public_tests": []})
    verdict = Verdict(
        status=Status.COMPILE_ERROR,
        passed=0,
        total=1,
        tests=[TestVerdict(status=Status.COMPILE_ERROR, exception="SyntaxError: secret")],
    )
    text = user_text(hidden_only, verdict, "def double(x):\n    return (x\n")
    assert "does not compile" in text
    assert "line 2" in text
    assert "secret" not in text


def test_no_code_is_said_and_nothing_is_quoted():
    text = user_text(STDIN, Verdict(status=Status.NO_CODE, passed=0, total=3), None)
    assert "no Python code" in text
    assert "previous program" not in text


def test_hidden_failures_are_reported_without_evidence():
    ok = TestVerdict(status=Status.PASSED)
    hidden = TestVerdict(
        status=Status.WRONG_ANSWER, input="70001 70002", expected="140003", actual="leak"
    )
    text = feedback(STDIN, failing(ok, ok, hidden), 2)
    assert "hidden tests fail" in text
    assert not any(secret in text for secret in ("70001", "140003", "leak"))


def test_n_public_never_exceeds_the_public_tests():
    leak = TestVerdict(status=Status.WRONG_ANSWER, input="x", expected="y", actual="leak")
    ok = TestVerdict(status=Status.PASSED)
    assert "leak" not in feedback(STDIN, failing(ok, ok, leak), 99)


def test_two_failures_are_shown_and_the_rest_counted():
    tests = [StdinTest(input=f"in{i}", expected=f"out{i}") for i in range(4)]
    problem = STDIN.model_copy(update={"public_tests": tests})
    wrong = [TestVerdict(status=Status.WRONG_ANSWER, actual="no")] * 4
    text = feedback(problem, failing(*wrong), 4)
    assert "in0" in text
    assert "in1" in text
    assert "in2" not in text
    assert "2 more shown tests failed" in text


def test_long_values_are_cut_in_the_middle_and_it_says_so():
    wrong = TestVerdict(status=Status.WRONG_ANSWER, actual="A" + "x" * 100_000 + "Z")
    text = feedback(STDIN, failing(wrong), 2)
    assert "Got:\nA" in text
    assert "Z" in text
    assert "[100002 characters, middle cut]" in text
    assert len(text) <= 2000


@given(st.text(max_size=300), st.integers(0, 200))
def test_cut_middle_keeps_both_ends_within_the_limit(text, limit):
    cut = cut_middle(text, limit)
    assert len(cut) <= limit or cut == text
    if len(text) > limit >= 60:
        assert cut[0] == text[0]
        assert cut[-1] == text[-1]
        assert "middle cut" in cut


STATUSES = st.sampled_from(list(Status))
EVIDENCE = st.fixed_dictionaries(
    {"status": STATUSES}, optional={"limit": st.sampled_from(["cpu time 2 s"])}
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(EVIDENCE, min_size=0, max_size=3),
    st.lists(STATUSES, min_size=0, max_size=3),
    STATUSES,
    st.integers(0, 3),
    st.sampled_from(["chat", "micro"]),
    st.sampled_from(["stdin", "functional", "assertion"]),
    st.sampled_from([None, "x = 1\n", "def f(:\n"]),
)
def test_private_tests_never_reach_a_prompt(public, private, overall, n_public, style, kind, code):
    secret = "S3CR3T"
    make = {
        "stdin": lambda text: StdinTest(input=text, expected=text),
        "functional": lambda text: FunctionalTest(args=[text], expected=text),
        "assertion": lambda text: AssertionTest(program=f"assert f() == {text!r}"),
    }[kind]
    problem = Problem(
        id="p",
        statement="Do it.",
        entry_point="f",
        public_tests=[make("shown")] * n_public,
        private_tests=[make(secret)] * 3,
    )
    evidence = dict.fromkeys(("input", "expected", "actual", "exception", "traceback"), secret)
    shown = [
        TestVerdict(**dict.fromkeys(evidence, "shown") | fields) for fields in public[:n_public]
    ]
    tests = shown
    if len(shown) == n_public:  # judging goes on to private tests after the public ones
        tests = shown + [TestVerdict(status=s, limit=secret, **evidence) for s in private]
    verdict = Verdict(status=overall, passed=0, total=n_public + 3, tests=tests)
    for parent in (None, node(problem, verdict, code)):
        for message in build_prompt(problem, style=style, parent=parent):
            assert secret not in message.content
        assert "Do it." in message.content


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=3000), min_size=1, max_size=4), st.integers(200, 2500))
def test_feedback_stays_within_its_size(values, limit):
    problem = Problem(
        id="p", statement="", public_tests=[StdinTest(input=v, expected=v) for v in values]
    )
    tests = [TestVerdict(status=Status.WRONG_ANSWER, actual=v, traceback=v) for v in values]
    assert len(feedback(problem, failing(*tests), len(values), limit)) <= limit


def test_examples_already_in_the_statement_are_not_repeated():
    told = STDIN.model_copy(update={"statement": "Sum. Example: 1 2 gives 3. Also 5 5."})
    assert "Examples" not in build_prompt(told, style="chat")[0].content
    long = STDIN.model_copy(update={"public_tests": [StdinTest(input="9" * 500, expected="9")]})
    assert "999" not in build_prompt(long, style="chat")[0].content


def test_the_prompt_is_short():
    text = build_prompt(CALL, style="chat")[0].content
    assert len(text) - len(CALL.statement) < 350, text


def test_micro_prompts_are_one_user_message():
    (message,) = build_prompt(CALL, style="micro")
    assert message.role == "user"
    wrong = TestVerdict(status=Status.WRONG_ANSWER, actual="4")
    (again,) = build_prompt(
        CALL, style="micro", parent=node(CALL, failing(wrong), "def double(x): return x\n")
    )
    assert "def double(x): return x" in again.content
    assert CALL.statement in again.content


def test_only_one_module_extracts_code():
    """A second extractor somewhere would disagree with this one about what was judged."""
    package = Path(__file__).parents[2] / "src" / "mars2"
    fences = [
        path.name for path in package.rglob("*.py") if "`{3,}" in path.read_text(encoding="utf-8")
    ]
    assert fences == ["extract.py"]
