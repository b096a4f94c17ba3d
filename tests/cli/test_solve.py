"""`mars2 solve`: budgets, presets, and what is left of an interrupted search."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from background import command

from mars2.types import FunctionalTest, Problem

PROBLEM = Problem(
    id="mine/double",
    statement="Return twice x.",
    entry_point="double",
    public_tests=[FunctionalTest(args=[2], expected=4), FunctionalTest(args=[3], expected=6)],
)
SLOW = """
import asyncio
count = 0
async def answer(messages, seed):
    global count
    count += 1
    if count > 3:
        await asyncio.sleep(600)
    return f"```python\\ndef double(x):\\n    return {'x * x' if count == 2 else 0}\\n```"
"""
BLOCKING = SLOW.replace("async def", "def").replace("await asyncio", "__import__('time')")
NEVER = "def answer(messages, seed):\n    return '```python\\ndef double(x): return 0\\n```'\n"


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "p.jsonl"
    path.write_text(PROBLEM.model_dump_json() + "\n")
    return f"jsonl:{path}"


@pytest.mark.parametrize("script", [SLOW, BLOCKING], ids=["waiting", "blocking"])
def test_ctrl_c_prints_the_best_program_so_far(source: str, tmp_path: Path, script: str) -> None:
    (tmp_path / "slow.py").write_text(script)
    process = subprocess.Popen(
        command(
            *("solve", PROBLEM.id, "--source", source, "--budget", 9),
            *("--agent", f"a=scripted:{tmp_path / 'slow.py'}"),
            *("--set", "search.in_flight=1", "--set", "search.strategy=repeated"),
            *("--set", "credit.reward=fraction"),
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    try:
        lines = [process.stderr.readline() for _ in range(3)]
        assert "3 a" in lines[2], lines
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "def double" in out
    assert "interrupted after 3 nodes; the best so far is node" in err


def test_budgets_and_presets(mars2, source: str, tmp_path: Path) -> None:
    (tmp_path / "never.py").write_text(NEVER)
    agent = f"a=scripted:{tmp_path / 'never.py'}"
    done = mars2(
        "solve", PROBLEM.id, "--source", source, "--agent", agent, "--budget", 3,
        "--preset", "mars2", "--json",
    )  # fmt: skip
    assert done.code == 1
    report = json.loads(done.out)
    assert report["nodes"] == report["spent"]["nodes"] == 3
    without = mars2(
        "solve", PROBLEM.id, "--source", source, "--agent", agent, "--preset", "mars2-t+"
    )
    assert without.code == 2
    assert "inference.selector is 'combined', which needs a reward model" in without.err
    agreeing = mars2(
        "solve", PROBLEM.id, "--source", source, "--agent", agent, "--preset", "mars2-t+",
        "--set", "inference.selector=agreement", "--budget", 4, "--json",
    )  # fmt: skip
    assert agreeing.code == 1
    assert json.loads(agreeing.out)["nodes"] == 4
