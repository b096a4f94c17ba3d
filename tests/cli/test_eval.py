"""`mars2 eval` end to end: every strategy, pass@k, groups, curves, and what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mars2.cli.evaluate import STRATEGIES
from mars2.evaluation.outcomes import EvalResult
from mars2.verifier.cache import VerdictCache

PROBLEMS = [
    {
        "id": f"p{i}",
        "statement": f"Return {i} times x.",
        "entry_point": "f",
        "public_tests": [{"kind": "functional", "args": [0], "expected": 0}],
        "private_tests": [{"kind": "functional", "args": [5], "expected": 5 * i}],
        "difficulty": "easy" if i < 3 else "hard",
        "date": f"2024-0{i}-15",
    }
    for i in (1, 2, 3)
]
# Public tests pass whatever the factor; it is drawn from the seed, so that nodes differ.
AGENT = """
def answer(messages, seed):
    return f"```python\\ndef f(x):\\n    return {seed % 3 + 1} * x\\n```"
"""


@pytest.fixture
def evaluate(mars2, tmp_path: Path):
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(p) + "\n" for p in PROBLEMS))
    (tmp_path / "agent.py").write_text(AGENT)

    def run(*options: object) -> Any:
        agent = f"a=scripted:{tmp_path / 'agent.py'}"
        return mars2("eval", "jsonl:p.jsonl", "--agent", agent, *options)

    return run


def test_results_hold_groups_curves_and_what_they_follow_from(evaluate, tmp_path: Path) -> None:
    options = ("--samples", 4, "--budget", 6, "--k", "1,2,4")
    done = evaluate(*options, "--out", "run", "--json")
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "run" / "results.json").read_text())
    assert found["problem_info"]["p3"] == {
        "difficulty": "hard",
        "date": "2024-03-15",
        "format": "functional",
    }
    assert list(found["groups"]["difficulty"]) == ["easy", "hard"]
    assert list(found["groups"]["month"]) == ["2024-01", "2024-02", "2024-03"]
    agent = found["agents"]["a"]
    assert set(agent["intervals"]) == {"pass@1", "pass@2", "pass@4"}
    assert agent["pass@1"] <= agent["pass@2"] <= agent["pass@4"]
    curve = found["curves"]["pass@n"]
    assert [point[0] for point in curve] == [1, 2, 3, 4, 5, 6]
    assert [point[1] for point in curve] == sorted(point[1] for point in curve)
    assert found["curves"]["pass@1(mcts)"][-1][1] == found["team"]["pass@1(mcts)"]
    assert found["spent"]["nodes"] == 3 * (4 + 6)
    assert found["spent_alone"]["a"]["nodes"] == 12
    again = EvalResult.from_json(found["outcomes"])
    assert again.summary(ks=[2, 4])["agents"] == found["agents"]
    table = evaluate(*options).out
    for text in ("| a    | pass@4", "by difficulty", "by month", "by nodes of the tree"):
        assert text in table


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_of_search_can_be_evaluated(evaluate, strategy: str) -> None:
    done = evaluate("--strategy", strategy, "--budget", 3, "--samples", 1, "--limit", 1, "--json")
    assert done.code == 0, done.err
    assert len(json.loads(done.out)["curves"]["pass@n"]) == 3


@pytest.mark.parametrize(
    ("ks", "said"),
    [
        ("8", "pass@8 is estimated from at least 8 independent first attempts, and there are 2"),
        ("0,1", "pass@0 does not exist"),
        ("1;2", "is no list of numbers such as 1,4,8"),
    ],
)
def test_impossible_ks_are_refused_before_anything_runs(
    evaluate, tmp_path: Path, ks: str, said: str
) -> None:
    done = evaluate("--samples", 2, "--k", ks, "--budget", 64, "--out", "run")
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_judges_no_program_again(
    evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--samples", 2, "--budget", 4, "--out", "run", "--json")
    first = json.loads(evaluate(*options).out)
    # As after a kill before the end: nothing but the journal and the verdicts.
    (tmp_path / "run" / "results.json").unlink()
    kept = VerdictCache.single_flight

    async def only_kept(self: VerdictCache, key: str, judge: Any) -> Any:
        async def fail() -> Any:
            raise AssertionError("judged again")

        return await kept(self, key, fail)

    monkeypatch.setattr(VerdictCache, "single_flight", only_kept)
    done = evaluate(*options, "--resume", "--k", "1,2")
    assert done.code == 0, done.err
    again = json.loads(done.out)
    for key in ("agents", "team", "curves", "groups"):
        assert again[key] == first[key]


def test_an_agent_cannot_have_the_name_of_the_trees(evaluate, mars2, tmp_path: Path) -> None:
    done = mars2("eval", "jsonl:p.jsonl", "--agent", f"team=scripted:{tmp_path / 'agent.py'}")
    assert done.code == 2
    assert 'an agent is called "team"' in done.err


@pytest.mark.slow
def test_a_killed_evaluation_resumes_to_the_same_results(evaluate, tmp_path: Path) -> None:
    options = ("--samples", 4, "--budget", 40, "--set=search.concurrency=2", "--json")
    whole = json.loads(evaluate(*options, "--out", "whole").out)
    argv = ["eval", "jsonl:p.jsonl", "--agent", f"a=scripted:{tmp_path / 'agent.py'}"]
    argv += [str(option) for option in options]
    journal = tmp_path / "run" / "journal.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", "from mars2.cli.main import main; main()", *argv, "--out", "run"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and (not journal.exists() or journal.stat().st_size < 40_000):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run" / "results.json").exists()
    kept = journal.read_bytes().count(b'"event":"tell"')
    done = evaluate(*options, "--out", "run", "--resume")
    assert done.code == 0, done.err
    again = json.loads(done.out)
    for key in ("agents", "team", "curves", "groups"):
        assert again[key] == whole[key]
    assert again["spent"]["nodes"] == whole["spent"]["nodes"] == 3 * 44
    assert 0 < kept < 3 * 44
    assert journal.read_bytes().count(b'"event":"tell"') == 3 * 44
