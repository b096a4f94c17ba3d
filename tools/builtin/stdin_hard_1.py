"""Hard stdin problems, part 1: from "The best paid bookings" to "Limited backpack"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/best-paid-bookings",
        difficulty="hard",
        title="The best paid bookings",
        statement="""\
A hall takes bookings for whole days. The first line holds n and g (0 <= n <= 1000, 0 <= g <=
30); each of the next n lines holds s, e and p: first day, last day (both included, 1 <= s <= e
<= 10^6) and pay (1 <= p <= 10^6). Two accepted bookings must not share a day and must have at
least g free days between them. Print the greatest total pay and the least number of bookings
that reaches it.""",
        public=[
            ("3 0\n1 3 5\n4 6 5\n3 4 9\n", "10 2\n"),
            ("3 1\n1 3 5\n4 6 5\n3 4 9\n", "9 1\n"),
            ("0 0\n", "0 0\n"),
        ],
        private=[
            "1 30\n1 1 1\n",
            "2 0\n1 2 5\n2 3 5\n",
            "2 2\n1 2 5\n5 6 5\n",
            "2 2\n1 2 5\n4 6 6\n",
            "3 0\n1 1 3\n2 2 3\n1 2 6\n",
            "4 0\n1 10 10\n1 2 3\n3 4 4\n5 6 2\n",
            "4 0\n1 10 9\n1 2 3\n3 4 4\n5 6 2\n",
            "5 1\n1 2 4\n4 4 1\n3 5 7\n6 9 4\n8 9 2\n",
            "4 0\n1000000 1000000 7\n999999 1000000 8\n1 999999 7\n1 1 1\n",
            "150 3\n"
            + "".join(
                f"{i * i % 997 + 1} {i * i % 997 + 1 + i % 40} {i % 40 * 3 + i * 7 % 11 + 1}\n"
                for i in range(150)
            ),
            "100 0\n" + "".join(f"{i + 1} {i + 1 + i % 3} {i % 3 + 1}\n" for i in range(100)),
        ],
        reference=(
            ref := r"""from bisect import bisect_left
n, g = map(int, input().split())
jobs = sorted((tuple(map(int, input().split())) for _ in range(n)), key=lambda job: job[1])
ends = [e for s, e, p in jobs]
best = [(0, 0)]
for i, (s, e, p) in enumerate(jobs):
    before = best[bisect_left(ends, s - g, 0, i)]
    best.append(max(best[i], (before[0] + p, before[1] - 1)))
print(best[n][0], -best[n][1])
"""
        ),
        wrong=[
            ref.replace("s - g, 0, i)", "s - g + 1, 0, i)"),
            ref.replace("s - g, 0, i)", "s, 0, i)"),
            ref.replace("before[1] - 1)", "before[1] + 1)").replace("-best[n][1]", "best[n][1]"),
            r"""n, g = map(int, input().split())
jobs = sorted((tuple(map(int, input().split())) for _ in range(n)), key=lambda j: (-j[2], j[1]))
taken = []
for s, e, p in jobs:
    if all(e + g < a or b + g < s for a, b, _ in taken):
        taken.append((s, e, p))
print(sum(p for _, _, p in taken), len(taken))
""",
            r"""n, g = map(int, input().split())
jobs = sorted((tuple(map(int, input().split())) for _ in range(n)), key=lambda j: j[1])
total = count = 0
end = -100
for s, e, p in jobs:
    if end + g < s:
        total, count, end = total + p, count + 1, e
print(total, count)
""",
        ],
    ),
    P(
        id="builtin/one-free-ticket",
        difficulty="hard",
        title="One free ticket",
        statement="""\
