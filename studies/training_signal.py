"""Where the training study's learning signal came from: groups and advantages, by model, family.

Read from the journals of the runs, over the updates that both accountings share. A group (a tree)
teaches only if its rewards differ, so what counts is how often a first attempt passes, how many
groups have no pass at all (search could help there), how many nodes are refinements, whose prompts
an agent alone never sees, and whether an agent's advantages, taken against the whole tree, are
balanced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from training_report import FAMILIES, markdown

from mars2.training.credit import group_advantages, shaped_rewards

Tree = dict[int, dict[str, Any]]  # node id → node, as journaled


def trees(run: Path, steps: int) -> dict[str, Tree]:
    """The run's finished nodes by tree id, of its first steps."""
    found: dict[str, Tree] = {}
    with open(run / "journal.jsonl", encoding="utf-8") as journal:
        for line in journal:
            event = json.loads(line)
            if event["event"] == "tell":
                step = int(event["tree"].partition("/")[0].removeprefix("step"))
                if step <= steps:
                    found.setdefault(event["tree"], {})[event["node_id"]] = event["node"]
    return found


def advantages(tree: Tree, gamma: float, lam: float) -> dict[int, float]:
    """Node id → advantage as the trainer gave it; empty for a group without variance."""
    raw = {i: node["reward"] for i, node in sorted(tree.items())}
    shaped = shaped_rewards(raw, {i: n["parent_id"] for i, n in tree.items()}, gamma, lam)
    found = group_advantages(list(shaped.values()))
    return {} if found is None else dict(zip(shaped, found, strict=True))


def signal(runs: Sequence[Path], steps: Mapping[Path, int]) -> dict[tuple[str, str], Any]:
    """(agent, family) → counts and means over the runs."""
    sums: dict[tuple[str, str], dict[str, list[float]]] = {}
    for run in runs:
        credit = json.loads((run / "config.json").read_text(encoding="utf-8"))["credit"]
        for tree_id, tree in trees(run, steps[run]).items():
            family = next(f for start, f in FAMILIES.items() if f"/{start}" in tree_id)
            given = advantages(tree, credit["shaping_gamma"], credit["shaping_lambda"])
            for agent in {node["agent"] for node in tree.values()}:
                into = sums.setdefault((agent, family), {})
                for name, value in _observed(tree, agent, given):
                    into.setdefault(name, []).append(value)
    return {key: {n: (len(v), fmean(v)) for n, v in by.items()} for key, by in sums.items()}


def _observed(tree: Tree, agent: str, given: Mapping[int, float]) -> Iterator[tuple[str, float]]:
    rewards = [node["reward"] for node in tree.values()]
    yield "none pass", float(max(rewards) == 0)
    yield "all pass", float(min(rewards) == 1)
    for i, node in tree.items():
        if node["agent"] == agent:
            yield "first" if node["action"] == "generate" else "refined", node["reward"]
            if i in given:
                yield "advantage", given[i]


def table(out: Path, arms: Mapping[str, Sequence[str]], seeds: int) -> str:
    """Markdown, of the seeds whose runs are there."""
    head = ["method", "agent", "family", "first attempts", "pass", "refinements", "pass",
            "groups: none pass", "all pass", "nodes that teach", "mean advantage"]  # fmt: skip
    rows = []
    for method, names in arms.items():
        paths = [out / f"{name}-{seed}" for name in names for seed in range(seeds)]
        runs = [run for run in paths if (run / "metrics.jsonl").exists()]
        steps = {}
        for run in runs:
            train = json.loads((run / "config.json").read_text(encoding="utf-8"))["train"]
            steps[run] = train["eval_every"] or train["steps"]
        for (agent, family), seen in sorted(signal(runs, steps).items()):
            first, refined = seen["first"], seen.get("refined", (0, float("nan")))
            taught = seen.get("advantage", (0, float("nan")))
            rows.append(
                [method, agent, family, str(first[0]), f"{first[1]:.3f}", str(refined[0]),
                 f"{refined[1]:.3f}", f"{seen['none pass'][1]:.3f}", f"{seen['all pass'][1]:.3f}",
                 str(taught[0]), f"{taught[1]:+.3f}"]
            )  # fmt: skip
    return markdown(head, rows)
