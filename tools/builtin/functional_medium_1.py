"""Medium functions: strings, lists, simple stacks."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/run-length-pairs",
        difficulty="medium",
        title="Run lengths",
        statement="Split the string `s` into runs, maximal blocks of one repeated character. "
        "Return a list with one entry a run, in order; each entry is a list of the character and "
        "the length of the run. An empty string gives an empty list.",
        entry_point="runs",
        public=[
            (["aabc"], [["a", 2], ["b", 1], ["c", 1]]),
            ([""], []),
            (["aba"], [["a", 1], ["b", 1], ["a", 1]]),
        ],
        private=[["z"], ["zzzz"], ["aabbaa"], ["abab"], ["AAaa"], ["  x"], ["1112"], ["abccc"]],
        reference="""\
def runs(s: str) -> list[list]:
    result: list[list] = []
    for c in s:
        if result and result[-1][0] == c:
            result[-1][1] += 1
        else:
            result.append([c, 1])
    return result
""",
        wrong=[
            "def runs(s):\n    return [[c, s.count(c)] for c in dict.fromkeys(s)]\n",
            """\
def runs(s):
    result, count = [], 1
    for a, b in zip(s, s[1:]):
        if a == b:
            count += 1
        else:
            result.append([a, count])
            count = 1
    return result
""",
            """\
def runs(s):
    result = []
    for c in s:
        if result and result[-1][0].lower() == c.lower():
            result[-1][1] += 1
        else:
            result.append([c, 1])
    return result
""",
        ],
    ),
    P(
        id="builtin/merge-intervals",
        difficulty="medium",
        title="Merge intervals",
        statement="`intervals` is a list of closed intervals `[start, end]` of integers with "
        "start <= end, in any order. Merge those that overlap or share an end point and return "
        "the merged intervals sorted by start. `[1, 2]` and `[2, 3]` are merged, `[1, 2]` and "
        "`[3, 4]` are not.",
        entry_point="merge",
        public=[
            ([[[1, 3], [2, 5]]], [[1, 5]]),
            ([[[1, 2], [3, 4]]], [[1, 2], [3, 4]]),
            ([[]], []),
        ],
        private=[
            [[[1, 2], [2, 3]]],
            [[[5, 6], [1, 2]]],
            [[[1, 10], [2, 3]]],
            [[[1, 10], [2, 3], [4, 11]]],
            [[[4, 4]]],
            [[[4, 4], [4, 4], [1, 1]]],
            [[[-5, -1], [-2, 0], [1, 1]]],
            [[[8, 9], [1, 4], [3, 7], [7, 8]]],
            [[[1, 9], [2, 3], [10, 12], [11, 15]]],
        ],
        reference="""\
def merge(intervals: list[list[int]]) -> list[list[int]]:
    result: list[list[int]] = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1][1] = max(result[-1][1], end)
        else:
            result.append([start, end])
    return result
""",
        wrong=[
            """\
def merge(intervals):
    result = []
    for start, end in intervals:
        if result and start <= result[-1][1]:
            result[-1][1] = max(result[-1][1], end)
        else:
            result.append([start, end])
    return result
""",
            """\
def merge(intervals):
    result = []
    for start, end in sorted(intervals):
        if result and start < result[-1][1]:
            result[-1][1] = max(result[-1][1], end)
        else:
            result.append([start, end])
    return result
""",
            """\
def merge(intervals):
    result = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1][1] = end
        else:
            result.append([start, end])
    return result
""",
            """\
def merge(intervals):
    result = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1] + 1:
            result[-1][1] = max(result[-1][1], end)
        else:
            result.append([start, end])
    return result
""",
        ],
    ),
    P(
        id="builtin/balanced-brackets",
        difficulty="medium",
        title="Balanced brackets",
        statement="Return `True` if the brackets `()`, `[]` and `{}` in the string `s` are "
        "balanced: each closing bracket matches the most recent opening bracket that is still "
        "open, and none is left open at the end. Other characters are ignored. "
        "Otherwise return `False`.",
        entry_point="balanced",
        public=[(["(a[b])"], True), (["(]"], False), ([""], True)],
        private=[["("], [")"], ["([)]"], ["{[()]}"], ["()[]{}"], [")("], ["((x)"], ["abc"], ["(}"]],
        reference="""\
