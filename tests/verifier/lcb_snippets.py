"""Pieces of submissions, for `lcb_programs`. `{0}` stands for what is printed or returned."""

from __future__ import annotations

IMPORTS = (
    *("import sys", "import sys\n", "from sys import stdin", "from sys import stdin, stdout"),
    *("from sys import *", "import math, os", "from math import *", "from collections import *"),
    *("from typing import List", "import heapq as hq", "import os, io", "import re", ""),
    *("from functools import lru_cache, reduce", "import numpy as np", "from itertools import *"),
    *("import nothing_there", "import resource", "from os import getcwd", "import random"),
    *("from bisect import bisect", "sys.setrecursionlimit(10**6)", "import threading"),
    *("from __future__ import annotations", "from decimal import Decimal, getcontext"),
    *("import string", "import sys, time", "from io import BytesIO", "import json"),
    *("import builtins", "import fileinput"),
)

READS = (
    "n = int(input())\na = list(map(int, input().split()))",
    "n = int(input())\na = [int(x) for x in input().split()]",
    "import sys\nn, *a = map(int, sys.stdin.read().split())",
    "import sys\nd = sys.stdin.read().split()\nn = int(d[0])\na = [int(x) for x in d[1:n+1]]",
    "import sys\ninput = sys.stdin.readline\nn = int(input())\na = [*map(int, input().split())]",
    "from sys import stdin\nn = int(stdin.readline())\na = [*map(int, stdin.readline().split())]",
    "from sys import stdin\nn, *a = map(int, stdin.read().split())",
    "from sys import stdin\nlines = stdin.readlines()\na = list(map(int, lines[1].split()))",
    "from sys import stdin\nlines = [l for l in stdin]\na = list(map(int, lines[1].split()))",
    "import sys\nlines = sys.stdin.readlines()\na = list(map(int, lines[1].split()))",
    "import sys\nlines = [l.strip() for l in sys.stdin]\na = list(map(int, lines[1].split()))",
    "import sys\nn, *a = map(int, sys.stdin.buffer.read().split())",
    "n, *a = map(int, stdin.read().split())",
    "n = int(stdin.readline())\na = list(map(int, stdin.readline().split()))",
    "n, *a = map(int, open(0).read().split())",
    "import builtins\nn, *a = map(int, builtins.open(0).read().split())",
    "import builtins\nwith builtins.open('x') as f:\n    n, *a = map(int, f.read().split())",
    "import builtins\nfor row in builtins.open(0):\n    a = list(map(int, row.split()))",
    "import os\nn, *a = map(int, os.read(0, 10**6).split())",
    "import sys, fileinput\nsys.argv = ['x']\nrows = list(fileinput.input())\n"
    "a = list(map(int, rows[1].split()))",
    "n = int(input('n? '))\na = list(map(int, input().split()))",
    "a = []\ntry:\n    while True:\n        a = [*map(int, input().split())]\n"
    "except EOFError:\n    pass",
    "n = eval(input())\na = list(eval(input().replace(' ', ',')))",
    "input()\na = list(map(int, input().split()))\nextra = input()",
    "import sys\nit = iter(sys.stdin.read().split())\nn = int(next(it))\n"
    "a = [int(next(it)) for _ in range(n)]",
    "import sys\na = list(map(int, sys.stdin.readline(), ))",
    "import sys\nn = int(sys.stdin.readline())\na = list(map(int, sys.stdin.readline().split()))\n"
    "assert sys.stdin.readline() == ''",
    "import sys\nsys.stdin = open(0)\nn, *a = map(int, sys.stdin.read().split())",
    "from sys import stdin\nstdin.readline()\nstdin.readline()\nstdin.readline()\na = [1]",
    "import io, sys\nsys.stdin.seek(0)\nn, *a = map(int, sys.stdin.getvalue().split())",
    "n, a = int(input()), list(map(int, input().split()))\nsys.__stdin__.read(1)",
    "import sys\nn, *a = map(int, sys.__stdin__.read().split())",
    "import sys\nn = int(sys.stdin.readline())\nfor line in sys.stdin:\n"
    "    a = [*map(int, line.split())]",
    "from sys import stdin\ninput = lambda: stdin.readline().rstrip()\nn = int(input())\n"
    "a = list(map(int, input().split()))\nstdin.close()",
    "from sys import stdin\ndel stdin.read\na = [1]",
    "from sys import stdin\nstdin.read = lambda: '1 5'\nn, *a = map(int, stdin.read().split())",
)

