"""A function's result as JSON text, by exact base type, so that no object of the program travels.

None, bool, float, str, int and lists are themselves; everything else is {"t": kind, "v": …}:
"int" (hexadecimal, beyond Python's digit limit), "complex", "decimal", "fraction", "bytes",
"tuple", "dict" ([key, value] pairs), and "other" (type name and cut repr), which equals nothing.
A subclass is encoded by its base value: its own `__eq__` never decides anything.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_DEPTH = 300
_INT_BITS = 13_000  # below the 4300 decimal digits that int() and json refuse
_LEAVES = frozenset({type(None), bool, float, str})
_NUMBERS = frozenset({type(None), bool, float, int})


class TooLarge(Exception):
    """The result has more parts than the output limit allows bytes."""


def encode(value: Any, limit: int) -> bytes:
    """JSON bytes, at most `limit`. Raises TooLarge."""
    text = json.dumps(_Encoder(limit).convert(value, 0)).encode()
    if len(text) > limit:
        raise TooLarge
    return text


class _Encoder:
    def __init__(self, budget: int) -> None:
        self.budget = budget  # every part takes at least one byte
        self.path: set[int] = set()

    def convert(self, value: Any, depth: int) -> Any:
        self.budget -= 1
        if self.budget < 0:
            raise TooLarge
        kind = type(value)
        if kind in _LEAVES:
            if kind is str:
                self.budget -= len(value)
            return value
        if kind is int:
            return self._int(value)
        if depth > MAX_DEPTH or id(value) in self.path:
            return self._other(value)  # a value that contains itself equals nothing
        for base, method in _BASES:
            if isinstance(value, base):
                self.path.add(id(value))
                try:
                    return method(self, value, depth)
                finally:
                    self.path.discard(id(value))
        # Not for all: whether an earlier program needed numpy must make no difference.
        numpy = sys.modules.get("numpy") if kind.__module__ == "numpy" else None
        if numpy is not None and isinstance(value, numpy.generic):
            plain = value.item()
            return self._other(value) if type(plain) is kind else self.convert(plain, depth)
        return self._other(value)

    def _int(self, value: int) -> Any:
        bits = int.bit_length(value)
        self.budget -= bits // 8
        if bits < _INT_BITS:
            return int.__index__(value)
        return {"t": "int", "v": int.__format__(value, "x")}

    def _list(self, value: list[Any], depth: int) -> Any:
        if type(value) is list and self._flat(value):
            return value
        return [self.convert(list.__getitem__(value, i), depth + 1) for i in self._range(value)]

    def _flat(self, value: list[Any]) -> bool:
        """True if the list holds leaves only; their budget is then spent. Long ones are common."""
        kinds = set(map(type, value))
        if int in kinds and kinds <= _NUMBERS:
            wide = any(item.bit_length() >= _INT_BITS for item in value if type(item) is int)
        else:
            wide = not kinds <= _LEAVES
        if wide:
            return False
        self.budget -= len(value)
        if str in kinds:
            self.budget -= sum(len(item) for item in value if type(item) is str)
        if self.budget < 0:
            raise TooLarge
        return True

    @staticmethod
    def _range(value: Any) -> range:
        return range(tuple.__len__(value) if isinstance(value, tuple) else list.__len__(value))

    def _tuple(self, value: tuple[Any, ...], depth: int) -> Any:
        items = [self.convert(tuple.__getitem__(value, i), depth + 1) for i in self._range(value)]
        return {"t": "tuple", "v": items}

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        pairs = [
            [self.convert(k, depth + 1), self.convert(v, depth + 1)] for k, v in dict.items(value)
        ]
        return {"t": "dict", "v": pairs}

    def _other(self, value: Any) -> Any:
        try:
            text = repr(value)[:500]
        except Exception as error:
            text = f"<unprintable: {type(error).__name__}>"
        return {"t": "other", "v": [type(value).__name__, text]}


_BASES: tuple[tuple[type, Any], ...] = (
    (bool, lambda e, v, d: int.__index__(v) != 0),
    (list, _Encoder._list),
    (dict, _Encoder._dict),
    (tuple, _Encoder._tuple),
    (int, lambda e, v, d: e._int(int.__index__(v))),
    (str, lambda e, v, d: e.convert(str.__str__(v), d)),
    (float, lambda e, v, d: float.__float__(v)),
    (complex, lambda e, v, d: {"t": "complex", "v": [v.real, v.imag]}),
    (Decimal, lambda e, v, d: {"t": "decimal", "v": Decimal.__str__(v)}),
    (Fraction, lambda e, v, d: {"t": "fraction", "v": [f"{v.numerator:x}", f"{v.denominator:x}"]}),
    (bytes, lambda e, v, d: {"t": "bytes", "v": bytes.hex(v)}),
)
