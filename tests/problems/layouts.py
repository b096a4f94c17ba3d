"""Writes small datasets in the layouts in which they are published."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def jsonl(path: Path, rows: Sequence[Any]) -> Path:
    """JSON lines, gzipped if the name says so; a text stands for itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [r if isinstance(r, str) else json.dumps(r) for r in rows]
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def parquet(path: Path, rows: Sequence[Row]) -> Path:
    """Parquet, as the hub's packages write it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def lcb_packed(text: str) -> str:
    """As LiveCodeBench packs private tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(text))).decode()


def lcb_row(id: str, *, functional: bool = False, packed: bool = True, **changes: Any) -> Row:
    """A problem of code_generation_lite: double a number, as a program or as a method."""
    if functional:
        tests = [(f"{n}\n[{n}]", str(2 * n)) for n in range(1, 6)]
    else:
        tests = [(f"{n}\n", f"{2 * n}\n") for n in range(1, 6)]
    kind = "functional" if functional else "stdin"
    cases = [{"input": a, "output": b, "testtype": kind} for a, b in tests]
    hidden = json.dumps(cases[2:])
    starter = "class Solution:\n    def double(self, n, l):\n        "
    return {
        "question_title": f"Double {id}",
        "question_content": "Print twice the number.",
        "platform": "leetcode" if functional else "atcoder",
        "question_id": id,
        "contest_id": "abc300",
        "contest_date": "2024-08-17T00:00:00",
        "starter_code": starter if functional else "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(cases[:2]),
        "private_test_cases": lcb_packed(hidden) if packed else hidden,
        "metadata": json.dumps({"func_name": "double"} if functional else {}),
    } | changes


def humaneval_row(id: str = "HumanEval/0", **changes: Any) -> Row:
    return {
        "task_id": id,
        "prompt": 'from typing import List\n\n\ndef total(a: List[int]) -> int:\n    """Sum.\n'
        '    >>> total([1, 2])\n    3\n    """\n',
        "canonical_solution": "    return sum(a)\n",
        "test": "METADATA = {}\n\n\ndef check(candidate):\n    assert candidate([]) == 0\n"
        "    assert candidate([1, 5]) == 6\n",
        "entry_point": "total",
    } | changes


def humanevalplus_row(id: str = "HumanEval/0", **changes: Any) -> Row:
    """Its test program is of the form that EvalPlus generates."""
    test = (
        "import numpy as np\n\n\ndef is_floats(x) -> bool:\n    return isinstance(x, float)\n\n\n"
        "def assertion(out, exp, atol):\n    exact_match = out == exp\n\n"
        "    if atol == 0 and is_floats(exp):\n        atol = 1e-6\n"
        "    if not exact_match and atol != 0:\n"
        "        np.testing.assert_allclose(out, exp, atol=atol)\n    else:\n"
        "        assert exact_match\n\n\ndef check(candidate):\n    inputs = [[[]], [[1, 5]]]\n"
        "    results = [0, 6]\n    for i, (inp, exp) in enumerate(zip(inputs, results)):\n"
        "        assertion(candidate(*inp), exp, 0)\n"
    )
    return humaneval_row(id, test=test) | changes


def mbpp_row(number: int = 11, **changes: Any) -> Row:
    return {
        "task_id": number,
        "text": "Write a function to remove duplicates, sorted.",
        "code": "def dedup(a):\r\n  return sorted(set(a))",
        "test_list": ["assert dedup([2, 1, 2]) == [1, 2]", "assert set(dedup([])) == set([])"],
        "test_setup_code": "",
        "challenge_test_list": ["assert dedup([5, 5]) == [5]"],
    } | changes


