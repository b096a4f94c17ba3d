"""The simulation of `mars2 plan --simulate` against the real training loop.

The loop, runner, strategy, journal, buffers and staleness bound are the real ones; answers and
updates sleep instead of computing, so that the clock, not the load of the machine, decides. Prints
how long a run took and what was idle, next to what the simulation says (mean over seeds, and its
range): one real run is one draw.

    python benchmarks/plan_loop.py [--steps 4] [--mean 1.0] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from slow_endpoint import Meter, latency

from mars2.agents.team import build_team
from mars2.config import RunConfig, load_config
from mars2.plan.events import Clock, Workers
from mars2.plan.simulation import Policy, Rules, Simulation
from mars2.plan.workload import Answer, Draws, Workload
from mars2.problems import load
from mars2.search import RunSettings, TreeJob, derive, make_strategy, run_tree
from mars2.training.learner import Learner
from mars2.training.learning import UpdateMetrics
from mars2.training.trainer import train
from mars2.types import Expansion, Generation, Node, Status, Usage, Verdict

SIGMA, UPDATE_S, SOLVES = 0.8, 1.5, 0.5


def settings(mode: str, in_flight: int, steps: int) -> RunConfig:
    """Two policies, 8 trees of 8 nodes a step."""
    agents = [{"name": n, "spec": f"micro:{n}", "policy": n} for n in ("lark", "loom")]
    return load_config(
        base={
            "agents": agents,
            "problems": {"train": "lab:lists", "limit": 64},
            "search": {"nodes": 8, "in_flight": in_flight},
            "credit": {"shaping_gamma": 0.0},
            "objective": {"kl_beta": 0.0},
            "train": {
                "mode": mode,
                "steps": steps,
                "trees_per_step": 8,
                "refill_rounds": 0,
                "checkpoint_every": 1000,
            },
        }
    )


class SleepingForest:
    """Trees whose nodes take a log-normal time and pass with a given chance."""

    reached = True

    def __init__(self, config: RunConfig, mean: float, meter: Meter, journal: Any) -> None:
        self.config, self.mean, self.meter, self.journal = config, mean, meter, journal
        self.refined = self.nodes = 0

    async def tree(self, tree_id: str, problem: Any, on_node: Any = None) -> Any:
        async def expand(e: Expansion, parent: Node | None, _: Any) -> Node:
            seed = derive(tree_id, e.node_id)
            self.meter.began(time.monotonic())
            await asyncio.sleep(latency(seed, self.mean, SIGMA))
            self.meter.ended(time.monotonic())
            passed = random.Random(f"{seed}/reward").random() < SOLVES
            self.nodes += 1
            self.refined += parent is not None
            return Node(
                tree_id=tree_id,
                node_id=e.node_id,
                parent_id=e.parent_id,
                depth=e.depth,
                agent=e.agent,
                action=e.action,
                prompt=(),
                generation=Generation(
                    "",
                    prompt_ids=(2, 3),
                    token_ids=(4, 5),
                    logprobs=(-1.0, -1.0),
                    usage=Usage(2, 2),
                ),
                code="",
                verdict=Verdict(
                    status=Status.PASSED if passed else Status.WRONG_ANSWER,
                    passed=int(passed),
                    total=1,
                ),
                reward=float(passed),
            )

        search = self.config.search
        strategy = make_strategy(search, ["lark", "loom"], seed=derive("s", tree_id))
        run = RunSettings(
            budget=search.nodes,
            in_flight=search.in_flight,
            ordered=self.config.train.mode == "sync",
            on_node=on_node,
        )
        return await run_tree(TreeJob(tree_id, strategy, expand), run, journal=self.journal)


def sleeping_update(self: Learner, samples: Any) -> UpdateMetrics:
    """In the place of `Learner.update`."""
    time.sleep(UPDATE_S)
    self.updates += 1
    self.version += 1
    count = len(samples)
    return UpdateMetrics(
        count, 2 * count, 1, 0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, self.version
    )


async def real(config: RunConfig, mean: float) -> dict[str, float]:
    """One run of the loop."""
    meter, forests = Meter(), []
    team = build_team(config.agents, train=True)
    problems = load(config.problems.train, limit=config.problems.limit)

    def open_forest(journal: Any) -> SleepingForest:
        forests.append(SleepingForest(config, mean, meter, journal))
        return forests[0]

    with tempfile.TemporaryDirectory() as out:
        await train(
            config,
            Path(out) / "run",
            agents=team.agents,
            problems=problems,
            open_forest=open_forest,
        )
        lines = (Path(out) / "run" / "metrics.jsonl").read_text().splitlines()
    await team.aclose()
    rows = [json.loads(line) for line in lines]
    began, ended = meter.changes[0][0], time.monotonic()
    updates = sum(p["update_seconds"] for r in rows for p in r["policies"].values())
    # A run ends with its last step, when the last metrics were written; what follows is saving.
    whole = sum(sum(r["seconds"][k] for k in ("rollout", "update", "idle")) for r in rows)
    seconds = whole if config.train.mode == "sync" else meter.changes[-1][0] - began
    area, under_way, before = 0.0, 0, began
    for now, change in meter.changes:
        area += under_way * (now - before)
        under_way, before = under_way + change, now
    return {
        "seconds": min(seconds, ended - began),
        "under way": area / seconds,
        "learning": updates / 2 / seconds,
        "refined": forests[0].refined / forests[0].nodes,
        "informative": statistics.fmean(r["trees"]["informative_share"] for r in rows),
        "stale": sum(p["stale"] for r in rows for p in r["policies"].values()),
    }


class Endpoint(Workers):
    """Answers as many as there are; `tokens` are milliseconds."""

    def submit(self, seconds: float, done: Any) -> None:
        super().submit(seconds / 1000, done)

    @property
    def area(self) -> float:
        return self.busy

    def stop(self) -> None:
        """Sleeping answers do not notice new weights."""

    def go(self) -> None:
        """See `stop`."""


def simulated(config: RunConfig, mean: float, found: dict[str, float], seed: int) -> Any:
    """The same system as events; lengths are latencies drawn as the real ones are."""
    clock = Clock()
    pool = [
        Answer(kind, 0, max(1, round(1000 * latency(f"{seed}/{i}", mean, SIGMA))), 0.0)
        for i in range(4000)
        for kind in (i % 2 == 0,)
    ]
    rng = random.Random(seed)
    policies = [
        Policy(
            0.5,
            [Endpoint(clock, 1 << 30)],
            Draws(Workload(verify_seconds=0), 1 << 30, rng, pool),
            lambda n: UPDATE_S,
        )
        for _ in range(2)
    ]
    train_, search = config.train, config.search
    rules = Rules(
        mode=train_.mode,
        steps=train_.steps,
        trees_per_step=train_.trees_per_step,
        nodes=search.nodes,
        in_flight=search.in_flight,
        concurrency=search.concurrency,
        refill_rounds=train_.refill_rounds,
        max_staleness=train_.max_staleness,
        min_samples=config.learner.min_samples,
        informative=1 - SOLVES**search.nodes - (1 - SOLVES) ** search.nodes,
        refine_share=found["refined"],
    )
    out = Simulation(rules, policies, Workers(clock, 64), clock, seed).run()
    # Two endpoints that never wait: their areas are means over both.
    return replace(out, occupancy=2 * out.occupancy)


def compare(mode: str, in_flight: int, steps: int, mean: float, seeds: int) -> dict[str, Any]:
    """One real run and `seeds` simulated ones."""
    config = settings(mode, in_flight, steps)
    found = asyncio.run(real(config, mean))
    outs = [simulated(config, mean, found, seed) for seed in range(seeds)]
    row: dict[str, Any] = {"mode": mode, "in flight": in_flight}
    for name, values, is_ in (
        ("seconds", [o.seconds for o in outs], found["seconds"]),
        ("requests under way", [o.occupancy for o in outs], found["under way"]),
        ("learners idle", [1 - o.learning for o in outs], 1 - found["learning"]),
    ):
        row[name] = {
            "real": is_,
            "simulated": statistics.fmean(values),
            "range": [min(values), max(values)],
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--mean", type=float, default=1.0, help="seconds of an answer")
    parser.add_argument("--seeds", type=int, default=40, help="simulated runs")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    Learner.update = sleeping_update  # type: ignore[method-assign,assignment]
    rows = [
        compare(mode, in_flight, options.steps, options.mean, options.seeds)
        for mode in ("sync", "async")
        for in_flight in (2, 8)
    ]
    if options.json:
        print(json.dumps(rows))
        return
    print("| mode, in flight | | real | simulated (range) | ratio |\n|---|---|---|---|---|")
    for row in rows:
        for name in ("seconds", "requests under way", "learners idle"):
            cell = row[name]
            low, high = cell["range"]
            print(
                f"| {row['mode']}, {row['in flight']} | {name} | {cell['real']:.2f} "
                f"| {cell['simulated']:.2f} ({low:.2f} to {high:.2f}) "
                f"| {cell['simulated'] / cell['real']:.2f} |"
            )


if __name__ == "__main__":
    main()
