"""`mars2 train` with learners spread over two processes: real micro models, real ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from background import command, wait_for

pytestmark = pytest.mark.slow

TINY = [
    "--set", "train.trees_per_step=4", "--set", "search.nodes=4", "--set", "learner.min_samples=1",
    "--set", "problems.heldout_limit=1", "--set", "eval.samples=1", "--set", "eval.nodes=1",
    "--set", "train.checkpoint_every=1", "--set", "train.time_budget_s=600",
]  # fmt: skip
TWO = ["--set", "learner.shards=2"]


def start(argv: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,  # so that Ctrl-C can be sent as a terminal sends it
    )


def quickstart(run: Path, steps: int, *more: str) -> list[str]:
    return command("quickstart", "--out", run, "--set", f"train.steps={steps}", *TINY, *more)


def finish(process: subprocess.Popen[bytes], code: int = 0) -> str:
    err = process.communicate()[1].decode()
    assert process.returncode == code, err
    return err


def learnt(run: Path) -> dict[str, int]:
    notes = {p.parent.name: p for p in run.glob("final/*/mars2.json")}
    return {name: json.loads(path.read_text())["version"] for name, path in notes.items()}


def ranks(run: subprocess.Popen[bytes]) -> list[int]:
    """Processes of a run that serve its sharded learners."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            words = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == run.pid and b"sharded import serve" in words:
            found.append(int(path.name))
    return found


def test_saved_at_two_resumed_at_one_and_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    finish(start(quickstart(run, 2, *TWO)))
    assert learnt(run) == {"lark": 2, "loom": 2}
    more = quickstart(run, 3, "--resume", "--set", "learner.shards=1")
    assert "resumed after step 2" in finish(start(more))
    assert "resumed after step 3" in finish(start(quickstart(run, 4, "--resume", *TWO)))
    assert learnt(run) == {"lark": 4, "loom": 4}
    assert json.loads((run / "manifest.json").read_text())["status"] == "finished"


def test_torchrun_starts_the_ranks(tmp_path: Path) -> None:
    run = tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "-m"]
    argv = quickstart(run, 1, *TWO)[2:]  # from the module's name on
    finish(start([*torchrun, *argv]))
    assert learnt(run) == {"lark": 1, "loom": 1}


def test_a_killed_rank_ends_the_run_and_says_so(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(quickstart(run, 50, *TWO))
    wait_for(run / "metrics.jsonl", 1, process)
    (rank,) = ranks(process)
    os.kill(rank, signal.SIGKILL)
    assert "error: the sharded learner is lost" in (said := finish(process, 1))
    assert "rank 1 ended with signal 9" in said
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["status"] == "failed"
    assert "rank 1 ended with signal 9" in manifest["error"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_no_rank_outlives_the_run(tmp_path: Path, stop: int) -> None:
    run = tmp_path / "run"
    process = start(quickstart(run, 50, *TWO))
    wait_for(run / "metrics.jsonl", 1, process)
    (rank,) = ranks(process)
    if stop == signal.SIGINT:
        os.killpg(process.pid, stop)
        finish(process, 130)
    else:
        process.kill()
        finish(process, -stop)
    while Path(f"/proc/{rank}").exists():  # a hang is the test runner's to end
        time.sleep(0.05)
