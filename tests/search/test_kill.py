"""Kill -9 of a real process in the middle of a search, then go on."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from mars2.search import read_journal

PROGRAM = Path(__file__).with_name("crash_program.py")


def run(path: Path, mode: str, *dies_at: int):
    """The result, or None if the process was killed."""
    args = [sys.executable, str(PROGRAM), str(path), mode, *map(str, dies_at)]
    done = subprocess.run(args, stdout=subprocess.PIPE, check=False)
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0
    return json.loads(done.stdout)


def kill_from_outside(path: Path, mode: str, size: int) -> None:
    """Start, and kill once the journal has outgrown `size` bytes, if it is still running."""
    args = [sys.executable, str(PROGRAM), str(path), mode]
    process = subprocess.Popen(args, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        if path.exists() and path.stat().st_size > size:
            process.kill()
            break
        time.sleep(0.0005)
    process.wait()


def ended_nodes(path: Path) -> list[tuple[str, int]]:
    if not path.exists():
        return []
    events = read_journal(path)
    return [(e["tree"], e["node_id"]) for e in events if e["event"] in ("tell", "fail")]


def kill_and_go_on(tmp_path: Path, mode: str, kills: int, seed: int, kill) -> None:
    whole = tmp_path / "whole.jsonl"
    expected = run(whole, mode)
    path = tmp_path / "killed.jsonl"
    rng = Random(seed)
    # Not to the very end: in free mode the trees, so the sizes, differ a little.
    sizes = sorted(rng.sample(range(200, whole.stat().st_size * 9 // 10), kills))
    for size in sizes:
        before = ended_nodes(path)
        kill(path, mode, size)
        assert ended_nodes(path)[: len(before)] == before  # nothing recorded is ever lost
    result = run(path, mode)
    ended = ended_nodes(path)
    assert len(ended) == len(set(ended)) == 4 * 30  # and nothing is ever repeated
    if mode == "ordered":
        assert result == expected
    else:
        assert [len(nodes) + len(failed) for nodes, failed in result] == [30] * 4
    assert run(path, mode) == result


@pytest.mark.parametrize("mode", ["ordered", "free"])
def test_killed_at_random_bytes(tmp_path, mode):
    def kill(path, mode, size):
        assert run(path, mode, size) is None
        assert path.stat().st_size == size

    kill_and_go_on(tmp_path, mode, kills=4, seed=1, kill=kill)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ordered", "free"])
def test_killed_at_random_moments(tmp_path, mode):
    for seed in range(5):
        (tmp_path / str(seed)).mkdir()
        kill_and_go_on(tmp_path / str(seed), mode, kills=10, seed=seed, kill=kill_from_outside)
