"""Easy stdin problems, part 2: from "Exact receipt" to "Shift cipher"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/exact-receipt",
        difficulty="easy",
        title="Exact receipt",
        statement="""\
A receipt starts with a line n (0 <= n <= 500), followed by n lines `quantity price`: a whole
number from 1 to 10^6 and a price written with exactly two decimals, from 0.01 to 999999.99.
Print the exact total with two decimals. Binary floating point is not exact enough for the
largest receipts.""",
        public=[
            ("2\n3 0.10\n1 2.50\n", "2.80\n"),
            ("0\n", "0.00\n"),
            ("1\n100 0.05\n", "5.00\n"),
        ],
        private=[
            "1\n1 0.01\n",
            "1\n1000000 999999.99\n",
            "3\n1 0.07\n1 0.01\n1 0.01\n",
            "2\n7 1.15\n3 2.05\n",
            "1\n10 10.00\n",
            "500\n" + "999983 9999.97\n" * 150 + "1 0.01\n" * 350,
            "4\n999999 999999.97\n999998 999999.93\n1000000 999999.99\n1 0.01\n",
            "300\n" + "1 1.01\n" * 300,
            "300\n" + "1000000 999999.99\n" * 199 + "1 0.01\n" * 101,
        ],
        reference=(
            ref := r"""cents = 0
for _ in range(int(input())):
    quantity, price = input().split()
    whole, part = price.split(".")
    cents += int(quantity) * (int(whole) * 100 + int(part))
print(f"{cents // 100}.{cents % 100:02d}")
"""
        ),
        wrong=[
            r"""total = 0.0
for _ in range(int(input())):
    quantity, price = input().split()
    total += int(quantity) * float(price)
print(f"{total:.2f}")
""",
            ref.replace("{cents % 100:02d}", "{cents % 100}"),
            r"""cents = 0
for _ in range(int(input())):
    quantity, price = input().split()
    cents += int(quantity) * int(float(price) * 100)
print(f"{cents // 100}.{cents % 100:02d}")
""",
        ],
    ),
    P(
        id="builtin/runs-of-letters",
        difficulty="easy",
        title="Runs of letters",
        statement="""\
Read one line: a string of lower-case letters, possibly empty (at most 1000). Replace each
maximal run of one letter by its length followed by the letter, but write a run of length 1 as
the bare letter. Print the result; for the empty string print `empty`.""",
        public=[("aaabcc\n", "3ab2c\n"), ("abc\n", "abc\n"), ("\n", "empty\n")],
        private=[
            "a\n",
            "aa\n",
            "zzzzzzzzzzzz\n",
            "aabbaa\n",
            "abba\n",
            "xyyyyyyyyyyyyyz\n",
            "mississippi\n",
            "abababab\n",
            "a" * 1000 + "\n",
            "ab" + "c" * 99 + "\n",
        ],
        reference=(
            ref := r"""s = input().strip()
out = []
i = 0
while i < len(s):
    j = i
    while j < len(s) and s[j] == s[i]:
        j += 1
    out.append((str(j - i) if j - i > 1 else "") + s[i])
    i = j
print("".join(out) or "empty")
"""
        ),
        wrong=[
            ref.replace('(str(j - i) if j - i > 1 else "")', "str(j - i)"),
            ref.replace("j - i > 1", "j - i > 2"),
            ref.replace(
                "while j < len(s) and s[j] == s[i]",
                "while j < len(s) and j - i < 9 and s[j] == s[i]",
            ),
            r"""s = input().strip()
out = ""
for ch in dict.fromkeys(s):
    n = s.count(ch)
    out += (str(n) if n > 1 else "") + ch
print(out or "empty")
""",
        ],
    ),
    P(
        id="builtin/robot-on-a-plane",
        difficulty="easy",
        title="Robot on a plane",
        statement="""\
A robot stands at (0, 0) and faces north (N). The input is one line of commands without blanks,
possibly empty: `L` turns it left by 90 degrees, `R` turns it right, and a number k (1 to 10^6,
decimal digits) moves it k steps ahead. East is +x, north is +y. Two moves never stand directly
next to each other. Print `x y d`, where d is the final direction, one of N, E, S, W.""",
        public=[("10R5\n", "5 10 E\n"), ("LL3\n", "0 -3 S\n"), ("\n", "0 0 N\n")],
        private=[
            "R\n",
            "L\n",
            "7\n",
            "L12L12L12L12\n",
            "RRRR\n",
            "1000000L1000000\n",
            "3R4R5R6R7\n",
            "LRLR5RL6\n",
            "RRR9LLL8\n",
            "1R20L300R4000\n",
        ],
        reference=(
            ref := r"""import re
