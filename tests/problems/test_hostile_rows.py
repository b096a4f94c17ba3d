"""Rows that lie, break or attack: each is refused with its file, row and field, or left out."""

from __future__ import annotations

import base64
import json
import pickle
import pickletools
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import (
    apps_row,
    codecontests_row,
    deepcoder_row,
    humaneval_row,
    jsonl,
    lcb_packed,
    lcb_row,
    mbpp_row,
    mbppplus_row,
    parquet,
)

from mars2.errors import ProblemError, UsageError
from mars2.problems import load
from mars2.problems.fields import Fault, RowError, strict_json
from mars2.problems.unpack import BOUND, max_bytes, pack, pickled_string, unpack


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def zipped(data: bytes) -> str:
    return b64(zlib.compress(data))


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this must not be printed",))


TEST = {"input": "1\n", "output": "2\n", "testtype": "stdin"}
CALL = TEST | {"testtype": "functional"}
BOMB = zlib.compress(b" " * (3 << 20))
DEEP = "[" * 100_000
PRIVATE = "private_test_cases"


def lcb(**changes: Any) -> dict[str, Any]:
    return lcb_row("bad", **changes)


def hidden(value: Any) -> dict[str, Any]:
    return lcb(private_test_cases=value if isinstance(value, str) else json.dumps(value))


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k != name}


LCB: list[tuple[Any, str, str]] = [
    ('{"question_id": ', "", "is not valid JSON: Expecting value"),
    ('{"a": 1, "a": 2}', "", "key 'a' is given twice"),
    ('{"a": ' + "9" * 5000 + "}", "", "an integer has more than 4300 digits"),
    ('{"a": NaN}', "", "NaN is no number of JSON"),
    (DEEP, "", "nested too deeply"),
    ([1], "", "has to be a JSON object, not list"),
    (without(lcb(), "question_id"), "question_id", "is missing"),
    (lcb(question_id=7), "question_id", "has to be a string, not int"),
    (lcb(question_id=" "), "question_id", "is empty"),
    (lcb(question_content=None), "question_content", "is null"),
    (lcb_row("good"), "id", "'good' is already used in row 1"),
    (lcb(difficulty="fiendish"), "difficulty", "is 'fiendish', none of easy"),
    (lcb(contest_date="yesterday"), "contest_date", "has to be a date such as"),
    (lcb(starter_code=None), "starter_code", "is null"),
    (lcb(metadata="func_name"), "metadata", "is not valid JSON"),
    (lcb(metadata="[]"), "metadata", "has to hold an object"),
    (lcb(metadata='{"func_name": 3}'), "metadata.func_name", "has to be a name"),
    (lcb(public_test_cases="{}"), "public_test_cases", "has to be a list of tests, not dict"),
    (lcb(public_test_cases="[1]"), "public_test_cases[0]", "has to be an object, not int"),
    (
        lcb(public_test_cases=json.dumps([TEST, {"input": "1"}])),
        "public_test_cases[1].output",
        "is missing",
    ),
    (hidden([TEST | {"output": 2}]), f"{PRIVATE}[0].output", "has to be str, not int"),
    (hidden([TEST | {"testtype": "gui"}]), f"{PRIVATE}[0].testtype", "has to be stdin or"),
    (hidden([CALL]), f"{PRIVATE}[0].testtype", "no func_name says what to call"),
    (
        lcb_row("bad", functional=True, private_test_cases=json.dumps([CALL | {"input": "a"}])),
        f"{PRIVATE}[0].input",
        "is not valid JSON",
    ),
    (
        lcb_row("bad", functional=True, private_test_cases=json.dumps([CALL | {"output": "NaN"}])),
        f"{PRIVATE}[0].output",
        "NaN is no number",
    ),
    (
        lcb_row(
            "bad", functional=True, private_test_cases=json.dumps([CALL | {"output": "7" * 5000}])
        ),
        f"{PRIVATE}[0].output",
        "more than 4300 digits",
    ),
    (
        lcb(public_test_cases="[]", private_test_cases="[]"),
        "",
        "has no tests",
    ),
    (hidden("€uro"), PRIVATE, "is neither JSON nor base64"),
    (hidden(b64(b"no zlib")), PRIVATE, "cannot be unpacked"),
    (hidden(b64(zlib.compress(b"[]")[:-3])), PRIVATE, "it ends too early"),
    (hidden(b64(zlib.compress(b"[]") + b"more")), PRIVATE, "has 4 bytes behind what is packed"),
    (hidden(zipped(b"\xff\xfe")), PRIVATE, "is not"),
    (hidden(b64(BOMB)), PRIVATE, f"unpacks to more than 1 MB; if that is right, set {BOUND}"),
    (hidden(zipped(pickle.dumps(Attack()))), PRIVATE, "is a pickle with the instruction STACK_GL"),
    (hidden(zipped(b"\x80\x04cposix\nsystem\n(S'true'\ntR.")), PRIVATE, "instruction GLOBAL"),
    (hidden(zipped(pickle.dumps([TEST]))), PRIVATE, "is a pickle with the instruction EMPTY_LIST"),
    (hidden(zipped(pickle.dumps(3))), PRIVATE, "is a pickle with the instruction BININT1"),
    (hidden(zipped(b"\x80\x04.")), PRIVATE, "is a pickle of 0 strings"),
    (hidden(zipped(b"\x80\x04\x8c\x01a\x8c\x01b.")), PRIVATE, "is a pickle of 2 strings"),
    (hidden(zipped(pickle.dumps("[]") + b"!")), PRIVATE, "has 1 bytes behind the pickle"),
    (hidden(zipped(b"\x80\x04\x8d" + b"\xff" * 8)), PRIVATE, "is no pickle"),
    (hidden(zipped(b"\x80\x04X\x05\x00\x00\x00ab")), PRIVATE, "is no pickle"),
    (hidden(lcb_packed("[3]")), f"{PRIVATE}[0]", "has to be an object, not int"),
]


