"""Pages held by an io_uring are copied at a fork; sampling finds the ones that programs write."""

import ctypes
import mmap
import os
import resource
from collections.abc import Callable

import pytest

from mars2.verifier._sandbox import pages

PAGE = mmap.PAGESIZE


@pytest.fixture
def memory() -> tuple[mmap.mmap, int]:
    """64 private pages that were all written, and their address."""
    area = mmap.mmap(-1, 64 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for index in range(64):
        area[index * PAGE] = 1
    return area, ctypes.addressof(ctypes.c_char.from_buffer(area))


def faults_of(work: Callable[[], None]) -> int:
    """Page faults of a fork while it does that."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        resource.getrusage(resource.RUSAGE_SELF)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        work()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        os.write(writer, b"%d" % (after - before))
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with open(reader, "rb") as file:
        return int(file.read())


def test_held_pages_are_copied_at_the_fork(memory: tuple[mmap.mmap, int]) -> None:
    pins = pages.Pins()
    if not pins.possible:
        pytest.skip("this kernel has no io_uring, or not for this user")
    area, address = memory

    def write() -> None:
        for index in range(64):
            area[index * PAGE] = 2

    assert faults_of(write) >= 64
    pins.hold([(address, 64 * PAGE)])
    assert faults_of(write) < 32
    assert area[0] == 1  # the fork wrote its own copy
    pins.let_go()
    assert faults_of(write) >= 64
    pins.let_go()  # once too often is harmless


def test_what_a_fork_writes_is_found(memory: tuple[mmap.mmap, int]) -> None:
    area, address = memory

    def work() -> None:
        area[3 * PAGE] = area[9 * PAGE] = 2

    found = pages.written(lambda fd: fd, work)
    own = {page for page in found if address <= page < address + 64 * PAGE}
    assert own == {address + 3 * PAGE, address + 9 * PAGE}


def test_a_fork_that_fails_writes_nothing_that_counts() -> None:
    def work() -> None:
        raise SystemExit(3)

    assert pages.written(lambda fd: fd, work) == set()


def test_common_pages_are_joined_to_ranges() -> None:
    found = [{0, PAGE, 5 * PAGE}, {PAGE, 5 * PAGE, 6 * PAGE}, {0, 6 * PAGE}]
    assert pages.common(found, 2) == [(0, 2 * PAGE), (5 * PAGE, 2 * PAGE)]
    assert pages.common(found, 1) == [(0, 2 * PAGE), (5 * PAGE, 2 * PAGE)]
    assert pages.common(found, 3) == []
    assert pages.common([], 1) == []
