"""A control group around each fork server, where this machine lets us make one.

A backstop only: its limits on memory and processes lie above those that are sampled, for what
happens between two samples. Version 2 needs the controllers switched on for new groups, version 1
the `pids` and `memory` hierarchies. The launcher makes the group, enters it, and removes it at its
end; groups whose launcher was killed are removed by the next one.
"""

from __future__ import annotations

import errno
import os

_PREFIX = "mars2-"
_MEMORY = ("memory.max", "memory.limit_in_bytes")  # version 2, version 1
_EVENTS = ("memory.events", "memory.oom_control")
_TASKS = "pids.max"
_MEMORY_MARGIN = 512 << 20  # the server itself, pages of files, and what sampling may miss
_TASKS_MARGIN = 16


class Group:
    """Entered groups: one folder in version 2, one a hierarchy in version 1."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parents: list[int] = []
        self._ways_back: list[int] = []
        self._memory: list[int] = []
        self._tasks: list[int] = []
        self._events: list[int] = []
        self._set: tuple[int, int] = (0, 0)

    def killed(self) -> int:
        """How many processes the kernel has ended here because memory ran out."""
        total = 0
        for fd in self._events:
            for line in os.pread(fd, 4096, 0).splitlines():
                name, _, value = line.partition(b" ")
                total += int(value) if name == b"oom_kill" else 0
        return total

    def limit(self, memory: int, tasks: int) -> None:
        """For one program: bytes and processes beside the server. Does nothing if unchanged."""
        if (memory, tasks) == self._set:
            return
        self._set = (memory, tasks)
        for files, value in (
            (self._memory, 2 * memory + _MEMORY_MARGIN),
            (self._tasks, tasks + _TASKS_MARGIN),
        ):
            for fd in files:
                try:
                    os.pwrite(fd, str(value).encode(), 0)
                except OSError:
                    pass  # a backstop: the sampled limits stand

    def leave(self) -> None:
        """In the launcher, when the server and all its programs are gone: remove the group."""
        for parent, back in zip(self._parents, self._ways_back, strict=True):
            try:
                os.write(back, b"0")
                os.rmdir(self._name, dir_fd=parent)
            except OSError:
                pass  # the next launcher sweeps

    def _enter(self, parent: str, back: str, files: tuple[str, ...]) -> None:
        """Make a group under `parent` with those limit files, and enter it. Raises OSError."""
        sweep(parent)
        here = os.path.join(parent, self._name)
        os.mkdir(here)
        opened: list[int] = []
        try:
            for file in files:
                opened.append(os.open(os.path.join(here, file), os.O_WRONLY | os.O_CLOEXEC))
            opened.append(os.open(os.path.join(back, "cgroup.procs"), os.O_WRONLY | os.O_CLOEXEC))
            opened.append(os.open(parent, os.O_PATH | os.O_CLOEXEC))
            with open(os.path.join(here, "cgroup.procs"), "w") as procs:
                procs.write("0")
        except OSError:
            for fd in opened:
                os.close(fd)
            os.rmdir(here)
            raise
        for limits, events in zip(_MEMORY, _EVENTS, strict=True):
            path = os.path.join(here, events)
            if limits in files and os.path.exists(path):
                self._events.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        for file, fd in zip(files, opened, strict=False):
            (self._memory if file in _MEMORY else self._tasks).append(fd)
        self._ways_back.append(opened[-2])
        self._parents.append(opened[-1])


def enter() -> Group:
    """Make groups for this process and enter them. Raises OSError with the reason."""
    group = Group(f"{_PREFIX}{os.getpid()}-{_started(os.getpid())}")
    trouble: list[str] = []
    own = _own_groups()
    mounts = _mounts()
    unified = mounts.get("")
    if unified is not None and "" in own:
        here = os.path.join(unified, own[""].lstrip("/"))
        # A group of version 2 with processes cannot pass controllers on: try its parent too.
        for parent in (here, os.path.dirname(here.rstrip("/"))):
            if not parent.startswith(unified.rstrip("/")):
                continue
            try:
                group._enter(parent, here, (_MEMORY[0], _TASKS))
                return group
            except OSError as error:
                trouble.append(f"version 2: {error.strerror}")
    for controller, file in (("pids", _TASKS), ("memory", _MEMORY[1])):
        if controller not in mounts or controller not in own:
            continue
        here = os.path.join(mounts[controller], own[controller].lstrip("/"))
        try:
            group._enter(here, here, (file,))
        except OSError as error:
            trouble.append(f"{controller}: {error.strerror}")
    if not group._parents:
        raise OSError(errno.EACCES, "; ".join(trouble) or "no control groups are mounted")
    return group


def sweep(parent: str) -> None:
    """Remove groups of launchers that are gone."""
    for name in os.listdir(parent):
        if not name.startswith(_PREFIX):
            continue
        pid, _, started = name[len(_PREFIX) :].partition("-")
        if pid.isdigit() and _started(int(pid)) != started:
            try:
                os.rmdir(os.path.join(parent, name))
            except OSError:
                pass  # not empty, or removed meanwhile


def _started(pid: int) -> str:
    """Start time of a process in clock ticks since boot; "" if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2].split()[19].decode()
    except OSError:
        return ""


def _own_groups() -> dict[str, str]:
    """Controller ("" for version 2) to this process's path in its hierarchy."""
    groups: dict[str, str] = {}
    with open("/proc/self/cgroup") as file:
        for line in file:
            _, names, path = line.rstrip("\n").split(":", 2)
            groups.update(dict.fromkeys(names.split(","), path))
    return groups


def _mounts() -> dict[str, str]:
    """Controller ("" for version 2) to where its hierarchy is mounted."""
    mounts: dict[str, str] = {}
    with open("/proc/self/mountinfo") as file:
        for line in file:
            fields, _, rest = line.partition(" - ")
            kind, _, options = rest.split()[:3]
            place = fields.split()[4]
            if kind == "cgroup2":
                mounts[""] = place
            elif kind == "cgroup":
                mounts.update(dict.fromkeys(options.split(","), place))
    return mounts
