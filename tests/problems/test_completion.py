"""Answers that continue the starter code become whole programs; all others stay as they are."""

from __future__ import annotations

import warnings

import pytest

from mars2.problems import complete_code
from mars2.types import FunctionalTest, Problem

STARTER = 'from typing import List\n\n\ndef f(a: List[int]) -> int:\n    """Doc."""\n'


def problem(starter: str = STARTER) -> Problem:
    test = FunctionalTest(args=[[1]], expected=1)
    return Problem(
        id="p", statement="s", starter_code=starter, entry_point="f", public_tests=[test]
    )


@pytest.mark.parametrize(
    "body",
    [
        "    return a[0]\n",
        "return a[0]",
        "b = a[0]\nif b:\n    return b\nreturn 0\n",
        "b = a[0]\n    return b\n",  # the first line lost its indent when text was stripped
        "  return a[0]",
    ],
)
def test_a_body_is_appended(body: str) -> None:
    scope: dict[str, object] = {}
    code = complete_code(problem(), body)
    assert code.startswith(STARTER)
    exec(code, scope)
    assert scope["f"]([1]) == 1  # type: ignore[operator]


def test_a_whole_function_gets_the_missing_imports_only() -> None:
    code = "def f(a: List[int]):\n    return a[0]\n"
    assert complete_code(problem(), code) == "from typing import List\n" + code
    with_import = "from typing import List\n" + code
    assert complete_code(problem(), with_import) == with_import
    future = "from __future__ import annotations\n" + code
    assert complete_code(problem(), future) == future


@pytest.mark.parametrize(
    "code",
    ["print(1)", "def f(a):\n    return a +", "this is not code", "", "x = '\0'", "\ud800", "("],
)
def test_anything_else_is_unchanged(code: str) -> None:
    assert complete_code(problem("def f(a):\n"), code) == code


def test_without_starter_code_nothing_changes() -> None:
    assert complete_code(problem(""), "    return 1") == "    return 1"


def test_warnings_about_the_program_are_not_ours() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code = "def f(a):\n    return '\\d' is 1\n"
        assert complete_code(problem(), code).endswith(code)
