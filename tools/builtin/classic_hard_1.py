"""Classic hard functions, part 1: from "Clocks in step" to "A tiny regular expression"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/clocks-in-step",
        difficulty="hard",
        title="Clocks in step",
        statement="""\
Each entry [r, m] of `clocks` describes a bell that rings at all times t >= 0 with t % m == r %
m (m >= 1, r any integer; m and r below 10^9 in size, at most 12 clocks; the moduli need not be
coprime). Return the first time t >= `start` (0 <= start <= 10^18) at which all bells ring
together, or -1 if there is none. With no clocks return `start`.""",
        public=[
            ([[[2, 3], [3, 5], [2, 7]], 0], 23),
            ([[[0, 4], [1, 2]], 0], -1),
            ([[[1, 4], [3, 6]], 10], 21),
        ],
        private=[
            [[], 0],
            [[], 12345],
            [[[5, 1]], 7],
            [[[-1, 5]], 0],
            [[[7, 5]], 2],
            [[[7, 5]], 3],
            [[[2, 3], [3, 5], [2, 7]], 23],
            [[[2, 3], [3, 5], [2, 7]], 24],
            [[[1, 6], [4, 9], [10, 12]], 0],
            [[[1, 6], [4, 9], [7, 12]], 0],
            [[[3, 999999937], [5, 999999929]], 1000000000000000000],
            [[[1, 2], [1, 4], [1, 8], [9, 16]], 100],
            [[[0, 10], [0, 15]], 30],
            [[[5, 12], [17, 18], [35, 36]], 1],
        ],
        reference=(
            ref := r"""from math import gcd


def together(clocks: list[list[int]], start: int) -> int:
    time, step = 0, 1
    for r, m in clocks:
        g = gcd(step, m)
        if (r - time) % g:
            return -1
        turns = (r - time) // g * pow(step // g, -1, m // g) % (m // g)
        time += turns * step
        step = step // g * m
        time %= step
    if time < start:
        time += (start - time + step - 1) // step * step
    return time
"""
        ),
        wrong=[
            r"""from math import prod


