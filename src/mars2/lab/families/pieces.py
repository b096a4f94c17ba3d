"""The vocabulary of the lab families: pieces of a pipeline, each with an easily mistaken twin.

A pair holds two pieces that a weak model confuses (`>` and `>=`, even and odd, `x*2` and `x*x`).
Problems are compositions of pieces; tests are chosen so that writing the twin fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["filter", "map", "reduce"]
Param = int | str | None


@dataclass(frozen=True, slots=True)
class Piece:
    """One step of a pipeline.

    `expr` is a Python expression: over `{x}` (an element) for filters and maps, over `{a}` (the
    list of what is left) for reducers; `{k}` is the parameter, in `phrase` too.
    """

    name: str
    phrase: str
    expr: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pieces taken for each other; they share the parameters they may be used with."""

    name: str
    kind: Kind
    first: Piece
    second: Piece
    params: tuple[Param, ...] = (None,)

    def piece(self, variant: int) -> Piece:
        """`first` for variant 0, `second` for variant 1."""
        return self.second if variant else self.first


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A family's pieces and how its input is called, opened and described."""

    family: str
    intro: str
    arg: str
    items: str  # expression over the argument that yields the elements
    pairs: tuple[Pair, ...]

    def of_kind(self, kind: Kind) -> tuple[Pair, ...]:
        """The pairs of one kind, in order."""
        return tuple(p for p in self.pairs if p.kind == kind)

    def pair(self, name: str) -> Pair:
        """The pair called `name`; KeyError if there is none."""
        for pair in self.pairs:
            if pair.name == name:
                return pair
        raise KeyError(name)


NUMBERS = Vocabulary(
    family="lists",
    intro="Write f(a) for a list a of integers: ",
    arg="a",
    items="a",
    pairs=(
        Pair(
            "above",
            "filter",
            Piece("gt", "keep those greater than {k}", "{x}>{k}"),
            Piece("ge", "keep those that are at least {k}", "{x}>={k}"),
            params=(1, 2, 3, 4, 5, 6),
        ),
        Pair(
            "below",
            "filter",
            Piece("lt", "keep those less than {k}", "{x}<{k}"),
            Piece("le", "keep those that are at most {k}", "{x}<={k}"),
            params=(3, 4, 5, 6, 7, 8),
        ),
        Pair(
            "parity",
            "filter",
            Piece("even", "keep the even ones", "{x}%2==0"),
            Piece("odd", "keep the odd ones", "{x}%2==1"),
        ),
        Pair(
            "multiple",
            "filter",
            Piece("div", "keep the multiples of {k}", "{x}%{k}==0"),
            Piece("nodiv", "drop the multiples of {k}", "{x}%{k}!=0"),
            params=(3, 4, 5),
        ),
        Pair(
            "power",
            "map",
            Piece("double", "double each", "{x}*2"),
            Piece("square", "square each", "{x}*{x}"),
        ),
        Pair(
            "shift",
            "map",
            Piece("add", "add {k} to each", "{x}+{k}"),
            Piece("sub", "subtract {k} from each", "{x}-{k}"),
            params=(1, 2, 3, 4, 5),
        ),
        Pair(
            "sign",
            "map",
            Piece("neg", "negate each", "-{x}"),
            Piece("abs", "take the absolute value of each", "abs({x})"),
        ),
        Pair(
            "divide",
            "map",
            Piece("quot", "divide each by {k} rounding down", "{x}//{k}"),
            Piece("rem", "take the remainder of each by {k}", "{x}%{k}"),
            params=(3, 4, 5),
        ),
        Pair(
            "total",
            "reduce",
            Piece("sum", "return the sum", "sum({a})"),
            Piece("count", "return how many are left", "len({a})"),
        ),
        Pair(
            "extreme",
            "reduce",
            Piece("max", "return the largest or 0", "max({a},default=0)"),
            Piece("min", "return the smallest or 0", "min({a},default=0)"),
        ),
        Pair(
            "order",
            "reduce",
            Piece("asc", "return them in ascending order", "sorted({a})"),
            Piece("desc", "return them in descending order", "sorted({a})[::-1]"),
        ),
        Pair(
            "listing",
            "reduce",
            Piece("keep", "return the list", "{a}"),
            Piece("flip", "return the list reversed", "{a}[::-1]"),
        ),
    ),
)

STRINGS = Vocabulary(
    family="strings",
    intro="Write f(s) for the words of a string s: ",
    arg="s",
    items="s.split()",
    pairs=(
        Pair(
            "longer",
            "filter",
            Piece("longer", "keep those longer than {k} letters", "len({x})>{k}"),
            Piece("atleast", "keep those of {k} letters or more", "len({x})>={k}"),
            params=(2, 3, 4),
        ),
        Pair(
            "shorter",
            "filter",
            Piece("shorter", "keep those shorter than {k} letters", "len({x})<{k}"),
            Piece("atmost", "keep those of {k} letters or less", "len({x})<={k}"),
            params=(3, 4, 5),
        ),
        Pair(
            "has",
            "filter",
            Piece("has", "keep those with the letter {k}", "'{k}' in {x}"),
            Piece("hasnot", "keep those without the letter {k}", "'{k}' not in {x}"),
            params=("a", "e", "n", "o", "t"),
        ),
        Pair(
            "edge",
            "filter",
            Piece("starts", "keep those that start with {k}", "{x}[:1]=='{k}'"),
            Piece("ends", "keep those that end with {k}", "{x}[-1:]=='{k}'"),
            params=("a", "e", "n", "t"),
        ),
        Pair(
            "case",
            "map",
            Piece("upper", "write each in capitals", "{x}.upper()"),
            Piece("title", "capitalize each", "{x}.title()"),
        ),
        Pair(
            "letter",
            "map",
            Piece("first", "take the first letter of each", "{x}[:1]"),
            Piece("last", "take the last letter of each", "{x}[-1:]"),
        ),
        Pair(
            "cut",
            "map",
            Piece("behead", "drop the first letter of each", "{x}[1:]"),
            Piece("curtail", "drop the last letter of each", "{x}[:-1]"),
        ),
        Pair(
            "turn",
            "map",
            Piece("mirror", "reverse each", "{x}[::-1]"),
            Piece("twice", "repeat each twice", "{x}*2"),
        ),
        Pair(
            "join",
            "reduce",
            Piece("spaced", "join them with spaces", "' '.join({a})"),
            Piece("glued", "join them without spaces", "''.join({a})"),
        ),
        Pair(
            "size",
            "reduce",
            Piece("words", "return how many are left", "len({a})"),
            Piece("letters", "return how many letters are left", "len(''.join({a}))"),
        ),
        Pair(
            "length",
            "reduce",
            Piece("longest", "return the first longest or nothing", "max({a},key=len,default='')"),
            Piece(
                "shortest",
                "return the first shortest or nothing",
                "min({a},key=len,default='')",
            ),
        ),
        Pair(
            "rank",
            "reduce",
            Piece("sorted", "return the sorted list", "sorted({a})"),
            Piece("reversed", "return the reversed list", "{a}[::-1]"),
        ),
    ),
)

VOCABULARIES: dict[str, Vocabulary] = {v.family: v for v in (NUMBERS, STRINGS)}
