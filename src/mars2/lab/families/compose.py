"""Compositions of pieces: what there is, its English, and the train / held-out split.

The split is by *skeleton* (which pairs, in which order), so no twin and no parameter of a
held-out composition is ever trained on.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from mars2.lab.families.pieces import VOCABULARIES, Kind, Pair, Param, Piece, Vocabulary

Split = Literal["train", "heldout"]
PATTERNS: tuple[tuple[Kind, ...], ...] = (
    ("filter", "reduce"),
    ("map", "reduce"),
    ("filter", "map", "reduce"),
    ("map", "filter", "reduce"),
)
DEEP: tuple[tuple[Kind, ...], ...] = (
    ("filter", "map", "filter", "reduce"),
    ("map", "filter", "map", "reduce"),
    ("filter", "map", "filter", "map", "reduce"),
    ("map", "filter", "map", "filter", "reduce"),
)
HELDOUT_PERCENT = 20


@dataclass(frozen=True, slots=True)
class Step:
    """A piece in use: which of a pair, with which parameter."""

    pair: Pair
    variant: int
    param: Param

    @property
    def piece(self) -> Piece:
        """The piece itself."""
        return self.pair.piece(self.variant)

    def expr(self, **names: str) -> str:
        """The piece's expression over the given `x` or `a`."""
        return self.piece.expr.format(k=self.param, **names)

    def twin(self) -> Step:
        """The same step with the piece it is easily mistaken for."""
        return Step(self.pair, 1 - self.variant, self.param)


@dataclass(frozen=True, slots=True)
class Composition:
    """A whole pipeline: filters and maps in order, then one reducer."""

    vocabulary: Vocabulary
    steps: tuple[Step, ...]

    @property
    def key(self) -> str:
        """Names and parameters, unique within a family: `gt5-double-sum`."""
        return "-".join(
            s.piece.name + ("" if s.param is None else str(s.param)) for s in self.steps
        )

    @property
    def skeleton(self) -> str:
        """The pairs without variants and parameters: what the split is decided by."""
        return skeleton_key(tuple(s.pair for s in self.steps))

    @property
    def split(self) -> Split:
        """Where this composition belongs."""
        return split_of(self.vocabulary.family, self.skeleton)

    def statement(self) -> str:
        """The English of the task."""
        phrases = [s.piece.phrase.format(k=s.param) for s in self.steps]
        return self.vocabulary.intro + ", ".join(phrases) + "."

    def flipped(self, *positions: int) -> Composition:
        """The composition with the steps at `positions` replaced by their twins."""
        steps = tuple(s.twin() if i in positions else s for i, s in enumerate(self.steps))
        return Composition(self.vocabulary, steps)


def skeleton_key(pairs: tuple[Pair, ...]) -> str:
    """The name of a skeleton: its pairs' names in order."""
    return "+".join(p.name for p in pairs)


def split_of(family: str, skeleton: str) -> Split:
    """`heldout` for about one skeleton in five, by SHA-256: the same on every machine."""
    digest = hashlib.sha256(f"{family}:{skeleton}".encode()).digest()
    return "heldout" if int.from_bytes(digest[:4], "big") % 100 < HELDOUT_PERCENT else "train"


@cache
def skeletons(
    family: str, split: Split, patterns: tuple[tuple[Kind, ...], ...] = PATTERNS
) -> tuple[tuple[Pair, ...], ...]:
    """Every skeleton of a family on one side of the split."""
    vocabulary = VOCABULARIES[family]
    found = (
        pairs
        for pattern in patterns
        for pairs in itertools.product(*(vocabulary.of_kind(kind) for kind in pattern))
    )
    return tuple(p for p in found if split_of(family, skeleton_key(p)) == split)


def draw(
    family: str,
    split: Split,
    rng: random.Random,
    patterns: tuple[tuple[Kind, ...], ...] = PATTERNS,
) -> Composition:
    """A random composition: skeleton, variants and parameters all uniform."""
    pairs = rng.choice(skeletons(family, split, patterns))
    return Composition(
        VOCABULARIES[family],
        tuple(Step(p, rng.randrange(2), rng.choice(p.params)) for p in pairs),
    )


def every(family: str, split: Split) -> Iterator[Composition]:
    """Each skeleton and choice of variants once, with one parameter each, in a fixed order."""
    vocabulary = VOCABULARIES[family]
    for pairs in skeletons(family, split):
        for variants in itertools.product((0, 1), repeat=len(pairs)):
            rng = random.Random(f"{family}:{skeleton_key(pairs)}:{variants}")
            yield Composition(
                vocabulary,
                tuple(
                    Step(p, v, rng.choice(p.params)) for p, v in zip(pairs, variants, strict=True)
                ),
            )


def one_each(
    family: str, split: Split, patterns: tuple[tuple[Kind, ...], ...]
) -> Iterator[Composition]:
    """Each skeleton of the patterns once, with variants and parameters drawn by its name."""
    for pairs in skeletons(family, split, patterns):
        rng = random.Random(f"{family}:{skeleton_key(pairs)}")
        steps = tuple(Step(p, rng.randrange(2), rng.choice(p.params)) for p in pairs)
        yield Composition(VOCABULARIES[family], steps)
