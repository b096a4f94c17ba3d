"""Freezes rollouts: grows real trees and keeps their nodes, to train on the same ones again.

`benchmarks/rollouts/*.jsonl.gz` were written by this program: one node a line as in a run's
journal, all trees of a search, informative or not. They are what `benchmarks/trainer.py` and the
parity test train on; sampling differs between machines, so they are kept rather than grown anew.

    python benchmarks/rollouts.py lab benchmarks/rollouts/lab.jsonl.gz --trees 32
    python benchmarks/rollouts.py smollm2 benchmarks/rollouts/smollm2.jsonl.gz --trees 20
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import struct
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from mars2.agents.team import build_team
from mars2.config import CreditConfig, RunConfig, load_config
from mars2.inference.rollout import Rollout
from mars2.problems import load
from mars2.search.codec import node_from_json, node_to_json
from mars2.training.credit import Writer, credit_forest
from mars2.training.sample import Sample
from mars2.types import Node
from mars2.verifier import make_verifier

HERE = Path(__file__).parent / "rollouts"
SOURCES = {"lab": HERE / "lab.jsonl.gz", "smollm2": HERE / "smollm2.jsonl.gz"}
SMOLLM2: dict[str, Any] = {  # two roles on one policy, as benchmarks/smollm2.sh trains them
    "agents": [
        {"name": "writer", "spec": "hf:smollm2", "policy": "smollm2"},
        {"name": "fixer", "spec": "hf:smollm2", "policy": "smollm2", "role": "debugger"},
    ],
    "problems": {"train": "builtin", "limit": 20},
    "search": {"nodes": 8, "in_flight": 4},
}


def settings(source: str) -> RunConfig:
    """The team and search that grew a source's trees."""
    if source == "lab":
        return load_config(Path(str(files("mars2") / "configs" / "quickstart.toml")))
    config = load_config(base=SMOLLM2)
    for agent in config.agents:
        agent.dtype = "bfloat16"
        agent.max_tokens = 160
    return config


async def grow(config: RunConfig, trees: int) -> list[Node]:
    """All nodes of `trees` trees, one a training problem."""
    limits = config.problems
    problems = load(limits.train, limit=trees)
    team = build_team(config.agents, train=True)
    nodes: list[Node] = []
    try:
        async with make_verifier(config.verifier) as verifier:
            rollout = Rollout(
                team.agents,
                verifier,
                config.search,
                seed=config.seed,
                reward=config.credit.reward,
                reward_tests=config.credit.reward_tests,
            )
            jobs = [(f"tree-{i:02d}", problem) for i, problem in enumerate(problems)]
            await rollout.forest(jobs, on_node=nodes.append)
    finally:
        await team.aclose()
    return sorted(nodes, key=lambda n: (n.tree_id, n.node_id))


def write(nodes: Sequence[Node], path: Path) -> None:
    """One line a node; log-probabilities with the 8 digits that a float32 has."""
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        for node in nodes:
            row = node_to_json(node)
            for key in ("logprobs",):
                row["generation"][key] = [_short(x) for x in row["generation"][key]]
            file.write((json.dumps(row, separators=(",", ":")) + "\n").encode())


def _short(value: float) -> float:
    """The shortest decimal that is the same float32."""
    (single,) = struct.unpack("f", struct.pack("f", value))
    return next(
        float(text)
        for digits in range(1, 10)
        if struct.unpack("f", struct.pack("f", float(text := f"{single:.{digits}g}")))[0] == single
    )


def read(path: Path) -> list[Node]:
    """What `write` wrote."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [node_from_json(json.loads(line)) for line in file]


def samples(
    source: str, policy: str, credit: CreditConfig | None = None, path: Path | None = None
) -> list[Sample]:
    """One policy's samples of all informative trees, credited relative to the whole tree."""
    writers = {a.name: Writer(a.policy or a.spec) for a in settings(source).agents}
    made, _ = credit_forest(read(path or SOURCES[source]), credit or CreditConfig(), writers)
    return [s for s in made if s.policy == policy]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("out", type=Path)
    parser.add_argument("--trees", type=int, default=20)
    options = parser.parse_args()
    grown = asyncio.run(grow(settings(options.source), options.trees))
    write(grown, options.out)
    solved = {n.tree_id for n in grown if n.reward == 1}
    made, stats = credit_forest(grown, CreditConfig())
    print(
        f"{len(grown)} nodes of {stats.trees} trees, {len(solved)} solved, "
        f"{len(stats.informative)} informative, {len(made)} samples",
        file=sys.stderr,
    )
