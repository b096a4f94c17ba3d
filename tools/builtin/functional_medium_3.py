"""Medium functions: grids, windows, number bases, nested lists."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/spiral-order",
        difficulty="medium",
        title="Spiral order",
        statement="`grid` is a list of rows of equal length, each a list of integers. Return all "
        "its elements in spiral order: from the top left corner to the right, down, to the left, "
        "up, and so on inward. An empty grid gives an empty list.",
        entry_point="spiral",
        public=[
            ([[[1, 2], [3, 4]]], [1, 2, 4, 3]),
            ([[]], []),
            ([[[1, 2, 3]]], [1, 2, 3]),
        ],
        private=[
            [[[7]]],
            [[[1], [2], [3]]],
            [[[1, 2, 3], [4, 5, 6]]],
            [[[1, 2], [3, 4], [5, 6]]],
            [[[1, 2, 3], [4, 5, 6], [7, 8, 9]]],
            [[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]],
            [[[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]],
            [[[1, 1], [1, 1]]],
        ],
        reference="""\
def spiral(grid: list[list[int]]) -> list[int]:
    result: list[int] = []
    while grid:
        result += grid[0]
        grid = [list(column) for column in zip(*grid[1:])][::-1]
    return result
""",
        wrong=[
            """\
def spiral(grid):
    result = []
    while grid:
        result += grid[0]
        grid = [list(column)[::-1] for column in zip(*grid[1:])]
    return result
""",
            """\
def spiral(grid):
    result = []
    for i, row in enumerate(grid):
        result += row if i % 2 == 0 else row[::-1]
    return result
""",
            """\
def spiral(grid):
    if not grid:
        return []
    top, left, bottom, right = 0, 0, len(grid) - 1, len(grid[0]) - 1
    result = []
    while top <= bottom and left <= right:
        result += [grid[top][j] for j in range(left, right + 1)]
        result += [grid[i][right] for i in range(top + 1, bottom + 1)]
        result += [grid[bottom][j] for j in range(right - 1, left - 1, -1)]
        result += [grid[i][left] for i in range(bottom - 1, top, -1)]
        top, left, bottom, right = top + 1, left + 1, bottom - 1, right - 1
    return result
""",
        ],
    ),
    P(
        id="builtin/next-greater",
        difficulty="medium",
        title="Next greater element",
        statement="For each element of the list of integers `numbers` find the nearest later "
        "element that is strictly greater. Return the list of these elements, with -1 where there "
        "is none. All numbers are at least 0.",
        entry_point="next_greater",
        public=[
            ([[2, 1, 3]], [3, 3, -1]),
            ([[]], []),
            ([[5, 5]], [-1, -1]),
        ],
        private=[
            [[7]],
            [[1, 2, 3, 4]],
            [[4, 3, 2, 1]],
            [[2, 2, 3]],
            [[4, 1, 2, 6, 5]],
            [[6, 8, 0, 1, 3]],
            [[1, 9, 2, 3]],
            [[3, 1, 1, 2, 0, 4]],
        ],
        reference="""\
def next_greater(numbers: list[int]) -> list[int]:
    result = [-1] * len(numbers)
    waiting: list[int] = []
    for i, n in enumerate(numbers):
        while waiting and numbers[waiting[-1]] < n:
            result[waiting.pop()] = n
        waiting.append(i)
    return result
""",
        wrong=[
            """\
def next_greater(numbers):
    result = []
    for i, n in enumerate(numbers):
        result.append(max([m for m in numbers[i + 1:] if m > n], default=-1))
    return result
""",
            """\
def next_greater(numbers):
    pairs = zip(numbers, numbers[1:] + [-1])
    return [b if b > a else -1 for a, b in pairs]
""",
            """\
def next_greater(numbers):
    result = [-1] * len(numbers)
    waiting = []
    for i, n in enumerate(numbers):
        while waiting and numbers[waiting[-1]] <= n:
            result[waiting.pop()] = n
        waiting.append(i)
    return result
""",
            """\
def next_greater(numbers):
    return [min([m for m in numbers[i + 1:] if m > n], default=-1)
            for i, n in enumerate(numbers)]
