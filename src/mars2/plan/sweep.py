"""Many simulated runs: numbers of devices, with and without the barrier, expansions in flight."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mars2.config import RunConfig
from mars2.errors import ConfigError
from mars2.plan.events import Clock, Server, Workers
from mars2.plan.layout import Layout
from mars2.plan.planning import make_plan
from mars2.plan.policies import PolicyPlan, train_seconds, typical_stream
from mars2.plan.simulation import Outcome, Policy, Rules, Simulation
from mars2.plan.timing import decode_seconds, prefill_seconds
from mars2.plan.workload import Draws, Observed

STEPS = 5  # of each simulated run


def sweep(
    config: RunConfig,
    layout: Layout,
    observed: Observed | None,
    gpus: Sequence[int],
    in_flight: Sequence[int],
) -> list[dict[str, Any]]:
    """A row for every number of devices, mode and number in flight.

    The batch grows with the devices: a step has as many trees a device as in the settings. Memory
    is not looked at: small numbers of devices may not hold the models.

    Raises:
        ConfigError: fewer devices than policies.
    """
    return [
        row(config, layout, observed, count, mode, flight)
        for count in gpus
        for mode in ("sync", "async")
        for flight in in_flight
    ]


def row(
    config: RunConfig,
    layout: Layout,
    observed: Observed | None,
    gpus: int,
    mode: str,
    in_flight: int,
) -> dict[str, Any]:
    """One simulated run in numbers."""
    trees = max(1, round(config.train.trees_per_step * gpus / layout.count))
    out = simulate(config, layout, observed, gpus, mode, in_flight, trees)
    return {
        "gpus": gpus,
        "mode": mode,
        "in_flight": in_flight,
        "trees_per_step": trees,
        "step_s": out.seconds / STEPS,
        "samples_per_gpu_hour": 3600 * out.samples / out.seconds / gpus,
        "serving": out.serving,
        "answers_at_once": out.occupancy,
        "learning": out.learning,
        "verifying": out.verifying,
        "staleness": out.staleness,
        "stale": out.stale / max(1, out.stale + out.samples),
    }


def simulate(
    config: RunConfig,
    layout: Layout,
    observed: Observed | None,
    gpus: int,
    mode: str,
    in_flight: int,
    trees: int,
    steps: int = STEPS,
) -> Outcome:
    """One run of `steps` steps on `gpus` devices, servers apart from learners."""
    clock = Clock()
    planned = make_plan(config, layout).policies
    each = gpus // len(planned)
    if not each:
        raise ConfigError(f"{len(planned)} policies need as many devices; {gpus} were asked for")
    policies = [_policy(config, layout, observed, p, clock, each, trees) for p in planned]
    workers = max(1, config.verifier.workers * gpus // layout.count)
    rules = Rules(
        mode=mode,
        steps=steps,
        trees_per_step=trees,
        nodes=config.search.nodes,
        in_flight=in_flight,
        # The limit of the settings is for their number of devices.
        concurrency=max(in_flight, config.search.concurrency * gpus // layout.count),
        refill_rounds=config.train.refill_rounds,
        max_staleness=config.train.max_staleness,
        min_samples=config.learner.min_samples,
        informative=layout.workload.informative,
        refine_share=layout.workload.refine_share,
    )
    verifier = Workers(clock, workers)
    out = Simulation(rules, policies, verifier, clock, config.seed).run()
    return replace(out, verifying=out.verifying / workers)


def _policy(
    config: RunConfig,
    layout: Layout,
    observed: Observed | None,
    p: PolicyPlan,
    clock: Clock,
    devices: int,
    trees: int,
) -> Policy:
    together = devices < 2
    tp = min(layout.tensor_parallel, devices)
    serving = 1 if together else max(tp, min(devices - 1, round(layout.generate_share * devices)))
    learning = max(1, devices - serving)
    context = p.prompt_tokens + p.output_tokens / 2
    # Places of a replica: what its memory holds of whole answers.
    slots = max(1, min(p.agent.max_batch, round(p.slots)))

    def step(rows: int) -> float:
        return decode_seconds(p.shape, rows, context, layout.device, p.agent.dtype, tp)

    reading = prefill_seconds(p.shape, 1e4, p.prompt_tokens, layout.device, p.agent.dtype, tp) / 1e4
    rng = random.Random(f"{config.seed}/{p.name}")
    answers = observed.answers if observed else ()
    mean = sum(a.output for a in answers) / len(answers) if answers else 1.0
    limit = p.agent.max_tokens
    draws = Draws(layout.workload, limit, rng, answers, p.output_tokens / mean)
    return Policy(
        share=p.share,
        servers=[Server(clock, slots, step) for _ in range(max(1, serving // tp))],
        draws=draws,
        learn=_learning(config, layout, p, learning),
        publish=p.publish_s,
        read=reading / (step(slots) / slots) * layout.workload.distinct,
        together=together,
    )


def _learning(
    config: RunConfig, layout: Layout, p: PolicyPlan, devices: int
) -> Callable[[int], float]:
    """Seconds of an update by its samples."""

    def seconds(samples: int) -> float:
        stream, count = typical_stream(
            config.learner, layout, samples, p.agent.max_tokens, p.shape.context
        )
        return train_seconds(config, layout, p.shape, stream, count, devices)

    kept: dict[int, float] = {}

    def known(samples: int) -> float:
        near = 8 * math.ceil(samples / 8)
        return kept.setdefault(near, seconds(near)) if near not in kept else kept[near]

    return known
