"""Medium stdin problems, part 3: from "Prime powers" to "Rooms for meetings"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/prime-powers",
        difficulty="medium",
        title="Prime powers",
        statement="""\
Read q (1 <= q <= 20), then q lines with one integer n each (1 <= n <= 10^12). For each print
its factorization as `p^e` terms with increasing primes joined by ` * `, leaving out the
exponent 1, then a blank, `#` and the number of divisors. Print `1 #1` for n = 1.""",
        public=[("3\n12\n7\n1\n", "2^2 * 3 #6\n7 #2\n1 #1\n"), ("1\n1024\n", "2^10 #11\n")],
        private=[
            "3\n2\n3\n4\n",
            "2\n1000000000000\n999999999989\n",
            "2\n999966000289\n999983\n",
            "4\n6\n30\n210\n2310\n",
            "3\n49\n343\n2401\n",
            "3\n9699690\n6469693230\n200560490130\n",
            "3\n99\n100\n101\n",
            "2\n549755813888\n847288609443\n",
            "3\n25\n50\n75\n",
            "2\n963761198400\n999999000000\n",
        ],
        reference=(
            ref := r"""for _ in range(int(input())):
    n = int(input())
    terms = []
    divisors = 1
    p = 2
    while p * p <= n:
        e = 0
        while n % p == 0:
            n //= p
            e += 1
        if e:
            terms.append(f"{p}^{e}" if e > 1 else str(p))
            divisors *= e + 1
        p += 1 if p == 2 else 2
    if n > 1:
        terms.append(str(n))
        divisors *= 2
    print(" * ".join(terms) or "1", f"#{divisors}")
"""
        ),
        wrong=[
            ref.replace("p * p <= n", "p * p < n"),
            ref.replace("    if n > 1:\n        terms.append(str(n))\n        divisors *= 2\n", ""),
            ref.replace("divisors *= e + 1", "divisors += e"),
            ref.replace('f"{p}^{e}" if e > 1 else str(p)', 'f"{p}^{e}"'),
            ref.replace("        divisors *= 2\n", "        divisors += 1\n"),
        ],
    ),
    P(
        id="builtin/counting-out-circle",
        difficulty="medium",
        title="Counting out",
        statement="""\
n children numbered 1 to n stand in a circle (1 <= n <= 200). They are counted out with m step
sizes that are used in turn, over and over. The first line holds n and m (1 <= m <= 20), the
second line m non-zero integers (absolute value at most 10^9). The first count starts at child
1: with step size s > 0 it walks s - 1 places onward to higher numbers (child 1 follows child
n) and that child leaves. The next count starts at the child after the one that left. A step
size s < 0 first moves the start back by one child (to the neighbour before the one that left,
or to child n at the very beginning) and walks |s| - 1 places towards lower numbers; then, too,
the next count starts at the child *after* (in increasing order) the one that left. Print the
order in which the children leave.""",
        public=[
            ("5 1\n2\n", "2 4 1 5 3\n"),
            ("4 1\n-1\n", "4 3 2 1\n"),
            ("4 2\n1 -1\n", "1 4 2 3\n"),
        ],
        private=[
            "1 1\n1000000000\n",
            "1 1\n-7\n",
            "7 1\n3\n",
            "7 1\n-3\n",
            "6 2\n2 -2\n",
            "10 3\n1 2 3\n",
            "5 1\n5\n",
            "5 1\n6\n",
            "8 2\n-1000000000 1000000000\n",
            "41 1\n3\n",
            "200 4\n17 -5 1 -999\n",
        ],
        reference=(
            ref := r"""n, m = map(int, input().split())
steps = list(map(int, input().split()))
circle = list(range(1, n + 1))
at = 0
order = []
for turn in range(n):
    s = steps[turn % m]
    at = (at + (s - 1 if s > 0 else s)) % len(circle)
    order.append(circle.pop(at))
print(*order)
"""
        ),
        wrong=[
            ref.replace("(s - 1 if s > 0 else s)", "s - 1"),
            ref.replace("(s - 1 if s > 0 else s)", "s"),
            ref.replace("turn % m", "min(turn, m - 1)"),
            ref.replace("(s - 1 if s > 0 else s)", "(s - 1 if s > 0 else s + 1)"),
        ],
    ),
    P(
        id="builtin/sheet-columns",
        difficulty="medium",
        title="Spreadsheet columns",
        statement="""\
