"""Where the first difference is, by the rules by which outputs are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from mars2.cli.verify_report import Mark, explain, first_character, first_difference, plain
from mars2.cli.verify_results import Judged, metrics_path, rates
from mars2.types import LcbResult, Problem, Status, StdinTest, Submission, TestVerdict, Verdict
from mars2.verifier.evidence import cut


@pytest.mark.parametrize(
    ("expected", "actual"),
    [("1 2\n3\n", "1  2\n3.0"), ("a b", "\n\n  a b  \n"), ("", ""), ("x\r\ny", "x\ny\n")],
)
def test_equal_outputs_have_no_difference(expected: str, actual: str) -> None:
    assert first_difference(expected, actual) is None


@pytest.mark.parametrize(
    ("expected", "actual", "want", "got", "note"),
    [
        ("1 2 3", "1 5 3", Mark(0, 2, 1), Mark(0, 2, 1), "line 1, word 2: '2' is expected"),
        ("a\nbc", "a\n x", Mark(1, 0, 2), Mark(1, 1, 1), "line 2, word 1: 'bc'"),
        ("\n\na\nb", "a\nc", Mark(3, 0, 1), Mark(1, 0, 1), "line 2, word 1"),
        ("1 2", "1", Mark(0, 2, 1), Mark(0), "'2' is expected, not nothing"),
        ("1", "1 2", Mark(0), Mark(0, 2, 1), "nothing is expected, not '2'"),
        ("a b", "a  b", Mark(0), Mark(0), "spaces"),
        ("a\nb\nc", "a\nb", Mark(2), None, "3 lines are expected, 2 were printed"),
        ("a", "a\nb", None, Mark(1), "1 lines are expected, 2 were printed"),
        ("x", "", Mark(0, 0, 1), Mark(0), "'x' is expected, not nothing"),
    ],
)
def test_the_first_difference_is_marked(
    expected: str, actual: str, want: Mark | None, got: Mark | None, note: str
) -> None:
    found = first_difference(expected, actual)
    assert found is not None
    assert (found.expected, found.actual) == (want, got)
    assert note in found.note


def test_nothing_is_compared_beyond_a_cut() -> None:
    expected = "".join(f"{k}\n" for k in range(5000))
    found = first_difference(expected, cut(expected.replace("4000", "x")))
    assert found is not None
    assert "beyond" in found.note
    early = first_difference(expected, cut(expected.replace("\n17\n", "\n18\n")))
    assert early is not None
    assert "line 18, word 1: '17' is expected, not '18'" in early.note


def test_values_differ_from_a_character_on() -> None:
    found = first_character("[1, 2]", "[1, 3]")
    assert found.expected == found.actual == Mark(0, 4, 1)
    assert "not an equal value" in first_character("nan", "nan").note


def test_control_characters_are_escaped() -> None:
    assert plain("a\tb\nc\r\x1b[0m\x9b\u2066\ud800") == "a\tb\nc\\x0d\\x1b[0m\\x9b\\u2066\\ud800"


def test_the_official_codes_are_shown() -> None:
    problem = Problem(id="p", statement="", public_tests=[StdinTest(input="1", expected="2")])
    verdict = Verdict(
        id="s",
        problem_id="p",
        status=Status.WRONG_ANSWER,
        passed=0,
        total=1,
        tests=[TestVerdict(status=Status.WRONG_ANSWER, input="1", expected="2", actual="3")],
        lcb=LcbResult(results=[-2], error_code=-2),
    )
    one = Judged(problem, Submission(id="s", problem_id="p", code="print(3)"), verdict)
    text = explain(one, "print(3)", problem.tests())
    assert "lcb         results [-2], code -2" in text
    assert "not measured" in text


def test_rates_leave_out_what_could_not_be_judged() -> None:
    samples = {"a": [True, False, None], "b": [True, True], "c": [None]}
    found = rates(samples, (1, 2, 3))
    assert found == {"pass@1": {"a": 0.5, "b": 1.0}, "pass@2": {"a": 1.0, "b": 1.0}}
    assert rates({"c": [None]}) == {}


def test_where_metrics_go(tmp_path: Path) -> None:
    for name in ("r.json", "r_eval_all.json"):
        assert metrics_path(tmp_path / name) == tmp_path / "r_eval.json"
    assert metrics_path(tmp_path / "r_eval.json") != tmp_path / "r_eval.json"
