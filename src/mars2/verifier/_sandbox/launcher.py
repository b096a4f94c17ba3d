"""Start of the fork server: enter the namespaces, then fork the server as their first process.

Run as `python -sP -X utf8 -c BOOT DIR FD SETTINGS` with a scrubbed environment. The launcher
itself only waits: a PID namespace starts at the next fork, and its first process may not be
killed from inside.
"""

from __future__ import annotations

import os
import signal
import socket

from . import cgroup, isolation, linux, walls


def main(fd: int, settings: walls.Settings) -> None:
    """Never returns to the caller's work: serves until the socket ends, then exits."""
    os.umask(0o022)
    level = isolation.Level()
    _enter_group(level, settings)  # as the user and in the file tree of outside
    isolation.enter_namespaces(level, set(settings.without))
    linux.set_parent_death_signal(signal.SIGKILL)  # a change of credentials would clear it
    alone = level.has("pid")
    pid = os.fork()
    if pid:
        os.close(fd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if level.group is not None:
            level.group.leave()
        os._exit(status if status >= 0 else 1)
    # Inside a PID namespace killing the server kills everything. Without one it must live long
    # enough to kill its programs, so it is only asked to end.
    linux.set_parent_death_signal(signal.SIGKILL if alone else signal.SIGTERM)
    if os.getppid() == 1 and not alone:
        os._exit(1)
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)
    from .server import start  # after the fork: the launcher stays small

    start(sock, level, settings)


def _enter_group(level: isolation.Level, settings: walls.Settings) -> None:
    if "cgroup" in settings.without:
        level.missing["cgroup"] = "switched off"
        return
    try:
        level.group = cgroup.enter()
    except OSError as error:
        level.missing["cgroup"] = error.strerror or str(error)
        return
    level.active.append("cgroup")
