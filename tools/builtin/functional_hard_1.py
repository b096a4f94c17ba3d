"""Hard functions: dynamic programming over strings and amounts."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/edit-distance",
        difficulty="hard",
        title="Edit distance",
        statement="Return the smallest number of steps that turn the string `a` into the string "
        "`b`. One step inserts a character, deletes one, or replaces one by another. Both strings "
        "have at most 60 characters and may be empty.",
        entry_point="distance",
        public=[(["cat", "cut"], 1), (["", "abc"], 3), (["same", "same"], 0)],
        private=[
            ["abc", ""],
            ["kitten", "sitting"],
            ["intention", "execution"],
            ["ab", "ba"],
            ["abcdef", "bcdefa"],
            ["flaw", "lawn"],
            ["aaaa", "aa"],
            ["sunday", "saturday"],
            ["xabcabcabcabcabcabcabcabcabc", "abcabcabcabcabcabcabcabcabcy"],
        ],
        reference="""\
def distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        new = [i]
        for j, y in enumerate(b, 1):
            new.append(min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (x != y)))
        row = new
    return row[-1]
""",
        wrong=[
            """\
def distance(a, b):
    return sum(x != y for x, y in zip(a, b)) + abs(len(a) - len(b))
""",
            """\
def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        new = [i]
        for j, y in enumerate(b, 1):
            new.append(row[j - 1] if x == y else min(row[j] + 1, new[j - 1] + 1))
        row = new
    return row[-1]
""",
            """\
def distance(a, b):
    row = list(range(len(b) + 1))
    for x in a:
        new = [0]
        for j, y in enumerate(b, 1):
            new.append(min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (x != y)))
        row = new
    return row[-1]
""",
            """\
from collections import Counter


def distance(a, b):
    x, y = Counter(a), Counter(b)
    return max(sum((x - y).values()), sum((y - x).values()))
""",
        ],
    ),
    P(
        id="builtin/longest-rising",
        difficulty="hard",
        title="Longest rising subsequence",
        statement="A subsequence of a list keeps some elements in their order, not necessarily "
        "neighbours. Return the length of the longest strictly increasing subsequence of the list "
        "of integers `numbers`, which has at most 3000 elements. For an empty list it is 0.",
        entry_point="rising",
        public=[([[3, 1, 2]], 2), ([[]], 0), ([[5, 5, 5]], 1)],
        private=[
            [[1]],
            [[1, 2, 3, 4]],
            [[4, 3, 2, 1]],
            [[10, 9, 2, 5, 3, 7, 101, 18]],
            [[0, 1, 0, 3, 2, 3]],
            [[2, 2, 3, 3, 4, 4]],
            [[1, 100, 2, 3, 4]],
            [[-2, -5, -1, -3, 0]],
            [[(i * 389) % 1009 for i in range(1000)]],
        ],
        reference="""\
from bisect import bisect_left


def rising(numbers: list[int]) -> int:
    tails: list[int] = []
    for n in numbers:
        i = bisect_left(tails, n)
        tails[i : i + 1] = [n]
    return len(tails)
""",
        wrong=[
            """\
from bisect import bisect_right


def rising(numbers):
    tails = []
    for n in numbers:
        i = bisect_right(tails, n)
        tails[i:i + 1] = [n]
    return len(tails)
""",
            """\
def rising(numbers):
    best = here = 0
    last = None
    for n in numbers:
        here = here + 1 if last is not None and n > last else 1
        best = max(best, here)
        last = n
    return best
""",
            """\
def rising(numbers):
    best = 0
    for i in range(len(numbers)):
        last, count = numbers[i], 1
        for n in numbers[i:]:
            if n > last:
                last, count = n, count + 1
        best = max(best, count)
    return best
""",
            "def rising(numbers):\n    return len(set(numbers))\n",
        ],
    ),
    P(
        id="builtin/coins-for-target",
        difficulty="hard",
        title="Coins for a target amount",
        statement="`coins` is a list of different positive integers, the values of coins, each "
        "available as often as needed. Return the smallest number of coins whose values add up to "
        "exactly `amount` (0 <= amount <= 5000), or -1 if that is impossible.",
        entry_point="fewest",
        public=[([[1, 3, 4], 6], 2), ([[2], 3], -1), ([[5], 0], 0)],
        private=[
            [[1, 2, 5], 11],
            [[5, 10], 3],
            [[], 0],
            [[], 7],
            [[7], 21],
            [[1, 5, 10, 12], 20],
            [[9, 6, 1], 13],
            [[3, 7], 11],
            [[4, 9], 24],
            [[186, 419, 83, 408], 2500],
        ],
        reference="""\
def fewest(coins: list[int], amount: int) -> int:
    best = [0] + [amount + 1] * amount
    for total in range(1, amount + 1):
        for coin in coins:
            if coin <= total:
                best[total] = min(best[total], best[total - coin] + 1)
    return best[amount] if best[amount] <= amount else -1
""",
        wrong=[
            """\
def fewest(coins, amount):
    count = 0
    for coin in sorted(coins, reverse=True):
        count += amount // coin
        amount %= coin
    return count if amount == 0 else -1
""",
            """\
def fewest(coins, amount):
    best = {0: 0}
    for coin in coins:
        for total, count in list(best.items()):
            if total + coin <= amount:
                best[total + coin] = min(best.get(total + coin, 9999), count + 1)
    return best.get(amount, -1)
