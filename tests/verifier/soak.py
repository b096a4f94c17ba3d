"""A long run of ordinary and hostile programs: nothing may grow, and no verdict may change.

    python tests/verifier/soak.py [--verdicts 20000]

Judges that many programs, every tenth hostile, three times: one after another, with two workers,
and with two workers beside two busy processes. Statuses must be the same in all three, and after
each the machine as before: processes, descriptors, temporary files, resident memory of the
workers. Hostile programs are those of the corpus that end by themselves, so that a run takes
minutes; their time limit is theirs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import verifier_corpus
from canaries import Canaries
from process_tree import descendants
from verifier_corpus import Case

from mars2.config import VerifierConfig
from mars2.verifier import Verifier

HOSTILE_SHARE = 10
_QUICK_S = 0.25  # programs that used no more than this
_AHEAD = 8
_WARM = 400
# These race with what watches them, or with their own children: either verdict is right.
_SKIPPED = ("bomb", "flood", "hoard", "memory", "threads", "disk", "kills_all", "spawn")


@dataclass(frozen=True)
class State:
    """What must not grow. `memory`: resident bytes of all workers' processes."""

    processes: int
    descriptors: int
    files: int
    memory: int


def corpus(values: dict[str, str]) -> tuple[list[Case], list[Case]]:
    """Ordinary and hostile programs."""

    def wanted(group: str, **how: Any) -> list[Case]:
        found = verifier_corpus.read(group, values, **how)
        return [c for c in found if not any(word in f"{group} {c.name}" for word in _SKIPPED)]

    ordinary = [case for group in verifier_corpus.ORDINARY for case in wanted(group)]
    hostile = [case for group in verifier_corpus.HOSTILE for case in wanted(group, armed=True)]
    return ordinary, hostile


async def quick(cases: list[Case]) -> list[Case]:
    """Those that end soon, by themselves, and get a verdict that is right."""
    found = []
    async with Verifier(VerifierConfig(workers=2, cache="off")) as verifier:
        for case in cases:
            verdict = await verifier.verify(case.problem, case.code)
            right = verdict.status.value in case.right("native")
            if right and verdict.seconds < _QUICK_S:
                found.append(case)
    return found


def schedule(ordinary: list[Case], hostile: list[Case], verdicts: int) -> list[Case]:
    """Programs in turn, every tenth hostile, all texts different."""
    order = []
    for number in range(verdicts):
        kind = hostile if number % HOSTILE_SHARE == HOSTILE_SHARE - 1 else ordinary
        case = kind[(number // HOSTILE_SHARE if kind is hostile else number) % len(kind)]
        order.append(replace(case, code=f"{case.code}\n# {number}\n"))
    return order


def state(verifier: Verifier, folders: list[str]) -> State:
    """Now, with nothing being judged."""
    launchers = verifier.worker_pids()
    family = [*launchers, *(pid for launcher in launchers for pid in descendants(launcher))]
    memory = 0
    for pid in family:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                memory += int(line.split()[1]) << 10
    files = sum(len(names) + len(inner) for f in folders for _, inner, names in os.walk(f))
    descriptors = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in (os.getpid(), *family))
    return State(len(family), descriptors, files, memory)


async def judge(order: list[Case], workers: int) -> tuple[list[str], State, State, float]:
    """Statuses in order, the state before and after, seconds."""
    config = VerifierConfig(workers=workers, cache="off")
    async with Verifier(config) as verifier:
        folders = [f"/proc/{pid}/root/tmp" for pid in _servers(verifier)]
        for case in order[:_WARM]:  # what is imported once is imported
            await verifier.verify(case.problem, case.code)
        before, started = state(verifier, folders), time.monotonic()
        gate = asyncio.Semaphore(workers * _AHEAD)

        async def one(case: Case) -> str:
            async with gate:
                return (await verifier.verify(case.problem, case.code)).status.value

        statuses = await asyncio.gather(*(one(case) for case in order))
        return statuses, before, state(verifier, folders), time.monotonic() - started


def _servers(verifier: Verifier) -> list[int]:
    return [descendants(launcher)[0] for launcher in verifier.worker_pids()]


def compare(order: list[Case], runs: dict[str, list[str]]) -> list[str]:
    """What differs, in words."""
    first, *others = runs
    return [
        f"{order[number].problem.id}: {runs[first][number]} {first}, {got} {name}"
        for name in others
        for number, got in enumerate(runs[name])
        if got != runs[first][number]
    ]


async def soak(verdicts: int) -> dict[str, object]:
    """All three runs; the differences and the states."""
    with Canaries() as canaries:
        ordinary, hostile = corpus(dict(canaries.values))
        order = schedule(await quick(ordinary), await quick(hostile), verdicts)
        runs: dict[str, list[str]] = {}
        found: dict[str, object] = {"verdicts": verdicts, "hostile": len(hostile)}
        for name, workers, busy in (("serial", 1, 0), ("two workers", 2, 0), ("loaded", 2, 2)):
            spin = [sys.executable, "-c", "while True: pass"]
            load = [subprocess.Popen(spin) for _ in range(busy)]  # noqa: ASYNC220
            try:
                runs[name], before, after, seconds = await judge(order, workers)
            finally:
                for process in load:
                    process.kill()
                    process.wait()
            found[name] = {
                "seconds": round(seconds, 1),
                "before": vars(before),
                "after": vars(after),
            }
            print(f"{name}: {found[name]}", file=sys.stderr, flush=True)
        found["differences"] = compare(order, runs)
        return found


def main() -> int:
    """Run it and print what was found as JSON; 1 if a verdict changed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--verdicts", type=int, default=20_000)
    found = asyncio.run(soak(parser.parse_args().verdicts))
    print(json.dumps(found, indent=1))
    return 1 if found["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
