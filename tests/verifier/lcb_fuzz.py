"""Random outputs and results, and our side of comparing with the official checker.

Everything comes from a `random.Random`: a seed names a case. Values are the kinds that functions
really return, near misses of what is expected, and what the official comparison is known to
treat in its own way.
"""

from __future__ import annotations

import json
import marshal
import math
from collections import Counter, OrderedDict, UserList, defaultdict, deque, namedtuple
from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from random import Random
from typing import Any

from lcb_local import Local

from mars2.types import FunctionalTest, StdinTest
from mars2.verifier import official
from mars2.verifier.judge import Limits, Ran

LIMITS = Limits(1.0, 1 << 30, 1 << 20, 16)


def judged(
    local: Local, problem: dict[str, str], code: str, timeout: float, plain: bool = False
) -> tuple[list[Any], int | None]:
    """Results and error code of one program, by the official profile.

    `plain`: with the standard input of the package rather than the repository's.
    """
    name, cases = cases_of(problem)
    payloads = [
        case.input.encode("utf-8", "surrogatepass")
        if isinstance(case, StdinTest)
        else marshal.dumps(case.args, 2)
        for case in cases
    ]
    kind = "stdin" if name is None else "functional"
    frames, status, alarmed, killed = local.run(kind, code, name or "", payloads, timeout, plain)
    runs, printed = [], b""
    for letter, payload in frames:
        if letter == b"T":
            printed = payload
            continue
        runs.append(Ran(answer=(letter.decode(), payload), stdout=printed))
        printed = b""
    if len(runs) < len(cases):
        runs.append(Ran(exit=status, killed="cpu" if killed else ""))
    outcomes: list[official.Outcome] = []
    for index, (case, ran) in enumerate(zip(cases, runs, strict=False)):
        if alarmed and index == len(runs) - 1:
            ran = Ran(**{**vars(ran), "alarmed": True})
        outcomes.append(official.judge(case, name or "", ran, LIMITS)[1])
        if outcomes[-1].error_code is not None:
            break
    found = official.result(outcomes)
    return found.results, found.error_code


def cases_of(problem: dict[str, str]) -> tuple[str | None, list[StdinTest | FunctionalTest]]:
    """The entry point (None: a program) and the tests of a problem in the official form."""
    tests = json.loads(problem["input_output"])
    name = tests.get("fn_name")
    cases: list[StdinTest | FunctionalTest] = []
    for given, expected in zip(tests["inputs"], tests["outputs"], strict=True):
        if name is None:
            cases.append(StdinTest(input=given, expected=expected))
        else:
            arguments = [json.loads(line) for line in given.split("\n")]
            cases.append(FunctionalTest(args=arguments, expected=json.loads(expected)))
    return name, cases


# --------------------------------------------------------------------------- outputs

