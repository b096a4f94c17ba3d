"""`mars2 verify` for people: formats in and out, resuming, one verdict in full."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

from mars2.cli.verify_journal import Journal
from mars2.errors import ResumeError
from mars2.types import Problem, Status, Verdict
from mars2.verifier import Verifier

STDIN = [{"kind": "stdin", "input": f"{k}\n", "expected": f"{2 * k}\n"} for k in range(3)]
PROBLEMS = [
    {"id": "double", "statement": "Twice.", "public_tests": STDIN[:1], "private_tests": STDIN[1:]},
    {
        "id": "half",
        "statement": "Half.",
        "entry_point": "half",
        "starter_code": "def half(x):\n",
        "public_tests": [{"kind": "functional", "args": [4], "expected": [2, "ab"]}],
    },
]
GOOD, BAD = "print(2 * int(input()))\n", "print(int(input()))\n"
HALF = "def half(x):\n    return [x // 2, 'ab']\n"


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    return write(tmp_path / "p.jsonl", PROBLEMS)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    rows = [
        {"id": "g", "problem_id": "double", "code": GOOD},
        {"id": "b", "problem_id": "double", "code": BAD},
        {"id": "h", "problem_id": "half", "code": HALF},
    ]
    return write(tmp_path / "s.jsonl", rows)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids in the order in which real judging began."""
    ids: list[str] = []
    real = Verifier.verify

    async def verify(self: Verifier, problem: Problem, code: str | None, **how: Any) -> Verdict:
        ids.append(how["id"])
        return await real(self, problem, code, **how)

    monkeypatch.setattr(Verifier, "verify", verify)
    return ids


def argv(problems: Path, submissions: Path, *more: object) -> list[object]:
    return ["verify", "--problems", problems, "--submissions", submissions, *more]


# --------------------------------------------------------------------------- LiveCodeBench


def lcb_rows() -> list[dict[str, Any]]:
    return [
        {"question_id": "half", "code_list": [HALF, "def half(x):\n    return 1\n"]},
        {"question_id": "double", "code_list": [GOOD, GOOD]},
    ]


def test_livecodebench_in_and_out(mars2, problems: Path, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(lcb_rows()))
    done = mars2(*argv(problems, tmp_path / "s.json", "--output", "r_eval_all.json"))
    assert done.code == 0, done.err
    every = json.loads((tmp_path / "r_eval_all.json").read_text())
    assert [row["question_id"] for row in every] == ["double", "half"]  # as there: sorted
    assert [row["graded_list"] for row in every] == [[True, True], [True, False]]
    assert [row["pass@1"] for row in every] == [1.0, 0.5]
    assert every[1]["code_list"] == every[1]["output_list"] == lcb_rows()[0]["code_list"]
    assert {"question_title", "question_content", "platform", "contest_id"} <= every[0].keys()
    metadata = [json.loads(text) for text in every[1]["metadata"]]
    assert metadata[0].keys() == {"execution time"}
    assert metadata[1]["error_code"] == -2
    metrics, results, beside = json.loads((tmp_path / "r_eval.json").read_text())
    assert metrics["pass@1"] == 0.75
    assert metrics["detail"] == {"pass@1": {"0": 1.0, "1": 0.5}}
    assert math.isclose(metrics["pass@1_stderr"], 0.25)
    assert results == {"0": [[True] * 3, [True] * 3], "1": [[True], [-2]]}
    assert beside == [row["metadata"] for row in every]
    assert not (tmp_path / "r_eval_all.json.partial").exists()
    # what was written can be read again
    again = mars2(*argv(problems, tmp_path / "r_eval_all.json", "--json"))
    assert [json.loads(line)["id"] for line in again.out.splitlines()] == [
        *("double/0", "double/1", "half/0", "half/1")
    ]


def test_livecodebench_wants_every_problem(mars2, problems: Path, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(lcb_rows()[:1]))
    done = mars2(*argv(problems, tmp_path / "s.json", "--output", "r.json"))
    assert done.code == 2
    assert "missing: 'double'" in done.err
    assert done.out == ""
    assert not list(tmp_path.glob("r.json*"))


# --------------------------------------------------------------------------- EvalPlus


