"""What is left to do, and how long that takes at the pace of what is done.

The pace is that of the study's own finished jobs, by kind; before there are any, what the
scaling-law study took of one core (docs/scaling-law.md). Models of another size have another.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mars2.study.grid import Cell, Grid
from mars2.study.jobs import Job, jobs_of

CORE_SECONDS_A_NODE = 0.02  # updates and measurements included
SECONDS_A_JOB = 6.0  # to begin and to sum up


@dataclass(slots=True)
class Pace:
    """Seconds by node of each kind of job, of `jobs` at once. `measured`: jobs it is from."""

    by_kind: dict[str, float] = field(default_factory=dict)
    measured: int = 0
    jobs: int = 1

    def seconds(self, job: Job) -> float:
        """Of a whole job, among `jobs` that share the machine's cores."""
        if not job.nodes:
            return SECONDS_A_JOB
        known = self.by_kind.get(job.kind)
        if known is None:
            known = CORE_SECONDS_A_NODE * max(1.0, self.jobs / (os.cpu_count() or 1))
        return job.nodes * known

    def left(self, costs: Sequence[CellCost]) -> float:
        """Seconds until all of them are done."""
        return sum(cost.seconds(self) for cost in costs) / self.jobs


def measured_pace(out: Path, jobs: int) -> Pace:
    """From the markers of finished jobs that were not interrupted, `jobs` of them at once."""
    total: dict[str, tuple[float, int]] = {}
    count = 0
    for path in sorted((out / "done").rglob("*.json")):
        fact: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if fact["seconds"] is not None and fact["nodes"]:
            seconds, nodes = total.get(fact["kind"], (0.0, 0))
            total[fact["kind"]] = (seconds + fact["seconds"], nodes + fact["nodes"])
            count += 1
    return Pace({kind: s / n for kind, (s, n) in total.items()}, count, max(1, jobs))


@dataclass(frozen=True, slots=True)
class CellCost:
    """Of one cell: `left` are its unfinished jobs that no earlier cell does."""

    cell: Cell
    state: str
    nodes: int
    updates: int
    left: list[Job]

    def seconds(self, pace: Pace) -> float:
        """That the unfinished jobs take."""
        return sum(pace.seconds(job) for job in self.left)


def costs(grid: Grid, cells: Sequence[Cell]) -> list[CellCost]:
    """Of each cell in turn; a job that several share counts for the first."""
    seen: set[str] = set()
    found = []
    for cell in cells:
        jobs = jobs_of(grid, cell)
        own = [job for job in jobs if job.name not in seen]
        seen |= {job.name for job in jobs}
        left = [job for job in own if not job.finished(grid.out)]
        begun = any(job.finished(grid.out) for job in jobs) or any(
            (grid.out / "begun" / f"{job.name}.json").exists() for job in jobs
        )
        whole = all(job.finished(grid.out) for job in jobs)
        state = "finished" if whole else "unfinished" if begun else "to run"
        nodes = sum(j.nodes for j in own if j.kind != "model")
        updates = sum(j.updates for j in own)
        found.append(CellCost(cell, state, nodes, updates, left))
    return found
