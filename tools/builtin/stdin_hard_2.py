"""Hard stdin problems, part 2: from "Build order" to "The courier's round"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/build-order",
        difficulty="hard",
        title="Build order",
        statement="""\
A program consists of modules. Each line of the input is `name:` followed by zero or more
blank-separated names of modules that must be built before it (names are 1 to 20 lower-case
letters; a name may be repeated within a line and may occur only on the right-hand side; no two
lines start with the same name). Print all modules, one a line, so that each comes after those
it needs; if several modules could be next, the alphabetically smallest is. If this is
impossible, print `cycle` and on the next line the names, in alphabetical order and separated
by blanks, of all modules that can never be built. The input has at least one line.""",
        public=[
            ("app: lib util\nlib: util\n", "util\nlib\napp\n"),
            ("b: a\na: b\nc:\nd: b\n", "cycle\na b d\n"),
        ],
        private=[
            "x:\n",
            "x: x\n",
            "c:\nb:\na:\n",
            "a: z\nb:\n",
            "a: b b\nb: c c c\n",
            "d: c\nc: b\nb: a\ne: a\n",
            "m: k l\nk: j\nl: j\nj:\na: m\nz:\n",
            "a: b\nb: c\nc: a\nd: a\ne:\nf: e\n",
            "a: c\nb: c\nc: d e\nd: e\ne: b\nf:\n",
            "ab: a\na: aa\naa:\nb:\n",
            "p: q\nq:\nr: p s\ns: r\nt: r\n",
            "".join(
                "m"
                + chr(97 + i % 26)
                + chr(97 + i // 26)
                + ": "
                + " ".join(
                    "m" + chr(97 + j % 26) + chr(97 + j // 26) for j in range(i + 3, 60, i + 2)
                )
                + "\n"
                for i in range(60)
            ),
        ],
        reference=(
            ref := r"""import heapq
import sys
needs = {}
for line in sys.stdin:
    if line.strip():
        name, _, rest = line.partition(":")
        needs[name.strip()] = set(rest.split())
for others in list(needs.values()):
    for other in others:
        needs.setdefault(other, set())
users = {name: [] for name in needs}
for name, others in needs.items():
    for other in others:
        users[other].append(name)
missing = {name: len(others) for name, others in needs.items()}
ready = sorted(name for name in needs if not missing[name])
order = []
while ready:
    name = heapq.heappop(ready)
    order.append(name)
    for user in users[name]:
        missing[user] -= 1
        if missing[user] == 0:
            heapq.heappush(ready, user)
if len(order) == len(needs):
    print("\n".join(order))
else:
    print("cycle")
    print(*sorted(set(needs) - set(order)))
"""
        ),
        wrong=[
            ref.replace("name = heapq.heappop(ready)", "name = ready.pop(0)").replace(
                "heapq.heappush(ready, user)", "ready.append(user)"
            ),
            ref.replace("set(rest.split())", "rest.split()")
            .replace("setdefault(other, set())", "setdefault(other, [])")
            .replace(
                "    for other in others:\n        users",
                "    for other in set(others):\n        users",
            ),
            r"""import sys
needs = {}
for line in sys.stdin:
    name, _, rest = line.partition(":")
    needs[name] = rest.split()
state = {}
order = []
bad = set()


def visit(name):
    if state.get(name) == 1:
        bad.add(name)
        return
    if name not in state:
        state[name] = 1
        for other in sorted(needs.get(name, [])):
            visit(other)
        state[name] = 2
        order.append(name)


for name in sorted(needs):
    visit(name)
if bad:
    print("cycle")
    print(*sorted(bad))
else:
    print("\n".join(order))
""",
            ref.replace(
                "for name in needs if not missing[name])",
                "for name in users if not missing[name] and users[name])",
            ),
            ref.replace(
                "sorted(set(needs) - set(order))",
                "sorted(n for n in set(needs) - set(order) if users[n])",
            ),
        ],
    ),
    P(
        id="builtin/quiet-numbers",
        difficulty="hard",
        title="Quiet numbers",
        statement="""\
A positive integer is *quiet* if neighbouring decimal digits differ by at most d and its digit
sum is divisible by m. Read q (1 <= q <= 10), then q lines with a, b, d and m (1 <= a <= b <=
10^15, 0 <= d <= 9, 1 <= m <= 50). Print for each how many quiet numbers x with a <= x <= b
there are. Counting them one by one is too slow.""",
        public=[
            ("2\n1 20 1 1\n10 30 0 2\n", "12\n2\n"),
            ("1\n1 9 0 5\n", "1\n"),
        ],
        private=[
            "1\n1 1 0 1\n",
            "2\n1 1000 9 1\n10 10 1 1\n",
            "2\n100 999 0 3\n99 101 0 1\n",
            "2\n5 5 0 5\n5 5 0 4\n",
            "2\n1 1000000000000000 9 1\n1 1000000000000000 0 1\n",
            "2\n1 1000000000000000 1 7\n999999999999999 1000000000000000 9 1\n",
            "3\n10 99 1 2\n11 98 1 2\n12 21 1 3\n",
            "2\n123456789 987654321 2 13\n1 987654321 3 50\n",
            "2\n1 10 1 1\n9 11 1 1\n",
            "2\n1 99 0 10\n19 28 7 10\n",
        ],
        reference=(
            ref := r"""from functools import lru_cache