Spreadsheet columns are named A, B, ..., Z, AA, AB, ..., AZ, BA, ..., ZZ, AAA and so on,
numbered from 1. Read q (1 <= q <= 100), then q lines, each either a name (1 to 12 capital
letters), a number (1 to 10^16), or a range `X:Y` of two names in any order. Print for a name
its number, for a number its name, and for a range the number of columns in it, both ends
included.""",
        public=[
            ("4\nA\n27\nB:D\nAZ\n", "1\nAA\n3\n52\n"),
            ("2\nD:B\n26\n", "3\nZ\n"),
        ],
        private=[
            "2\n1\nZ\n",
            "3\n52\n53\n702\n",
            "3\n703\nAAA\nZZ\n",
            "3\nA:A\nAA:A\nZ:AA\n",
            "2\nZZZZZZZZZZZZ\n10000000000000000\n",
            "3\n18278\n18279\nZZZ\n",
            "3\n676\n677\n650\n",
            "3\nABC:XYZ\nXYZ:ABC\nZZZZ:A\n",
            "60\n" + "".join(f"{i * i * i + 1}\n" for i in range(60)),
            "4\nBA\nYZ\nZA\nAZZ\n",
        ],
        reference=(
            ref := r"""def number(name):
    n = 0
    for ch in name:
        n = n * 26 + ord(ch) - 64
    return n


for _ in range(int(input())):
    query = input().strip()
    if ":" in query:
        a, b = map(number, query.split(":"))
        print(abs(a - b) + 1)
    elif query.isdigit():
        n = int(query)
        name = ""
        while n:
            n, d = divmod(n - 1, 26)
            name = chr(65 + d) + name
        print(name)
    else:
        print(number(query))
"""
        ),
        wrong=[
            ref.replace(
                "n, d = divmod(n - 1, 26)\n            name = chr(65 + d)",
                "n, d = divmod(n, 26)\n            name = chr(64 + d)",
            ),
            ref.replace("abs(a - b) + 1", "b - a + 1"),
            ref.replace("ord(ch) - 64", "ord(ch) - 65"),
            ref.replace("abs(a - b) + 1", "abs(a - b)"),
        ],
    ),
    P(
        id="builtin/league-table",
        difficulty="medium",
        title="League table",
        statement="""\
The first line holds n (1 <= n <= 200); each of the next n lines is a match `home g:h away`:
two different team names (letters) and their goals. A win gives 3 points, a draw 1 each. Print
the teams that played, best first, each as `name points difference scored` where difference is
goals scored minus goals received. Order by points, then difference, then goals scored (all
descending), then name (ascending, in ASCII order).""",
        public=[
            ("2\nRed 2:0 Blue\nBlue 1:1 Green\n", "Red 3 2 2\nGreen 1 0 1\nBlue 1 -2 1\n"),
            ("1\nb 0:0 a\n", "a 1 0 0\nb 1 0 0\n"),
        ],
        private=[
            "1\nX 0:1 Y\n",
            "1\nX 10:9 Y\n",
            "1\nb 3:3 C\n",
            "2\nA 1:0 B\nB 1:0 A\n",
            "2\nA 2:1 B\nC 1:0 D\n",
            "2\nA 3:2 B\nC 3:0 D\n",
            "3\na 1:1 B\nB 2:2 c\nc 0:0 a\n",
            "4\nA 1:0 B\nC 5:0 D\nE 2:1 F\nA 0:9 E\n",
            "3\nz 2:2 y\nx 1:1 w\nv 1:1 u\n",
            "60\n"
            + "".join(
                f"T{i % 7} {i * i % 5}:{i * 3 % 4} T{(i * 2 + 1) % 7 + 7}\n" for i in range(60)
            ),
            "3\nLions 12:3 Bears\nBears 11:2 Lions\nOwls 9:10 Bears\n",
        ],
        reference=(
            ref := r"""table = {}
for _ in range(int(input())):
    home, score, away = input().split()
    g, h = map(int, score.split(":"))
    for team, won, lost in ((home, g, h), (away, h, g)):
        row = table.setdefault(team, [0, 0, 0])
        row[0] += 3 if won > lost else 1 if won == lost else 0
        row[1] += won - lost
        row[2] += won
for team, row in sorted(table.items(), key=lambda t: (-t[1][0], -t[1][1], -t[1][2], t[0])):
    print(team, *row)
"""
        ),
        wrong=[
            ref.replace("3 if won > lost", "2 if won > lost"),
            ref.replace("-t[1][1], -t[1][2], t[0]", "-t[1][2], -t[1][1], t[0]"),
            ref.replace("-t[1][0], -t[1][1], -t[1][2], t[0]", "-t[1][0], -t[1][1], t[0]"),
            ref.replace(", t[0])):", ")):"),
            ref.replace("t[0])):", "t[0].lower())):"),
        ],
    ),
    P(
        id="builtin/small-cache",
        difficulty="medium",
        title="A small cache",
        statement="""\
