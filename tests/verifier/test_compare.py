"""The comparison rules, and that results of functions survive their journey."""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.verifier._sandbox.encode import TooLarge, encode
from mars2.verifier.compare import decode_result, outputs_match, results_match
from mars2.verifier.evidence import cut, show


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("6\n", "6"),
        ("6\n", "\n\n  6  \n\n"),
        ("6\r\n7\r\n", "6\n7\n"),
        ("1 2 3", "1   2\t3"),
        ("6", "6.0"),
        ("1000", "1_000"),
        ("-0", "0"),
        ("inf", "Infinity"),
        ("100", "1e2"),
        ("6", "٦"),
        ("1" + "0" * 6000, "1" + "0" * 6000 + ".0"),
        ("a b", "a b"),
        ("", "\n"),
    ],
)
def test_same_output(expected: str, actual: str) -> None:
    assert outputs_match(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("6", "6 7"),
        ("6\n7", "6 7"),
        ("6\n7", "6\r7"),
        ("a b", "a  b"),
        ("YES 1.0", "YES 1.00"),
        ("nan", "NaN"),
        ("5", "sNaN"),
        ("YES", "yes"),
        ("0.3", "0.30000000000000004"),
        ("1" + "0" * 6000, "1" + "0" * 5999 + "1"),
        ("1000", "1,000"),
        ("6", "6\x00"),
        ("6", ""),
        ("e\u0301", "\u00e9"),
    ],
)
def test_different_output(expected: str, actual: str) -> None:
    assert not outputs_match(expected, actual)


@given(st.text(max_size=60))
def test_every_text_matches_itself(text: str) -> None:
    assert outputs_match(text, text)


@given(st.text("0123456789.e-+ \nna_", max_size=30), st.text("0123456789.e-+ \nna_", max_size=30))
def test_comparison_is_symmetric_and_never_raises(one: str, other: str) -> None:
    assert outputs_match(one, other) == outputs_match(other, one)


def travel(value: Any) -> Any:
    return decode_result(encode(value, 1 << 20))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_plain_results_travel_unchanged(value: Any) -> None:
    back = travel(value)
    assert back == value
    assert type(back) is type(value)
    assert results_match(value, back)


Pair = namedtuple("Pair", "a b")


class Odd(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ([1, 2], (1, 2), True),
        ([[1, 2]], ((1, 2),), False),
        ([1, 2], Pair(1, 2), True),
        ([1, 2], {1, 2}, False),
        ([1, 2], deque([1, 2]), False),
        ({"a": 1}, Counter("a"), True),
        ({"a": 1}, defaultdict(int, a=1), True),
        ({"a": 1, "b": 2}, OrderedDict([("b", 2), ("a", 1)]), True),
        ({"1": 2}, {1: 2}, False),
        (6, 6 + 0j, True),
        (6, Decimal("6.0"), True),
        (0.5, Fraction(1, 2), True),
        (5, Decimal("sNaN"), False),
        (1, True, True),
        (5, Odd(0), False),
        (0, Odd(0), True),
        ("a", b"a", False),
        (5, 7**30000, False),
        (7**30000, 7**30000, True),
        (math.nan, math.nan, False),
        ([math.nan], [math.nan], False),
        (math.inf, math.inf, True),
        ([], None, False),
        ([], {}, False),
        ({"a": []}, {"a": ()}, False),
        ("\ud800", "\ud800", True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_results(expected: Any, actual: Any, same: bool) -> None:
    assert results_match(expected, travel(actual)) is same


def test_a_result_that_contains_itself_equals_nothing() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert not results_match([[]], travel(loop))


def test_deep_results_are_compared_or_refused_without_overflow() -> None:
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    assert results_match(deep, travel(deep))
    for _ in range(100_000):
        deep = [deep]
    assert not results_match([], travel(deep))


def test_results_are_bounded() -> None:
    dag: list[Any] = [1]
    for _ in range(60):
        dag = [dag, dag]
    for value in (dag, "x" * 2000, 1 << 20000, [0] * 2000):
        with pytest.raises(TooLarge):
            encode(value, 1000)


@given(st.binary(max_size=80) | plain.map(lambda value: json.dumps(value).encode()))
def test_decoding_untrusted_bytes_gives_a_value_or_value_error(data: bytes) -> None:
    try:
        decode_result(data)
    except ValueError:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b'{"t":"int","v":"zz"}',
        b'{"t":"int"}',
        b'{"t":"fraction","v":["1","0"]}',
        b'{"t":"complex","v":[1]}',
        b'{"t":"decimal","v":"x"}',
        b'{"t":"other","v":[]}',
        b"[" * 5000,
        b"1" * 10000,
    ],
)
def test_malformed_results_are_value_errors(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"malformed|hex|literal|Exceeds|could not|integer"):
        decode_result(data)


def test_evidence_is_bounded_says_so_and_can_be_stored() -> None:
    text = cut("a" * 10_000 + "\ud800", 100)
    assert len(text) < 160
    assert "cut" in text
    text.encode("utf-8")
    assert "integer of" in show(10**5000)
