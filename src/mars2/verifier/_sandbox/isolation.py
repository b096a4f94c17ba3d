"""Namespaces, users and limits: the walls that every Linux can be asked for.

Every wall is tried; one that this machine refuses is recorded in `Level.missing` with the
reason and the rest still stands.
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass, field

from . import cgroup, linux

_NAMESPACES = {
    "mount": linux.CLONE_NEWNS,
    "pid": linux.CLONE_NEWPID,
    "net": linux.CLONE_NEWNET,
    "ipc": linux.CLONE_NEWIPC,
    "uts": linux.CLONE_NEWUTS,
}
# The default stack limit of 8 MB ends deep recursion through C early; the gap that Linux
# leaves below the stack is at least 128 MB.
STACK_BYTES = 120 << 20
# Address space beyond the memory limit: thread stacks and arenas that are reserved, not used.
ADDRESS_SLACK = 1 << 30
FILE_BYTES = 64 << 20
FILES = 320  # each may be a socket whose buffers count nowhere else


@dataclass
class Level:
    """Which walls stand (`active`) and which do not, and why (`missing`)."""

    active: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    group: cgroup.Group | None = None

    def has(self, wall: str) -> bool:
        """True if that wall stands."""
        return wall in self.active

    def attempt(self, wall: str, action: object, *args: object) -> bool:
        """Run `action`; record the wall as active, or as missing with the error's text."""
        try:
            action(*args)  # type: ignore[operator]
        except OSError as error:
            self.missing[wall] = str(error)
            return False
        self.active.append(wall)
        return True


@dataclass(frozen=True)
class Limits:
    """Of one program. Seconds, bytes, processes beside the program itself."""

    time: float
    memory: int
    output: int
    processes: int


def enter_namespaces(level: Level, without: set[str]) -> None:
    """Unshare all that this machine allows. The PID namespace takes effect at the next fork."""
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0 or not _try_unshare(linux.CLONE_NEWNS, without, "mount"):
        if "user" in without:
            level.missing["user"] = "switched off"
        elif level.attempt("user", linux.unshare, linux.CLONE_NEWUSER):
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"{uid} {uid} 1")
            _write("/proc/self/gid_map", f"{gid} {gid} 1")
    for wall, flag in _NAMESPACES.items():
        if wall in without:
            level.missing[wall] = "switched off"
        else:
            level.attempt(wall, linux.unshare, flag)


def _try_unshare(flag: int, without: set[str], wall: str) -> bool:
    if wall in without:
        return True
    try:
        linux.unshare(flag)
    except OSError:
        return False
    return True


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError:
        pass  # without a mapping the next namespace call fails, and that is recorded


def choose_uid(level: Level, without: set[str], readable: list[str]) -> int | None:
    """An unused uid that programs can drop to, or None (not root, or it cannot read Python).

    `readable`: what that user must be able to open. Derived from this process's id in the outer
    namespace, so that two servers never share one: RLIMIT_NPROC counts per uid.
    """
    if "uid" in without:
        level.missing["uid"] = "switched off"
        return None
    if os.geteuid() != 0 or level.has("user"):
        level.missing["uid"] = "not root: programs run as this user"
        return None
    reason = "setuid refused"
    for uid in OTHER_USERS:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                drop_to(uid)
                code = 2
                if all(os.access(path, os.R_OK) for path in readable):
                    code = 0
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 0:
            level.active.append("uid")
            return uid
        if code == 2:
            reason = "another user cannot read the Python installation"
    level.missing["uid"] = reason
    return None


_OUTER_PID = os.getpid()  # imported by the launcher, before it enters a PID namespace
NOBODY = 65534
OTHER_USERS = (1_000_000 + _OUTER_PID, 20_000 + _OUTER_PID % 40_000, NOBODY)


def drop_to(uid: int) -> None:
    """Become that user and group, without way back; capabilities go with root."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


Rlimit = tuple[int, tuple[int, int]]


def rlimits(limits: Limits, process_base: int) -> tuple[Rlimit, ...]:
    """What `confine` sets, worked out before the fork.

    `process_base` is what already counts against RLIMIT_NPROC of the program's user. The
    address space limit is relative to this process's own, which a program inherits.
    """
    seconds = int(limits.time) + 3  # a backstop: the server judges CPU time
    address = address_space() + limits.memory + ADDRESS_SLACK
    tasks = limits.processes + 1 + process_base
    unlimited = resource.RLIM_INFINITY
    wanted = (
        (resource.RLIMIT_AS, address, address),
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_FSIZE, FILE_BYTES, FILE_BYTES),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, FILES, FILES),
        (resource.RLIMIT_NPROC, tasks, tasks),
        (resource.RLIMIT_STACK, STACK_BYTES, unlimited),
    )
    return tuple((what, _allowed(what, soft, hard)) for what, soft, hard in wanted)


def _allowed(what: int, soft: int, hard: int) -> tuple[int, int]:
    """Not above the hard limit in force, which only root may raise."""
    old = resource.getrlimit(what)[1]
    if old != resource.RLIM_INFINITY:
        hard = old if hard == resource.RLIM_INFINITY else min(hard, old)
    return (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)


def address_space() -> int:
    """Bytes of address space of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def count_tasks(uid: int) -> int:
    """Threads of that user on the whole machine (what RLIMIT_NPROC counts without namespaces)."""
    total = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == uid:
                    total += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue
    return total
