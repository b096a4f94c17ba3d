"""Which families of algorithms the builtin problems' references belong to, and what that costs.

    python benchmarks/diversity.py [--list]

Prints how many of the references belong to each family (`--list`: each program's), and the CPU time
of analysing a program and of comparing two.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from mars2.diversity.measure import analyse, tree_distances
from mars2.diversity.normal import Normal
from mars2.diversity.solutions import Solution

sys.path.insert(0, str(Path(__file__).parents[1] / "tools" / "builtin"))


def main() -> None:
    from build import load_problems

    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true", help="each program's families")
    chosen = parser.parse_args()
    programs = {p.id: p.reference for p in load_problems()}
    started = time.process_time()
    found = {id: analyse(Solution(id, "reference", code)) for id, code in programs.items()}
    analysed = time.process_time() - started
    if chosen.list:
        for id, program in found.items():
            print(f"{id:40} {' '.join(sorted(program.families)) or '-'}")
    counts = Counter(name for program in found.values() for name in program.families)
    counts["(none)"] = sum(not program.families for program in found.values())
    print(f"{len(programs)} reference programs; families (a program can have several):")
    print(", ".join(f"{name} {n}" for name, n in counts.most_common()))
    print(f"distinct approaches: {len({program.families for program in found.values()})}")
    forms = [p.normal for p in found.values() if isinstance(p.normal, Normal)]
    started = time.process_time()
    distances = tree_distances(forms)
    compared = time.process_time() - started
    n = len(forms)
    pairs = n * (n - 1) // 2
    print(f"mean distance of two references: {distances.sum() / (n * (n - 1)):.3f}")
    print(
        f"CPU time: {1000 * analysed / n:.2f} ms to analyse a program, "
        f"{1000 * compared / pairs:.3f} ms to compare two"
    )


if __name__ == "__main__":
    main()