There are n towns (2 <= n <= 200) and m one-way bus lines (0 <= m <= 1000). The first line
holds n, m, s and t; each of the next m lines holds a, b and c: a bus from town a to town b
costs c (0 <= c <= 10^9). You travel from s to t (s and t differ) and may take *at most one*
ride for free. Print the least total cost, or `no way`.""",
        public=[
            ("3 3 1 3\n1 2 5\n2 3 7\n1 3 20\n", "0\n"),
            ("4 3 1 4\n1 2 5\n2 3 7\n3 4 6\n", "11\n"),
            ("2 1 1 2\n2 1 1\n", "no way\n"),
        ],
        private=[
            "2 0 1 2\n",
            "2 1 2 1\n2 1 1000000000\n",
            "4 4 1 4\n1 2 1\n2 4 100\n1 3 40\n3 4 40\n",
            "5 6 1 5\n1 2 3\n2 3 3\n3 5 3\n1 4 2\n4 3 9\n2 5 8\n",
            "5 5 1 5\n1 2 10\n2 3 10\n3 4 10\n4 5 10\n2 1 0\n",
            "3 4 1 3\n1 2 5\n1 2 3\n2 3 4\n2 3 9\n",
            "4 4 1 4\n1 2 2\n2 3 2\n3 1 2\n4 1 1\n",
            "4 5 1 4\n1 1 0\n1 2 1000000000\n2 3 1000000000\n3 4 1000000000\n1 3 1999999999\n",
            "6 7 1 6\n1 2 1\n2 3 1\n3 6 50\n1 4 20\n4 5 20\n5 6 20\n3 4 1\n",
            "60 240\n".replace("\n", " 1 60\n")
            + "".join(
                f"{i % 60 + 1} {(i * 7 + i // 60 + 1) % 60 + 1} {i * i % 503 + 1}\n"
                for i in range(240)
            ),
        ],
        reference=(
            ref := r"""import heapq
import sys
n, m, s, t = map(int, sys.stdin.readline().split())
lines = [[] for _ in range(n + 1)]
for _ in range(m):
    a, b, c = map(int, sys.stdin.readline().split())
    lines[a].append((b, c))
heap = [(0, s, 0)]
done = set()
while heap:
    cost, town, used = heapq.heappop(heap)
    if (town, used) in done:
        continue
    done.add((town, used))
    if town == t:
        print(cost)
        break
    for b, c in lines[town]:
        heapq.heappush(heap, (cost + c, b, used))
        if not used:
            heapq.heappush(heap, (cost, b, 1))
else:
    print("no way")
"""
        ),
        wrong=[
            r"""import heapq
n, m, s, t = map(int, input().split())
lines = [[] for _ in range(n + 1)]
for _ in range(m):
    a, b, c = map(int, input().split())
    lines[a].append((b, c))
heap = [(0, s, 0)]
done = set()
while heap:
    cost, town, dearest = heapq.heappop(heap)
    if town in done:
        continue
    done.add(town)
    if town == t:
        print(cost - dearest)
        break
    for b, c in lines[town]:
        heapq.heappush(heap, (cost + c, b, max(dearest, c)))
else:
    print("no way")
""",
            ref.replace(
                "    lines[a].append((b, c))\n",
                "    lines[a].append((b, c))\n    lines[b].append((a, c))\n",
            ),
            ref.replace("if (town, used) in done", "if town in done").replace(
                "done.add((town, used))", "done.add(town)"
            ),
            ref.replace(
                "        if not used:\n            heapq", "        if True:\n            heapq"
            ),
            ref.replace(
                "        if not used:\n            heapq.heappush(heap, (cost, b, 1))\n", ""
            ),
        ],
    ),
    P(
        id="builtin/typing-corrections",
        difficulty="hard",
        title="Typing corrections",
        statement="""\
