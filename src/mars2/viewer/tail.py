"""A journal read as far as it goes, again and again: of a finished run, or of one under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mars2.errors import ResumeError
from mars2.search.lines import parse, tree_at_a_glance

Wanted = Callable[[str], bool]


class Tail:
    """Whole lines of a journal, each once. A line without its end waits for the rest.

    Nobody's lock is taken: the writer goes on meanwhile. A resumed run first cuts a torn last
    line, which has not been read here, so that changes nothing.

    Args:
        wanted: whether events of a tree are of interest; others are not even parsed.

    Attributes:
        offset: bytes read.
        restarts: how often the file became another one (shorter than what had been read).
    """

    def __init__(self, path: Path, wanted: Wanted | None = None) -> None:
        self.path = path
        self.restarts = 0
        self._wanted = wanted
        self.offset = 0
        self._number = 0
        self._known: dict[str, bool] = {}

    def read(self, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Events that have come since, without the header, of about `limit` bytes at most.

        Raises:
            ResumeError: no journal there, or one that is damaged; names file and line.
        """
        try:
            with open(self.path, "rb") as file:
                if file.seek(0, 2) < self.offset:
                    self.restarts += 1
                    self.offset = self._number = 0
                file.seek(self.offset)
                begin = self.offset
                while limit is None or self.offset - begin < limit:
                    line = file.readline()
                    if not line.endswith(b"\n"):
                        return
                    self.offset += len(line)
                    self._number += 1
                    event = self._event(line)
                    if event is not None:
                        yield event
        except OSError as error:
            raise ResumeError(f"journal {self.path} cannot be read: {error}") from None

    def _event(self, line: bytes) -> dict[str, Any] | None:
        if self._wanted is not None and self._number > 1:
            tree = tree_at_a_glance(line)
            if tree is not None and not self._is_wanted(tree):
                return None
        event = parse(line, self.path, self._number)
        assert event is not None  # only a torn line has none
        if self._number == 1 or not self._is_wanted(event["tree"]):
            return None
        return event

    def _is_wanted(self, tree: str) -> bool:
        if self._wanted is None:
            return True
        if tree not in self._known:
            self._known[tree] = self._wanted(tree)
        return self._known[tree]
