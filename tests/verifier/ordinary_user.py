"""Runs a Python script as an ordinary user, also where only root can reach the interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mars2.verifier._sandbox import linux

UID = 12345
_NEEDED = (sys.base_prefix, sys.prefix, str(Path(__file__).parents[2]))


def run(script: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """`python -c script` as user 12345 if this is root, else as this user."""
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd="/",
        preexec_fn=_drop if os.geteuid() == 0 else None,
    )


def _drop() -> None:
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    closed = {_closed_folder(os.path.realpath(path)) for path in _NEEDED} - {""}
    for folder in closed:
        inside = [p for p in map(os.path.realpath, _NEEDED) if p.startswith(folder + "/")]
        kept = [(path, os.open(path, os.O_PATH)) for path in inside]
        linux.mount("tmpfs", folder, "tmpfs", linux.MS_NOSUID, "mode=755")
        for path, fd in kept:
            os.makedirs(path, exist_ok=True)
            linux.mount(f"/proc/self/fd/{fd}", path, None, linux.MS_BIND | linux.MS_REC)
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)


def _closed_folder(path: str) -> str:
    """The topmost folder on the way to `path` that other users cannot enter, or ""."""
    for folder in (*reversed(Path(path).parents), Path(path)):
        if not folder.stat().st_mode & 0o001:
            return str(folder)
    return ""
