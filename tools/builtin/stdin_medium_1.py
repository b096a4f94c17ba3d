"""Medium stdin problems, part 1: from "The first bad bracket" to "Coins and ways"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/first-bad-bracket",
        difficulty="medium",
        title="The first bad bracket",
        statement="""\
Read one line of text (0 to 2000 characters); only the characters `()[]{}` matter. Print `ok d`
if the brackets are properly nested, where d is the greatest nesting depth (0 if there is no
bracket). Otherwise print the position (from 1, counting every character) of the first closing
bracket that does not match the innermost open one or has none; if every closing bracket
matches but some stay open, print the position of the innermost bracket still open at the end.""",
        public=[
            ("a(b[c]d)\n", "ok 2\n"),
            ("(]\n", "2\n"),
            ("x(()\n", "2\n"),
            ("\n", "ok 0\n"),
        ],
        private=[
            "no brackets\n",
            ")\n",
            "(\n",
            "()[]{}\n",
            "([)]\n",
            "((((\n",
            "{[()]}((\n",
            "()())(\n",
            "a{b(c)d\n",
            "[(])}\n",
            "(()(()(())))\n",
            "(" * 900 + ")" * 900 + "\n",
            "{x}[y](z){[}]\n",
        ],
        reference=(
            ref := r"""text = input()
pairs = {")": "(", "]": "[", "}": "{"}
stack = []
depth = 0
bad = 0
for i, ch in enumerate(text, 1):
    if ch in "([{":
        stack.append((ch, i))
        depth = max(depth, len(stack))
    elif ch in pairs:
        if not stack or stack[-1][0] != pairs[ch]:
            bad = i
            break
        stack.pop()
if bad:
    print(bad)
elif stack:
    print(stack[-1][1])
else:
    print("ok", depth)
"""
        ),
        wrong=[
            ref.replace("print(stack[-1][1])", "print(stack[0][1])"),
            ref.replace("if not stack or stack[-1][0] != pairs[ch]", "if not stack"),
            ref.replace("print(stack[-1][1])", "print(len(text))"),
            ref.replace("enumerate(text, 1)", 'enumerate((c for c in text if c in "()[]{}"), 1)'),
            ref.replace("max(depth, len(stack))", "depth + 1"),
        ],
    ),
    P(
        id="builtin/bank-counters",
        difficulty="medium",
        title="Bank counters",
        statement="""\
A bank has k counters (1 <= k <= 20), numbered from 1. The first line holds k and n (0 <= n <=
1000); each of the next n lines holds a customer's arrival time a and the minutes s they need
(0 <= a <= 10^6, 1 <= s <= 1000), in order of arrival (a never decreases). Customers are served
in that order; each goes, at the earliest possible moment, to the free counter with the
smallest number. A counter is free again exactly at the end of a service. Print on one line
each customer's counter (an empty line if n = 0), on the next line the greatest waiting time of
all customers (0 if n = 0).""",
        public=[
            ("2 4\n0 5\n1 2\n1 2\n3 1\n", "1 2 2 1\n2\n"),
            ("1 0\n", "\n0\n"),
        ],
        private=[
            "1 1\n7 3\n",
            "3 2\n0 9\n0 9\n",
            "1 3\n0 5\n5 5\n10 5\n",
            "1 3\n0 5\n1 5\n2 5\n",
            "2 3\n0 4\n0 4\n4 1\n",
            "2 5\n0 10\n0 3\n1 3\n2 3\n20 1\n",
            "3 6\n0 3\n0 2\n0 1\n0 1\n0 1\n0 1\n",
            "2 4\n0 5\n0 1\n3 1\n6 1\n",
            "20 60\n" + "".join(f"{i // 3} {(i * 17) % 41 + 1}\n" for i in range(60)),
            "4 100\n" + "".join(f"{i * 2} {(i * i) % 13 + 1}\n" for i in range(100)),
        ],
        reference=(
            ref := r"""k, n = map(int, input().split())
