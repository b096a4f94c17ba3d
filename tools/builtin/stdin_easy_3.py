"""Easy stdin problems, part 3: from "Ragged columns" to "Next mirror number"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/ragged-columns",
        difficulty="easy",
        title="Ragged columns",
        statement="""\
The first line holds n (0 <= n <= 100). Each of the next n lines holds zero or more integers
(absolute value at most 10^9); the lines may differ in length. Print the sum of each column,
left to right, separated by blanks; a row too short for a column adds nothing to it. If there
is no column print `empty`.""",
        public=[
            ("3\n1 2 3\n4\n5 6\n", "10 8 3\n"),
            ("2\n\n7\n", "7\n"),
            ("0\n", "empty\n"),
        ],
        private=[
            "1\n\n",
            "3\n\n\n\n",
            "1\n-5\n",
            "2\n1 2\n-1 -2\n",
            "3\n1\n1 1\n1 1 1\n",
            "3\n1 1 1\n1 1\n1\n",
            "4\n\n9 9\n\n1 1 1 1\n",
            "2\n1000000000 0 -1000000000\n1000000000 0 -1000000000\n",
            "20\n"
            + "\n".join(" ".join(str(i * j) for j in range(i % 7)) for i in range(20))
            + "\n",
        ],
        reference=r"""sums = []
for _ in range(int(input())):
    for j, value in enumerate(map(int, input().split())):
        if j == len(sums):
            sums.append(0)
        sums[j] += value
print(*sums or ["empty"])
""",
        wrong=[
            r"""rows = [list(map(int, input().split())) for _ in range(int(input()))]
sums = [sum(column) for column in zip(*rows)]
print(*sums or ["empty"])
""",
            r"""rows = [list(map(int, input().split())) for _ in range(int(input()))]
if not rows:
    print("empty")
else:
    width = len(rows[0])
    sums = [sum(row[j] for row in rows if j < len(row)) for j in range(width)]
    print(*sums or ["empty"])
""",
            r"""rows = [list(map(int, input().split())) for _ in range(int(input()))]
print(*[sum(row) for row in rows] or ["empty"])
""",
            r"""rows = [list(map(int, input().split())) for _ in range(int(input()))]
width = max(map(len, rows), default=0)
sums = [sum(row[j] for row in rows if j < len(row)) for j in range(width)]
print(*sums) if any(sums) else print("empty")
""",
        ],
    ),
    P(
        id="builtin/longest-frost",
        difficulty="easy",
        title="The longest frost",
        statement="""\
The first line holds n (1 <= n <= 10^4), the second line n integers, the night temperatures. A
frost is a maximal run of consecutive nights below zero. Print the number (from 1) of the first
night of the longest frost and its length, separated by a space; of equally long ones take the
latest. If no night is below zero print `no frost`.""",
        public=[
            ("6\n-1 -2 0 -3 -4 5\n", "4 2\n"),
            ("3\n0 1 2\n", "no frost\n"),
            ("4\n-9 -9 -9 1\n", "1 3\n"),
        ],
        private=[
            "1\n-1\n",
            "1\n0\n",
            "5\n-1 -1 -1 -1 -1\n",
            "5\n1 2 -3 -4 -5\n",
            "5\n-3 1 -4 1 -5\n",
            "8\n-1 -1 0 -2 -2 0 -3 0\n",
            "7\n0 -1 0 -1 -1 0 -1\n",
            "6\n-1 -1 -1 4 -2 -2\n",
            "500\n" + " ".join(str((i * 53) % 17 - 11) for i in range(500)) + "\n",
        ],
        reference=(
            ref := r"""n = int(input())
nights = list(map(int, input().split()))
best = start = run = 0
for i, t in enumerate(nights):
    run = run + 1 if t < 0 else 0
    if run and run >= best:
        best, start = run, i - run + 2
print(start, best) if best else print("no frost")
"""
        ),
        wrong=[
            ref.replace("run >= best", "run > best"),
            ref.replace("t < 0", "t <= 0"),
            ref.replace("i - run + 2", "i - run + 1"),
            r"""n = int(input())
nights = list(map(int, input().split()))
best = start = run = 0
for i, t in enumerate(nights):
    if t < 0:
        run += 1
    else:
        if run and run >= best:
            best, start = run, i - run + 1
        run = 0
print(start, best) if best else print("no frost")
""",
        ],
    ),
    P(
        id="builtin/sort-of-triangle",
        difficulty="easy",
        title="Sort of triangle",
        statement="""\