def test_evalplus_in_and_out(mars2, problems: Path, tmp_path: Path) -> None:
    samples = [
        {"task_id": "half", "completion": "    return [x // 2, 'ab']\n"},
        {"task_id": "half", "solution": "def half(x):\n    while True: pass\n"},
        {"task_id": "half", "solution": "def half(x):\n    return 0\n"},
    ]
    path = write(tmp_path / "samples.jsonl", samples)
    more = ("--output", "samples_eval_results.json", "--time-limit", 0.2)
    done = mars2(*argv(problems, path, *more))
    assert done.code == 0, done.err
    results = json.loads((tmp_path / "samples_eval_results.json").read_text())
    assert results.keys() == {"date", "hash", "eval", "pass_at_k"}
    rows = results["eval"]["half"]
    assert [row["base_status"] for row in rows] == ["pass", "timeout", "fail"]
    assert rows[0] == {
        "task_id": "half",
        "solution": "def half(x):\n    return [x // 2, 'ab']\n",
        "base_status": "pass",
        "plus_status": None,
        "base_fail_tests": [],
        "plus_fail_tests": [],
    }
    assert rows[2]["base_fail_tests"] == ["half(4)"]
    assert results["pass_at_k"]["base"] == {"pass@1": pytest.approx(1 / 3)}


def test_our_own_results_are_the_lines_of_stdout(mars2, problems, own, tmp_path: Path) -> None:
    done = mars2(*argv(problems, own, "--output", "r.jsonl", "--json"))
    assert (tmp_path / "r.jsonl").read_text() == done.out
    more = ("--output", "r.json", "--output-format", "evalplus")
    assert mars2(*argv(problems, own, *more)).code == 0
    assert set(json.loads((tmp_path / "r.json").read_text())["eval"]) == {"double", "half"}


