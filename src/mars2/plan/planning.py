"""From settings and hardware to a plan: who holds what, how long a step takes, what it costs.

Two placements (`mars2.plan.layout`): everything of a device in one process, as this version runs,
and servers apart from sharded learners, which are started by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mars2.agents.spec import parse_spec
from mars2.config import AgentConfig, RunConfig
from mars2.errors import ConfigError
from mars2.plan.layout import Layout
from mars2.plan.memory import LearnerMemory
from mars2.plan.policies import PolicyPlan, policy_plan, split
from mars2.plan.shapes import LOCAL
from mars2.training.limits import CARES


@dataclass(frozen=True, slots=True)
class Part:
    """Devices that hold the same: bytes by what they are for, against what there is."""

    name: str
    count: int
    limit: float
    holds: dict[str, float] = field(default_factory=dict)

    @property
    def needs(self) -> float:
        """Bytes at the peak."""
        return sum(self.holds.values())

    @property
    def over(self) -> float:
        """Bytes too many, 0 if it fits."""
        return max(0.0, self.needs - self.limit)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that can be said before a run. Seconds are of a step."""

    layout: Layout
    policies: list[PolicyPlan]
    parts: list[Part]
    trees: float
    sync_s: float
    async_s: float
    step_s: float  # in the mode of the settings
    idle: dict[str, dict[str, float]]  # mode → part → share of the step in which it waits
    cost: float
    total_cost: float
    total_s: float
    assumptions: list[str]

    @property
    def misfits(self) -> list[Part]:
        """Parts that need more memory than they have."""
        return [part for part in self.parts if part.over]


def make_plan(config: RunConfig, layout: Layout) -> Plan:
    """Plan a training run.

    Raises:
        ConfigError: no agent with weights of its own, an architecture that is not known, or fewer
            devices than the placement needs.
    """
    groups: dict[str, list[AgentConfig]] = {}
    for agent in config.agents:
        groups.setdefault(agent.policy or agent.spec, []).append(agent)
    local = {n: a for n, a in groups.items() if parse_spec(a[0].spec).backend in LOCAL}
    if not local:
        raise ConfigError(
            "no hf:, vllm: or micro: agents: with endpoints alone there is nothing to plan"
        )
    if layout.engine == "sharded" and layout.count < 2 * len(local):
        raise ConfigError(
            f'engine = "sharded" with {len(local)} policies needs at least {2 * len(local)} '
            f"devices, one to serve and one to learn for each; there are {layout.count}"
        )
    served = [n for n, a in local.items() if parse_spec(a[0].spec).backend == "vllm"]
    if layout.engine == "process" and served:
        raise ConfigError(
            f"the policy {served[0]!r} has a vLLM server, but the placement is that of one "
            'process: give --hardware a file with engine = "sharded" (docs/plan.md)'
        )
    if layout.engine == "process" and config.learner.shards > 1:
        raise ConfigError(
            f"learner.shards is {config.learner.shards}, but the placement is that of one process: "
            'give --hardware a file with engine = "sharded" (docs/plan.md), or set '
            "learner.shards = 1"
        )
    trees = config.train.trees_per_step * min(
        1 / layout.workload.informative, 1.0 + config.train.refill_rounds
    )
    plans = [
        policy_plan(
            config, layout, name, agents, len(agents) / len(config.agents), trees, len(local)
        )
        for name, agents in local.items()
    ]
    parts = _parts(config, layout, plans)
    return _timed(config, layout, plans, parts, trees)


def _parts(config: RunConfig, layout: Layout, plans: list[PolicyPlan]) -> list[Part]:
    device = layout.device
    overhead = {"framework": 1e9 * device.overhead_gb}
    if layout.engine == "sharded":
        parts = []
        for p in plans:
            serving, learning = split(layout, len(plans))
            holds = {"weights": p.policy.weights, "KV cache": p.policy.cache}
            holds["activations"] = p.policy.working
            limit = layout.cache_share * device.memory
            parts.append(Part(f"{p.name} servers", serving, limit, overhead | holds))
            if p.learner is not None:
                own = _rows_of(p.learner, device.allocator)
                parts.append(Part(f"{p.name} learner", learning, device.memory, overhead | own))
        return parts
    places: dict[str, list[PolicyPlan]] = {}
    for p in plans:
        places.setdefault(p.agent.device, []).append(p)
    return [
        Part(where, 1, device.memory, overhead | _together(config, layout, of))
        for where, of in places.items()
    ]


def _rows_of(m: LearnerMemory, allocator: float) -> dict[str, float]:
    """A learner's bytes by name, in the phase in which they are most."""
    held = {"learner weights": m.weights, "moments": m.moments, "KL reference": m.reference}
    if m.gradients + m.activations + m.logits >= m.publication:
        held |= {"gradients": m.gradients, "activations": m.activations, "logits": m.logits}
    else:
        held |= {"merged adapters": m.publication}
    total = sum(held.values())
    return {k: v for k, v in held.items() if v} | {"allocator": (allocator - 1) * total}