Read q (1 <= q <= 200), then q lines with three integers each (-10^9 to 10^9), the lengths of
three sticks in any order. For each line print `none` if they form no triangle of positive
area, otherwise two words: the sides (`equilateral`, `isosceles` or `scalene`; the most special
that fits) and the largest angle (`acute`, `right` or `obtuse`).""",
        public=[
            ("3\n3 4 5\n2 2 2\n1 2 3\n", "scalene right\nequilateral acute\nnone\n"),
            ("2\n5 3 3\n0 1 1\n", "isosceles obtuse\nnone\n"),
        ],
        private=[
            "1\n0 0 0\n",
            "3\n-3 -3 -3\n-3 4 5\n3 -4 5\n",
            "3\n5 4 3\n4 5 3\n13 5 12\n",
            "3\n1 1 2\n2 1 1\n1 2 1\n",
            "3\n5 5 1\n1 5 5\n5 1 5\n",
            "3\n2 3 4\n4 3 2\n3 4 2\n",
            "3\n4 5 6\n6 5 4\n7 8 9\n",
            "2\n1000000000 1000000000 1000000000\n600000000 800000000 1000000000\n",
            "2\n600000001 800000000 1000000000\n599999999 800000000 1000000000\n",
            "3\n1 1000000000 1000000000\n1 1 1000000000\n999999999 1 1000000000\n",
        ],
        reference=(
            ref := r"""for _ in range(int(input())):
    a, b, c = sorted(map(int, input().split()))
    if a <= 0 or a + b <= c:
        print("none")
        continue
    sides = ("equilateral", "isosceles", "scalene")[len({a, b, c}) - 1]
    gap = a * a + b * b - c * c
    print(sides, "right" if gap == 0 else "acute" if gap > 0 else "obtuse")
"""
        ),
        wrong=[
            ref.replace("a + b <= c", "a + b < c"),
            ref.replace("sorted(map(int, input().split()))", "map(int, input().split())"),
            ref.replace("len({a, b, c}) - 1]", "(a != b) + (b != c)]").replace(
                "sorted(map(int, input().split()))", "map(int, input().split())"
            ),
            ref.replace('"acute" if gap > 0 else "obtuse"', '"obtuse" if gap > 0 else "acute"'),
        ],
    ),
    P(
        id="builtin/dice-hand",
        difficulty="easy",
        title="Dice hand",
        statement="""\
Read q (1 <= q <= 100), then q lines with five dice (integers 1 to 6). Name the best hand for
each line, from best to worst: `five` (all equal), `four` (four equal), `full` (three of one
and two of another), `straight` (1 2 3 4 5 or 2 3 4 5 6 in any order), `three` (three equal),
`two pairs`, `pair`, `nothing`.""",
        public=[
            ("3\n1 1 1 1 1\n2 3 2 3 3\n5 4 3 2 1\n", "five\nfull\nstraight\n"),
            ("2\n1 2 3 4 6\n6 6 1 1 2\n", "nothing\ntwo pairs\n"),
        ],
        private=[
            "1\n6 6 6 6 6\n",
            "2\n1 4 4 4 4\n4 4 1 4 4\n",
            "2\n2 3 4 5 6\n6 2 5 3 4\n",
            "2\n1 2 3 5 6\n1 3 4 5 6\n",
            "2\n1 2 3 4 4\n2 2 3 4 5\n",
            "2\n3 3 3 1 2\n1 3 2 3 3\n",
            "2\n1 2 1 2 3\n5 6 5 6 6\n",
            "2\n1 2 4 5 6\n1 3 3 5 6\n",
            "4\n1 1 2 2 2\n1 1 2 2 3\n1 1 2 3 4\n1 1 1 2 3\n",
            "2\n3 1 5 4 2\n5 5 5 5 4\n",
        ],
        reference=(
            ref := r"""names = {(5,): "five", (4, 1): "four", (3, 2): "full", (3, 1, 1): "three",
         (2, 2, 1): "two pairs", (2, 1, 1, 1): "pair"}
for _ in range(int(input())):
    dice = sorted(map(int, input().split()))
    shape = tuple(sorted((dice.count(d) for d in set(dice)), reverse=True))
    if len(shape) == 5:
        print("straight" if dice[4] - dice[0] == 4 else "nothing")
    else:
        print(names[shape])
