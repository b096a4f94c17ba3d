"""Classic medium functions, part 2: from "Expand the brackets" to "Semesters needed"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/expand-brackets",
        difficulty="medium",
        title="Expand the brackets",
        statement="""\
Expand a packed text: `n[text]` (n a decimal number >= 0, text packed again, maybe empty)
stands for n copies of text, other letters for themselves. The packed text is well formed and
contains only letters a-z, digits and brackets; every number is followed by `[`, and an opening
bracket without a number in front counts as one copy. The result has at most 10000 letters.""",
        public=[(["3[a2[b]]"], "abbabbabb"), (["x[yz]"], "xyz"), ([""], "")],
        private=[
            ["abc"],
            ["10[a]"],
            ["0[abc]d"],
            ["2[]3[[z]]"],
            ["2[a]3[b]"],
            ["2[2[2[2[q]]]]"],
            ["a2[b3[c]d]e"],
            ["100[x]1[y]"],
            ["[a[b[c]]]2[[d]]"],
            ["2[3[a]0[b]c]"],
            ["12[ab]a"],
        ],
        reference=(
            ref := r"""def expand(packed: str) -> str:
    stack = []
    text, number = "", ""
    for ch in packed:
        if ch.isdigit():
            number += ch
        elif ch == "[":
            stack.append((text, int(number or "1")))
            text, number = "", ""
        elif ch == "]":
            before, times = stack.pop()
            text = before + text * times
        else:
            text += ch
    return text
"""
        ),
        wrong=[
            ref.replace("number += ch", "number = ch"),
            ref.replace('int(number or "1")', 'int(number or "0")'),
            ref.replace("text = before + text * times", "text = (before + text) * times"),
            ref.replace('int(number or "1")', 'int(number or "1") or 1'),
            r"""import re


def expand(packed):
    def unfold(m):
        return m.group(2) * int(m.group(1) or "1")

    return re.sub(r"(\d*)\[([a-z]*)\]", unfold, re.sub(r"(\d*)\[([a-z]*)\]", unfold, packed))
""",
        ],
        entry_point="expand",
    ),
    P(
        id="builtin/word-snake",
        difficulty="medium",
        title="Word snake",
        statement="""\
`grid` is a list of equally long strings of letters. Return the number of different ways to lay
`word` (at least one letter, at most 8) into the grid as a snake: a sequence of different
cells, each sharing a side with the one before, whose letters spell the word. Two ways differ
if their sequences of cells differ. The grid may be empty.""",
        public=[([["ab", "cd"], "abd"], 1), ([["aa", "aa"], "aaa"], 8), ([[], "a"], 0)],
        private=[
            [["a"], "a"],
            [["a"], "aa"],
            [["ab"], "aba"],
            [["abc", "xyz"], "cba"],
            [["aba", "bab", "aba"], "abab"],
            [["aaa", "aaa", "aaa"], "aaaaa"],
            [["ab", "ba"], "aa"],
            [["abcd", "efgh"], "abfe"],
            [["noon", "oxxo", "noon"], "noon"],
            [["aab", "aba"], "aaba"],
            [["Aa"], "aA"],
        ],
        reference=(
            ref := r"""def snakes(grid: list[str], word: str) -> int:
    def grow(i, j, at, used):
        if not (0 <= i < len(grid) and 0 <= j < len(grid[0])):
            return 0
        if (i, j) in used or grid[i][j] != word[at]:
            return 0
        if at == len(word) - 1:
            return 1
        used = used | {(i, j)}
        steps = ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1))
        return sum(grow(x, y, at + 1, used) for x, y in steps)

    return sum(grow(i, j, 0, frozenset()) for i in range(len(grid)) for j in range(len(grid[0])))
"""
        ),
        wrong=[
            ref.replace("(i, j) in used or ", ""),
            ref.replace("(i, j - 1))", "(i, j - 1), (i + 1, j + 1), (i - 1, j - 1))"),
            ref.replace("return sum(grow(i, j", "return any(grow(i, j"),
            ref.replace(
                "0 <= i < len(grid) and 0 <= j < len(grid[0])", "i < len(grid) and j < len(grid[0])"
            ),
        ],
        entry_point="snakes",
    ),
    P(
        id="builtin/parcels-for-total",
        difficulty="medium",
        title="Parcels for a total",
        statement="""\
