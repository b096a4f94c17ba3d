"""What a user sees when all is well: data on stdout, the rest on stderr."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

DOUBLE = "def double(x):\n    return 2 * x\n"
PROBLEM = {
    "id": "mine/double",
    "statement": "Return twice x.",
    "entry_point": "double",
    "public_tests": [{"kind": "functional", "args": [2], "expected": 4}],
    "private_tests": [{"kind": "functional", "args": [5], "expected": 10}],
}
# Wrong at first; right once the prompt shows the failure.
LEARNER = """
def answer(messages, seed):
    seen = messages[-1].content
    right = "expected" in seen.lower() and "x * x * x" in seen
    body = "2 * x" if right else "x * x * x"
    return "```python\\ndef double(x):\\n    return " + body + "\\n```"
"""


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(PROBLEM) + "\n")
    return path


@pytest.fixture
def learner(tmp_path: Path) -> str:
    (tmp_path / "learner.py").write_text(LEARNER)
    return f"scripted:{tmp_path / 'learner.py'}"


def test_verify_writes_one_verdict_a_line_in_order(mars2, problems: Path, tmp_path: Path) -> None:
    rows = [
        {"id": "good", "problem_id": "mine/double", "code": DOUBLE},
        {"id": "bad", "problem_id": "mine/double", "code": "def double(x):\n    return x\n"},
        {"id": "talk", "problem_id": "mine/double", "completion": "I would double it."},
        {"id": "odd", "problem_id": "mine/double", "code": "x = '\ud800'\n"},
        {"id": "told", "problem_id": "mine/double", "completion": f"Sure:\n```\n{DOUBLE}```"},
    ]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    done = mars2("verify", "--problems", problems, "--submissions", "s.jsonl", "--json")
    assert done.code == 0, done.err
    verdicts = [json.loads(line) for line in done.out.splitlines()]
    assert [(v["id"], v["status"]) for v in verdicts] == [
        ("good", "passed"),
        ("bad", "wrong_answer"),
        ("talk", "no_code"),
        ("odd", "compile_error"),
        ("told", "passed"),
    ]
    assert verdicts[0]["passed"] == verdicts[0]["total"] == 2
    assert verdicts[1]["tests"][0]["status"] == "wrong_answer"


def test_verify_takes_the_body_that_continues_the_starter_code(
    mars2, problems: Path, tmp_path: Path
) -> None:
    whole = PROBLEM | {"starter_code": "def double(x):\n"}
    problems.write_text(json.dumps(whole) + "\n")
    row = {"id": "body", "problem_id": "mine/double", "completion": "    return 2 * x\n"}
    (tmp_path / "s.jsonl").write_text(json.dumps(row) + "\n")
    done = mars2("verify", "--problems", problems, "--submissions", "s.jsonl", "--json")
    assert json.loads(done.out)["status"] == "passed", done.err


def test_eval_reports_and_keeps_a_run(mars2, problems: Path, learner: str, tmp_path: Path) -> None:
    argv = ["eval", f"jsonl:{problems}", "--agent", f"a={learner}", "--budget", 6, "--samples", 2]
    done = mars2(*argv, "--out", "run", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["agents"]["a"]["pass@1"] == 0
    assert report["team"]["pass@n"] == report["team"]["pass@1(mcts)"] == 1
    assert (tmp_path / "run" / "results.json").exists()
    again = mars2(*argv, "--out", "run", "--resume", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["team"] == report["team"]
    other = mars2(*argv, "--out", "run", "--resume", "--seed", 5)
    assert other.code == 2
    assert "seed: 0 -> 5" in other.err


def test_eval_is_the_same_every_time(mars2, problems: Path, learner: str) -> None:
    def run() -> object:
        done = mars2("eval", f"jsonl:{problems}", "--agent", f"a={learner}", "--json")
        report = json.loads(done.out)
        return {k: report[k] for k in ("agents", "team")}

    assert run() == run()


def test_solve_refines_until_it_passes(mars2, problems: Path, learner: str) -> None:
    done = mars2(
        "solve", "mine/double", "--source", f"jsonl:{problems}", "--agent", f"a={learner}",
        "--budget", 12, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["solved"] is True
    assert "2 * x" in answer["code"]


def test_solve_takes_a_statement_from_stdin(
    mars2, learner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = PROBLEM["public_tests"]
    (tmp_path / "tests.json").write_text(json.dumps(tests))
    monkeypatch.setattr("sys.stdin", io.StringIO("# Double\n\nReturn twice x."))
    done = mars2(
        "solve", "-", "--tests", "tests.json", "--entry-point", "double",
        "--agent", f"a={learner}", "--budget", 12,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "return 2 * x" in done.out


def test_problems_are_listed_and_shown_without_their_private_tests(mars2, problems: Path) -> None:
    listed = mars2("problems", "list", f"jsonl:{problems}", "--json")
    assert [json.loads(x)["id"] for x in listed.out.splitlines()] == ["mine/double"]
    shown = mars2("problems", "show", "mine/double", "--source", f"jsonl:{problems}", "--json")
    problem = json.loads(shown.out)
    assert problem["public_tests"]
    assert "private_tests" not in problem


def test_doctor_judges_real_programs(mars2) -> None:
    done = mars2("doctor", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["verifier"]["right program"] == "passed"
    assert report["verifier"]["wrong program"] == "wrong_answer"


def test_version_and_help(mars2) -> None:
    assert mars2("--version").out.startswith("mars2, version ")
    assert "quickstart" in mars2("--help").out