def mbppplus_row(number: int = 2, **changes: Any) -> Row:
    test = (
        "import numpy as np\nfrom math import inf\n\n"
        "def assertion(out, exp, atol):\n    assert out == exp\n\n"
        "inputs = [[[2, 1, 2]], [[5, 5]]]\nresults = [[1, 2], [5]]\n"
        "for i, (inp, exp) in enumerate(zip(inputs, results)):\n"
        "    assertion(dedup(*inp), exp, 0)\n"
    )
    row = mbpp_row(number)
    return {
        "task_id": number,
        "code": row["code"],
        "prompt": row["text"],
        "source_file": "Benchmark Questions Verification V2.ipynb",
        "test_imports": ["import math"],
        "test_list": row["test_list"],
        "test": test,
    } | changes


EXAMPLE = (
    "Double it.\n\n-----Input-----\nOne number.\n\n-----Sample Input-----\n21\n\n"
    "-----Sample Output-----\n42\n"
)


def apps_row(number: int = 0, *, call: bool = False, **changes: Any) -> Row:
    """As in APPS's jsonl files; `call`: a function instead of a program."""
    if call:
        tests: Row = {"fn_name": "double", "inputs": [[3], [4]], "outputs": [[6], [8]]}
    else:
        tests = {"inputs": ["21\n", "5\n", "0"], "outputs": ["42\n", "10\n", "0"]}
    return {
        "id": number,
        "question": EXAMPLE,
        "solutions": '["print(2 * int(input()))"]',
        "input_output": json.dumps(tests),
        "difficulty": "introductory",
        "url": "https://example.org/1",
        "starter_code": "class Solution:\n    def double(self, n):\n        " if call else "",
    } | changes


def taco_row(*, call: bool = False, **changes: Any) -> Row:
    row = apps_row(call=call)
    del row["id"]
    names = ("raw_tags", "name", "source", "tags", "skill_types", "Expected Time Complexity")
    others = dict.fromkeys(names, "[]") | {"picture_num": None, "memory_limit": "256.0 megabytes"}
    times = {"time_limit": "2.0 seconds", "date": "2021-03-04", "difficulty": "EASY"}
    return row | others | times | changes


def deepcoder_row(shape: str, **changes: Any) -> Row:
    """`shape`: the configuration, or "primeintellect-call", "lcbv5-call", "taco-call"."""
    config, _, call = shape.partition("-")
    metadata: Row = {}
    if config in ("lcbv5", "codeforces"):
        lcb = lcb_row("x", functional=bool(call), packed=False)
        cases = json.loads(lcb["public_test_cases"]) + json.loads(lcb["private_test_cases"])
        metadata = json.loads(lcb["metadata"])
        tests: Any = [c | {"metadata": metadata} for c in cases]
    elif config == "taco":
        tests = json.loads(taco_row(call=bool(call))["input_output"])
    elif call:
        tests = [
            {"type": "function_call", "fn_name": "double", "input": [n], "output": [2 * n]}
            for n in (3, 4)
        ]
    else:
        tests = [
            {"type": "stdin_stdout", "input": f"{n}\n", "output": f"{2 * n}\n"} for n in (21, 5)
        ]
    return {
        "problem": EXAMPLE,
        "starter_code": "",
        "solutions": ["print(2 * int(input()))"],
        "tests": json.dumps(tests),
        "metadata": metadata or {"func_name": None},
    } | changes


def codecontests_row(name: str = "1575_A. Double", **changes: Any) -> Row:
    def tests(*numbers: int) -> Row:
        inputs, outputs = [f"{n}\n" for n in numbers], [f"{2 * n}\n" for n in numbers]
        return {"input": inputs, "output": outputs}

    return {
        "name": name,
        "description": "Print twice the number.",
        "public_tests": tests(21),
        "private_tests": tests(3, 4),
        "generated_tests": tests(0, -7),
        "source": 2,
        "difficulty": 7,
        "solutions": {"language": [3], "solution": ["print(2 * int(input()))"]},
        "cf_rating": 800,
        "time_limit": {"seconds": 2, "nanos": 500_000_000},
        "memory_limit_bytes": 256_000_000,
        "input_file": "",
        "output_file": "",
    } | changes
