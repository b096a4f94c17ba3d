"""Pages that every program writes are copied at the fork, not in a page fault each.

Python writes reference counts all over its memory, so that most of a program's first
milliseconds went to some 400 faults on pages that it shares with the zygote. The kernel copies a
page at the fork itself if a device might be writing to it, which costs a third as much
(`page_needs_cow_for_dma`, Linux 5.12); and it might while the page is registered as a buffer of
an io_uring. Nothing is ever submitted to that ring. Without one all works as well, only slower.
"""

from __future__ import annotations

import array
import os
import select
import signal
from collections import Counter
from collections.abc import Callable, Iterable

from . import linux, processes

Range = tuple[int, int]  # address and bytes
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MOST = 2048  # pages: what a mistake could cost every fork
_PRESENT, _FILE, _EXCLUSIVE = 1 << 63, 1 << 61, 1 << 56  # bits of /proc/PID/pagemap
_PIPE, _PAGEMAP = 900, 901
_SAMPLE_S = 10.0


class Pins:
    """The zygote's pages that are copied at each fork. Made before the call filter stands."""

    def __init__(self) -> None:
        try:
            self._ring = linux.ring()
        except OSError:
            self._ring = -1

    @property
    def possible(self) -> bool:
        """The kernel has io_uring, and this user may have one."""
        return self._ring >= 0

    def hold(self, ranges: list[Range]) -> None:
        """In the zygote: hold its pages in `ranges`, until the server lets go."""
        if self._ring >= 0 and ranges:
            try:
                linux.ring_buffers(self._ring, ranges)
            except OSError:
                pass  # more than this user may lock

    def let_go(self) -> None:
        """In the server, when the zygote has ended."""
        if self._ring >= 0:
            try:
                linux.ring_buffers(self._ring, [])
            except OSError:
                pass  # there were none


def written(settle: Callable[[int], int], work: Callable[[], object]) -> set[int]:
    """Addresses of the pages that `work` writes in a fork of this process.

    `settle` is called before it with a descriptor, which it may move; it returns where to.
    Empty where the kernel does not show them.
    """
    private = _private()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(settle(writer), _PIPE, inheritable=False)
            linux.set_dumpable()  # or its own pages would not be its to see
            fd = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
            os.dup2(fd, _PAGEMAP, inheritable=False)
            work()
            _tell(private)
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        if not select.select([file], [], [], _SAMPLE_S)[0]:
            processes.send(pid, signal.SIGKILL)
        data = file.read()
    os.waitpid(pid, 0)
    pages = array.array("Q")
    pages.frombytes(data)
    return set(pages)


def _tell(private: list[Range]) -> None:
    pages = array.array("Q")
    for start, size in private:
        bits = array.array("Q")
        bits.frombytes(os.pread(_PAGEMAP, size // _PAGE * 8, start // _PAGE * 8))
        for index, entry in enumerate(bits):
            # After a fork a page is shared until one of the two writes to it.
            if entry & _PRESENT and entry & _EXCLUSIVE and not entry & _FILE:
                pages.append(start + index * _PAGE)
    with open(_PIPE, "wb") as file:
        file.write(pages.tobytes())


def _private() -> list[Range]:
    """Writable private mappings of this process."""
    found = []
    with open("/proc/self/maps") as file:
        for line in file:
            span, flags, *_ = line.split()
            if flags[1] == "w" and flags[3] == "p":
                start, end = (int(part, 16) for part in span.split("-"))
                found.append((start, end - start))
    return found


def common(found: Iterable[set[int]], share: int) -> list[Range]:
    """The pages that at least `share` of the sets have, joined to ranges."""
    count = Counter(page for pages in found for page in pages)
    ranges: list[Range] = []
    for page in sorted(page for page, seen in count.items() if seen >= share)[:_MOST]:
        if ranges and sum(ranges[-1]) == page:
            ranges[-1] = (ranges[-1][0], ranges[-1][1] + _PAGE)
        else:
            ranges.append((page, _PAGE))
    return ranges
