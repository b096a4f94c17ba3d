"""Hard functions: histograms, pattern matching, backtracking."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/largest-rectangle",
        difficulty="hard",
        title="Largest rectangle in a histogram",
        statement="`heights` lists the heights (integers, at least 0) of adjacent bars of width 1 "
        "standing on one line. Return the largest area of a rectangle that lies wholly within the "
        "bars and has its base on that line. The list has at most 2000 bars; for an empty list the "
        "area is 0.",
        entry_point="largest_area",
        public=[([[2, 1, 2]], 3), ([[4]], 4), ([[]], 0)],
        private=[
            [[0]],
            [[2, 1, 5, 6, 2, 3]],
            [[3, 3, 3]],
            [[1, 2, 3, 4, 5]],
            [[5, 4, 3, 2, 1]],
            [[6, 0, 6]],
            [[1, 100, 1]],
            [[2, 4, 2, 1, 2, 2, 2, 2]],
            [[(i * 7919) % 97 for i in range(300)]],
        ],
        reference="""\
def largest_area(heights: list[int]) -> int:
    best = 0
    stack: list[tuple[int, int]] = []
    for i, h in enumerate([*heights, 0]):
        start = i
        while stack and stack[-1][1] >= h:
            start, height = stack.pop()
            best = max(best, height * (i - start))
        stack.append((start, h))
    return best
""",
        wrong=[
            "def largest_area(heights):\n    return max(heights, default=0)\n",
            "def largest_area(heights):\n    return min(heights, default=0) * len(heights)\n",
            """\
def largest_area(heights):
    best = 0
    stack = []
    for i, h in enumerate(heights):
        start = i
        while stack and stack[-1][1] >= h:
            start, height = stack.pop()
            best = max(best, height * (i - start))
        stack.append((start, h))
    return best
""",
            """\
def largest_area(heights):
    best = 0
    stack = []
    for i, h in enumerate([*heights, 0]):
        while stack and stack[-1][1] >= h:
            start, height = stack.pop()
            best = max(best, height * (i - start))
        stack.append((i, h))
    return best
""",
        ],
    ),
    P(
        id="builtin/glob-match",
        difficulty="hard",
        title="Match a wildcard pattern",
        statement="Return `True` if the whole string `s` matches the pattern `pattern`, else "
        "`False`. In the pattern `?` stands for exactly one arbitrary character and `*` for any "
        "sequence of characters, also an empty one; all other characters stand for themselves. "
        "Both strings have at most 100 characters and may be empty.",
        entry_point="matches",
        public=[(["abc", "a*"], True), (["abc", "a?"], False), (["", "*"], True)],
        private=[
            ["", ""],
            ["", "?"],
            ["abc", ""],
            ["abc", "a?c"],
            ["aab", "*ab"],
            ["mississippi", "m*iss*p?"],
            ["mississippi", "m*iss*iss*iss*"],
            ["abcd", "*b*d"],
            ["abcd", "*b*c"],
            ["a.c", "a?c*"],
            ["abc", "a.c"],
            ["abbc", "ab*bc"],
        ],
        reference="""\
def matches(s: str, pattern: str) -> bool:
    reach = {0}
    for c in pattern:
        if c == "*":
            reach = set(range(min(reach), len(s) + 1)) if reach else reach
        else:
            reach = {i + 1 for i in reach if i < len(s) and c in ("?", s[i])}
    return len(s) in reach
""",
        wrong=[
            """\
import re


def matches(s, pattern):
    return bool(re.fullmatch(pattern.replace("?", ".").replace("*", ".*"), s))
""",
            """\
import re


def matches(s, pattern):
    regex = re.escape(pattern).replace("\\\\?", ".").replace("\\\\*", ".*")
    return bool(re.match(regex, s))
""",
            """\
import re


def matches(s, pattern):
    regex = re.escape(pattern).replace("\\\\?", ".").replace("\\\\*", ".+")
    return bool(re.fullmatch(regex, s))
""",
            """\
def matches(s, pattern):
    i = 0
    parts = pattern.split("*")
    for k, part in enumerate(parts):
        at = s.find(part, i)
        if at < 0 or (k == 0 and at):
            return False
        i = at + len(part)
    return i == len(s) or parts[-1] == ""
