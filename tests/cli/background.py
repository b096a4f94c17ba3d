"""The command as a process of its own, to be killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path


def command(*argv: object) -> list[str]:
    """`mars2 ARGS…` for subprocess."""
    return [sys.executable, "-m", "mars2.cli.main", *(str(a) for a in argv)]


def wait_for(path: Path, lines: int, process: subprocess.Popen[bytes]) -> None:
    """Until a file of a running process has so many lines; a hang is the test runner's to end."""
    while process.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") >= lines:
            return
        time.sleep(0.02)
    raise AssertionError(f"the run ended with {process.returncode} before {path} had {lines} lines")
