"""Hard functions: graphs, grids, histograms, parsing, backtracking."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/infix-value",
        difficulty="hard",
        title="Value of an arithmetic expression",
        statement="Return the value of the arithmetic expression in the string `s`. It consists of "
        "non-negative integers, the operators +, - and *, parentheses, and spaces, which are "
        "ignored. * binds tighter than + and -; operators of equal rank are applied from left to "
        "right. A minus sign is never unary. The expression is valid. Do not use `eval`.",
        entry_point="value",
        public=[(["1 + 2 * 3"], 7), (["(1 + 2) * 3"], 9), (["10-3-2"], 5)],
        private=[
            ["7"],
            ["((42))"],
            ["2*3*4"],
            ["2 * 3 - 4 * 5"],
            ["8-(3-2)"],
            ["2*(3+4)*5"],
            ["100-20*(3-1)-5"],
            ["(1+(2*(3-(4-5))))"],
            [" 12 * 12 "],
            ["0-5*2"],
        ],
        reference="""\
import re


def value(s: str) -> int:
    tokens = re.findall(r"\\d+|[-+*()]", s)[::-1]

    def factor() -> int:
        token = tokens.pop()
        if token != "(":
            return int(token)
        inner = total()
        tokens.pop()
        return inner

    def product() -> int:
        result = factor()
        while tokens and tokens[-1] == "*":
            tokens.pop()
            result *= factor()
        return result

    def total() -> int:
        result = product()
        while tokens and tokens[-1] in "+-":
            sign = 1 if tokens.pop() == "+" else -1
            result += sign * product()
        return result

    return total()
""",
        wrong=[
            """\
import re


def value(s):
    tokens = re.findall(r"\\d+|[-+*()]", s)[::-1]

    def factor():
        token = tokens.pop()
        if token != "(":
            return int(token)
        inner = total()
        tokens.pop()
        return inner

    def total():
        result = factor()
        while tokens and tokens[-1] in "+-*":
            op, b = tokens.pop(), factor()
            result = result + b if op == "+" else result - b if op == "-" else result * b
        return result

    return total()
""",
            """\
import re


def value(s):
    tokens = re.findall(r"\\d+|[-+*()]", s)[::-1]

    def factor():
        token = tokens.pop()
        if token != "(":
            return int(token)
        inner = total()
        tokens.pop()
        return inner

    def product():
        result = factor()
        while tokens and tokens[-1] == "*":
            tokens.pop()
            result *= factor()
        return result

    def total():
        result = product()
        if tokens and tokens[-1] in "+-":
            sign = 1 if tokens.pop() == "+" else -1
            result += sign * total()
        return result

    return total()
""",
            """\
def value(s):
    s = s.replace("(", "").replace(")", "").replace(" ", "")
    total = 0
    for term in s.replace("-", "+-").split("+"):
        product = 1
        for n in term.split("*"):
            product *= int(n)
        total += product
    return total
""",
        ],
    ),
    P(
        id="builtin/cheapest-path",
        difficulty="hard",
        title="Cheapest path through a grid",
        statement="`grid` is a non-empty list of rows of equal length of integers from 0 to 100, "
        "the cost of entering each cell. Start in the top left cell and reach the bottom right "
        "cell, moving one cell up, down, left or right at a time. The cost of a path is the sum "
        "over all its cells, start and end included. Return the smallest cost. The grid has at "
        "most 20 rows and columns.",
        entry_point="cheapest",
        public=[
            ([[[1, 9], [1, 1]]], 3),
            ([[[5]]], 5),
            ([[[1, 2, 3]]], 6),
        ],
        private=[
            [[[0]]],
            [[[1], [2], [3]]],
            [[[1, 3, 1], [1, 5, 1], [4, 2, 1]]],
            [[[1, 1, 1], [9, 9, 1], [1, 1, 1], [1, 9, 9], [1, 1, 1]]],
            [[[0, 9, 0, 0, 0], [0, 9, 0, 9, 0], [0, 0, 0, 9, 0]]],
            [[[2, 7, 1], [8, 2, 8], [1, 8, 2]]],
            [[[1, 2], [1, 1]]],
            [[[3, 1, 50], [1, 1, 50], [50, 1, 4]]],
            [[[(i * 17 + j * 31 + i * j) % 23 for j in range(12)] for i in range(12)]],
            [
                [
                    [
                        0 if i % 4 == 0 or (i % 2 == 0) or j == (11 if i % 4 == 1 else 0) else 60
                        for j in range(12)
                    ]
                    for i in range(11)
                ]
            ],
        ],
        reference="""\
import heapq


def cheapest(grid: list[list[int]]) -> int:
    heap = [(grid[0][0], 0, 0)]
    done = set()
    while heap:
        cost, i, j = heapq.heappop(heap)
        if (i, j) in done:
            continue
        done.add((i, j))
        if (i, j) == (len(grid) - 1, len(grid[0]) - 1):
            return cost
        for x, y in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            if 0 <= x < len(grid) and 0 <= y < len(grid[0]):
                heapq.heappush(heap, (cost + grid[x][y], x, y))
    return -1
