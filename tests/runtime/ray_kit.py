"""Small runs under Ray as processes of their own, the processes of each, and what they wrote.

Every request is computed alone and in one thread, so that a run is the same to the last bit under
any runtime, also after kills: what differs is a mistake.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

CONFIG = """
seed = 3
[problems]
train = "lab:mix:train"
[search]
nodes = 4
in_flight = 2
[verifier]
time_limit_s = 2.0
workers = 1
[learner]
lr = 2e-4
[train]
steps = 5
trees_per_step = 4
refill_rounds = 0
checkpoint_every = 2
keep_best = "off"
[runtime]
replicas = 2
restarts = 5
[[agents]]
name = "lark"
spec = "micro:lark"
max_tokens = 40
max_batch = 1
"""
ACTORS = {"verifier": "VerifierActor", "inference": "InferenceActor", "learner": "LearnerActor"}
KINDS = (*ACTORS, "sandbox", "driver")


def write_config(path: Path) -> Path:
    path.write_text(CONFIG)
    return path


def start(config: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    """A run or its resumption, with what it says in OUT.log beside it, its data in OUT.json."""
    resume = ["--resume"] if (out / "config.json").exists() else ["--config", str(config)]
    command = [sys.executable, "-m", "mars2.cli.main", "train", "--out", str(out), "--json"]
    with open(out.with_suffix(".log"), "ab") as log, open(out.with_suffix(".json"), "wb") as data:
        return subprocess.Popen(
            [*command, *resume, *more],
            stdout=data,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},  # as Ray tells its actors
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # & ignores it
        )


# --------------------------------------------------------------------------- processes


def descendants(pid: int) -> list[int]:
    """All processes that a process has started, and those that these have."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        mine = children.get(todo.pop(), [])
        found += mine
        todo += mine
    return found


def _fields(pid: int) -> list[str]:
    """State, parent and so on; none of a process that is no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def processes(driver: int, kind: str) -> list[int]:
    """Those of a run that are of this kind."""
    if kind == "driver":
        return [driver]
    if kind == "sandbox":
        return [p for actor in processes(driver, "verifier") for p in descendants(actor)]
    return [p for p in descendants(driver) if title(p).startswith(f"ray::{ACTORS[kind]}")]


def outliving(pids: list[int], seconds: float = 120.0) -> list[str]:
    """Which of them are still there after at most so long; zombies are not."""
    end = time.monotonic() + seconds
    while True:
        left = [p for p in pids if (fields := _fields(p)) and fields[0] not in "ZX"]
        if not left or time.monotonic() > end:
            return [f"{p} {title(p)}" for p in left]
        time.sleep(0.1)


# --------------------------------------------------------------------------- killing


def tells(out: Path) -> Counter[tuple[str, int]]:
    """How often each node was told."""
    path = out / "journal.jsonl"
    found: Counter[tuple[str, int]] = Counter()
    for line in path.read_text().splitlines(keepends=True) if path.exists() else []:
        if line.endswith("\n"):
            row = json.loads(line)
            if row.get("event") == "tell":
                found[row["tree"], row["node_id"]] += 1
    return found


def run_with_kills(
    config: Path,
    out: Path,
    kinds: list[str],
    draw: random.Random,
    nodes: int,
    blow: signal.Signals = signal.SIGKILL,
) -> list[str]:
    """Run to the end, killing -9 a process of each kind in turn (or with another `blow`), each
    after a random number of nodes and a moment more; what was killed, in words.

    Args:
        nodes: that the run will have.
    """
    said, ended = [], []
    moments = sorted(draw.randint(1, nodes - 8) for _ in kinds)
    run = start(config, out, "--runtime", "ray")
    try:
        for kind, moment in zip(kinds, moments, strict=True):
            while run.poll() is None and len(tells(out)) < moment:
                time.sleep(0.02)
            time.sleep(draw.uniform(0, 0.3))
            found = processes(run.pid, kind)
            while run.poll() is None and not found:  # it is being started again
                time.sleep(0.1)
                found = processes(run.pid, kind)
            log = out.with_suffix(".log").read_text()[-3000:]
            assert run.poll() is None, f"ended with {run.returncode} before {kind}@{moment}: {log}"
            victim = draw.choice(found)
            family = [run.pid, *descendants(run.pid)]
            said.append(f"{kind} after {len(tells(out))} nodes: {title(victim)[:60]}")
            os.kill(victim, blow)
            if kind == "driver":
                run.wait()
                ended += family
                run = start(config, out, "--runtime", "ray")
        ended += descendants(run.pid)
        assert run.wait() == 0, out.with_suffix(".log").read_text()[-3000:]
        assert not (left := outliving(ended)), f"these live on: {left}"
    finally:
        run.kill()
        run.wait()
    return said


# --------------------------------------------------------------------------- what was written


def differences(a: Path, b: Path) -> list[str]:
    """In what two runs differ that are to be the same: nodes, updates or weights."""
    parts = {"nodes": _nodes, "updates": _updates, "weights": _weights}
    return [name for name, of in parts.items() if of(a) != of(b)]


def _nodes(out: Path) -> dict[tuple[str, int], object]:
    """All but how long things took, and the details of failures, which hold addresses."""
    found: dict[tuple[str, int], object] = {}
    for line in (out / "journal.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row.get("event") == "tell":
            node = row["node"]
            generation = {k: v for k, v in node["generation"].items() if k != "seconds"}
            rest = [node[k] for k in ("parent_id", "depth", "agent", "prompt", "code", "reward")]
            found[node["tree_id"], node["node_id"]] = [generation, rest, node["verdict"]["status"]]
    return found


def _updates(out: Path) -> list[str]:
    """The ledger's lines; in which order two policies learn does not matter."""
    return sorted((out / "updates.jsonl").read_text().splitlines())


def _weights(out: Path) -> dict[str, bytes]:
    files = sorted((out / "final").rglob("*"))
    return {str(p.relative_to(out)): p.read_bytes() for p in files if p.is_file()}