def together(clocks, start):
    step = prod(m for r, m in clocks)
    time = 0
    for r, m in clocks:
        try:
            time += r * (step // m) * pow(step // m, -1, m)
        except ValueError:
            return -1
    time %= step
    return time + max(0, -((time - start) // step)) * step
""",
            ref.replace("(start - time + step - 1) // step", "((start - time) // step + 1)"),
            ref.replace(
                "    if time < start:\n        time += (start - time + step - 1) // step * step\n",
                "",
            ),
            ref.replace("step = step // g * m", "step = step * m"),
            r"""def together(clocks, start):
    for t in range(start, start + 2000):
        if all(t % m == r % m for r, m in clocks):
            return t
    return -1
""",
        ],
        entry_point="together",
    ),
    P(
        id="builtin/window-middles",
        difficulty="hard",
        title="Window middles",
        statement="""\
For each window of `k` consecutive items of `items` (integers, at most 2000; k >= 1) take twice
its median: twice the middle value for odd k, the sum of the two middle values for even k.
Return the list of these numbers after each of them that equals its predecessor *in the list of
all windows* has been left out. If there are fewer than k items return [].""",
        public=[
            ([[1, 3, -1, -3, 5, 3], 3], [2, -2, 6]),
            ([[1, 2, 3, 4], 2], [3, 5, 7]),
            ([[5], 2], []),
        ],
        private=[
            [[], 1],
            [[4], 1],
            [[4, 4, 4], 1],
            [[4, 5, 4, 5], 1],
            [[2, 1], 2],
            [[9, 1, 5, 5, 1, 9], 4],
            [[-5, -4, -3, -2], 3],
            [[-1, -2, -1, -2], 2],
            [[7, 0, 7, 0, 7, 0], 3],
            [[1, 2, 3], 3],
            [[i * i * 31 % 101 - 50 for i in range(200)], 16],
            [[i * 37 % 64 for i in range(150)], 31],
        ],
        reference=(
            ref := r"""from bisect import bisect_left, insort


def middles(items: list[int], k: int) -> list[int]:
    window = []
    out = []
    before = None
    for i, x in enumerate(items):
        insort(window, x)
        if i >= k:
            del window[bisect_left(window, items[i - k])]
        if i >= k - 1:
            twice = window[k // 2] + window[(k - 1) // 2]
            if twice != before:
                out.append(twice)
            before = twice
    return out
"""
        ),
        wrong=[
            ref.replace("window[(k - 1) // 2]", "window[k // 2]"),
            ref.replace("if twice != before", "if twice not in out"),
            ref.replace("if i >= k - 1", "if i >= k"),
            ref.replace("insort(window, x)", "window.append(x)").replace(
                "window[bisect_left(window, items[i - k])]", "window[0]"
            ),
            ref.replace(
                "window[(k - 1) // 2]\n", "window[(k - 1) // 2]\n            twice = abs(twice)\n"
            ),
        ],
        entry_point="middles",
    ),
    P(
        id="builtin/shortest-showcase",
        difficulty="hard",
        title="The shortest showcase",
        statement="""\
Return the bounds [i, j] (0 <= i < j) of the shortest part `items[i:j]` of the list of strings
`items` (at most 2000) that contains every string of `wanted` at least as often as `wanted`
does; of several the leftmost. Return [0, 0] if `wanted` is empty and [-1, -1] if there is no
such part.""",
        public=[
            ([["a", "b", "a", "c"], ["c", "a"]], [2, 4]),
            ([["x"], ["x", "x"]], [-1, -1]),
            ([["q"], []], [0, 0]),
        ],
        private=[
            [[], []],
            [[], ["a"]],
            [["a"], ["a"]],
            [["a", "b", "a", "b"], ["b", "a"]],
            [["a", "a", "b", "a"], ["a", "a"]],
            [["a", "b", "b", "a", "a", "b"], ["a", "a", "b"]],
            [["b", "a", "x", "x", "a", "x", "b"], ["a", "b", "a"]],
            [["a", "b", "c"], ["c", "b", "a"]],
            [["a", "b", "c"], ["d"]],
            [["ab", "a", "b", "ab"], ["b", "ab"]],
            [["z", "y", "z", "y", "y", "z", "z"], ["z", "z", "y", "y"]],
            [["p", "q", "r"] * 20 + ["s"] + ["r", "p"] * 20, ["s", "q", "p"]],
        ],
        reference=(
            ref := r"""def showcase(items: list[str], wanted: list[str]) -> list[int]:
    if not wanted:
        return [0, 0]
    need = {}
    for w in wanted:
        need[w] = need.get(w, 0) + 1
    missing = len(wanted)
    best = [-1, -1]
    i = 0
    for j, item in enumerate(items, 1):
        if need.get(item, 0) > 0:
            missing -= 1
        need[item] = need.get(item, 0) - 1
        while missing == 0:
            if best[0] < 0 or j - i < best[1] - best[0]:
                best = [i, j]
            need[items[i]] += 1
            if need[items[i]] > 0:
                missing += 1
            i += 1
    return best
"""
        ),
        wrong=[
            ref.replace("j - i < best[1] - best[0]", "j - i <= best[1] - best[0]"),
            ref.replace(
                "for w in wanted:", "wanted = list(dict.fromkeys(wanted))\n    for w in wanted:"
            ),
            ref.replace("while missing == 0", "if missing == 0"),
            ref.replace("j - i < best[1] - best[0]", "False"),
            ref.replace("    if not wanted:\n        return [0, 0]\n", ""),
        ],
        entry_point="showcase",
    ),
    P(
        id="builtin/cutting-a-rod",
        difficulty="hard",
        title="Cutting at marks",
        statement="""\
A rod of length `length` must be cut at all `marks` (different integers strictly between 0 and
length, in any order, at most 60). Cutting a piece of length x costs x if x is even and x +
`extra` if x is odd (extra >= 0). The order of the cuts is free. Return the least total cost (0
without marks).""",
        public=[([7, [1, 3, 4, 5], 0], 16), ([10, [], 3], 0), ([5, [2], 4], 9)],
        private=[
            [2, [1], 5],
            [4, [2, 1, 3], 0],
            [9, [6, 5, 2, 1, 4], 0],
            [9, [5, 6, 1, 4, 2], 7],
            [10, [2, 4, 7], 0],
            [20, [8, 3, 10], 0],
            [20, [3, 8, 10], 100],
            [100, [50, 25, 75, 99, 1], 3],
            [30, list(range(1, 30)), 2],
            [64, list(range(2, 64, 2)), 9],
            [1000, [i * 37 % 997 + 1 for i in range(40)], 50],
            [10, [9, 8, 7], 0],
        ],
        reference=(
            ref := r"""def cut_cost(length: int, marks: list[int], extra: int) -> int:
    at = [0, *sorted(marks), length]
    n = len(at)
    cost = [[0] * n for _ in range(n)]
    for gap in range(2, n):
        for i in range(n - gap):
            j = i + gap
            x = at[j] - at[i]
            best = min(cost[i][k] + cost[k][j] for k in range(i + 1, j))
            cost[i][j] = best + x + (extra if x % 2 else 0)
    return cost[0][-1]
"""
        ),
        wrong=[
            ref.replace("sorted(marks)", "marks"),
            ref.replace("(extra if x % 2 else 0)", "extra * 0"),
            r"""def cut_cost(length, marks, extra):
    def cost(low, high):
        inside = [m for m in marks if low < m < high]
        if not inside:
            return 0
        x = high - low
        m = min(inside, key=lambda m: (abs(2 * m - low - high), m))
        return x + (extra if x % 2 else 0) + cost(low, m) + cost(m, high)

    return cost(0, length)
""",
            r"""def cut_cost(length, marks, extra):
    total = 0
    left = length
    for m in sorted(marks, reverse=True):
        total += left + (extra if left % 2 else 0)
        left = m
    return total
""",
            ref.replace("range(i + 1, j)", "(i + 1, j - 1)"),
        ],
        entry_point="cut_cost",
    ),
    P(
        id="builtin/tiny-regex",
        difficulty="hard",
        title="A tiny regular expression",
        statement="""\
A pattern consists of letters a-z (each matches itself) and `.` (matches any one letter), each
optionally followed by one of `*` (zero or more times), `+` (one or more) or `?` (zero or one).
Patterns are well formed and at most 30 characters long, possibly empty. Return the length of
the *longest* beginning of `text` (letters a-z, at most 200) that the whole pattern matches, or
-1 if it matches none (the empty beginning has length 0).""",
        public=[(["a*b", "aabb"], 3), (["a.?", "xyz"], -1), (["b*", "aaa"], 0)],
        private=[
            ["", "abc"],
            ["", ""],
            ["a", ""],
            ["a?", ""],
            ["a*a*a", "aaaa"],
            [".*c", "abcabcab"],
            [".+a", "a"],
            [".+a", "ba"],
            ["ab?b", "ab"],
            ["ab+", "cab"],
            ["a+b+c?", "aabbbcc"],
            ["x?y?z?", "xzz"],
            [".*x.*y", "axbycyd"],
            ["a*a*a*a*a*a*b", "a" * 16],
            [".*.*.*.*.*z.", "q" * 25 + "z"],
            ["a.", "a"],
        ],
        reference=(
            ref := r"""def longest_match(pattern: str, text: str) -> int:
    parts = []
    for ch in pattern:
        if ch in "*+?":
            parts[-1] = (parts[-1][0], ch)
        else:
            parts.append((ch, ""))
    ends = {0}
    for letter, mark in parts:
        start = ends
        ends = set(start) if mark in ("*", "?") else set()
        for at in start:
            while at < len(text) and letter in (".", text[at]):
                at += 1
                ends.add(at)
                if mark not in ("*", "+"):
                    break
    return max(ends, default=-1)
"""
        ),
        wrong=[
            r"""import re


def longest_match(pattern, text):
    found = re.search(pattern, text)
    return found.end() if found else -1
""",
            ref.replace("max(ends, default=-1)", "min(ends, default=-1)"),
            ref.replace('mark in ("*", "?")', 'mark in ("*", "+", "?")'),
            r"""def longest_match(pattern, text):
    at = i = 0
    while i < len(pattern):
        mark = pattern[i + 1] if i + 1 < len(pattern) and pattern[i + 1] in "*+?" else ""
        count = 0
        while at < len(text) and pattern[i] in (".", text[at]):
            at += 1
            count += 1
            if mark not in ("*", "+"):
                break
        if count == 0 and mark in ("", "+"):
            return -1
        i += 2 if mark else 1
    return at
""",
            ref.replace('letter in (".", text[at])', "letter == text[at]"),
        ],
        entry_point="longest_match",
    ),
]
