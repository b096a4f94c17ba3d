"""Tests that tell right from almost right.

Inputs are drawn around the boundaries of the pieces in use, then chosen greedily so that every
way of confusing pieces with their twins fails a private test, and nearly always a public one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from typing import Any

from mars2.lab.families.compose import Composition
from mars2.lab.families.render import render, run

N_PUBLIC = 3
N_PRIVATE = 9
_POOL = 44
_WORDS = tuple(
    re.findall(
        r"\w+",
        "an at eat net one ant tea note neat tone onto eaten nation acorn tenet apple"
        " on to no ten toe oat ear tan pen hat cone gate lane boat stone train heron tiger",
    )
)


def draw_input(composition: Composition, rng: random.Random, *, short: bool = False) -> Any:
    """One argument: a list of small integers, or a string of words.

    About half of the elements sit on a boundary of the composition (`k - 1`, `k`, `k + 1`, words
    of a length or with a letter that a piece asks for). `short` keeps it readable in a prompt.
    """
    # What two filters leave of a short input seldom tells a piece from its twin.
    most = 7 if len(composition.steps) <= 3 else 14
    size = rng.randint(3, 5) if short else rng.randint(0, most)
    params = [s.param for s in composition.steps if s.param is not None]
    if composition.vocabulary.family == "lists":
        numbers = [p for p in params if isinstance(p, int)]
        return [
            rng.choice(numbers) + rng.randint(-1, 1)
            if numbers and rng.random() < 0.5
            else rng.randint(-9, 12)
            for _ in range(size)
        ]
    size = min(size, 4) if short else size
    return " ".join(_word(params, rng) for _ in range(size))


def _word(params: Sequence[int | str], rng: random.Random) -> str:
    if params and rng.random() < 0.5:
        return rng.choice(_fitting(rng.choice(params)))
    return rng.choice(_WORDS)


@cache
def _fitting(wanted: int | str) -> list[str]:
    """The words of a length, or with a letter."""
    return [w for w in _WORDS if (len(w) == wanted if isinstance(wanted, int) else wanted in w)]


def confusions(composition: Composition, most: int = 2) -> list[Composition]:
    """The composition with one step, or up to `most` steps, replaced by their twins."""
    places = range(len(composition.steps))
    return [
        composition.flipped(*chosen)
        for n in range(1, most + 1)
        for chosen in combinations(places, n)
    ]


def choose_tests(composition: Composition) -> tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]]:
    """(public, private) lists of (argument, expected).

    Raises ValueError if some confusion gives the same answers on every input drawn: such a
    composition says nothing about which piece was written, and is no problem of the family.
    """
    rng = random.Random(f"tests:{composition.vocabulary.family}:{composition.key}")
    right = run(render(composition, "comprehension"))
    pool: list[Any] = []
    for i in range(_POOL):
        value = draw_input(composition, rng, short=i < _POOL // 2)
        if value not in pool:
            pool.append(value)
    expected = [right(v) for v in pool]
    differs: list[list[bool]] = []  # by confusion and input
    for confused in confusions(composition):
        wrong = run(render(confused, "comprehension"))
        differs.append([wrong(v) != e for v, e in zip(pool, expected, strict=True)])
        if not any(differs[-1]):  # most long pipelines end here
            raise ValueError(f"{composition.key}: {confused.key} cannot be told from it")
    rejects = [frozenset(j for j, of in enumerate(differs) if of[i]) for i in range(len(pool))]
    short = [i for i, v in enumerate(pool) if _is_short(v)]
    public = _greedy(short, rejects, N_PUBLIC)
    rest = [i for i in range(len(pool)) if i not in public]
    private = _greedy(rest, rejects, N_PRIVATE)
    seen = frozenset().union(*(rejects[i] for i in private))
    if len(seen) < len(differs) or len(private) < N_PRIVATE:
        raise ValueError(f"{composition.key}: a confusion cannot be told from the composition")
    return (
        [(pool[i], expected[i]) for i in public],
        [(pool[i], expected[i]) for i in private],
    )


def _is_short(value: Any) -> bool:
    size = len(value) if isinstance(value, list) else len(value.split())
    return 2 <= size <= 5


def _greedy(candidates: Sequence[int], rejects: Sequence[frozenset[int]], n: int) -> list[int]:
    """`n` candidates that reject each confusion, and as evenly often as possible."""
    chosen: list[int] = []
    count: dict[int, int] = {}
    while len(chosen) < min(n, len(candidates)):
        best = max(
            (i for i in candidates if i not in chosen),
            key=lambda i: sum(1.0 / 4 ** count.get(j, 0) for j in rejects[i]),
        )
        for j in rejects[best]:
            count[j] = count.get(j, 0) + 1
        chosen.append(best)
    return chosen