Turning one word into another takes edits: inserting a letter costs i, deleting one costs d,
replacing one by another costs r, and swapping two neighbouring letters costs w; a letter that
took part in an edit is not edited again. The first line holds i, d, r and w (0 to 1000 each),
the next line q (1 <= q <= 10), followed by q lines with two words of 1 to 60 letters. Print
the least cost of turning the first word into the second, one line each.""",
        public=[
            ("1 1 1 1\n3\nkitten sitting\nab ba\nsame same\n", "3\n1\n0\n"),
            ("2 3 9 1\n2\na b\nabc acbd\n", "5\n3\n"),
        ],
        private=[
            "1 2 3 4\n2\na aaaa\naaaa a\n",
            "1 1 1 10\n2\nab ba\nabcd badc\n",
            "5 5 9 1\n2\nca abc\nabc cab\n",
            "10 10 1 1\n2\nabcd dcba\nab ba\n",
            "0 0 5 5\n1\nabc xyz\n",
            "3 7 11 2\n2\nabcdef bacdfe\nxabc abcx\n",
            "1 1 3 1\n3\na b\nab ab\nba aab\n",
            "1000 1000 1000 1000\n2\nz a\nintention execution\n",
            "2 2 3 3\n2\nbanana ananas\nparallel prallael\n",
            "4 1 2 1\n1\n" + "abc" * 20 + " " + "bca" * 20 + "\n",
            "1 3 2 1\n1\n" + "ab" * 25 + " " + "ba" * 30 + "\n",
        ],
        reference=(
            ref := r"""i, d, r, w = map(int, input().split())


def cost(a, b):
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for x in range(len(a) + 1):
        for y in range(len(b) + 1):
            ways = []
            if x:
                ways.append(table[x - 1][y] + d)
            if y:
                ways.append(table[x][y - 1] + i)
            if x and y:
                ways.append(table[x - 1][y - 1] + (r if a[x - 1] != b[y - 1] else 0))
            if x > 1 and y > 1 and a[x - 2] == b[y - 1] and a[x - 1] == b[y - 2]:
                ways.append(table[x - 2][y - 2] + w)
            table[x][y] = min(ways, default=0)
    return table[-1][-1]


for _ in range(int(input())):
    print(cost(*input().split()))
"""
        ),
        wrong=[
            ref.replace("table[x - 1][y] + d", "table[x - 1][y] + i").replace(
                "table[x][y - 1] + i)", "table[x][y - 1] + d)"
            ),
            ref.replace("table[x - 2][y - 2] + w", "table[x - 2][y - 2] + 2 * r"),
            ref.replace(" and a[x - 1] == b[y - 2]", ""),
            ref.replace(
                "print(cost(*input().split()))", "a, b = input().split()\n    print(cost(b, a))"
            ),
            ref.replace(
                "            if x and y:\n                ways",
                "            if x and y and a[x - 1] == b[y - 1]:\n                ways",
            ),
        ],
    ),
    P(
        id="builtin/overtaking-count",
        difficulty="hard",
        title="Overtaking",
        statement="""\
In a race n cars (1 <= n <= 2 * 10^4) start in one order and finish in another. The first line
holds n and k (0 <= k <= n), the second line the n car numbers (different, from 1 to 10^9) in
starting order, the third the same numbers in finishing order. A pair of cars is an
*overtaking* if the one that started behind finished in front. Print the number of overtakings,
and the number of those in which the starting places differ by more than k.""",
        public=[
            ("4 1\n1 2 3 4\n3 1 4 2\n", "3 2\n"),
            ("3 0\n9 5 7\n9 5 7\n", "0 0\n"),
        ],
        private=[
            "1 0\n4\n4\n",
            "2 0\n4 6\n6 4\n",
            "2 1\n4 6\n6 4\n",
            "5 2\n1 2 3 4 5\n5 4 3 2 1\n",
            "5 5\n5 4 3 2 1\n1 2 3 4 5\n",
            "5 0\n10 20 30 40 50\n20 10 50 30 40\n",
            "6 3\n6 1 5 2 4 3\n3 4 2 5 1 6\n",
            "4 1\n1000000000 7 99 3\n3 1000000000 7 99\n",
            "400 50\n"
            + " ".join(str(i) for i in range(1, 401))
            + "\n"
            + " ".join(str(i * 37 % 401) for i in range(1, 401))
            + "\n",
            "500 7\n"
            + " ".join(str(i * 3) for i in range(500, 0, -1))
            + "\n"
            + " ".join(str(i * 3) for i in range(1, 501))
            + "\n",
            "7 1\n1 2 3 4 5 6 7\n7 1 2 3 4 5 6\n",
        ],
        reference=(
            ref := r"""n, k = map(int, input().split())
