"""The official profile's verdicts, quirk by quirk, and what untrusted answers cannot do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import lcb_fuzz
import pytest
from lcb_local import Local
from lcb_oracle import sample

from mars2.types import FunctionalTest, Status, StdinTest
from mars2.verifier import official
from mars2.verifier.judge import Ran

_SUM = sample(["3\n1 2 3\n", "2\n10 20\n"], ["6\n", "30\n"])
_PASSED: tuple[list[Any], int | None] = ([True, True], None)
_NOT_LOADED = ([-4], -4)
_DIED = ([-2], -5)
_LIST = "a = list(map(int, {}.split()))\nprint(sum(a))"


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with Local() as local:
        yield local


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (f"n = input()\n{_LIST.format('input()')}", _PASSED),
        (f"import sys\nsys.stdin.readline()\n{_LIST.format('sys.stdin.readline()')}", _PASSED),
        ("import sys\nn, *a = map(int, sys.stdin.buffer.read().split())\nprint(sum(a))", _PASSED),
        ("from sys import stdin\nn, *a = map(int, stdin.read().split())\nprint(sum(a))", _PASSED),
        ("n, *a = map(int, stdin.read().split())\nprint(sum(a))", _PASSED),
        # what the mock of standard input does not have
        ("import sys\nfor line in sys.stdin: pass", ([-4], -4)),
        ("import sys\nr = sys.stdin.buffer.readline\nr()\n" + _LIST.format("r()"), ([-2], -2)),
        ("n, *a = map(int, open(0).read().split())\nprint(sum(a))", ([-4], -4)),
        ("from sys import stdin\nwhile True: stdin.readline()", ([-4], -4)),  # StopIteration
        ("import builtins\nprint(sum(map(int, builtins.open(0).read().split()[1:])))", _PASSED),
        # printing past the captured stream
        ("import sys\nsys.stdout.buffer.write(b'6')", ([-4], -4)),
        ("print(6, file=stdout)", ([-2], -2)),
        ("import os\nos.write(1, b'6')", ([-2], -2)),
        # the last main guard is inlined, any other never runs
        (
            "if __name__ == '__main__':\n    input()\n    "
            + _LIST.format("input()").replace("\n", "\n    "),
            _PASSED,
        ),
        ("if __name__ == '__main__':\n    print(6)\nx = 1", ([-2], -2)),
        ("if __name__ == '__main__':\n    print(6)\nelse:\n    print(30)", ([True, -2], -2)),
        # it is all one function
        ("def f():\n    global n\n    n = 1\nn = 0\nf()\nprint(n)", ([-2], -2)),
        ("print(6)\nreturn", ([True, -2], -2)),
        ("print(6)\nyield", ([-2], -2)),
        ("from __future__ import annotations\nprint(6)", _NOT_LOADED),
        ("class Solution: pass\nprint(6)", _NOT_LOADED),
        ("import math", _NOT_LOADED),
        ("x = '", _NOT_LOADED),
        # endings
        ("print(6)\nexit()", ([True, -2], -2)),
        ("print(6)\nquit()", ([-4], -4)),
        ("print(6)\nimport os\nos._exit(0)", _DIED),
        ("print(6)\nraise KeyboardInterrupt", _DIED),
        ("raise ValueError('TimeoutException')", ([-3], -3)),
        ("class E(Exception):\n    def __repr__(self): raise E\nraise E", _NOT_LOADED),
        ("global n\nn = globals().get('n', 6) + 0\nprint(n)\nn = 30", _PASSED),  # one process
        ("import os\nprint(6)\nos.getcwd()", ([-4], -4)),
        ("import resource\nprint(6)", _NOT_LOADED),
        ("print('sNaN')", _NOT_LOADED),
        ("print(Counter)\nassert Counter is not collections.Counter", ([-2], -2)),
    ],
)
def test_programs(local: Local, code: str, expected: tuple[list[Any], int | None]) -> None:
    assert lcb_fuzz.judged(local, _SUM, code, 10) == expected


def test_the_packages_standard_input_can_be_iterated(local: Local) -> None:
    code = "import sys\ninput()\nfor line in sys.stdin: print(sum(map(int, line.split())))"
    assert lcb_fuzz.judged(local, _SUM, code, 10, plain=True) == _PASSED
    assert lcb_fuzz.judged(local, _SUM, code, 10) == ([-4], -4)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def add(a, b): return a + b", _PASSED),
        ("", _PASSED),  # operator.add, by a star import
        ("add = None", _NOT_LOADED),
        ("class Solution:\n    def add(self, a, b): return a + b", _PASSED),
        (
            "class Solution:\n    n = 0\n    def add(self, a, b):\n        self.n += 1\n"
            "        return a + b + self.n - 1",
            ([True, False], -2),
        ),
        ("def add(a, b): return (a + b,)", ([False], -2)),
        ("def add(a, b): return float(a + b)", _PASSED),
        ("def add(a, b): return Decimal(a + b)\nfrom decimal import Decimal", _PASSED),
        ("def add(a, b): return {a + b}", ([False], -2)),
        ("def add(a, b): return 10 ** 60000", ([False, -4], -4)),
        ("def add(a, b): exit()", _DIED),
        ("exit()", _DIED),
        ("1 / 0", _NOT_LOADED),
        ("def add(a, b): return input()", ([-4], -4)),
        ("def add(a, b): return type('S', (str,), {})('x')", _DIED),
        ("class E:\n    def __eq__(self, o): return o.x\ndef add(a, b): return E()", ([-4], -4)),
        # an object that is equal to everything is accepted there, never here
        (
            "class E:\n    def __eq__(self, o): return True\ndef add(a, b): return E()",
            ([False], -2),
        ),
        (
            "class E:\n    def __eq__(self, o): return o == 3\n    def __int__(self): return 3\n"
            "def add(a, b): return E()",
            ([True, False], -2),
        ),
    ],
)
def test_functions(local: Local, code: str, expected: tuple[list[Any], int | None]) -> None:
    problem = sample(["1\n2", "10\n20"], ["3", "30"], "add")
    assert lcb_fuzz.judged(local, problem, code, 10) == expected


def test_nan_is_equal_to_itself_only_as_the_same_object(local: Local) -> None:
    problem = sample(["[NaN]"], ["[NaN]"], "f")
    for code, expected in (
        ("def f(a): return a", ([True], None)),
        ("def f(a): return [float('nan')]", ([False], -2)),
        ("def f(a): return [json.loads('NaN')]", ([True], None)),
        ("def f(a): return a[0]", ([False], -2)),
    ):
        assert lcb_fuzz.judged(local, problem, code, 10) == expected


def _stdin(**ran: Any) -> tuple[Status, list[Any], int | None]:
    test = StdinTest(input="", expected="6")
    verdict, outcome = official.judge(test, "", Ran(**ran), lcb_fuzz.LIMITS)
    result = official.result([official.Outcome((True,)), outcome])
    return verdict.status, result.results, result.error_code


def test_how_a_process_ended_decides_without_an_answer() -> None:
    assert _stdin(exit=1) == (Status.RUNTIME_ERROR, [-2], -5)
    assert _stdin(exit=-11) == (Status.RUNTIME_ERROR, [-2], -5)
    assert _stdin(exit=-9, killed="cpu") == (Status.TIME_LIMIT, [-2], -5)
    assert _stdin(exit=-9, killed="memory") == (Status.MEMORY_LIMIT, [-2], -5)


def test_a_right_answer_after_the_alarm_is_late() -> None:
    right: dict[str, Any] = {"answer": ("X", b""), "stdout": b"6\n"}
    assert _stdin(**right) == (Status.PASSED, [True, True], None)
    assert _stdin(**right, alarmed=True) == (Status.TIME_LIMIT, [True, -3], -3)
    wrong = {**right, "stdout": b"timeout occured: alarm went off\n6\n"}
    assert _stdin(**wrong, alarmed=True) == (Status.WRONG_ANSWER, [True, -2], -2)


def test_a_right_answer_at_the_process_limit_is_refused() -> None:
    found = _stdin(answer=("X", b""), stdout=b"6", process_limit=True)
    assert found == (Status.RUNTIME_ERROR, [-2], -5)
    found = _stdin(answer=("X", b""), stdout=b"6", leftovers=16)
    assert found == (Status.RUNTIME_ERROR, [-2], -5)


def _error(**fields: Any) -> tuple[Status, list[Any], int | None]:
    return _stdin(answer=("E", json.dumps({"type": "E", "message": "E", **fields}).encode()))


def test_an_exception_counts_by_where_it_was_raised() -> None:
    assert _error(stage="call") == (Status.RUNTIME_ERROR, [True, -4], -4)
    assert _error(stage="call", timeout=True) == (Status.TIME_LIMIT, [True, -3], -3)
    assert _error(stage="load", timeout=True) == (Status.RUNTIME_ERROR, [-4], -4)
    assert _error(stage="compile") == (Status.COMPILE_ERROR, [-4], -4)
    assert _error(stage="call", memory=True) == (Status.MEMORY_LIMIT, [True, -4], -4)
    assert _stdin(answer=("E", b"\xff")) == (Status.RUNTIME_ERROR, [-4], -4)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"t": "none", "v": 1}',
        b'{"t": "int", "v": []}',
        b'{"t": "array", "v": ["O", [1], "00"]}',
        b'{"t": "array", "v": ["<i8", [9], "00"]}',
        b'{"t": "array", "v": ["<U9999999", [1], "00"]}',
        b'{"t": "fraction", "v": ["1", "0"]}',
        b'{"t": "dict", "v": [[1]]}',
        b'{"t": "odd", "v": 1}',
        b'{"t": "object", "v": [1]}',
        b'{"t": "scalar", "v": ["V8", "0000000000000000"]}',
        b'{"v": 1}',
        b"9" * 5000,
    ],
)
def test_malformed_results_fail_the_program(payload: bytes) -> None:
    test = FunctionalTest(args=[], expected=[0])
    ran = Ran(answer=("R", payload))
    verdict, outcome = official.judge(test, "f", ran, lcb_fuzz.LIMITS)
    assert verdict.status is Status.RUNTIME_ERROR
    assert outcome.error_code == -5


def test_results_cannot_make_comparing_expensive() -> None:
    colliding = [[k * (2**61 - 1), 0] for k in range(30_000)]
    wide = {"t": "array", "v": ["|b1", [100_000, 1], "00" * 100_000]}
    fraction = {"t": "fraction", "v": ["f" * 500_000, "e" * 500_000]}
    for value in ({"t": "dict", "v": colliding}, wide, fraction):
        ran = Ran(answer=("R", json.dumps(value).encode()))
        test = FunctionalTest(args=[], expected=[0] * 100_000)
        verdict, _ = official.judge(test, "f", ran, lcb_fuzz.LIMITS)
        assert verdict.status is not Status.PASSED
