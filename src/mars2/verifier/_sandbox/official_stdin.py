"""Standard input as LiveCodeBench's official checker mocks it around each test.

The checker stacks `unittest.mock.patch` decorators (livecodebench's testing_util.py,
`call_method`). The innermost enters first: reading is replaced on the stream that
`from sys import stdin` gave, and only then `sys.stdin` itself. What `sys.stdin` becomes differs:
the checker's own repository has an object with a `buffer` since May 2025 (it cannot be iterated,
and `readlines` loses the newlines); the package nvidia-livecodebench still has a StringIO.
"""

from __future__ import annotations

import builtins
import io
import sys
from collections.abc import Callable
from typing import Any


class Stdin:
    """What `sys.stdin` is in the repository's version. The names are those that programs see."""

    def __init__(self, inputs: str) -> None:
        self.inputs = inputs
        self._stringio = io.StringIO(inputs)
        self.buffer = _Buffer(inputs)

    def read(self, *_args: Any) -> str:
        """All of the input, every time."""
        return self.inputs

    def readline(self, *args: Any) -> str:
        """The next line, as `input()` too reads it."""
        return self._stringio.readline(*args)

    def readlines(self, *_args: Any) -> list[str]:
        """All lines, every time, without their newlines."""
        return self.inputs.split("\n")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stringio, name)


class _Buffer:
    def __init__(self, inputs: str) -> None:
        self.inputs = inputs.encode("utf-8")  # raises for surrogates: an error of the program

    def read(self, *_args: Any) -> bytes:
        return self.inputs

    def readline(self, *_args: Any) -> bytes:
        return self.inputs.split(b"\n")[0] + b"\n"


def call(function: Callable[[], Any], text: str, plain: bool) -> None:
    """Call with the input mocked; `plain`: as the package does. SystemExit ends it quietly."""
    lines = iter(text.split("\n"))
    mocked: Any = io.StringIO(text) if plain else Stdin(text)
    stream: Any = sys.stdin
    opened = builtins.open
    try:
        stream.read = lambda *args: text
        try:
            stream.readlines = lambda *args: text.split("\n")
            try:
                stream.readline = lambda *args: next(lines)
                try:
                    sys.stdin = mocked
                    try:
                        builtins.open = _MockedOpen(text)
                        function()
                    except SystemExit:
                        pass
                    finally:
                        builtins.open = opened
                finally:
                    sys.stdin = stream
            finally:
                del stream.readline
        finally:
            del stream.readlines
    finally:
        del stream.read


class _MockedOpen:
    """`unittest.mock.mock_open(read_data=text)`, made when it is touched."""

    def __init__(self, text: str) -> None:
        self.__dict__["_made"] = None
        self.__dict__["_text"] = text

    def _real(self) -> Any:
        if self._made is None:
            from unittest.mock import mock_open

            self.__dict__["_made"] = mock_open(read_data=self._text)
        return self._made

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._real()(*args, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real(), name, value)
