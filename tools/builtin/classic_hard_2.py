"""Classic hard functions, part 2: from "Walk through walls" to "Signs between digits"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/walk-through-walls",
        difficulty="hard",
        title="Walk through walls",
        statement="""\
`grid` is a non-empty list of equally long strings of `.` (free) and `#` (wall); its top left
and bottom right cells are free. A step goes to a cell that shares a side. You may enter at
most `k` wall cells on your way (a cell entered again counts again). Return `[steps, walls]`:
the least number of steps from the top left to the bottom right cell, and the least number of
wall cells entered among the ways with that many steps; [-1, -1] if there is no way.""",
        public=[
            ([[".#.", ".#.", "..."], 0], [4, 0]),
            ([[".#", "#."], 0], [-1, -1]),
            ([[".#", "#."], 1], [2, 1]),
        ],
        private=[
            [["."], 0],
            [["."], 5],
            [["...#.", "#..#.", "#.###", "...##", ".####", "..#.."], 1],
            [["..#..#", "#..###", "..##.#", "###...", ".#.###", "...#.."], 2],
            [[".###."], 2],
            [[".###."], 3],
            [["...", "##.", "...", ".##", "..."], 0],
            [["...", "##.", "...", ".##", "..."], 1],
            [["...", "##.", "...", ".##", "..."], 2],
            [[".....", "####.", "....."], 1],
            [[".#...", ".#.#.", "...#."], 1],
            [[".##.", "#..#", "####", "...."], 3],
            [[".#.#.#.", "#.#.#.#", ".#.#.#."], 2],
            [[".#.#.#.", "#.#.#.#", ".#.#.#."], 4],
            [[".#........", ".########.", ".#......#.", ".#.####.#.", "...#....#."], 2],
            [["." + "#" * 14] + ["#" * 15] * 13 + ["#" * 14 + "."], 27],
        ],
        reference=(
            ref := r"""import heapq


def walk(grid: list[str], k: int) -> list[int]:
    rows, cols = len(grid), len(grid[0])
    heap = [(0, 0, 0, 0)]
    seen = set()
    while heap:
        steps, walls, i, j = heapq.heappop(heap)
        if (i, j) == (rows - 1, cols - 1):
            return [steps, walls]
        if (i, j, walls) in seen:
            continue
        seen.add((i, j, walls))
        for x, y in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            if 0 <= x < rows and 0 <= y < cols:
                through = walls + (grid[x][y] == "#")
                if through <= k:
                    heapq.heappush(heap, (steps + 1, through, x, y))
    return [-1, -1]
"""
        ),
        wrong=[
            ref.replace("(i, j, walls) in seen", "(i, j) in seen").replace(
                "seen.add((i, j, walls))", "seen.add((i, j))"
            ),
            ref.replace("through <= k", "through < k or through == walls"),
            ref.replace("(steps + 1, through, x, y)", "(steps + 1, -through, x, y)").replace(
                "steps, walls, i, j = heapq.heappop(heap)",
                "steps, walls, i, j = heapq.heappop(heap)\n        walls = -walls",
            ),
            ref.replace(
                "((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1))", "((i + 1, j), (i, j + 1))"
            ),
        ],
        entry_point="walk",
    ),
    P(
        id="builtin/city-outline",
        difficulty="hard",
        title="City outline",
        statement="""\
