"""LiveCodeBench problems in the published layout, an agent whose answers have known faults, and
`mars2 eval` on them."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

SLEEPS = "import time\nwhile True:\n    time.sleep(1)\n"
CRASHES = "raise ValueError('no')\n"

# By problem: title, tests (public first) and what the agent answers, in turn.
SUM = {
    "id": "1873_A",
    "tests": [("3\n1 2 3\n", "6\n"), ("2\n10 20\n", "30\n"), ("1\n-5\n", "-5\n")],
    "answers": [
        "n = int(input())\nprint(6 if n == 3 else 0)\n",  # public test only
        "input()\nprint(sum(map(int, input().split())))\n",
        CRASHES,
        # what the checker makes of it is not what Python does: the last main guard is inlined
        "if __name__ == '__main__':\n    input()\n    print(sum(map(float, input().split())))\n",
    ],
}
ECHO = {
    "id": "abc301_a",
    "tests": [("ab\n", "AB\n"), ("x\n", "X\n")],
    "answers": [
        SLEEPS,
        "print(input().upper())\n",
        # right in Python, but the checker's standard output has no buffer
        "import sys\nsys.stdout.buffer.write(input().upper().encode())\n",
        "print(input())\n",
    ],
}
TWICE = {
    "id": "2727",
    "function": "twice",
    "starter": "class Solution:\n    def twice(self, n: int) -> int:\n        ",
    "tests": [("4", "8"), ("0", "0"), ("-3", "-6")],
    "answers": [
        "class Solution:\n    def twice(self, n: int) -> int:\n        return 2 * n\n",
        "class Solution:\n    def twice(self, n: int) -> int:\n        return n + 4\n",
        "class Solution:\n    def twice(self, n: int) -> int:\n        return n.x\n",
        "class Solution:\n    def twice(self, n: int) -> int:\n        return 2.0 * n\n",
    ],
}
PAIRS = {
    "id": "2800",
    "function": "pairs",
    "starter": "class Solution:\n    def pairs(self, a: List[int], b: List[int]) -> List[int]:\n"
    "        ",
    "tests": [("[1, 2]\n[3, 4]", "[4, 6]"), ("[]\n[]", "[]")],
    "answers": [
        None,  # prose
        "class Solution:\n    def pairs(self, a: List[int], b: List[int]) -> List[int]:\n"
        "        return [x + y for x, y in zip(a, b)]\n",
        "class Solution:\n    def pairs(self, a, b):\n        return tuple(map(sum, zip(a, b)))\n",
        "class Solution:\n    def pairs(self, a, b)\n        return []\n",  # no colon
    ],
}
KINDS: list[dict[str, Any]] = [SUM, ECHO, TWICE, PAIRS]

_AGENT = """
import collections
ANSWERS = {answers!r}
given = collections.Counter()
def answer(messages, seed):
    text = messages[-1].content
    problem = next(id for id in ANSWERS if "Problem " + id in text)
    number = given[problem]
    given[problem] += 1
    if problem in {lost!r} and number == 3:
        raise RuntimeError("lost")
    code = ANSWERS[problem][number % 4]
    return "I do not know." if code is None else "```python\\n" + code + "```"
"""


def rows() -> list[dict[str, Any]]:
    """The rows of `test.jsonl` of code_generation_lite."""
    return [_row(kind, number) for number, kind in enumerate(KINDS)]


def _row(kind: dict[str, Any], number: int) -> dict[str, Any]:
    function = kind.get("function")
    tests = [
        {"input": i, "output": o, "testtype": "functional" if function else "stdin"}
        for i, o in kind["tests"]
    ]
    private: Any = json.dumps(tests[1:])
    if number % 2 == 0:
        private = base64.b64encode(zlib.compress(pickle.dumps(private))).decode()
    return {
        "question_title": f"Title of {kind['id']}",
        "question_content": f"Problem {kind['id']}: do it.",
        "platform": "leetcode" if function else "codeforces",
        "question_id": kind["id"],
        "contest_id": "contest",
        "contest_date": f"2024-0{number + 1}-01T00:00:00",
        "starter_code": kind.get("starter", ""),
        "difficulty": ["easy", "medium", "hard"][number % 3],
        "public_test_cases": json.dumps(tests[:1]),
        "private_test_cases": private,
        "metadata": json.dumps({"func_name": function} if function else {}),
    }


def write_rows(path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    return path


def write_agent(path: Path, *, lost: tuple[str, ...] = ()) -> Path:
    """A scripted agent; of the problems in `lost` its fourth answer never comes."""
    answers = {kind["id"]: kind["answers"] for kind in KINDS}
    path.write_text(_AGENT.format(answers=answers, lost=lost), encoding="utf-8")
    return path
