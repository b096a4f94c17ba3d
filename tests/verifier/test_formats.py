"""Files of submissions: what each format means, and every fault named before anything runs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mars2.errors import UsageError
from mars2.problems import load
from mars2.types import Problem, StdinTest
from mars2.verifier.formats import program, read_submissions, task_of

PROMPT = 'import math\n\n\ndef half(x):\n    """Half of x."""\n'


def problem(id: str, **changes: Any) -> Problem:
    return Problem(id=id, statement="", public_tests=[StdinTest(input="", expected="")], **changes)


PROBLEMS = [problem("a"), problem("b", starter_code=PROMPT), problem("3")]


def read(tmp_path: Path, content: Any, name: str = "s.jsonl", **options: Any) -> Any:
    path = tmp_path / name
    text = content if isinstance(content, str) else "".join(json.dumps(r) + "\n" for r in content)
    path.write_text(text, encoding="utf-8")
    return read_submissions(path, PROBLEMS, **options)


OWN = [
    {"id": "1", "problem_id": "a", "code": "x = '\ud800'"},
    {"id": "2", "problem_id": "b", "completion": "```python\nprint(1)\n```"},
]
LCB = [
    {"question_id": "b", "code_list": ["print(1)", ""], "pass@1": 0.5},
    {"question_id": 3, "code_list": ["print(3)"]},
    {"question_id": "a", "code_list": ["x\r\n"]},
]
EVALPLUS = [
    {"task_id": "b", "completion": "    return x / 2\n"},
    {"task_id": "a", "solution": "print(2)", "completion": "ignored", "model": "m"},
    {"task_id": "b", "solution": "def half(x): ..."},
]


@pytest.mark.parametrize("shape", ["lines", "array", "gzip", "array.gz", "bom", "blank lines"])
@pytest.mark.parametrize(
    ("rows", "format", "ids"),
    [
        (OWN, "mars2", ["1", "2"]),
        (LCB, "lcb", ["b/0", "b/1", "3/0", "a/0"]),
        (EVALPLUS, "evalplus", ["b/0", "a/0", "b/1"]),
    ],
)
def test_formats_are_seen_from_the_content(
    tmp_path: Path, rows: list[Any], format: str, ids: list[str], shape: str
) -> None:
    text = "".join(json.dumps(r) + "\n" for r in rows)
    if shape.startswith("array"):
        text = json.dumps(rows, indent=1)
    if shape == "blank lines":
        text = "\n" + text.replace("\n", "\n\n")
    data = ("\ufeff" if shape == "bom" else "").encode() + text.encode()
    path = tmp_path / "anything.at.all"
    path.write_bytes(gzip.compress(data) if shape in ("gzip", "array.gz") else data)
    for given in (None, format):
        loaded = read_submissions(path, PROBLEMS, given)  # type: ignore[arg-type]
        assert loaded.format == format
        assert [s.id for s in loaded.submissions] == ids


def test_samples_are_numbered_by_task_and_code_is_kept_as_it_is(tmp_path: Path) -> None:
    found = read(tmp_path, LCB).submissions
    assert [(s.problem_id, s.code) for s in found] == [
        ("b", "print(1)"),
        ("b", ""),
        ("3", "print(3)"),
        ("a", "x\r\n"),
    ]
    assert task_of("a/b/0") == "a/b"


def test_code_lists_alone_are_in_the_order_of_the_ids_as_text(tmp_path: Path) -> None:
    found = read(tmp_path, json.dumps([["three"], ["a0", "a1"], ["b0"]])).submissions
    assert [(s.id, s.code) for s in found] == [
        ("3/0", "three"),
        ("a/0", "a0"),
        ("a/1", "a1"),
        ("b/0", "b0"),
    ]
    with pytest.raises(UsageError, match=r"2 code lists.*3 problems"):
        read(tmp_path, json.dumps([["x"], ["y"]]))


def test_a_question_id_in_the_metadata_finds_its_problem(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps([{"question_id": "abc300_a", "code_list": ["x"]}]))
    known = [problem("lcb/abc300_a", metadata={"question_id": "abc300_a"})]
    (found,) = read_submissions(path, known).submissions
    assert (found.id, found.problem_id) == ("abc300_a/0", "lcb/abc300_a")


def test_a_completion_is_appended_to_the_prompt_as_evalplus_does(tmp_path: Path) -> None:
    found = read(tmp_path, EVALPLUS).submissions
    assert found[0].code == PROMPT + "    return x / 2\n"
    assert found[1].code == "print(2)"
    space: dict[str, Any] = {}
    exec(found[0].code, space)
    assert space["half"](3) == 1.5


def test_humaneval_samples_of_both_kinds_make_the_same_program(tmp_path: Path) -> None:
    row = {
        "task_id": "HumanEval/0",
        "prompt": PROMPT,
        "entry_point": "half",
        "test": "def check(f):\n    assert f(2) == 1\n",
    }
    published = tmp_path / "HumanEval.jsonl"
    published.write_text(json.dumps(row) + "\n")
    body = "    return x / 2\n"
    path = tmp_path / "samples.jsonl"
    samples = [
        {"task_id": "HumanEval/0", "completion": body},
        {"task_id": "HumanEval/0", "solution": PROMPT + body},
    ]
    path.write_text("".join(json.dumps(s) + "\n" for s in samples))
    found = read_submissions(path, load(f"humaneval@{published}")).submissions
    assert [s.id for s in found] == ["HumanEval/0/0", "HumanEval/0/1"]
    assert found[0].code == found[1].code


def test_the_program_of_a_submission(tmp_path: Path) -> None:
    own = read(tmp_path, OWN).submissions
    assert program(PROBLEMS[0], own[0]) == "x = '\ud800'"
    assert program(PROBLEMS[0], own[1]) == "print(1)\n"
    silent = own[1].model_copy(update={"completion": "I would not know."})
    assert program(PROBLEMS[0], silent) is None


FAULTS: list[tuple[Any, dict[str, Any], list[str]]] = [
    ("", {}, ["no submissions"]),
    ("[]", {}, ["no submissions"]),
    ("[1", {}, ["not valid JSON", "s.jsonl"]),
    ("not json", {}, ["row 1", "not valid JSON"]),
    ([1], {}, ["row 1", "question_id"]),
    ([{"name": "x"}], {}, ["row 1", "problem_id", "--format"]),
    ([{"question_id": "a", "task_id": "a"}], {}, ["row 1", "--format"]),
    ([OWN[0], OWN[0]], {}, ["row 2", "'1'", "row 1"]),
    ([OWN[0] | {"problem_id": "nobody"}], {}, ["row 1", "'nobody'", "3 problems"]),
    ([OWN[0] | {"extra": 1}], {}, ["row 1", "extra"]),
    ([OWN[0] | {"completion": "x"}], {}, ["row 1", "exactly one"]),
    ([OWN[0], 7], {}, ["row 2"]),
    ('{"id": "1", "id": "2", "problem_id": "a", "code": ""}', {}, ["row 1", "'id'"]),
    (LCB[:2], {}, ["missing", "'a'", "exactly once"]),
    ([*LCB, {"question_id": "zz", "code_list": ["x"]}], {}, ["unknown", "'zz'"]),
    ([*LCB, LCB[0]], {}, ["more than once", "'b'"]),
    ([{"question_id": "a", "code_list": []}], {}, ["row 1", "code_list", "empty"]),
    ([{"question_id": "a", "code_list": ["x", None]}], {}, ["row 1", "code_list[1]", "NoneType"]),
    ([{"question_id": "a", "code_list": "x"}], {}, ["row 1", "code_list", "a list", "str"]),
    ([{"question_id": "a"}], {}, ["row 1", "code_list", "missing"]),
    ([{"question_id": True, "code_list": ["x"]}], {}, ["row 1", "question_id", "bool"]),
    ([{"question_id": "a", "code_list": ["x"]}], {"format": "evalplus"}, ["row 1", "task_id"]),
    ([{"task_id": "zz", "solution": ""}], {}, ["'zz'", "3 problems"]),
    ([{"task_id": "a"}], {}, ["row 1", "solution", "completion"]),
    ([{"task_id": "a", "solution": 1}], {}, ["row 1", "solution", "a string", "int"]),
    ([{"task_id": "a", "completion": ["x"]}], {}, ["row 1", "completion", "list"]),
    ([{"task_id": 1, "solution": "x"}], {}, ["row 1", "task_id"]),
    ([EVALPLUS[0], ["x"]], {}, ["row 2", "object"]),
]


@pytest.mark.parametrize(("content", "options", "named"), FAULTS)
def test_faults_name_the_row_and_the_field(
    tmp_path: Path, content: Any, options: dict[str, Any], named: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, content, **options)
    assert all(word in str(caught.value) for word in named), str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_many_unknown_ids_are_counted(tmp_path: Path) -> None:
    rows = [{"task_id": f"t{k}", "solution": ""} for k in range(25)]
    with pytest.raises(UsageError, match=r"'t0', .*'t9' and 15 more"):
        read(tmp_path, rows)


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "torn.gz").write_bytes(gzip.compress(b"x" * 5000)[:30])
    (tmp_path / "latin").write_bytes(b'{"id": "\xe9"}')
    for name, said in (("none", "no such file"), ("torn.gz", "unpacked"), ("latin", "UTF-8")):
        with pytest.raises(UsageError, match=said):
            read_submissions(tmp_path / name, PROBLEMS)
    with pytest.raises(UsageError, match="cannot be read"):
        read_submissions(tmp_path, PROBLEMS)