start = input().split()
place = {car: i for i, car in enumerate(input().split())}
finish = [place[car] for car in start]


def overtakings(least):
    tree = [0] * (n + 1)
    total = seen = 0
    for i in range(least, n):
        j = finish[i - least] + 1
        while j <= n:
            tree[j] += 1
            j += j & -j
        seen += 1
        j = finish[i] + 1
        total += seen
        while j:
            total -= tree[j]
            j -= j & -j
    return total


print(overtakings(1), overtakings(k + 1))
"""
        ),
        wrong=[
            ref.replace("overtakings(k + 1)", "overtakings(max(1, k))"),
            ref.replace("place[car] for car in start", "sorted(place).index(car) for car in start"),
            ref.replace(
                "print(overtakings(1), overtakings(k + 1))",
                "print(overtakings(1), sum(abs(f - i) > k for i, f in enumerate(finish)))",
            ),
            ref.replace("for i in range(least, n)", "for i in range(least, n - 1)"),
        ],
    ),
    P(
        id="builtin/limited-backpack",
        difficulty="hard",
        title="Limited backpack",
        statement="""\
The first line holds n and c (1 <= n <= 60, 0 <= c <= 2000). Each of the next n lines describes
a kind of thing: weight w (0 <= w <= 2000), value v (0 <= v <= 10^6) and number in stock k (1
<= k <= 10). Choose things of total weight at most c. Print the greatest total value, and the
least total weight with which it can be reached.""",
        public=[
            ("2 7\n3 4 2\n5 7 1\n", "8 6\n"),
            ("1 10\n20 5 3\n", "0 0\n"),
            ("1 0\n0 5 3\n", "15 0\n"),
        ],
        private=[
            "1 9\n3 1 10\n",
            "1 9\n3 1 2\n",
            "2 10\n6 30 1\n5 20 2\n",
            "3 50\n10 60 1\n20 100 1\n30 120 1\n",
            "2 4\n2 0 2\n4 0 1\n",
            "3 10\n5 10 1\n4 10 1\n9 20 1\n",
            "2 5\n0 1 10\n5 3 1\n",
            "3 11\n4 7 2\n3 5 1\n11 18 1\n",
            "60 2000\n"
            + "".join(f"{i * 37 % 211 + 5} {i * 53 % 997 + 1} {i % 10 + 1}\n" for i in range(60)),
            "30 300\n" + "".join(f"{i + 1} {i + 1} {i % 3 + 1}\n" for i in range(30)),
            "4 100\n33 70 2\n34 71 1\n51 104 1\n49 99 1\n",
        ],
        reference=(
            ref := r"""n, c = map(int, input().split())
best = [0] * (c + 1)
for _ in range(n):
    w, v, k = map(int, input().split())
    for _ in range(k):
        for room in range(c, w - 1, -1):
            best[room] = max(best[room], best[room - w] + v)
print(best[c], best.index(best[c]))
"""
        ),
        wrong=[
            ref.replace("range(c, w - 1, -1)", "range(w, c + 1)"),
            ref.replace("best.index(best[c])", "c if best[c] else 0"),
            ref.replace("    for _ in range(k):\n        for room", "    if k:\n        for room"),
            r"""n, c = map(int, input().split())
kinds = [tuple(map(int, input().split())) for _ in range(n)]
kinds.sort(key=lambda t: -t[1] / (t[0] or 0.001))
value = weight = 0
for w, v, k in kinds:
    for _ in range(k):
        if v and weight + w <= c:
            weight += w
            value += v
print(value, weight)
""",
        ],
    ),
]
