"""What each family's predicate sees and what it does not, on small programs and on real ones."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from mars2.diversity.facts import facts_of
from mars2.diversity.families import FAMILIES, families_of

sys.path.insert(0, str(Path(__file__).parents[1] / "problems"))

FIB = "def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\n"
SUM = "t = 0\nfor x in a:\n    t += x\n"
DFS = (
    "def dfs(u):\n    seen.add(u)\n    for v in g[u]:\n"
    "        if v not in seen:\n            dfs(v)\n"
)
BFS = (
    "q = deque([s])\nwhile q:\n    u = q.popleft()\n    for v in g[u]:\n"
    "        if d[v] < 0:\n            d[v] = d[u] + 1\n            q.append(v)\n"
)
BRACKETS = (
    "s = []\nfor c in t:\n    if c == '(':\n        s.append(c)\n"
    "    elif not s or s.pop() != '(':\n        ok = False\n"
)
BISECTION = (
    "while lo < hi:\n    mid = (lo + hi) // 2\n    if a[mid] < x:\n        lo = mid + 1\n"
    "    else:\n        hi = mid\n"
)
QUEENS = (
    "def go(r):\n    for c in range(n):\n        if c not in used:\n            used.add(c)\n"
    "            go(r + 1)\n            used.remove(c)\n"
)
HEAP = "import heapq\nheapq.heappush(h, 3)\n"
BUBBLE = (
    "for i in range(n):\n    for j in range(n - 1):\n        if a[j] > a[j + 1]:\n"
    "            a[j], a[j + 1] = a[j + 1], a[j]\n"
)
FIND = (
    "def find(x):\n    while p[x] != x:\n        p[x] = p[p[x]]\n        x = p[x]\n    return x\n"
)
MEMO = (
    "memo = {}\ndef f(n):\n    if n in memo:\n        return memo[n]\n"
    "    memo[n] = f(n - 1) + f(n - 2)\n    return memo[n]\n"
)

POSITIVE: dict[str, list[str]] = {
    "recursion": [
        FIB,
        "class S:\n    def go(self, n):\n        return self.go(n - 1) if n else 0\n",
        "def a(n):\n    return b(n)\ndef b(n):\n    return a(n - 1) if n else 0\n",
        "def main():\n    def dfs(u):\n        for v in g[u]:\n            dfs(v)\n    dfs(0)\n",
    ],
    "dynamic_programming": [
        "from functools import lru_cache\n@lru_cache(None)\n" + FIB,
        MEMO,
        "d = [1, 1]\nfor i in range(2, n):\n    d.append(d[-1] + d[-2])\n",
        "for c in coins:\n    for x in range(c, n + 1):\n        w[x] += w[x - c]\n",
        "for i in range(n):\n    for j in range(m):\n"
        "        t[i][j] = min(t[i - 1][j], t[i][j - 1]) + 1\n",
        "for i in range(n):\n    best = d[i - 1] + 3\n    d[i] = best\n",
    ],
    "backtracking": [
        QUEENS,
        "def go(i, path):\n    for x in a:\n        path.append(x)\n"
        "        go(i + 1, path)\n        path.pop()\n",
        "def go(path):\n    for x in a:\n        go([*path, x])\n",
        "def go(i, seen):\n    return sum(go(j, seen | {j}) for j in g[i])\n",
    ],
    "graph_search": [
        BFS,
        DFS,
        "stack = [0]\nwhile stack:\n    u = stack.pop()\n    for v in g[u]:\n"
        "        stack.append(v)\n",
        "def fill(r, c):\n    grid[r][c] = 0\n    fill(r + 1, c)\n    fill(r - 1, c)\n",
        "level = [root]\nwhile level:\n    nxt = []\n    for u in level:\n        nxt.append(u.l)\n"
        "    level = nxt\n",
    ],
    "union_find": [
        FIND,
        "def find(x):\n    if parent[x] == x:\n        return x\n    parent[x] = find(parent[x])\n"
        "    return parent[x]\n",
        "class U:\n    def find(self, x):\n        while x != self.p[x]:\n"
        "            self.p[x] = self.p[self.p[x]]\n            x = self.p[x]\n        return x\n",
    ],
    "sorting": ["print(sorted(a))\n", "a.sort(key=len)\n", BUBBLE],
    "greedy": [
        "for s, e in sorted(jobs):\n    if s >= end:\n        end = e\n",
        "a.sort()\nfor x in a:\n    if x <= left:\n        left -= x\n",
        "b = sorted(a, reverse=True)\nfor i, x in enumerate(b):\n    if x > i:\n        k = i\n",
    ],
    "heap": [
        HEAP,
        "from heapq import heappop as pop\npop(h)\n",
        "from queue import PriorityQueue\nq = PriorityQueue()\n",
    ],
    "binary_search": [
        BISECTION,
        "import bisect\ni = bisect.bisect_left(a, x)\n",
        "def f(l, r):\n    m = l + (r - l) // 2\n    return f(l, m) if a[m] > x else f(m + 1, r)\n",
        "from bisect import insort\ninsort(a, 3)\n",
    ],
    "two_pointers": [
        "while i < j:\n    if s[i] != s[j]:\n        ok = False\n    i += 1\n    j -= 1\n",
        "while l <= r:\n    if a[l] + a[r] > t:\n        r = r - 1\n    else:\n        l = l + 1\n",
        "l = 0\nfor r in range(n):\n    s += a[r]\n    while s > k:\n"
        "        s -= a[l]\n        l += 1\n",
    ],
    "enumeration": [
        "import itertools\nfor p in itertools.permutations(a):\n    f(p)\n",
        "from itertools import product as pr\nx = list(pr(a, b))\n",
        "for m in range(1 << n):\n    f(m)\n",
        "for m in range(2 ** n):\n    f(m)\n",
    ],
    "nested_loops": [
        BUBBLE,
        "x = [[i * j for i in a] for j in b]\n",
        "x = [i + j for i in a for j in b]\n",
        "for a in b:\n    while a:\n        a -= 1\n",
    ],
    "single_pass": [SUM, "x = [i for i in a]\n", "while n:\n    n //= 2\n"],
    "stack": [
        BRACKETS,
        "s = []\nfor x in a:\n    while s and s[-1] < x:\n        s.pop()\n    s.append(x)\n",
        "class S:\n    def __init__(self):\n        self.s = []\n    def push(self, x):\n"
        "        self.s.append(x)\n    def top(self):\n        return self.s.pop()\n",
    ],
    "hashing": [
        "from collections import Counter\nc = Counter(a)\n",
        "seen = set()\n",
        "d = {}\n",
        "x = {i for i in a}\n",
        "x = list(dict.fromkeys(a))\n",
    ],
    "text": ["s = s.upper()\n", "ok = s.startswith('a')\n", "x = ord(c) - 97\n"],
    "regex": [
        "import re\nre.findall('a', s)\n",
        "from re import sub\nsub('a', 'b', s)\n",
        "import re as r\nr.match('a', s)\n",
    ],
    "bits": ["x ^= y\n", "x = a & 1\n", "x = 1 << 3\n", "x = ~a\n", "bin(5)\n"],
    "number_theory": [
        "import math\nmath.gcd(a, b)\n",
        "x = pow(a, b, 7)\n",
        "while b:\n    a, b = b, a % b\n",
        "from math import comb\ncomb(5, 2)\n",
    ],
    "reduction": ["sum(a)\n", "max(a, key=len)\n", "import math\nmath.prod(a)\n"],
    "closed_form": [
        "x = a + b\n",
        "def f(n):\n    return n * (n + 1) // 2\n",
        "print(2 ** n % 7)\n",
    ],
}

NEGATIVE: dict[str, list[str]] = {
    "recursion": [
        "def f(x):\n    return g(x)\n",
        "class S:\n    def append(self, x):\n        self.items.append(x)\n",
        "class B(A):\n    def __init__(self):\n        super().__init__()\n",
    ],
    "dynamic_programming": [
        FIB,
        BUBBLE,
        "for i in range(n):\n    a[i] = b[i - 1] + 1\n",
        "for i in range(n, 0, -1):\n    a[i] = a[i - 1]\n",
        BFS,
    ],
    "backtracking": [FIB, DFS, "for x in a:\n    p.append(x)\n    p.pop()\n"],
    "graph_search": [BRACKETS, FIB, "while n:\n    n //= 2\n", "while q:\n    q.pop()\n"],
    "union_find": ["for i in range(n):\n    if a[i] != b:\n        a[i] = 0\n", "x = p[y] == y\n"],
    "sorting": ["x = max(a)\n", "a, b = b, a\n", "for i in a:\n    x[0], x[1] = x[1], x[0]\n"],
    "greedy": [
        "for x in sorted(a):\n    print(x)\n",
        "for x in a:\n    if x:\n        print(x)\n",
        "a.sort()\nfor i in range(len(a)):\n    if a[i]:\n        print(i)\n",
    ],
    "heap": ["h.append(3)\n", "def heappush(a, b):\n    a.append(b)\nheappush(h, 1)\n"],
    "binary_search": [
        "x = (a + b) // 2\n",
        "while n:\n    n = n // 2\n",
        "while a:\n    x = (a + 1) // 2\n",
    ],
    "two_pointers": [
        BISECTION,
        "while i < n:\n    i += 1\n",
        "for x in a:\n    while x:\n        x -= 1\n",
    ],
    "enumeration": [
        "def product(a):\n    return a\nproduct(3)\n",
        "for i in range(n * 2):\n    f(i)\n",
    ],
    "nested_loops": [SUM, "for x in a:\n    f(x)\nfor y in b:\n    f(y)\n"],
    "single_pass": [BUBBLE, "x = 1\n", "a = [list(map(int, input().split())) for _ in range(3)]\n"],
    "stack": ["s.append(1)\n", BFS, "q.append(1)\nq.pop(0)\n"],
    "hashing": ["a = [1]\n", "def set(x):\n    return x\nset(3)\n"],
    "text": ["x = input().split()\n", "print(' '.join(a))\n", "x = s.strip()\n"],
    "regex": ["s.split('a')\n", "x = 're.match'\n"],
    "bits": ["x = a and b\n", "x = seen & other\n", "x = seen | other\n"],
    "number_theory": ["x = pow(a, 2)\n", "a, b = b, a + b\n", "x = a % b\n"],
    "reduction": ["x = list(map(int, a))\n", "def sum(a):\n    return a\nsum(3)\n"],
    "closed_form": [SUM, FIB, "x = sum(a) + 1\n", "print('a')\n"],
}


def families(code: str) -> frozenset[str]:
    return families_of(facts_of(ast.parse(code)))


def cases(table: dict[str, list[str]]) -> list[pytest.param]:
    return [
        pytest.param(name, code, id=f"{name}-{i}")
        for name, codes in table.items()
        for i, code in enumerate(codes)
    ]


@pytest.mark.parametrize(("name", "code"), cases(POSITIVE))
def test_seen(name, code):
    assert name in families(code)


@pytest.mark.parametrize(("name", "code"), cases(NEGATIVE))
def test_not_seen(name, code):
    assert name not in families(code)


def test_every_family_has_enough_examples():
    assert set(FAMILIES) == set(POSITIVE) == set(NEGATIVE)
    assert all(len(codes) >= 3 for codes in POSITIVE.values())
    assert all(len(codes) >= 2 for codes in NEGATIVE.values())
    assert all(predicate.__doc__ for predicate in FAMILIES.values())


def test_the_builtin_problems_references():
    """Families of programs whose algorithm is known from their problem."""
    from builtin_sources import build

    programs = {p.id.partition("/")[2]: p.reference for p in build.load_problems()}
    found = {name: families(code) for name, code in programs.items()}
    known = {
        "dynamic_programming": [
            "edit-distance",
            "knapsack-value",
            "coins-and-ways",
            "cutting-a-rod",
        ],
        "graph_search": ["count-islands", "shortest-ways-in-maze", "lake-sizes"],
        "backtracking": ["count-queens", "word-snake", "parcels-for-total"],
        "binary_search": ["insert-position", "slowest-pump", "longest-rising"],
        "heap": ["cheapest-path", "task-order"],
        "union_find": ["widest-lorry-route", "all-in-touch"],
        "two_pointers": ["few-letters-stretch", "shortest-showcase"],
        "stack": ["balanced-brackets", "evaluate-postfix", "largest-rectangle"],
        "greedy": ["merge-intervals", "meeting-rooms-needed"],
        "closed_form": ["sum-of-two", "is-leap-year"],
    }
    for family, names in known.items():
        for name in names:
            assert family in found[name], name
    assert len(set(found.values())) > 40
