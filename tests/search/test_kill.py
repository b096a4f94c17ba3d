"""Kill -9 of a real process in the middle of a search, then go on."""

import json
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from mars2.search import read_journal

PROGRAM = Path(__file__).with_name("crash_program.py")


def start(path: Path, mode: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(PROGRAM), str(path), mode], stdout=subprocess.PIPE)


def run_to_the_end(path: Path, mode: str):
    process = start(path, mode)
    out, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(out)


def kill_when_longer_than(path: Path, mode: str, size: int) -> bool:
    """Start, kill once the journal has outgrown `size` bytes; False if it ended before."""
    process = start(path, mode)
    while process.poll() is None:
        if path.exists() and path.stat().st_size > size:
            process.kill()
            break
        time.sleep(0.0005)
    process.communicate()
    return process.returncode != 0


def ended_nodes(path: Path) -> list[tuple[str, int]]:
    if not path.exists():
        return []
    events = read_journal(path)
    return [(e["tree"], e["node_id"]) for e in events if e["event"] in ("tell", "fail")]


def kill_and_go_on(tmp_path: Path, mode: str, kills: int, seed: int) -> None:
    whole = tmp_path / "whole.jsonl"
    expected = run_to_the_end(whole, mode)
    path = tmp_path / "killed.jsonl"
    rng = Random(seed)
    sizes = sorted(rng.randrange(whole.stat().st_size) for _ in range(kills))
    killed = 0
    for size in sizes:
        before = ended_nodes(path)
        killed += kill_when_longer_than(path, mode, size)
        assert ended_nodes(path)[: len(before)] == before  # nothing recorded is ever lost
    assert killed > kills // 2
    result = run_to_the_end(path, mode)
    ended = ended_nodes(path)
    assert len(ended) == len(set(ended)) == 4 * 30  # and nothing is ever repeated
    if mode == "ordered":
        assert result == expected
    else:
        assert [len(nodes) + len(failed) for nodes, failed in result] == [30] * 4
    assert run_to_the_end(path, mode) == result


@pytest.mark.parametrize("mode", ["ordered", "free"])
def test_killed_at_random_moments(tmp_path, mode):
    kill_and_go_on(tmp_path, mode, kills=4, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ordered", "free"])
def test_killed_at_many_random_moments(tmp_path, mode):
    for seed in range(5):
        (tmp_path / str(seed)).mkdir()
        kill_and_go_on(tmp_path / str(seed), mode, kills=10, seed=seed)
