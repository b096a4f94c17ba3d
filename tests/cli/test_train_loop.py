"""Training through the real command: exact resume, free-running policies, absent endpoints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from background import command, wait_for

from mars2.search.journal import read_journal
from mars2.training.ledger import read_ledger

# One request at a time and one thread: equal weights then give equal bits.
EXACT = """
seed = 5
[problems]
train = "lab:lists"
[search]
nodes = 3
[learner]
lr = 1e-3
min_samples = 2
[train]
steps = 6
trees_per_step = 2
keep_checkpoints = 1
keep_best = "off"
"""
AGENT = """
[[agents]]
name = "{0}"
spec = "micro:{0}"
policy = "{0}"
max_tokens = 24
max_batch = 1
"""


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*.safetensors"))
        if "final" in p.parts
    }


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def by_policy(run: Path) -> dict[str, list[dict[str, Any]]]:
    """Updates of each policy, in order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in read_ledger(run / "updates.jsonl"):
        found.setdefault(row["policy"], []).append(row)
    return found


def start(*argv: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(*argv),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen[bytes]) -> str:
    _, err = process.communicate()
    assert process.returncode == 0, err.decode()
    return err.decode()


@pytest.mark.slow
def test_six_steps_are_three_a_kill_in_the_fourth_and_a_resume(tmp_path: Path) -> None:
    settings = tmp_path / "exact.toml"
    settings.write_text(EXACT + AGENT.format("lark") + AGENT.format("loom"))
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    finish(start("train", "--config", settings, "--out", straight))

    process = start("train", "--config", settings, "--out", broken)
    wait_for(broken / "metrics.jsonl", 3, process)
    wait_for(broken / "checkpoints/step-00003/COMPLETE", 1, process)
    trees = sum(r["trees"]["count"] for r in rows(broken / "metrics.jsonl")[:3])
    told = 0
    while told <= 3 * trees:  # a node of the fourth step is finished
        assert process.poll() is None
        lines = (broken / "journal.jsonl").read_bytes().splitlines(keepends=True)
        told = sum(b'"event":"tell"' in line[:20] for line in lines)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(rows(broken / "metrics.jsonl")) < 6
    assert not (broken / "final").exists()

    assert "resumed after step" in finish(start("train", "--out", broken, "--resume"))
    weights = files(straight)
    assert len(weights) == 2
    assert files(broken) == weights
    learnt = Counter(r["policy"] for r in read_ledger(straight / "updates.jsonl"))
    assert set(learnt) == {"lark", "loom"}
    assert sum(learnt.values()) >= 4
    events = list(read_journal(broken / "journal.jsonl"))
    nodes = Counter((e["tree"], e["node_id"]) for e in events if e["event"] == "tell")
    assert set(nodes.values()) == {1}
    # Policies learn side by side: which of a step's updates is written first may differ.
    assert by_policy(broken) == by_policy(straight)
    for one, other in zip(
        rows(straight / "metrics.jsonl"), rows(broken / "metrics.jsonl"), strict=True
    ):
        assert one["trees"] == other["trees"]


@pytest.fixture
def endpoint() -> Iterator[Callable[[int], str]]:
    """A server that refuses the first requests, then answers with a program; made by a call."""
    servers = []

    def serve(refuse: int) -> str:
        requests = iter(range(10**6))

        class Endpoint(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                away = next(requests) < refuse
                text = "```python\nimport sys\nprint(sum(map(int, sys.stdin.read().split())))\n```"
                answer = {
                    "id": "1",
                    "object": "chat.completion",
                    "created": 0,
                    "model": "far",
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": text},
                            "finish_reason": "stop",
                        }
                    ],
                    "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14},
                }
                body = json.dumps({"error": {"message": "not yet"}} if away else answer).encode()
                self.send_response(422 if away else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield serve
    for server in servers:
        server.shutdown()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_two_tokenizers_and_an_endpoint_that_is_away_for_a_while(
    mars2, tmp_path: Path, endpoint: Callable[[int], str], mode: str
) -> None:
    url = endpoint(4)
    done = mars2(
        "train", "--out", "run", "--problems", "lab:lists", "--steps", 3, "--max-tokens", 24,
        "--agent", "lark=micro:lark", "--agent", "loom=micro:loom",
        "--agent", f"far=openai:far@{url}", "--set", f"train.mode={mode}",
        "--set", "train.trees_per_step=3", "--set", "search.nodes=6", "--json",
        "--set", "search.strategy=repeated", "--set", "train.batch_samples=3",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "taking part without learning: far" in done.err
    report = json.loads(done.out)
    assert set(report["final"]) == {"micro:lark", "micro:loom"}
    steps = rows(tmp_path / "run/metrics.jsonl")
    assert steps[0]["trees"]["failed_expansions"] > 0
    assert sum(s["agents"]["far"]["nodes"] for s in steps) > 0
    assert all(set(s["policies"]) == {"micro:lark", "micro:loom"} for s in steps)
    updated = [s["policies"][p]["version"] for s in steps[-1:] for p in steps[-1]["policies"]]
    assert max(updated) > 0
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest["learning"] == ["micro:lark", "micro:loom"]


def test_an_interrupted_asynchronous_run_ends_cleanly_and_goes_on(tmp_path: Path) -> None:
    settings, run = tmp_path / "free.toml", tmp_path / "run"
    few = EXACT.replace("steps = 6", "steps = 3")
    settings.write_text(few + 'mode = "async"\n' + AGENT.format("lark") + AGENT.format("loom"))
    process = start("train", "--config", settings, "--out", run)
    wait_for(run / "metrics.jsonl", 1, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err.decode()
    assert b"Traceback" not in err
    assert json.loads((run / "manifest.json").read_text())["status"] == "interrupted"
    assert "resumed after step" in finish(start("train", "--out", run, "--resume"))
    assert [r["step"] for r in rows(run / "metrics.jsonl")] == [1, 2, 3]
