"""The process of one cell of a study: its commands one after the other, torch imported once.

    python -m mars2.cli.study_cell DIR ARM SEED

Started by `mars2 study run`, and ends when that process ends, however it does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from mars2.cli.main import main as mars2
from mars2.errors import Mars2Error
from mars2.study.grid import make_grid
from mars2.study.jobs import do_cell
from mars2.study.store import kept_study

_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Linux ends this process with its parent; elsewhere the study's lock keeps others away."""
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def _command(words: Sequence[str]) -> int:
    """A command of `mars2`, as its own process would run it; the exit code."""
    try:
        mars2(list(words))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run the cell; the exit code."""
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's is ignored
    out, arm, seed = arguments
    try:
        grid = make_grid(kept_study(Path(out)), Path(out))
        cell = next(c for c in grid.cells if (c.arm, str(c.seed)) == (arm, seed))
        do_cell(grid, cell, _command, lambda text: print(text, file=sys.stderr, flush=True))
    except KeyboardInterrupt:
        return 130
    except Mars2Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
