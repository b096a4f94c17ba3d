"""Tests that stay packed until they are used.

The private tests of a benchmark unpack to many gigabytes; one problem's are a few megabytes. So a
problem may hold its tests as the compressed bytes they came in, and whoever judges asks for them
with `Problem.unpacked`, which keeps only the most recent ones unpacked.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

Made = TypeVar("Made")


class PackedTests(Sequence[Any]):
    """A read-only sequence of tests: `payload`, and `decode`, which makes the tests of it.

    `decode` has to be picklable (a module's function, or a `functools.partial` of one), so that a
    problem can be sent to another process. Counting and asking for `kinds` unpack nothing; indexing
    and iterating unpack all, every time.
    """

    __slots__ = ("_count", "_decode", "kinds", "payload", "size")

    def __init__(
        self,
        payload: bytes,
        decode: Callable[[bytes], list[Any]],
        *,
        count: int,
        kinds: Sequence[str],
        size: int,
    ) -> None:
        """`count` tests of the `kinds`, in the order they first occur; `size`: bytes unpacked."""
        self.payload, self._decode, self._count = payload, decode, count
        self.kinds, self.size = tuple(kinds), size

    def unpack(self) -> list[Any]:
        """The tests, new every time. Raises ProblemError if the payload is not what it was."""
        return self._decode(self.payload)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return iter(self.unpack())

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self.unpack()[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedTests) and self.payload == other.payload:
            return self._count == other._count
        return isinstance(other, Sequence) and self.unpack() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self._count} tests in {len(self.payload)} bytes>"


class Recent(Generic[Made]):
    """What was made of packed tests lately, least recently used out first. Safe in threads."""

    def __init__(self, bound: int) -> None:
        """`bound`: unpacked bytes kept; the last one made is kept whatever its size."""
        self._bound, self._bytes = bound, 0
        self._kept: OrderedDict[int, tuple[PackedTests, Made]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, packed: PackedTests, make: Callable[[list[Any]], Made]) -> Made:
        """What `make` made of these very tests, now or recently."""
        with self._lock:
            found = self._kept.get(id(packed))
            if found is None:
                found = (packed, make(packed.unpack()))
                self._kept[id(packed)] = found  # which keeps `packed`, so its id is its own
                self._bytes += packed.size
            self._kept.move_to_end(id(packed))
            while self._bytes > self._bound and len(self._kept) > 1:
                _, (old, _) = self._kept.popitem(last=False)
                self._bytes -= old.size
            return found[1]
