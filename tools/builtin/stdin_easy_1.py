"""Easy stdin problems, part 1: from "Ledger balance" to "Parking fee"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/ledger-balance",
        difficulty="easy",
        title="Ledger balance",
        statement="""\
An account starts with a balance of 0. The first line holds n (0 <= n <= 1000). Each of the
next n lines is `D x` (deposit x) or `W x` (withdraw x), with 1 <= x <= 10^6. A withdrawal
larger than the current balance is refused and changes nothing. Print two integers on one line:
the final balance and the number of refused withdrawals.""",
        public=[
            ("3\nD 50\nW 20\nW 40\n", "30 1\n"),
            ("2\nD 5\nW 5\n", "0 0\n"),
            ("0\n", "0 0\n"),
        ],
        private=[
            "1\nW 1\n",
            "1\nD 1000000\n",
            "4\nW 10\nD 10\nW 10\nW 1\n",
            "5\nD 7\nD 8\nW 16\nW 15\nD 3\n",
            "6\nD 100\nW 60\nW 60\nW 40\nD 2\nW 3\n",
            "3\nW 5\nW 6\nD 4\n",
            "3\nD 9\nW 4\nW 5\n",
            "40\n" + "D 10\nW 7\n" * 20,
            "40\n" + "D 3\nW 7\n" * 20,
        ],
        reference=(
            ref := r"""balance = refused = 0
for _ in range(int(input())):
    kind, x = input().split()
    x = int(x)
    if kind == "D":
        balance += x
    elif x > balance:
        refused += 1
    else:
        balance -= x
print(balance, refused)
"""
        ),
        wrong=[
            ref.replace("x > balance", "x >= balance"),
            ref.replace("        refused += 1\n", "        refused += 1\n        balance = 0\n"),
            ref.replace("elif x > balance", "elif x > balance and balance > 0"),
        ],
    ),
    P(
        id="builtin/longest-line-word",
        difficulty="easy",
        title="The longest word",
        statement="""\
The input is a text of zero or more lines; words are separated by blanks or newlines. Print the
longest word. If several words share the greatest length, print the one that appears first. If
there is no word at all, print `(none)`.""",
        public=[
            ("the quick fox\njumps\n", "quick\n"),
            ("a bb cc\n", "bb\n"),
            ("\n\n", "(none)\n"),
        ],
        private=[
            "",
            "   \n  \n",
            "x\n",
            "one two\nsix ten\n",
            "short\n\nlongest-of-them\n",
            "  leading blanks here  \n",
            "zebra apple mango\n",
            "a b c d\ne f gg\nhh\n",
            "alpha\nbeta gamma\ndelta theta\n",
        ],
        reference=r"""import sys
words = sys.stdin.read().split()
best = ""
for word in words:
    if len(word) > len(best):
        best = word
print(best or "(none)")
""",
        wrong=[
            r"""import sys
best = ""
for word in sys.stdin.read().split():
    if len(word) >= len(best):
        best = word
print(best or "(none)")
""",
            r"""words = input().split()
print(max(words, key=len) if words else "(none)")
""",
            r"""import sys
words = sys.stdin.read().split()
print(max(words, key=lambda w: (len(w), w)) if words else "(none)")
""",
            r"""import sys
print(max(sys.stdin.read().split(), key=len))
""",
        ],
    ),
    P(
        id="builtin/warmer-days",
        difficulty="easy",
        title="Warmer days",
        statement="""\
The first line holds n (1 <= n <= 1000), the second line n integers: daily temperatures between
-60 and 60. A day is *warmer* if it is strictly hotter than the day before it, and a *record*
if it is strictly hotter than every earlier day. The first day is neither warmer nor a record.
Print the number of warmer days and the number of record days, separated by a space.""",
        public=[("5\n3 5 4 4 6\n", "2 2\n"), ("1\n10\n", "0 0\n"), ("3\n-5 -4 -9\n", "1 1\n")],
        private=[
            "1\n-60\n",
            "2\n7 7\n",
            "2\n7 8\n",
            "2\n8 7\n",
            "6\n1 2 3 4 5 6\n",
            "6\n5 1 2 3 4 5\n",
            "7\n0 -1 0 -1 1 0 1\n",
            "5\n-10 -20 -15 -10 -5\n",
            "4\n2 2 3 3\n",
            "200\n" + " ".join(str((i * 37) % 121 - 60) for i in range(200)) + "\n",
        ],
        reference=(
            ref := r"""n = int(input())
t = list(map(int, input().split()))
warmer = records = 0
top = t[0]
for before, today in zip(t, t[1:]):
    if today > before:
        warmer += 1
    if today > top:
        records += 1
        top = today
print(warmer, records)
"""
        ),
        wrong=[
            ref.replace("top = t[0]", "top = 0"),
            ref.replace("today > before", "today >= before"),
            ref.replace("today > top", "today >= top"),
            ref.replace("        top = today\n", ""),
        ],
    ),
    P(
        id="builtin/clock-shift",
        difficulty="easy",
        title="Shift the clock",
        statement="""\