x = y = d = 0
steps = [(0, 1), (1, 0), (0, -1), (-1, 0)]
for token in re.findall(r"\d+|[LR]", input()):
    if token == "R":
        d = (d + 1) % 4
    elif token == "L":
        d = (d - 1) % 4
    else:
        x += steps[d][0] * int(token)
        y += steps[d][1] * int(token)
print(x, y, "NESW"[d])
"""
        ),
        wrong=[
            ref.replace(r"\d+|[LR]", r"\d|[LR]"),
            ref.replace("(0, -1), (-1, 0)]", "(-1, 0), (0, -1)]"),
            ref.replace('"NESW"', '"NWSE"'),
            ref.replace("d = (d - 1) % 4", "d = max(d - 1, 0)"),
        ],
    ),
    P(
        id="builtin/second-largest-value",
        difficulty="easy",
        title="Second largest value",
        statement="""\
The input holds zero or more lines, each with zero or more integers (absolute value at most
10^12). Print the second largest *distinct* value in the whole input and how often it occurs,
separated by a space; if there are fewer than two distinct values print `none`.""",
        public=[("3 9\n9 3 1\n", "3 2\n"), ("5 5 5\n", "none\n"), ("\n", "none\n")],
        private=[
            "",
            "0\n",
            "-1 -2\n",
            "-5\n-5 -7\n-7 -7\n",
            "1 2 3 4 5\n",
            "5 4 3 2 1\n",
            "10 9\n\n100\n",
            "1000000000000 -1000000000000\n",
            "2 2 2 1 1\n0\n",
            "7 7 7 7\n7\n",
        ],
        reference=r"""import sys
values = list(map(int, sys.stdin.read().split()))
distinct = sorted(set(values))
if len(distinct) < 2:
    print("none")
else:
    print(distinct[-2], values.count(distinct[-2]))
""",
        wrong=[
            r"""import sys
values = sorted(map(int, sys.stdin.read().split()))
if len(values) < 2:
    print("none")
else:
    print(values[-2], values.count(values[-2]))
""",
            r"""import sys
first = second = 0
values = list(map(int, sys.stdin.read().split()))
for v in values:
    if v > first:
        first, second = v, first
    elif first > v > second:
        second = v
print(f"{second} {values.count(second)}" if second else "none")
""",
            r"""values = list(map(int, input().split()))
distinct = sorted(set(values))
if len(distinct) < 2:
    print("none")
else:
    print(distinct[-2], values.count(distinct[-2]))
""",
            r"""import sys
words = sys.stdin.read().split()
distinct = sorted(set(words))
print(f"{distinct[-2]} {words.count(distinct[-2])}" if len(distinct) > 1 else "none")
""",
        ],
    ),
    P(
        id="builtin/frequent-words",
        difficulty="easy",
        title="Frequent words",
        statement="""\
The first line holds k (1 <= k <= 50). The rest of the input is text; a word is a maximal run
of letters a-z or A-Z, and case does not matter. Print the k most frequent words in lower case,
one a line as `word count`, the most frequent first and equal counts in alphabetical order. If
there are fewer than k different words print all of them; if there are none print `no words`.""",
        public=[
            ("2\nThe cat, the dog.\nA cat!\n", "cat 2\nthe 2\n"),
            ("5\nb a\n", "a 1\nb 1\n"),
            ("1\n12 34\n", "no words\n"),
        ],
        private=[
            "3\n",
            "1\nz y x\n",
            "1\nx X x y Y y y\n",
            "3\ndon't stop don't\n",
            "2\none1two 3one\n",
            "4\nd c b a\nd c b\nd c\nd\n",
            "2\nred-blue red_blue RED\n",
            "3\nb b a a c c c\nd\n",
            "50\n" + " ".join("w" + chr(97 + i % 26) + "x" * (i % 3) for i in range(200)) + "\n",
        ],
        reference=(
            ref := r"""import re
import sys
k = int(sys.stdin.readline())
counts = {}
for word in re.findall(r"[a-z]+", sys.stdin.read().lower()):
    counts[word] = counts.get(word, 0) + 1
for word, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:k]:
    print(word, n)
if not counts:
    print("no words")
