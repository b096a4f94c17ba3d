"""Stands between mars2 and a server that it started: when mars2 is gone, so is the server.

    python -I mars2_watch.py DIRECTORY COMMAND ...

Standard input is a pipe that mars2 holds and never writes to. It ends when mars2 closes it, ends or
is killed; then every process of the server's group is ended, and DIRECTORY (socket, log, published
weights) is deleted. Should this process be killed, the kernel ends the server. It imports the
standard library only.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time

PATIENCE_S = 15.0  # between asking the server to end and ending it
_POLL_S = 0.5
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main(directory: str, command: list[str]) -> int:
    """Run the command; its exit code, or 0 if mars2 ended it."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans of the server come here
    parent = os.getppid()
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(os.path.join(directory, "log"), "ab") as log:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
        )
    while server.poll() is None and not asked and os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], _POLL_S)
        if readable and not os.read(0, 1):
            break
    code = server.poll()
    end_group(server.pid)
    if code is None and not asked:  # who asks by SIGTERM means to start it again
        shutil.rmtree(directory, ignore_errors=True)
    return code or 0


def end_group(group: int) -> None:
    """Ask every process of the group to end, then end it, and reap what became ours."""
    _signal(group, signal.SIGTERM)
    until = time.monotonic() + PATIENCE_S
    while _reap(group) and time.monotonic() < until:
        time.sleep(0.05)
    _signal(group, signal.SIGKILL)
    while _reap(group):
        time.sleep(0.05)


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def _reap(group: int) -> bool:
    """Collect what has ended; whether the group still has a process."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
