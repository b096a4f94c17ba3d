"""The shipped miniature as a user runs it: killed on the way, resumed, reported, planned with."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

STUDY = Path(__file__).parents[2] / "studies" / "miniature.toml"


def mars2(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mars2.cli.main", "study", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(*words: str, code: int = 0) -> str:
    process = mars2(*words)
    stdout, stderr = process.communicate()
    assert process.returncode == code, stderr
    return stdout


def free(lock: Path) -> bool:
    """Whether nobody holds the study's lock."""
    with open(lock, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_the_miniature_killed_and_resumed(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the miniature trains")
    out, results = tmp_path / "runs", tmp_path / "results"
    words = ("run", str(STUDY), "--runs", str(out))
    first = mars2(*words)
    finished, begun = (out / d / "single/0" for d in ("done", "begun"))
    while not (begun / "train-loom@2.json").exists():  # lark's run is finished, loom's is under way
        assert first.poll() is None, first.communicate()
        time.sleep(0.2)
    time.sleep(1)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    while not free(out / "lock"):  # its cell's process ends with it
        time.sleep(0.1)
    kept = finished / "train-lark@4.json"
    assert kept.exists()
    assert not list(finished.glob("record-*.json"))
    before = kept.stat().st_mtime_ns
    done(*words)
    assert kept.stat().st_mtime_ns == before
    assert sorted(str(p.relative_to(out / "records")) for p in out.glob("records/*/*")) == [
        *("single/0.json", "single/1.json"),
        *("team/0.json", "team/1.json"),
    ]
    records: list[dict[str, Any]] = [json.loads(p.read_text()) for p in out.glob("records/*/*")]
    for record in records:
        for system in record["systems"]:
            assert system["ends"]["in_all"]["spent"]["nodes"] == 512
            assert system["points"][-1]["nodes"] == 512
    # the page is made of the summary alone, and comes out the same
    report = ("report", str(STUDY), "--out", str(results))
    done(*report, "--runs", str(out))
    made = contents(results)
    assert {"summary.json", "report.html", "report.md", "figures/search.svg"} <= set(made)
    assert b"4 of 4 cells" in made["report.md"]
    done(*report, "--from-summary")
    assert contents(results) == made
    # its variances plan another study: too few seeds here for anything, and it says so
    plan = json.loads(
        done("plan", str(STUDY), "--pilot", str(results / "summary.json"), "--json", code=1)
    )
    assert plan["pilot"] == "summary.json"
    assert len(plan["comparisons"]) == 3