PRINTS = (
    *("print({0})", "print({0})", "print({0}, flush=True)", "print({0}, end='')"),
    *('print(f"{{0}}")', "sys.stdout.write(str({0}))", "sys.stdout.write(str({0}) + '\\n')"),
    *(
        "print(*str({0}).split())",
        "stdout.write(str({0}))",
        "import sys\nprint({0}, file=sys.stdout)",
    ),
    *("print(str({0}) + '\\r')", "import os\nos.write(1, str({0}).encode())", "print(max)"),
    *("import sys\nsys.stdout.buffer.write(b'1')", "print('', {0})", "print({0})\nprint()"),
    *("print()\nprint({0})", "print({0}); exit()", "print({0}); exit(0)", "print({0})\nquit()"),
    *(
        "print({0})\nsys.exit()",
        "import sys\nprint({0})\nsys.exit(1)",
        "print({0})\nraise SystemExit",
    ),
    *("print({0})\nraise ValueError('late')", "print({0})\nimport os\nos._exit(0)", "help(print)"),
    *(
        "print({0}, file=sys.stderr)",
        "print({0})\nassert False",
        "print({0})\nraise KeyboardInterrupt",
    ),
    *("print({0})\nreturn", "return print({0})", "import sys\nprint({0})\nsys.stdout.close()"),
    *("import sys\nsys.stdout.flush()\nprint({0})", "print({0})\nyield 1", "print({0})\ndel a"),
    "import sys, io\nsys.stdout = io.StringIO()\nprint({0})",
    "from contextlib import redirect_stdout\nimport io\nb = io.StringIO()\n"
    "with redirect_stdout(b):\n    print({0})\nprint(b.getvalue())",
    "print({0})\nimport sys\nio.StringIO.close(sys.stdout)",
    "print({0})\nimport sys\nsys.stdout.getvalue = lambda: '6'",
    *("for line in str({0}).split('\\n'): print(line)", "print(str({0}).replace('1', '1.0'))"),
    *("print('%s' % ({0},))", "print('{}'.format({0}))", "[print({0})]", "print({0}, sep='')"),
    *("print({0}) if a else print(-1)", "print(__name__, {0})", "log = print\nlog({0})"),
    *("_ = [print(x) for x in [{0}]]", "(lambda x: print(x))({0})", "print(repr(str({0}))[1:-1])"),
    "class TimeoutException(Exception): pass\nraise TimeoutException({0})",
    "class Odd(Exception):\n    def __repr__(self): raise ValueError('r')\nraise Odd",
    "class Odd(Exception):\n    def __str__(self): raise ValueError('s')\nraise Odd({0})",
    "class Odd(Exception):\n    def __repr__(self): raise KeyboardInterrupt\nraise Odd",
    "class Odd(ValueError):\n    def __str__(self): raise self\n    __repr__ = __str__\nraise Odd",
    "raise Exception('TimeoutException')",
    "def gen():\n    yield {0}\nprint(next(gen()))\nprint(next(gen()), end='') if False else None",
    *("print(f'''{{0}}''')", "w = 12\nprint(f'{str(1):>{w}}'.strip(), {0})"),
    "print(f'{a=}'[:0] + str({0}))",
    "match {0}:\n    case 0: print(0)\n    case x if x: print(x)\n    case _: print('none')",
    *("with open('/dev/null') as f: f.read()\nprint({0})", "import sys\nsys.stdout.write({0})"),
    "print(({0}) if (m := len(a)) else m)",
    "try:\n    print({0})\n    1 / 0\nexcept ZeroDivisionError as e:\n    pass\nfinally:\n    pass",
    "import subprocess\nprint({0})\nsubprocess.run(['true'])",
    *("import os\nprint({0})\nos.getcwd()", "import os\nprint({0})\nos.system('true')"),
    "import threading\nt = threading.Thread(target=lambda: print({0}))\nt.start()\nt.join()",
    "import traceback\ntry:\n    1 / 0\nexcept Exception:\n    traceback.print_exc()\nprint({0})",
    "import sys\ntry:\n    1 / 0\nexcept Exception as e:\n    print(e.__traceback__.tb_lineno)",
    "from functools import cache\n@cache\ndef f(k): return 0 if k == 0 else 1 + f(k - 1)\n"
    "f(400)\nprint({0})",
)

