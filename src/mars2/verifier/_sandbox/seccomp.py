"""The system call filter: what no program needs is refused, what only an attack needs kills.

Classic BPF, put together in Python. Installing a filter costs a fifth of a millisecond, whatever
is in it (the kernel compiles it), a fork with one installed nothing: so it stands in the fork
server already, which needs none of these calls. What the server needs itself, changing its user
and mounting, its programs have no capability for. A second filter in the program's process is
for machines where nothing else keeps its signals from the server: see `for_program`.

"Refused" is EPERM, as if the user had no right; calls newer than this list get ENOSYS, as from
an older kernel. Other architectures than the two below have no filter, and say so.

Sources: seccomp(2), the kernel's Documentation/userspace-api/seccomp_filter.rst, and the call
numbers of arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from collections.abc import Sequence

from . import linux

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand
Numbers = tuple[int | None, int | None]  # x86_64, aarch64

_LOAD, _JUMP, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06
_AND = 0x54
_NUMBER, _ARCH, _ARGS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_REFUSE, _UNKNOWN = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
_ARCHES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000  # x86_64 numbers from here on are the x32 calls
_FIRST_UNKNOWN = 470  # beyond Linux 6.18, on both architectures

# Never made by an ordinary program: looking into other processes, kernel interfaces with a
# history of holes, and asynchronous calls that would pass this filter by.
_FATAL: dict[str, Numbers] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "open_by_handle_at": (304, 265),
}
_REFUSED: dict[str, Numbers] = {
    # the network, and sockets by name
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "setsockopt": (54, 208),  # larger buffers, which no limit counts
    # other programs
    "execve": (59, 221),
    "execveat": (322, 281),
    # namespaces and roots
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    # what outlives a process: System V objects, message queues, attributes of files
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    # other processes of the same user
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # administration
    "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "acct": (163, 89),
    "syslog": (103, 116),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "vhangup": (153, 58),
    "personality": (135, 92),
    "lookup_dcookie": (212, 18),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "nfsservctl": (180, 42),
}
# Needs a capability, which programs have none of; the server does have some.
_REFUSED_LATER: dict[str, Numbers] = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "move_mount": (429, 429),
    "mount_setattr": (442, 442),
    "setuid": (105, 146),
    "setgid": (106, 144),
    "setreuid": (113, 145),
    "setregid": (114, 143),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "setgroups": (116, 159),
    "setfsuid": (122, 151),
    "setfsgid": (123, 152),
    "capset": (126, 91),
}
_CLONE3: Numbers = (435, 435)
_CHECKED: dict[str, Numbers] = {
    "clone": (56, 220),
    "socketpair": (53, 199),
    "sendto": (44, 206),
    "ioctl": (16, 29),
    "fcntl": (72, 25),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "io_uring_register": (427, 427),
}
_SIGNALS: dict[str, Numbers] = {
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}
# The server needs these itself, programs do not.
_MEMORY_FILES: dict[str, Numbers] = {"memfd_create": (319, 279), "memfd_secret": (447, 447)}
_RING: Numbers = (427, 427)  # io_uring_register
_AFFINITY: Numbers = (203, 122)  # sched_setaffinity
_BLIND_SIGNALS: dict[str, Numbers] = {"tkill": (200, 130), "pidfd_send_signal": (424, 424)}

# All CLONE_NEW*, and CLONE_PARENT, which would make the server's child of the program's.
_CLONE_FORBIDDEN = 0x7E020000 | 0x8000
_AF_UNIX, _STREAM, _SEQPACKET = 1, 1, 5
_TIOCSTI, _TIOCLINUX, _FIOSETOWN, _SIOCSPGRP = 0x5412, 0x541C, 0x8901, 0x8902
_F_SETOWN, _F_SETOWN_EX = 8, 15
_PRIO_USER = 2


def _argument(index: int) -> Instruction:
    """Load the low 32 bits of an argument (both architectures are little-endian)."""
    return (_LOAD, 0, 0, _ARGS + 8 * index)


def _give(action: int) -> Instruction:
    return (_RETURN, 0, 0, action)


def _unless(values: Sequence[int], index: int) -> list[Instruction]:
    """Go on if that argument is one of `values`, else refuse."""
    checks = [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [_argument(index), *checks, _give(_REFUSE)]


def _refuse_if(values: Sequence[int], index: int) -> list[Instruction]:
    """Refuse if that argument is one of `values`, else allow."""
    checks = [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [_argument(index), *checks, _give(_ALLOW), _give(_REFUSE)]


def _body(name: str) -> list[Instruction]:
    """What is looked at in a call that is refused with some arguments only."""
    if name == "clone":
        bits = (_ANY_BIT, 1, 0, _CLONE_FORBIDDEN)
        return [_argument(0), bits, _give(_ALLOW), _give(_REFUSE)]
    if name == "socketpair":  # connected ones: a datagram could be addressed to any socket
        kind = [_argument(1), (_AND, 0, 0, 0xF)]  # without its flags
        connected = [(_EQUAL, 1, 0, _STREAM), (_EQUAL, 0, 1, _SEQPACKET)]
        return [*_unless([_AF_UNIX], 0), *kind, *connected, _give(_ALLOW), _give(_REFUSE)]
    if name == "sendto":  # without an address only
        high = (_LOAD, 0, 0, _ARGS + 8 * 4 + 4)
        return [*_unless([0], 4), high, (_EQUAL, 1, 0, 0), _give(_REFUSE), _give(_ALLOW)]
    if name == "ioctl":  # typing for the user; signals by owner of a descriptor
        return _refuse_if([_TIOCSTI, _TIOCLINUX, _FIOSETOWN, _SIOCSPGRP], 1)
    if name == "fcntl":
        return _refuse_if([_F_SETOWN, _F_SETOWN_EX], 1)
    if name == "io_uring_register":  # only to hold pages and let them go: see `pages`
        return [*_unless([0, 1], 1), _give(_ALLOW)]
    if name == "setpriority":
        return [*_unless([0], 1), *_refuse_if([_PRIO_USER], 0)]
    return [*_unless([0], 0), _give(_ALLOW)]  # prlimit64: of itself only


def _decide(cases: Sequence[tuple[int, list[Instruction]]]) -> list[Instruction]:
    """Binary search over (first number, what to do from it on), sorted by number.

    A long list of comparisons would cost every installation: the kernel walks the filter once
    for each call number to learn which are always allowed.
    """
    if len(cases) == 1:
        return cases[0][1]
    middle = len(cases) // 2
    low, high = _decide(cases[:middle]), _decide(cases[middle:])
    if len(low) < 256:
        return [(_AT_LEAST, len(low), 0, cases[middle][0]), *low, *high]
    return [(_AT_LEAST, 0, 1, cases[middle][0]), (_JUMP, 0, 0, len(low)), *low, *high]


def _assemble(actions: dict[int, list[Instruction]], arch: int, end: int) -> bytes:
    """A whole filter from what to do for single numbers; all others are allowed.

    `end`: numbers from there on are unknown calls; 0 leaves them alone.
    """
    allow = [_give(_ALLOW)]
    cases: list[tuple[int, list[Instruction]]] = []
    following = 0
    for number, action in sorted(actions.items()):
        if number > following:
            cases.append((following, allow))
        if not cases or cases[-1][1] != action:
            cases.append((number, action))
        following = number + 1
    cases.append((following, allow))
    if end:
        cases += [(end, [_give(_UNKNOWN)]), (_X32, [_give(_KILL)])]
    head = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), _give(_KILL), (_LOAD, 0, 0, _NUMBER)]
    program = [*head, *_decide(cases)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


class Filter:
    """One assembled filter, ready to be installed in as many processes as wanted."""

    def __init__(self, code: bytes) -> None:
        self.code = code
        self._buffer = ctypes.create_string_buffer(code, len(code))  # the structure points at it
        self._program = linux.FilterProgram(len(code) // 8, ctypes.addressof(self._buffer))

    def install(self) -> None:
        """For this thread and all its descendants, for good. Needs no_new_privs. OSError."""
        linux.seccomp_filter(ctypes.addressof(self._program))


def _place() -> tuple[int, int]:
    """Column of the call numbers and audit name of this architecture. Raises OSError."""
    machine = platform.machine()
    if machine not in _ARCHES or sys.byteorder != "little" or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise OSError(errno.ENOSYS, f"no call numbers known for {machine}")
    return _ARCHES[machine]


def for_server() -> Filter:
    """The filter that the server and all programs share. Raises OSError where there is none."""
    column, arch = _place()
    actions: dict[int, list[Instruction]] = {}
    for group, action in ((_FATAL, _KILL), (_REFUSED, _REFUSE)):
        for numbers in group.values():
            if (number := numbers[column]) is not None:
                actions[number] = [_give(action)]
    for name, numbers in _CHECKED.items():
        if (number := numbers[column]) is not None:
            actions[number] = _body(name)
    if (number := _CLONE3[column]) is not None:
        actions[number] = [_give(_UNKNOWN)]  # its flags are in memory: the C library uses clone
    return Filter(_assemble(actions, arch, _FIRST_UNKNOWN))


def for_zygote() -> Filter:
    """On top of it in programs and what forks them. Raises OSError.

    No files in memory, which count against no limit; no ring; its own CPUs only.
    """
    column, arch = _place()
    rules: dict[Numbers, list[Instruction]] = {
        **{numbers: [_give(_REFUSE)] for numbers in _MEMORY_FILES.values()},
        _RING: [_give(_KILL)],
        _AFFINITY: [*_unless([0], 0), _give(_ALLOW)],
    }
    actions = {n: rule for numbers, rule in rules.items() if (n := numbers[column]) is not None}
    return Filter(_assemble(actions, arch, 0))


def for_program(own_pid: int) -> Filter:
    """On top of it in one program: signals reach that process and its group only, by number.

    Where Landlock does not keep signals inside (before Linux 6.12), and server and programs are
    of one user. A process that the program forks can then not signal itself. Raises OSError.
    """
    column, arch = _place()
    actions: dict[int, list[Instruction]] = {}
    for numbers in _SIGNALS.values():
        if (number := numbers[column]) is not None:
            actions[number] = [*_unless([own_pid, 0], 0), _give(_ALLOW)]
    for numbers in (_REFUSED_LATER | _BLIND_SIGNALS).values():
        if (number := numbers[column]) is not None:
            actions[number] = [_give(_REFUSE)]
    return Filter(_assemble(actions, arch, 0))
