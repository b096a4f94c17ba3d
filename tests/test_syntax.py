"""The parser that every program goes through."""

from __future__ import annotations

import ast
import gc
import sys
import warnings
from collections.abc import Iterator

import pytest

from mars2 import syntax

LONG = "x = [i for i in y]\n" * 2_000


@pytest.fixture
def collector() -> Iterator[list[int]]:
    """Once, while something else is parsed, the garbage collector parses, too."""
    before = gc.get_threshold()
    ran: list[int] = []

    def parse(phase: str, info: object) -> None:
        if not ran and sys._getframe(1).f_code is ast.parse.__code__:
            ran.append(1)
            ast.parse("x")

    gc.callbacks.append(parse)
    gc.set_threshold(50)
    yield ran
    gc.set_threshold(*before)
    gc.callbacks.remove(parse)


def test_a_collection_in_between_costs_no_program(collector: list[int]) -> None:
    # without another try this is a SystemError up to CPython 3.11.7
    assert len(syntax.parse(LONG).body) == 2_000
    assert collector


@pytest.mark.parametrize("text", ["x =", "x = 1\0", "(" * 10_000 + ")" * 10_000, "\ud800"])
def test_what_is_not_python_says_so(text: str) -> None:
    with pytest.raises(syntax.NOT_PYTHON):
        syntax.parse(text)


def test_warnings_about_programs_are_kept_quiet() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        syntax.parse(r"x = '\d'")
    assert seen == []
