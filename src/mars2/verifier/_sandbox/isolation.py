"""Walls around the fork server (once) and around each program (after its fork).

Every wall is tried; one that this machine refuses is recorded in `Level.missing` with the
reason and the rest still stands. Not here yet: seccomp and Landlock, which belong at the end
of `confine`.
"""

from __future__ import annotations

import os
import resource
import signal
import stat
import sys
from dataclasses import dataclass, field

from . import linux

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


@dataclass
class Level:
    """Which walls stand (`active`) and which do not, and why (`missing`)."""

    active: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

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


def keep_paths() -> list[str]:
    """Directories that programs need to import from, without those inside another one."""
    found = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    found |= {entry for entry in sys.path if os.path.isdir(entry)}
    paths = sorted({os.path.realpath(path) for path in found})
    return [p for p in paths if not any(p != q and _inside(p, q) for q in paths)]


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def private_files(level: Level, keep: list[str]) -> None:
    """Make the whole file tree read-only and unsearchable homes readable where Python needs it."""
    if not level.has("mount"):
        return
    try:
        linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    except OSError as error:
        level.active.remove("mount")
        level.missing["mount"] = str(error)
        return
    level.attempt("read-only files", linux.make_read_only, "/")
    for folder in sorted({_unsearchable(path) for path in keep} - {""}):
        try:
            cover(folder, [(p, _open_path(p)) for p in keep if _inside(p, folder)], "mode=755")
        except OSError as error:
            level.missing[f"cover {folder}"] = str(error)


def _unsearchable(path: str) -> str:
    """The topmost directory on the way to `path` that other users cannot enter, or ""."""
    parts = path.strip("/").split("/")
    for end in range(1, len(parts) + 1):
        folder = "/" + "/".join(parts[:end])
        if not os.stat(folder).st_mode & stat.S_IXOTH:
            return folder
    return ""


def _open_path(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def cover(folder: str, keep: list[tuple[str, int]], options: str) -> None:
    """Put an empty tmpfs over `folder`; the kept paths (opened before) show through it."""
    linux.mount("tmpfs", folder, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
    for path, fd in keep:
        os.makedirs(path, mode=0o755, exist_ok=True)
        linux.mount(f"/proc/self/fd/{fd}", path, None, linux.MS_BIND | linux.MS_REC)


def choose_uid(level: Level, keep: list[str], without: set[str]) -> int | None:
    """An unused uid that programs can drop to, or None (not root, or it cannot read Python).

    Derived from this process's id in the outer namespace, so that two servers never share one:
    RLIMIT_NPROC counts per uid.
    """
    if "uid" in without:
        level.missing["uid"] = "switched off"
        return None
    if os.geteuid() != 0:
        level.missing["uid"] = "not root: programs run as this user"
        return None
    reason = "setuid refused"
    for uid in (1_000_000 + _OUTER_PID, 20_000 + _OUTER_PID % 40_000, 65534):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                drop_to(uid)
                code = 2
                if all(os.access(path, os.R_OK | os.X_OK) for path in keep):
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


def drop_to(uid: int) -> None:
    """Become `uid` for good, without groups."""
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
        (resource.RLIMIT_NOFILE, 1024, 1024),
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


def confine(limits: tuple[Rlimit, ...], uid: int | None) -> None:
    """In the forked program, before its code: limits, user, no way back. Raises OSError."""
    for what, pair in limits:
        resource.setrlimit(what, pair)
    if uid is not None:
        drop_to(uid)
    else:
        linux.drop_capabilities()
    linux.set_no_new_privileges()
    linux.set_parent_death_signal(signal.SIGKILL)  # after setuid, which clears it


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