EXTRAS = (
    *("x: int = 5", "global total\ntotal = 0", "MOD = 10**9 + 7", "def helper(x): return x + 1"),
    *("class Node:\n    pass", "class Solution:\n    def go(self): return 1", "'''a docstring'''"),
    *("s = 'class Solution'", "# class Solution", "# comment", "z = eval('1 + 1')", "return"),
    "def rec(k): return 0 if k == 0 else 1 + rec(k - 1)\nrec(3000)",
    "memo = {}\ndef f(k):\n    memo[k] = 1\n    return k\nf(3)",
    "cnt = 0\ndef inc():\n    global cnt\n    cnt += 1\ninc()",
    "cnt = 0\ndef inc():\n    nonlocal cnt\n    cnt += 1\ninc()",
    "global seen\nseen = globals().get('seen', 0) + 1\nif seen > 1: print('again')",
    *("exec('y = 1')\nprint(y) if 'y' in dir() else None", "locals()['q'] = 1", "def main(): pass"),
    *("globals()['gq'] = 1\ngq", "lst = [i for i in range(3) if i]", "from math import gcd"),
    *("import collections\nd = collections.Counter('ab')", "if True:\n    from math import *"),
    *("def f():\n    from math import *", "d = Counter('abc')", "d = deque([1])", "l = List[int]"),
    *("for i in range(3):\n    if i: continue\nelse:\n    pass", "while False: pass"),
    *("async def co(): await co()", "b = b'\\x00\\xff'", "u = u'text'", "raw = r'\\d+\\n'"),
    *("big = 1e400", "c = 3j ** 2", "h = 0xffff_ffff", "t = (1,)", "e = ...", "m = -1 ** 2"),
    *("k = not 1 == 2", "p = lambda x, /, y=1, *z, w=2, **v: x", "st = {1, *[2]}", "v = exit"),
    *("dd = {**{}, 'a': 1}", "assert (1, 'x')", "assert True, f'{1}'", "del MOD", "pow(2, 3, 5)"),
    *("print", "abs(-1)", "add(1, 2)", "q = quit", "type Foo = int", "print 'old'", "a, b = 1"),
    "@lru_cache(None)\ndef fib(k): return k if k < 2 else fib(k-1) + fib(k-2)\nfib(300)",
    *("import sys; sys.setrecursionlimit(10**5)", "x = 5; y = x; z = y", "1 / 0", "[][1]"),
    "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = 0\nP()",
    "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: 'int' = 0\nP()",
    "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int = 0\nP()",
    "from enum import Enum\nclass E(Enum):\n    A = 1\nE.A",
    *("try:\n    pass\nexcept* ValueError:\n    pass", "undefined_name", "{}['k']", "int('x')"),
    *("''.nothing", "raise RuntimeError", "\tx = 1", "  y = 1", "x = = 1", "def f(:", "'unclosed"),
    *("(1,\n2)", "if 1:\n  x=2\n", "é = 1", "𝐱 = 1", "ﬁ = 1", "ｉｆ = 1", "s = 'é𝄞'"),
    *("s = f'{1!r:>{5}}' + f\"{'a'}\" + f'{{}}'", 's = f\'{"a" if 1 else "b"}\'', "s = rf'\\d{1}'"),
    *("s = f'{1:\\x20>3}'", "s = 'a' f'{1}' 'b'", "sep = '\\n'\ns = f'{sep.join([\"1\"])}'"),
    *("s = f'''\n{1}\n'''", "s = f'{chr(10)}'", "s = f\"{'''a'b'''}\"", "s = f'{(lambda: 1)()}'"),
    *("s = f\"{d['k'] if (d := dict(k=1)) else 0}\"", "import __main__", "import sys\nsys.modules"),
    *("__import__('os')", "import os\nos.environ['X'] = '1'", "signal = 1", "del sys"),
    *("with open('out.txt', 'w') as f: f.write('1')", "import time\nt0 = time.time()"),
    *(
        "import random\nrandom.seed(1)",
        "import gc\ngc.disable()",
        "threading = None",
        "x = (yield)",
    ),
    *("from collections import deque\nq = deque()\nq.popleft()", "print(__file__)", "mean([1, 2])"),
    *("__name__ = '__main__'", "sys.setrecursionlimit(9999)", "import copy\ncopy.deepcopy([1])"),
    "def outer():\n    v = 1\n    def inner():\n        nonlocal v\n        v = 2\n"
    "    inner()\nouter()",
    "class A:\n    x = 1\n    y = [x for _ in range(1)]",
    "def inf(): return inf()\ntry:\n    inf()\nexcept RecursionError: pass",
    "x = " + " + ".join(["1"] * 400),
    "x = " + "[" * 60 + "]" * 60,
    *("operator.add(1, 2)", "choice([1])", "StringIO('a').read()", "x = " + "-" * 120 + "1"),
    *("if __name__ == '__main__':\n    pass", "if '__main__' == __name__: print(1)"),
    'if __name__ == "__main__":\n    raise SystemExit(0)',
    *("print(sorted(k for k in ('quit', 'exit') if globals()[k] is None))", "print(Counter)"),
    *("print(len(str(10**5000)))", "int('9' * 60000)", "print(open is __builtins__['open'])"),
)

