"""Medium functions: substrings, versions, ranges, prices, primes."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/longest-distinct",
        difficulty="medium",
        title="Longest part without repetition",
        statement="Return the length of the longest contiguous part of the string `s` in which no "
        "character occurs twice. For an empty string the answer is 0.",
        entry_point="longest",
        public=[(["abca"], 3), (["aaa"], 1), ([""], 0)],
        private=[
            ["x"],
            ["abba"],
            ["abcabcbb"],
            ["pwwkew"],
            ["dvdf"],
            ["tmmzuxt"],
            ["a b c a"],
            ["aab"],
            ["abcdef"],
            ["anviaj"],
        ],
        reference="""\
def longest(s: str) -> int:
    best = start = 0
    last: dict[str, int] = {}
    for i, c in enumerate(s):
        start = max(start, last.get(c, -1) + 1)
        last[c] = i
        best = max(best, i - start + 1)
    return best
""",
        wrong=[
            "def longest(s):\n    return len(set(s))\n",
            """\
def longest(s):
    best = start = 0
    last = {}
    for i, c in enumerate(s):
        start = last.get(c, -1) + 1 or start
        last[c] = i
        best = max(best, i - start + 1)
    return best
""",
            """\
def longest(s):
    best, part = 0, ""
    for c in s:
        if c in part:
            part = ""
        part += c
        best = max(best, len(part))
    return best
""",
        ],
    ),
    P(
        id="builtin/compare-versions",
        difficulty="medium",
        title="Compare version numbers",
        statement="A version is a string of non-negative integers separated by dots, such as "
        "`1.10.2`. Versions are compared number by number from the left; missing numbers count as "
        "0, and leading zeros do not matter. Return 1 if version `a` is greater than `b`, -1 if it "
        "is smaller, and 0 if they are equal.",
        entry_point="compare",
        public=[(["1.2", "1.10"], -1), (["2.0", "2"], 0), (["1.0.1", "1"], 1)],
        private=[
            ["1", "1"],
            ["1.01", "1.1"],
            ["0.9", "1"],
            ["3.0.0", "3"],
            ["3", "3.0.0.1"],
            ["10.4", "9.12"],
            ["1.2.3", "1.2.2"],
            ["7.5.2.4", "7.5.3"],
            ["1.0", "1.0.0.0"],
        ],
        reference="""\
def compare(a: str, b: str) -> int:
    x, y = ([int(n) for n in v.split(".")] for v in (a, b))
    size = max(len(x), len(y))
    x += [0] * (size - len(x))
    y += [0] * (size - len(y))
    return (x > y) - (x < y)
""",
        wrong=[
            "def compare(a, b):\n    return (a > b) - (a < b)\n",
            """\
def compare(a, b):
    x, y = ([int(n) for n in v.split(".")] for v in (a, b))
    return (x > y) - (x < y)
""",
            """\
def compare(a, b):
    x, y = ([int(n) for n in v.split(".")] for v in (a, b))
    for m, n in zip(x, y):
        if m != n:
            return 1 if m > n else -1
    return 0
""",
            """\
def compare(a, b):
    x, y = (v.split(".") for v in (a, b))
    size = max(len(x), len(y))
    x += ["0"] * (size - len(x))
    y += ["0"] * (size - len(y))
    return (x > y) - (x < y)
""",
        ],
    ),
    P(
        id="builtin/missing-ranges",
        difficulty="medium",
        title="Missing ranges",
        statement="`numbers` is a strictly increasing list of integers, all between `low` and "
        "`high` (both included, low <= high). Return the integers from `low` to `high` that are "
        "not in the list as a list of ranges `[start, end]`, both ends included, as few ranges as "
        "possible, in increasing order. A single missing number n gives `[n, n]`.",
        entry_point="missing",
        public=[
            ([[1, 4], 1, 5], [[2, 3], [5, 5]]),
            ([[], 3, 4], [[3, 4]]),
            ([[1, 2], 1, 2], []),
        ],
        private=[
            [[], 7, 7],
            [[7], 7, 7],
            [[5], 1, 9],
            [[1], 1, 9],
            [[9], 1, 9],
            [[2, 4, 6], 1, 7],
            [[-3, 0], -5, 2],
            [[0, 1, 3, 50, 75], 0, 99],
            [[3, 4, 5], 1, 5],
        ],
        reference="""\
def missing(numbers: list[int], low: int, high: int) -> list[list[int]]:
    result = []
    start = low
    for n in [*numbers, high + 1]:
        if start < n:
            result.append([start, n - 1])
        start = n + 1
    return result
""",
        wrong=[
            """\
def missing(numbers, low, high):
    result = []
    start = low
    for n in numbers:
        if start < n:
            result.append([start, n - 1])
        start = n + 1
    return result
""",
            """\
def missing(numbers, low, high):
    result = []
    for a, b in zip(numbers, numbers[1:]):
        if b - a > 1:
            result.append([a + 1, b - 1])
    return result
