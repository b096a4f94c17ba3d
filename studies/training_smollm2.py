"""Training a pretrained model on a CPU: SmolLM2-135M-Instruct in two roles on one policy.

The 40 easiest builtin problems: every other one is held out (20), the others are trained on (20).
`writer` (role coder) and `fixer` (role debugger) share one set of weights, fully fine-tuned with
matrix products in bfloat16, 6 trees of 8 nodes a step on problems that the curriculum finds neither
too easy nor too hard. A node's reward is the share of tests that it passes. An ordinary
`mars2 train` run in DIR/run, evaluated before and after on first attempts; a call goes on where the
last one ended, and none starts a step after --minutes. The tables come from the run's files alone.

    python studies/training_smollm2.py --out DIR [--steps 20] [--minutes 30] [--report-only]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from training_report import crossed_interval, markdown

from mars2.problems import load
from mars2.search.journal import read_journal
from mars2.study.grid import toml
from mars2.training.rundir import read_metrics

EASIEST, EVERY = 40, 2


def write_problems(out: Path) -> tuple[Path, Path]:
    """Training and held-out problems as files, easiest first."""
    problems = load("builtin", limit=EASIEST)
    paths = out / "train.jsonl", out / "heldout.jsonl"
    for held, path in enumerate(paths):
        chosen = [p for i, p in enumerate(problems) if (i % EVERY == EVERY - 1) == bool(held)]
        path.write_text("".join(p.model_dump_json() + "\n" for p in chosen))
    return paths


def settings(options: argparse.Namespace, train: Path, heldout: Path) -> dict[str, Any]:
    """Two agents on one policy; small trees, no KL copy of the weights."""
    one = {"spec": options.model, "policy": "smollm2", "dtype": "bfloat16"}
    one |= {"temperature": 0.8, "max_tokens": 128}
    agents = [{"name": "writer"}, {"name": "fixer", "role": "debugger"}]
    return {
        "seed": 0,
        "agents": [agent | one for agent in agents],
        "problems": {"train": f"jsonl:{train}", "heldout": f"jsonl:{heldout}"},
        "search": {"nodes": 8, "in_flight": 4},
        "verifier": {"time_limit_s": 4.0},
        "credit": {"reward": "fraction"},
        "objective": {"kl_beta": 0.0},
        "learner": {
            "lr": 2e-5,
            "precision": "bfloat16",
            "minibatches": 2,
            "micro_batch_tokens": 2048,
            "min_samples": 8,
        },
        "train": {
            "steps": options.steps,
            "trees_per_step": 6,
            "refill_rounds": 1,
            "curriculum": "difficulty",
            "checkpoint_every": 1,
            "keep_checkpoints": 1,
            "time_budget_s": 60 * options.minutes,
        },
        "eval": {"samples": 8, "nodes": 1},
    }


def verdicts(run: Path) -> str:
    """What became of the held-out first attempts before and after, both roles together."""
    found: dict[str, Counter[str]] = {}
    for when in ("before", "after"):
        path = run / "eval" / f"{when}.jsonl"
        for event in read_journal(path) if path.exists() else ():
            node = event.get("node", {})
            if event["event"] != "tell" or "/team/" in node["tree_id"]:
                continue
            count = found.setdefault(when, Counter())
            count.update([node["verdict"]["status"], "attempts"])
            count["cut at max_tokens"] += node["generation"]["finish_reason"] == "length"
            count["output tokens"] += len(node["generation"]["token_ids"])
    kinds = sorted(set().union(*found.values()))
    return markdown(
        ["first attempts", *found], [[k, *(str(c[k]) for c in found.values())] for k in kinds]
    )


def show(run: Path) -> str:
    """Steps, and held-out pass@1 of each role before and after."""
    steps = [
        [str(m["step"]), f"{m['trees']['reward']:.3f}", f"{m['trees']['pass_rate']:.2f}",
         f"{m['trees']['informative']}/{m['trees']['count']}",
         str(m["policies"]["smollm2"]["tokens"]),
         f"{m['seconds']['rollout']:.0f}", f"{m['seconds']['update']:.0f}"]
        for m in read_metrics(run / "metrics.jsonl")
    ]  # fmt: skip
    head = ["step", "reward", "solved", "informative", "tokens", "rollout s", "update s"]
    rates = {}
    for label in ("before", "after"):
        path = run / "eval" / f"{label}.json"
        if path.exists():
            attempts = json.loads(path.read_text())["outcomes"]["attempts"]
            rates[label] = {a: [np.mean(x) for x in by.values()] for a, by in attempts.items()}
    rows = []
    for role in rates.get("before", {}):
        found = {label: np.array([by[role]]) for label, by in rates.items()}
        if "after" in found:
            found["rise"] = found["after"] - found["before"]
        for label, table in found.items():
            low, high = crossed_interval(table)
            rows.append([role, label, f"{table.mean():.3f} [{low:.3f}, {high:.3f}]"])
    done = (run / "report.json").exists()
    parts = [
        markdown(head, steps),
        markdown(["role", "when", "held-out pass@1 [95 %]"], rows),
        verdicts(run),
    ]
    return "\n\n".join([*parts, "" if done else "not finished: no evaluation after it yet"])


def main() -> None:
    """Train, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=30.0, help="of training, this call's")
    parser.add_argument("--model", default="hf:smollm2", help="hf:smollm2, or hf:HUB_ID")
    parser.add_argument("--report-only", action="store_true")
    options = parser.parse_args()
    out = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    run, config = out / "run", out / "train.toml"
    if not options.report_only:
        words = ["train", "--out", str(run)]
        if (run / "config.json").exists():
            words.append("--resume")
            for stale in (run / "eval").glob("after.*"):  # of weights that are trained further
                stale.unlink()
        else:
            config.write_text(toml(settings(options, *write_problems(out))), encoding="utf-8")
            words += ["--config", str(config)]
        subprocess.run([sys.executable, "-m", "mars2.cli.main", *words], check=True)
    print(show(run))


if __name__ == "__main__":
    main()