SLOW = (
    "while True: pass",
    "import time\ntime.sleep(30)",
    "try:\n    while True: pass\nexcept Exception: pass",
    "try:\n    while True: pass\nexcept: print('late')",
)

RESULTS = (
    *(
        "sum(nums) + k",
        "sum(nums) + k",
        "sum(nums) + k",
        "(sum(nums) + k,)",
        "float(sum(nums) + k)",
    ),
    *("str(sum(nums) + k)", "[sum(nums) + k]", "None", "sum(nums)", "np.int64(sum(nums) + k)"),
    *("np.array(nums).sum() + k", "np.array(nums)", "Decimal(sum(nums) + k)", "set(nums)"),
    *("Fraction(sum(nums) + k)", "complex(sum(nums) + k)", "{'a': 1}", "iter(nums)", "print"),
    *("sum(nums) + k == 0", "range(k)", "lambda: 1", "float('nan')", "10 ** 60000", "1 / 0"),
    *("Decimal('sNaN')", "(x for x in nums)", "nums[100]", "exit()", "sys.exit(0)", "input()"),
    *("stdin.read()", "open(0).read()", "[nums, k]", "Node(k)", "Rude(k)", "sorted(nums)"),
    *("tuple(sorted(nums))", "np.sort(nums)", "deque(sorted(nums))", "nums.sort() or nums"),
    *("[np.int64(x) for x in sorted(nums)]", "[[x] for x in nums]", "[(x,) for x in nums]"),
    *("np.array(nums).reshape(-1, 1)", "UserList(nums)", "nums[::-1]", "list(map(float, nums))"),
    *("[json.loads('NaN')]", "[float('nan')]", "defaultdict(int)", "OrderedDict()", "Colour.RED"),
    *("Word('a')", "type('T', (str,), {})('a')", "type('T', (int,), {})(sum(nums) + k)"),
)

HEADS = (
    *("", "", "from typing import List", "from typing import *", "import numpy as np"),
    *("import numpy as np\nfrom decimal import Decimal", "from fractions import Fraction"),
    *("from collections import *", "import sys", "from __future__ import annotations"),
    "class Node:\n    def __init__(self, v): self.v = v\n"
    "    def __eq__(self, o): return self.v == o.v",
    "class Rude:\n    def __init__(self, v): self.v = v\n"
    "    def __repr__(self): raise ValueError('no')",
    *("from enum import IntEnum\nclass Colour(IntEnum):\n    RED = 1", "seen = []", "x = input()"),
    *("class Word(str):\n    pass", "print('hello')", "1 / 0", "exit()", "raise SystemExit"),
    *("def helper(a): return a", "if __name__ == '__main__':\n    print(1)", "é = 1"),
    "s = 'class Solution'",
)

FUNCTIONS = (
    "class Solution:\n    def solve(self, nums: List[int], k: int) -> int:\n        {0}",
    "class Solution:\n    def solve(self, nums, k):\n        {0}",
    "class Solution(object):\n    def __init__(self):\n        self.calls = 0\n"
    "    def solve(self, nums, k):\n        self.calls += 1\n        {0}",
    "class Solution:\n    @staticmethod\n    def solve(nums, k):\n        {0}",
    "class Solution:\n    @lru_cache(None)\n    def helper(self, i): return i\n"
    "    def solve(self, nums, k):\n        self.helper(1)\n        {0}",
    "def solve(nums, k):\n    {0}",
    "def solve(nums, k=0, *rest):\n    {0}",
    "def solve(*args):\n    nums, k = args\n    {0}",
    "def solve(nums):\n    k = 0\n    {0}",
    "class solution:\n    def solve(self, nums, k):\n        {0}",
    "class Solution:\n    def other(self, nums, k):\n        {0}",
    "def solve(nums, k):\n    print(nums)\n    seen.append(k)\n"
    "    if len(seen) > 1: return -1\n    {0}",
    "solve = lambda nums, k: sum(nums) + k  # class Solution",
    "async def solve(nums, k):\n    {0}",
    "def solve(nums, k):\n    nums.append(k)\n    {0}",
    "class Solution:\n    def __init__(self, x): pass\n    def solve(self, nums, k):\n        {0}",
    "def solve(nums, k):\n    def go(d): return 0 if d == 0 else 1 + go(d - 1)\n"
    "    go(5000)\n    {0}",
    "def solve(nums, k):\n    try:\n        raise ValueError('TimeoutException')\n"
    "    finally:\n        {0}",
    "def solve(nums, k):\n    raise ValueError('TimeoutException')",
    "class Bad:\n    def __repr__(self): raise TypeError('b')\n"
    "def solve(nums, k):\n    nums.append(Bad())\n    raise ValueError(k)",
)
