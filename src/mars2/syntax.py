"""Python's parser, for programs that anybody may have written."""

from __future__ import annotations

import ast
import warnings

NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What `parse` raises of a program that is none, or is nested too deep."""

_TRIES = 3


def parse(text: str) -> ast.Module:
    """The syntax tree. Warnings about the program are kept quiet: they are not about us.

    Before 3.11.8 and 3.12.2 CPython counts the depth of all trees that it is making in one place
    (gh-106905): another one that is begun meanwhile ends this one with a SystemError. To write a
    traceback is enough, and the garbage collector may do that at any time. So it is tried again.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: see `NOT_PYTHON`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(_TRIES - 1):
            try:
                return ast.parse(text)
            except SystemError:
                continue
        return ast.parse(text)
