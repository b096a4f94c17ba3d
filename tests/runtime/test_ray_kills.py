"""kill -9 of every kind of process, at random moments: the run ends as if nothing had happened.

`MARS2_RAY_KILLS` says how often in all (docs/ray.md tells of 20), `MARS2_RAY_SEED` which moments.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest
from ray_kit import ACTORS, KINDS, differences, run_with_kills, start, tells, write_config

pytest.importorskip("ray", reason="needs mars2[ray]")
pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("MARS2_RAY_KILLS", "3"))
SEED = int(os.environ.get("MARS2_RAY_SEED", "0"))
NODES = 80  # of a whole run


def test_killed_processes_change_nothing(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.toml")
    plain = tmp_path / "plain"
    assert start(config, plain, "--runtime", "local").wait() == 0
    assert len(tells(plain)) == NODES
    draw = random.Random(SEED)
    rounds = -(-KILLS // len(KINDS))
    left = [kind for _ in range(rounds) for kind in draw.sample(KINDS, len(KINDS))][:KILLS]
    for number in range(rounds):
        out = tmp_path / f"killed-{number}"
        kinds, left = left[: len(KINDS)], left[len(KINDS) :]
        for line in run_with_kills(config, out, kinds, draw, NODES):
            print(f"run {number}: killed {line}")
        assert set(tells(out).values()) == {1}  # every node once
        assert differences(plain, out) == []
        print(f"run {number}: nodes, updates and weights as without kills")


def test_hung_actors_are_replaced(tmp_path: Path) -> None:
    """SIGSTOP: the process is there, its connections are open, and nothing comes of it."""
    config = write_config(tmp_path / "config.toml")
    plain, out = tmp_path / "plain", tmp_path / "stopped"
    assert start(config, plain, "--runtime", "local").wait() == 0
    config.write_text(config.read_text().replace("[runtime]", "[runtime]\nhang_timeout_s = 6"))
    draw = random.Random(SEED)
    for line in run_with_kills(config, out, list(ACTORS), draw, NODES, signal.SIGSTOP):
        print(f"stopped {line}")
    said = out.with_suffix(".log").read_text()
    assert said.count("no sign of life for 6 s") >= len(ACTORS), said[-3000:]
    assert set(tells(out).values()) == {1}
    assert differences(plain, out) == []