def count(n, d, m):
    digits = list(map(int, str(n)))

    @lru_cache(None)
    def ways(at, last, rest, tight):
        if at == len(digits):
            return int(last >= 0 and rest == 0)
        total = 0
        for digit in range(digits[at] + 1 if tight else 10):
            still = tight and digit == digits[at]
            if last < 0:
                total += ways(at + 1, digit or -1, digit % m, still)
            elif abs(digit - last) <= d:
                total += ways(at + 1, digit, (rest + digit) % m, still)
        return total

    return ways(0, -1, 0, True)


for _ in range(int(input())):
    a, b, d, m = map(int, input().split())
    print(count(b, d, m) - count(a - 1, d, m))
"""
        ),
        wrong=[
            ref.replace("count(a - 1, d, m)", "count(a, d, m)"),
            ref.replace("digit or -1, digit % m", "digit, digit % m").replace(
                "int(last >= 0 and rest == 0)", "int(rest == 0)"
            ),
            ref.replace("abs(digit - last) <= d", "abs(digit - last) < d"),
            ref.replace("int(last >= 0 and rest == 0)", "int(rest == 0)").replace(
                "count(a - 1, d, m))", "(count(a - 1, d, m) if a > 1 else 0))"
            ),
            ref.replace("(rest + digit) % m", "(rest * 10 + digit) % m"),
        ],
    ),
    P(
        id="builtin/widest-lorry-route",
        difficulty="hard",
        title="The widest route",
        statement="""\
Roads join n places (2 <= n <= 300). The first line holds n, m and q (0 <= m <= 1000, 1 <= q <=
50); each of the next m lines holds a, b and w: a road that can be used in both directions by
lorries of width at most w (1 <= w <= 10^6). Each of the last q lines holds two places s and t.
Print for each the width of the widest lorry that can get from s to t, and the number of places
it can reach from s in all (s included); print `any n` if s = t, and `none` if no way exists.""",
        public=[
            ("4 3 3\n1 2 5\n2 3 3\n1 3 4\n1 3\n1 4\n2 2\n", "4 3\nnone\nany 4\n"),
            ("3 2 2\n1 2 7\n2 3 2\n1 2\n3 1\n", "7 2\n2 3\n"),
        ],
        private=[
            "2 0 2\n1 2\n1 1\n",
            "4 3 2\n1 2 9\n1 3 8\n1 4 7\n2 3\n4 2\n",
            "2 2 1\n1 2 3\n1 2 9\n2 1\n",
            "5 5 4\n1 2 10\n2 3 10\n3 4 10\n4 5 10\n1 5 9\n1 5\n5 1\n2 4\n3 3\n",
            "4 4 3\n1 2 1\n2 3 1\n3 4 1\n1 4 1\n1 3\n2 4\n1 4\n",
            "6 4 3\n1 2 4\n2 3 4\n4 5 9\n5 6 8\n1 3\n4 6\n1 6\n",
            "5 6 3\n1 2 8\n2 3 7\n3 4 6\n4 5 5\n1 5 3\n2 5 4\n1 5\n1 4\n3 2\n",
            "4 3 2\n1 1 9\n1 2 5\n3 3 5\n1 2\n3 4\n",
            "3 3 3\n1 2 1000000\n2 3 999999\n1 3 999998\n1 3\n1 2\n2 3\n",
            "40 90 12\n"
            + "".join(
                f"{i % 40 + 1} {(i * 11 + 3) % 40 + 1} {i * i * 31 % 97 + 1}\n" for i in range(90)
            )
            + "".join(f"{i + 1} {40 - i * 2}\n" for i in range(12)),
        ],
        reference=(
            ref := r"""n, m, q = map(int, input().split())
roads = sorted((tuple(map(int, input().split())) for _ in range(m)), key=lambda r: -r[2])


def find(root, x):
    while root[x] != x:
        root[x] = root[root[x]]
        x = root[x]
    return x


for _ in range(q):
    s, t = map(int, input().split())
    if s == t:
        print("any", n)
        continue
    root = list(range(n + 1))
    width = None
    for a, b, w in roads:
        if width is not None and w < width:
            break
        root[find(root, a)] = find(root, b)
        if width is None and find(root, s) == find(root, t):
            width = w
    if width is None:
        print("none")
    else:
        print(width, sum(find(root, x) == find(root, s) for x in range(1, n + 1)))