""",
        ],
    ),
    P(
        id="builtin/to-base",
        difficulty="medium",
        title="Write in another base",
        statement="Return the integer `n` written in base `base` (from 2 to 16) as a string, with "
        "the digits 0-9 and the small letters a-f. 0 is written `0`; a negative number begins "
        "with a minus sign.",
        entry_point="to_base",
        public=[([10, 2], "1010"), ([255, 16], "ff"), ([0, 5], "0")],
        private=[
            [1, 2],
            [-10, 2],
            [7, 7],
            [6, 7],
            [100, 10],
            [-255, 16],
            [4095, 16],
            [59, 3],
            [0, 2],
        ],
        reference="""\
def to_base(n: int, base: int) -> str:
    digits = ""
    rest = abs(n)
    while rest:
        digits = "0123456789abcdef"[rest % base] + digits
        rest //= base
    return "-" * (n < 0) + (digits or "0")
""",
        wrong=[
            """\
def to_base(n, base):
    digits = ""
    rest = abs(n)
    while rest:
        digits = "0123456789abcdef"[rest % base] + digits
        rest //= base
    return "-" * (n < 0) + digits
""",
            """\
def to_base(n, base):
    digits = ""
    rest = abs(n)
    while rest:
        digits += "0123456789abcdef"[rest % base]
        rest //= base
    return "-" * (n < 0) + (digits or "0")
""",
            """\
def to_base(n, base):
    digits = ""
    rest = abs(n)
    while rest:
        digits = str(rest % base) + digits
        rest //= base
    return "-" * (n < 0) + (digits or "0")
""",
            """\
def to_base(n, base):
    digits = ""
    rest = abs(n)
    while rest:
        digits = "0123456789abcdef"[rest % base] + digits
        rest //= base
    return digits or "0"
""",
        ],
    ),
    P(
        id="builtin/count-islands",
        difficulty="medium",
        title="Count the islands",
        statement="`grid` is a list of strings of equal length; `#` is land and `.` is water. "
        "Cells are neighbours if they share a side (not just a corner). An island is a maximal set "
        "of land cells connected through neighbours. Return the number of islands. The grid may be "
        "empty and has at most 20 rows and columns.",
        entry_point="islands",
        public=[([["##.", "..#"]], 2), ([[]], 0), ([["..", ".."]], 0)],
        private=[
            [["#"]],
            [["#.", ".#"]],
            [["###", "#.#", "###"]],
            [["#.#", "#.#", "###"]],
            [["#.#.#"]],
            [["#", ".", "#", "#"]],
            [["#####", "#...#", "#.#.#", "#...#", "#####"]],
            [[".#.", "###", ".#."]],
            [["#..#", "....", "#..#"]],
            [["..#", ".##", "##."]],
        ],
        reference="""\
def islands(grid: list[str]) -> int:
    land = {(i, j) for i, row in enumerate(grid) for j, c in enumerate(row) if c == "#"}
    count = 0
    while land:
        count += 1
        todo = [land.pop()]
        while todo:
            i, j = todo.pop()
            for cell in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                if cell in land:
                    land.remove(cell)
                    todo.append(cell)
    return count
""",
        wrong=[
            """\
def islands(grid):
    land = {(i, j) for i, row in enumerate(grid) for j, c in enumerate(row) if c == "#"}
    count = 0
    while land:
        count += 1
        todo = [land.pop()]
        while todo:
            i, j = todo.pop()
            for cell in [(i + a, j + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]:
                if cell in land:
                    land.remove(cell)
                    todo.append(cell)
    return count
""",
            """\
def islands(grid):
    count = 0
    for i, row in enumerate(grid):
        for j, c in enumerate(row):
            if c == "#" and not (i and grid[i - 1][j] == "#") and not (j and row[j - 1] == "#"):
                count += 1
    return count
""",
            """\
def islands(grid):
    return sum(len([part for part in row.split(".") if part]) for row in grid)
""",
            """\
def islands(grid):
    return sum(row.count("#") for row in grid)
""",
        ],
    ),
]