def refused(source: str, path: Path, bad_row: int) -> tuple[str, str]:
    """Field and fault of the row refused; and the good rows around it can be had."""
    with pytest.raises(RowError) as caught:
        load(f"{source}@{path}")
    error = caught.value
    assert (error.place.file, error.place.row) == (str(path), bad_row)
    assert str(path) in str(error)
    assert f"row {bad_row}" in str(error)
    left_out: list[RowError] = []
    assert load(f"{source}@{path}", on_bad=left_out.append)
    assert [(e.place, e.field, e.what) for e in left_out] == [
        (error.place, error.field, error.what)
    ]
    return error.field, error.what


@pytest.mark.parametrize(("row", "field", "what"), LCB, ids=[f"{c[1]} {c[2]}" for c in LCB])
def test_livecodebench(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    row: Any,
    field: str,
    what: str,
) -> None:
    monkeypatch.setenv(BOUND, "1")
    path = jsonl(tmp_path / "test.jsonl", [lcb_row("good"), row, lcb_row("last")])
    found = refused("livecodebench", path, 2)
    assert found[0] == field
    assert what in found[1]
    assert "must not" not in capsys.readouterr().out


def io(**value: Any) -> dict[str, Any]:
    return apps_row(9, input_output=json.dumps(value))


OTHERS: list[tuple[str, Any, Any, str, str]] = [
    ("apps", apps_row(), apps_row(1, input_output=""), "input_output", "is empty"),
    ("apps", apps_row(), apps_row(1, id="x"), "id", "has to be an integer, not str"),
    ("apps", apps_row(), apps_row(1, id=True), "id", "has to be an integer, not bool"),
    ("apps", apps_row(), apps_row(0), "id", "'apps/test/0' is already used"),
    ("apps", apps_row(), io(inputs=["1"], outputs=[]), "input_output", "1 inputs and 0 outputs"),
    ("apps", apps_row(), io(inputs=[], outputs=[]), "", "has no tests"),
    ("apps", apps_row(), io(inputs=[1], outputs=["1"]), "input_output.inputs[0]", "a string or"),
    ("apps", apps_row(), io(inputs=["1"]), "input_output.outputs", "is missing"),
    ("apps", apps_row(), io(fn_name=3, inputs=[], outputs=[]), "input_output.fn_name", "a string"),
    (
        "apps",
        apps_row(),
        io(fn_name="f", inputs=[3], outputs=[3]),
        "input_output.inputs[0]",
        "has to be a list of arguments, not int",
    ),
    (
        "deepcoder:primeintellect",
        deepcoder_row("primeintellect"),
        deepcoder_row("primeintellect", tests=json.dumps([{"fn_name": "f", "input": []}])),
        "tests[0].output",
        "is missing",
    ),
    (
        "deepcoder:primeintellect",
        deepcoder_row("primeintellect"),
        deepcoder_row(
            "primeintellect",
            tests=json.dumps([{"fn_name": n, "input": [], "output": 1} for n in "fg"]),
        ),
        "tests",
        "calls several functions: f, g",
    ),
    (
        "deepcoder:lcbv5",
        deepcoder_row("lcbv5"),
        deepcoder_row("lcbv5", metadata="[1]"),
        "metadata",
        "has to be an object",
    ),
    ("humaneval", humaneval_row(), humaneval_row("b", prompt="def f(:"), "prompt", "is not Python"),
    ("humaneval", humaneval_row(), humaneval_row("b", test="x = 1"), "test", "no function check"),
    (
        "humaneval",
        humaneval_row(),
        humaneval_row("b", test="def check(c):\n  assert ("),
        "test",
        "is not Python",
    ),
    (
        "humaneval",
        humaneval_row(),
        humaneval_row("b", entry_point="f()"),
        "entry_point",
        "which is no name",
    ),
    ("mbpp", mbpp_row(), mbpp_row(12, test_list=[]), "test_list", "holds no tests"),
    ("mbpp", mbpp_row(), mbpp_row(12, test_list=["assert ("]), "test_list[0]", "is not Python"),
    ("mbpp", mbpp_row(), mbpp_row(12, test_list=[3]), "test_list[0]", "has to be a string"),
    ("mbpp", mbpp_row(), mbpp_row(12, code="def"), "code", "is not Python"),
    ("mbpp+", mbppplus_row(), without(mbppplus_row(3), "test"), "test", "is missing"),
    ("mbpp+", mbppplus_row(), mbppplus_row(3, test="\x00"), "test", "is not Python"),
]