`weights` lists parcels (positive integers, possibly equal, at most 20). Choose parcels, each
at most once, with total weight exactly `total` (>= 0). Return all different choices as lists
in increasing order, the lists themselves in lexicographic order; choices of equal weights are
the same. Choosing nothing is a choice with total 0.""",
        public=[
            ([[2, 5, 2, 1, 2], 5], [[1, 2, 2], [5]]),
            ([[3], 2], []),
            ([[4], 0], [[]]),
        ],
        private=[
            [[], 0],
            [[], 1],
            [[1, 1, 1], 2],
            [[10, 1, 2, 7, 6, 1, 5], 8],
            [[5, 4, 3, 2, 1], 5],
            [[2, 4, 6], 7],
            [[7, 7, 14], 14],
            [[1], 1],
            [[1, 2], 4],
            [[3, 1, 3, 5, 1, 1], 8],
            [[i % 5 + 1 for i in range(14)], 9],
        ],
        reference=(
            ref := r"""def parcels(weights: list[int], total: int) -> list[list[int]]:
    weights = sorted(weights)
    out = []

    def choose(start, left, chosen):
        if left == 0:
            out.append(chosen)
            return
        for i in range(start, len(weights)):
            if i > start and weights[i] == weights[i - 1]:
                continue
            if weights[i] > left:
                break
            choose(i + 1, left - weights[i], [*chosen, weights[i]])

    choose(0, total, [])
    return out
"""
        ),
        wrong=[
            ref.replace("i > start and", "i > 0 and"),
            ref.replace("choose(i + 1,", "choose(i,"),
            ref.replace("if i > start and weights[i] == weights[i - 1]", "if weights[i] == 0"),
            ref.replace("weights[i] > left", "weights[i] >= left"),
        ],
        entry_point="parcels",
    ),
    P(
        id="builtin/life-on-a-ring-world",
        difficulty="medium",
        title="Life on a torus",
        statement="""\
`grid` is a non-empty list of equally long strings of `#` (alive) and `.` (dead), at least 3 by
3. The world is a torus: the top row borders on the bottom row, the left column on the right
one, so each cell has 8 neighbours. In one step a live cell with 2 or 3 live neighbours stays
alive, a dead cell with exactly 3 becomes alive, all others are dead; all cells change at once.
Return the grid after `k` steps (0 <= k <= 200).""",
        public=[
            (
                [[".....", "..#..", "..#..", "..#..", "....."], 1],
                [".....", ".....", ".###.", ".....", "....."],
            ),
            ([["#..", "...", "..."], 0], ["#..", "...", "..."]),
        ],
        private=[
            [["#..", "...", "..."], 1],
            [["###", "###", "###"], 1],
            [["###", "...", "..."], 1],
            [["....", ".##.", ".##.", "...."], 9],
            [["#..#", "....", "....", "#..#"], 3],
            [[".#....", "..#...", "###...", "......", "......", "......"], 4],
            [[".#....", "..#...", "###...", "......", "......", "......"], 24],
            [["#...#", "#...#", "#...#", ".....", "....."], 1],
            [["..#..", "..#..", "..#..", ".....", "....."], 2],
            [["#.#.#.#", ".##..#.", "###...#", "...#.#.", "#..##.."], 13],
        ],
        reference=(
            ref := r"""def life(grid: list[str], k: int) -> list[str]:
    rows, cols = len(grid), len(grid[0])
    around = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
    for _ in range(k):
        after = []
        for i in range(rows):
            line = ""
            for j in range(cols):
                n = sum(grid[(i + a) % rows][(j + b) % cols] == "#" for a, b in around)
                line += "#" if n == 3 or (n == 2 and grid[i][j] == "#") else "."
            after.append(line)
        grid = after
    return grid
"""
        ),
        wrong=[
            ref.replace(" if a or b]", "]"),
            ref.replace('n == 3 or (n == 2 and grid[i][j] == "#")', "n in (2, 3)"),
            ref.replace(
                "for a, b in around)",
                "for a, b in around if 0 <= i + a < rows and 0 <= j + b < cols)",
            ),
            ref.replace("after = []", "after = grid = list(grid)").replace(
                "after.append(line)", "after[i] = line"
            ),
        ],
        entry_point="life",
    ),
    P(
        id="builtin/few-letters-stretch",
        difficulty="medium",
        title="A stretch of few letters",
        statement="""\
Return the leftmost longest contiguous part of the string `s` (at most 2000 characters) that
contains at most `k` different characters (k >= 0). It may be the empty string.""",
        public=[(["eceba", 2], "ece"), (["abc", 0], ""), (["aabb", 5], "aabb")],
        private=[
            ["", 3],
            ["a", 1],
            ["a", 0],
            ["abab", 1],
            ["abcabcabb", 2],
            ["xxyyzzzyyx", 2],
            ["aabbccdd", 2],
            ["AaAaBb", 2],
            ["a b a  c", 2],
            ["abaccc", 2],
            ["".join(chr(97 + i * i % 7) for i in range(400)), 3],
        ],
        reference=(
            ref := r"""def stretch(s: str, k: int) -> str:
    count = {}
    left = 0
    best = ""
    for right, ch in enumerate(s):
        count[ch] = count.get(ch, 0) + 1
        while len(count) > k:
            count[s[left]] -= 1
            if count[s[left]] == 0:
                del count[s[left]]
            left += 1
        if right + 1 - left > len(best):
            best = s[left : right + 1]
    return best