A cache holds at most c entries. The first line holds c and n (1 <= c <= 50, 1 <= n <= 1000),
each of the next n lines is `put K V`, `get K` or `del K` (K a word, V an integer). `get`
prints the value or `miss`. `del` removes K if it is there, else does nothing. `put` stores or
replaces a value; if the cache is full and K is new, the entry whose last use is longest ago is
thrown out first. A `put` and a successful `get` are uses. After all operations print the
number of entries that were thrown out.""",
        public=[
            ("2 6\nput a 1\nput b 2\nget a\nput c 3\nget b\nget a\n", "1\nmiss\n1\n1\n"),
            ("1 3\nget x\nput x 5\nget x\n", "miss\n5\n0\n"),
        ],
        private=[
            "1 1\ndel q\n",
            "1 4\nput a 1\nput a 2\nget a\nget b\n",
            "2 6\nput a 1\nput b 2\nput a 3\nput c 4\nget a\nget b\n",
            "2 7\nput a 1\nput b 2\ndel a\nput c 3\nget a\nget b\nget c\n",
            "2 6\nput a 1\nput b 2\nget z\nput c 3\nget a\nget b\n",
            "3 8\nput a 1\nput b 2\nput c 3\nget a\nget b\nput d 4\nget c\nget a\n",
            "2 8\nput a 1\nput b 2\ndel b\nput b 5\nget a\nput c 6\nget b\nget a\n",
            "1 5\nput a 0\nget a\nput b -1\nget a\nget b\n",
            "5 90\n"
            + "".join(
                f"put k{i * 7 % 11} {i}\nget k{i * 5 % 11}\nget k{i * i % 11}\n" for i in range(30)
            ),
        ],
        reference=(
            ref := r"""c, n = map(int, input().split())
cache = {}
thrown = 0
for _ in range(n):
    op, key, *value = input().split()
    if op == "get":
        if key in cache:
            cache[key] = cache.pop(key)
            print(cache[key])
        else:
            print("miss")
    elif op == "del":
        cache.pop(key, None)
    else:
        if key in cache:
            del cache[key]
        elif len(cache) == c:
            del cache[next(iter(cache))]
            thrown += 1
        cache[key] = value[0]
print(thrown)
"""
        ),
        wrong=[
            ref.replace("            cache[key] = cache.pop(key)\n", ""),
            ref.replace(
                "            del cache[key]\n        elif", "            pass\n        elif"
            ),
            ref.replace(
                "        if key in cache:\n            del cache[key]\n        elif", "        if"
            ),
            ref.replace("len(cache) == c:", "len(cache) == c - (c > 1):"),
            ref.replace("cache.pop(key, None)", "thrown += cache.pop(key, None) is not None"),
        ],
    ),
    P(
        id="builtin/meeting-rooms-needed",
        difficulty="medium",
        title="Rooms for meetings",
        statement="""\
The first line holds n (0 <= n <= 1000). Each of the next n lines holds a meeting as
`HH:MM-HH:MM`, start and end on one day, start before end. A room is free again the minute a
meeting ends. Print the least number of rooms needed and the earliest time at which that many
are in use, for example `3 09:30`. Print `0 -` if n = 0.""",
        public=[
            ("3\n09:00-10:00\n09:30-11:00\n10:00-12:00\n", "2 09:30\n"),
            ("2\n08:00-09:00\n09:00-10:00\n", "1 08:00\n"),
            ("0\n", "0 -\n"),
        ],
        private=[
            "1\n00:00-23:59\n",
            "2\n10:00-11:00\n10:00-11:00\n",
            "3\n13:00-14:00\n11:00-12:00\n12:00-13:00\n",
            "4\n09:00-12:00\n10:00-10:30\n10:30-11:00\n11:00-13:00\n",
            "5\n08:00-20:00\n09:00-10:00\n15:00-16:00\n15:30-17:00\n09:30-09:45\n",
            "4\n10:00-10:01\n10:01-10:02\n10:02-10:03\n10:03-10:04\n",
            "3\n23:00-23:59\n22:59-23:01\n23:01-23:02\n",
            "3\n00:01-00:02\n00:00-00:03\n00:02-00:03\n",
            "120\n"
            + "".join(
                f"{i * 7 % 20:02d}:{i * 13 % 60:02d}-{i * 7 % 20 + i % 4:02d}:59\n"
                for i in range(120)
            ),
        ],
        reference=(
            ref := r"""events = []
for _ in range(int(input())):
    start, end = input().strip().split("-")
    events.append((start, 1))
    events.append((end, -1))
best = now = 0
when = "-"
for time, change in sorted(events):
    now += change
    if now > best:
        best, when = now, time
print(best, when)
"""
        ),
        wrong=[
            ref.replace("sorted(events)", "sorted(events, key=lambda e: (e[0], -e[1]))"),
            ref.replace("now > best", "now >= best"),
            ref.replace("sorted(events)", "events"),
            r"""meetings = sorted(input().strip().split("-") for _ in range(int(input())))
rooms = 0
when = "-"
end = ""
for a, b in meetings:
    if a < end or not rooms:
        rooms += 1
        when = a
    end = max(end, b)
print(rooms, when)
""",
        ],
    ),
]
