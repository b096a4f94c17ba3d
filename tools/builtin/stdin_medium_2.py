"""Medium stdin problems, part 2: from "Desk calculator" to "Wrap the lines"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/desk-calculator",
        difficulty="medium",
        title="Desk calculator",
        statement="""\
Read q (1 <= q <= 50), then q lines, each an arithmetic expression (at most 200 characters) of
non-negative integers, the operators `+ - * /`, a minus sign in front of a number or an opening
parenthesis, parentheses, and blanks anywhere between tokens. `*` and `/` bind tighter than `+`
and `-`, equal ones group to the left. `/` is integer division rounded towards zero. Print each
value on its own line, or `error` if it divides by zero. Values stay below 10^30 in size.""",
        public=[
            ("3\n1 + 2 * 3\n(1+2)*3\n10 - 4 - 3\n", "7\n9\n3\n"),
            ("3\n-7 / 2\n5 / (3 - 3)\n2*-(3)\n", "-3\nerror\n-6\n"),
        ],
        private=[
            "1\n0\n",
            "2\n7/2\n7/-2\n",
            "2\n-7/-2\n-(7/2)\n",
            "2\n100/10/5\n100/(10/5)\n",
            "2\n8*3/4\n8/4*3\n",
            "2\n2-(3-(4-5))\n((((9))))\n",
            "2\n1/0\n0/1\n",
            "2\n0*(1/0)\n(2-2)/(1-1)\n",
            "3\n1--1\n1 - -1 - -1\n-(-(-2))\n",
            "2\n99999999999999999999999/7\n-99999999999999999999999/7\n",
            "3\n1-2+3-4+5\n2*3*4-5*6\n6-5*4/3+2\n",
            "2\n  12  \n( 3 +4 )* ( 2- 9 )\n",
        ],
        reference=(
            ref := r"""import re


def value(text):
    tokens = re.findall(r"\d+|[-+*/()]", text)
    pos = 0

    def atom():
        nonlocal pos
        token = tokens[pos]
        pos += 1
        if token == "-":
            return -atom()
        if token == "(":
            inner = total()
            pos += 1
            return inner
        return int(token)

    def term():
        nonlocal pos
        left = atom()
        while pos < len(tokens) and tokens[pos] in "*/":
            op = tokens[pos]
            pos += 1
            right = atom()
            if op == "*":
                left *= right
            else:
                quotient = abs(left) // abs(right)
                left = quotient if (left < 0) == (right < 0) else -quotient
        return left

    def total():
        nonlocal pos
        left = term()
        while pos < len(tokens) and tokens[pos] in "+-":
            op = tokens[pos]
            pos += 1
            right = term()
            left = left + right if op == "+" else left - right
        return left

    return total()


for _ in range(int(input())):
    try:
        print(value(input()))
    except ZeroDivisionError:
        print("error")
"""
        ),
        wrong=[
            r"""for _ in range(int(input())):
    try:
        print(eval(input().strip().replace("/", "//")))
    except ZeroDivisionError:
        print("error")
""",
            r"""for _ in range(int(input())):
    try:
        print(int(eval(input().strip())))
    except ZeroDivisionError:
        print("error")
""",
            ref.replace("            right = term()\n", "            right = total()\n"),
            ref.replace("(left < 0) == (right < 0)", "left >= 0"),
        ],
    ),
    P(
        id="builtin/warehouse-first-in-first-out",
        difficulty="medium",
        title="First in, first out",
        statement="""\
A warehouse keeps its stock in batches and always sells the oldest goods first. The first line
holds n (1 <= n <= 1000); each of the next n lines is `BUY q p` (q pieces at p cents each
arrive), `SELL q` (q pieces are sold) or `VALUE`. For each SELL print what the sold pieces had
cost in total; if there are fewer than q pieces in stock print `short` and sell nothing. For
each VALUE print the total cost of what is in stock. 1 <= q, p <= 10^6. There is always at
least one SELL or VALUE.""",
        public=[
            ("5\nBUY 10 5\nBUY 10 7\nSELL 12\nVALUE\nSELL 9\n", "64\n56\nshort\n"),
            ("1\nVALUE\n", "0\n"),
        ],
        private=[
            "1\nSELL 1\n",
            "2\nBUY 1000000 1000000\nSELL 1000000\n",
            "4\nBUY 5 2\nSELL 5\nSELL 1\nVALUE\n",
            "5\nBUY 3 10\nBUY 3 1\nBUY 3 5\nSELL 7\nVALUE\n",
            "5\nBUY 2 4\nSELL 3\nVALUE\nBUY 1 9\nSELL 3\n",
            "6\nBUY 4 3\nSELL 1\nSELL 1\nSELL 1\nSELL 1\nSELL 1\n",
            "6\nBUY 1 9\nBUY 1 8\nSELL 1\nBUY 1 7\nSELL 2\nVALUE\n",
            "7\nBUY 5 1\nBUY 5 100\nSELL 6\nVALUE\nSELL 5\nSELL 4\nVALUE\n",
            "300\n"
            + "".join(
                f"BUY {i % 9 + 1} {i % 31 + 1}\nSELL {i % 7 + 2}\nVALUE\n" for i in range(100)
            ),
        ],
        reference=(
            ref := r"""from collections import deque
