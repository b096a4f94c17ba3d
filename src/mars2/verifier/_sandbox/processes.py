"""Watching and killing a program with everything it started."""

from __future__ import annotations

import os
import resource
import signal
import time

from . import linux

_PAGE = resource.getpagesize()
_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE_STATES = "StTZX"  # asleep by its own wish; "D" (disk) and "R" (runnable) are not


class Usage:
    """A sample of all processes of one program: CPU seconds, bytes, and whether all sleep."""

    __slots__ = ("asleep", "cpu", "memory")

    def __init__(self, cpu: float, memory: int, asleep: bool) -> None:
        self.cpu, self.memory, self.asleep = cpu, memory, asleep


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of one process so far; 0 if it is gone."""
    try:
        return time.clock_gettime(linux.process_clock(pid))
    except OSError:
        return 0.0


def sample(pids: list[int], readable: bool, zygote: int) -> Usage:
    """Look at `pids` and all descendants of this process but the zygote.

    Without a readable /proc only the CPU time of `pids` is known.
    """
    if not readable:
        return Usage(sum(map(cpu_seconds, pids)), 0, False)
    cpu, memory, asleep = 0.0, 0, True
    family = [*pids, *(p for p in descendants(zygote) if p not in pids)]
    # The parent of a vfork waits in state "D".
    idle = _IDLE_STATES + "D" if len(family) > len(pids) else _IDLE_STATES
    for member in family:
        try:
            cpu += cpu_seconds(member) + _reaped_seconds(member)
            memory += resident(member)
            asleep = asleep and _all_asleep(member, idle)
        except (OSError, ValueError, IndexError):
            continue  # it ended meanwhile
    return Usage(cpu, memory, asleep)


def descendants(but: int = 0) -> list[int]:
    """Every living descendant of this process, nearest first, except the process `but`."""
    found: list[int] = []
    queue = [os.getpid()]
    while queue:
        parent = queue.pop(0)
        try:
            threads = os.listdir(f"/proc/{parent}/task")
        except OSError:
            continue
        for thread in threads:
            try:
                with open(f"/proc/{parent}/task/{thread}/children") as file:
                    children = [int(word) for word in file.read().split()]
            except OSError:
                continue
            found += [child for child in children if child != but]
            queue += children
    return found


def _stat(path: str) -> list[str]:
    with open(path, "rb") as file:
        return file.read().rpartition(b") ")[2].decode().split()


def _reaped_seconds(pid: int) -> float:
    fields = _stat(f"/proc/{pid}/stat")
    return (int(fields[13]) + int(fields[14])) / _TICKS  # cutime, cstime


def resident(pid: int) -> int:
    """Anonymous and shared-memory pages; those still shared after a fork count once more."""
    with open(f"/proc/{pid}/statm") as file:
        fields = file.read().split()
    return int(fields[1]) * _PAGE


def shared_bytes(pid: int) -> int:
    """Proportional set size of a process: what it would free by ending."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _all_asleep(pid: int, idle: str) -> bool:
    folder = f"/proc/{pid}/task"
    return all(_stat(f"{folder}/{t}/stat")[0] in idle for t in os.listdir(folder))


def others(zygote: int) -> bool:
    """True if this process has children besides the zygote: orphans that a program left."""
    pid = os.getpid()
    try:
        fd = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return any(int(word) != zygote for word in os.read(fd, 4096).split())
        finally:
            os.close(fd)
    except OSError:
        return True


def kill_all(alone: bool, uid: int | None) -> int:
    """Kill and reap every other process; returns how many there were.

    `alone`: this process is the first of a PID namespace, so that one signal reaches all, even
    daemons that forked twice. Otherwise orphans are its children (subreaper), and processes
    are killed by user, if they have one of their own, and by walking the tree until it is empty.
    """
    reaped = 0
    while True:
        if alone:
            _signal_everyone()
        else:
            if uid is not None:
                _signal_user(uid)
            for pid in descendants():
                send(pid, signal.SIGKILL)
        try:
            while True:
                # Without the namespace more may have been forked meanwhile: look again.
                pid, _ = os.waitpid(-1, 0 if alone else os.WNOHANG)
                if pid == 0:
                    break
                reaped += 1
        except ChildProcessError:
            return reaped
        time.sleep(0.001)


def send(pid: int, number: int) -> None:
    """Send a signal; nothing happens if the process is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _signal_everyone() -> None:
    send(-1, signal.SIGKILL)


def _signal_user(uid: int) -> None:
    # kill(-1) as that user reaches exactly its processes, atomically.
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(uid, uid, 0)
            _signal_everyone()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