_SPACES = (" ", "  ", "\t", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u2003", "\u3000", "")
_WORDS = (
    *("0", "1", "-1", "007", "10", "1.0", "1.50", ".5", "5.", "-0", "+3", "1e3", "1E+3", "1_000"),
    *("__1", "1__0", "inf", "-Infinity", "INF", "nan", "NaN", "-NaN", "nan12", "sNaN", "snan"),
    *("-sNaN5", "٣", "１２", "²", "½", "0x10", "1e999999999999999999999", "1e-400", "1e400"),
    *("YES", "no", "Case", "#1:", "a,b", "1,2", "[1,", "\x00", "é", "e\u0301", "\ud800", "\u200b"),
    *("0.1", "0.10000000000000001", "123456789012345678901234567890", "9" * 40, "1" + "0" * 60),
    *("True", "None", "1j", "infinity1", "e5", "1e", "--1", "+-1", "1.2.3", "\ufeff1", "𝟙"),
)


def output_pair(rng: Random) -> tuple[str, str]:
    """(expected, printed): equal texts, near misses, or unrelated ones."""
    expected = _text(rng)
    if rng.random() < 0.15:
        return expected, _text(rng)
    printed = expected
    for _ in range(rng.randrange(4)):
        printed = _mutated(rng, printed)
    return expected, printed


def _word(rng: Random) -> str:
    draw = rng.random()
    if draw < 0.35:
        return str(rng.randint(-1000, 1000))
    if draw < 0.5:
        return repr(round(rng.uniform(-10, 10), rng.randrange(6)))
    return rng.choice(_WORDS)


def _text(rng: Random) -> str:
    lines = []
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 5))):
        words = [_word(rng) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
        spaces = [" " if rng.random() < 0.8 else rng.choice(_SPACES) for _ in words]
        lines.append("".join(w + s for w, s in zip(words, spaces, strict=True)))
    return "\n".join(lines) + rng.choice(("", "\n", "\n", "\r\n", "\n\n"))


def _mutated(rng: Random, text: str) -> str:
    words = text.split(" ")
    at = rng.randrange(len(words))
    match rng.randrange(10):
        case 0:
            words[at] = _renumbered(rng, words[at])
        case 1:
            words[at] = _word(rng)
        case 2:
            words[at] += rng.choice(_SPACES)
        case 3:
            words[at] = rng.choice(_SPACES) + words[at]
        case 4:
            return text.replace("\n", rng.choice(("\r\n", "\n\n", " \n", "\r", "\x0b")), 1)
        case 5:
            return text + rng.choice(("\n", " ", "0", "\n0", "\x00"))
        case 6:
            return rng.choice(("\n", " ", "\ufeff", "0")) + text
        case 7:
            return text.swapcase()
        case 8:
            words[at : at + 1] = []
        case _:
            cut = rng.randrange(len(text) + 1)
            return text[:cut] + rng.choice(("", "0", ".", "_", " ", "\n", "e")) + text[cut + 1 :]
    return " ".join(words)


def _renumbered(rng: Random, word: str) -> str:
    """The same number, or nearly, in another spelling."""
    try:
        number = Decimal(word)
        forms = (f"{number}", f"{number:.30f}", f"{number:e}", f"{number}0", f"0{number}")
    except Exception:
        return word
    return rng.choice((*forms, f"{word}.0", f"+{word}", f"{word}_0", f"{word}e0"))


# --------------------------------------------------------------------------- results


class Colour(IntEnum):
    """An int subclass with a text of its own."""

    RED = 1
    GREEN = 2


class Picky:
    """Compares with its own kind only, by attribute: raises for others."""

    value = 1

    def __eq__(self, other: Any) -> bool:
        return self.value == other.value

    __hash__ = None  # type: ignore[assignment]


class Unprintable(list):  # type: ignore[type-arg]
    """A list that cannot be made into a text."""

    def __repr__(self) -> str:
        raise ValueError("no text")


class Named(str):
    """A string that cannot be pickled by name."""


Named.__qualname__ = "nowhere.Named"
Pair = namedtuple("Pair", "first second")
_NAN = float("nan")
_ODD: tuple[Callable[[], Any], ...] = (
    *(lambda: {1, 2}, lambda: range(3), lambda: iter([1]), object, Picky, lambda: [Picky()]),
    *(lambda: Colour.RED, lambda: [Colour.GREEN], lambda: Decimal("sNaN"), lambda: b"1"),
    *(lambda: [Decimal("NaN")], lambda: _NAN, lambda: [_NAN], lambda: [json.loads("NaN")]),
    *(lambda: 10**50_001, lambda: [10**50_001], lambda: Unprintable([7]), lambda: ()),
    *(lambda: {"a": Unprintable()}, dict, lambda: {1: 2}, lambda: {(1, 2): 3}, frozenset),
    *(lambda: print, lambda: NotImplemented, lambda: Named("a"), lambda: Named("b" * 400)),
    *(lambda: [[[[[]]]]], lambda: "\ud83d\ude00", lambda: UserList([1]), lambda: [UserList()]),
)


def json_value(rng: Random, depth: int = 0) -> Any:
    """An expected value."""
    draw = rng.randrange(9 if depth < 3 else 6)
    if draw == 0:
        return rng.choice((None, True, False, "", 0, 1, -1))
    if draw == 1:
        return rng.choice((0.5, 1.0, -0.0, 1e300, math.inf, -math.inf, 0.1 + 0.2, 2.0**60))
    if draw == 2:
        return rng.choice(("a", "1", "é", "\ud800", "𝄞", "a b", "x" * 400))
    if draw == 3:
        return json.loads("NaN") if rng.random() < 0.3 else rng.randint(0, 3)
    if draw in (4, 5):
        return rng.choice((rng.randint(-5, 5), 10**18 + rng.randint(0, 2), 10**400))
    if draw in (6, 7):
        return [json_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {str(i): json_value(rng, depth + 1) for i in range(rng.randrange(3))}


def result_for(rng: Random, expected: Any, numpy: Any, depth: int = 0) -> Any:
    """A function's result: the expected value in some type, or something else."""
    draw = rng.random()
    if draw < 0.05:
        return json_value(rng, depth)
    if draw < 0.1:
        return rng.choice(_ODD)()
    if isinstance(expected, list):
        return _sequence(rng, expected, numpy, depth)
    if isinstance(expected, dict):
        made = {key: result_for(rng, item, numpy, depth + 1) for key, item in expected.items()}
        kind = rng.choice((dict, dict, OrderedDict, Counter, lambda d: defaultdict(list, d)))
        return kind(made)
    return rng.choice(_scalars(expected, numpy))()


def _sequence(rng: Random, expected: list[Any], numpy: Any, depth: int) -> Any:
    items = [result_for(rng, item, numpy, depth + 1) for item in expected]
    kind = rng.choice((list, list, list, tuple, UserList, deque, "array", Unprintable, Pair))
    if kind == "array":
        try:
            return numpy.array(expected if rng.random() < 0.7 else items)
        except Exception:
            return items
    if kind is Pair:
        return Pair(*items) if len(items) == 2 else tuple(items)
    return kind(items)


def _scalars(expected: Any, numpy: Any) -> tuple[Callable[[], Any], ...]:
    def same() -> Any:
        return expected

    if isinstance(expected, str):
        data = expected.encode("utf-8", "surrogatepass")
        wrong = (lambda: expected + "!", lambda: data)
        return (same, same, *wrong, lambda: Named(expected), lambda: numpy.str_(expected))
    if isinstance(expected, bool) or expected is None:
        return (same, same, lambda: int(bool(expected)), lambda: numpy.bool_(expected))
    if isinstance(expected, float):
        return (
            *(same, same, lambda: numpy.float64(expected), lambda: expected + 1e-9),
            *(lambda: numpy.float32(expected), lambda: [expected], lambda: Decimal(expected)),
            lambda: numpy.array([[expected]]),
        )
    if abs(expected) > 2**62:
        return (same, lambda: expected + 1, lambda: float(expected % 10**300))
    return (
        *(same, same, lambda: float(expected), lambda: Fraction(expected)),
        *(lambda: Decimal(expected), lambda: numpy.int64(expected), lambda: complex(expected)),
        *(lambda: str(expected), lambda: expected + 1, lambda: bool(expected)),
        *(lambda: numpy.array(expected), lambda: numpy.array([expected])),
    )
