"""Every mistake of a user: a clear message, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

GOOD = {
    "id": "mine/double",
    "statement": "Return twice x.",
    "entry_point": "double",
    "public_tests": [{"kind": "functional", "args": [2], "expected": 4}],
    "private_tests": [{"kind": "functional", "args": [5], "expected": 10}],
}


def write_jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def unused_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


USAGE = [
    (["eval", "jsonl:none.jsonl", "--agent", "a=scripted:echo"], "none.jsonl"),
    (["eval", "nowhere", "--agent", "a=scripted:echo"], "nowhere"),
    (["eval", "builtin"], "--agent"),
    (["eval", "builtin", "--agent", "a=warp:drive"], "warp"),
    (["eval", "builtin", "--agent", "a=micro:nobody"], "nobody"),
    (["eval", "builtin", "--agent", "a=scripted:echo", "--role", "b=coder"], "'b'"),
    (["eval", "builtin", "--agent", "a=scripted:echo", "--role", "a=wizard"], "wizard"),
    (["eval", "builtin", "--agent", "a=scripted:echo", "--set", "search.breadth=3"], "breadth"),
    (["eval", "builtin", "--agent", "a=scripted:echo", "--set", "search.nodes=-3"], "nodes"),
    (["eval", "builtin", "--agent", "a=scripted:echo", "--set", "nonsense"], "nonsense"),
    (["eval", "builtin", "--agent", "a=scripted:echo", "--config", "none.toml"], "none.toml"),
    (["eval", "builtin", "--agent", "a=scripted:echo", "--resume"], "--out"),
    (["train", "--out", "run"], "--agent"),
    (["train", "--out", "run", "--agent", "a=openai:gpt@http://127.0.0.1:9/v1"], "openai"),
    (["train", "--out", "run", "--agent", "a=scripted:echo"], "scripted"),
    (["train", "--out", "run", "--resume"], "run"),
    (["solve", "builtin/sum-of-two"], "OPENAI_BASE_URL"),
    (["solve", "builtin/no-such-problem", "--agent", "a=scripted:echo"], "no-such-problem"),
    (["solve", "none.md", "--tests", "t.json", "--agent", "a=scripted:echo"], "none.md"),
    (["solve", "-", "--agent", "a=scripted:echo"], "--tests"),
    (["verify", "--problems", "none.jsonl", "--submissions", "s.jsonl"], "none.jsonl"),
    (["problems", "list", "martian"], "martian"),
    (["problems", "show", "builtin/no-such-problem"], "no-such-problem"),
    (["frobnicate"], "frobnicate"),
    (["eval", "builtin", "--budget", "0"], "budget"),
]


@pytest.mark.parametrize(("argv", "named"), USAGE, ids=lambda x: " ".join(x)[:60])
def test_usage_errors_name_the_culprit(mars2, tmp_path: Path, argv: list[str], named: str) -> None:
    done = mars2(*argv)
    assert done.code == 2
    assert named in done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_bad_toml_names_file_and_line(mars2, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("seed = = 3\n")
    done = mars2("train", "--config", "bad.toml", "--out", "run")
    assert done.code == 2
    assert "bad.toml" in done.err
    assert "line 1" in done.err
    assert not (tmp_path / "run").exists()


def test_unknown_key_in_toml_is_refused_by_name(mars2, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[search]\nbudget = 3\n")
    done = mars2("train", "--config", "c.toml", "--out", "run")
    assert done.code == 2
    assert "search.budget" in done.err


def test_a_problem_without_tests_names_the_row(mars2, tmp_path: Path) -> None:
    bare = {"id": "x", "statement": "Do it."}
    write_jsonl(tmp_path / "p.jsonl", GOOD, bare)
    done = mars2("eval", "jsonl:p.jsonl", "--agent", "a=scripted:echo", "--out", "run")
    assert done.code == 2
    assert "row 2" in done.err
    assert "tests" in done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["eval", "solve"])
def test_an_endpoint_that_is_down(mars2, tmp_path: Path, command: str) -> None:
    write_jsonl(tmp_path / "p.jsonl", GOOD)
    url = f"http://127.0.0.1:{unused_port()}/v1"
    target = ["eval", "jsonl:p.jsonl"] if command == "eval" else ["solve", "builtin/sum-of-two"]
    done = mars2(*target, "--agent", f"a=openai:some-model@{url}", "--budget", 2)
    assert done.code == 1
    assert url in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("behaviour", ["empty", "prose"])
def test_a_model_that_never_writes_code_scores_zero(mars2, tmp_path: Path, behaviour: str) -> None:
    write_jsonl(tmp_path / "p.jsonl", GOOD)
    done = mars2(
        "eval", "jsonl:p.jsonl", "--agent", f"a=scripted:{behaviour}", "--budget", 3, "--json"
    )
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["agents"]["a"]["pass@1"] == 0
    assert report["team"]["pass@n"] == 0


def test_solving_with_a_model_that_never_writes_code_says_so(mars2) -> None:
    done = mars2("solve", "builtin/sum-of-two", "--agent", "a=scripted:prose", "--budget", 2)
    assert done.code == 1
    assert "no program" in done.out


def test_a_directory_with_content_is_not_overwritten(mars2, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "p.jsonl", GOOD)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious.txt").write_text("mine")
    done = mars2("eval", "jsonl:p.jsonl", "--agent", "a=scripted:echo", "--out", "run")
    assert done.code == 2
    assert "run" in done.err
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["precious.txt"]


SUBMISSIONS = [
    ('{"id": "s", "problem_id": "mine/double", "code": "x", "extra": 1}', "extra"),
    ('{"id": "s", "problem_id": "mine/double"}', "code"),
    ('{"id": "s", "problem_id": "nobody", "code": "x"}', "nobody"),
    ("not json", "row 1"),
    ("", "no submissions"),
]


@pytest.mark.parametrize(("line", "named"), SUBMISSIONS)
def test_bad_submissions(mars2, tmp_path: Path, line: str, named: str) -> None:
    problems = write_jsonl(tmp_path / "p.jsonl", GOOD)
    (tmp_path / "s.jsonl").write_text(line + "\n")
    done = mars2("verify", "--problems", problems, "--submissions", "s.jsonl")
    assert done.code == 2
    assert named in done.err
    assert done.out == ""
