"""Does a run on Ray learn what a run in one process learns?

Runs `mars2 quickstart` under each runtime for each seed, without its time budget, so that both make
the same steps, and prints for each the rise of the agents' mean pass@1 on held-out problems with
its 95 % interval. For each seed it also says how far the two runs are the same: the share of tree
nodes with equal programs and rewards, and whether the final weights are equal bit by bit.

Requests that arrive together are computed together, and which do depends on time: batched matrix
products round differently, so a token can differ, and then all that follows. `--alone` computes
each request alone, which takes longer, and then nothing may differ.

    python studies/runtime_ray.py [--seeds 0 1 2] [--steps 34] [--alone] [--out runs/runtime-ray]

Runs that are complete in `--out` are read, not made again. Needs mars2[ray].
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

RUNTIMES = ("local", "ray")


def run(out: Path, runtime: str, seed: int, steps: int, alone: bool) -> dict[str, Any]:
    """The report of one run, made if it is not there."""
    if not (out / "report.json").exists():
        command = [sys.executable, "-m", "mars2.cli.main", "quickstart", "--out", str(out)]
        command += ["--resume"] if (out / "config.json").exists() else []
        command += ["--runtime", runtime, "--seed", str(seed), "--json"]
        command += ["--set", f"train.steps={steps}", "--set", "train.time_budget_s=100000"]
        if alone:
            team = out.with_suffix(".toml")
            team.parent.mkdir(parents=True, exist_ok=True)
            team.write_text(alone_team())
            command += ["--config", str(team)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


def alone_team() -> str:
    """The quickstart's agents, each request a batch."""
    agents = [
        f'[[agents]]\nname = "{n}"\nspec = "micro:{n}"\npolicy = "{n}"\nmax_tokens = 64\n'
        "max_batch = 1\n"
        for n in ("lark", "loom")
    ]
    return "\n".join(agents)


def nodes(out: Path) -> dict[tuple[str, int], tuple[str | None, float]]:
    """(tree, node) → (program, reward) of all training trees."""
    found = {}
    with open(out / "journal.jsonl", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("event") == "tell":
                node = row["node"]
                found[node["tree_id"], node["node_id"]] = (node["code"], node["reward"])
    return found


def same_share(a: Path, b: Path) -> float:
    """Share of the nodes of either run that are the same in both."""
    one, two = nodes(a), nodes(b)
    keys = one.keys() | two.keys()
    return sum(one.get(k) == two.get(k) for k in keys) / len(keys)


def same_weights(a: Path, b: Path) -> bool:
    """All files of the final weights are equal."""
    files = [p.relative_to(a) for p in (a / "final").rglob("*.safetensors")]
    return all((a / f).read_bytes() == (b / f).read_bytes() for f in files)


def interval(rise: dict[str, Any]) -> str:
    low, high = rise["ci95"]
    return f"{100 * rise['mean']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=34)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs/runtime-ray"))
    given = parser.parse_args()
    kind = f"{given.steps}{'-alone' if given.alone else ''}"
    print(f"{given.steps} steps; rise of pass@1 in points, 95 % interval; seconds of the run\n")
    print("| seed | local | ray | same nodes | same weights | local, s | ray, s |")
    print("|---|---|---|---|---|---|---|")
    for seed in given.seeds:
        places = [given.out / f"{r}-{kind}-{seed}" for r in RUNTIMES]
        reports = [
            run(place, runtime, seed, given.steps, given.alone)
            for place, runtime in zip(places, RUNTIMES, strict=True)
        ]
        cells = [str(seed), *(interval(r["rise"]) for r in reports)]
        cells += [f"{100 * same_share(*places):.1f} %", "yes" if same_weights(*places) else "no"]
        cells += [f"{r['seconds']:.0f}" for r in reports]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
