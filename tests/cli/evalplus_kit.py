"""HumanEval+ and MBPP+ problems in their published layouts, and answers with known faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_TEST = """
def check(candidate):
    for inputs, output in {cases!r}:
        actual = candidate(*inputs)
        assert {equal}, (inputs, actual)
"""
_ANSWERS = """
import collections
ANSWERS = {answers!r}
given = collections.Counter()
def answer(messages, seed):
    text = messages[-1].content
    problem = next(id for id in ANSWERS if id + "(" in text)
    number = given[problem]
    given[problem] += 1
    code = ANSWERS[problem][number % 4]
    return "I do not know." if code is None else "```python\\n" + code + "```"
"""

ADD = {
    "name": "add_all",
    "prompt": "from typing import List\n\n\ndef add_all(xs: List[int]) -> int:\n"
    '    """Sum.\n    >>> add_all([1, 2])\n    3\n    """\n',
    "solution": "    return sum(xs)\n",
    "base": [[[1, 2]], [[]]],
    "plus": [[[-5, 5, 7]]],
    "answers": [
        "def add_all(xs: List[int]) -> int:\n    return sum(xs)\n",  # the import is the prompt's
        "    total = 0\n    for x in xs:\n        total += x\n    return total\n",  # a body
        "def add_all(xs):\n    return sum(abs(x) for x in xs)\n",  # wrong on the added inputs
        None,
    ],
}
HALF = {
    "name": "half",
    "prompt": 'def half(x: float) -> float:\n    """Half.\n    >>> half(3.0)\n    1.5\n    """\n',
    "solution": "    return x / 2\n",
    "base": [[3.0], [0.0]],
    "plus": [[0.2]],
    "atol": 1e-6,
    "answers": [
        "def half(x):\n    return x * 0.5 + 1e-9\n",  # within the tolerance
        "def half(x):\n    return x // 2\n",
        "def half(x):\n    raise ValueError(x)\n",
        "import time\ndef half(x):\n    while True:\n        time.sleep(1)\n",
    ],
}
LARGEST = {
    "name": "largest",
    "number": 9,
    "text": "Write a function to find the largest number.",
    "code": "def largest(xs):\n    return max(xs)\n",
    "tests": ["assert largest([1, 3, 2]) == 3", "assert largest([5]) == 5"],
    "base": [[[1, 3, 2]], [[5]]],
    "plus": [[[-1, -2]]],
    "answers": [
        "def largest(xs):\n    return sorted(xs)[-1]\n",
        "def largest(xs):\n    return max(0, *xs)\n",  # wrong on the added inputs
        "def largest(xs):\n    return xs[1]\n",  # crashes on some
        None,
    ],
}
HUMANEVAL: list[dict[str, Any]] = [ADD, HALF]
MBPP: list[dict[str, Any]] = [LARGEST]


def humaneval_row(number: int, kind: dict[str, Any]) -> dict[str, Any]:
    """A row of HumanEvalPlus.jsonl, which EvalPlus and we read."""
    space: dict[str, Any] = {}
    exec(kind["prompt"] + kind["solution"], space)
    cases = [(inputs, space[kind["name"]](*inputs)) for inputs in kind["base"] + kind["plus"]]
    atol = kind.get("atol", 0)
    equal = f"abs(actual - output) <= {atol}" if atol else "actual == output"
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": kind["prompt"],
        "entry_point": kind["name"],
        "canonical_solution": kind["solution"],
        "test": _TEST.format(cases=cases, equal=equal),
        "contract": "",
        "base_input": kind["base"],
        "plus_input": kind["plus"],
        "atol": atol,
    }


def mbpp_row(kind: dict[str, Any]) -> dict[str, Any]:
    """A row of huggingface.co/datasets/evalplus/mbppplus, which we read."""
    space: dict[str, Any] = {}
    exec(kind["code"], space)
    cases = [(inputs, space[kind["name"]](*inputs)) for inputs in kind["base"] + kind["plus"]]
    checks = (f"assert {kind['name']}(*{inputs}) == {output}\n" for inputs, output in cases)
    return {
        "task_id": kind["number"],
        "code": kind["code"],
        "prompt": kind["text"],
        "source_file": "",
        "test_imports": [],
        "test_list": kind["tests"],
        "test": "".join(checks),
    }


def mbpp_official_row(kind: dict[str, Any]) -> dict[str, Any]:
    """The same problem as a row of MbppPlus.jsonl, which EvalPlus reads."""
    return {
        "task_id": f"Mbpp/{kind['number']}",
        "prompt": f'"""\n{kind["text"]}\n{kind["tests"][0]}\n"""\n',
        "entry_point": kind["name"],
        "canonical_solution": kind["code"],
        "base_input": kind["base"],
        "contract": "",
        "assertion": "\n".join(kind["tests"]),
        "plus_input": kind["plus"],
        "atol": 0,
    }


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_agent(path: Path) -> Path:
    answers = {kind["name"]: kind["answers"] for kind in HUMANEVAL + MBPP}
    path.write_text(_ANSWERS.format(answers=answers), encoding="utf-8")
    return path