The first line is a time of day `HH:MM` (24-hour clock, always two digits each). The second
line is an integer m (-10^9 <= m <= 10^9): minutes to add, negative to go back. Print the
resulting time as `HH:MM` with two digits each.""",
        public=[("23:50\n15\n", "00:05\n"), ("00:10\n-20\n", "23:50\n"), ("09:05\n0\n", "09:05\n")],
        private=[
            "00:00\n0\n",
            "00:00\n1440\n",
            "00:00\n-1\n",
            "12:00\n-1440\n",
            "12:34\n1000000000\n",
            "12:34\n-1000000000\n",
            "23:59\n1\n",
            "01:00\n-61\n",
            "08:09\n51\n",
            "06:30\n-2911\n",
        ],
        reference=(
            ref := r"""h, m = map(int, input().split(":"))
total = (h * 60 + m + int(input())) % (24 * 60)
print(f"{total // 60:02d}:{total % 60:02d}")
"""
        ),
        wrong=[
            ref.replace("{total // 60:02d}:{total % 60:02d}", "{total // 60}:{total % 60:02d}"),
            r"""h, m = map(int, input().split(":"))
total = h * 60 + m + int(input())
if total >= 1440:
    total -= 1440
if total < 0:
    total += 1440
print(f"{total // 60:02d}:{total % 60:02d}")
""",
            ref.replace("(24 * 60)", "(12 * 60)"),
            r"""h, m = map(int, input().split(":"))
total = h * 60 + m + int(input())
if total > 1440:
    total %= 1440
while total < 0:
    total += 1440000
    total %= 1440
print(f"{total // 60:02d}:{total % 60:02d}")
""",
        ],
    ),
    P(
        id="builtin/turn-the-grid",
        difficulty="easy",
        title="Turn the grid",
        statement="""\
The first line holds r, c and k (1 <= r, c <= 20, 0 <= k <= 10^9). The next r lines are strings
of c characters (no blanks). Turn the grid clockwise by 90 degrees, k times, and print the
result, one row a line.""",
        public=[
            ("2 3 1\nabc\ndef\n", "da\neb\nfc\n"),
            ("1 2 2\nxy\n", "yx\n"),
            ("2 2 0\nab\ncd\n", "ab\ncd\n"),
        ],
        private=[
            "1 1 7\n#\n",
            "2 2 1\nab\ncd\n",
            "2 2 3\nab\ncd\n",
            "3 1 1\na\nb\nc\n",
            "1 4 3\nabcd\n",
            "3 4 2\nabcd\nefgh\nijkl\n",
            "3 2 1000000000\n12\n34\n56\n",
            "2 3 999999999\n123\n456\n",
            "2 3 6\n123\n456\n",
            "4 4 5\n#...\n##..\n###.\n####\n",
        ],
        reference=(
            ref := r"""r, c, k = map(int, input().split())
grid = [input().strip() for _ in range(r)]
for _ in range(k % 4):
    grid = ["".join(column) for column in zip(*grid[::-1])]
print("\n".join(grid))
"""
        ),
        wrong=[
            ref.replace("zip(*grid[::-1])", "zip(*grid)"),
            ref.replace("zip(*grid[::-1])]", "zip(*grid)][::-1]"),
            ref.replace("k % 4", "k % 2"),
            ref.replace("k % 4", "min(k, 3)"),
        ],
    ),
    P(
        id="builtin/dotted-stairs",
        difficulty="easy",
        title="Dotted stairs",
        statement="""\
Read n (0 <= n <= 40). Print a staircase of n rows, each exactly n characters long: row i
(counted from 1 at the top) has i characters `#` at its right end and `.` elsewhere. Every row
whose number is divisible by 3 uses `=` instead of `#`. For n = 0 print `flat`.""",
        public=[("3\n", "..#\n.##\n===\n"), ("1\n", "#\n"), ("0\n", "flat\n")],
        private=[f"{n}\n" for n in (2, 4, 5, 6, 7, 9, 12, 20, 40)],
        reference=(
            ref := r"""n = int(input())
if n == 0:
    print("flat")
for i in range(1, n + 1):
    mark = "=" if i % 3 == 0 else "#"
    print("." * (n - i) + mark * i)
"""
        ),
        wrong=[
            ref.replace("range(1, n + 1)", "range(1, n)"),
            ref.replace('"." * (n - i) + mark * i', 'mark * i + "." * (n - i)'),
            ref.replace("i % 3 == 0", "i == 3"),
            ref.replace("i % 3 == 0", "(n - i) % 3 == 0"),
        ],
    ),
    P(
        id="builtin/leap-years-between",
        difficulty="easy",
        title="Leap years between",
        statement="""\
