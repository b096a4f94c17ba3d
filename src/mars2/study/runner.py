"""Cells, each in a process of its own, several at once if wanted.

A cell's process does all its jobs, so that torch is imported once a cell. It ends with this
process, however that ends, and holds the study's lock until then. What is finished stays finished;
what was begun is resumed by the next call.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mars2.errors import Mars2Error
from mars2.study.cost import costs, measured_pace
from mars2.study.grid import Cell, Grid
from mars2.study.jobs import Job, jobs_of

_PATIENCE_S = 30.0  # for an interrupted cell to write what it has
_POLL_S = 0.2
Say = Callable[[str], None]
Command = Callable[[Cell], list[str]]


@dataclass(slots=True)
class _Running:
    cell: Cell
    process: subprocess.Popen[bytes]
    left: list[Job] = field(default_factory=list)


def cell_command(out: Path) -> Command:
    """How a cell's process is started."""

    def words(cell: Cell) -> list[str]:
        module = [sys.executable, "-m", "mars2.cli.study_cell"]
        return [*module, str(out), cell.arm, str(cell.seed)]

    return words


def run_cells(
    grid: Grid,
    cells: Sequence[Cell],
    command: Command,
    *,
    jobs: int,
    lock: int,
    say: Say,
) -> None:
    """Run what is unfinished of these cells, in their order.

    Two cells that share an unfinished job are not run at once. Where one fails, those that run end,
    and no other begins.

    Args:
        jobs: cells at once.
        lock: descriptor of the study's lock, which the processes hold too.

    Raises:
        Mars2Error: a cell failed; names its log.
        KeyboardInterrupt: all processes have ended.
    """
    waiting = [c for c in cells if not _finished(grid, c)]
    running: list[_Running] = []
    failed: list[str] = []
    total, changed = len(cells), True  # since it was last asked which cell may begin
    if len(waiting) < total:
        say(f"{total - len(waiting)} of {total} cells are finished already")
    try:
        while waiting or running:
            while changed and waiting and len(running) < jobs and not failed:
                chosen = _next(grid, waiting, running)
                if chosen is None:
                    changed = False
                    break
                waiting.remove(chosen)
                running.append(_start(grid, chosen, command, lock, say))
            if failed:
                waiting.clear()
            for one in list(running):
                ended = one.process.poll() is not None
                changed |= _tell(grid, one, cells, jobs, say) or ended
                if not ended:
                    continue
                running.remove(one)
                if one.process.returncode:
                    failed.append(one.cell.name)
                    say(f"{one.cell.name}: failed, {_last_words(grid, one)}")
            if running:
                time.sleep(_POLL_S)
    except KeyboardInterrupt:
        _end(running, say)
        raise
    finally:
        for one in running:
            if one.process.poll() is None:
                one.process.kill()
                one.process.wait()
    if failed:
        raise Mars2Error(
            f"{', '.join(failed)} failed; finished jobs are kept. Logs: {grid.out / 'logs'}"
        )


def _finished(grid: Grid, cell: Cell) -> bool:
    return all(job.finished(grid.out) for job in jobs_of(grid, cell))


def _next(grid: Grid, waiting: Sequence[Cell], running: Sequence[_Running]) -> Cell | None:
    """The first cell none of whose unfinished jobs is somebody else's now."""
    taken = {job.name for one in running for job in one.left}
    for cell in waiting:
        names = {job.name for job in jobs_of(grid, cell) if not job.finished(grid.out)}
        if not names & taken:
            return cell
    return None


def _start(grid: Grid, cell: Cell, command: Command, lock: int, say: Say) -> _Running:
    log = log_path(grid.out, cell)
    log.parent.mkdir(parents=True, exist_ok=True)
    # The models are small and the cores are shared between cells.
    env = {"OMP_NUM_THREADS": "1"} | os.environ
    with open(log, "ab") as file:
        process = subprocess.Popen(
            command(cell),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=env,
            pass_fds=(lock,),
            start_new_session=True,  # Ctrl-C comes from here, once
        )
    left = [job for job in jobs_of(grid, cell) if not job.finished(grid.out)]
    say(f"{cell.name}: {len(left)} jobs to do")
    return _Running(cell, process, left)


def _tell(grid: Grid, one: _Running, cells: Sequence[Cell], jobs: int, say: Say) -> bool:
    """Each job that has ended since, with what is left of the study; whether there was any."""
    done = [job for job in one.left if job.finished(grid.out)]
    if not done:
        return False
    one.left = [job for job in one.left if job not in done]
    found = costs(grid, cells)
    seconds = measured_pace(grid.out, jobs).left(found)
    count = sum(len(cost.left) for cost in found)
    names = ", ".join(job.name for job in done)
    say(f"done: {names}; {count} jobs left, about {duration(seconds)}")
    return True


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _end(running: Sequence[_Running], say: Say) -> None:
    say("interrupted: ending the cells that run; the same command goes on")
    for one in running:
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGINT)
    for one in running:
        try:
            one.process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()


def _last_words(grid: Grid, one: _Running) -> str:
    path = log_path(grid.out, one.cell)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    words = [line for line in lines if line.strip()][-1:] or ["it said nothing"]
    return f"exit code {one.process.returncode}: {words[0]} ({path})"


def log_path(out: Path, cell: Cell) -> Path:
    """What a cell's commands said."""
    return out / "logs" / f"{cell.arm}-{cell.seed}.log"
