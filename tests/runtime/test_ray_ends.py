"""How a run on Ray ends: interrupted, or because the cluster does not have what it asks for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from ray_kit import descendants, differences, outliving, start, tells, write_config

pytest.importorskip("ray", reason="needs mars2[ray]")
pytestmark = pytest.mark.slow


def wait_for_nodes(run: subprocess.Popen[bytes], out: Path, count: int) -> list[int]:
    """Until the run has told so many nodes; its processes."""
    while len(tells(out)) < count:
        assert run.poll() is None, out.with_suffix(".log").read_text()[-3000:]
        time.sleep(0.05)
    return [run.pid, *descendants(run.pid)]


def test_interrupted_runs_end_clean_and_go_on_under_any_runtime(tmp_path: Path) -> None:
    config, out, plain = write_config(tmp_path / "c.toml"), tmp_path / "out", tmp_path / "plain"
    run = start(config, out, "--runtime", "ray")
    family = wait_for_nodes(run, out, 5)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: all processes of the group get it
    assert run.wait() == 130
    assert json.loads((out / "manifest.json").read_text())["status"] == "interrupted"
    run = start(config, out, "--runtime", "ray")
    family += wait_for_nodes(run, out, 30)
    run.send_signal(signal.SIGTERM)
    assert run.wait() == 130
    assert not outliving(family)
    assert out.with_suffix(".json").read_bytes() == b""  # nothing but data goes there
    assert start(config, out, "--runtime", "local").wait() == 0
    assert start(config, plain, "--runtime", "local").wait() == 0
    assert differences(plain, out) == []


def test_a_cluster_that_is_too_small_says_what_was_asked(tmp_path: Path) -> None:
    config, out = write_config(tmp_path / "c.toml"), tmp_path / "out"
    run = start(config, out, "--runtime", "ray", "--set", "runtime.cpus=2")
    assert run.wait() == 1
    said = out.with_suffix(".log").read_text()
    assert "does not have the 4 CPU that this run asks for; it has 2 CPU (2 free)" in said
    assert "policy micro:lark: 3 CPU\n  verifiers: 1 CPU" in said
    assert not out.exists()


def test_no_cluster_at_the_address(tmp_path: Path) -> None:
    config, out = write_config(tmp_path / "c.toml"), tmp_path / "out"
    run = start(config, out, "--runtime", "ray", "--ray-address", "127.0.0.1:1")
    assert run.wait() == 1
    assert "no Ray cluster can be used at 127.0.0.1:1" in out.with_suffix(".log").read_text()
    assert not out.exists()