""",
            """\
def missing(numbers, low, high):
    result = []
    start = low
    for n in [*numbers, high]:
        if start < n:
            result.append([start, n - 1])
        start = n + 1
    return result
""",
            """\
def missing(numbers, low, high):
    result = []
    start = low
    for n in [*numbers, high + 1]:
        if n - start > 1:
            result.append([start, n - 1])
        start = n + 1
    return result
""",
        ],
    ),
    P(
        id="builtin/best-single-trade",
        difficulty="medium",
        title="Best single trade",
        statement="`prices` lists the price of a share on consecutive days (integers, at least 0). "
        "You may buy on one day and sell on a strictly later day, once, or not trade at all. "
        "Return the largest possible profit; without a profitable trade it is 0.",
        entry_point="profit",
        public=[([[3, 1, 5]], 4), ([[5, 4, 3]], 0), ([[]], 0)],
        private=[
            [[7]],
            [[1, 2]],
            [[2, 1]],
            [[4, 4, 4]],
            [[2, 9, 1, 5]],
            [[7, 1, 5, 3, 6, 4]],
            [[1, 2, 3, 4, 5]],
            [[10, 2, 3, 0]],
            [[9, 1, 8, 0, 6, 1]],
        ],
        reference="""\
def profit(prices: list[int]) -> int:
    best = 0
    for i, p in enumerate(prices):
        best = max(best, p - min(prices[: i + 1]))
    return best
""",
        wrong=[
            "def profit(prices):\n    return max(prices, default=0) - min(prices, default=0)\n",
            "def profit(prices):\n"
            "    return sum(max(0, b - a) for a, b in zip(prices, prices[1:]))\n",
            "def profit(prices):\n"
            "    return max([0] + [b - a for a, b in zip(prices, prices[1:])])\n",
            """\
def profit(prices):
    if not prices:
        return 0
    low = prices.index(min(prices))
    return max(prices[low:]) - prices[low]
""",
        ],
    ),
    P(
        id="builtin/flatten-nested",
        difficulty="medium",
        title="Flatten a nested list",
        statement="`items` is a list whose elements are integers or again such lists, nested to "
        "any depth up to 20. Return the list of all integers in it from left to right. Empty lists "
        "contribute nothing.",
        entry_point="flatten",
        public=[([[1, [2, 3]]], [1, 2, 3]), ([[]], []), ([[[[4]], 5]], [4, 5])],
        private=[
            [[1, 2, 3]],
            [[[], [[]]]],
            [[[[[[7]]]]]],
            [[[1, [2, [3, [4]]]], 5]],
            [[0, [0, [0]]]],
            [[[3], [1], [2]]],
            [[[-1, -2], [[-3]], []]],
            [[9, [8, 8], 9, [[8], 9]]],
        ],
        reference="""\
def flatten(items: list) -> list[int]:
    result: list[int] = []
    for item in items:
        result += flatten(item) if isinstance(item, list) else [item]
    return result
""",
        wrong=[
            """\
def flatten(items):
    result = []
    for item in items:
        result += item if isinstance(item, list) else [item]
    return result
""",
            "import re\n\n\ndef flatten(items):\n"
            "    return [int(n) for n in re.findall(r'\\d+', str(items))]\n",
            """\
def flatten(items):
    result = []
    for item in items:
        for n in flatten(item) if isinstance(item, list) else [item]:
            if n:
                result.append(n)
    return result
""",
            """\
def flatten(items):
    plain = [item for item in items if not isinstance(item, list)]
    for item in items:
        if isinstance(item, list):
            plain += flatten(item)
    return plain
""",
        ],
    ),
    P(
        id="builtin/prime-factors",
        difficulty="medium",
        title="Prime factors",
        statement="Return the prime factors of the integer `n` (1 <= n <= 10**9) in non-decreasing "
        "order, each as often as it divides `n`. For 1 the list is empty.",
        entry_point="factors",
        public=[([12], [2, 2, 3]), ([1], []), ([7], [7])],
        private=[[2], [8], [9], [49], [100], [97], [2310], [1000000], [999999937], [999950884]],
        reference="""\
def factors(n: int) -> list[int]:
    result, d = [], 2
    while d * d <= n:
        while n % d == 0:
            result.append(d)
            n //= d
        d += 1
    return result + [n] * (n > 1)
""",
        wrong=[
            """\
def factors(n):
    result, d = [], 2
    while d * d < n:
        while n % d == 0:
            result.append(d)
            n //= d
        d += 1
    return result + [n] * (n > 1)
""",
            """\
def factors(n):
    result, d = [], 2
    while d * d <= n:
        while n % d == 0:
            result.append(d)
            n //= d
        d += 1
    return result
""",
            """\
def factors(n):
    result, d = [], 2
    while d * d <= n:
        if n % d == 0:
            result.append(d)
            n //= d
        d += 1
    return result + [n] * (n > 1)
""",
        ],
    ),
]
