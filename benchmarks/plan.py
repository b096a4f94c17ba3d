"""Whether `mars2 plan` is right: predicted against measured memory and time on this machine.

Every run is a process of its own on one thread. Before each one, another process calibrates: the
FLOP/s of products, the bandwidth of products by element, and what calling a layer of a tiny model
costs. What is predicted is of other models and never entered a calibration.

    python benchmarks/plan.py [--only learner policy] [--out FILE.json] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from plan_runs import prompts_of, quickstart, streams

from mars2.plan.hardware import Device, device
from mars2.plan.layout import Layout
from mars2.plan.memory import Stream, added_in_place, learner_memory, local_policy_memory
from mars2.plan.planning import make_plan
from mars2.plan.shapes import shape_of
from mars2.plan.timing import (
    batch_seconds,
    forward_seconds,
    optimizer_seconds,
    training_seconds,
)
from mars2.plan.workload import Workload

SPECS = {"lark": "micro:lark", "loom": "micro:loom", "smollm2": "hf:smollm2"}
# Learners checkpoint by default ("auto") unless a case says otherwise.
CASES: list[dict[str, Any]] = [
    {"kind": "learner", "model": "lark", "trees": 20, "micro_batch_tokens": 2048, "repeats": 4},
    {"kind": "learner", "model": "loom", "trees": 20, "micro_batch_tokens": 512, "repeats": 4},
    {"kind": "training", "model": "lark + loom", "steps": 4},
    {"kind": "learner", "model": "smollm2", "trees": 1, "micro_batch_tokens": 1024, "repeats": 1},
    {
        "kind": "learner",
        "model": "smollm2",
        "trees": 1,
        "micro_batch_tokens": 512,
        "checkpointing": True,
        "kl_beta": 1e-3,
        "repeats": 1,
    },
    {
        "kind": "learner",
        "model": "smollm2",
        "trees": 1,
        "micro_batch_tokens": 1024,
        "precision": "bfloat16",
        "lora_rank": 16,
        "repeats": 1,
    },
    {"kind": "policy", "model": "lark", "rows": 64, "output": 48, "dtype": "float32", "repeats": 3},
    {"kind": "policy", "model": "loom", "rows": 16, "output": 48, "dtype": "float32", "repeats": 3},
    {
        "kind": "policy",
        "model": "smollm2",
        "rows": 2,
        "output": 24,
        "dtype": "float32",
        "repeats": 2,
    },
    {
        "kind": "policy",
        "model": "smollm2",
        "rows": 16,
        "output": 24,
        "dtype": "bfloat16",
        "repeats": 2,
    },
]


def measured(spec: dict[str, Any]) -> dict[str, Any]:
    """What a process of its own found."""
    command = [sys.executable, str(Path(__file__).with_name("plan_runs.py")), json.dumps(spec)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{spec} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def calibrated(found: dict[str, Any]) -> Device:
    """The CPU of hardware.toml with measured numbers."""
    return device("cpu", **found, source="benchmarks/plan.py, one thread")


def learner(spec: dict[str, Any], cpu: Device) -> tuple[float, float]:
    """Predicted (bytes, seconds) of a learner's update."""
    shape = shape_of(SPECS[spec["model"]])
    batches = [
        Stream(**s) for s in streams(spec["model"], spec["trees"], spec["micro_batch_tokens"])
    ]
    precision, again = spec.get("precision", "float32"), spec.get("checkpointing", "auto")
    rank, kl = spec.get("lora_rank", 0), spec.get("kl_beta", 0.0) > 0
    peak = max(
        learner_memory(
            shape, b, precision=precision, checkpointing=again, reference=kl, lora_rank=rank
        ).peak
        for b in batches
    )
    seconds = sum(
        training_seconds(shape, b, cpu, precision, checkpointing=again, lora_rank=rank).total
        + (forward_seconds(shape, b, cpu, precision).total if kl else 0.0)
        for b in batches
    )
    trained = shape.lora(rank, "all-linear") if rank else shape.parameters
    in_place = 0 if rank else added_in_place(shape)
    return peak, seconds + optimizer_seconds(trained, len(batches), cpu, in_place)