def balanced(s: str) -> bool:
    stack = []
    for c in s:
        if c in "([{":
            stack.append(c)
        elif c in ")]}" and (not stack or "([{".index(stack.pop()) != ")]}".index(c)):
            return False
    return not stack
""",
        wrong=[
            """\
def balanced(s):
    return all(s.count(a) == s.count(b) for a, b in ("()", "[]", "{}"))
""",
            """\
def balanced(s):
    depth = 0
    for c in s:
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth < 0:
                return False
    return depth == 0
""",
            """\
def balanced(s):
    stack = []
    for c in s:
        if c in "([{":
            stack.append(c)
        elif c in ")]}" and (not stack or "([{".index(stack.pop()) != ")]}".index(c)):
            return False
    return True
""",
            """\
def balanced(s):
    while "()" in s or "[]" in s or "{}" in s:
        s = s.replace("()", "").replace("[]", "").replace("{}", "")
    return not s
""",
        ],
    ),
    P(
        id="builtin/group-anagrams",
        difficulty="medium",
        title="Group anagrams",
        statement="Two words are anagrams if they consist of the same letters, equally often. "
        "Group the strings of the list `words` so that anagrams are together. Groups are ordered "
        "by their first word's position in `words`, and so are the words within a group. Equal "
        "words are kept as often as they occur. All letters are small.",
        entry_point="group",
        public=[
            ([["tea", "dog", "eat"]], [["tea", "eat"], ["dog"]]),
            ([[]], []),
            ([["a", "a"]], [["a", "a"]]),
        ],
        private=[
            [["abc", "cab", "bca"]],
            [["b", "a"]],
            [["aab", "abb", "bab"]],
            [["", "x", ""]],
            [["stop", "dog", "pots", "god", "tops"]],
            [["zz", "z", "zzz"]],
            [["ad", "bc"]],
            [["listen", "silent", "enlist", "google", "listen"]],
        ],
        reference="""\
