"""What became of every sample: learned from in which update, or dropped and why.

One JSON line an event, `updates.jsonl` in the run directory. Together with the buffers of a
checkpoint it accounts for each sample once, which a test can compare with the journal:

    {"policy", "event": "update", "update": number, "version": after it, "samples": {tree: [nodes]}}
    {"policy", "event": "stale" | "overflow" | "halted", "samples": {tree: [nodes]}}

A checkpoint notes how long the ledger was; going back to it cuts what came later, because those
updates are undone and their samples are there again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mars2.training.sample import Sample


class Ledger:
    """The file, for appending."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, size: int) -> None:
        """Forget all after the first `size` bytes."""
        if self.path.exists():
            os.truncate(self.path, size)

    def write(self, policy: str, event: str, samples: Iterable[Sample], **more: Any) -> None:
        """Add a line, in the kernel when this returns."""
        trees: dict[str, list[int]] = {}
        for sample in samples:
            trees.setdefault(sample.tree_id, []).append(sample.node_id)
        row = {"policy": policy, "event": event, **more, "samples": trees}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def read_ledger(path: Path) -> Iterator[dict[str, Any]]:
    """All whole lines; a torn last one is left out."""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)
