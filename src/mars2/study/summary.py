"""The records of all cells as one file, small enough to be committed: all that a report needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mars2.errors import ResumeError, UsageError
from mars2.study.grid import Grid
from mars2.study.jobs import jobs_of, record_path
from mars2.study.record import FORMAT
from mars2.study.store import read_store
from mars2.training.rundir import finite, write_atomic


def collect(grid: Grid, name: str) -> dict[str, Any]:
    """Everything that finished cells came to; their records are made from the runs where missing.

    Raises:
        ResumeError: no cell is finished, or cells are of different problems.
    """
    problems: list[str] = []
    cells = []
    for cell in grid.cells:
        *before, last = jobs_of(grid, cell)
        if not all(job.finished(grid.out) for job in before):
            continue
        path = record_path(grid.out, cell)
        if not path.exists() or not last.finished(grid.out):
            last.do(grid.out, lambda words: 0)
        record = json.loads(path.read_text(encoding="utf-8"))
        here = record.pop("problems")
        problems = problems or here
        if here != problems:
            raise ResumeError(f"{cell.name} was evaluated on other problems than the rest")
        cells.append(record)
    if not cells:
        raise ResumeError(f"{grid.out}: no cell is finished; `mars2 study run` goes on")
    return {
        "format": FORMAT,
        "name": name,
        "study": read_store(grid.out)["now"],
        "problems": problems,
        "cells": cells,
    }


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """As JSON, a cell a line, so that versions of it can be compared."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, dumps(summary))


def dumps(summary: dict[str, Any]) -> str:
    """The text of the file."""

    def line(value: Any) -> str:
        return json.dumps(finite(value), separators=(",", ":"), allow_nan=False)

    head = [f"{line(k)}:{line(v)}" for k, v in summary.items() if k != "cells"]
    cells = ",\n".join(line(cell) for cell in summary["cells"])
    return "{" + ",\n".join([*head, f'"cells":[\n{cells}\n]']) + "}\n"


def read_summary(path: Path) -> dict[str, Any]:
    """Raises UsageError if it is none, or of another format."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        number = data["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no summary of a study: {error!r}") from None
    if number != FORMAT:
        raise UsageError(f"{path} has format {number}; this version reads {FORMAT}")
    return data


def missing_cells(summary: dict[str, Any], seeds: Sequence[int]) -> list[str]:
    """ARM/SEED of the cells that the study has and the summary lacks."""
    there = {(c["arm"], c["seed"]) for c in summary["cells"]}
    return [f"{a}/{s}" for s in seeds for a in summary["study"]["arms"] if (a, s) not in there]
