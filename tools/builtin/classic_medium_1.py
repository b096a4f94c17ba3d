"""Classic medium functions, part 1: from "The slowest pump" to "The odd one among triplets"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/slowest-pump",
        difficulty="medium",
        title="The slowest pump",
        statement="""\
`tanks` lists the litres in each tank (positive integers, possibly none). A pump that moves r
litres an hour works on one tank at a time; a started hour belongs to one tank even if it runs
empty early. Return the smallest whole r >= 1 with which all tanks can be emptied within
`hours` hours (an integer >= 0), or -1 if no r is enough. If there are no tanks, return 1.""",
        public=[([[3, 6, 7, 11], 8], 4), ([[5], 5], 1), ([[4, 4, 4], 2], -1)],
        private=[
            [[], 0],
            [[1], 0],
            [[1], 1],
            [[30, 11, 23, 4, 20], 5],
            [[30, 11, 23, 4, 20], 6],
            [[10, 10], 3],
            [[7, 7, 7], 100],
            [[1000000000], 2],
            [[1000000000, 1], 1000000000],
            [[312884470], 312884469],
            [[2, 2], 2],
        ],
        reference=(
            ref := r"""def pump(tanks: list[int], hours: int) -> int:
    if len(tanks) > hours:
        return -1
    low, high = 1, max(tanks, default=1)
    while low < high:
        rate = (low + high) // 2
        if sum((t + rate - 1) // rate for t in tanks) <= hours:
            high = rate
        else:
            low = rate + 1
    return low
"""
        ),
        wrong=[
            ref.replace("(t + rate - 1) // rate", "t // rate + 1"),
            r"""def pump(tanks, hours):
    if len(tanks) > hours:
        return -1
    return max(1, -(-sum(tanks) // max(hours, 1)))
""",
            ref.replace("<= hours:", "< hours:"),
            ref.replace("    if len(tanks) > hours:\n        return -1\n", ""),
            ref.replace("len(tanks) > hours", "len(tanks) >= hours"),
        ],
        entry_point="pump",
    ),
    P(
        id="builtin/find-in-rotated",
        difficulty="medium",
        title="Find in a rotated list",
        statement="""\
A sorted list of integers, in which values may repeat, was rotated: some number of items,
possibly none, moved from its front to its end. Return the list `[i, n]` where n is how often
`target` occurs in it and i is the smallest index *in the sorted order before the rotation* at
which it would stand (0 for a target smaller than everything). The rotated list may be empty.""",
        public=[([[4, 5, 1, 2, 2], 2], [1, 2]), ([[3, 1, 2], 0], [0, 0]), ([[], 7], [0, 0])],
        private=[
            [[1], 1],
            [[1], 2],
            [[2, 1], 2],
            [[5, 6, 7, 1, 3], 4],
            [[2, 2, 2, 2], 2],
            [[2, 0, 2, 2, 2], 2],
            [[2, 2, 0, 2], 1],
            [[-1, 5, -9, -9, -3], -9],
            [[1, 2, 3, 4, 5], 9],
            [[*range(50, 100), *range(50)], 73],
        ],
        reference=r"""def find(items: list[int], target: int) -> list[int]:
    return [sum(x < target for x in items), items.count(target)]
""",
        wrong=[
            r"""def find(items, target):
    return [items.index(target) if target in items else 0, items.count(target)]
""",
            r"""def find(items, target):
    return [sum(x <= target for x in items), items.count(target)]
""",
            r"""def find(items, target):
    cut = 0
    while cut + 1 < len(items) and items[cut] < items[cut + 1]:
        cut += 1
    items = items[cut + 1 :] + items[: cut + 1]
    i = 0
    while i < len(items) and items[i] < target:
        i += 1
    return [i, items.count(target)]
""",
            r"""def find(items, target):
    if target not in items:
        return [0, 0]
    return [sum(x < target for x in items), items.count(target)]
""",
        ],
        entry_point="find",
    ),
    P(
        id="builtin/triples-with-total",
        difficulty="medium",
        title="Triples with a total",
        statement="""\
Return all different triples [a, b, c] with a <= b <= c and a + b + c == `total` that can be
made of three items at different positions of `items` (integers in any order, possibly
repeated, at most 200). Each triple of values appears once; order the result lexicographically.""",
        public=[
            ([[-1, 0, 1, 2, -1, -4], 0], [[-1, -1, 2], [-1, 0, 1]]),
            ([[1, 1], 2], []),
            ([[2, 2, 2, 2], 6], [[2, 2, 2]]),
        ],
        private=[
            [[], 0],
            [[0, 0, 0], 0],
            [[0, 0], 0],
            [[3, 1, 2], 6],
            [[3, 1, 2], 7],
            [[1, 1, 4, 4], 6],
            [[1, 4, 1, 4, 4], 9],
            [[5, -5, 0, 10, -10, 5, -5], 0],
            [[2, 2, 5], 6],
            [[-3, -2, -1, 0, 1, 2, 3, -3], -4],
            [[i * 7 % 31 - 15 for i in range(40)], 3],
        ],
        reference=r"""def triples(items: list[int], total: int) -> list[list[int]]:
    items = sorted(items)
    found = set()
    for i in range(len(items)):
        seen = set()
        for c in items[i + 1 :]:
            b = total - items[i] - c
            if b in seen:
                found.add((items[i], b, c))
            seen.add(c)
    return [list(t) for t in sorted(found)]
""",
        wrong=[
            r"""def triples(items, total):
    items = sorted(items)
    out = []
    for i in range(len(items)):
        for j in range(i + 1, len(items)):
            for k in range(j + 1, len(items)):
                if items[i] + items[j] + items[k] == total:
                    out.append([items[i], items[j], items[k]])
    return out
""",
            r"""def triples(items, total):
    values = sorted(set(items))
    out = []
    for i, a in enumerate(values):
        for j in range(i + 1, len(values)):
            c = total - a - values[j]
            if c in values and c > values[j]:
                out.append([a, values[j], c])
    return out
""",
            r"""def triples(items, total):
    values = set(items)
    out = set()
    for a in values:
        for b in values:
            c = total - a - b
            if c in values and a <= b <= c:
                out.add((a, b, c))
    return [list(t) for t in sorted(out)]
""",
        ],
        entry_point="triples",
    ),
    P(
        id="builtin/cheapest-menus",
        difficulty="medium",
        title="The cheapest menus",
        statement="""\
A menu is one starter and one main course. `starters` and `mains` list prices (integers,
possibly negative because of vouchers, in any order, each at most 100 long). Two menus are
different if they take different positions, even when prices are equal. Return the total prices
of the `k` cheapest menus in increasing order (all of them if there are fewer than k; k >= 0).""",
        public=[([[1, 7], [2, 4], 3], [3, 5, 9]), ([[1, 1], [1], 5], [2, 2]), ([[], [4], 2], [])],
        private=[
            [[1], [1], 0],
            [[5], [5], 1],
            [[3, 1, 2], [30, 10, 20], 4],
            [[-5, 5], [-1, 1], 3],
            [[1, 1, 1], [2, 2], 5],
            [[1, 100], [1, 2, 3, 4], 4],
            [[1, 2, 3, 4], [1, 100], 6],
            [[10, 9, 8], [0], 2],
            [[i * 37 % 101 for i in range(100)], [i * 53 % 97 for i in range(100)], 30],
            [[0, 0], [0, 0], 10],
        ],
        reference=(
            ref := r"""def menus(starters: list[int], mains: list[int], k: int) -> list[int]:
    return sorted(a + b for a in starters for b in mains)[:k]
"""
        ),
        wrong=[
            ref.replace(
                "sorted(a + b for a in starters for b in mains)",
                "sorted({a + b for a in starters for b in mains})",
            ),
            r"""def menus(starters, mains, k):
    starters, mains = sorted(starters), sorted(mains)
    out = []
    i = j = 0
    while len(out) < k and i < len(starters) and j < len(mains):
        out.append(starters[i] + mains[j])
        if i + 1 < len(starters) and (j + 1 == len(mains) or starters[i + 1] <= mains[j + 1]):
            i += 1
        else:
            j += 1
    return out
""",
            r"""def menus(starters, mains, k):
    return sorted(a + b for a, b in zip(sorted(starters), sorted(mains)))[:k]
""",
            ref.replace("[:k]", "[:k] or [0]"),
        ],
        entry_point="menus",
    ),
    P(
        id="builtin/all-in-touch",
        difficulty="medium",
        title="All in touch",
        statement="""\
People 0 to n-1 meet over time: `meetings` is a list of [time, a, b] in any order; from that
time on a and b are in touch, and so is everybody with those their contacts are in touch with.
Return the list `[t, g]`: t is the earliest time at which all n people are one group (0 if n <=
1, -1 if that never happens) and g the number of groups after all meetings.""",
        public=[
            ([3, [[5, 0, 1], [2, 1, 2]]], [5, 1]),
            ([4, [[1, 0, 1], [1, 2, 3]]], [-1, 2]),
            ([1, []], [0, 1]),
        ],
        private=[
            [0, []],
            [2, []],
            [4, [[1, 0, 1], [2, 0, 2], [3, 1, 2]]],
            [2, [[7, 1, 0], [3, 0, 1]]],
            [3, [[1, 0, 1], [2, 1, 0], [3, 0, 0]]],
            [4, [[9, 3, 2], [8, 1, 0], [1, 0, 2], [10, 3, 0]]],
            [5, [[5, 0, 1], [4, 1, 2], [3, 2, 3], [2, 3, 4], [1, 4, 0]]],
            [5, [[1, 1, 2], [2, 3, 4], [3, 2, 3], [4, 1, 4]]],
            [4, [[-5, 0, 1], [-3, 1, 2], [-4, 2, 3]]],
            [1, [[3, 0, 0]]],
            [30, [[i * 17 % 31, i, (i + 1) % 30] for i in range(29)]],
            [6, [[1, 0, 1], [2, 2, 1], [3, 3, 1], [4, 4, 1], [5, 5, 1]]],
        ],
        reference=(
            ref := r"""def all_in_touch(n: int, meetings: list[list[int]]) -> list[int]:
    root = list(range(n))

    def find(x):
        while root[x] != x:
            x = root[x]
        return x

    groups = n
    first = 0 if n <= 1 else None
    for time, a, b in sorted(meetings):
        if find(a) != find(b):
            root[find(a)] = find(b)
            groups -= 1
            if groups == 1:
                first = time
    return [-1 if first is None else first, groups]
"""
        ),
        wrong=[
            ref.replace("sorted(meetings)", "meetings"),
            ref.replace("root[find(a)] = find(b)", "root[a] = find(b)"),
            ref.replace("first is None", "not first and n > 1").replace(
                "first = time", "first = max(0, time)"
            ),
            ref.replace("        if find(a) != find(b):\n", "        if a != b:\n"),
            r"""def all_in_touch(n, meetings):
    if n <= 1:
        return [0, n]
    met = set()
    for time, a, b in sorted(meetings):
        met |= {a, b}
        if len(met) == n:
            return [time, 1]
    return [-1, n - len(met) + 1]
""",
        ],
        entry_point="all_in_touch",
    ),
    P(
        id="builtin/odd-among-thrice",
        difficulty="medium",
        title="The odd one among triplets",
        statement="""\
Every value in `items` (integers between -2^31 and 2^31 - 1) occurs a multiple of three times,
except exactly one value, which occurs once or twice more than a multiple of three. Return
`[value, extra]` with extra 1 or 2.""",
        public=[([[5, 5, 9, 5]], [9, 1]), ([[-2, 4, 4, -2, 4]], [-2, 2])],
        private=[
            [[0]],
            [[0, 0]],
            [[7, 7, 7, 7]],
            [[1, 1, 1, 1, 1]],
            [[-1, -1, -1, -5]],
            [[-2147483648, 2147483647, 2147483647, 2147483647]],
            [[2147483647, 3, 3, 2147483647, 3]],
            [[0, 6, 6, 6, 0, 6, 6, 6]],
            [[4, -4, 4, -4, 4, -4, -4]],
            [[*range(60), *range(60), *range(60), 31, 31]],
        ],
        reference=r"""def odd_one(items: list[int]) -> list[int]:
    for value in items:
        if items.count(value) % 3:
            return [value, items.count(value) % 3]
    return []
""",
        wrong=[
            r"""def odd_one(items):
    for value in items:
        if items.count(value) < 3:
            return [value, items.count(value)]
    return [items[0], len(items) % 3]
""",
            r"""def odd_one(items):
    value = (3 * sum(set(items)) - sum(items)) // 2
    return [value, items.count(value) % 3]
""",
            r"""def odd_one(items):
    value = 0
    for bit in range(31):
        if sum(x >> bit & 1 for x in items) % 3:
            value |= 1 << bit
    return [value, items.count(value) % 3]
""",
            r"""def odd_one(items):
    value = 0
    for x in items:
        value ^= x
    return [value, items.count(value) % 3]
""",
        ],
        entry_point="odd_one",
    ),
]
