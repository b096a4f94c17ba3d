"""Kill -9 of a real process in the middle of a search, then go on.

Whatever the moments, nothing recorded is lost, nothing is run twice, and the search is the one
that would have come of the same completions without any kill.
"""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from crash_program import IN_FLIGHT, NODES, TREES, completions, fresh_strategy
from search_helpers import make_node, reward_of

from mars2.search import read_journal
from mars2.search.codec import expansion_from_json, node_to_json

PROGRAM = Path(__file__).with_name("crash_program.py")
ENDS = ("tell", "fail", "cancel")


def command(path: Path, mode: str, seed: int, *dies_at: int) -> list[str]:
    return [sys.executable, str(PROGRAM), str(path), mode, str(seed), *map(str, dies_at)]


def run(path: Path, mode: str, seed: int, *dies_at: int):
    """The result, or None if the process was killed."""
    done = subprocess.run(command(path, mode, seed, *dies_at), stdout=subprocess.PIPE, check=False)
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0
    return json.loads(done.stdout)


def events(path: Path) -> list[dict]:
    return list(read_journal(path))[1:] if path.exists() else []


def ended(path: Path) -> list[tuple[str, str, int]]:
    return [(e["event"], e["tree"], e["node_id"]) for e in events(path) if e["event"] in ENDS]


def check_journal(path: Path, result: dict, mode: str) -> None:
    """Each node once, with its own content, and as many as were to be searched."""
    asked = Counter((e["tree"], e["node_id"]) for e in events(path) if e["event"] == "ask")
    over = Counter((tree, node) for _, tree, node in ended(path))
    assert asked == over
    assert set(asked.values()) == {1}
    for event in events(path):
        if event["event"] == "tell":
            node = event["node"]
            whole = expansion_from_json({**node, "references": []})
            reward = reward_of(event["tree"], event["node_id"])
            assert node == json.loads(
                json.dumps(node_to_json(make_node(event["tree"], whole, reward)))
            )
    for tree, found in result.items():
        nodes = len(found["nodes"]) + len(found["failed"])
        if mode == "stop":
            assert nodes + len(found["cancelled"]) <= NODES
            assert any(node["reward"] == 1 for node in found["nodes"])
        else:
            assert nodes == NODES
        assert asked.keys() >= {(tree, node["node_id"]) for node in found["nodes"]}


def check_equals_uninterrupted(path: Path, result: dict) -> None:
    """A fresh strategy that is told what was recorded, in that order, asks what was asked."""
    for tree in TREES:
        strategy, under_way = fresh_strategy(tree), 0
        for event in events(path):
            if event["tree"] != tree:
                continue
            under_way += 1 if event["event"] == "ask" else -1
            assert 0 <= under_way <= IN_FLIGHT
            if event["event"] == "ask":
                assert strategy.ask() == expansion_from_json(event)
            elif event["event"] == "tell":
                strategy.tell(event["node_id"], event["reward"])
            elif event["event"] == "fail":
                strategy.fail(event["node_id"])
            else:
                strategy.cancel(event["node_id"])
        statistics = json.loads(json.dumps(strategy.statistics()))
        assert statistics == result[tree]["statistics"]


def kill_and_go_on(tmp_path: Path, mode: str, kills: int, seed: int, kill) -> None:
    whole = tmp_path / "whole.jsonl"
    expected = run(whole, mode, seed)
    check_journal(whole, expected, mode)
    path = tmp_path / "killed.jsonl"
    rng = Random(seed)
    # Not to the very end: as completed, the trees, so the sizes, differ a little.
    sizes = sorted(rng.sample(range(200, whole.stat().st_size * 8 // 10), kills))
    for number, size in enumerate(sizes):
        before = ended(path)
        kill(path, mode, seed + number, size, rng)
        assert ended(path)[: len(before)] == before  # nothing recorded is ever lost
    result = run(path, mode, seed)
    check_journal(path, result, mode)
    if mode == "ordered":
        assert result == expected
    else:
        check_equals_uninterrupted(path, result)
    size = path.stat().st_size
    assert run(path, mode, seed + 1) == result  # nothing is left to do
    assert path.stat().st_size == size


@pytest.mark.parametrize("mode", ["ordered", "free", "stop"])
def test_killed_at_random_bytes(tmp_path, mode):
    def kill(path, mode, seed, size, rng):
        assert run(path, mode, seed, size) is None
        assert path.stat().st_size == size

    kill_and_go_on(tmp_path, mode, kills=2 if mode == "stop" else 3, seed=1, kill=kill)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ordered", "free"])
def test_killed_at_a_hundred_random_moments(tmp_path, mode):
    """From outside: half of the moments while the journal grows, half while it is read."""
    killed = 0

    def kill(path, mode, seed, size, rng):
        nonlocal killed
        after = rng.uniform(0.0, 1.0) if rng.random() < 0.5 else None
        process = subprocess.Popen(command(path, mode, seed), stdout=subprocess.DEVNULL)
        started = time.monotonic()
        while process.poll() is None:
            grown = path.exists() and path.stat().st_size > size
            if grown or (after is not None and time.monotonic() - started > after):
                process.kill()
                break
            time.sleep(0.0002)
        killed += process.wait() == -signal.SIGKILL

    kill_and_go_on(tmp_path, mode, kills=110, seed=2, kill=kill)
    assert killed >= 100


def test_the_completions_differ():
    assert len({reward_of("t0", i) for i in range(1, 30)}) > 4
    assert completions("t0").tree_id == "t0"