A year is a leap year if it is divisible by 4, except that years divisible by 100 are leap
years only if they are divisible by 400 too. The input is one line with two integers a and b (1
<= a, b <= 5000), in any order. Print how many leap years lie between them, both ends included.""",
        public=[("2000 2004\n", "2\n"), ("1901 1899\n", "0\n"), ("4 1\n", "1\n")],
        private=[
            "1 5000\n",
            "1900 1900\n",
            "2000 2000\n",
            "2024 2024\n",
            "2100 2000\n",
            "1600 2400\n",
            "400 1\n",
            "1997 1999\n",
            "1996 1999\n",
            "4999 4997\n",
        ],
        reference=(
            ref := r"""a, b = sorted(map(int, input().split()))
def leap(y):
    return y % 4 == 0 and (y % 100 != 0 or y % 400 == 0)
print(sum(leap(y) for y in range(a, b + 1)))
"""
        ),
        wrong=[
            ref.replace("sorted(map(int, input().split()))", "map(int, input().split())"),
            ref.replace("range(a, b + 1)", "range(a, b)"),
            ref.replace("y % 4 == 0 and (y % 100 != 0 or y % 400 == 0)", "y % 4 == 0"),
            ref.replace("(y % 100 != 0 or y % 400 == 0)", "y % 100 != 0"),
        ],
    ),
    P(
        id="builtin/vote-count",
        difficulty="easy",
        title="Vote count",
        statement="""\
The first line holds n (1 <= n <= 1000), the number of ballots; each of the next n lines is one
name (lower-case letters) or `-` for a blank ballot. Print the winner's name and votes,
separated by a space. With equal votes the alphabetically smallest name wins. If all ballots
are blank print `nobody`.""",
        public=[
            ("4\nbo\nal\nbo\n-\n", "bo 2\n"),
            ("2\nzoe\nann\n", "ann 1\n"),
            ("2\n-\n-\n", "nobody\n"),
        ],
        private=[
            "1\n-\n",
            "1\nq\n",
            "5\n-\n-\n-\nkim\n-\n",
            "6\nb\na\nb\na\nc\nc\n",
            "4\nzed\nzed\nann\nbob\n",
            "5\nab\na\nab\na\nb\n",
            "7\nx\ny\ny\nx\nx\ny\nz\n",
            "3\nc\nb\na\n",
            "300\n" + "\n".join("abcdefg"[(i * i) % 7] for i in range(300)) + "\n",
        ],
        reference=(
            ref := r"""counts = {}
for _ in range(int(input())):
    name = input().strip()
    if name != "-":
        counts[name] = counts.get(name, 0) + 1
if counts:
    best = min(counts, key=lambda name: (-counts[name], name))
    print(best, counts[best])
else:
    print("nobody")
"""
        ),
        wrong=[
            ref.replace(
                "min(counts, key=lambda name: (-counts[name], name))", "max(counts, key=counts.get)"
            ),
            ref.replace("(-counts[name], name)", "(counts[name], name)"),
            ref.replace('    if name != "-":\n        counts', "    counts"),
            ref.replace(
                "min(counts, key=lambda name: (-counts[name], name))",
                "max(counts, key=lambda name: (counts[name], name))",
            ),
        ],
    ),
    P(
        id="builtin/parking-fee",
        difficulty="easy",
        title="Parking fee",
        statement="""\
A car park charges for each started hour: 200 cents for the first one, 150 for each further
one, but never more than 1200 cents for one full period of 24 hours; after 24 hours a new
period begins with a first hour again. Up to 10 minutes in total are free. Read q (1 <= q <=
100), then q lines with the minutes parked (0 <= m <= 10^6). Print each fee in cents on its own
line.""",
        public=[
            ("3\n10\n11\n61\n", "0\n200\n350\n"),
            ("2\n1440\n1441\n", "1200\n1400\n"),
        ],
        private=[
            "1\n0\n",
            "2\n60\n120\n",
            "3\n9\n10\n12\n",
            "2\n59\n121\n",
            "4\n420\n421\n460\n480\n",
            "3\n481\n600\n1439\n",
            "3\n1450\n1451\n1500\n",
            "2\n1501\n2880\n",
            "3\n2881\n1000000\n999999\n",
            "100\n" + "\n".join(str(i * 29) for i in range(100)) + "\n",
        ],
        reference=(
            ref := r"""def fee(minutes):
    if minutes <= 10:
        return 0
    days, rest = divmod(minutes, 1440)
    hours = (rest + 59) // 60
    part = min(1200, 200 + 150 * (hours - 1)) if hours else 0
    return days * 1200 + part


for _ in range(int(input())):
    print(fee(int(input())))
"""
        ),
        wrong=[
            ref.replace("(rest + 59) // 60", "rest // 60 + 1"),
            ref.replace("minutes <= 10", "minutes < 10"),
            ref.replace("if hours else 0", "if rest > 10 else 0"),
            ref.replace("min(1200, 200 + 150 * (hours - 1))", "200 + 150 * (hours - 1)"),
            ref.replace(" if hours else 0", ""),
        ],
    ),
]
