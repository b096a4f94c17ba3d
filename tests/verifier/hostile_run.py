"""Runs hostile programs one after another and looks after each what it did to its surroundings.

A few lanes share the work, each with a verifier of one worker, so that programs which only wait
do not hold up the rest. What is found touched is told of the program after whose verdict it was
seen; another lane's program may have done it.

`python hostile_run.py [--profile P] [--sample] [--only TEXT] [--report FILE]` runs it by itself
and prints what was wrong and the slowest programs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import verifier_corpus
from canaries import Canaries
from process_tree import alive, command, descendants, escaped
from verifier_corpus import Case

from mars2.config import VerifierConfig
from mars2.types import AssertionTest, Problem, StdinTest
from mars2.verifier import Verifier

LANES = 3
_LOOKS = 300  # at 10 ms: how long a killed process may take to be gone

# Honest, and sensitive to whatever the program before it may have left for it.
_HONEST = """
import builtins, decimal, json, math, os, sys
number = int(input())
seen = [name for name in (*os.environ, *sys.modules, *sys.path) if '{mark}' in name.lower()]
seen += [part.__name__ for part in (builtins, json, math, os, sys) if hasattr(part, '{mark}')]
for folder in ('.', '/tmp', '/dev/shm', '/var/tmp', os.path.expanduser('~')):
    try:
        seen += [name for name in os.listdir(folder) if '{mark}' in name]
    except OSError:
        pass
