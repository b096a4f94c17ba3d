"""Rows of sample files, however they are written, and files that are not whole."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mars2.errors import UsageError
from mars2.exchange import rows
from mars2.exchange.rows import read_rows

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_VALUES = st.lists(
    st.one_of(
        st.dictionaries(_TEXT, st.one_of(_TEXT, st.lists(_TEXT, max_size=2), st.none())),
        st.lists(_TEXT, max_size=3),
    ),
    max_size=4,
)
_ONCE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_ONCE
@given(
    values=_VALUES,
    indent=st.sampled_from([None, 1]),
    ascii=st.booleans(),
    start=st.sampled_from(["", "\ufeff", "\ufeff \r\n"]),
    crlf=st.booleans(),
    chunk=st.sampled_from([1, 7, 1 << 20]),
    packed=st.booleans(),
)
def test_an_array_gives_its_items(
    tmp_path: Path, values, indent, ascii, start, crlf, chunk, packed
) -> None:
    text = start + json.dumps(values, indent=indent, ensure_ascii=ascii) + "\n"
    data = (text.replace("\n", "\r\n") if crlf else text).encode()
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "_CHUNK", chunk)
        assert list(read_rows(path)) == list(enumerate(values, 1))


@_ONCE
@given(values=_VALUES.filter(bool), data=st.data())
def test_an_array_that_was_cut_off_is_refused(tmp_path: Path, values, data) -> None:
    text = json.dumps(values)
    path = tmp_path / "x"
    path.write_text(text[: data.draw(st.integers(1, len(text) - 1))])
    with pytest.raises(UsageError, match=r"row [1-5]: "):
        list(read_rows(path))


def test_json_lines_keep_their_row_numbers(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes('\ufeff{"a": "\u2028"}\r\n\r\n{"b": 2}'.encode())
    assert list(read_rows(path)) == [(1, {"a": "\u2028"}), (3, {"b": 2})]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"a": 1}\n{"a": "x', "row 2: is not valid JSON.*cut off"),
        (b'{"a": 1}\n{"a"}\n{}\n', "row 2: is not valid JSON: Expecting ':'"),
        (b'{"a": 1, "a": 2}\n', "row 1: .*key 'a' is given twice"),
        (b'[{"a": 1, "a": 2}]', "row 1: .*key 'a' is given twice"),
        (b'[{"a": 1} {"b": 2}]', "row 1: after it stands '{'"),
        (b'[{"a": 1},]', "row 2: is no JSON object or list"),
        (b'[{"a": nothing}, {}]', "row 1: is not valid JSON: Expecting value"),
        (b"[{}] {}", "something follows the end of the array"),
        (b"[1]", "row 1: is no JSON object or list"),
        (b'{"a": 1}\n\xff\n', "not UTF-8"),
        (b'[{"a": "\xff"}]', "not UTF-8"),
        (b"\x1f\x8b\x08 not gzip", "cannot be unpacked"),
        (gzip.compress(b"{}\n" * 99)[:-9], "cannot be unpacked"),
        (b"[" * 100_000, "row 1: "),
    ],
)
def test_faults_are_named(tmp_path: Path, text: bytes, told: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(text)
    with pytest.raises(UsageError, match=told):
        list(read_rows(path))


def test_rows_have_a_greatest_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_ROW", 1000)
    monkeypatch.setattr(rows, "_CHUNK", 100)
    for text in (json.dumps({"a": "x" * 2000}), json.dumps(["x" * 2000])):
        (tmp_path / "x").write_text(text)
        with pytest.raises(UsageError, match="row 1: is longer than 1000 characters"):
            list(read_rows(tmp_path / "x"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.json: no such file"):
        list(read_rows(tmp_path / "nowhere.json"))
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        list(read_rows(tmp_path))


def test_memory_is_for_a_row_not_for_the_file(tmp_path: Path) -> None:
    import tracemalloc

    row = json.dumps({"task_id": "a", "solution": "x" * 100_000})
    for name, text in (("lines", f"{row}\n" * 200), ("array", "[" + ",".join([row] * 200) + "]")):
        (tmp_path / name).write_text(text)
        tracemalloc.start()
        assert sum(1 for _ in read_rows(tmp_path / name)) == 200
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10e6, name  # the file has 20 MB