""",
            """\
def fewest(coins, amount):
    best = [0] + [amount + 1] * amount
    for total in range(1, amount + 1):
        for coin in coins:
            if coin < total:
                best[total] = min(best[total], best[total - coin] + 1)
    return best[amount] if best[amount] <= amount else -1
""",
            """\
def fewest(coins, amount):
    best = [0] + [amount + 1] * amount
    for total in range(1, amount + 1):
        for coin in coins:
            if coin <= total:
                best[total] = min(best[total], best[total - coin] + 1)
    return best[amount]
""",
        ],
    ),
    P(
        id="builtin/count-splits",
        difficulty="hard",
        title="Ways to split into words",
        statement="Return the number of ways to write the string `s` as a sequence of words from "
        "the list `words` (different non-empty strings, each usable any number of times), one "
        "after the other without gaps. Two ways differ if they split `s` at different places. The "
        "empty string has exactly one way. `s` has at most 100 characters.",
        entry_point="count_splits",
        public=[
            (["aaa", ["a", "aa"]], 3),
            (["cat", ["dog"]], 0),
            (["", ["x"]], 1),
        ],
        private=[
            ["a", ["a"]],
            ["a", []],
            ["", []],
            ["abab", ["ab", "aba", "b"]],
            ["catsanddog", ["cat", "cats", "and", "sand", "dog"]],
            ["leetcodes", ["leet", "code"]],
            ["ab", ["a"]],
            ["a" * 60, ["a", "aa", "aaa"]],
            ["abcd", ["a", "b", "cd", "abc", "d", "ab", "c"]],
        ],
        reference="""\
def count_splits(s: str, words: list[str]) -> int:
    ways = [1] + [0] * len(s)
    for end in range(1, len(s) + 1):
        for word in words:
            if s[:end].endswith(word):
                ways[end] += ways[end - len(word)]
    return ways[-1]
""",
        wrong=[
            """\
def count_splits(s, words):
    for word in sorted(words, key=len, reverse=True):
        if s.startswith(word):
            return count_splits(s[len(word):], words)
    return int(not s)
""",
            """\
def count_splits(s, words):
    reach = [True] + [False] * len(s)
    for end in range(1, len(s) + 1):
        reach[end] = any(s[:end].endswith(w) and reach[end - len(w)] for w in words)
    return int(reach[-1])
""",
            """\
def count_splits(s, words):
    ways = [1] + [0] * len(s)
    for word in words:
        for end in range(len(word), len(s) + 1):
            if s[:end].endswith(word):
                ways[end] += ways[end - len(word)]
    return ways[-1]
""",
            """\
def count_splits(s, words):
    if not s:
        return 0
    ways = [1] + [0] * len(s)
    for end in range(1, len(s) + 1):
        for word in words:
            if s[:end].endswith(word):
                ways[end] += ways[end - len(word)]
    return ways[-1]
""",
        ],
    ),
    P(
        id="builtin/knapsack-value",
        difficulty="hard",
        title="Fill a knapsack",
        statement="`items` is a list of `[weight, value]` pairs of positive integers; each item "
        "can be taken at most once. Return the largest total value of items whose total weight is "
        "at most `capacity` (0 <= capacity <= 1000). There are at most 60 items.",
        entry_point="knapsack",
        public=[
            ([[[1, 1], [3, 4], [4, 5]], 5], 6),
            ([[[6, 10]], 5], 0),
            ([[], 10], 0),
        ],
        private=[
            [[[5, 10]], 5],
            [[[5, 10]], 0],
            [[[1, 10]], 9],
            [[[10, 60], [20, 100], [30, 120]], 50],
            [[[3, 7], [2, 4], [2, 4]], 4],
            [[[1, 2], [2, 3], [3, 3]], 4],
            [[[4, 9], [3, 5], [3, 5], [6, 11]], 6],
            [[[7, 7], [1, 2], [8, 10]], 9],
            [[[(i * 37) % 41 + 1, (i * 53) % 61 + 1] for i in range(50)], 300],
        ],
        reference="""\
def knapsack(items: list[list[int]], capacity: int) -> int:
    best = [0] * (capacity + 1)
    for weight, value in items:
        for room in range(capacity, weight - 1, -1):
            best[room] = max(best[room], best[room - weight] + value)
    return best[capacity]
""",
        wrong=[
            """\
def knapsack(items, capacity):
    total = 0
    for weight, value in sorted(items, key=lambda i: i[1] / i[0], reverse=True):
        if weight <= capacity:
            capacity -= weight
            total += value
    return total
""",
            """\
def knapsack(items, capacity):
    best = [0] * (capacity + 1)
    for weight, value in items:
        for room in range(weight, capacity + 1):
            best[room] = max(best[room], best[room - weight] + value)
    return best[capacity]
""",
            """\
def knapsack(items, capacity):
    best = [0] * (capacity + 1)
    for weight, value in items:
        for room in range(capacity, weight, -1):
            best[room] = max(best[room], best[room - weight] + value)
    return best[capacity]
""",
            """\
def knapsack(items, capacity):
    total = 0
    for weight, value in sorted(items, key=lambda i: i[1], reverse=True):
        if weight <= capacity:
            capacity -= weight
            total += value
    return total
""",
        ],
    ),
]
