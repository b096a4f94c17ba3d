"""A training step as people see it: a table on a terminal, one line elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text


def step_line(metrics: dict[str, Any], steps: int) -> str:
    """One line of progress a step: solved trees, and by policy reward, loss and KL."""
    trees = metrics["trees"]
    parts = [
        f"step {metrics['step']}/{steps}",
        f"trees solved {_n(trees['pass_rate'])}",
        f"informative {trees['informative']}/{trees['count']}",
    ]
    for name, policy in metrics["policies"].items():
        update = policy["update"]
        waits = "learns no more" if policy.get("halted") else "waits for samples"
        learnt = f"{update['samples']} samples, kl {_n(update['kl'], 4)}" if update else waits
        parts.append(f"{name} reward {_n(policy['reward'])} ({learnt}{_agreement(policy)})")
    seconds = metrics["seconds"]
    parts.append(f"{seconds['rollout'] + seconds['update']:.1f} s")
    return "  ".join(parts)


def _agreement(policy: Mapping[str, Any]) -> str:
    """Of a policy whose engine is elsewhere: how far its log-probs are from the learner's."""
    done = policy.get("published")
    if not done or not done["tokens"]:
        return ""
    return f", log-prob agreement {done['mean']:.1e} at version {done['version']}"


AGENT_COLUMNS = ("nodes", "reward", "pass", "adv", "len", "cut")
POLICY_COLUMNS = ("used", "kl", "clip", "weight", "norm", "age")
"""Of a policy's update: samples, KL, clip fraction, mean rollout correction, gradient norm before
clipping, mean staleness in versions."""


def step_table(metrics: Mapping[str, Any], steps: int, policies: Mapping[str, str]) -> Group:
    """What the trees came to, then a row an agent; what a policy learnt stands at its first agent.

    A policy that waits for more samples shows how many it has, in brackets.

    Args:
        policies: agent → policy.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    table.add_column("agent", min_width=8, no_wrap=True)
    for name in AGENT_COLUMNS + POLICY_COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    shown: set[str] = set()
    for name, agent in metrics["agents"].items():
        policy = policies[name]
        first = policy not in shown
        shown.add(policy)
        learnt = metrics["policies"].get(policy) if first else None
        table.add_row(name, *_agent_cells(agent), *_policy_cells(learnt))
    lines = [
        Text(f"{name}{_agreement(policy)}")
        for name, policy in metrics["policies"].items()
        if _agreement(policy)
    ]
    return Group(Text(_headline(metrics, steps), style="bold"), table, *lines)


def _headline(metrics: Mapping[str, Any], steps: int) -> str:
    trees, seconds, speed = metrics["trees"], metrics["seconds"], metrics["throughput"]
    return (
        f"step {metrics['step']}/{steps}  solved {_n(trees['pass_rate'])}  "
        f"informative {trees['informative']}/{trees['count']}  "
        f"tok/s {_n(speed['generated_tokens_per_second'], 0)} written "
        f"{_n(speed['trained_tokens_per_second'], 0)} trained  "
        f"{seconds['rollout'] + seconds['update']:.1f} s"
    )


def _agent_cells(agent: Mapping[str, Any]) -> list[str]:
    return [
        str(agent["nodes"]),
        _n(agent["reward"]),
        _n(agent["pass_rate"]),
        _n(agent["advantage"]["mean"], sign=True),
        _n(agent["length"]["mean"], 0),
        _n(agent["truncation_rate"]),
    ]


def _policy_cells(policy: Mapping[str, Any] | None) -> list[str]:
    if policy is None:
        return [""] * len(POLICY_COLUMNS)
    update = policy["update"]
    if update is None:
        waiting = "halted" if policy.get("halted") else f"({policy['waiting']})"
        return [waiting, *["–"] * (len(POLICY_COLUMNS) - 1)]
    return [
        str(update["samples"]),
        _n(update["kl"], 4),
        _n(update["clip_fraction"]),
        _n(update["correction_mean"]),
        _n(update["grad_norm"]),
        _n(policy["staleness"]["mean"], 1),
    ]


def _n(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:{'+' if sign else ''}.{digits}f}"
