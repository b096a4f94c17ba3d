"""Medium functions: sums of sublists, searching, text, small grids."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/best-sublist-sum",
        difficulty="medium",
        title="Largest sublist sum",
        statement="Return the largest sum of a contiguous, non-empty part of the list of integers "
        "`numbers`. The list has between 1 and 1000 elements, which may be negative.",
        entry_point="best_sum",
        public=[([[1, -2, 3, 4]], 7), ([[-3]], -3), ([[5, -1, 5]], 9)],
        private=[
            [[1]],
            [[0]],
            [[-2, -1, -3]],
            [[-1, 0, -2]],
            [[4, -10, 5]],
            [[1, 2, 3, 4]],
            [[2, -1, 2, -5, 4]],
            [[-2, 1, -3, 4, -1, 2, 1, -5, 4]],
            [[3, -4, 3, -4, 3]],
        ],
        reference="""\
def best_sum(numbers: list[int]) -> int:
    best = here = numbers[0]
    for n in numbers[1:]:
        here = max(n, here + n)
        best = max(best, here)
    return best
""",
        wrong=[
            """\
def best_sum(numbers):
    best = here = 0
    for n in numbers:
        here = max(0, here + n)
        best = max(best, here)
    return best
""",
            "def best_sum(numbers):\n    return sum(n for n in numbers if n > 0) or max(numbers)\n",
            "def best_sum(numbers):\n    return max(sum(numbers[i:]) for i in range(len(numbers)))",
            """\
def best_sum(numbers):
    best = here = numbers[0]
    for n in numbers[1:]:
        here = max(n, here + n)
    return here
""",
        ],
    ),
    P(
        id="builtin/insert-position",
        difficulty="medium",
        title="Where it would go",
        statement="`numbers` is a list of integers in non-decreasing order. Return the smallest "
        "position (counted from 0) at which the integer `x` can be inserted so that the list "
        "stays sorted.",
        entry_point="position",
        public=[([[1, 3, 5], 4], 2), ([[1, 3, 5], 3], 1), ([[], 7], 0)],
        private=[
            [[1, 3, 5], 0],
            [[1, 3, 5], 6],
            [[1, 3, 5], 5],
            [[2, 2, 2], 2],
            [[2, 2, 2], 3],
            [[4], 4],
            [[-5, -3, 0, 0, 8], 0],
            [[1, 2, 4, 4, 4, 9], 4],
            [[10, 20], 15],
        ],
        reference="""\
def position(numbers: list[int], x: int) -> int:
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low
""",
        wrong=[
            "import bisect\n\n\ndef position(numbers, x):\n    return bisect.bisect(numbers, x)\n",
            """\
def position(numbers, x):
    low, high = 0, len(numbers) - 1
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low
""",
            """\
