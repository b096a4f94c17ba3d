"""Generated problem families: compositional tasks with a held-out side no training touches.

Pure Python. A test bed, not a benchmark: see docs/lab.md.
"""

from __future__ import annotations

import hashlib
import itertools
from functools import cache

from mars2.errors import ProblemError
from mars2.lab.families.cases import choose_tests
from mars2.lab.families.compose import DEEP, Composition, Split, Step, every, one_each
from mars2.lab.families.pieces import VOCABULARIES
from mars2.types import FunctionalTest, Problem

FAMILIES: dict[str, str] = {
    "lists": "pipelines over a list of integers: filter, map, reduce",
    "strings": "pipelines over the words of a string: filter, map, reduce",
    "mix": "lists and strings in turn",
    "hard-lists": "lists with two filters or two maps, four or five pieces",
    "hard-strings": "strings with two filters or two maps, four or five pieces",
    "hard": "hard-lists and hard-strings in turn",
}
SPLITS: tuple[Split, ...] = ("train", "heldout")
LIMITS: dict[Split, int] = {"train": 320, "heldout": 100}
HARD_LIMITS: dict[Split, int] = {"train": 160, "heldout": 100}

__all__ = ["FAMILIES", "LIMITS", "SPLITS", "composition_of", "load_family"]
_DIFFICULTY = {2: "easy", 3: "medium", 4: "hard", 5: "hard"}


@cache
def _load(family: str, split: Split, hard: bool) -> tuple[Problem, ...]:
    order = sorted(
        one_each(family, split, DEEP) if hard else every(family, split),
        key=lambda c: hashlib.sha256(f"order:{family}:{c.key}".encode()).digest(),
    )
    problems: list[Problem] = []
    for composition in order:
        if len(problems) == (HARD_LIMITS if hard else LIMITS)[split]:
            break
        try:
            public, private = choose_tests(composition)
        except ValueError:
            continue
        problems.append(
            Problem(
                id=f"lab-{family}-{composition.key}",
                statement=composition.statement(),
                entry_point="f",
                public_tests=[FunctionalTest(args=[a], expected=e) for a, e in public],
                private_tests=[FunctionalTest(args=[a], expected=e) for a, e in private],
                difficulty=_DIFFICULTY[len(composition.steps)],
                metadata={
                    "family": family,
                    "split": split,
                    "steps": [[s.pair.name, s.variant, s.param] for s in composition.steps],
                },
            )
        )
    return tuple(problems)


def load_family(name: str, split: str = "train") -> list[Problem]:
    """The problems of a family, always the same and in the same (shuffled) order.

    `mix` and `hard` take lists and strings in turn, so that any prefix holds as many of each.
    Raises ProblemError for an unknown family or split.
    """
    if name not in FAMILIES:
        raise ProblemError(f"lab:{name}: unknown family; there are {', '.join(FAMILIES)}")
    side: Split
    if split == "train":
        side = "train"
    elif split == "heldout":
        side = "heldout"
    else:
        raise ProblemError(f"lab:{name}:{split}: unknown split; there are train and heldout")
    hard = name.startswith("hard")
    family = name.removeprefix("hard").removeprefix("-")
    if family in VOCABULARIES:
        return list(_load(family, side, hard))
    parts = [_load(family, side, hard) for family in VOCABULARIES]
    turns = itertools.zip_longest(*parts)
    return [p for turn in turns for p in turn if p is not None]


def composition_of(problem: Problem) -> Composition:
    """The composition behind a lab problem. Raises ProblemError for any other problem."""
    family, steps = problem.metadata.get("family"), problem.metadata.get("steps")
    if not problem.id.startswith("lab-") or family not in VOCABULARIES or not steps:
        raise ProblemError(f"{problem.id}: not a problem of a lab family")
    vocabulary = VOCABULARIES[family]
    return Composition(vocabulary, tuple(Step(vocabulary.pair(name), v, k) for name, v, k in steps))