stock = deque()
for _ in range(int(input())):
    order = input().split()
    if order[0] == "BUY":
        stock.append([int(order[1]), int(order[2])])
    elif order[0] == "VALUE":
        print(sum(q * p for q, p in stock))
    else:
        need = int(order[1])
        if sum(q for q, p in stock) < need:
            print("short")
            continue
        cost = 0
        while need:
            batch = stock[0]
            take = min(need, batch[0])
            cost += take * batch[1]
            need -= take
            batch[0] -= take
            if batch[0] == 0:
                stock.popleft()
        print(cost)
"""
        ),
        wrong=[
            ref.replace("stock[0]", "stock[-1]").replace("popleft", "pop"),
            ref.replace("for q, p in stock) < need", "for q, p in stock) <= need"),
            ref.replace("stock) < need", "stock) < 1").replace(
                "while need:", "while need and stock:"
            ),
            ref.replace("stock[0]", "min(stock, key=lambda b: b[1])").replace(
                "stock.popleft()", "stock.remove(batch)"
            ),
        ],
    ),
    P(
        id="builtin/minus-two-digits",
        difficulty="medium",
        title="Base minus b",
        statement="""\
Every integer can be written in a negative base -b (2 <= b <= 10) with digits 0 to b-1 and no
minus sign: digit d at place i (from the right, starting at 0) is worth d * (-b)^i. Read q (1
<= q <= 100), then q lines `to b n` (n an integer, absolute value at most 10^18) or `from b s`
(s a digit string of at most 40 digits without leading zeros). Print for `to` the digits of n
in base -b without leading zeros (`0` for zero), for `from` the value in ordinary decimal.""",
        public=[
            ("3\nto 2 6\nto 2 -1\nto 10 15\n", "11010\n11\n195\n"),
            ("2\nfrom 2 11010\nfrom 10 190\n", "6\n10\n"),
        ],
        private=[
            "2\nto 2 0\nfrom 7 0\n",
            "3\nto 2 1\nto 2 2\nto 2 3\n",
            "3\nto 2 -2\nto 2 -3\nto 2 -4\n",
            "3\nto 10 9\nto 10 10\nto 10 -10\n",
            "2\nto 3 1000000000000000000\nto 3 -1000000000000000000\n",
            "3\nfrom 10 1\nfrom 10 99\nfrom 10 100\n",
            "2\nfrom 2 1111111111111111111111111111111111111111\nfrom 2 10\n",
            "3\nto 7 -48\nto 7 48\nto 7 49\n",
            "4\nto 9 -9\nto 9 -81\nto 9 81\nto 9 -1\n",
            "2\nfrom 10 9999999999999999999999999999999999999999\nfrom 5 4321\n",
            "60\n" + "".join(f"to {i % 9 + 2} {i * 37 - 1000}\n" for i in range(60)),
        ],
        reference=(
            ref := r"""for _ in range(int(input())):
    kind, b, text = input().split()
    b = int(b)
    if kind == "from":
        value = 0
        for ch in text:
            value = value * -b + int(ch)
        print(value)
        continue
    n = int(text)
    digits = ""
    while n:
        d = n % b
        digits = str(d) + digits
        n = (n - d) // -b
    print(digits or "0")
"""
        ),
        wrong=[
            ref.replace('print(digits or "0")', "print(digits)").replace(
                "while n:", "while n > 0 or n < 0:"
            ),
            ref.replace("n = (n - d) // -b", "n = -(n // b) if n > 0 else -n // b"),
            ref.replace("value = value * -b + int(ch)", "value = value * b + int(ch)").replace(
                "print(value)", "print(-value if len(text) % 2 == 0 else value)"
            ),
            r"""for _ in range(int(input())):
    kind, b, text = input().split()
    b = int(b)
    if kind == "from":
        print(sum(int(ch) * (-b) ** i for i, ch in enumerate(text)))
        continue
    n = int(text)
    digits = ""
    while n:
        d = n % b
        digits = str(d) + digits
        n = (n - d) // -b
    print(digits or "0")