"""
        ),
        wrong=[
            ref.replace(
                r're.findall(r"[a-z]+", sys.stdin.read().lower())',
                "sys.stdin.read().lower().split()",
            ),
            ref.replace(
                "sorted(counts.items(), key=lambda item: (-item[1], item[0]))",
                "sorted(counts.items(), key=lambda item: -item[1])",
            ),
            ref.replace(r"[a-z]+", r"\w+"),
            ref.replace(".lower()", "").replace("[a-z]+", "[A-Za-z]+"),
        ],
    ),
    P(
        id="builtin/seat-row",
        difficulty="easy",
        title="A free row of seats",
        statement="""\
The first line holds r and k (1 <= r <= 100, 1 <= k <= 50). Each of the next r lines shows one
row of seats from left to right, `.` free and `x` taken, 1 to 50 seats, rows may differ in
length. Find k neighbouring free seats in one row: take the row nearest to the screen (the
first line is nearest), within it the leftmost seats. Print the row number and the number of
the first seat, both counted from 1, or `sold out`.""",
        public=[
            ("2 2\n.x.\nx..\n", "2 2\n"),
            ("1 3\n....\n", "1 1\n"),
            ("2 2\n.x\nx.\n", "sold out\n"),
        ],
        private=[
            "1 1\nx\n",
            "1 1\n.\n",
            "1 4\n...\n",
            "2 2\nx...\n....\n",
            "3 3\n..x..\n..\n..x...\n",
            "2 1\nxxxx\nxx.x\n",
            "3 2\nx.\n.x\nx.x..\n",
            "2 3\n.x..x.\n.x...x\n",
            "2 5\nx....\n.....\n",
            "3 2\nxx..\n....\n..xx\n",
            "2 50\n" + "." * 49 + "x\n" + "." * 50 + "\n",
        ],
        reference=(
            ref := r"""r, k = map(int, input().split())
answer = "sold out"
for i in range(r):
    at = input().strip().find("." * k)
    if at >= 0 and answer == "sold out":
        answer = f"{i + 1} {at + 1}"
print(answer)
"""
        ),
        wrong=[
            ref.replace(' and answer == "sold out"', ""),
            ref.replace(".find(", ".rfind("),
            ref.replace("at >= 0", "at > 0"),
            r"""r, k = map(int, input().split())
text = "".join(input().strip() + "|" * (i < r) for i in range(r - 1)) + input().strip()
rows = text.split("|")
for i, row in enumerate(rows):
    if row.count(".") >= k:
        print(i + 1, row.index(".") + 1)
        break
else:
    print("sold out")
""",
        ],
    ),
    P(
        id="builtin/shift-cipher-lines",
        difficulty="easy",
        title="Shift cipher",
        statement="""\
The first line holds an integer k (-1000 <= k <= 1000). For each further line of the input
print the line with every letter moved k places along the alphabet, wrapping around and keeping
its case; all other characters stay as they are. The input has at least one such line and no
line starts or ends with a blank.""",
        public=[("1\nAbz!\nxyz\n", "Bca!\nyza\n"), ("-1\na B\n", "z A\n")],
        private=[
            "0\nSame text.\n",
            "26\nSame text again\n",
            "13\nHello, World 42\n",
            "-3\nabc ABC xyz XYZ\n",
            "27\nzZaA\n",
            "-27\nzZaA\n",
            "1000\nThe Quick Brown Fox\n[~`@{]\n",
            "-1000\nThe Quick Brown Fox\n",
            "5\nMNOPQRSTUVWXYZ\nmnopqrstuvwxyz\n0123456789\n",
        ],
        reference=(
            ref := r"""import sys
k = int(sys.stdin.readline())
for line in sys.stdin:
    out = ""
    for ch in line.rstrip("\n"):
        if "a" <= ch <= "z":
            ch = chr((ord(ch) - 97 + k) % 26 + 97)
        elif "A" <= ch <= "Z":
            ch = chr((ord(ch) - 65 + k) % 26 + 65)
        out += ch
    print(out)
"""
        ),
        wrong=[
            ref.replace("(ord(ch) - 65 + k) % 26 + 65", "(ord(ch) - 97 + k) % 26 + 97"),
            ref.replace('        if "a" <= ch <= "z"', '        if "a" <= ch < "z"'),
            r"""import sys
k = int(sys.stdin.readline())
for line in sys.stdin:
    out = ""
    for ch in line.rstrip("\n"):
        if ch.isalpha():
            last = 122 if ch.islower() else 90
            code = ord(ch) + k
            if code > last:
                code -= 26
            if code < last - 25:
                code += 26
            ch = chr(code % 1114112)
        out += ch
    print(out)
""",
            ref.replace('elif "A" <= ch <= "Z"', 'elif ch == "A"'),
        ],
    ),
]
