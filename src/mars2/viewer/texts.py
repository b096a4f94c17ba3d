"""Texts of a page: cut to a bounded length, and each line stored once.

Prompts repeat the statement, and a refinement most of its parent's program: stored line by line,
a tree of thousands of nodes stays a few megabytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """Characters that are kept of one text; None keeps all.

    `total`: of all lines together, after which nodes are shown without their texts.
    """

    text: int | None = 20_000  # a prompt's message, an answer
    code: int | None = 40_000
    value: int | None = 4_000  # an input, an output, a traceback
    total: int | None = 48_000_000

    @classmethod
    def none(cls) -> Limits:
        """Nothing is cut."""
        return cls(None, None, None, None)


class Pool:
    """Lines by number. `new` are those that nobody has taken yet."""

    def __init__(self) -> None:
        self.new: list[str] = []
        self.size = 0  # characters
        self._number: dict[str, int] = {}

    def put(self, text: str | None, limit: int | None) -> Any:
        """The numbers of the text's lines; with a middle cut out, `{"head", "cut", "tail"}`, of
        which `cut` counts characters; None stays None.
        """
        if text is None:
            return None
        if limit is None or len(text) <= limit:
            return self._lines(text)
        head = limit * 2 // 3
        tail = limit - head
        cut = len(text) - head - tail
        return {
            "head": self._lines(text[:head]),
            "cut": cut,
            "tail": self._lines(text[len(text) - tail :]),
        }

    def _lines(self, text: str) -> list[int]:
        return [self._line(line) for line in text.split("\n")]

    def _line(self, line: str) -> int:
        number = self._number.get(line)
        if number is None:
            number = self._number[line] = len(self._number)
            self.new.append(line)
            self.size += len(line)
        return number

    def take(self) -> list[str]:
        """The new lines, once."""
        new, self.new = self.new, []
        return new
