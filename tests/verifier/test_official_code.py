"""Compiling the rewritten tree gives what the official checker's text gives."""

from __future__ import annotations

import ast
import dis
import random
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import lcb_programs
import pytest

from mars2.verifier._sandbox import official_code

_LIBRARY = Path(random.__file__).parent


def _check(source: str) -> bool:
    """True if the tree is compiled; asserts that it is the tree of the text."""
    try:
        tree, solution = official_code._tree(source)
    except official_code._Differs:
        return False
    text, bare = official_code._text(source)
    assert not bare, source
    assert ("class Solution" in text) is solution, source
    try:
        expected = official_code._compile(text)
    except (SyntaxError, ValueError):
        with pytest.raises((SyntaxError, ValueError)):
            official_code._compile(tree)
    else:
        assert ast.dump(ast.parse(text)) == ast.dump(tree), source
        assert _same(official_code._compile(tree), expected), source
    return True


def _same(one: Any, other: Any) -> bool:
    """The same code but for the numbers of lines.

    By instructions, not bytes: equal functions in one line are one constant or two.
    """
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if not isinstance(one, CodeType) or not isinstance(other, CodeType):
        return type(one) is type(other) and (one == other or repr(one) == repr(other))
    names = ("co_name", "co_exceptiontable", "co_names", "co_varnames", "co_flags")
    if not all(getattr(one, name) == getattr(other, name) for name in names):
        return False
    mine, theirs = list(dis.get_instructions(one)), list(dis.get_instructions(other))
    return len(mine) == len(theirs) and all(
        a.opname == b.opname and a.offset == b.offset and _same(a.argval, b.argval)
        for a, b in zip(mine, theirs, strict=True)
    )


def _compare_library(monkeypatch: pytest.MonkeyPatch, step: int) -> tuple[int, int]:
    monkeypatch.setattr(official_code, "_SEES_LINES", ())
    direct = total = 0
    for path in sorted(_LIBRARY.rglob("*.py"))[::step]:
        if "lib2to3" in str(path) or "site-packages" in str(path):
            continue
        total += 1
        direct += _check(path.read_text("utf-8", "surrogateescape"))
    return direct, total


@pytest.mark.filterwarnings("ignore")
def test_the_tree_of_library_modules_is_what_their_text_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The standard library holds every construct there is, even if submissions do not."""
    direct, total = _compare_library(monkeypatch, 60)
    assert direct > total * 0.6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_tree_of_more_library_modules_is_what_their_text_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    direct, total = _compare_library(monkeypatch, 8)
    assert direct > total * 0.6


@pytest.mark.filterwarnings("ignore")
def test_the_tree_of_random_programs_is_what_their_text_gives() -> None:
    seeds = range(400)
    assert sum(_check(lcb_programs.program(random.Random(seed))[0]) for seed in seeds) > 200


@pytest.mark.parametrize(
    "source",
    [
        "ｉｆ = 1",  # an identifier that is a keyword once it is normalised
        "x = " + "(" * 95 + "1" + ",)" * 95,
        "x = " + " + ".join(["a"] * 3000),
        "x = 0x" + "f" * 45_000,
        "with (a, b) as c: pass",
        "import traceback",
    ],
)
def test_where_the_text_could_differ_it_is_made(source: str) -> None:
    with pytest.raises(official_code._Differs):
        official_code._direct(source)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("class  Solution: pass", True),
        ("class SolutionX: pass", True),
        ("x = 'a class Solution'", True),
        ("x = 'class S' 'olution'", True),
        ("x = f'class Solution{1}'", True),
        ("x = b'class Solution'", True),
        ("# class Solution\nx = 1", False),
        ("x = 'class  Solution'", False),
        ("class Other: pass", False),
    ],
)
def test_the_words_class_solution_are_found_as_in_the_text(source: str, found: bool) -> None:
    assert official_code._direct(source).solution is found
    assert official_code._written(source).solution is found


def test_a_function_is_compiled_as_it_is() -> None:
    assert official_code.compile_function("class  Solution: pass").solution is False
    assert official_code.compile_function("# class Solution").solution is True
    with pytest.raises(SyntaxError):
        official_code.compile_function("from __future__ import annotations")


def test_a_program_that_cannot_be_written_runs_as_it_is() -> None:
    limit = sys.getrecursionlimit()
    assert official_code.compile_stdin("x = " + " + ".join(["1"] * 900)).bare
    assert sys.getrecursionlimit() == limit
