"""Decoding a function's result as `_sandbox/encode_exact` wrote it, for the official comparison.

The bytes come from an untrusted process. Only plain built-in types are built, numpy's from raw
numbers if numpy is installed, and `Foreign` for whatever else it was.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

_HUGE = 20_000  # hexadecimal digits of a fraction's parts
_CELLS = 10_000_000  # of an array that a comparison makes
_DTYPE = re.compile(r"[<>|=]?[biufcSU]\d{1,7}")
_KINDS: dict[type, str] = {
    **{type(None): "null", bool: "bool", int: "int", float: "float", str: "str"},
    **{list: "list", dict: "dict"},
}
_JSON = json.JSONDecoder(parse_constant=float)
_NAN = float("nan")
"""Stands for the one NaN object of `json`, as results and expected values hold it."""


class Died(BaseException):
    """Comparing would have ended the official process."""


class Foreign:
    """A result without a counterpart here. It compares as the program said it does."""

    def __init__(self, kind: str, text: str, answers: dict[str, Any], numbers: list[Any]) -> None:
        self.kind, self.text = kind, text
        self._answers, self._numbers = answers, numbers

    def __eq__(self, other: object) -> bool:
        """Equal only to the number that it names; never because it says "equal" to all."""
        for number in self._numbers:
            if number is not None and type(number) is type(other):
                return bool(number == other)
        answer = self._answers.get(_KINDS.get(type(other), ""))
        if answer == "raises":
            raise ArithmeticError("the result's own __eq__ raised")
        if answer == "dies":
            raise Died
        return False

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self.text


def decode(data: bytes) -> tuple[Any, str]:
    """The value, and what making a text of it does: "", "raises" or "dies". Raises ValueError."""
    try:
        value, state = _JSON.decode(data.decode()), ""
        if type(value) is dict and value["t"] == "odd":
            value, state = value["v"]
        return _decode(value), str(state)
    except (TypeError, KeyError, RecursionError, ArithmeticError, IndexError, ValueError) as error:
        raise ValueError(f"malformed result: {error}") from None
    except (AttributeError, ImportError) as error:
        raise ValueError(f"a result that needs numpy: {error}") from None


def one_nan(value: Any) -> Any:
    """An expected value with every NaN being the object that `decode` gives for json's."""
    kind = type(value)
    if kind is float and value != value:
        return _NAN
    if kind is list:
        return [one_nan(item) for item in value]
    if kind is dict:
        return {key: one_nan(item) for key, item in value.items()}
    return value


def _decode(value: Any) -> Any:
    if type(value) is list:
        return [_decode(item) for item in value]
    if type(value) is not dict:
        return value
    return _TYPES[value["t"]](value["v"])


def _dict(pairs: Any) -> Any:
    # JSON has no other keys, so that no expected value is equal; and numbers can be chosen
    # so that building their dict takes for ever.
    if any(type(key) is not str for key, _ in pairs):
        return Foreign("dict", "a dict whose keys are not all strings", {}, [])
    return {key: _decode(item) for key, item in pairs}


def _fraction(parts: Any) -> Any:
    if any(len(part) > _HUGE for part in parts):
        return Foreign("Fraction", "a huge fraction", {}, [])
    return Fraction(int(parts[0], 16), int(parts[1], 16))


def _foreign(data: Any) -> Foreign:
    kind, text, answers, numbers = data
    return Foreign(str(kind), str(text), dict(answers), [_decode(n) for n in numbers])


def _dtype(text: Any) -> Any:
    import numpy

    if type(text) is not str or _DTYPE.fullmatch(text) is None:
        raise ValueError(f"not a plain dtype: {text!r}")
    return numpy.dtype(text)


def _scalar(data: Any) -> Any:
    import numpy

    kind, raw = data
    return numpy.frombuffer(bytes.fromhex(raw), dtype=_dtype(kind))[0]


def _array(data: Any) -> Any:
    import numpy

    kind, shape, raw = data
    return _Array(numpy.frombuffer(bytes.fromhex(raw), dtype=_dtype(kind)).reshape(shape))


def _objects(data: Any) -> Any:
    import numpy

    shape, items = data
    flat = numpy.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        flat[index] = _decode(item)
    return _Array(flat.reshape(shape))


class _Array:
    """A numpy array, compared within bounds: broadcasting can ask for any amount of memory."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __eq__(self, other: Any) -> Any:
        import numpy

        try:
            shape = numpy.broadcast_shapes(self._array.shape, numpy.shape(other))
        except ValueError:
            shape = ()  # the comparison itself will say what is wrong
        if math.prod(shape) > _CELLS:
            raise MemoryError("comparing the array takes too much memory")
        return self._array == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._array)


_TYPES: dict[str, Any] = {
    "int": lambda v: int(v, 16),
    "tuple": lambda v: tuple([_decode(item) for item in v]),
    "dict": _dict,
    "complex": lambda v: complex(float(v[0]), float(v[1])),
    "decimal": lambda v: Decimal(str(v)),
    "fraction": _fraction,
    "bytes": bytes.fromhex,
    "nan": lambda v: _NAN if v is True else float("nan"),
    "text": lambda v: bytes.fromhex(v).decode("utf-8", "surrogatepass"),
    "scalar": _scalar,
    "array": _array,
    "objects": _objects,
    "object": _foreign,
}
