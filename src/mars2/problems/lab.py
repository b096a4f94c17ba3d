"""Problems that the lab generates, as a source: `lab:FAMILY` or `lab:FAMILY:SPLIT`."""

from __future__ import annotations

from mars2.types import Problem


def read_lab(argument: str) -> list[Problem]:
    """The problems of "FAMILY:SPLIT"; without SPLIT the training ones.

    Raises ProblemError for an unknown family or split.
    """
    from mars2.lab.families import load_family  # lazily: the lab is no part of the core

    family, colon, split = argument.partition(":")
    return load_family(family, split) if colon else load_family(family)
