"""Training through the real command, with the packaged micro models, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from background import command, wait_for

from mars2.search.journal import read_journal
from mars2.training.rundir import safe_name

TINY = [
    "--set", "train.trees_per_step=4", "--set", "search.nodes=4", "--set", "learner.min_samples=1",
    "--set", "problems.heldout_limit=3", "--set", "eval.samples=2", "--set", "eval.nodes=3",
    "--set", "train.checkpoint_every=1",
]  # fmt: skip


def test_quickstart_json_has_the_promised_shape(mars2, tmp_path: Path) -> None:
    done = mars2("quickstart", "--out", "run", "--json", "--set", "train.steps=1", *TINY)
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 1
    report = json.loads(done.out)
    assert report["run_dir"] == "run"
    assert report["seconds"] > 0
    for moment in ("before", "after"):
        assert set(report[moment]) == {"agents", "team"}
        assert set(report[moment]["agents"]) == {"lark", "loom"}
        for agent in report[moment]["agents"].values():
            low, high = agent["ci95"]
            assert 0 <= low <= agent["pass@1"] <= high <= 1
        assert {"pass@1", "pass@1(mcts)", "pass@n"} <= set(report[moment]["team"])
    for policy in ("lark", "loom"):
        assert (tmp_path / "run" / "final" / policy / "model.safetensors").exists()
    for name in ("config.json", "manifest.json", "journal.jsonl", "metrics.jsonl", "report.json"):
        assert (tmp_path / "run" / name).exists()
    seen = mars2("report", "run", "--json", "--no-figures")
    assert seen.code == 0, seen.err
    (run,) = json.loads(seen.out)["runs"]
    assert run["notes"] == []
    assert run["rise"]["mean"] == pytest.approx(report["rise"]["mean"])
    assert run["rise"]["ci95"] == pytest.approx(report["rise"]["ci95"])


@pytest.mark.parametrize(
    "stop", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_stopped_run_resumes_and_loses_nothing(mars2, tmp_path: Path, stop: int) -> None:
    run = tmp_path / "run"
    argv = ["quickstart", "--out", run, "--set", "train.steps=3", *TINY]
    process = subprocess.Popen(
        command(*argv),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    wait_for(run / "metrics.jsonl", 1, process)
    wait_for(run / "journal.jsonl", (run / "journal.jsonl").read_bytes().count(b"\n") + 9, process)
    process.send_signal(stop)
    _, err = process.communicate()
    if stop == signal.SIGINT:
        assert process.returncode == 130, err.decode()
        assert b"Traceback" not in err
        assert json.loads((run / "manifest.json").read_text())["status"] == "interrupted"

    refused = mars2(*argv)
    assert refused.code == 2
    assert "--resume" in refused.err
    changed = mars2("quickstart", "--out", run, "--resume", "--set", "learner.lr=0.5")
    assert changed.code == 2
    assert "learner.lr" in changed.err

    done = mars2("quickstart", "--out", run, "--resume", "--json")
    assert done.code == 0, done.err
    assert "resumed after step" in done.err
    assert json.loads(done.out)["steps"] == 3
    steps = [json.loads(x)["step"] for x in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]
    told = Counter(
        (e["tree"], e["node_id"])
        for e in read_journal(run / "journal.jsonl")
        if e["event"] == "tell"
    )
    assert set(told.values()) == {1}
    assert len(told) == 3 * 4 * 4


def test_a_spent_time_budget_is_said(mars2) -> None:
    done = mars2(
        "train", "--out", "run", "--agent", "micro:lark", "--max-tokens", 64, "--steps", 50,
        "--problems", "lab:lists", "--set", "train.time_budget_s=0.01", *TINY,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "of 50 steps: train.time_budget_s = 0.01 was spent" in done.out


def test_frozen_agents_are_named_and_stay(mars2, tmp_path: Path) -> None:
    team = ["--agent", "a=micro:lark", "--agent", "b=micro:loom", "--max-tokens", 32]
    few = ["--steps", 1, "--problems", "lab:lists", "--set", "train.trees_per_step=2"]
    refused = mars2("train", "--out", "run", *team, "--frozen", "c")
    assert refused.code == 2
    assert "the team has a, b" in refused.err
    done = mars2("train", "--out", "run", *team, *few, "--frozen", "b", *TINY)
    assert done.code == 0, done.err
    assert "taking part without learning: b" in done.err
    assert [p.name for p in (tmp_path / "run/final").iterdir()] == [safe_name("micro:lark")]
