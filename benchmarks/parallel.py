"""What searching in parallel gains and costs, and how fast a large search resumes.

The real runner, strategies and journal. Parts (`--only`):

speedup  one tree, 8 expansions in flight against 1, as completed and in ordered waves
server   64 trees with 8 in flight each under one limit: is the endpoint busy?
quality  tasks solved with the same number of nodes, 8 in flight against 1, paired by task
http     the same as `server` through sockets: OpenAI client, real HTTP server in a process
resume   the journal of one tree of 10,000 nodes

The endpoint of the first three is simulated: each request takes a log-normal time (mean 80 ms,
sigma 1: the slowest in a hundred take 6 times the mean) on a clock that jumps to the next event,
so that computing is free and waiting takes no time; see `virtual_clock.py`.

    python benchmarks/parallel.py [--only PART …] [--tasks 384] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import virtual_clock
from slow_endpoint import Meter, latency

from mars2.agents.openai import OpenAIPolicy
from mars2.config import SearchConfig
from mars2.evaluation.metrics import difference_ci, mean
from mars2.search import (
    Journal,
    Limiter,
    RunSettings,
    TreeJob,
    TreeResult,
    derive,
    make_strategy,
    run_forest,
    run_tree,
)
from mars2.types import (
    Expansion,
    Generation,
    Message,
    Node,
    Sampling,
    Status,
    TestVerdict,
    Usage,
    Verdict,
)

MEAN_S, SIGMA = 0.080, 1.0
AGENTS = ["ann", "bob", "cyd"]
IN_FLIGHT = 8


def strategy(name: str, *seed: int | str):
    return make_strategy(SearchConfig(strategy=name), AGENTS, derive(*seed))


# --------------------------------------------------------------------------- a task family


class Ladder:
    """A task with `RUNGS` tests; a node passes some of them, and is solved by passing all.

    A first attempt passes a binomial number. A refinement starts from its parent: each failing
    test is mended, and each passing one broken, with a chance that depends on the task and, for
    mending, on who writes. What a node draws depends on (task, node id) and its parent's number
    alone. By kind, the chances of a first attempt and of mending, uniform in: see `KINDS`.
    """

    RUNGS = 6
    KINDS = {  # noqa: RUF012
        "wide": ((0.2, 0.8), (0.0, 0.1)),  # mostly by first attempts
        "mixed": ((0.1, 0.6), (0.0, 0.2)),
        "deep": ((0.0, 0.4), (0.0, 0.4)),  # mostly by chains of refinements
    }

    def __init__(self, tree_id: str, kind: str = "mixed", meter: Meter | None = None) -> None:
        self.tree_id = tree_id
        rng = random.Random(derive("ladder", tree_id))
        start, mend = self.KINDS[kind]
        self.start = rng.uniform(*start)
        self.mend = {agent: rng.uniform(*mend) for agent in AGENTS}
        self.slip = rng.uniform(0.0, 0.15)
        self.meter = meter

    async def __call__(self, e: Expansion, parent: Node | None, _: Any) -> Node:
        loop = asyncio.get_running_loop()
        if self.meter:
            self.meter.began(loop.time())
        await asyncio.sleep(latency(derive(self.tree_id, e.node_id), MEAN_S, SIGMA))
        if self.meter:
            self.meter.ended(loop.time())
        rng = random.Random(derive("draw", self.tree_id, e.node_id))
        if parent is None:
            passed = sum(rng.random() < self.start for _ in range(self.RUNGS))
        else:
            had = parent.verdict.passed
            mend = self.mend[e.agent]
            passed = sum(rng.random() >= self.slip for _ in range(had))
            passed += sum(rng.random() < mend for _ in range(self.RUNGS - had))
        status = Status.PASSED if passed == self.RUNGS else Status.WRONG_ANSWER
        return node(
            self.tree_id, e, Verdict(status=status, passed=passed, total=self.RUNGS), Generation("")
        )


def node(tree_id: str, e: Expansion, verdict: Verdict, generation: Generation) -> Node:
    return Node(
        tree_id=tree_id,
        node_id=e.node_id,
        parent_id=e.parent_id,
        depth=e.depth,
        agent=e.agent,
        action=e.action,
        prompt=(),
        generation=generation,
        code=generation.text,
        verdict=verdict,
        reward=verdict.passed / verdict.total,
    )


def simulate(jobs: list[TreeJob], settings: RunSettings, places: int | None = None):
    """(results, seconds on the virtual clock)."""

    async def search() -> tuple[list[TreeResult], float]:
        limiter = Limiter(places) if places else None
        results = await run_forest(jobs, settings, limiter=limiter)
        return results, asyncio.get_running_loop().time()

    return virtual_clock.run(search())


# --------------------------------------------------------------------------- parts


def speedup(nodes_list: tuple[int, ...] = (64, 128, 256, 512, 1024), trees: int = 20) -> list:
    """Seconds of sequential search over those of 8 in flight, end to end, tail included.

    `steady`: as completed, requests under way on average until the last one begins.
    """
    rows = []
    for nodes in nodes_list:
        seconds = {"sequential": 0.0, "completed": 0.0, "ordered": 0.0}
        steady = []
        for i in range(trees):
            for how in seconds:
                meter = Meter()
                job = TreeJob(f"s{i}", strategy("ab-mcts", i), Ladder(f"s{i}", meter=meter))
                in_flight = 1 if how == "sequential" else IN_FLIGHT
                settings = RunSettings(nodes, in_flight=in_flight, ordered=how == "ordered")
                seconds[how] += simulate([job], settings)[1]
                if how == "completed":
                    steady.append(meter.report(1)["busy"])
        rows.append(
            {
                "nodes": nodes,
                "completed": seconds["sequential"] / seconds["completed"],
                "ordered": seconds["sequential"] / seconds["ordered"],
                "steady": mean(steady),
            }
        )
    return rows


def server(trees: int = 64, nodes: int = 64) -> list[dict[str, float]]:
    """Share of the places in use, until the last request begins and until the last one ends."""
    rows = []
    for places in (64, 128, 256):
        meter = Meter()
        jobs = [
            TreeJob(f"f{i}", strategy("ab-mcts", i), Ladder(f"f{i}", meter=meter))
            for i in range(trees)
        ]
        simulate(jobs, RunSettings(nodes, in_flight=IN_FLIGHT), places)
        rows.append({"places": places, **meter.report(places)})
    return rows


def quality(tasks: int) -> list[dict[str, Any]]:
    """Solve rates at equal numbers of nodes, and paired differences from sequential search.

    `eight`: a tree alone, 8 in flight. `shared`: 64 trees that may have 8 in flight each, under
    64 places together, as in `server`.
    """
    rows = []
    for kind in Ladder.KINDS:
        for nodes in (32, 64, 128):
            one = solve(tasks, kind, RunSettings(nodes, stop_on_success=True))
            eight = RunSettings(nodes, in_flight=IN_FLIGHT, stop_on_success=True)
            found = {
                "eight": solve(tasks, kind, eight),
                # No end at a success: what the other trees get of the places would change.
                "shared": solve(tasks, kind, replace(eight, stop_on_success=False), together=64),
            }
            for how, many in found.items():
                differences = [b - a for a, b in zip(one, many, strict=True)]
                rows.append(
                    {
                        "tasks": f"{tasks} {kind}",
                        "nodes": nodes,
                        "one": mean(one),
                        "how": how,
                        "solved": mean(many),
                        "difference": mean(differences),
                        "ci95": list(difference_ci(differences, resamples=1000)),
                    }
                )
    return rows


def solve(tasks: int, kind: str, settings: RunSettings, together: int = 1) -> list[float]:
    """1 for each task that is solved, else 0; so many trees at once, under as many places."""
    jobs = []
    for i in range(tasks):
        task = f"{kind} {i}"
        jobs.append(TreeJob(task, strategy("ab-mcts", task), Ladder(task, kind)))
    found = []
    for start in range(0, tasks, together):
        places = together if together > 1 else None
        results, _ = simulate(jobs[start : start + together], settings, places)
        found += [float(result.solved) for result in results]
    return found


async def http(trees: int = 64, nodes: int = 16, places: int = 64, mean_s: float = 1.0) -> dict:
    """The server's own view of 64 trees that search through the OpenAI client."""
    script = Path(__file__).with_name("slow_endpoint.py")
    command = [sys.executable, str(script), str(mean_s), str(SIGMA)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        try:
            assert process.stdout is not None
            base = f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
            policy = OpenAIPolicy("slow", "slow", base_url=base, api_key="none")
            prompt = (Message("user", "Write a program. " * 100),)

            def job(tree_id: str) -> TreeJob:
                async def expand(e: Expansion, parent: Node | None, _: Any) -> Node:
                    seed = derive("http", tree_id, e.node_id)
                    generation = await policy.generate(prompt, Sampling(), seed=seed)
                    passed = derive(tree_id, e.node_id) % 9
                    verdict = Verdict(status=Status.WRONG_ANSWER, passed=passed, total=9)
                    return node(tree_id, e, verdict, generation)

                return TreeJob(tree_id, strategy("ab-mcts", tree_id), expand)

            jobs = [job(f"h{i}") for i in range(trees)]
            started = time.process_time()
            settings = RunSettings(nodes, in_flight=IN_FLIGHT)
            await run_forest(jobs, settings, limiter=Limiter(places))
            cpu = time.process_time() - started
            await policy.aclose()
            with urllib.request.urlopen(f"{base}/stats?places={places}") as answer:  # noqa: ASYNC210
                report = json.load(answer)
        finally:
            process.kill()
    return {"places": places, "cpu_ms": 1000 * cpu / report["requests"], **report}


def resume(nodes: int = 10_000, times: int = 3) -> dict[str, float]:
    """Seconds from opening the journal of one tree to having its whole state back, and those of
    looking at all its nodes then, which decodes them."""
    rng = random.Random(0)
    lines = [f"    total_{i} = solve(values[{i}:], limit - {i % 7})\n" for i in range(400)]

    def text(size: int) -> str:
        return "".join(rng.choices(lines, k=size // 40))

    async def expand(e: Expansion, parent: Node | None, _: Any) -> Node:
        code = text(800)
        tests = [
            TestVerdict(status=Status.PASSED, seconds=0.011),
            TestVerdict(status=Status.WRONG_ANSWER, input="3\n1 2 3", expected="6", actual="5"),
        ]
        verdict = Verdict(
            id=f"t#{e.node_id}", status=Status.WRONG_ANSWER, passed=1, total=2, tests=tests
        )
        generation = Generation(f"```python\n{code}```", usage=Usage(700, 300), seconds=1.5)
        found = node("t", e, verdict, generation)
        prompt = (Message("system", "You write Python."), Message("user", text(1000)))
        reward = rng.randrange(9) / 10
        return Node(
            **{k: getattr(found, k) for k in found.__slots__}
            | {
                "prompt": prompt,
                "code": code,
                "reward": reward,
            }
        )

    settings = RunSettings(nodes, in_flight=IN_FLIGHT)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"

        def once() -> tuple[float, float, float, TreeResult, dict]:
            started, cpu = time.perf_counter(), time.process_time()
            tree = strategy("ab-mcts", "resume")
            with Journal.open(path, {}) as journal:
                job = TreeJob("t", tree, expand)
                result = asyncio.run(run_tree(job, settings, journal=journal))
            seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            looking = time.process_time()
            assert all(one.code for one in result.nodes)
            return seconds, cpu, time.process_time() - looking, result, tree.statistics()

        grown = once()
        again = [once() for _ in range(times)]
        assert all(one[3:] == grown[3:] for one in again)
        size = path.stat().st_size
    seconds = sorted(one[0] for one in again)
    return {
        "nodes": nodes,
        "megabytes": size / 1e6,
        "kb_a_node": size / 1e3 / nodes,
        "grow_s": grown[0],
        "best_s": seconds[0],
        "median_s": seconds[len(seconds) // 2],
        "worst_s": seconds[-1],
        "cpu_s": min(one[1] for one in again),
        "all_nodes_cpu_s": min(one[2] for one in again),
    }


# --------------------------------------------------------------------------- report


def table(title: str, rows: list[dict[str, Any]]) -> str:
    def cell(value: Any) -> str:
        if isinstance(value, list):
            return f"[{value[0]:+.3f}, {value[1]:+.3f}]"
        return f"{value:.3f}" if isinstance(value, float) else str(value)

    keys = list(rows[0])
    cells = [keys, *([cell(row[key]) for key in keys] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(keys))]
    body = ("  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in cells)
    return "\n".join([title, *body])


PARTS = {
    "speedup": "speed-up of 8 in flight over 1, one tree, tail included",
    "server": "64 trees x 64 nodes, 8 in flight each: endpoint busy until the last request begins",
    "quality": "tasks solved at equal nodes: 8 in flight against 1, paired, 95 % interval",
    "http": "the same through HTTP, 64 trees x 16 nodes, mean latency 1 s, as the server saw it",
    "resume": "resume of one tree's journal",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--tasks", type=int, default=384, help="tasks of `quality`")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    run = {
        "speedup": speedup,
        "server": server,
        "quality": lambda: quality(options.tasks),
        "http": lambda: [asyncio.run(http())],
        "resume": lambda: [resume()],
    }
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    found: dict[str, Any] = {"machine": machine}
    for part in options.only:
        found[part] = run[part]()
        if not options.json:
            print(table(PARTS[part], found[part]), end="\n\n", flush=True)
    print(json.dumps(found) if options.json else machine)


if __name__ == "__main__":
    main()