""",
        ],
    ),
    P(
        id="builtin/window-extremes",
        difficulty="medium",
        title="Window extremes",
        statement="""\
The first line holds n and k (1 <= k <= n <= 1000), the second line n integers (absolute value
at most 10^9). For each window of k consecutive numbers take the difference between its largest
and its smallest number. Print the differences' least value, and the 1-based start of the
*last* window that has it, separated by a space.""",
        public=[
            ("5 2\n1 3 4 4 9\n", "0 3\n"),
            ("4 3\n1 2 3 4\n", "2 2\n"),
            ("3 1\n5 6 7\n", "0 3\n"),
        ],
        private=[
            "1 1\n-5\n",
            "3 3\n-1 5 2\n",
            "2 2\n7 7\n",
            "6 2\n5 4 3 2 1 0\n",
            "6 3\n-9 -8 -7 5 6 7\n",
            "7 4\n1 9 1 9 1 9 1\n",
            "5 2\n10 0 1 50 51\n",
            "5 2\n10 11 1 50 70\n",
            "4 2\n-1000000000 1000000000 -1000000000 1000000000\n",
            "500 20\n" + " ".join(str(i * i * 7919 % 100003) for i in range(500)) + "\n",
            "800 400\n" + " ".join(str(abs(i - 300) * 3 % 1009) for i in range(800)) + "\n",
        ],
        reference=(
            ref := r"""n, k = map(int, input().split())
a = list(map(int, input().split()))
best = None
for i in range(n - k + 1):
    window = a[i : i + k]
    gap = max(window) - min(window)
    if best is None or gap <= best:
        best, start = gap, i + 1
print(best, start)
"""
        ),
        wrong=[
            ref.replace("gap <= best", "gap < best"),
            ref.replace("range(n - k + 1)", "range(max(1, n - k))"),
            ref.replace("max(window) - min(window)", "abs(window[-1] - window[0])"),
            ref.replace("range(n - k + 1)", "range(n)"),
        ],
    ),
    P(
        id="builtin/wrap-the-lines",
        difficulty="medium",
        title="Wrap the lines",
        statement="""\
The first line holds a width w (1 <= w <= 60). The rest of the input is text; paragraphs are
separated by one or more empty lines, words by blanks or single line ends. Fill each paragraph
again: put as many words as fit into each line of at most w characters, joined by one `_`. A
word longer than w stands alone on lines of its own, cut into pieces of w characters (the last
piece may be shorter and stands alone too). Print `--` on a line between paragraphs. There is
at least one word.""",
        public=[
            ("7\nto be or\nnot to be\n", "to_be\nor_not\nto_be\n"),
            ("4\nhi abcdefghij k\n\nx\n", "hi\nabcd\nefgh\nij\nk\n--\nx\n"),
        ],
        private=[
            "1\na b c\n",
            "3\na b c d\n",
            "3\nabc abc\n",
            "2\nabc\n",
            "5\naaaa b cc dd\n",
            "4\nabcd abcde ab c\n",
            "10\none two three\nfour five\n\n\n\nsix\n\nseven eight\n",
            "60\nshort\n",
            "6\n\n\nleading empty lines\n\n\n",
            "12\n" + ("lorem ipsum dolor sit amet consectetur " * 8 + "\n") * 3,
            "3\nabcdef a bcdefgh\n",
        ],
        reference=(
            ref := r"""import sys
w = int(sys.stdin.readline())
paragraphs = [[]]
for line in sys.stdin:
    words = line.split()
    if words:
        paragraphs[-1] += words
    elif paragraphs[-1]:
        paragraphs.append([])
blocks = []
for words in paragraphs:
    lines = []
    line = ""
    for word in words:
        if len(word) > w:
            if line:
                lines.append(line)
            line = ""
            lines += [word[i : i + w] for i in range(0, len(word), w)]
        elif not line:
            line = word
        elif len(line) + 1 + len(word) <= w:
            line += "_" + word
        else:
            lines.append(line)
            line = word
    if line:
        lines.append(line)
    if lines:
        blocks.append("\n".join(lines))
print("\n--\n".join(blocks))
"""
        ),
        wrong=[
            ref.replace("len(line) + 1 + len(word) <= w", "len(line) + 1 + len(word) < w"),
            ref.replace("len(line) + 1 + len(word) <= w", "len(line) + len(word) <= w"),
            ref.replace(
                "lines += [word[i : i + w] for i in range(0, len(word), w)]",
                "line = word[w:]\n            lines.append(word[:w])",
            ),
            ref.replace("    elif paragraphs[-1]:\n", "    else:\n").replace(
                "    if lines:\n        blocks", "    if True:\n        blocks"
            ),
        ],
    ),
]
