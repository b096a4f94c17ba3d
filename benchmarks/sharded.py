"""What a sharded learner takes: memory of each rank and seconds of an update, 1 process against 2.

    python benchmarks/sharded.py [--model hf:smollm2] [--shards 1 2]

Each number of shards runs in a process of its own. Memory is what the learner adds to what the
process held before it was made: on rank 0 the policy that generates stays where it is.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from mars2.agents.hf import load_hf, load_micro
from mars2.config import LearnerConfig, ObjectiveConfig
from mars2.training.learning import LearnerSetup
from mars2.training.sample import Sample
from mars2.training.sharded import learners

MB = 1e6


def memory(pid: int, field: str) -> float:
    """Of a process, in MB: VmRSS is what it holds, VmHWM the most since the last reset."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / MB
    raise ValueError(field)


def cpu_seconds(pid: int) -> float:
    """That a process has used, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def batch(vocabulary: int, trees: int, siblings: int, prompt: int, output: int) -> list[Sample]:
    """Trees of siblings with equal prompts; random tokens cost what others cost."""
    rng = random.Random(0)
    made = []
    for tree in range(trees):
        shared = tuple(rng.randrange(vocabulary) for _ in range(prompt))
        for node in range(siblings):
            ids = tuple(rng.randrange(vocabulary) for _ in range(output))
            made.append(
                Sample(
                    agent="a",
                    policy="p",
                    prompt_ids=shared,
                    token_ids=ids,
                    logprobs=(-10.0,) * output,
                    temperature=1.0,
                    reward=float(node % 2),
                    shaped=float(node % 2),
                    advantage=rng.gauss(0, 1),
                    tree_id=str(tree),
                    node_id=node + 1,
                    policy_version=0,
                    truncated=False,
                )
            )
    return made


def measure(model: str, shards: int, updates: int, tokens: int) -> dict[str, Any]:
    """One learner, made and used in this process and those that it starts."""
    backend, _, name = model.partition(":")
    policy = (load_hf if backend == "hf" else load_micro)("p", name)
    sum(p.sum() for p in policy.model.parameters())  # read what is only mapped from its file
    rows = batch(policy.model.config.vocab_size, trees=2, siblings=4, prompt=96, output=128)
    settings = LearnerConfig(shards=shards, micro_batch_tokens=tokens)
    setup = LearnerSetup(
        "p", settings, ObjectiveConfig(kl_beta=0, correction="off"), total_steps=10
    )
    with learners(settings) as make:
        ranks = getattr(make, "args", None)  # of a sharded one: its processes
        pids = [os.getpid(), *(child.pid for child in (ranks[0]._children if ranks else []))]
        before = [memory(pid, "VmRSS") for pid in pids]
        for pid in pids:
            reset_peak(pid)
        learner = make(setup, policy)
        made = [memory(pid, "VmRSS") for pid in pids]
        made_peak = [memory(pid, "VmHWM") for pid in pids]
        metrics = learner.update(rows)  # makes the moments
        for pid in pids:
            reset_peak(pid)
        seconds = []
        spent = sum(cpu_seconds(pid) for pid in pids)
        for _ in range(updates):
            started = time.monotonic()
            metrics = learner.update(rows)
            seconds.append(time.monotonic() - started)
        spent = (sum(cpu_seconds(pid) for pid in pids) - spent) / updates
        held = [memory(pid, "VmRSS") for pid in pids]
        peak = [memory(pid, "VmHWM") for pid in pids]
    weights = sum(p.numel() for p in policy.model.parameters()) * 4 / MB
    return {
        "shards": shards,
        "weights_mb": weights,
        "made_mb": [m - b for m, b in zip(made, before, strict=True)],
        "made_peak_mb": [m - b for m, b in zip(made_peak, before, strict=True)],
        "held_mb": [m - b for m, b in zip(held, before, strict=True)],
        "peak_mb": [m - b for m, b in zip(peak, before, strict=True)],
        "update_s": min(seconds),
        "cpu_s": spent,
        "loss": metrics.loss,
        "grad_norm": metrics.grad_norm,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="hf:smollm2")
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--updates", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=512, help="of a micro-batch")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(measure(given.model, given.only, given.updates, given.tokens)))
        return
    rows = []
    for shards in given.shards:
        argv = [*sys.argv, "--only", str(shards)]
        done = subprocess.run([sys.executable, *argv], stdout=subprocess.PIPE, check=True)
        rows.append(json.loads(done.stdout))
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{given.model}: {rows[0]['weights_mb']:.0f} MB of float32 weights")
    print("ranks  rank  made MB  peak of it  held MB  peak of update  update s  CPU s of all ranks")
    for row in rows:
        for rank in range(row["shards"]):
            made, top, held, peak = (
                row[k][rank] for k in ("made_mb", "made_peak_mb", "held_mb", "peak_mb")
            )
            print(
                f"{row['shards']:5d}{rank:6d}{made:9.0f}{top:12.0f}{held:9.0f}{peak:19.0f}"
                f"{row['update_s']:10.1f}{row['cpu_s']:7.1f}"
            )
    for row in rows:
        print(f"{row['shards']} ranks: loss {row['loss']:.8f}, norm {row['grad_norm']:.6f}")


if __name__ == "__main__":
    main()