@pytest.mark.parametrize(
    ("source", "good", "bad", "field", "what"), OTHERS, ids=[f"{c[0]} {c[4]}" for c in OTHERS]
)
def test_other_datasets(
    tmp_path: Path, source: str, good: Any, bad: Any, field: str, what: str
) -> None:
    path = jsonl(tmp_path / "test.jsonl", [good, bad])
    found = refused(source, path, 2)
    assert found[0] == field
    assert what in found[1]


@pytest.mark.parametrize(
    ("changes", "field", "what"),
    [
        ({"input_file": "in.txt"}, "input_file", "a program that reads a file cannot be judged"),
        ({"difficulty": 40}, "difficulty", "has to be from 0 to 28"),
        ({"time_limit": {"seconds": 1.5, "nanos": 0.5}}, "time_limit", "seconds and nanos as int"),
        (
            {"generated_tests": {"input": ["1"], "output": []}},
            "generated_tests",
            "holds 1 inputs and 0 outputs",
        ),
        ({"public_tests": None}, "public_tests", "is null"),
    ],
)
def test_codecontests(tmp_path: Path, changes: dict[str, Any], field: str, what: str) -> None:
    pytest.importorskip("pyarrow")
    path = jsonl(tmp_path / "a.jsonl", [codecontests_row("a"), codecontests_row("b", **changes)])
    found = refused("codecontests", path, 2)
    assert found[0] == field
    assert what in found[1]


