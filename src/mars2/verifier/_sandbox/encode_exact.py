"""A function's result with all that decides LiveCodeBench's comparison, as bytes.

The official checker compares the object itself and then, if it was wrong, makes a text of it.
Where the object's kind decides how that ends, `exact` tells it besides what `encode` tells:
{"t": "nan", "v": whether it is the NaN object of `json`}, which as the same object in a list is
equal to itself; "text" (a string with surrogates, in hexadecimal); "scalar", "array" and
"objects" of numpy, which compare element by element; "object" with how its own `__eq__` answers
each kind of JSON value, and which number it says it equals; and, around the whole, "odd" where
making a text "raises" or "dies".
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import UserList
from types import FunctionType
from typing import Any

from .encode import TooLarge, _Encoder

_PLAIN = frozenset({type(None), bool, float, str, int, list, dict, tuple})
_STR_BITS = 160_000  # an int below has less than the 50,000 digits that `str` refuses
_ARRAY_KINDS = "biufcSU"
SAMPLES: tuple[tuple[str, Any], ...] = (
    *(("null", None), ("bool", True), ("int", 0), ("float", 0.5), ("str", "")),
    *(("list", []), ("dict", {})),
)
"""A value of each JSON kind, to ask an object's own `__eq__`."""


def exact(value: Any, limit: int) -> bytes:
    """JSON bytes, at most `limit`. Raises TooLarge."""
    encoder = _Exact(limit)
    plain = encoder.convert(value, 0)
    text = json.dumps(plain)
    if "NaN" in text or "\\ud" in text:
        encoder = _Exact(limit, careful=True)
        plain = encoder.convert(value, 0)
        text = json.dumps(plain)
    if encoder.odd:
        state = _text_state(value)
        if state:
            text = json.dumps({"t": "odd", "v": [plain, state]})
    if len(text) > limit:
        raise TooLarge
    return text.encode()


class _Exact(_Encoder):
    def __init__(self, budget: int, careful: bool = False) -> None:
        super().__init__(budget)
        self.odd = False  # something whose text may fail
        self._careful = careful  # there are NaNs or surrogates to look at one by one

    def convert(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            if self._careful and (kind is float or kind is str):
                return self._leaf(value)
            return super().convert(value, depth)
        self.odd = True
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            if isinstance(value, numpy.ndarray):
                return self._array(value, depth)
            if isinstance(value, numpy.generic):
                return self._scalar(value)
        if kind is UserList:
            return super().convert(value.data, depth)
        return super().convert(value, depth)

    def _leaf(self, value: Any) -> Any:
        if value != value:
            self.budget -= 1
            same = value is json.decoder.NaN  # type: ignore[attr-defined]
            return {"t": "nan", "v": same}
        if type(value) is str and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                self.budget -= len(value)
                return {"t": "text", "v": value.encode("utf-8", "surrogatepass").hex()}
        return super().convert(value, 0)

    def _flat(self, value: list[Any]) -> bool:
        return not self._careful and super()._flat(value)

    def _int(self, value: int) -> Any:
        if int.bit_length(value) > _STR_BITS:
            self.odd = True
        return super()._int(value)

    def _scalar(self, value: Any) -> Any:
        kind = value.dtype
        if kind.kind not in _ARRAY_KINDS:
            return self._other(value)
        if not kind.itemsize:  # an empty text: numpy has no arrays of it
            return {"t": "scalar", "v": ["<U1", "0" * 8] if kind.kind == "U" else ["|S1", "00"]}
        self.budget -= 2 * kind.itemsize
        return {"t": "scalar", "v": [kind.str, value.tobytes().hex()]}

    def _array(self, value: Any, depth: int) -> Any:
        kind, shape = value.dtype, list(value.shape)
        if kind.kind == "O":
            items = value.ravel().tolist()
            return {"t": "objects", "v": [shape, [self.convert(i, depth + 1) for i in items]]}
        if kind.kind not in _ARRAY_KINDS or not kind.itemsize:
            return self._other(value)
        self.budget -= 2 * value.nbytes
        if self.budget < 0:
            raise TooLarge
        return {"t": "array", "v": [kind.str, shape, value.tobytes().hex()]}

    def _other(self, value: Any) -> Any:
        self.odd = True
        told = super()._other(value)["v"]
        answers: dict[str, str] = {}
        if isinstance(getattr(type(value), "__eq__", None), FunctionType):
            answers = {name: _ask(value, sample) for name, sample in SAMPLES}
        return {"t": "object", "v": [*told, answers, self._numbers(value)]}

    def _numbers(self, value: Any) -> list[Any]:
        """The int and the float that an object of some number type equals, where it does."""
        found: list[Any] = [None, None]
        for index, kind in enumerate((int, float)):
            try:
                number = kind(value) if hasattr(type(value), f"__{kind.__name__}__") else None
                if type(number) is kind and (value == number) is True:
                    found[index] = super().convert(number, 0)
            except Exception:
                continue
        return found


def _ask(value: Any, sample: Any) -> str:
    """How comparing ends: "true", "false", "raises", or "dies" beyond `Exception`."""
    try:
        return "true" if value == sample else "false"
    except Exception:
        return "raises"
    except BaseException:
        return "dies"


def _text_state(value: Any) -> str:
    """What the checker's `truncatefn` does to a wrong result: "", "raises" or "dies"."""
    try:
        if not isinstance(value, str):
            str(value)
            return ""
    except Exception:
        return "raises"
    except BaseException:
        return "dies"
    try:  # a string of any type is sent as it is
        if type(value) is not str and len(value) <= 300:
            importlib.import_module("pickle").dumps(value)
    except BaseException:
        return "dies"
    return ""