def group(words: list[str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for word in words:
        groups.setdefault("".join(sorted(word)), []).append(word)
    return list(groups.values())
""",
        wrong=[
            """\
def group(words):
    groups = {}
    for word in words:
        groups.setdefault(frozenset(word), []).append(word)
    return list(groups.values())
""",
            """\
def group(words):
    groups = {}
    for word in sorted(words):
        groups.setdefault("".join(sorted(word)), []).append(word)
    return list(groups.values())
""",
            """\
def group(words):
    groups = {}
    for word in words:
        groups.setdefault((len(word), sum(map(ord, word))), []).append(word)
    return list(groups.values())
""",
            """\
def group(words):
    groups = {}
    for word in dict.fromkeys(words):
        groups.setdefault("".join(sorted(word)), []).append(word)
    return list(groups.values())
""",
        ],
    ),
    P(
        id="builtin/rotate-list",
        difficulty="medium",
        title="Rotate a list",
        statement="Return the list of integers `numbers` rotated to the right by `k` places: the "
        "last element moves to the front, `k` times. `k` may be larger than the list; a negative "
        "`k` rotates to the left. An empty list stays empty.",
        entry_point="rotate",
        public=[([[1, 2, 3], 1], [3, 1, 2]), ([[1, 2, 3], -1], [2, 3, 1]), ([[], 5], [])],
        private=[
            [[1, 2, 3], 0],
            [[1, 2, 3], 3],
            [[1, 2, 3, 4], 5],
            [[1, 2, 3, 4], -6],
            [[7], 100],
            [[1, 2], 1001],
            [[5, 6, 7, 8, 9], 2],
            [[5, 6, 7, 8, 9], -2],
        ],
        reference="""\
def rotate(numbers: list[int], k: int) -> list[int]:
    if not numbers:
        return []
    k %= len(numbers)
    return numbers[len(numbers) - k :] + numbers[: len(numbers) - k]
""",
        wrong=[
            "def rotate(numbers, k):\n    return numbers[-k:] + numbers[:-k]\n",
            """\
def rotate(numbers, k):
    if not numbers:
        return []
    k %= len(numbers)
    return numbers[k:] + numbers[:k]
""",
            """\
def rotate(numbers, k):
    if not numbers:
        return []
    k = abs(k) % len(numbers)
    return numbers[len(numbers) - k:] + numbers[:len(numbers) - k]
""",
        ],
    ),
    P(
        id="builtin/roman-to-number",
        difficulty="medium",
        title="Read a Roman numeral",
        statement="Return the value of the Roman numeral `s`, a valid numeral between 1 and 3999 "
        "in capital letters. I = 1, V = 5, X = 10, L = 50, C = 100, D = 500, M = 1000; a letter "
        "before a letter of larger value is subtracted, otherwise it is added.",
        entry_point="roman",
        public=[(["VI"], 6), (["IV"], 4), (["MCMXC"], 1990)],
        private=[["I"], ["III"], ["IX"], ["XL"], ["XC"], ["CDXLIV"], ["MMXXIV"], ["MMMCMXCIX"]],
        reference="""\
def roman(s: str) -> int:
    values = [dict(I=1, V=5, X=10, L=50, C=100, D=500, M=1000)[c] for c in s]
    total = 0
    for v, following in zip(values, values[1:] + [0]):
        total += v if v >= following else -v
    return total
""",
        wrong=[
            """\
def roman(s):
    return sum(dict(I=1, V=5, X=10, L=50, C=100, D=500, M=1000)[c] for c in s)
""",
            """\
def roman(s):
    values = [dict(I=1, V=5, X=10, L=50, C=100, D=500, M=1000)[c] for c in s]
    total = 0
    for v, following in zip(values, values[1:] + [0]):
        total += v if v > following else -v
    return total
""",
            """\
def roman(s):
    values = [dict(I=1, V=5, X=10, L=50, C=100, D=500, M=1000)[c] for c in s]
    total = 0
    for v, following in zip(values, values[1:]):
        total += v if v >= following else -v
    return total
""",
            """\
def roman(s):
    total = sum(dict(I=1, V=5, X=10, L=50, C=100, D=500, M=1000)[c] for c in s)
    return total - 2 * (s.count("IV") + s.count("IX"))
""",
        ],
    ),
    P(
        id="builtin/pair-with-sum",
        difficulty="medium",
        title="Pair with a given sum",
        statement="Return the positions `[i, j]` (counted from 0, i < j) of two elements of the "
        "list of integers `numbers` whose sum is `target`. If there are several pairs, return "
        "the one with the smallest `j`, and among those the one with the smallest `i`. If there "
        "is none, return an empty list. The list has at most 2000 elements.",
        entry_point="pair",
        public=[([[2, 7, 11], 9], [0, 1]), ([[1, 2], 10], []), ([[3, 3], 6], [0, 1])],
        private=[
            [[], 0],
            [[5], 10],
            [[5], 5],
            [[1, 5, 3, 2, 4], 6],
            [[4, 1, 1, 5], 6],
            [[0, 4, 3, 0], 0],
            [[-1, -2, -3, -4], -7],
            [[2, 2, 2, 4, 4], 6],
            [[1, 9, 5, 5, 8, 2], 10],
            [[9, 7, 3, 1], 10],
        ],
        reference="""\
def pair(numbers: list[int], target: int) -> list[int]:
    first: dict[int, int] = {}
    for j, n in enumerate(numbers):
        if target - n in first:
            return [first[target - n], j]
        first.setdefault(n, j)
    return []
""",
        wrong=[
            """\
def pair(numbers, target):
    for i in range(len(numbers)):
        for j in range(i + 1, len(numbers)):
            if numbers[i] + numbers[j] == target:
                return [i, j]
    return []
""",
            """\
def pair(numbers, target):
    last = {}
    for j, n in enumerate(numbers):
        if target - n in last:
            return [last[target - n], j]
        last[n] = j
    return []
""",
            """\
def pair(numbers, target):
    for j, n in enumerate(numbers):
        if target - n in numbers:
            i = numbers.index(target - n)
            return sorted([i, j])
    return []
""",
        ],
    ),
]
