"""The system call filter: decided on paper for both processors, and installed for real."""

from __future__ import annotations

import errno
import os
import platform
import signal
import struct
from collections.abc import Callable

import pytest

from mars2.verifier._sandbox import linux, seccomp

ALLOW, EPERM = 0x7FFF0000, 0x00050000 | errno.EPERM
ENOSYS, KILL = 0x00050000 | errno.ENOSYS, 0x80000000
X86, ARM = 0xC000003E, 0xC00000B7
PROCESSORS = {"x86_64": (0, X86), "aarch64": (1, ARM)}


def decide(filter: seccomp.Filter, number: int, *arguments: int, arch: int = X86) -> int:
    """What the kernel would do with that call: an interpreter of classic BPF."""
    full = [a & (1 << 64) - 1 for a in (*arguments, *[0] * 6)[:6]]
    data = struct.pack("=iIQ6Q", number, arch, 0, *full)
    code = list(struct.iter_unpack("=HBBI", filter.code))
    here = accumulator = 0
    while True:
        operation, yes, no, operand = code[here]
        here += 1
        if operation == 0x20:
            accumulator = struct.unpack_from("=I", data, operand)[0]
        elif operation == 0x54:
            accumulator &= operand
        elif operation == 0x05:
            here += operand
        elif operation == 0x06:
            return operand
        else:
            tests = {
                0x15: accumulator == operand,
                0x35: accumulator >= operand,
                0x45: accumulator & operand != 0,
            }
            here += yes if tests[operation] else no


@pytest.fixture(params=sorted(PROCESSORS))
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(platform, "machine", lambda: request.param)
    return request.param


def test_every_listed_call_has_its_action(machine: str) -> None:
    column, arch = PROCESSORS[machine]
    filter = seccomp.for_server()
    groups = ((seccomp._FATAL, KILL), (seccomp._REFUSED, EPERM), (seccomp._REFUSED_LATER, ALLOW))
    listed = {seccomp._CLONE3[column]}
    for group, action in groups:
        for name, numbers in group.items():
            if (number := numbers[column]) is not None:
                assert decide(filter, number, arch=arch) == action, name
                listed.add(number)
    listed |= {numbers[column] for numbers in seccomp._CHECKED.values()}
    for number in range(470):
        if number not in listed:
            assert decide(filter, number, arch=arch) == ALLOW, number


def test_numbers_are_not_listed_twice() -> None:
    for column in (0, 1):
        groups = (seccomp._FATAL, seccomp._REFUSED, seccomp._REFUSED_LATER, seccomp._CHECKED)
        groups += (seccomp._SIGNALS, seccomp._BLIND_SIGNALS)
        numbers = [pair[column] for group in groups for pair in group.values()]
        numbers = [number for number in numbers if number is not None]
        assert len(numbers) == len(set(numbers))


def test_arguments_decide(machine: str) -> None:
    column, arch = PROCESSORS[machine]
    filter = seccomp.for_server()

    def call(name: str, *arguments: int) -> int:
        return decide(filter, seccomp._CHECKED[name][column] or 0, *arguments, arch=arch)

    thread, fork = 0x3D0F00, 0x1200011
    assert call("clone", thread) == call("clone", fork) == call("clone", 0x4111) == ALLOW
    for flag in (17, 25, 26, 27, 28, 29, 30, 15):  # CLONE_NEW*, CLONE_PARENT
        assert call("clone", fork | 1 << flag) == EPERM
    assert decide(filter, 435, arch=arch) == ENOSYS
    stream, datagram, raw, packets, flags = 1, 2, 3, 5, 0x80800
    assert call("socketpair", 1, stream | flags) == call("socketpair", 1, packets) == ALLOW
    assert call("socketpair", 1, datagram | flags) == call("socketpair", 1, raw) == EPERM
    assert call("socketpair", 2, stream) == call("socketpair", 16, stream) == EPERM
    assert call("sendto", 3, 1, 1, 0, 0, 0) == ALLOW
    assert call("sendto", 3, 1, 1, 0, 0x7F0000000000, 16) == EPERM
    assert call("sendto", 3, 1, 1, 0, 0x10000, 16) == EPERM
    assert call("ioctl", 0, 0x5401) == call("fcntl", 0, 4) == ALLOW
    for request in (0x5412, 0x541C, 0x8901, 0x8902, 1 << 32 | 0x5412):
        assert call("ioctl", 0, request) == EPERM
    assert call("fcntl", 0, 8, 1) == call("fcntl", 0, 15, 1) == EPERM
    assert call("prlimit64", 0, 7) == ALLOW
    assert call("prlimit64", 1, 7) == EPERM
    assert call("io_uring_register", 5, 0) == call("io_uring_register", 5, 1) == ALLOW
    assert call("io_uring_register", 5, 2) == EPERM
    assert call("setpriority", 0, 0, 5) == call("setpriority", 1, 0, 5) == ALLOW
    assert call("setpriority", 0, 1, 5) == call("setpriority", 2, 0, 5) == EPERM