"""
        ),
        wrong=[
            ref.replace("> len(best)", ">= len(best)"),
            ref.replace("len(count) > k", "len(count) >= k and count"),
            ref.replace("count[s[left]] == 0", "count[s[left]] >= 0"),
            ref.replace("s[left : right + 1]", "s[left:right]"),
        ],
        entry_point="stretch",
    ),
    P(
        id="builtin/ring-street-loot",
        difficulty="medium",
        title="A street in a ring",
        statement="""\
Houses stand in a ring; `gold` lists what each holds (integers >= 0, possibly none). You must
not take from two neighbouring houses; the first and the last house are neighbours too. Return
`[total, houses]`: the greatest total, and the least number of houses that gives it.""",
        public=[([[2, 3, 2]], [3, 1]), ([[1, 2, 3, 1]], [4, 2]), ([[]], [0, 0])],
        private=[
            [[5]],
            [[0]],
            [[4, 4]],
            [[1, 9]],
            [[0, 0, 0]],
            [[10, 1, 1, 10]],
            [[2, 1, 1, 2, 1]],
            [[5, 1, 5, 1, 5]],
            [[1, 3, 1, 3, 100]],
            [[4, 8, 4, 0]],
            [[3, 4, 3, 0]],
            [[0, 7, 0, 7, 0, 0]],
            [[i * 37 % 23 for i in range(40)]],
        ],
        reference=(
            ref := r"""def loot(gold: list[int]) -> list[int]:
    def line(part):
        skip = take = (0, 0)
        for g in part:
            skip, take = max(skip, take), (skip[0] + g, skip[1] - 1)
        return max(skip, take)

    if len(gold) < 2:
        best = line(gold)
    else:
        best = max(line(gold[1:]), line(gold[:-1]))
    return [best[0], -best[1]]
"""
        ),
        wrong=[
            ref.replace("max(line(gold[1:]), line(gold[:-1]))", "line(gold)"),
            ref.replace(
                "max(line(gold[1:]), line(gold[:-1]))", "max(line(gold[::2]), line(gold[1::2]))"
            ),
            ref.replace("skip[1] - 1", "skip[1] + 1").replace("-best[1]", "best[1]"),
            ref.replace("max(line(gold[1:]), line(gold[:-1]))", "line(gold[1:])"),
            r"""def loot(gold):
    total = houses = 0
    free = [True] * len(gold)
    for i in sorted(range(len(gold)), key=lambda i: -gold[i]):
        if free[i] and gold[i]:
            total += gold[i]
            houses += 1
            free[i] = free[i - 1] = free[(i + 1) % len(gold)] = False
    return [total, houses]
""",
        ],
        entry_point="loot",
    ),
    P(
        id="builtin/semesters-needed",
        difficulty="medium",
        title="Semesters needed",
        statement="""\
There are courses 0 to n-1; `needs` lists pairs [a, b]: course b can be taken only in a later
semester than a. Pairs may repeat. At most `limit` courses fit into one semester; `limit` = 0
means any number. In each semester take the courses that are possible, smallest numbers first,
up to the limit. Return the number of semesters that this takes, or -1 if some course can never
be taken.""",
        public=[
            ([3, [[0, 2], [1, 2]], 0], 2),
            ([3, [[0, 2], [1, 2]], 1], 3),
            ([2, [[0, 1], [1, 0]], 0], -1),
        ],
        private=[
            [0, [], 0],
            [1, [], 1],
            [1, [[0, 0]], 0],
            [4, [[0, 1], [1, 2], [2, 3], [0, 3]], 0],
            [5, [], 2],
            [5, [], 0],
            [4, [[0, 1], [1, 2], [2, 3]], 0],
            [4, [[0, 1], [0, 1], [0, 2], [1, 3], [2, 3]], 0],
            [6, [[3, 0], [4, 0], [5, 1], [0, 2]], 2],
            [5, [[4, 3], [3, 2], [2, 1], [1, 0]], 3],
            [4, [[0, 1], [2, 3], [3, 2]], 0],
            [7, [[6, 0], [6, 1], [0, 2], [1, 2], [3, 4]], 1],
            [20, [[i, i + 3] for i in range(0, 17, 2)], 3],
        ],
        reference=(
            ref := r"""def semesters(n: int, needs: list[list[int]], limit: int) -> int:
    before = [set() for _ in range(n)]
    for a, b in needs:
        before[b].add(a)
    done = set()
    count = 0
    while len(done) < n:
        now = [c for c in range(n) if c not in done and before[c] <= done]
        if not now:
            return -1
        done |= set(now[: limit or n])
        count += 1
    return count
"""
        ),
        wrong=[
            ref.replace("now[: limit or n]", "now"),
            ref.replace("now[: limit or n]", "now[-(limit or n) :]"),
            ref.replace("before[b].add(a)", "before[b] = {a}"),
            ref.replace("if c not in done and", "if c not in done and c >= count and"),
        ],
        entry_point="semesters",
    ),
]
