"""Hard stdin problems, part 3: from "The largest building site" to "Cut into mirrors"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/largest-building-site",
        difficulty="hard",
        title="The largest building site",
        statement="""\
The first line holds r and c (1 <= r, c <= 60). The next r lines of c characters show a field:
`.` free, `T` tree. Find the axis-parallel rectangle of cells with the greatest area that
contains at most one tree. Print its area and the number of such rectangles of that area
(rectangles that differ in position or shape count separately).""",
        public=[
            ("2 3\n...\n.T.\n", "6 1\n"),
            ("2 2\nTT\nTT\n", "1 4\n"),
            ("3 3\nT..\n...\n..T\n", "6 4\n"),
        ],
        private=[
            "1 1\n.\n",
            "1 1\nT\n",
            "1 7\n.T..T..\n",
            "5 1\nT\nT\n.\nT\n.\n",
            "3 3\n...\n...\n...\n",
            "3 4\nT..T\n....\nT..T\n",
            "4 4\nTTTT\nT..T\nT..T\nTTTT\n",
            "4 5\n..T..\n.T...\n....T\nT....\n",
            "2 6\nT.T.T.\n.T.T.T\n",
            "25 25\n"
            + "".join(
                "".join("T" if (i * i + 3 * j * j + i * j) % 23 == 0 else "." for j in range(25))
                + "\n"
                for i in range(25)
            ),
            "20 30\n" + ("." * 30 + "\n") * 10 + "T" * 30 + "\n" + ("." * 30 + "\n") * 9,
            "6 6\n......\n.T..T.\n......\n......\n.T..T.\n......\n",
        ],
        reference=(
            ref := r"""r, c = map(int, input().split())
field = [input().strip() for _ in range(r)]
best = count = 0
for top in range(r):
    trees = [0] * c
    for bottom in range(top, r):
        height = bottom - top + 1
        for x in range(c):
            trees[x] += field[bottom][x] == "T"
        left = inside = 0
        for right in range(c):
            inside += trees[right]
            while inside > 1:
                inside -= trees[left]
                left += 1
            area = height * (right - left + 1)
            if area > best:
                best, count = area, 0
            count += area == best and area > 0
print(best, count)
"""
        ),
        wrong=[
            ref.replace("while inside > 1", "while inside > 0"),
            ref.replace("right - left + 1", "right - left"),
            ref.replace("for bottom in range(top, r)", "for bottom in range(top, min(r, top + c))"),
            ref.replace(
                "            count += area == best and area > 0\n", "                count = 1\n"
            ),
            ref.replace(
                "left = inside = 0", "left = inside = 0\n        trees = [min(1, t) for t in trees]"
            ),
            ref.replace("height * (right - left + 1)", "min(height, right - left + 1) ** 2"),
        ],
    ),
    P(
        id="builtin/mirror-cuts",
        difficulty="hard",
        title="Cut into mirrors",
        statement="""\
A string is a mirror if it reads the same backwards. The first line holds q (1 <= q <= 20),
followed by q lines with one string of lower-case letters each (1 to 300). Print for each the
least number of cuts that divide it into mirrors, and then the lengths of the pieces, all on
one line. Of all divisions with the least number of cuts print the one whose list of lengths is
lexicographically largest (the first piece as long as possible, then the second, ...).""",
        public=[
            ("3\naab\nracecar\nabc\n", "1 2 1\n0 7\n2 1 1 1\n"),
            ("2\na\nabaab\n", "0 1\n1 1 4\n"),
        ],
        private=[
            "1\nz\n",
            "2\naa\nab\n",
            "2\naaaab\nbaaaa\n",
            "2\nabacdcab\naabaa\n",
            "2\nabcbaab\nbananas\n",
            "1\nababbbabbababa\n",
            "3\nabbab\nbabba\naaabaaa\n",
            "2\nnoonabbad\nxyzzyxx\n",
            "1\n" + "a" * 300 + "\n",
            "1\n" + "ab" * 149 + "c\n",
            "1\n" + "".join("abc"[(i * i + i // 3) % 3] for i in range(200)) + "\n",
        ],
        reference=(
            ref := r"""def divide(s):
    n = len(s)
    mirror = [[False] * (n + 1) for _ in range(n + 1)]
    for i in range(n, -1, -1):
        for j in range(i, n + 1):
            mirror[i][j] = j - i < 2 or (s[i] == s[j - 1] and mirror[i + 1][j - 1])
    pieces = [0] * (n + 1)
    cut = [n] * (n + 1)
    for i in range(n - 1, -1, -1):
        ends = [j for j in range(i + 1, n + 1) if mirror[i][j]]
        cut[i] = min(ends, key=lambda j: (pieces[j], -j))
        pieces[i] = 1 + pieces[cut[i]]
    lengths = []
    i = 0
    while i < n:
        lengths.append(cut[i] - i)
        i = cut[i]
    return [pieces[0] - 1, *lengths]


for _ in range(int(input())):
    print(*divide(input().strip()))
"""
        ),
        wrong=[
            ref.replace("key=lambda j: (pieces[j], -j)", "key=lambda j: -j"),
            ref.replace("key=lambda j: (pieces[j], -j)", "key=lambda j: pieces[j]"),
            ref.replace(
                "j - i < 2 or (s[i] == s[j - 1] and mirror[i + 1][j - 1])",
                "s[i:j] == s[i:j][::-1] and j - i != 2",
            ),
            ref.replace("pieces[0] - 1", "pieces[0]"),
        ],
    ),
]
