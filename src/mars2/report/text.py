"""How numbers, and names of unknown origin, are put into words in every form of a report."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "–"
LONGEST = 160  # characters of a name or value that are shown
NOTE = 600  # of a sentence

# Control and formatting characters, among them those that turn the direction of what follows, and
# lone surrogates, which no file can hold.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


class Score(str):
    """Text of a number, which also knows the number, for those who sort it or draw it.

    `value`, `low` and `high` are finite or None. `scale` tells that they are shares, of 0 to 1, or,
    if `signed`, differences of shares, of −1 to 1.
    """

    __slots__ = ("high", "low", "scale", "signed", "value")

    value: float | None
    low: float | None
    high: float | None
    scale: bool
    signed: bool

    def __new__(
        cls,
        text: str,
        value: float | None = None,
        low: float | None = None,
        high: float | None = None,
        *,
        scale: bool = False,
        signed: bool = False,
    ) -> Score:
        self = super().__new__(cls, text)
        self.value, self.low, self.high = value, low, high
        self.scale, self.signed = scale, signed
        return self


def interval(value: Any, ends: Any, *, sign: bool = False) -> str:
    """`0.500 [0.400, 0.600]`; the ends, or all, are left out where they are no finite numbers.

    Args:
        sign: with + before a positive value: a difference.
    """
    middle = finite(value)
    if middle is None:
        return NOTHING
    text = f"{middle:{'+' if sign else ''}.3f}"
    known = [finite(x) for x in ends] if isinstance(ends, list | tuple) and len(ends) == 2 else []
    low, high = (known[0], known[1]) if known else (None, None)
    least = -1.0 if sign else 0.0
    share = all(x is None or least - 1e-9 <= x <= 1 + 1e-9 for x in (middle, low, high))
    if low is None or high is None:
        return Score(text, middle, scale=share, signed=sign)
    text += f" [{low:.3f}, {high:.3f}]"
    return Score(text, middle, low, high, scale=share, signed=sign)


def finite(value: Any) -> float | None:
    """The value as a float if it is a finite number, and not a truth value; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        return None
    return number if math.isfinite(number) else None


def count(value: float | None) -> str:
    """`12,345`."""
    return NOTHING if value is None else Score(f"{value:,.0f}", value)


def duration(seconds: float) -> str:
    """In the unit that suits: `12 s`, `3.4 min`, `1.2 h`."""
    if seconds < 60:
        return Score(f"{seconds:.0f} s", seconds)
    if seconds < 3600:
        return Score(f"{seconds / 60:.1f} min", seconds)
    return Score(f"{seconds / 3600:.1f} h", seconds)


def shown(text: str, longest: int = LONGEST) -> str:
    """One line, in which nothing is unseen: cut in the middle, and it says so."""
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]} … {text[-half // 2 :]} ({len(text):,} characters)"
    return _UNSEEN.sub(lambda m: f"⟨U+{ord(m[0]):04X}⟩", " ".join(re.split(r"[ \t\r\n]+", text)))


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one: files may hold anything."""
    return dict(value) if isinstance(value, Mapping) else {}


def rows_of(value: Any) -> list[dict[str, Any]]:
    """The objects in a list, as `mapping`."""
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    return [dict(x) for x in value if isinstance(x, Mapping)] if listed else []