def test_our_own_format_too(tmp_path: Path) -> None:
    good = {"id": "a", "statement": "s", "public_tests": [{"kind": "assertion", "program": ""}]}
    path = jsonl(tmp_path / "p.jsonl", [good, "{", good, good | {"id": "b", "x": 1}])
    left_out: list[RowError] = []
    assert [p.id for p in load(f"jsonl:{path}", on_bad=left_out.append)] == ["a"]
    assert [(e.place.row, e.field) for e in left_out] == [(2, ""), (3, "id"), (4, "x")]


# --------------------------------------------------------------------------- files


def test_files_that_are_not_what_their_name_says(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(b"\x1f\x8b\x08 nonsense")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 nonsense")
    (tmp_path / "c.arrow").write_bytes(b"nonsense" * 10)
    (tmp_path / "d.json").write_text("{}")
    (tmp_path / "e.jsonl").write_bytes(b'{"id": "\xff"}\n')
    pytest.importorskip("pyarrow")
    for name, what in [
        ("a.jsonl.gz", "cannot be"),
        ("b.parquet", "is no parquet file"),
        ("c.arrow", "is no arrow file"),
        ("d.json", "has to be a JSON array"),
        ("e.jsonl", "row 1: is not UTF-8 text"),
    ]:
        with pytest.raises(ProblemError, match=what) as caught:
            load(f"mbpp@{tmp_path / name}")
        assert name in str(caught.value)


def test_a_gzipped_endless_line_is_cut_off_and_the_next_row_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BOUND, "1")
    long = '{"x": "' + "a" * (3 << 20) + '"}'
    path = jsonl(tmp_path / "a.jsonl.gz", [long, lcb_row("a")])
    left_out: list[RowError] = []
    assert [p.id for p in load(f"livecodebench@{path}", on_bad=left_out.append)] == ["a"]
    assert [(e.place.row, e.what) for e in left_out] == [
        (1, f"has more than 1 MB; if that is right, set {BOUND} to more MB")
    ]


def test_the_bound_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BOUND, raising=False)
    assert max_bytes() == 512 << 20
    for text in ("0", "much", "-1", ""):
        monkeypatch.setenv(BOUND, text)
        with pytest.raises(UsageError, match="whole number of MB"):
            max_bytes()


def test_of_columns_only_those_that_are_needed_are_read(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from mars2.problems.files import read_file

    path = parquet(tmp_path / "a.parquet", [codecontests_row()])
    ((place, row),) = read_file(path, ("name", "absent"))
    assert (place.row, row) == (1, {"name": "1575_A. Double"})


# --------------------------------------------------------------------------- pure parts


@given(st.text(), st.integers(0, 5))
def test_every_protocol_s_pickle_of_a_string_is_that_string(text: str, protocol: int) -> None:
    try:
        data = pickle.dumps(text, protocol)
    except UnicodeEncodeError:
        return
    if protocol == 0:  # spells text with an escape of its own; nobody publishes it
        with pytest.raises(Fault, match="UNICODE"):
            pickled_string(data)
        return
    assert pickled_string(data) == text
    assert pickled_string(pickletools.optimize(data)) == text


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_do_anything_but_refuse(data: bytes) -> None:
    try:
        found = pickled_string(data)
    except Fault:
        return
    assert pickle.loads(data) == found


@given(st.binary(max_size=2000))
def test_packing_and_unpacking(data: bytes) -> None:
    assert unpack(pack(data)) == data


@given(st.text(max_size=50))
def test_strict_json_refuses_or_agrees(text: str) -> None:
    try:
        found = strict_json(text)
    except Fault:
        return
    assert found == json.loads(text)
