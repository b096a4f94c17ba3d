"""The line of metrics of one step: plain numbers from nodes, samples and updates. Pure Python.

docs/report.md gives the meaning and formula of every key.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol

from mars2.training.credit import CreditStats, Writer
from mars2.training.sample import Sample
from mars2.types import Node

if TYPE_CHECKING:
    from mars2.training.learning import UpdateMetrics


class Tree(Protocol):
    """What the trainer reads of a searched tree (`mars2.search.runner.TreeResult`)."""

    tree_id: str
    nodes: list[Node]

    @property
    def failed(self) -> Sequence[Any]:
        """Expansions without a usable node."""
        ...


@dataclass(slots=True)
class PolicyStep:
    """What one policy did in a step; `update` is None if it waited for more samples."""

    update: UpdateMetrics | None
    stale: int  # samples dropped by the staleness bound
    waiting: int  # samples left in the buffer
    version: int
    seconds: float
    ages: Sequence[int] = ()  # version when learnt from − version that wrote it, of each sample


@dataclass(slots=True)
class Seconds:
    """Wall-clock of a step by phase; phases that overlap each count in full.

    `idle`: neither rollout nor any learner was at work, nor checkpoint, nor evaluation.
    """

    rollout: float = 0.0
    update: float = 0.0
    checkpoint: float = 0.0  # of the previous step: this line is written before its own
    evaluation: float = 0.0  # likewise, with all else that hooks do after a step
    idle: float = 0.0


@dataclass(slots=True)
class StepData:
    """All that a line is made of. `samples`: what credit made of the nodes of these trees."""

    step: int
    trees: list[Tree] = field(default_factory=list)
    credit: CreditStats = field(default_factory=CreditStats)
    policies: dict[str, PolicyStep] = field(default_factory=dict)
    seconds: Seconds = field(default_factory=Seconds)
    refills: int = 0
    samples: list[Sample] = field(default_factory=list)


def metrics_line(data: StepData, writers: Mapping[str, Writer]) -> dict[str, Any]:
    """The JSON object of a step; NaN where there is nothing to average."""
    nodes = [n for tree in data.trees for n in tree.nodes]
    return {
        "step": data.step,
        "policies": {
            name: _policy_line(step, [n for n in nodes if writers[n.agent].policy == name])
            for name, step in data.policies.items()
        },
        "agents": {
            agent: _agent_line(
                [n for n in nodes if n.agent == agent],
                [s.advantage for s in data.samples if s.agent == agent],
            )
            for agent in writers
        },
        "trees": _trees_line(data, nodes),
        "throughput": _throughput(data, nodes),
        "seconds": asdict(data.seconds) | {"verify": sum(n.verdict.seconds for n in nodes)},
    }


def output_length(node: Node) -> int:
    """Tokens that the agent wrote, as it counts them."""
    ids = node.generation.token_ids
    return node.generation.usage.completion_tokens if ids is None else len(ids)


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value such that at least `share` of all are not above it (nearest rank).

    NaN of nothing. `share` is in (0, 1].
    """
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[math.ceil(share * len(ordered)) - 1]


def _agent_line(nodes: Sequence[Node], advantages: Sequence[float]) -> dict[str, Any]:
    lengths = [output_length(n) for n in nodes]
    return {
        "nodes": len(nodes),
        "reward": _mean(n.reward for n in nodes),
        "pass_rate": _pass_rate(nodes),
        "refinements": sum(n.action == "refine" for n in nodes),
        "samples": len(advantages),
        "advantage": {
            "mean": _mean(advantages),
            "std": _std(advantages),
        },
        "length": {
            "mean": _mean(lengths),
            "p95": percentile(lengths, 0.95),
            "max": max(lengths, default=math.nan),
        },
        "tokens": sum(lengths),
        "truncation_rate": _mean(n.generation.finish_reason == "length" for n in nodes),
        "empty_rate": _mean(length == 0 for length in lengths),
    }


def _policy_line(step: PolicyStep, nodes: Sequence[Node]) -> dict[str, Any]:
    generations = [n.generation for n in nodes]
    line: dict[str, Any] = {
        "reward": _mean(n.reward for n in nodes),
        "nodes": len(nodes),
        "tokens": sum(len(g.token_ids or ()) for g in generations),
        "truncated": sum(g.finish_reason == "length" for g in generations),
        "empty": sum(not g.token_ids for g in generations),
        "stale": step.stale,
        "waiting": step.waiting,
        "version": step.version,
        "staleness": {
            "mean": _mean(step.ages),
            "max": max(step.ages, default=math.nan),
            "dropped": step.stale,
        },
        "update_seconds": step.seconds,
        "update": None,
    }
    if step.update is not None:
        line["update"] = asdict(step.update)
    return line


def _trees_line(data: StepData, nodes: Sequence[Node]) -> dict[str, Any]:
    grown = [tree.nodes for tree in data.trees if tree.nodes]
    refined = [n for n in nodes if n.action == "refine"]
    return {
        "count": len(data.trees),
        "nodes": len(nodes),
        "failed_expansions": sum(len(tree.failed) for tree in data.trees),
        "reward": _mean(n.reward for n in nodes),
        "pass_rate": _mean(max(n.reward for n in tree) >= 1 for tree in grown),
        "pass_rate_generate": _pass_rate([n for n in nodes if n.action == "generate"]),
        "pass_rate_refine": _pass_rate(refined),
        "size": _mean(len(tree) for tree in grown),
        "depth": _mean(max(n.depth for n in tree) for tree in grown),
        "root_width": _mean(sum(n.parent_id is None for n in tree) for tree in grown),
        "refinements": len(refined),
        "informative": len(data.credit.informative),
        "informative_share": _over(len(data.credit.informative), len(data.trees)),
        "dropped_groups": data.credit.dropped_groups,
        "masked": data.credit.masked,
        "refills": data.refills,
    }


def _throughput(data: StepData, nodes: Sequence[Node]) -> dict[str, float]:
    generated = sum(output_length(n) for n in nodes)
    trained = sum(p.update.tokens for p in data.policies.values() if p.update is not None)
    return {
        "generated_tokens": generated,
        "generated_tokens_per_second": _over(generated, data.seconds.rollout),
        "trained_tokens": trained,
        "trained_tokens_per_second": _over(trained, data.seconds.update),
    }


def _pass_rate(nodes: Sequence[Node]) -> float:
    """Share of nodes that pass every test their reward is made of."""
    return _mean(n.reward >= 1 for n in nodes)


def _mean(values: Iterable[float]) -> float:
    numbers = [float(v) for v in values]
    return fmean(numbers) if numbers else math.nan


def _std(values: Sequence[float]) -> float:
    """Unbiased (n − 1); NaN of fewer than two, and of values that are not finite."""
    mean = _mean(values)
    return math.sqrt(_over(sum((v - mean) ** 2 for v in values), len(values) - 1))


def _over(total: float, divisor: float) -> float:
    return total / divisor if divisor > 0 else math.nan