"""
        ),
        wrong=[
            ref.replace("and w < width", "and w <= width"),
            ref.replace("key=lambda r: -r[2]", "key=lambda r: r[2]").replace(
                "w < width", "w > width"
            ),
            ref.replace(
                "if width is not None and w < width:\n            break",
                "if False:\n            break",
            ),
            ref.replace("root[find(root, a)] = find(root, b)", "root[a] = find(root, b)"),
        ],
    ),
    P(
        id="builtin/courier-round",
        difficulty="hard",
        title="The courier's round",
        statement="""\
A courier starts at place 0, must visit all places 1 to n and need not return (1 <= n <= 10).
The first line holds n and k; then follow n + 1 lines with n + 1 integers each: entry j of line
i is the time from i to j (0 to 10^6, not always the same both ways), or -1 if there is no
direct way; the diagonal is 0. Then follow k lines (0 <= k <= 10) `a b`: place a must be
visited before place b (1 <= a, b <= n, a != b). No place is entered twice, nor 0 again. Print
the least total time, or `impossible`.""",
        public=[
            ("2 0\n0 5 9\n5 0 2\n9 2 0\n", "7\n"),
            ("2 1\n0 5 9\n5 0 2\n9 2 0\n2 1\n", "11\n"),
            ("1 0\n0 -1\n3 0\n", "impossible\n"),
        ],
        private=[
            "1 0\n0 0\n4 0\n",
            "3 2\n0 9 9 1\n9 0 1 9\n9 9 0 9\n9 1 9 0\n2 1\n3 1\n",
            "2 2\n0 1 1\n1 0 1\n1 1 0\n1 2\n2 1\n",
            "3 0\n0 1 4 9\n1 0 9 100\n4 9 0 1\n9 100 1 0\n",
            "3 0\n0 1 2 8\n9 0 1 1\n9 50 0 1\n9 40 3 0\n",
            "3 0\n0 2 -1 -1\n2 0 2 2\n-1 2 0 -1\n-1 2 -1 0\n",
            "3 1\n0 1 9 9\n1 0 1 9\n9 1 0 1\n9 9 1 0\n3 1\n",
            "4 3\n0 3 1 4 1\n5 0 9 2 6\n5 3 0 5 8\n9 7 9 0 3\n2 3 8 4 0\n4 3\n3 2\n2 1\n",
            "4 0\n0 10 10 10 10\n0 0 0 10 -1\n0 10 0 0 10\n0 10 10 0 0\n0 5 10 10 0\n",
            "10 3\n"
            + "".join(
                " ".join("0" if i == j else str((i * 37 + j * 61) % 101 + 1) for j in range(11))
                + "\n"
                for i in range(11)
            )
            + "3 1\n9 2\n10 9\n",
            "10 0\n"
            + "".join(
                " ".join(
                    "0" if i == j else str(-1 if (i + j) % 4 == 0 else (i * j * 7 + j) % 53)
                    for j in range(11)
                )
                + "\n"
                for i in range(11)
            ),
        ],
        reference=(
            ref := r"""n, k = map(int, input().split())
time = [list(map(int, input().split())) for _ in range(n + 1)]
before = [0] * (n + 1)
for _ in range(k):
    a, b = map(int, input().split())
    before[b] |= 1 << a
INF = 10**12
full = 2 ** (n + 1) - 1
best = [[INF] * (n + 1) for _ in range(full + 1)]
best[1][0] = 0
for seen in range(1, full + 1):
    for i in range(n + 1):
        if best[seen][i] == INF:
            continue
        for j in range(1, n + 1):
            if not seen >> j & 1 and time[i][j] >= 0 and before[j] & seen == before[j]:
                cost = best[seen][i] + time[i][j]
                both = seen | 1 << j
                best[both][j] = min(best[both][j], cost)
answer = min(best[full])
print(answer if answer < INF else "impossible")
"""
        ),
        wrong=[
            r"""n, k = map(int, input().split())
time = [list(map(int, input().split())) for _ in range(n + 1)]
rules = [tuple(map(int, input().split())) for _ in range(k)]
at, total, left = 0, 0, set(range(1, n + 1))
while left:
    options = [(time[at][j], j) for j in left if time[at][j] >= 0
               and all(a not in left for a, b in rules if b == j)]
    if not options:
        break
    cost, at = min(options)
    total += cost
    left.remove(at)
print("impossible" if left else total)
""",
            ref.replace("before[b] |= 1 << a", "before[a] |= 1 << b"),
            ref.replace("time[i][j] >= 0", "time[i][j] > 0"),
            ref.replace("time[i][j]", "time[j][i]"),
            ref.replace(
                "answer = min(best[full])",
                "answer = min(best[full][i] + max(0, time[i][0]) for i in range(n + 1))",
            ),
            ref.replace("before[b] |= 1 << a", "before[b] = 1 << a"),
        ],
    ),
]