print(number + 1, len('abc'), sum([1, 2]), math.isclose(1, 2), json.dumps([number]), seen)
print(decimal.Decimal('1.50'), sorted([2, 1]), all([0]), isinstance(1, str), abs(-1))
"""
_HONEST_OUTPUT = "42 3 3 False [41] []\n1.50 [1, 2] False False 1\n"


@dataclass
class Outcome:
    """What became of one program and of its surroundings.

    `seconds` is wall time until the verdict, for reports only.
    """

    name: str
    status: str
    acceptable: bool
    seconds: float
    evidence: str = ""
    survivors: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    after: str = ""  # what the honest program after it got instead of "passed"

    def faults(self) -> list[str]:
        """All that is wrong, in words."""
        return [
            *([] if self.acceptable else [f"the verdict is {self.status}: {self.evidence}"]),
            *(f"survives: {what}" for what in self.survivors),
            *self.touched,
            *(f"the secret is in {what}" for what in self.leaked),
            *([f"the honest program after it: {self.after}"] if self.after else []),
        ]


def cases(
    values: Mapping[str, str], names: Iterable[str] | None = None, *, armed: bool = False
) -> list[Case]:
    """The hostile corpus with its placeholders filled; only the problems named, if any are."""
    groups = verifier_corpus.HOSTILE
    found = [case for group in groups for case in verifier_corpus.read(group, values, armed=armed)]
    wanted = None if names is None else set(names)
    return [case for case in found if wanted is None or case.problem.id in wanted]


def names_for(profile: str) -> list[str]:
    """The problems that a profile judges in a way of its own: assertion tests only natively."""
    found = [case.problem for case in cases({})]
    if profile == "lcb":
        found = [p for p in found if not isinstance(p.private_tests[0], AssertionTest)]
    return [problem.id for problem in found]


def sample(names: Iterable[str]) -> list[str]:
    """Every attack, but of one that comes in several kinds of tests only one, in turn."""
    attacks: dict[str, list[str]] = {}
    for name in names:
        attacks.setdefault("/".join(name.split("/")[:2]), []).append(name)
    return [kinds[turn % len(kinds)] for turn, kinds in enumerate(attacks.values())]


def run(profile: str, names: Iterable[str]) -> dict[str, Outcome]:
    """Outcomes by problem id. Raises InfraError if no worker starts."""
    with Canaries() as canaries:
        todo = cases(canaries.values, names, armed=True)
        return asyncio.run(_run(profile, todo, canaries))


async def _run(profile: str, todo: list[Case], canaries: Canaries) -> dict[str, Outcome]:
    queue = iter(todo)
    outcomes: dict[str, Outcome] = {}
    config = VerifierConfig.model_validate({"workers": 1, "profile": profile, "cache": "off"})
    verifiers = [Verifier(config) for _ in range(min(LANES, len(todo)))]
    ours = set(canaries.known)
    try:
        for verifier in verifiers:
            await verifier.start()
        lanes = [_Lane(verifier, profile, canaries, verifiers) for verifier in verifiers]
        await asyncio.gather(*(lane.work(queue, outcomes) for lane in lanes))
    finally:
        for verifier in verifiers:
            await verifier.aclose()
    for pid in escaped(os.getpid(), ours):
        name = f"process {pid} {command(pid)}"
        left = ["after the verifiers were closed"]
        outcomes[name] = Outcome(name, "", True, 0.0, survivors=left)
    return outcomes


class _Lane:
    """One verifier and the programs that it judges one after another."""

    def __init__(
        self, verifier: Verifier, profile: str, canaries: Canaries, everyone: list[Verifier]
    ) -> None:
        self._verifier, self._profile, self._canaries = verifier, profile, canaries
        self._everyone = everyone
        self._honest = Problem(
            id="honest",
            statement="",
            private_tests=[StdinTest(input="41\n", expected=_HONEST_OUTPUT)],
            time_limit_s=10.0,
        )
        self._code = _HONEST.replace("{mark}", canaries.mark)
        self._own = 0  # processes under the worker when no program runs

    async def work(self, queue: Iterable[Case], outcomes: dict[str, Outcome]) -> None:
        """Judge programs from the shared queue until it is empty."""
        first = await self._verifier.verify(self._honest, self._code)
        if not first.ok:
            raise AssertionError(f"the honest program fails before any attack: {first.tests}")
        self._own = len(descendants(self._verifier.worker_pids()[0]))
        for case in queue:
            outcomes[case.problem.id] = await self._one(case)

    async def _one(self, case: Case) -> Outcome:
        workers = self._verifier.worker_pids()
        start = time.monotonic()
        verdict = await self._verifier.verify(case.problem, case.code)
        seconds = time.monotonic() - start
        last = verdict.tests[-1]
        outcome = Outcome(
            case.problem.id,
            verdict.status.value,
            verdict.status.value in case.right(self._profile),
            round(seconds, 3),
            f"{last.exception or last.limit or ''} {(last.actual or '')[:200]!r}",
        )
        outcome.survivors = await self._survivors(workers)
        after = await self._verifier.verify(self._honest, self._code)
        if not after.ok:
            seen = after.tests[-1]
            outcome.after = f"{after.status.value} {seen.actual!r} {seen.exception}"
        outcome.touched = self._canaries.touched()
        outcome.leaked = self._canaries.leaked(case.problem, verdict)
        return outcome

    async def _survivors(self, before: list[int]) -> list[str]:
        found: list[str] = []
        for _ in range(_LOOKS):
            now = self._verifier.worker_pids()
            extra = [len(descendants(pid)) - self._own for pid in now]
            found = [f"{number} processes under the worker" for number in extra if number > 0]
            found += [f"worker {pid}, replaced" for pid in set(before) - set(now) if alive(pid)]
            known = {pid for verifier in self._everyone for pid in verifier.worker_pids()}
            strays = escaped(os.getpid(), known | self._canaries.known)
            found += [f"process {pid}, escaped: {command(pid)}" for pid in strays]
            if not found:
                return []
            await asyncio.sleep(0.01)
        self._canaries.known.update(strays)  # told once, not of every program after this one
        return found


def report(outcomes: dict[str, Outcome], slowest: int = 15) -> str:
    """What was wrong, how many were right, and the slowest programs."""
    wrong = [outcome for outcome in outcomes.values() if outcome.faults()]
    lines = [f"{outcome.name}: {'; '.join(outcome.faults())}" for outcome in wrong]
    lines.append(f"{len(outcomes) - len(wrong)} of {len(outcomes)} hostile programs withstood")
    by_time = sorted(outcomes.values(), key=lambda outcome: -outcome.seconds)
    lines += [f"{o.seconds:7.2f} s  {o.status:18} {o.name}" for o in by_time[:slowest]]
    return "\n".join(lines)


def main() -> int:
    """The command line. Exit status 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--profile", default="native", choices=("native", "lcb"))
    parser.add_argument("--only", default="", help="part of the names to run")
    parser.add_argument("--sample", action="store_true", help="each attack in one kind of tests")
    parser.add_argument("--report", type=Path, help="file for all outcomes as JSON lines")
    options = parser.parse_args()
    names = names_for(options.profile)
    names = sample(names) if options.sample else names
    outcomes = run(options.profile, [name for name in names if options.only in name])
    if options.report:
        rows = [{**asdict(o), "wrong": o.faults()} for o in outcomes.values()]
        lines = [json.dumps(row) + "\n" for row in rows]
        options.report.write_text("".join(lines))
    print(report(outcomes))
    return int(any(outcome.faults() for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