def position(numbers, x):
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] == x:
            return middle
        if numbers[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low
""",
        ],
    ),
    P(
        id="builtin/common-prefix",
        difficulty="medium",
        title="Common prefix",
        statement="Return the longest string with which every string of the list `words` begins. "
        "An empty list gives an empty string.",
        entry_point="prefix",
        public=[([["flow", "flat"]], "fl"), ([["a", "b"]], ""), ([["only"]], "only")],
        private=[
            [[]],
            [["", "abc"]],
            [["abc", "abc"]],
            [["ab", "abc", "abd"]],
            [["abc", "ab", "a"]],
            [["prefix", "suffix"]],
            [["Aa", "aa"]],
            [["testing", "tester", "tested"]],
            [["xay", "xbz", "xaz"]],
            [["cart", "dart"]],
        ],
        reference="""\
def prefix(words: list[str]) -> str:
    if not words:
        return ""
    low, high = min(words), max(words)
    n = 0
    while n < len(low) and low[n] == high[n]:
        n += 1
    return low[:n]
""",
        wrong=[
            """\
def prefix(words):
    result = ""
    for column in zip(*words):
        if len(set(column)) == 1:
            result += column[0]
    return result
""",
            """\
def prefix(words):
    result = words[0]
    for word in words:
        while not word.startswith(result):
            result = result[:-1]
    return result
""",
            """\
def prefix(words):
    if not words:
        return ""
    first, last = words[0], words[-1]
    n = 0
    while n < min(len(first), len(last)) and first[n] == last[n]:
        n += 1
    return first[:n]
""",
        ],
    ),
    P(
        id="builtin/caesar-shift",
        difficulty="medium",
        title="Caesar cipher",
        statement="Return the string `s` with each English letter moved `k` places forward in the "
        "alphabet, wrapping from z to a and from Z to A. Capitals stay capitals, all other "
        "characters stay as they are. `k` is any integer; a negative one moves backward.",
        entry_point="caesar",
        public=[(["abc", 1], "bcd"), (["xyz", 3], "abc"), (["Hi!", -1], "Gh!")],
        private=[
            ["", 5],
            ["Zebra", 1],
            ["a", -1],
            ["Hello, World", 13],
            ["same", 0],
            ["same", 26],
            ["Wrap 52", 53],
            ["ABC xyz", -30],
        ],
        reference="""\
def caesar(s: str, k: int) -> str:
    result = ""
    for c in s:
        if "a" <= c <= "z":
            c = chr((ord(c) - ord("a") + k) % 26 + ord("a"))
        elif "A" <= c <= "Z":
            c = chr((ord(c) - ord("A") + k) % 26 + ord("A"))
        result += c
    return result
""",
        wrong=[
            "def caesar(s, k):\n"
            "    return ''.join(chr(ord(c) + k) if c.isalpha() else c for c in s)\n",
            """\
def caesar(s, k):
    letters = "abcdefghijklmnopqrstuvwxyz"
    return "".join(
        letters[(letters.index(c) + k) % 26] if c in letters else c for c in s.lower()
    )
""",
            """\
def caesar(s, k):
    result = ""
    for c in s:
        if c.islower():
            n = ord(c) + k
            c = chr(n if n <= ord("z") else n - 26)
        elif c.isupper():
            n = ord(c) + k
            c = chr(n if n <= ord("Z") else n - 26)
        result += c
    return result
""",
        ],
    ),
    P(
        id="builtin/top-words",
        difficulty="medium",
        title="Most frequent words",
        statement="Return the `k` most frequent strings of the list `words`, most frequent first. "
        "Words that are equally frequent are ordered alphabetically. If there are fewer than `k` "
        "different words, return all of them. `k` is at least 0; all letters are small.",
        entry_point="top",
        public=[
            ([["b", "a", "b"], 1], ["b"]),
            ([["b", "a"], 2], ["a", "b"]),
            ([[], 3], []),
        ],
        private=[
            [["x"], 5],
            [["x", "y"], 0],
            [["c", "b", "a", "c", "b"], 2],
            [["c", "b", "a", "c", "b"], 3],
            [["z", "y", "x", "w"], 2],
            [["a", "b", "b", "c", "c", "c"], 2],
            [["to", "be", "or", "not", "to", "be"], 3],
            [["aa", "a", "aa", "a", "b"], 1],
        ],
        reference="""\
def top(words: list[str], k: int) -> list[str]:
    return sorted(set(words), key=lambda w: (-words.count(w), w))[:k]
""",
        wrong=[
            "from collections import Counter\n\n\ndef top(words, k):\n"
            "    return [w for w, _ in Counter(words).most_common(k)]\n",
            "def top(words, k):\n"
            "    return sorted(set(words), key=lambda w: (words.count(w), w), reverse=True)[:k]\n",
            "def top(words, k):\n"
            "    return sorted(set(words), key=lambda w: (words.count(w), w))[:k]\n",
            "def top(words, k):\n    return sorted(sorted(set(words), key=words.count)[-k:])\n",
        ],
    ),
    P(
        id="builtin/evaluate-postfix",
        difficulty="medium",
        title="Evaluate a postfix expression",
        statement="`tokens` is a list of strings: integers (possibly negative) and the operators "
        "+, -, * and /, in postfix order, so that `2 3 -` means 2 - 3. Return the value. Division "
        "is of integers and drops the fractional part (towards zero: -7 / 2 is -3); there is no "
        "division by zero. The expression is valid.",
        entry_point="evaluate",
        public=[
            ([["2", "3", "+"]], 5),
            ([["2", "3", "-"]], -1),
            ([["7", "2", "/"]], 3),
        ],
        private=[
            [["5"]],
            [["-4"]],
            [["-7", "2", "/"]],
            [["7", "-2", "/"]],
            [["1", "2", "+", "3", "*"]],
            [["1", "2", "3", "*", "+"]],
            [["10", "2", "8", "*", "+", "3", "-"]],
            [["3", "4", "-", "5", "6", "-", "*"]],
            [["100", "7", "/", "7", "/"]],
        ],
        reference="""\
def evaluate(tokens: list[str]) -> int:
    stack: list[int] = []
    for token in tokens:
        if token not in ("+", "-", "*", "/"):
            stack.append(int(token))
            continue
        b, a = stack.pop(), stack.pop()
        if token == "+":
            stack.append(a + b)
        elif token == "-":
            stack.append(a - b)
        elif token == "*":
            stack.append(a * b)
        else:
            q = abs(a) // abs(b)
            stack.append(q if (a < 0) == (b < 0) else -q)
    return stack[0]
""",
        wrong=[
            """\
def evaluate(tokens):
    stack = []
    for token in tokens:
        if token not in ("+", "-", "*", "/"):
            stack.append(int(token))
            continue
        b, a = stack.pop(), stack.pop()
        stack.append({"+": a + b, "-": a - b, "*": a * b, "/": b and a // b}[token])
    return stack[0]
""",
            """\
def evaluate(tokens):
    stack = []
    for token in tokens:
        if token not in ("+", "-", "*", "/"):
            stack.append(int(token))
            continue
        a, b = stack.pop(), stack.pop()
        stack.append({"+": a + b, "-": a - b, "*": a * b, "/": b and int(a / b)}[token])
    return stack[0]
""",
            """\
def evaluate(tokens):
    stack = []
    for token in tokens:
        if token.isdigit():
            stack.append(int(token))
            continue
        b, a = stack.pop(), stack.pop()
        stack.append({"+": a + b, "-": a - b, "*": a * b, "/": b and int(a / b)}[token])
    return stack[0]
""",
        ],
    ),
]