def test_other_processors_and_calls_of_the_future(machine: str) -> None:
    arch = PROCESSORS[machine][1]
    filter = seccomp.for_server()
    other = ARM if arch == X86 else X86
    assert decide(filter, 0, arch=other) == decide(filter, 0, arch=0x40000003) == KILL  # i386
    assert decide(filter, 0x40000000, arch=arch) == decide(filter, 0x4000003B, arch=arch) == KILL
    assert decide(filter, 470, arch=arch) == decide(filter, 0x3FFFFFFF, arch=arch) == ENOSYS


def test_what_only_the_server_may(machine: str) -> None:
    column, arch = PROCESSORS[machine]
    filter = seccomp.for_zygote()
    for numbers in seccomp._MEMORY_FILES.values():
        assert decide(filter, numbers[column] or 0, arch=arch) == EPERM
    assert decide(filter, seccomp._RING[column] or 0, 5, 0, arch=arch) == KILL
    affinity = seccomp._AFFINITY[column] or 0
    assert decide(filter, affinity, 0, arch=arch) == ALLOW
    assert decide(filter, affinity, 1, arch=arch) == EPERM
    assert decide(filter, 0, arch=arch) == ALLOW


def test_signals_of_one_program(machine: str) -> None:
    column, arch = PROCESSORS[machine]
    filter = seccomp.for_program(77)
    for numbers in seccomp._SIGNALS.values():
        number = numbers[column] or 0
        for pid, action in ((77, ALLOW), (0, ALLOW), (1, EPERM), (-1, EPERM), (-77, EPERM)):
            assert decide(filter, number, pid, 9, arch=arch) == action
    for numbers in seccomp._BLIND_SIGNALS.values():
        assert decide(filter, numbers[column] or 0, 77, 9, arch=arch) == EPERM
    assert decide(filter, seccomp._REFUSED_LATER["mount"][column] or 0, arch=arch) == EPERM
    assert decide(filter, 0, arch=arch) == ALLOW


def test_unknown_processors_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="riscv64"):
        seccomp.for_server()


# --------------------------------------------------------------------------- for real

real = pytest.mark.skipif(
    platform.machine() not in PROCESSORS or platform.system() != "Linux",
    reason="no filter for this processor",
)


def filtered(action: Callable[[], object], own: bool = False) -> int:
    """Exit status of a process that installs the filter and acts; the errno if that fails."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            linux.drop_capabilities()  # a broken filter shall not let root rename the machine
            linux.set_no_new_privileges()
            seccomp.for_server().install()
            if own:
                seccomp.for_program(os.getpid()).install()
            action()
            code = 0
        except OSError as error:
            code = error.errno or 254
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def syscall(name: str, *arguments: int) -> int:
    """That call, raw. Raises OSError."""
    tables = (seccomp._FATAL, seccomp._REFUSED, seccomp._REFUSED_LATER, seccomp._CHECKED)
    column = PROCESSORS[platform.machine()][0]
    number = next(table[name][column] for table in tables if name in table)
    result = linux._libc.syscall(number, *arguments)
    if result < 0:
        linux._check(result, name)
    return result


@real
@pytest.mark.parametrize("name", sorted(seccomp._FATAL))
def test_attacks_kill_the_process(name: str) -> None:
    assert filtered(lambda: syscall(name, 0, 0, 0, 0, 0)) == -signal.SIGSYS


@real
@pytest.mark.parametrize(
    "name", sorted(n for n, pair in seccomp._REFUSED.items() if pair[0] and pair[1])
)
def test_refused_calls_fail(name: str) -> None:
    assert filtered(lambda: syscall(name, 0, 0, 0, 0, 0)) == errno.EPERM


@real
def test_own_signals_only() -> None:
    assert filtered(lambda: os.kill(os.getppid(), 0), own=True) == errno.EPERM
    assert filtered(lambda: os.kill(os.getpid(), 0), own=True) == 0
    raised = filtered(lambda: signal.raise_signal(signal.SIGKILL), own=True)
    assert raised == -signal.SIGKILL
    assert filtered(lambda: os.kill(os.getppid(), 0)) == 0
