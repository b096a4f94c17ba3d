"""Is this the expected output? Pure functions, the same rules as LiveCodeBench's checker.

Whole outputs (github.com/LiveCodeBench/LiveCodeBench, lcb_runner/evaluation): strip the text,
split on newlines only, strip each line, require equal line counts; two lines agree as text, or
if every whitespace-separated token of both is a decimal number and the numbers are equal. No
tolerance. Results of functions: a top-level tuple counts as a list, then `==`.
"""

from __future__ import annotations

import decimal
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

# Exact: digits are never rounded away, and nobody else's traps or precision apply.
_CONTEXT = decimal.Context(
    prec=decimal.MAX_PREC,
    Emax=decimal.MAX_EMAX,
    Emin=decimal.MIN_EMIN,
    traps=[decimal.InvalidOperation],
)
_JSON = json.JSONDecoder()
_EXACT = frozenset({int, str, bool, type(None)})  # equal means equal, whatever is nested


def outputs_match(expected: str, actual: str) -> bool:
    """True if the printed text `actual` answers `expected`."""
    if expected.strip() == actual.strip():  # then every line is equal too
        return True
    want, got = _lines(expected), _lines(actual)
    if len(want) != len(got):
        return False
    return all(a == b or _same_numbers(a, b) for a, b in zip(want, got, strict=True))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _same_numbers(expected: str, actual: str) -> bool:
    want, got = expected.split(), actual.split()
    if len(want) != len(got):
        return False
    with decimal.localcontext(_CONTEXT):
        try:
            return all(Decimal(a) == Decimal(b) for a, b in zip(want, got, strict=True))
        except (decimal.DecimalException, ValueError):
            return False  # a word, or a signalling NaN


class Opaque:
    """A result without a counterpart among plain values (a set, a generator, …): never equal."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind, self.text = kind, text

    def __repr__(self) -> str:
        return self.text

    __hash__ = object.__hash__


def decode_result(data: bytes) -> Any:
    """A function's result from the bytes that its process sent (untrusted).

    Builds exact built-in types only. Raises ValueError if the bytes are malformed.
    """
    try:
        return _decode(_JSON.decode(data.decode()))
    except (TypeError, KeyError, RecursionError, ArithmeticError, IndexError) as error:
        raise ValueError(f"malformed result: {error}") from None


def _decode(value: Any) -> Any:
    if type(value) is list:
        return [_decode(item) for item in value]
    if type(value) is not dict:
        return value
    kind, data = value["t"], value["v"]
    if kind == "int":
        return int(data, 16)
    if kind == "tuple":
        return tuple([_decode(item) for item in data])
    if kind == "dict":
        pairs = [(_decode(k), _decode(v)) for k, v in data]
        try:
            return dict(pairs)
        except TypeError:
            return Opaque("dict", repr(pairs)[:500])
    if kind == "complex":
        return complex(float(data[0]), float(data[1]))
    if kind == "decimal":
        return Decimal(str(data))
    if kind == "fraction":
        return Fraction(int(data[0], 16), int(data[1], 16))
    if kind == "bytes":
        return bytes.fromhex(data)
    return Opaque(str(data[0]), str(data[1]))


def results_match(expected: Any, actual: Any) -> bool:
    """True if a function's result (from `decode_result`) answers `expected`."""
    if type(actual) is tuple:
        actual = list(actual)
    if type(expected) is tuple:
        expected = list(expected)
    flat = type(expected) is type(actual) is list
    if flat and _EXACT.issuperset(map(type, expected)) and _EXACT.issuperset(map(type, actual)):
        return bool(expected == actual)
    return _equal(expected, actual)


def _equal(expected: Any, actual: Any) -> bool:
    # Part by part and without recursion: nesting has no limit, and NaN objects that happen to
    # be identical are not equal.
    stack = [(expected, actual)]
    while stack:
        want, got = stack.pop()
        if isinstance(want, list | tuple) or isinstance(got, list | tuple):
            same_kind = isinstance(want, list) == isinstance(got, list)
            if not same_kind or not isinstance(want, list | tuple) or type(got) is dict:
                return False
            if not isinstance(got, list | tuple) or len(want) != len(got):
                return False
            stack.extend(zip(want, got, strict=True))
        elif isinstance(want, dict) or isinstance(got, dict):
            if not isinstance(want, dict) or not isinstance(got, dict) or len(want) != len(got):
                return False
            if any(key not in got for key in want):
                return False
            stack.extend((value, got[key]) for key, value in want.items())
        elif not _leaf_equal(want, got):
            return False
    return True


def _leaf_equal(want: Any, got: Any) -> bool:
    try:
        return bool(want == got)
    except (decimal.DecimalException, ArithmeticError):
        return False  # a signalling NaN
