"""The few Linux calls that Python 3.11 does not offer, by ctypes. Each raises OSError."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36
_PR_SET_NO_NEW_PRIVS = 38
_SYS_MOUNT_SETATTR = 442  # the same number on every architecture
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC = 1, 2, 4, 8
# As bytes: to build such structures by ctypes in a fresh process takes 0.3 ms.
_CAPABILITY_HEAD = struct.pack("=Ii", 0x20080522, 0)  # version 3, this process
_NO_CAPABILITIES = bytes(24)

_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = map(ctypes.c_long, (444, 445, 446))
_LANDLOCK_PATH, _ZERO = 1, ctypes.c_uint(0)
_RING_SETUP, _RING_REGISTER = ctypes.c_long(425), ctypes.c_long(427)
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2

_libc = ctypes.CDLL(None, use_errno=True)
# Looked up here once, not in every program's process.
_capset, _syscall = _libc.capset, _libc.syscall


class FilterProgram(ctypes.Structure):
    """struct sock_fprog: number of instructions and their address."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """unshare(2)."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)."""
    result = _libc.mount(
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _check(result, f"mount {target}")


def detach(target: str) -> None:
    """Lazy umount2(2): the tree disappears at once, whatever is in it."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def set_mount_attributes(path: str, attributes_set: int) -> None:
    """Add attributes to a mount and all below it (mount_setattr, Linux 5.12)."""
    _mount_setattr(path, _AT_RECURSIVE, attributes_set, 0)


def make_writable(path: str) -> None:
    """Take the read-only attribute from that mount alone."""
    _mount_setattr(path, 0, 0, ATTR_RDONLY)


def _mount_setattr(path: str, flags: int, add: int, clear: int) -> None:
    attributes = (ctypes.c_uint64 * 4)(add, clear, 0, 0)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        path.encode(),
        ctypes.c_uint(flags),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    _check(result, "mount_setattr")


def pivot_root_here() -> None:
    """Make the working directory, a mount point, the root of all processes of this namespace.

    The old root ends up mounted over it (pivot_root(2), 'pivot_root(".", ".")') and is detached.
    """
    number = _SYS_PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"pivot_root: number unknown on {platform.machine()}")
    _check(_libc.syscall(ctypes.c_long(number), b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", MNT_DETACH), "umount of the old root")


def _prctl(option: int, value: int, what: str) -> None:
    zero = ctypes.c_ulong(0)
    _check(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero), what)


def set_parent_death_signal(number: int) -> None:
    """Signal this process when its parent thread dies."""
    _prctl(_PR_SET_PDEATHSIG, number, "PR_SET_PDEATHSIG")


def set_subreaper() -> None:
    """Orphaned descendants become children of this process."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, "PR_SET_CHILD_SUBREAPER")


def set_undumpable() -> None:
    """Keep processes of the same user from reading this one's memory."""
    _prctl(_PR_SET_DUMPABLE, 0, "PR_SET_DUMPABLE")


def set_dumpable() -> None:
    """Undo `set_undumpable`, in a fork that runs only this package's code."""
    _prctl(_PR_SET_DUMPABLE, 1, "PR_SET_DUMPABLE")


def ring() -> int:
    """Descriptor of a small io_uring."""
    result = _syscall(_RING_SETUP, ctypes.c_uint(1), ctypes.create_string_buffer(120))
    if result < 0:
        _check(result, "io_uring_setup")
    os.set_inheritable(result, False)
    return int(result)


def ring_buffers(fd: int, ranges: Sequence[tuple[int, int]]) -> None:
    """Register memory of this process, by address and bytes, as that ring's buffers.

    With none: forget those that are registered.
    """
    what = ctypes.c_uint(0 if ranges else 1)
    vectors = b"".join(struct.pack("=QQ", *part) for part in ranges) or None
    result = _syscall(_RING_REGISTER, ctypes.c_uint(fd), what, vectors, ctypes.c_uint(len(ranges)))
    _check(result, "io_uring_register")


def set_no_new_privileges() -> None:
    """Set-uid programs no longer raise privileges."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")


def drop_capabilities() -> None:
    """Give up every capability of this process."""
    _check(_capset(_CAPABILITY_HEAD, _NO_CAPABILITIES), "capset")


def seccomp_filter(address: int) -> None:
    """Install the filter whose `FilterProgram` is at that address."""
    mode, program = ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.c_void_p(address)
    _check(_libc.prctl(_PR_SET_SECCOMP, mode, program), "PR_SET_SECCOMP")


def landlock_version() -> int:
    """Version of the kernel's Landlock interface. Raises OSError where there is none."""
    result = _syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    if result < 0:
        _check(result, "landlock")
    return int(result)


def landlock_ruleset(attributes: bytes) -> int:
    """Descriptor of a new, empty ruleset (struct landlock_ruleset_attr, as much as is known)."""
    result = _syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), _ZERO)
    if result < 0:
        _check(result, "landlock_create_ruleset")
    return int(result)


def landlock_allow(ruleset: int, path_fd: int, rights: int) -> None:
    """Allow those rights on a file, or on a directory and all below it."""
    rule = struct.pack("=Qi", rights, path_fd)  # struct landlock_path_beneath_attr, packed
    kind = ctypes.c_int(_LANDLOCK_PATH)
    result = _syscall(_LANDLOCK_ADD, ctypes.c_int(ruleset), kind, rule, _ZERO)
    _check(result, "landlock_add_rule")


def landlock_restrict(ruleset: int) -> None:
    """Confine this thread and its descendants to the ruleset, for good."""
    _check(_syscall(_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), _ZERO), "landlock_restrict_self")


def process_clock(pid: int) -> int:
    """Clock id of the CPU time of all threads of another process (MAKE_PROCESS_CPUCLOCK)."""
    return (~pid << 3) | 2
