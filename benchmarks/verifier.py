"""How many verdicts a second: this verifier against LiveCodeBench's official checker.

The same right programs on the same tests in the same run, both with two workers, rounds taken in
turn; full isolation on ours, no cache. Besides: what one process can do at best (a bare fork and
exit of a small Python). Needs the official checker:

    pip install numpy tqdm && pip install --no-deps nvidia-livecodebench
    python benchmarks/verifier.py [--rounds 3] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import sys
import time
import types
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

from mars2.config import VerifierConfig
from mars2.types import FunctionalTest, Problem, StdinTest
from mars2.verifier import Verifier, isolation_level

WORKERS = 2
SORT = """
import sys
def main():
    data = sys.stdin.read().split()
    n = int(data[0])
    a = sorted(map(int, data[1:n + 1]))
    print(sum(a), a[-1])
    print(*a)
if __name__ == "__main__":
    main()
"""
COUNT = """
from collections import Counter
n = int(input())
a = list(map(int, input().split()))
counts = Counter(a)
a.sort()
print(sum(a), max(a))
print(" ".join(str(x) for x in a))
"""
LOOP = """
n = int(input())
a = [int(x) for x in input().split()]
for i in range(n):
    for j in range(n - 1):
        if a[j] > a[j + 1]:
            a[j], a[j + 1] = a[j + 1], a[j]
total = 0
for x in a:
    total += x
print(total, a[n - 1])
print(*a)
"""
METHOD = """
class Solution:
    def twoSum(self, nums: List[int], target: int) -> List[int]:
        seen = {}
        for i, x in enumerate(nums):
            if target - x in seen:
                return [seen[target - x], i]
            seen[x] = i
        return []
"""
BARE = """
def twoSum(nums, target):
    for j in range(len(nums)):
        for i in range(j):
            if nums[i] + nums[j] == target:
                return [i, j]
    return []
"""


def stdin_problem(tests: int) -> Problem:
    """Sum, maximum and sorted list of 20 numbers."""
    cases = []
    for k in range(tests):
        a = [(j * 7919 + k * 31) % 1000 for j in range(20)]
        shown = sorted(a)
        expected = f"{sum(a)} {shown[-1]}\n{' '.join(map(str, shown))}\n"
        cases.append(StdinTest(input=f"20\n{' '.join(map(str, a))}\n", expected=expected))
    return Problem(id=f"stdin-{tests}", statement="", private_tests=cases)


def function_problem(tests: int) -> Problem:
    """Two numbers with a given sum."""
    cases = []
    for k in range(tests):
        nums = [(j * j * 31 + 17 * k) % 9973 for j in range(20)]
        space: dict[str, Any] = {}
        exec(BARE, space)
        target = nums[5] + nums[12]
        cases.append(FunctionalTest(args=[nums, target], expected=space["twoSum"](nums, target)))
    return Problem(id="functional", statement="", entry_point="twoSum", private_tests=cases)


def official_sample(problem: Problem) -> dict[str, str]:
    """The problem in the official checker's format."""
    cases = problem.private_tests
    if isinstance(cases[0], StdinTest):
        inputs = [case.input for case in cases]  # type: ignore[union-attr]
        fields: dict[str, Any] = {"outputs": [c.expected for c in cases]}  # type: ignore[union-attr]
    else:
        inputs = ["\n".join(map(json.dumps, c.args)) for c in cases]  # type: ignore[union-attr]
        outputs = [json.dumps(c.expected) for c in cases]  # type: ignore[union-attr]
        fields = {"outputs": outputs, "fn_name": problem.entry_point}
    return {"input_output": json.dumps({"inputs": inputs, **fields})}


def official_checker() -> Callable[..., Any]:
    """`evaluate_generations`, without the rest of its package (which imports much more)."""
    found = util.find_spec("livecodebench")
    if found is None or not found.submodule_search_locations:
        sys.exit("the official checker is missing: pip install --no-deps nvidia-livecodebench")
    root = Path(next(iter(found.submodule_search_locations)))
    for name, path in (("livecodebench", root), ("livecodebench.evaluation", root / "evaluation")):
        module = types.ModuleType(name)
        module.__path__ = [str(path)]
        sys.modules[name] = module
    from livecodebench.evaluation import (  # type: ignore[import-not-found]
        compute_code_generation_metrics as official,
    )

    return official.evaluate_generations  # type: ignore[no-any-return]


