"""The line of metrics of one step: plain numbers from nodes, samples and updates. Pure Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol

from mars2.training.credit import CreditStats, Writer
from mars2.types import Node

if TYPE_CHECKING:
    from mars2.training.learner import UpdateMetrics


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


@dataclass(slots=True)
class Seconds:
    """Wall-clock of a step by phase."""

    rollout: float = 0.0
    update: float = 0.0
    checkpoint: float = 0.0  # of the previous step: this line is written before its own


@dataclass(slots=True)
class StepData:
    """All that a line is made of."""

    step: int
    trees: list[Tree] = field(default_factory=list)
    credit: CreditStats = field(default_factory=CreditStats)
    policies: dict[str, PolicyStep] = field(default_factory=dict)
    seconds: Seconds = field(default_factory=Seconds)
    refills: int = 0


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
            agent: {
                "nodes": sum(n.agent == agent for n in nodes),
                "reward": _mean([n.reward for n in nodes if n.agent == agent]),
            }
            for agent in writers
        },
        "trees": _trees_line(data, nodes),
        "seconds": asdict(data.seconds),
    }


def _policy_line(step: PolicyStep, nodes: Sequence[Node]) -> dict[str, Any]:
    generations = [n.generation for n in nodes]
    line: dict[str, Any] = {
        "reward": _mean([n.reward for n in nodes]),
        "nodes": len(nodes),
        "tokens": sum(len(g.token_ids or ()) for g in generations),
        "truncated": sum(g.finish_reason == "length" for g in generations),
        "empty": sum(not g.token_ids for g in generations),
        "stale": step.stale,
        "waiting": step.waiting,
        "version": step.version,
        "update_seconds": step.seconds,
        "update": None,
    }
    if step.update is not None:
        line["update"] = asdict(step.update)
    return line


def _trees_line(data: StepData, nodes: Sequence[Node]) -> dict[str, Any]:
    grown = [tree.nodes for tree in data.trees if tree.nodes]
    return {
        "count": len(data.trees),
        "nodes": len(nodes),
        "failed_expansions": sum(len(tree.failed) for tree in data.trees),
        "reward": _mean([n.reward for n in nodes]),
        "pass_rate": _mean([float(max(n.reward for n in tree) >= 1) for tree in grown]),
        "depth": _mean([float(max(n.depth for n in tree)) for tree in grown]),
        "refinements": sum(n.action == "refine" for n in nodes),
        "informative": len(data.credit.informative),
        "dropped_groups": data.credit.dropped_groups,
        "masked": data.credit.masked,
        "refills": data.refills,
    }


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else float("nan")