free_at = [0] * k
used = []
longest = 0
for _ in range(n):
    a, s = map(int, input().split())
    start = max(a, min(free_at))
    c = next(i for i in range(k) if free_at[i] <= start)
    free_at[c] = start + s
    longest = max(longest, start - a)
    used.append(c + 1)
print(*used)
print(longest)
"""
        ),
        wrong=[
            ref.replace(
                "next(i for i in range(k) if free_at[i] <= start)", "free_at.index(min(free_at))"
            ),
            ref.replace("start = max(a, min(free_at))", "start = max(a, min(free_at) + 1)"),
            ref.replace("start - a)", "start - a + s)"),
            ref.replace(
                "c = next(i for i in range(k) if free_at[i] <= start)", "c = len(used) % k"
            ),
            ref.replace("free_at[i] <= start", "free_at[i] < start or start == a"),
        ],
    ),
    P(
        id="builtin/shortest-ways-in-maze",
        difficulty="medium",
        title="Shortest way in a maze",
        statement="""\
The first line holds r and c (1 <= r, c <= 40). The next r lines of c characters show a maze:
`#` wall, `.` floor, `S` start, `E` exit (one of each). A step goes to one of the four
neighbouring cells that is no wall. Print the least number of steps from S to E and the number
of different shortest ways, modulo 1000007, separated by a space; print `-1 0` if E cannot be
reached.""",
        public=[
            ("2 3\nS..\n..E\n", "3 3\n"),
            ("1 3\nS#E\n", "-1 0\n"),
            ("1 2\nES\n", "1 1\n"),
        ],
        private=[
            "3 3\nS#.\n.#.\n..E\n",
            "3 3\nS..\n.#.\n..E\n",
            "2 2\nS#\n#E\n",
            "4 5\nS....\n.###.\n.###.\n....E\n",
            "5 1\nE\n.\n.\n.\nS\n",
            "3 5\n..S..\n.###.\n..E..\n",
            "4 4\nE...\n....\n....\n...S\n",
            "20 20\nS" + "." * 19 + "\n" + ("." * 20 + "\n") * 18 + "." * 19 + "E\n",
            "40 40\nS" + "." * 39 + "\n" + ("." * 40 + "\n") * 38 + "." * 39 + "E\n",
            "5 7\nS.#...#\n..#.#..\n.#..##.\n...#..#\n##...E.\n",
            "3 7\n.......\n.S###E.\n.......\n",
        ],
        reference=(
            ref := r"""from collections import deque
r, c = map(int, input().split())
grid = [input().strip() for _ in range(r)]
at = {grid[i][j]: (i, j) for i in range(r) for j in range(c)}
dist = {at["S"]: 0}
ways = {at["S"]: 1}
queue = deque([at["S"]])
while queue:
    i, j = queue.popleft()
    for x, y in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
        if 0 <= x < r and 0 <= y < c and grid[x][y] != "#":
            if (x, y) not in dist:
                dist[x, y] = dist[i, j] + 1
                ways[x, y] = 0
                queue.append((x, y))
            if dist[x, y] == dist[i, j] + 1:
                ways[x, y] = (ways[x, y] + ways[i, j]) % 1000007
if at["E"] in dist:
    print(dist[at["E"]], ways[at["E"]])
else:
    print(-1, 0)
"""
        ),
        wrong=[
            ref.replace(" % 1000007", ""),
            ref.replace(
                "((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1))", "((i + 1, j), (i, j + 1))"
            ),
            ref.replace(
                "            if dist[x, y] == dist[i, j] + 1:\n    ", "            if True:\n    "
            ),
            ref.replace("ways[x, y] = 0", "ways[x, y] = 1").replace(
                "            if dist[x, y] == dist[i, j] + 1:\n    ",
                "            elif dist[x, y] == dist[i, j]:\n    ",
            ),
        ],
    ),
    P(
        id="builtin/lake-sizes",
        difficulty="medium",
        title="Lake sizes",
        statement="""\
