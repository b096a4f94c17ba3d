"""New inputs for a problem, made from those of its public tests by small changes. Pure.

Nothing is known of an input but the examples, so a change keeps what all examples have in common:

- values: the type; the sign (numbers stay ≥ 0, or ≥ 1, where no example goes below); the kind of
  characters of a text (letters stay letters of their case, digits stay digits), its alphabet
  where examples have few characters; texts of several words get and lose words;
- lists: in order, without duplicates, of one length (several pairs, rows), where all examples
  are; empty only where an example is;
- sizes: a number that is the length of a list or text beside it in every example follows it;
- standard input: lines and words keep their places; sizes change only where a number counts the
  words of another line, or the lines below it, in every example, and that number follows.

The same problem, count and seed give the same inputs.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Sequence
from typing import Any

from mars2.inference.stdin_inputs import change_text
from mars2.inference.values import Values
from mars2.syntax import NOT_PYTHON, parse
from mars2.types import AssertionTest, FunctionalTest, Problem, StdinTest, TestCase

_TRIES = 20  # changes for each input wanted: many give one that is there already
_NAMES = ("candidate",)  # what test programs call a submission's function besides its own name


def generate_inputs(problem: Problem, count: int, *, seed: int = 0) -> list[TestCase]:
    """Up to `count` distinct inputs that no public test has, as tests of the problem's kind.

    What such a test expects means nothing: see `mars2.inference.agreement`. Calls with literal
    arguments inside test programs count as examples. Empty where there is no example to change.
    """
    rng = random.Random(f"inputs:{seed}:{problem.id}")
    texts = [t.input for t in problem.public_tests if isinstance(t, StdinTest)]
    if texts:
        made = _distinct(lambda: change_text(texts, rng), texts, count)
        return [StdinTest(input=text, expected="") for text in made]
    calls = [list(t.args) for t in problem.public_tests if isinstance(t, FunctionalTest)]
    for test in problem.public_tests:
        if isinstance(test, AssertionTest) and problem.entry_point:
            calls += calls_in(test.program, problem.entry_point)
    calls = [c for c in calls if len(c) == len(calls[0])]
    if not calls or not calls[0]:
        return []
    values = Values(calls)
    made = _distinct(lambda: values.change(rng.choice(calls), rng), calls, count)
    return [FunctionalTest(args=args, expected=None) for args in made]


def calls_in(program: str, entry_point: str) -> list[list[Any]]:
    """Arguments of the calls in a test program that have positional literal arguments only."""
    try:
        tree = parse(program)
    except NOT_PYTHON:
        return []
    found = []
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and not node.keywords]
    for node in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name in (entry_point, *_NAMES) and node.args:
            try:
                args = [ast.literal_eval(arg) for arg in node.args]
            except (ValueError, TypeError, SyntaxError, RecursionError):
                continue
            found.append(args)
    return found


def _distinct(make: Callable[[], Any], known: Sequence[Any], count: int) -> list[Any]:
    seen = {repr(value) for value in known}
    made: list[Any] = []
    for _ in range(_TRIES * count):
        if len(made) == count:
            break
        value = make()
        if repr(value) not in seen:
            seen.add(repr(value))
            made.append(value)
    return made