def test_the_summary_counts_and_rates(mars2, problems: Path, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(lcb_rows()))
    done = mars2(*argv(problems, tmp_path / "s.json", "--json"))
    lines = [line.split("│") for line in done.err.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert ["passed", "3", "75.0%"] in cells
    assert ["wrong_answer", "1", "25.0%"] in cells
    assert ["pass@1", "0.750", "2 problems"] in cells
    assert len(done.out.splitlines()) == 4


# --------------------------------------------------------------------------- infrastructure


@pytest.fixture
def one_fails(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """While `now` is set, the program BAD cannot be judged."""
    state = {"now": True}
    real = Verifier.verify

    async def verify(self: Verifier, problem: Problem, code: str | None, **how: Any) -> Verdict:
        if state["now"] and code == BAD:
            given = {"id": how["id"], "problem_id": problem.id, "passed": 0, "total": 3}
            return Verdict(status=Status.INFRA, **given)
        return await real(self, problem, code, **how)

    monkeypatch.setattr(Verifier, "verify", verify)
    return state


def test_what_could_not_be_judged_is_no_failure(
    mars2, problems: Path, tmp_path: Path, one_fails: dict[str, bool]
) -> None:
    rows = [
        {"question_id": "half", "code_list": [HALF, HALF]},
        {"question_id": "double", "code_list": [GOOD, BAD]},
    ]
    (tmp_path / "s.json").write_text(json.dumps(rows))
    run = argv(problems, tmp_path / "s.json", "--output", "r.json")
    done = mars2(*run)
    assert done.code == 1
    assert "--resume" in done.err
    double = json.loads((tmp_path / "r.json").read_text())[0]
    assert double["graded_list"] == [True, None]
    assert double["pass@1"] == 1.0
    assert json.loads((tmp_path / "r_eval.json").read_text())[0]["pass@1"] == 1.0
    assert (tmp_path / "r.json.partial").exists()
    one_fails["now"] = False
    again = mars2(*run, "--resume")
    assert again.code == 0, again.err
    assert json.loads((tmp_path / "r.json").read_text())[0]["graded_list"] == [True, False]
    assert not (tmp_path / "r.json.partial").exists()


# --------------------------------------------------------------------------- resuming


@pytest.fixture
def interrupted(
    mars2, problems: Path, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[object]:
    """A run that Ctrl-C ended when "h" was judged before "b", which is waited for; its argv."""
    real = Verifier.verify

    async def verify(self: Verifier, problem: Problem, code: str | None, **how: Any) -> Verdict:
        if how["id"] == "b":
            text = ""
            while not ('"g"' in text and '"h"' in text):
                await asyncio.sleep(0.01)
                text = (tmp_path / "r.jsonl.partial").read_text()
            raise KeyboardInterrupt
        return await real(self, problem, code, **how)

    run = argv(problems, own, "--output", "r.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(Verifier, "verify", verify)
        done = mars2(*run)
    assert done.code == 130
    assert "r.jsonl.partial" in done.err
    assert "--resume" in done.err
    assert not (tmp_path / "r.jsonl").exists()
    return run


def test_nothing_judged_is_lost_and_resuming_judges_the_rest(
    mars2, interrupted: list[object], tmp_path: Path, judged: list[str]
) -> None:
    done = mars2(*interrupted, "--resume", "--json")
    assert done.code == 0, done.err
    assert judged == ["b"]
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [(v["id"], v["status"]) for v in found] == [
        ("g", "passed"),
        ("b", "wrong_answer"),
        ("h", "passed"),
    ]
    assert (tmp_path / "r.jsonl").read_text() == done.out
    assert not (tmp_path / "r.jsonl.partial").exists()


def test_a_torn_last_line_is_judged_again(
    mars2, interrupted: list[object], tmp_path: Path, judged: list[str]
) -> None:
    partial = tmp_path / "r.jsonl.partial"
    partial.write_text(partial.read_text()[:-5])
    assert mars2(*interrupted, "--resume").code == 0
    assert sorted(judged) in (["b", "h"], ["b", "g"])


def test_an_interrupted_run_is_not_overwritten(mars2, interrupted: list[object]) -> None:
    done = mars2(*interrupted)
    assert done.code == 2
    assert "--resume" in done.err


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--profile", "lcb"), "profile: 'native' -> 'lcb'"),
        (("--time-limit", 1), "time_limit_s: 6.0 -> 1.0"),
        (("--tests", "public"), "tests: 'all' -> 'public'"),
        (("--all-tests",), "all_tests: False -> True"),
    ],
)
def test_other_settings_are_refused_by_name(
    mars2, interrupted: list[object], more: tuple[object, ...], named: str
) -> None:
    done = mars2(*interrupted, "--resume", *more)
    assert done.code == 2
    assert named in done.err
    assert done.out == ""


def test_other_submissions_or_problems_are_refused(
    mars2, interrupted: list[object], problems: Path, own: Path
) -> None:
    own.write_text(own.read_text().replace("2 * int", "3 * int"))
    assert "submissions: " in mars2(*interrupted, "--resume").err
    problems.write_text(problems.read_text().replace("Twice.", "Thrice."))
    assert "problems: " in mars2(*interrupted, "--resume").err


def test_workers_may_change_and_a_damaged_journal_is_refused(
    mars2, interrupted: list[object], tmp_path: Path
) -> None:
    partial = tmp_path / "r.jsonl.partial"
    good = partial.read_text()
    partial.write_text(good + "nonsense\n")
    done = mars2(*interrupted, "--resume")
    assert (done.code, "damaged" in done.err) == (2, True)
    partial.write_text(good)
    assert mars2(*interrupted, "--resume", "--workers", 1).code == 0


def test_resume_starts_where_there_is_nothing_to_resume(mars2, problems, own, tmp_path) -> None:
    assert mars2(*argv(problems, own, "--output", "r.jsonl", "--resume")).code == 0
    assert (tmp_path / "r.jsonl").exists()


def test_what_follows_a_torn_line_is_not_lost(tmp_path: Path) -> None:
    def verdict(id: str) -> Verdict:
        return Verdict(id=id, status=Status.PASSED, passed=1, total=1)

    journal = Journal(tmp_path / "r", {"a": 1}, resume=False)
    journal.add(verdict("é"))
    journal.close()
    with open(journal.path, "a") as file:
        file.write('{"id": "torn", "sta')
    for id, done in (("2", ["é"]), ("3", ["é", "2"])):
        journal = Journal(tmp_path / "r", {"a": 1}, resume=True)
        assert list(journal.done) == done
        journal.add(verdict(id))
        journal.close()


def test_two_runs_do_not_share_a_journal(tmp_path: Path) -> None:
    first = Journal(tmp_path / "r", {}, resume=False)
    with pytest.raises(ResumeError, match="in use"):
        Journal(tmp_path / "r", {}, resume=True)
    first.close()


USAGE = [
    (("--resume",), "--output"),
    (("--output-format", "lcb"), "--output"),
    (("--results", "r.jsonl"), "--explain"),
    (("--explain", "g", "--output", "r.jsonl"), "--output"),
    (("--explain", "zz"), "'zz'"),
    (("--explain", "g", "--results", "none.jsonl"), "none.jsonl"),
    (("--output", "no/where.jsonl"), "no"),
    (("--output", "s.jsonl"), "replace the submissions"),
    (("--time-limit", 0), "time_limit_s"),
    (("--memory-limit", 1), "memory_limit_mb"),
    (("--format", "lcb"), "question_id"),
    (("--cache", "p.jsonl"), "cache"),
    (("--cache", "p.jsonl", "--output", "r.jsonl"), "cache"),
    (("--backend", "nonsense", "--output", "r.jsonl"), "'nonsense'"),
]


@pytest.mark.parametrize(("more", "named"), USAGE)
def test_usage_errors_write_nothing(
    mars2, problems: Path, own: Path, tmp_path: Path, more: tuple[object, ...], named: str
) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = mars2(*argv(problems, own, *more))
    assert done.code == 2, done.err
    assert named in done.err
    assert done.out == ""
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_cache_directory_answers_the_next_run(mars2, problems, own, tmp_path: Path) -> None:
    def hits(text: str) -> list[str]:
        lines = [line.split("│") for line in text.splitlines() if "from cache" in line]
        return [cell.strip() for cell in lines[0] if cell.strip()]

    first = mars2(*argv(problems, own, "--cache", tmp_path / "c", "--json"))
    again = mars2(*argv(problems, own, "--cache", tmp_path / "c", "--json"))
    assert (first.code, again.code) == (0, 0)
    assert first.out == again.out
    assert (hits(first.err), hits(again.err)) == (["from cache", "0"], ["from cache", "3"])
    other = mars2(*argv(problems, own, "--cache", tmp_path / "c", "--json", "--time-limit", 1))
    assert hits(other.err) == ["from cache", "0"]


# --------------------------------------------------------------------------- one verdict


def test_explain_shows_one_verdict_in_full(mars2, problems, own, judged: list[str]) -> None:
    done = mars2(*argv(problems, own, "--explain", "b", "--all-tests"))
    assert done.code == 0, done.err
    assert judged == ["b"]
    text = done.out
    assert "verdict     wrong_answer" in text
    assert "tests       1 of 3 passed, 3 judged" in text
    assert "  1 | print(int(input()))" in text
    assert "test 1 of 3 (public): passed" in text
    assert "test 2 of 3 (private): wrong_answer" in text
    assert "line 1, word 1: '2' is expected, not '1'" in text
    assert "  > | 2\n    | ^\n" in text


def test_explain_marks_the_line_that_raised_and_makes_output_harmless(
    mars2, problems: Path, tmp_path: Path
) -> None:
    code = "x = int(input())\nprint('\\x1b[2J\\u202e')\nraise ValueError('no \\x07')\n"
    path = write(tmp_path / "s.jsonl", [{"id": "e", "problem_id": "double", "code": code}])
    done = mars2(*argv(problems, path, "--explain", "e"))
    assert "> 3 | raise ValueError('no \\x07')" in done.out
    assert "runtime_error" in done.out
    assert "  traceback:" in done.out
    assert "2 more not judged" in done.out
    assert "\\x1b[2J\\u202e" in done.out
    assert not {"\x1b", "\x07", "\u202e"} & set(done.out)


def test_explain_uses_verdicts_of_an_earlier_run(
    mars2, problems: Path, own: Path, tmp_path: Path, judged: list[str]
) -> None:
    mars2(*argv(problems, own, "--output", "r.jsonl"))
    judged.clear()
    done = mars2(*argv(problems, own, "--explain", "h", "--results", "r.jsonl"))
    assert done.code == 0, done.err
    assert judged == []
    assert "half(4)" in done.out
    machine = mars2(*argv(problems, own, "--explain", "b", "--results", "r.jsonl", "--json"))
    assert json.loads(machine.out)["status"] == "wrong_answer"
    assert "verdict     wrong_answer" in machine.err
    write(tmp_path / "odd.jsonl", [{"not": "a verdict"}])
    odd = mars2(*argv(problems, own, "--explain", "b", "--results", "odd.jsonl"))
    assert (odd.code, "row 1" in odd.err) == (2, True)