The first line holds r and c (1 <= r, c <= 40). The next r lines of c characters show a map:
`~` water, `#` land. Water cells that share a side belong to one body of water. A body that
touches the border of the map is sea, all others are lakes. Print the sizes of the lakes from
the largest to the smallest on one line, or `no lakes`.""",
        public=[
            ("3 4\n####\n#~~#\n####\n", "2\n"),
            ("2 2\n~#\n#~\n", "no lakes\n"),
            ("5 5\n#####\n#~#~#\n##~##\n#~#~#\n#####\n", "1 1 1 1 1\n"),
        ],
        private=[
            "1 1\n~\n",
            "3 3\n###\n###\n###\n",
            "3 3\n~~~\n~~~\n~~~\n",
            "3 3\n###\n#~#\n###\n",
            "4 6\n######\n#~#~~#\n#~#~~#\n######\n",
            "4 5\n#####\n#~#~#\n#~~~~\n#####\n",
            "5 7\n#######\n#~~~~~#\n#~###~#\n#~~~~~#\n#######\n",
            "7 7\n#######\n#~~~~~#\n#~###~#\n#~#~#~#\n#~###~#\n#~~~~~#\n#######\n",
            "4 4\n####\n#~##\n##~#\n####\n",
            "3 12\n############\n#~#~~#~~~#~#\n############\n",
            "40 40\n"
            + "".join(
                "".join("#" if (i * 7 + j * j) % 5 in (0, 3) else "~" for j in range(40)) + "\n"
                for i in range(40)
            ),
            "4 5\n##~##\n##~##\n#~#~#\n#####\n",
        ],
        reference=(
            ref := r"""r, c = map(int, input().split())
grid = [list(input().strip()) for _ in range(r)]
lakes = []
for i in range(r):
    for j in range(c):
        if grid[i][j] != "~":
            continue
        grid[i][j] = "x"
        stack = [(i, j)]
        size = 0
        sea = False
        while stack:
            y, x = stack.pop()
            size += 1
            if y in (0, r - 1) or x in (0, c - 1):
                sea = True
            for p, q in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if 0 <= p < r and 0 <= q < c and grid[p][q] == "~":
                    grid[p][q] = "x"
                    stack.append((p, q))
        if not sea:
            lakes.append(size)
print(*sorted(lakes, reverse=True) or ["no lakes"])
"""
        ),
        wrong=[
            ref.replace("        if not sea:\n    ", "        if True:\n    "),
            ref.replace("sorted(lakes, reverse=True)", "lakes"),
            ref.replace("(y, x - 1))", "(y, x - 1), (y + 1, x + 1), (y - 1, x - 1))"),
            ref.replace("y in (0, r - 1) or x in (0, c - 1)", "y == 0 or x == 0"),
            ref.replace("(y - 1, x), ", ""),
        ],
    ),
    P(
        id="builtin/painted-fence",
        difficulty="medium",
        title="Painted fence",
        statement="""\
A fence is a line with integer marks. The first line holds n (0 <= n <= 1000); each of the next
n lines holds two different integers a and b (absolute value at most 10^9), in any order:
somebody painted the fence from mark a to mark b. Print the total painted length, and the
length of the longest gap without paint between two painted parts (0 if there is none),
separated by a space.""",
        public=[
            ("3\n1 4\n6 3\n10 12\n", "7 4\n"),
            ("0\n", "0 0\n"),
            ("2\n0 5\n5 9\n", "9 0\n"),
        ],
        private=[
            "1\n5 -5\n",
            "2\n1 10\n2 3\n",
            "3\n1 10\n2 3\n5 6\n",
            "3\n1 10\n2 3\n11 12\n",
            "3\n-10 -8\n8 10\n-1 1\n",
            "2\n-1000000000 -999999999\n1000000000 999999999\n",
            "2\n-1000000000 1000000000\n-1000000000 1000000000\n",
            "4\n9 7\n4 2\n3 1\n7 5\n",
            "4\n0 1\n4 5\n2 3\n9 10\n",
            "200\n" + "".join(f"{i * i % 5003} {i * i % 5003 + i % 7 + 1}\n" for i in range(200)),
            "5\n0 100\n1 2\n150 160\n3 120\n110 119\n",
        ],
        reference=(
            ref := r"""n = int(input())
