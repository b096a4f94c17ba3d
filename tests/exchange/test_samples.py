"""What sample files hold, what the evaluators require of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mars2.errors import UsageError
from mars2.exchange.formats import NO_PROGRAM
from mars2.exchange.read import check_samples
from mars2.exchange.write import check_target, pad, write_samples
from mars2.types import AssertionTest, Problem, StdinTest

PROMPT = 'import math\n\n\ndef half(x):\n    """Half."""\n'


def problem(id: str, **more: Any) -> Problem:
    return Problem(id=id, statement="?", public_tests=[StdinTest(input="", expected="")], **more)


STDIN = [problem("abc301_a"), problem("abc301_b"), problem("2727")]
HALF = Problem(
    id="HumanEval/0",
    statement=PROMPT,
    starter_code=PROMPT,
    entry_point="half",
    private_tests=[AssertionTest(program="assert half(2) == 1")],
)
PLUS = [HALF, problem("HumanEval/1")]


def put(path: Path, value: Any, *, lines: bool = False) -> Path:
    rows = "".join(json.dumps(row) + "\n" for row in value) if lines else json.dumps(value)
    path.write_text(rows, encoding="utf-8")
    return path


def given(path: Path, problems: list[Problem], format: Any) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {}
    for submission in check_samples(path, problems, format).submissions():
        found.setdefault(submission.problem_id, []).append(submission.code)
    return found


# --------------------------------------------------------------------------- out


def test_lcb_has_every_problem_and_as_many_programs_for_each(tmp_path: Path) -> None:
    padded = pad({"abc301_a": ["x", None], "abc301_b": []}, "lcb", STDIN)
    assert padded.missing == {"abc301_b": 2, "2727": 2}
    path = tmp_path / "c.json"
    write_samples(path, "lcb", padded.rows)
    assert json.loads(path.read_text()) == [
        {"question_id": "abc301_a", "code_list": ["x", NO_PROGRAM]},
        {"question_id": "abc301_b", "code_list": [NO_PROGRAM] * 2},
        {"question_id": "2727", "code_list": [NO_PROGRAM] * 2},
    ]
    assert given(path, STDIN, "lcb")["abc301_a"] == ["x", None]


def test_evalplus_has_every_problem_once_at_least(tmp_path: Path) -> None:
    padded = pad({"HumanEval/0": ["a", "\ud800"]}, "evalplus", PLUS)
    assert padded.missing == {"HumanEval/1": 1}
    path = tmp_path / "c.jsonl"
    write_samples(path, "evalplus", padded.rows)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"task_id": "HumanEval/0", "solution": "a"},
        {"task_id": "HumanEval/0", "solution": "\ud800"},
        {"task_id": "HumanEval/1", "solution": NO_PROGRAM},
    ]


def test_ids_of_the_evaluator_come_from_the_metadata(tmp_path: Path) -> None:
    problems = [problem("lcb-7", metadata={"question_id": 7})]
    padded = pad({"lcb-7": ["x"]}, "lcb", problems)
    write_samples(tmp_path / "c.json", "lcb", padded.rows)
    assert json.loads((tmp_path / "c.json").read_text())[0]["question_id"] == "7"
    assert given(tmp_path / "c.json", problems, "lcb") == {"lcb-7": ["x"]}


@pytest.mark.parametrize(
    "code",
    [
        "def half(x):\n    return math.floor(x / 2)\n",
        PROMPT + "    return x / 2\n",
        "def half(x):\n    return (\n",
        NO_PROGRAM,
    ],
)
def test_a_completion_does_after_its_prompt_what_the_program_does(
    tmp_path: Path, code: str
) -> None:
    path = tmp_path / "c.jsonl"
    write_samples(path, "humaneval", {"HumanEval/0": [code]}, [HALF])
    row = json.loads(path.read_text())
    whole = PROMPT + row["completion"]
    assert given(path, [HALF], "humaneval") == {"HumanEval/0": [whole]}
    space: dict[str, Any] = {}
    if code in (NO_PROGRAM, "def half(x):\n    return (\n"):
        with pytest.raises((RuntimeError, SyntaxError)):
            exec(whole, space)
    else:
        exec(whole, space)
        assert space["half"](4) == 2


def test_what_cannot_follow_the_prompt_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.jsonl"
    code = "from __future__ import annotations\ndef half(x): return x / 2\n"
    with pytest.raises(UsageError, match="program 1 of 'HumanEval/0' cannot stand after"):
        write_samples(path, "humaneval", {"HumanEval/0": ["x", code]}, [HALF])
    with pytest.raises(UsageError, match="'HumanEval/1' has no prompt"):
        write_samples(path, "humaneval", {"HumanEval/1": ["x"]}, PLUS)
    assert not path.exists()


def test_names_that_the_evaluators_refuse(tmp_path: Path) -> None:
    for path, format in ((tmp_path / "c.jsonl", "lcb"), (tmp_path / "c.json", "evalplus")):
        with pytest.raises(UsageError, match="wants a name that ends in"):
            check_target(path, format)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="none to put it in"):
        check_target(tmp_path / "no" / "c.json", "lcb")
    with pytest.raises(UsageError, match="holds no 'other'"):
        pad({"other": ["x"]}, "lcb", STDIN)


# --------------------------------------------------------------------------- in


def lcb(*pairs: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"question_id": id, "code_list": codes} for id, codes in pairs]


def test_lcb_without_ids_goes_by_the_order_of_the_ids_as_text(tmp_path: Path) -> None:
    path = put(tmp_path / "c", [["x"], ["y"], ["z"]])
    assert given(path, STDIN, "lcb") == {"2727": ["x"], "abc301_a": ["y"], "abc301_b": ["z"]}


def test_lcb_reads_what_the_evaluator_wrote_and_ids_that_are_numbers(tmp_path: Path) -> None:
    rows = lcb((2727, ["x"]), ("abc301_b", ["y"]), ("abc301_a", ["z"]))
    rows = [row | {"graded_list": [True], "platform": "leetcode"} for row in rows]
    samples = check_samples(put(tmp_path / "c", rows), STDIN, "lcb")
    assert samples.counts == {"abc301_a": 1, "abc301_b": 1, "2727": 1}
    assert [s.id for s in samples.submissions()] == ["2727/0", "abc301_b/0", "abc301_a/0"]


def test_evalplus_solutions_win_and_completions_follow_the_prompt(tmp_path: Path) -> None:
    rows = [
        {"task_id": "HumanEval/0", "completion": "    return x / 2\n", "_identifier": "?"},
        {"task_id": "HumanEval/1", "solution": "s", "completion": "c"},
        {"task_id": "HumanEval/0", "solution": "t"},
    ]
    path = put(tmp_path / "c", rows, lines=True)
    expected = {"HumanEval/0": [PROMPT + "    return x / 2\n", "t"], "HumanEval/1": ["s"]}
    assert given(path, PLUS, "evalplus") == expected
    assert given(path, PLUS, "humaneval") == expected
    assert check_samples(path, PLUS, "evalplus").counts == {"HumanEval/0": 2, "HumanEval/1": 1}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "holds no samples"),
        (
            lcb(("abc301a", ["x"]), ("abc301_b", ["x"]), ("2727", ["x"])),
            "each of the 3 problems by its question_id; "
            r"unknown: 'abc301a' \(row 1, did you mean 'abc301_a'\?\); missing: 'abc301_a'$",
        ),
        (
            lcb(*[(id, ["x"]) for id in ("2727", "abc301_a", "2727", "abc301_b")]),
            r"given more than once: '2727' \(rows 1, 3\)$",
        ),
        (
            lcb(("2727", ["x", "x"]), ("abc301_a", ["x", "x"]), ("abc301_b", ["x"])),
            r"row 3: 'abc301_b' has 1 programs and '2727' \(row 1\) has 2",
        ),
        (lcb(("2727", ["x", None])), r"row 1, code_list\[1\]: has to be a string, not NoneType"),
        (lcb(("2727", [])), "row 1, code_list: is empty"),
        (lcb(("2727", "x")), "row 1, code_list: has to be a list, not str"),
        (lcb((True, ["x"])), "question_id: has to be a string or a number, not bool"),
        ([{"question_id": "2727", "codes": []}], "code_list: is missing; the row has question_id"),
        ([["x"]] * 4, "more code lists without ids than there are problems, 3"),
        ([["x"]] * 2, "missing: 'abc301_b'"),
        ([["x"], "y"], "row 2: has to be a JSON object, not str"),
    ],
)
def test_lcb_faults(tmp_path: Path, rows: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_samples(put(tmp_path / "c.json", rows), STDIN, "lcb")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"task_id": "HumanEval/0", "solution": 1}], "row 1, solution: has to be a string"),
        ([{"task_id": "HumanEval/0", "completion": None}], "row 1, completion: has to be a string"),
        ([{"task_id": "HumanEval/0"}], "row 1: needs a field solution or completion"),
        ([{"task_id": 0, "solution": ""}], "row 1, task_id: has to be a string, not int"),
        ([{"question_id": "x"}], "row 1, task_id: is missing; the row has question_id"),
        ([{"task_id": "HumanEval/0", "solution": ""}], "missing: 'HumanEval/1'"),
        (
            [{"task_id": f"HumanEval/{n}", "solution": ""} for n in range(14)],
            r"unknown: 'HumanEval/2' \(row 3, did you mean .*and 2 more$",
        ),
        ([{"task_id": "HumanEval/0", "solution": ""}, 3], "row 2: has to be a JSON object"),
    ],
)
def test_evalplus_faults(tmp_path: Path, rows: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_samples(put(tmp_path / "c.jsonl", rows, lines=True), PLUS, "evalplus")
