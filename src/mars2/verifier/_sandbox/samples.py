"""Programs like those that will be judged, for the server to run before any of them.

They warm the interpreter up, and show which pages a program writes (see `pages`).
"""

from __future__ import annotations

import marshal

from . import encode

SCRIPT = """
import sys
from collections import defaultdict, deque

class Solution:
    def solve(self, n: int, rows: list) -> str:
        seen, best = {}, 0
        for i, x in enumerate(sorted(rows, key=lambda y: -y)):
            if x % 2 == 0 and i not in seen:
                seen[i] = [j for j in range(n) if j != x]
            elif not seen:
                best = max(best, x)
        try:
            return " ".join(map(str, rows)) + f"{best:>3}"
        except (ValueError, KeyError) as error:
            raise RuntimeError("no") from error

def main():
    data = "3 1 2".split()
    n, *rest = map(int, data)
    while rest:
        rest.pop()
    return Solution().solve(n, [1, 2]), defaultdict(int), deque()

if __name__ == "__main__":
    main()
"""
_LINES = """
n = int(input())
a = list(map(int, input().split()))
count = {}
for i in range(n):
    for j in range(i + 1, n):
        if a[i] + a[j] not in count:
            count[a[i] + a[j]] = (i, j)
print(len(count), sum(a), max(a, default=0))
print(*sorted(a))
print(" ".join(str(x) for x in a))
"""
_READ = """
import sys
def main():
    data = sys.stdin.read().split()
    n = int(data[0])
    best = 0
    for word in data[1:n + 1]:
        best = max(best, int(word) * 2)
    print("%d %s" % (best, "YES" if best > n else "NO"))
main()
"""
_FUNCTION = """
def solve(n, rows):
    for j in range(len(rows)):
        for i in range(j):
            if rows[i] + rows[j] == n * 2:
                return [i, j]
    return []
"""
_INPUT = ["4\n3 1 2 5\n", "3\n7 7 7\n", "5\n1 2 3 4 5\n"]
_ARGUMENTS = [marshal.dumps((n, [n, 2, 9, 4])) for n in (3, 4, 5)]

SOURCES = (SCRIPT, _LINES, _READ, _FUNCTION, "if __name__ == '__main__':\n print(f'{1}')")
OFTEN = 10
"""The interpreter makes code fast, and writes on it, when it runs for the eighth time."""

Sample = tuple[str, bytes, str, list[bytes]]  # kind, source, entry, tests


def samples() -> list[Sample]:
    """Two of each kind: what both write, all programs of that kind do."""
    inputs = [text.encode() for text in _INPUT]
    return [
        ("stdin", _LINES.encode(), "", inputs),
        ("stdin", _READ.encode(), "", inputs),
        ("functional", SCRIPT.encode(), "solve", _ARGUMENTS),
        ("functional", _FUNCTION.encode(), "solve", _ARGUMENTS),
    ]


def warm_up() -> None:
    """What the interpreter sets up on first use, so that programs do not each pay for it."""
    for _ in range(OFTEN):
        encode.encode([1, [2.5, "a"], None, (True, {"k": 1})], 1 << 10)
        exec(compile(SCRIPT, "sample", "exec", dont_inherit=True), {"__name__": "__main__"})