def _together(config: RunConfig, layout: Layout, of: list[PolicyPlan]) -> dict[str, float]:
    """All policies of one device in one process.

    With a barrier nobody generates while somebody learns, so only the larger of the two counts.
    On an accelerator learners take turns; on a CPU all learn at once, and where all are small the C
    library keeps what answers took (`mars2.training.memory`), so both count.
    """
    learners = [p.learner for p in of if p.learner is not None]
    on_cpu = layout.device.node == 1 and layout.device.overhead_gb < 1
    keeps = on_cpu and all(m.weights + m.gradients + m.moments < CARES for m in learners)
    combine = sum if on_cpu else max
    update = combine([m.peak - m.static for m in learners] or [0.0])
    writing = sum(p.policy.cache + p.policy.working for p in of)
    held = {
        "policy weights": sum(p.policy.weights for p in of),
        "learner weights": sum(m.weights for m in learners),
        "moments": sum(m.moments for m in learners),
        "KL reference": sum(m.reference for m in learners),
    }
    if config.train.mode == "async" or keeps:
        held |= {"gradients, activations, logits": update, "KV cache and sampling": writing}
    elif update >= writing:
        held |= {"gradients, activations, logits": update}
    else:
        held |= {"KV cache and sampling": writing}
    held = {k: v for k, v in held.items() if v}
    return held | {"allocator": (layout.device.allocator - 1) * sum(held.values())}


def _timed(
    config: RunConfig, layout: Layout, plans: list[PolicyPlan], parts: list[Part], trees: float
) -> Plan:
    """Seconds of a step with and without the barrier, and who waits."""
    if layout.engine == "sharded":
        writing = max(p.generate_s + p.tail_s for p in plans)
        learning = max(p.train_s + p.publish_s for p in plans)
        sync = writing + learning
        free = max(max(p.generate_s for p in plans), learning)
        idle: dict[str, dict[str, float]] = {"sync": {}, "async": {}}
        for mode, step in (("sync", sync), ("async", free)):
            for p in plans:
                idle[mode][f"{p.name} servers"] = 1 - p.generate_s / step
                idle[mode][f"{p.name} learner"] = 1 - (p.train_s + p.publish_s) / step
    else:
        # Devices with several policies: one after the other; a CPU's cores are shared evenly.
        cores = min(layout.count, len(plans)) if layout.device.overhead_gb < 1 else 1
        writing = sum(p.generate_s for p in plans) / cores
        learning = sum(p.train_s + p.publish_s for p in plans) / cores
        sync, free = writing + learning, writing + learning
        idle = {
            mode: {"generating": learning / sync, "learning": writing / sync}
            for mode in ("sync", "async")
        }
    step = sync if config.train.mode == "sync" else free
    verifying = trees * config.search.nodes * layout.workload.verify_seconds
    for of, seconds in (("sync", sync), ("async", free)):
        idle[of]["verifier"] = max(0.0, 1 - verifying / config.verifier.workers / seconds)
    hours = step * layout.count / 3600
    return Plan(
        layout=layout,
        policies=plans,
        parts=parts,
        trees=trees,
        sync_s=sync,
        async_s=free,
        step_s=step,
        idle=idle,
        cost=hours * layout.device.price,
        total_cost=hours * layout.device.price * config.train.steps,
        total_s=step * config.train.steps,
        assumptions=_assumptions(layout),
    )


def _assumptions(layout: Layout) -> list[str]:
    """What the numbers rest on, in words."""
    d, w = layout.device, layout.workload
    told = [
        f"{d.name}: {d.bfloat16_tflops:g} TFLOP/s bfloat16, {d.float32_tflops:g} float32, "
        f"{d.bandwidth_gbs:g} GB/s, {d.memory_gb:g} GB ({d.source})",
        f"reached: {d.matmul:.0%} of FLOP/s in products, {d.stream:.0%} of bandwidth; calling "
        f"costs {d.call_us:g} µs a decoding step and {d.layer_us:g} a layer, {d.train_call_us:g} "
        f"and {d.train_layer_us:g} with the backward pass",
        f"memory: {d.overhead_gb:g} GB for the framework, {d.allocator - 1:.0%} lost by the "
        "allocator",
        f"lengths: prompts {w.prompt_tokens:.0f} tokens, {w.refine_tokens:.0f} of refinements "
        f"({w.refine_share:.0%} of nodes), answers "
        + (f"{w.output_tokens:.0f}" if w.output_tokens else "half of max_tokens")
        + f" on average, sigma {w.output_sigma:.2f}; {w.distinct:.0%} of prompts are one node's "
        "alone",
        f"trees: {w.informative:.0%} informative; verdicts take {w.verify_seconds:.2f} s of a core",
        f"price: {d.price:g} an hour and device" if d.price else "price: none given",
    ]
    if layout.engine == "sharded":
        told.append(
            f"placement: {layout.generate_share:.0%} of each policy's devices serve, "
            f"{layout.tensor_parallel} a replica, the others share its learner; "
            "vllm.devices and learner.shards make it so (docs/vllm.md, docs/sharded.md)"
        )
    else:
        told.append("placement: one process, as this version runs it")
    return told
