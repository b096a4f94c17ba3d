"""The pretraining corpus of a micro model: first attempts and refinements, endlessly.

The writer of the corpus has habits: pieces that `misreads` names are written as their twins with
the given probability. What it then writes is consistent: in a refinement the
expected values are those of the program it believes in, so the previous program and its failure
carry real information, and the model learns to use them rather than to trust the statement.
Held-out compositions, their twins included, never occur.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mars2.lab.families.cases import draw_input
from mars2.lab.families.compose import DEEP, PATTERNS, Composition, Step, draw
from mars2.lab.families.pieces import VOCABULARIES
from mars2.lab.families.render import STYLES, Style, render, run
from mars2.prompts.micro import (
    FINE,
    HIDDEN,
    compact,
    generate_prompt,
    mismatch,
    raised,
    refine_prompt,
)

SECOND_LOOK = 0.4  # with a failure at hand, misreading is less likely by this factor
P_FINE = 0.05  # a refinement of a program that passes: write it again
P_HIDDEN = 0.08  # a refinement that only knows that hidden tests failed
P_BROKEN = 0.06  # the previous program does not run
P_PARAM = 0.06  # the previous program uses a wrong number or letter
P_TWO = 0.15  # two pieces are wrong instead of one


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and the program to write; `skeleton` says where it came from."""

    prompt: str
    program: str
    family: str
    skeleton: str
    refine: bool


def examples(
    misreads: Mapping[str, float],
    style: Style,
    first_attempts: float,
    seed: int,
    *,
    deep: float = 0.0,
    second_look: float = SECOND_LOOK,
) -> Iterator[Example]:
    """An endless, seeded stream; see `MicroSpec` for the parameters.

    Args:
        deep: share of problems with four or five pieces, as in the hard families.
        second_look: misreading with a failure at hand is less likely by this factor.
    """
    rng = random.Random(f"corpus:{seed}")
    families = tuple(VOCABULARIES)
    while True:
        patterns = DEEP if deep and rng.random() < deep else PATTERNS
        stated = draw(rng.choice(families), "train", rng, patterns)
        refine = rng.random() >= first_attempts
        believed = misread(stated, misreads, rng, second_look if refine else 1.0)
        yield Example(
            prompt=_refinement(stated, believed, rng)
            if refine
            else generate_prompt(stated.statement()),
            program=render(believed, style) + "\n",
            family=stated.vocabulary.family,
            skeleton=stated.skeleton,
            refine=refine,
        )


def misread(
    stated: Composition, misreads: Mapping[str, float], rng: random.Random, scale: float = 1.0
) -> Composition:
    """What the corpus' writer takes the statement for; `scale` multiplies the probabilities."""
    flips = [
        i
        for i, step in enumerate(stated.steps)
        if rng.random() < scale * misreads.get(step.piece.name, 0.0)
    ]
    return stated.flipped(*flips)


def _refinement(stated: Composition, believed: Composition, rng: random.Random) -> str:
    if rng.random() < P_FINE:
        return refine_prompt(stated.statement(), render(believed, rng.choice(STYLES)), FINE)
    previous = _mistaken(believed, rng)
    code = render(previous, rng.choice(STYLES))
    if rng.random() < P_BROKEN:
        code = _break(code, rng)
    return refine_prompt(stated.statement(), code, _failure(code, believed, rng))


def _mistaken(believed: Composition, rng: random.Random) -> Composition:
    """`believed` with one or two mistakes."""
    with_param = [i for i, s in enumerate(believed.steps) if s.param is not None]
    if with_param and rng.random() < P_PARAM:
        place = rng.choice(with_param)
        step = believed.steps[place]
        others = [p for p in step.pair.params if p != step.param]
        wrong = Step(step.pair, step.variant, rng.choice(others))
        steps = (*believed.steps[:place], wrong, *believed.steps[place + 1 :])
        return Composition(believed.vocabulary, steps)
    n = 2 if rng.random() < P_TWO else 1
    return believed.flipped(*rng.sample(range(len(believed.steps)), n))


def _break(code: str, rng: random.Random) -> str:
    """`code` with one character of its body lost."""
    start = code.index(":") + 1
    place = rng.randrange(start, len(code))
    return code[:place] + code[place + 1 :]


def _failure(code: str, believed: Composition, rng: random.Random) -> str:
    """The evidence of the first input on which `code` and `believed` differ."""
    if rng.random() < P_HIDDEN:
        return HIDDEN
    right = run(render(believed, "comprehension"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            wrong = run(code)
    except SyntaxError as error:
        value = draw_input(believed, rng, short=True)
        return raised(f"f({compact(value)})", f"SyntaxError: {error.msg}")
    for _ in range(12):
        value = draw_input(believed, rng, short=True)
        call, expected = f"f({compact(value)})", right(value)
        try:
            actual: Any = wrong(value)
        except Exception as error:
            return raised(call, f"{type(error).__name__}: {error}")
        if actual != expected:
            return mismatch(call, compact(actual), compact(expected))
    return HIDDEN