""",
        ],
    ),
    P(
        id="builtin/count-queens",
        difficulty="hard",
        title="Queens on a board with holes",
        statement="Return the number of ways to place `n` queens on an `n` by `n` chess board "
        "(1 <= n <= 7) so that no two share a row, a column or a diagonal, and none stands on a "
        "blocked square. `blocked` is a list of squares `[row, column]`, counted from 0; blocked "
        "squares do not stop queens from attacking across them.",
        entry_point="queens",
        public=[([4, []], 2), ([1, []], 1), ([1, [[0, 0]]], 0)],
        private=[
            [2, []],
            [3, []],
            [5, []],
            [6, []],
            [7, []],
            [4, [[0, 1]]],
            [5, [[2, 2], [0, 0]]],
            [6, [[0, 1], [5, 4]]],
            [7, [[3, 3], [0, 0], [6, 1], [2, 5]]],
        ],
        reference="""\
def queens(n: int, blocked: list[list[int]]) -> int:
    holes = {(r, c) for r, c in blocked}

    def place(row: int, taken: tuple[int, ...]) -> int:
        if row == n:
            return 1
        return sum(
            place(row + 1, (*taken, c))
            for c in range(n)
            if (row, c) not in holes
            and all(c != t and abs(c - t) != row - r for r, t in enumerate(taken))
        )

    return place(0, ())
""",
        wrong=[
            """\
from itertools import permutations


def queens(n, blocked):
    holes = {(r, c) for r, c in blocked}
    return sum(
        all((r, c) not in holes for r, c in enumerate(p))
        and all(abs(p[i] - p[i + 1]) != 1 for i in range(n - 1))
        for p in permutations(range(n))
    )
""",
            """\
from itertools import permutations


def queens(n, blocked):
    return sum(
        len({p[i] + i for i in range(n)}) == n and len({p[i] - i for i in range(n)}) == n
        for p in permutations(range(n))
    )
""",
            """\
from itertools import permutations


def queens(n, blocked):
    holes = {(r - 1, c - 1) for r, c in blocked}
    return sum(
        all((r, c) not in holes for r, c in enumerate(p))
        and len({p[i] + i for i in range(n)}) == n
        and len({p[i] - i for i in range(n)}) == n
        for p in permutations(range(n))
    )
""",
            """\
from itertools import permutations


def queens(n, blocked):
    holes = {(r, c) for r, c in blocked}
    return sum(
        all((r, c) not in holes for r, c in enumerate(p))
        and len({p[i] + i for i in range(n)}) == n
        for p in permutations(range(n))
    )
""",
        ],
    ),
    P(
        id="builtin/trapped-water",
        difficulty="hard",
        title="Trapped rain water",
        statement="`heights` lists the heights (integers, at least 0) of adjacent walls of width "
        "1. After rain, each place holds water up to the lower of the highest wall to its left and "
        "the highest wall to its right. Return the total amount of water between the walls. Water "
        "runs off at both ends. The list has at most 2000 walls and may be empty.",
        entry_point="trapped",
        public=[([[2, 0, 2]], 2), ([[1, 2, 3]], 0), ([[]], 0)],
        private=[
            [[5]],
            [[3, 1]],
            [[4, 0, 2, 0, 3]],
            [[0, 1, 0, 2, 1, 0, 1, 3, 2, 1, 2, 1]],
            [[4, 2, 0, 3, 2, 5]],
            [[5, 4, 1, 2]],
            [[2, 2, 2]],
            [[9, 0, 0, 0, 1]],
            [[1, 0, 5, 0, 5, 0, 1]],
            [[(i * 7919) % 97 for i in range(300)]],
        ],
        reference="""\
def trapped(heights: list[int]) -> int:
    total = 0
    for i, h in enumerate(heights):
        total += min(max(heights[: i + 1]), max(heights[i:])) - h
    return total
""",
        wrong=[
            """\
def trapped(heights):
    top = max(heights, default=0)
    return sum(top - h for h in heights[1:-1])
""",
            """\
def trapped(heights):
    total = 0
    for a, b, c in zip(heights, heights[1:], heights[2:]):
        total += max(0, min(a, c) - b)
    return total
""",
            """\
def trapped(heights):
    total = top = 0
    for h in heights:
        top = max(top, h)
        total += top - h
    return total
""",
            """\
def trapped(heights):
    if not heights:
        return 0
    level = min(heights[0], heights[-1])
    return sum(max(0, level - h) for h in heights)
""",
        ],
    ),
]