"""
        ),
        wrong=[
            ref.replace("dice[4] - dice[0] == 4", "True"),
            ref.replace("dice[4] - dice[0] == 4", "dice == [1, 2, 3, 4, 5]"),
            ref.replace('(3, 2): "full"', '(3, 2): "three"'),
            ref.replace("sorted(map(int, input().split()))", "list(map(int, input().split()))"),
        ],
    ),
    P(
        id="builtin/lost-ticket",
        difficulty="easy",
        title="The lost ticket",
        statement="""\
Tickets numbered a to b (-10^6 <= a <= b <= 10^6) were handed out; one was lost and perhaps one
was copied. The first line holds a and b, the second line the numbers found, in any order:
every number from a to b except exactly one, and at most one of them twice. Print the lost
number and the copied one, separated by a space, with `-` for the latter if none was copied.
The second line may be empty when a = b.""",
        public=[("1 5\n5 1 2 4\n", "3 -\n"), ("1 4\n2 2 1 4\n", "3 2\n"), ("7 7\n\n", "7 -\n")],
        private=[
            "1 2\n2\n",
            "1 2\n1\n",
            "1 2\n2 2\n",
            "0 3\n3 2 1\n",
            "-2 2\n2 1 -1 -2\n",
            "-2 2\n0 1 -1 -2 -2\n",
            "-5 -3\n-3 -3 -5\n",
            "10 15\n15 14 13 12 11 15\n",
            "100 300\n" + " ".join(str(i) for i in range(300, 99, -1) if i != 187) + "\n",
            "0 400\n" + " ".join(str(i if i != 1 else 400) for i in range(401)) + "\n",
        ],
        reference=r"""a, b = map(int, input().split())
found = list(map(int, input().split()))
have = set(found)
lost = next(i for i in range(a, b + 1) if i not in have)
copied = sum(found) - sum(have) if len(found) > len(have) else "-"
print(lost, copied)
""",
        wrong=[
            r"""a, b = map(int, input().split())
found = list(map(int, input().split()))
lost = sum(range(a, b + 1)) - sum(found)
print(lost, "-")
""",
            r"""a, b = map(int, input().split())
found = list(map(int, input().split()))
have = set(found)
lost = next(i for i in range(a, b) if i not in have or i == b - 1)
print(lost, sum(found) - sum(have) if len(found) > len(have) else "-")
""",
            r"""a, b = map(int, input().split())
found = list(map(int, input().split()))
have = set(found)
lost = next(i for i in range(a, b + 1) if i not in have)
print(lost, (sum(found) - sum(have)) or "-" if lost > 0 else "-")
""",
            r"""a, b = map(int, input().split())
found = list(map(int, input().split()))
have = set(found)
lost = next(i for i in range(1, b + 1) if i not in have)
print(lost, sum(found) - sum(have) if len(found) > len(have) else "-")
""",
        ],
    ),
    P(
        id="builtin/digit-mirror",
        difficulty="easy",
        title="Next mirror number",
        statement="""\
A mirror number reads the same from both ends when written in decimal without leading zeros.
Read q (1 <= q <= 20), then q lines with one integer n each (0 <= n <= 10^6). For each print
the smallest mirror number strictly greater than n.""",
        public=[("3\n0\n9\n120\n", "1\n11\n121\n"), ("1\n121\n", "131\n")],
        private=[
            "4\n7\n8\n9\n10\n",
            "3\n10\n11\n12\n",
            "2\n98\n99\n",
            "2\n998\n999\n",
            "1\n1000000\n",
            "2\n191\n192\n",
            "3\n1001\n1991\n2002\n",
            "3\n123456\n654321\n999999\n",
            "4\n100\n101\n110\n199\n",
        ],
        reference=(
            ref := r"""for _ in range(int(input())):
    n = int(input()) + 1
    while str(n) != str(n)[::-1]:
        n += 1
    print(n)
"""
        ),
        wrong=[
            ref.replace("int(input()) + 1", "int(input())"),
            ref.replace("str(n) != str(n)[::-1]", "str(n)[0] != str(n)[-1]"),
            r"""for _ in range(int(input())):
    n = input().strip()
    half = n[: (len(n) + 1) // 2]
    best = int(half + half[: len(n) // 2][::-1])
    if best <= int(n):
        half = str(int(half) + 1)
        best = int(half + half[: len(n) // 2][::-1])
    print(best)
""",
        ],
    ),
]