parts = sorted(sorted(map(int, input().split())) for _ in range(n))
painted = gap = 0
end = None
for a, b in parts:
    if end is None or a >= end:
        if end is not None:
            gap = max(gap, a - end)
        painted += b - a
        end = b
    elif b > end:
        painted += b - end
        end = b
print(painted, gap)
"""
        ),
        wrong=[
            ref.replace(
                "sorted(sorted(map(int, input().split())) for",
                "sorted(list(map(int, input().split())) for",
            ),
            ref.replace("    elif b > end:\n", "    else:\n"),
            ref.replace("end = None", "end = 0").replace("end is None", "False"),
            ref.replace(
                "sorted(sorted(map(int, input().split())) for _ in range(n))",
                "[sorted(map(int, input().split())) for _ in range(n)]",
            ),
            ref.replace("gap = max(gap, a - end)", "gap = a - end"),
        ],
    ),
    P(
        id="builtin/coins-and-ways",
        difficulty="medium",
        title="Coins and ways",
        statement="""\
The first line holds n and t (1 <= n <= 12, 0 <= t <= 5000), the second line n different coin
values (1 to 10^4) in any order; there are plenty of each. Print the least number of coins
whose values add up to exactly t and the number of different ways to pay exactly t (ways that
differ only in order are one way) modulo 10007, separated by a space. If t cannot be paid print
`-1 0`.""",
        public=[("3 6\n1 3 4\n", "2 4\n"), ("1 3\n2\n", "-1 0\n"), ("2 0\n5 7\n", "0 1\n")],
        private=[
            "1 1\n1\n",
            "1 5000\n1\n",
            "1 0\n9\n",
            "2 5000\n5000 1\n",
            "3 63\n25 21 1\n",
            "2 11\n3 5\n",
            "2 7\n3 5\n",
            "2 15\n5 3\n",
            "3 4999\n2 4 8\n",
            "4 4249\n186 419 83 408\n",
            "12 4973\n7 11 13 101 103 997 991 500 499 64 32 16\n",
            "3 30\n1 10 15\n",
        ],
        reference=(
            ref := r"""n, t = map(int, input().split())
INF = 10**9
best = [0] + [INF] * t
ways = [1] + [0] * t
for coin in map(int, input().split()):
    for total in range(coin, t + 1):
        best[total] = min(best[total], best[total - coin] + 1)
        ways[total] = (ways[total] + ways[total - coin]) % 10007
if best[t] < INF:
    print(best[t], ways[t])
else:
    print(-1, 0)
"""
        ),
        wrong=[
            r"""n, t = map(int, input().split())
coins = sorted(map(int, input().split()), reverse=True)
ways = [1] + [0] * t
for coin in coins:
    for total in range(coin, t + 1):
        ways[total] = (ways[total] + ways[total - coin]) % 10007
count = 0
for coin in coins:
    count += t // coin
    t %= coin
print(f"{count} {ways[-1]}" if t == 0 else "-1 0")
""",
            ref.replace("range(coin, t + 1)", "range(t, coin - 1, -1)"),
            ref.replace(" % 10007", ""),
            r"""n, t = map(int, input().split())
coins = list(map(int, input().split()))
INF = 10**9
best = [0] + [INF] * t
ways = [1] + [0] * t
for total in range(1, t + 1):
    for coin in coins:
        if coin <= total:
            best[total] = min(best[total], best[total - coin] + 1)
            ways[total] = (ways[total] + ways[total - coin]) % 10007
if best[t] < INF:
    print(best[t], ways[t])
else:
    print(-1, 0)
""",
        ],
    ),
]
