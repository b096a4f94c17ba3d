"""One policy's share of a step: what it reads, writes and learns from, and what that takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mars2.config import AgentConfig, LearnerConfig, RunConfig
from mars2.plan.layout import Layout
from mars2.plan.memory import (
    LearnerMemory,
    PolicyMemory,
    Stream,
    engine_memory,
    kv_bytes,
    learner_memory,
    local_policy_memory,
)
from mars2.plan.shapes import Shape, shape_of
from mars2.plan.timing import (
    batch_seconds,
    decode_seconds,
    forward_seconds,
    optimizer_seconds,
    prefill_seconds,
    training_seconds,
)


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """One policy's work in a step of `trees_per_step` informative trees.

    Attributes:
        share: of all nodes; requests: nodes it writes; samples: those it learns from.
        stream: one micro-batch; micro_batches: of an update.
        generate_s, train_s, publish_s: seconds of a step.
        tail_s: of `generate_s`, what a barrier adds: the last and longest answers run nearly alone.
        rows: answers under way on one server; slots: that it has memory for.
    """

    name: str
    agent: AgentConfig
    shape: Shape
    trains: bool
    share: float
    requests: float
    samples: float
    prompt_tokens: float
    output_tokens: float
    stream: Stream
    micro_batches: int
    rows: float
    slots: float
    generate_s: float
    tail_s: float
    train_s: float
    publish_s: float
    learner: LearnerMemory | None
    policy: PolicyMemory


def split(layout: Layout, policies: int) -> tuple[int, int]:
    """Devices that serve and that learn, of one policy."""
    each = layout.count // policies
    serving = max(1, min(each - 1, round(layout.generate_share * each)))
    return max(layout.tensor_parallel, serving), max(1, each - serving)


def policy_plan(
    config: RunConfig,
    layout: Layout,
    name: str,
    agents: list[AgentConfig],
    share: float,
    trees: float,
    policies: int,
) -> PolicyPlan:
    agent, work, shape = agents[0], layout.workload, shape_of(agents[0].spec)
    limit = max(a.max_tokens for a in agents)
    output, prompt = work.mean_output(limit), work.mean_prompt
    requests = trees * config.search.nodes * share
    samples = min(trees * work.informative, config.train.trees_per_step)
    samples *= config.search.nodes * share
    trains = agent.train is not False
    stream, count = typical_stream(config.learner, layout, samples, limit, shape.context)
    serving, learning = split(layout, policies) if layout.engine == "sharded" else (1, 1)
    memory = None
    if trains:
        memory = learner_memory(
            shape,
            stream,
            precision=config.learner.precision,
            checkpointing=config.learner.activation_checkpointing,
            reference=config.objective.needs_reference,
            lora_rank=config.learner.lora_rank,
            lora_targets=config.learner.lora_targets,
            shards=learning,
        )
    made = PolicyPlan(
        name=name,
        agent=agent,
        shape=shape,
        trains=trains,
        share=share,
        requests=requests,
        samples=samples if trains else 0.0,
        prompt_tokens=prompt,
        output_tokens=output,
        stream=stream,
        micro_batches=count,
        rows=0,
        slots=agent.max_batch,
        generate_s=0,
        tail_s=0,
        train_s=train_seconds(config, layout, shape, stream, count, learning) if trains else 0.0,
        publish_s=_publish_seconds(layout, shape) if trains else 0.0,
        learner=memory,
        policy=PolicyMemory(0, 0, 0),
    )
    if layout.engine == "sharded":
        return _served(config, layout, made, trees, serving, limit)
    return _batched(config, layout, made, trees, limit)


def typical_stream(
    learner: LearnerConfig, layout: Layout, samples: float, max_tokens: int, context: int
) -> tuple[Stream, int]:
    """A micro-batch of this workload, and how many an update has (`packing.packed_batches`).

    The stream is as long as `micro_batch_tokens`, or as the longest sample if that is longer, or
    as all samples if they are shorter; each sample that shares a prompt is a row behind it.
    """
    work = layout.workload
    output = work.mean_output(max_tokens)
    each = work.distinct * work.mean_prompt + output
    total = max(1.0, samples * each)
    longest = min(context, work.refine_tokens + max_tokens)
    count = math.ceil(total / learner.micro_batch_tokens)
    tokens = max(min(total, longest), total / count)
    count = max(1, round(total / tokens))
    inside = max(1.0, tokens / each)
    sharing = inside * (1 - work.distinct) if inside >= 2 else 0.0
    whole = work.mean_prompt + output
    return (
        Stream(
            tokens=round(tokens),
            outputs=round(tokens * output / each),
            rows=max(1, round(inside)),
            joined=round(sharing * whole),
            pairs=round(inside * output * (work.mean_prompt + output / 2)),
            mask=round(sharing * output * whole),
        ),
        count,
    )


def train_seconds(
    config: RunConfig, layout: Layout, shape: Shape, stream: Stream, count: int, shards: int
) -> float:
    """An update: all micro-batches, with old log-probs and the KL reference where wanted."""
    set_, device = config.learner, layout.device
    precision = set_.precision
    one = training_seconds(
        shape,
        stream,
        device,
        precision,
        checkpointing=set_.activation_checkpointing,
        lora_rank=set_.lora_rank,
        lora_targets=set_.lora_targets,
        shards=shards,
    ).total
    forward = forward_seconds(shape, stream, device, precision).total
    extra = (set_.minibatches > 1) + config.objective.needs_reference
    trained = shape.lora(set_.lora_rank, set_.lora_targets) if set_.lora_rank else shape.parameters
    micro = math.ceil(count / shards)
    passes = micro * (one + extra * forward)
    steps = set_.minibatches * optimizer_seconds(trained / shards, 1, device)
    talk = 0.0
    if shards > 1:  # float32 weights gathered twice, gradients scattered once, each micro-batch
        link = device.link if shards <= device.node else device.network
        talk = micro * 3 * 4.0 * shape.parameters * (shards - 1) / shards / link
    return passes + steps + talk


def _publish_seconds(layout: Layout, shape: Shape) -> float:
    """Weights in bfloat16 once over the wire between machines, or copied in memory."""
    device = layout.device
    if layout.engine == "process":
        return 3 * 4.0 * shape.parameters / device.stream_bandwidth
    wire = device.link if layout.count <= device.node else device.network
    return 2.0 * shape.parameters / wire


def _batched(
    config: RunConfig, layout: Layout, p: PolicyPlan, trees: float, limit: int
) -> PolicyPlan:
    """Generating in this process: waves of `in_flight`, reckoned as full batches one after another.

    That requests may join a batch between two tokens is left out: it saves some of the tails.
    """
    work, search = layout.workload, config.search
    waves = math.ceil(search.nodes / search.in_flight)
    together = min(search.concurrency, trees * search.in_flight) * p.share
    rows = max(1, min(p.agent.max_batch, round(together)))
    batches = max(1.0, p.requests / rows)
    prompts = [round(p.prompt_tokens)] * rows
    outputs = work.quantiles(rows, limit)
    device = layout.device
    distinct = max(1, round(work.distinct * rows))
    one = batch_seconds(p.shape, prompts, outputs, device, p.agent.dtype, distinct)
    longest = min(p.shape.context, round(max(work.prompt_tokens, work.refine_tokens)))
    memory = local_policy_memory(
        p.shape,
        p.agent.dtype,
        rows=rows,
        prompt=longest,
        output=outputs[-1],
        prefill=min(16384, round(distinct * p.prompt_tokens)),
    )
    even = sum(outputs) / rows
    tail = one * (1 - even / outputs[-1]) * min(1.0, waves / batches)
    seconds = batches * one + p.requests * device.node_s
    return replace(p, rows=rows, generate_s=seconds, tail_s=tail, policy=memory)


def _served(
    config: RunConfig, layout: Layout, p: PolicyPlan, trees: float, serving: int, limit: int
) -> PolicyPlan:
    """Generating on servers of their own with continuous batching."""
    work, search, device = layout.workload, config.search, layout.device
    replicas = max(1, serving // layout.tensor_parallel)
    tp = layout.tensor_parallel
    bare = engine_memory(p.shape, p.agent.dtype, tokens=0, tensor_parallel=tp)
    room = layout.cache_share * device.memory - 1e9 * device.overhead_gb - bare.peak
    per_token = kv_bytes(p.shape, p.agent.dtype) / min(tp, p.shape.kv_heads)
    held = max(0.0, room) / per_token
    context = p.prompt_tokens + p.output_tokens / 2
    under_way = min(search.concurrency, trees * search.in_flight) * p.share / replicas
    slots = held / (p.prompt_tokens + p.output_tokens)
    rows = max(1.0, min(p.agent.max_batch, under_way, slots))
    step = decode_seconds(p.shape, rows, context, device, p.agent.dtype, tp)
    read = p.requests * p.prompt_tokens * work.distinct / replicas
    reading = prefill_seconds(p.shape, read, p.prompt_tokens, device, p.agent.dtype, tp)
    busy = p.requests * p.output_tokens / replicas / rows * step + reading
    longest = work.quantiles(max(1, round(rows)), limit)[-1]
    alone = decode_seconds(p.shape, 1, context, device, p.agent.dtype, tp)
    waves = math.ceil(search.nodes / search.in_flight)
    # Behind a barrier a step cannot end before its longest chain of answers has.
    chain = longest * (alone + step) / 2 + (waves - 1) * p.output_tokens * step
    needed = min(held, rows * (p.prompt_tokens + p.output_tokens))
    largest = work.refine_tokens + limit
    memory = engine_memory(p.shape, p.agent.dtype, tokens=max(needed, largest), tensor_parallel=tp)
    return replace(
        p, rows=rows, slots=slots, generate_s=busy, tail_s=max(0.0, chain - busy), policy=memory
    )
