"""Making texts of any size and content small and storable: bounded, valid UTF-8."""

from __future__ import annotations

from typing import Any

MAX_CHARS = 4000


def cut(text: str, limit: int = MAX_CHARS) -> str:
    """At most about `limit` characters: the middle is cut out, and the text says so.

    Lone surrogates, which JSON and files refuse, are written as escapes.
    """
    if len(text) <= limit and text.isascii():
        return text
    if len(text) > limit:
        head, tail = limit * 2 // 3, limit - limit * 2 // 3
        gone = len(text) - head - tail
        text = f"{text[:head]} … {gone} characters cut … {text[-tail:]}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def show(value: Any, limit: int = MAX_CHARS) -> str:
    """The repr of a value, cut. Never raises: huge integers are described."""
    return cut(_repr(value), limit)


def show_call(name: str, args: list[Any], limit: int = MAX_CHARS) -> str:
    """A call as source text, for example `add(1, 2)`, cut."""
    return cut(f"{name}({', '.join(_repr(arg) for arg in args)})", limit)


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):  # an integer beyond the digit limit, deep nesting
        if isinstance(value, int):
            return f"<integer of {value.bit_length()} bits>"
        return f"<{type(value).__name__} too large to show>"
