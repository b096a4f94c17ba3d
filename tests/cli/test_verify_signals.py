"""`mars2 verify` as a process of its own that somebody ends: nothing judged is lost."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from background import command, wait_for

TEST = {"kind": "stdin", "input": "1\n", "expected": "2\n"}
QUICK, SLOW = "print(2 * int(input()))\n", "import time\ntime.sleep(1000)\n"


def setting(folder: Path, slow_limit: float) -> list[object]:
    """One program that is judged at once and one that takes `slow_limit` seconds; the argv."""
    problems = [
        {"id": "quick", "statement": "", "public_tests": [TEST]},
        {"id": "slow", "statement": "", "public_tests": [TEST], "time_limit_s": slow_limit},
    ]
    rows = [
        {"id": "s", "problem_id": "slow", "code": SLOW},
        {"id": "q", "problem_id": "quick", "code": QUICK},
    ]
    for name, values in (("p", problems), ("s", rows)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(v) + "\n" for v in values))
    paths = (f"{folder}/p.jsonl", "--submissions", f"{folder}/s.jsonl")
    return ["verify", "--problems", *paths, "--output", folder / "r.jsonl"]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_what_was_judged_outlives_the_process(
    mars2, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    argv = setting(tmp_path, 900.0)
    partial = tmp_path / "r.jsonl.partial"
    process = subprocess.Popen(command(*argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(partial, 2, process)  # the settings, and "q"
    process.send_signal(sent)
    _, err = process.communicate()
    assert process.returncode == code
    assert b"Traceback" not in err
    if sent is signal.SIGINT:
        assert b"--resume" in err
    assert [json.loads(line).get("id") for line in partial.read_text().splitlines()] == [None, "q"]
    assert not (tmp_path / "r.jsonl").exists()


def test_resuming_after_an_interrupt_judges_the_rest_only(mars2, tmp_path: Path) -> None:
    argv = setting(tmp_path, 3.0)
    process = subprocess.Popen(command(*argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(tmp_path / "r.jsonl.partial", 2, process)
    process.send_signal(signal.SIGINT)
    process.communicate()
    done = mars2(*argv, "--resume", "--json")
    assert done.code == 0, done.err
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [(v["id"], v["status"]) for v in found] == [("s", "time_limit"), ("q", "passed")]