""",
        wrong=[
            """\
def cheapest(grid):
    row = [0] + [10**9] * (len(grid[0]) - 1)
    for line in grid:
        for j, cost in enumerate(line):
            row[j] = min(row[j], row[j - 1] if j else 10**9) + cost
    return row[-1]
""",
            """\
def cheapest(grid):
    i = j = 0
    total = grid[0][0]
    while (i, j) != (len(grid) - 1, len(grid[0]) - 1):
        down = grid[i + 1][j] if i + 1 < len(grid) else 10**9
        right = grid[i][j + 1] if j + 1 < len(grid[0]) else 10**9
        if down <= right:
            i += 1
        else:
            j += 1
        total += grid[i][j]
    return total
""",
            """\
import heapq


def cheapest(grid):
    heap = [(0, 0, 0)]
    done = set()
    while heap:
        cost, i, j = heapq.heappop(heap)
        if (i, j) in done:
            continue
        done.add((i, j))
        if (i, j) == (len(grid) - 1, len(grid[0]) - 1):
            return cost
        for x, y in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            if 0 <= x < len(grid) and 0 <= y < len(grid[0]):
                heapq.heappush(heap, (cost + grid[x][y], x, y))
""",
        ],
    ),
    P(
        id="builtin/task-order",
        difficulty="hard",
        title="Order of tasks",
        statement="Tasks are numbered from 0 to `n` - 1 (0 <= n <= 200). `before` is a list of "
        "pairs `[a, b]`: task a has to be done before task b; a pair may be repeated. Return the "
        "order of all tasks that respects every pair and is smallest when compared element by "
        "element (among possible first tasks the smallest, and so on). If no order is possible, "
        "return an empty list.",
        entry_point="order",
        public=[
            ([3, [[2, 0]]], [1, 2, 0]),
            ([2, [[0, 1], [1, 0]]], []),
            ([3, []], [0, 1, 2]),
        ],
        private=[
            [0, []],
            [1, []],
            [1, [[0, 0]]],
            [4, [[3, 2], [2, 1], [1, 0]]],
            [4, [[1, 0], [3, 0]]],
            [5, [[4, 0], [4, 1], [0, 2]]],
            [4, [[0, 1], [0, 1], [1, 3]]],
            [5, [[0, 1], [1, 2], [2, 0]]],
            [6, [[5, 0], [3, 1], [0, 4], [1, 4]]],
            [5, [[0, 4], [4, 1]]],
        ],
        reference="""\
import heapq


def order(n: int, before: list[list[int]]) -> list[int]:
    waits = [0] * n
    after: list[list[int]] = [[] for _ in range(n)]
    for a, b in before:
        after[a].append(b)
        waits[b] += 1
    ready = [t for t in range(n) if not waits[t]]
    result = []
    while ready:
        task = heapq.heappop(ready)
        result.append(task)
        for b in after[task]:
            waits[b] -= 1
            if not waits[b]:
                heapq.heappush(ready, b)
    return result if len(result) == n else []
""",
        wrong=[
            """\
def order(n, before):
    waits = [0] * n
    after = [[] for _ in range(n)]
    for a, b in before:
        after[a].append(b)
        waits[b] += 1
    ready = [t for t in range(n) if not waits[t]]
    for task in ready:
        for b in after[task]:
            waits[b] -= 1
            if not waits[b]:
                ready.append(b)
    return ready if len(ready) == n else []
""",
            """\
import heapq


def order(n, before):
    waits = [0] * n
    after = [[] for _ in range(n)]
    for a, b in before:
        after[a].append(b)
        waits[b] += 1
    ready = [t for t in range(n) if not waits[t]]
    result = []
    while ready:
        task = heapq.heappop(ready)
        result.append(task)
        for b in after[task]:
            waits[b] -= 1
            if not waits[b]:
                heapq.heappush(ready, b)
    return result
""",
            """\
def order(n, before):
    depth = [0] * n
    for _ in range(n + 1):
        changed = False
        for a, b in before:
            if depth[b] < depth[a] + 1:
                depth[b] = depth[a] + 1
                changed = True
        if not changed:
            return sorted(range(n), key=lambda t: (depth[t], t))
    return []
""",
            """\
import heapq


def order(n, before):
    waits = [0] * n
    after = [set() for _ in range(n)]
    for a, b in before:
        after[a].add(b)
        waits[b] += 1
    ready = [t for t in range(n) if not waits[t]]
    result = []
    while ready:
        task = heapq.heappop(ready)
        result.append(task)
        for b in after[task]:
            waits[b] -= 1
            if not waits[b]:
                heapq.heappush(ready, b)
    return result if len(result) == n else []
""",
        ],
    ),
]