Each building [left, right, height] stands on a flat line (integers, left < right, height >= 1,
at most 200 buildings, in any order). Return the outline seen from afar as a list of [x, h] in
increasing x: at x the outline's height changes to h. Two neighbouring entries never have the
same h, the last entry has h = 0, and buildings that touch leave no gap. No buildings give [].""",
        public=[
            (
                [[[2, 9, 10], [3, 7, 15], [12, 15, 8]]],
                [[2, 10], [3, 15], [7, 10], [9, 0], [12, 8], [15, 0]],
            ),
            ([[[0, 2, 3], [2, 5, 3]]], [[0, 3], [5, 0]]),
            ([[]], []),
        ],
        private=[
            [[[1, 2, 1]]],
            [[[1, 2, 1], [1, 2, 2], [1, 2, 3]]],
            [[[0, 5, 7], [5, 10, 12]]],
            [[[0, 5, 12], [5, 10, 7]]],
            [[[1, 10, 5], [3, 5, 5], [4, 12, 5]]],
            [[[1, 10, 5], [3, 5, 3]]],
            [[[-5, -1, 2], [1, 4, 2]]],
            [[[5, 6, 1], [1, 2, 1], [3, 4, 1]]],
            [[[1, 5, 11], [2, 7, 6], [3, 9, 13], [12, 16, 7], [14, 25, 3], [19, 22, 18]]],
            [[[0, 3, 3], [1, 2, 9], [2, 3, 3]]],
            [[[0, 1000000000, 1], [999999999, 1000000000, 1000000000]]],
            [[[i * 7 % 90, i * 7 % 90 + i % 12 + 1, i * i % 17 + 1] for i in range(60)]],
        ],
        reference=(
            ref := r"""def outline(buildings: list[list[int]]) -> list[list[int]]:
    out = []
    for x in sorted({x for b in buildings for x in b[:2]}):
        h = max((b[2] for b in buildings if b[0] <= x < b[1]), default=0)
        if not out or out[-1][1] != h:
            out.append([x, h])
    return out
"""
        ),
        wrong=[
            ref.replace("b[0] <= x < b[1]", "b[0] <= x <= b[1]"),
            ref.replace(
                "        if not out or out[-1][1] != h:\n            out",
                "        if True:\n            out",
            ),
            ref.replace("if not out or out[-1][1] != h", "if all(h != o[1] for o in out)"),
            r"""def outline(buildings):
    out = []
    for left, right, height in sorted(buildings):
        if out and left <= out[-1][0]:
            out.pop()
        out.append([left, height])
        out.append([right, 0])
    return out
""",
            r"""def outline(buildings):
    out = []
    for x in sorted({b[0] for b in buildings} | {max((b[1] for b in buildings), default=0)}):
        h = max((b[2] for b in buildings if b[0] <= x < b[1]), default=0)
        if not out or out[-1][1] != h:
            out.append([x, h])
    return out if buildings else []
""",
        ],
        entry_point="outline",
    ),
    P(
        id="builtin/signs-between-digits",
        difficulty="hard",
        title="Signs between digits",
        statement="""\
Write `+`, `-`, `*` or nothing between the digits of `digits` (a string of 1 to 7 digits) so
that the value is `target`; `*` binds tighter than `+` and `-`, no sign stands in front, and no
number with more than one digit may start with 0. Return all such expressions as strings in the
order of Python's string comparison (`*` < `+` < `-` < digits).""",
        public=[(["123", 6], ["1*2*3", "1+2+3"]), (["105", 5], ["1*0+5", "10-5"]), (["9", 8], [])],
        private=[
            ["0", 0],
            ["00", 0],
            ["10", 10],
            ["000", 0],
            ["232", 8],
            ["12", 12],
            ["2222", 0],
            ["3456237", 9191],
            ["1234", -19],
            ["1005", 6],
            ["999999", 81],
            ["12345", 59],
        ],
        reference=(
            ref := r"""def expressions(digits: str, target: int) -> list[str]:
    out = []

    def grow(at, text, total, last):
        if at == len(digits):
            if total == target:
                out.append(text)
            return
        for end in range(at + 1, len(digits) + 1):
            part = digits[at:end]
            if len(part) > 1 and part[0] == "0":
                break
            n = int(part)
            if at == 0:
                grow(end, part, n, n)
            else:
                grow(end, text + "+" + part, total + n, n)
                grow(end, text + "-" + part, total - n, -n)
                grow(end, text + "*" + part, total - last + last * n, last * n)

    grow(0, "", 0, 0)
    return sorted(out)
"""
        ),
        wrong=[
            ref.replace(
                '            if len(part) > 1 and part[0] == "0":\n                break\n', ""
            ),
            ref.replace("total - last + last * n, last * n", "total * n, n"),
            ref.replace("total - n, -n", "total - n, n"),
            ref.replace("sorted(out)", "out"),
            ref.replace("total - last + last * n, last * n", "total - last + last * n, n"),
        ],
        entry_point="expressions",
    ),
]
