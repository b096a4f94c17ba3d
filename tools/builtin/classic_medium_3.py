"""Classic medium functions, part 3: from "Stepping stones" to "The best exclusive-or pair"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/stepping-stones",
        difficulty="medium",
        title="Stepping stones",
        statement="""\
From stone i you may jump ahead by 1 to `reach[i]` stones (reach[i] >= 0; the list has at least
one stone), but a stone with a *wet* mark (`wet[i]` true) may not be stepped on; the first and
the last stone are never wet. Return the path with the fewest jumps from the first to the last
stone as a list of indices; of all such paths the lexicographically smallest. Return [] if
there is none.""",
        public=[
            ([[2, 3, 1, 1, 4], [False, False, False, False, False]], [0, 1, 4]),
            ([[1, 0, 2], [False, False, False]], []),
            ([[0], [False]], [0]),
        ],
        private=[
            [[1, 1], [False, False]],
            [[0, 1], [False, False]],
            [[2, 5, 1], [False, True, False]],
            [[1, 5, 1], [False, True, False]],
            [[3, 2, 3, 1, 1, 1], [False] * 6],
            [[3, 2, 3, 1, 1, 1], [False, False, True, False, False, False]],
            [[9, 1, 1, 1], [False] * 4],
            [[2, 2, 2, 2, 2, 2], [False] * 6],
            [[3, 1, 1, 2, 2, 0, 0], [False] * 7],
            [[4, 1, 3, 1, 1, 1, 0, 0], [False, False, False, True, False, False, False, False]],
            [[i * 7 % 5 + 1 for i in range(60)], [i % 6 == 4 for i in range(60)]],
        ],
        reference=(
            ref := r"""def stones(reach: list[int], wet: list[bool]) -> list[int]:
    n = len(reach)
    far = n + 1
    jumps = [far] * (n - 1) + [0]
    for i in range(n - 2, -1, -1):
        for j in range(i + 1, min(n, i + reach[i] + 1)):
            if not wet[j]:
                jumps[i] = min(jumps[i], jumps[j] + 1)
    if jumps[0] >= far:
        return []
    path = [0]
    while path[-1] != n - 1:
        i = path[-1]
        path.append(next(j for j in range(i + 1, n) if not wet[j] and jumps[j] == jumps[i] - 1))
    return path
"""
        ),
        wrong=[
            r"""def stones(reach, wet):
    n = len(reach)
    path = [0]
    while path[-1] != n - 1:
        i = path[-1]
        options = [j for j in range(i + 1, min(n, i + reach[i] + 1)) if not wet[j]]
        if not options:
            return []
        path.append(max(options, key=lambda j: (j + reach[j], j)))
    return path
""",
            ref.replace("            if not wet[j]:\n    ", "            if True:\n    "),
            ref.replace("next(j for j in range(i + 1, n) if", "max(j for j in range(i + 1, n) if"),
            ref.replace("i + reach[i] + 1)", "i + reach[i])"),
            r"""def stones(reach, wet):
    n = len(reach)
    path = [0]
    while path[-1] != n - 1:
        i = path[-1]
        options = [j for j in range(i + 1, min(n, i + reach[i] + 1)) if not wet[j]]
        if not options:
            return []
        path.append(options[-1])
    return path
""",
        ],
        entry_point="stones",
    ),
    P(
        id="builtin/sum-of-fractions",
        difficulty="medium",
        title="Sum of fractions",
        statement="""\
`text` is a sum of terms such as `-1/2+3/4 - 2`: each term is a whole number or a fraction of
whole numbers with a positive denominator, terms are joined by `+` or `-`, a sign may stand in
front of the first term, and blanks may stand anywhere except inside a number. Return the value
in lowest terms as a string `p/q` with q > 0 and a sign only in front of p; write just `p` if q
is 1.""",
        public=[(["1/2+1/3"], "5/6"), (["-1/2 + 1/2"], "0"), (["3 - 1/4"], "11/4")],
        private=[
            ["7"],
            ["-7"],
            ["+2/4"],
            ["0/5"],
            ["10/5"],
            ["1/3-1/2"],
            ["-5/10-5/10"],
            ["1/2+1/3+1/6"],
            ["- 3 / 9 + 12/18 - 1 / 3"],
            ["1000000007/1000000009 - 1000000005/1000000009"],
            ["1/2-1/3+1/5-1/7+1/11-1/13"],
            ["100-99 7/8".replace(" ", "-")],
        ],
        reference=(
            ref := r"""import re
from math import gcd


def add_fractions(text: str) -> str:
    p, q = 0, 1
    for sign, top, _, bottom in re.findall(r"([-+]?)(\d+)(/(\d+))?", text.replace(" ", "")):
        a, b = int(sign + top), int(bottom or "1")
        p, q = p * b + a * q, q * b
        g = gcd(p, q)
        p, q = p // g, q // g
    return f"{p}/{q}" if q > 1 else str(p)
"""
        ),
        wrong=[
            ref.replace("        g = gcd(p, q)\n        p, q = p // g, q // g\n", ""),
            ref.replace('f"{p}/{q}" if q > 1 else str(p)', 'f"{p}/{q}"'),
            ref.replace('text.replace(" ", "")', "text"),
            r"""import re
from fractions import Fraction


def add_fractions(text):
    total = 0.0
    for term in re.findall(r"[-+]?[^-+]+", text.replace(" ", "")):
        top, _, bottom = term.partition("/")
        total += int(top) / int(bottom or "1")
    return str(Fraction(total).limit_denominator(1000))
""",
            ref.replace("int(sign + top)", "int(top)"),
        ],
        entry_point="add_fractions",
    ),
    P(
        id="builtin/best-xor-pair",
        difficulty="medium",
        title="The best exclusive-or pair",
        statement="""\
`items` holds integers from 0 to 10^9, at most 300 of them. Return `[x, i, j]` where x is the
greatest bitwise exclusive or of two items at positions i < j, and [i, j] is the
lexicographically smallest such pair of positions. Return [0, -1, -1] if there are fewer than
two items.""",
        public=[([[3, 10, 5, 25, 2, 8]], [28, 2, 3]), ([[7]], [0, -1, -1]), ([[4, 4]], [0, 0, 1])],
        private=[
            [[]],
            [[0]],
            [[0, 0, 0]],
            [[1, 2, 1, 2]],
            [[2, 1, 1, 2, 2]],
            [[1000000000, 0, 1000000000]],
            [[8, 7, 15, 0]],
            [[5, 1, 4, 0, 3, 2]],
            [[6, 6, 9, 9]],
            [[i * 7919 % 1009 for i in range(100)]],
            [[14, 70, 53, 83, 49, 91, 36, 80, 92, 51, 66, 70]],
        ],
        reference=(
            ref := r"""def best_pair(items: list[int]) -> list[int]:
    best = [0, -1, -1]
    for i in range(len(items)):
        for j in range(i + 1, len(items)):
            if best[1] < 0 or items[i] ^ items[j] > best[0]:
                best = [items[i] ^ items[j], i, j]
    return best
"""
        ),
        wrong=[
            ref.replace("best[1] < 0 or ", ""),
            ref.replace("> best[0]", ">= best[0]"),
            ref.replace("items[i] ^ items[j]", "items[i] | items[j]"),
            r"""def best_pair(items):
    if len(items) < 2:
        return [0, -1, -1]
    i = items.index(max(items))
    j = max((k for k in range(len(items)) if k != i), key=lambda k: items[k] ^ items[i])
    return [items[i] ^ items[j], min(i, j), max(i, j)]
""",
        ],
        entry_point="best_pair",
    ),
]