def policy(spec: dict[str, Any], cpu: Device) -> tuple[float, float]:
    """Predicted (bytes, seconds) of one batch of answers."""
    shape = shape_of(SPECS[spec["model"]])
    given = prompts_of(spec["model"], spec["rows"])
    lengths, distinct = [len(p) for p in given], {tuple(p) for p in given}
    memory = local_policy_memory(
        shape,
        spec["dtype"],
        rows=spec["rows"],
        prompt=max(lengths),
        output=spec["output"],
        prefill=min(16384, sum(map(len, distinct))),
    )
    peak = memory.peak
    if spec["dtype"] != "float32":  # while weights are converted the file's pages are resident, too
        peak = max(peak, memory.weights + 4.0 * shape.parameters / cpu.allocator)
    seconds = batch_seconds(
        shape, lengths, [spec["output"]] * spec["rows"], cpu, spec["dtype"], len(distinct)
    )
    return peak, seconds


def training(spec: dict[str, Any], found: dict[str, Any], cpu: Device) -> tuple[float, float]:
    """Predicted (bytes, CPU seconds of a step) of a whole run, all of whose parts share one core,
    with the lengths and trees that it turned out to have."""
    layout = Layout(device=cpu, workload=Workload(**found["workload"]))
    plan = make_plan(quickstart(spec["steps"]), layout)
    (part,) = plan.parts
    return part.needs, plan.sync_s


def compare(spec: dict[str, Any], found: dict[str, Any], cpu: Device) -> dict[str, Any]:
    """Predicted, measured and their ratios."""
    if spec["kind"] == "training":
        bytes_, seconds = training(spec, found, cpu)
    else:
        peak, seconds = (learner if spec["kind"] == "learner" else policy)(spec, cpu)
        bytes_ = 1e9 * cpu.overhead_gb + cpu.allocator * peak
    mine = {"peak_mb": bytes_ / (1 << 20), "seconds": seconds}
    return {
        "case": {k: v for k, v in spec.items() if k != "repeats"},
        "predicted": mine,
        "measured": {k: found[k] for k in mine},
        "ratio": {k: mine[k] / found[k] for k in mine},
    }


def table(rows: list[dict[str, Any]]) -> str:
    """One row a run."""
    lines = [
        "| run | peak MB, predicted | measured | ratio | CPU s, predicted | measured | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        p, m, r = row["predicted"], row["measured"], row["ratio"]
        name = ", ".join(
            f"{v}" if k in ("kind", "model", "dtype", "precision") else f"{k} {v}"
            for k, v in row["case"].items()
        )
        lines.append(
            f"| {name} | {p['peak_mb']:.0f} | {m['peak_mb']:.0f} | {r['peak_mb']:.2f} "
            f"| {p['seconds']:.2f} | {m['seconds']:.2f} | {r['seconds']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", nargs="*", default=["learner", "training", "policy"])
    parser.add_argument("--out", type=Path, help="keep what was measured, and use what is there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    kept: list[dict[str, Any]] = []
    if options.out and options.out.exists():
        kept = json.loads(options.out.read_text())
    for spec in CASES:
        if spec["kind"] not in options.only or any(k["spec"] == spec for k in kept):
            continue
        kept.append(
            {
                "spec": spec,
                "calibration": measured({"kind": "calibrate"}),
                "found": measured(spec),
            }
        )
        sys.stderr.write(json.dumps(kept[-1]) + "\n")
        if options.out:
            options.out.write_text(json.dumps(kept))
    # Contention only ever slows a calibration down: of each number, the median of all.
    names = kept[0]["calibration"]
    cpu = calibrated({n: statistics.median(k["calibration"][n] for k in kept) for n in names})
    rows = [compare(k["spec"], k["found"], cpu) for k in kept if k["spec"]["kind"] in options.only]
    if options.json:
        print(json.dumps({"device": cpu.model_dump(), "rows": rows}))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print({n: round(getattr(cpu, n), 3) for n in names})
    print(table(rows))


if __name__ == "__main__":
    main()
