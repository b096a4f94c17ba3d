"""`mars2 problems check`, and `--skip-bad` where problems are chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def row(id: str, **changes: Any) -> str:
    test = [{"input": "1\n", "output": "1\n", "testtype": "stdin"}]
    fields = {
        "question_title": "Echo",
        "question_content": "Print it.",
        "platform": "atcoder",
        "question_id": id,
        "contest_id": "abc",
        "contest_date": "2024-08-17T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(test),
        "private_test_cases": json.dumps(test * 3),
        "metadata": "{}",
    }
    return json.dumps(fields | changes)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Rows 1, 3 and 5 are good."""
    rows = [
        row("a"),
        "{",
        row("b", difficulty="hard", contest_date="2025-02-01"),
        row("a"),
        row("c"),
        row("d", question_content=7),
        row("e", question_content=8.5),
    ]
    path = tmp_path / "lcb.jsonl"
    path.write_text("\n".join(rows))
    return path


def test_everything_is_read_and_counted(mars2, mixed: Path) -> None:
    done = mars2("problems", "check", f"livecodebench@{mixed}", "--json")
    assert done.code == 1
    found = json.loads(done.out)
    assert found["problems"] == 3
    assert found["tests"] == {"public": 3, "private": 9}
    assert found["kinds"] == {"stdin": 3}
    assert found["difficulties"] == {"easy": 2, "hard": 1}
    assert found["dates"] == {"first": "2024-08-17", "last": "2025-02-01", "without": 0}
    assert 0 < found["bytes"]["packed"] < found["bytes"]["unpacked"]
    bad = found["bad"]
    assert bad["rows"] == len(bad["list"]) == 4
    assert [(b["row"], b["field"]) for b in bad["list"]] == [
        (2, ""),
        (4, "id"),
        (6, "question_content"),
        (7, "question_content"),
    ]
    assert bad["list"][2]["what"] == "has to be a string, not int"
    assert bad["list"][2]["file"] == str(mixed)
    assert bad["reasons"]["id: … is already used in row …"] == 1


def test_for_people_and_how_it_ends(mars2, mixed: Path, tmp_path: Path) -> None:
    done = mars2("problems", "check", f"livecodebench@{mixed}", "--skip-bad")
    assert done.code == 0
    assert "| problems" in done.out
    assert "4 bad rows were left out" in done.err
    assert "1 × id: … is already used in row …" in done.err
    assert f"{mixed}, row 6: field question_content: has to be a string, not int" in done.err
    assert mars2("problems", "check", "builtin").code == 0
    (tmp_path / "bad.jsonl").write_text("{\n")
    assert mars2("problems", "check", "mbpp@bad.jsonl", "--skip-bad").code == 1
    assert mars2("problems", "check", "mbpp@none.jsonl").code == 2


def test_only_what_is_chosen_is_checked(mars2, mixed: Path) -> None:
    done = mars2("problems", "check", f"livecodebench:2025..@{mixed}", "--json", "--skip-bad")
    found = json.loads(done.out)
    assert (done.code, found["problems"]) == (0, 1)
    # rows outside of the time are not looked at further
    assert [b["row"] for b in found["bad"]["list"]] == [2, 4]


def test_other_commands_leave_bad_rows_out_when_told(mars2, mixed: Path) -> None:
    source = f"livecodebench@{mixed}"
    refused = mars2("problems", "list", source)
    assert refused.code == 2
    assert "row 2: is not valid JSON" in refused.err
    done = mars2("problems", "list", source, "--skip-bad", "--since", "2025", "--json")
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == ["b"]
    evaluated = mars2("eval", source, "--since", "2030", "--skip-bad", "--agent", "a=scripted:x")
    assert evaluated.code == 2
    assert "no problem in the time 2030.." in evaluated.err


def test_the_sources_say_how_they_are_written(mars2) -> None:
    done = mars2("problems", "list", "--json")
    names = [json.loads(line)["source"] for line in done.out.splitlines()]
    assert any(name.startswith("livecodebench:v1…v6") for name in names)
    assert "taco[:test|train]" in mars2("problems", "list").out