def run_official(evaluate: Any, problem: Problem, programs: list[str]) -> float:
    """Seconds for all programs."""
    sample = official_sample(problem)
    started = time.perf_counter()
    # a real file: its processes ask standard error for a descriptor
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        results, _ = evaluate(
            [sample] * len(programs),
            [[program] for program in programs],
            num_process_evaluate=WORKERS,
            timeout=6,
        )
    seconds = time.perf_counter() - started
    for number, (result,) in results.items():
        if not all(value is True for value in result):
            sys.exit(f"official verdict {result} on a right program: {programs[number]}")
    return seconds


async def run_ours(verifier: Verifier, problem: Problem, programs: list[str]) -> float:
    """Seconds for all programs."""
    started = time.perf_counter()
    verdicts = await asyncio.gather(*(verifier.verify(problem, code) for code in programs))
    seconds = time.perf_counter() - started
    wrong = next((verdict for verdict in verdicts if not verdict.ok), None)
    if wrong is not None:
        sys.exit(f"we reject a right program: {wrong}")
    return seconds


def variants(programs: tuple[str, ...], count: int) -> list[str]:
    """That many different texts, taking the programs in turn."""
    return [f"{programs[k % len(programs)]}\n# {k}\n" for k in range(count)]


def floor(forks: int = 400) -> float:
    """Milliseconds of a fork and exit of a process that holds what Python needs."""
    script = (
        "import os, time\n"
        "t = time.perf_counter()\n"
        f"for _ in range({forks}):\n"
        "    pid = os.fork()\n"
        "    if pid == 0: os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        f"print((time.perf_counter() - t) / {forks} * 1000)\n"
    )
    with os.popen(f"{sys.executable} -I -S -c '{script}'") as out:
        return float(out.read())


async def measure(rounds: int, scale: float) -> dict[str, Any]:
    """All cases: verdicts per second by judge, one number a round."""
    evaluate = official_checker()
    stdin, method = (SORT, COUNT, LOOP), (METHOD, BARE)
    cases = (
        ("10 stdin tests", stdin_problem(10), stdin, 60, 900),
        ("100 stdin tests", stdin_problem(100), stdin, 16, 240),
        ("10 functional tests", function_problem(10), method, 80, 900),
    )
    rates: dict[str, dict[str, list[float]]] = {}
    floors = []
    for _ in range(rounds):
        floors.append(floor())
        for name, problem, programs, few, many in cases:
            row = rates.setdefault(name, {"official": [], "lcb": [], "native": []})
            few, many = max(4, int(few * scale)), max(20, int(many * scale))
            seconds = run_official(evaluate, problem, variants(programs, few))
            row["official"].append(few / seconds)
            for profile in ("lcb", "native"):
                config = VerifierConfig(profile=profile, workers=WORKERS, cache="off")
                async with Verifier(config) as verifier:
                    await run_ours(verifier, problem, variants(programs, 20))  # warm
                    seconds = await run_ours(verifier, problem, variants(programs, many))
                row[profile].append(many / seconds)
    return {"rates": rates, "floor_ms": floors}


def report(found: dict[str, Any]) -> str:
    """A table of medians and of the ratios' medians over the rounds."""
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"isolation {isolation_level().level}, {WORKERS} workers each, "
        f"bare fork+exit {statistics.median(found['floor_ms']):.2f} ms",
        f"{'verdicts/s':<22}{'official':>10}{'lcb':>16}{'native':>16}{'native/lcb':>12}",
    ]
    for name, row in found["rates"].items():
        cells = [f"{name:<22}{statistics.median(row['official']):>10.1f}"]
        for profile in ("lcb", "native"):
            ratio = statistics.median(
                ours / theirs for ours, theirs in zip(row[profile], row["official"], strict=True)
            )
            cells.append(f"{statistics.median(row[profile]):>9.0f} {ratio:>5.1f}x")
        share = statistics.median(n / e for n, e in zip(row["native"], row["lcb"], strict=True))
        lines.append(f"{cells[0]}{cells[1]}{cells[2]}{share:>12.2f}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="programs a round, as a factor")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(measure(options.rounds, options.scale))
    print(json.dumps(found) if options.json else report(found))


if __name__ == "__main__":
    main()
