"""From raw rewards of tree nodes to advantages: raw → shaped → overlong → group advantage.

Pure functions without torch. The group of a node is its tree, by tree id, across agents and
depths; nothing depends on the order in which nodes arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from statistics import fmean, stdev

from mars2.config import CreditConfig
from mars2.errors import CapabilityError, SearchError
from mars2.training.sample import Sample
from mars2.types import Node, Status

STD_EPSILON = 1e-4  # added to the standard deviation, as TRL and DAPO implementations do
ZERO_VARIANCE = 1e-8  # a group whose standard deviation is below carries no signal


@dataclass(frozen=True, slots=True)
class Writer:
    """Which policy an agent writes with, and at which sampling temperature."""

    policy: str
    temperature: float = 1.0


@dataclass(slots=True)
class CreditStats:
    """What happened to the nodes. Counts are nodes, except `trees` and `dropped_groups`.

    `empty` generations and those `without_ids` (backends that give no tokens) take part in the
    statistics of their group but train nothing; so do `masked` truncated ones. `truncated`
    counts all truncated nodes of informative trees, kept or masked.
    """

    trees: int = 0
    dropped_groups: int = 0
    nodes: int = 0
    infra: int = 0
    empty: int = 0
    without_ids: int = 0
    truncated: int = 0
    masked: int = 0
    informative: set[str] = field(default_factory=set)  # tree ids that gave advantages

    def add(self, other: CreditStats) -> None:
        """Accumulate the statistics of other trees."""
        for item in fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            setattr(self, item.name, mine | theirs if item.name == "informative" else mine + theirs)


def shaped_rewards(
    rewards: Mapping[int, float],
    parents: Mapping[int, int | None],
    gamma: float,
    lam: float,
) -> dict[int, float]:
    """Tree-consistent shaping of one tree (arXiv 2604.14564), always from raw rewards.

    b_v = (1 − λ)·r_parent + λ·mean(r of the parent's other children); a missing half leaves its
    weight to the other; with neither, the node is not shaped. r̂_v = r_v + γ·(r_v − b_v).

    Args:
        rewards: node id → raw reward.
        parents: node id → parent id, None at the first level. A parent that is not in
            `rewards` counts as missing.
    """
    children: dict[int | None, list[int]] = {}
    for node in rewards:
        children.setdefault(parents[node], []).append(node)
    shaped = {}
    for node, reward in rewards.items():
        parent = parents[node]
        others = [rewards[c] for c in sorted(children[parent]) if c != node]
        above = rewards.get(parent) if parent is not None else None
        if above is not None and others:
            baseline = (1 - lam) * above + lam * fmean(others)
        elif above is not None:
            baseline = above
        elif others:
            baseline = fmean(others)
        else:
            baseline = reward
        shaped[node] = reward + gamma * (reward - baseline)
    return shaped


def overlong_penalty(length: int, maximum: int | None, buffer: int) -> float:
    """Soft overlong punishment (DAPO, arXiv 2503.14476, eq. 13), in [−1, 0].

    0 up to `maximum − buffer` tokens, then linear down to −1 at `maximum`; −1 beyond it.
    `maximum` None: always 0.
    """
    if maximum is None or length <= maximum - buffer:
        return 0.0
    if length >= maximum:
        return -1.0
    return (maximum - buffer - length) / buffer


def group_advantages(rewards: Sequence[float]) -> list[float] | None:
    """(r̂ − mean) / (std + 1e-4) with the unbiased std (n − 1) over one group (arXiv 2402.03300).

    None if the group carries no signal: fewer than two members, or no variance.
    """
    if len(rewards) < 2:
        return None
    mean, std = fmean(rewards), stdev(rewards)
    if std < ZERO_VARIANCE:
        return None
    return [(r - mean) / (std + STD_EPSILON) for r in rewards]


def credit_forest(
    nodes: Iterable[Node],
    config: CreditConfig,
    writers: Mapping[str, Writer] | None = None,
) -> tuple[list[Sample], CreditStats]:
    """Samples of all informative trees, ordered by tree id and node id, and what was left out.

    Nodes may come in any order and interleaved. Nodes whose verdict is `infra` say nothing about
    their program and are left out before any statistic.

    Args:
        writers: agent name → policy and temperature; None: every agent is its own policy at 1.

    Raises:
        SearchError: a node occurs twice, or an agent is not in `writers`.
        CapabilityError: a generation has token ids but no log-probs or prompt ids.
    """
    trees: dict[str, dict[int, Node]] = {}
    stats = CreditStats()
    for node in nodes:
        stats.nodes += 1
        tree = trees.setdefault(node.tree_id, {})
        if node.node_id in tree:
            raise SearchError(f"node {node.node_id} of tree {node.tree_id!r} occurs twice")
        tree[node.node_id] = node
    stats.trees = len(trees)
    samples: list[Sample] = []
    for tree_id in sorted(trees):
        tree = trees[tree_id]
        judged = [tree[i] for i in sorted(tree) if tree[i].verdict.status is not Status.INFRA]
        stats.infra += len(tree) - len(judged)
        samples += _credit_one(tree_id, judged, config, writers, stats)
    return samples, stats


def _credit_one(
    tree_id: str,
    nodes: Sequence[Node],
    config: CreditConfig,
    writers: Mapping[str, Writer] | None,
    stats: CreditStats,
) -> list[Sample]:
    raw = {n.node_id: n.reward for n in nodes}
    parents = {n.node_id: n.parent_id for n in nodes}
    shaped = shaped_rewards(raw, parents, config.shaping_gamma, config.shaping_lambda)
    final = [
        shaped[n.node_id]
        + overlong_penalty(_length(n), config.overlong_max, config.overlong_buffer)
        for n in nodes
    ]
    advantages = group_advantages(final)
    if advantages is None:
        stats.dropped_groups += 1
        return []
    stats.informative.add(tree_id)
    samples = []
    for node, reward, advantage in zip(nodes, final, advantages, strict=True):
        generation = node.generation
        if generation.token_ids is None:
            stats.without_ids += 1
            continue
        if not generation.token_ids:  # nothing was written: no token may be trained, least of
            stats.empty += 1  # all one of the prompt
            continue
        truncated = generation.finish_reason == "length"
        stats.truncated += truncated
        if truncated and config.truncated == "mask":
            stats.masked += 1
            continue
        writer = _writer(node.agent, writers)
        if generation.logprobs is None or not generation.prompt_ids:
            raise CapabilityError(
                f"policy {writer.policy!r} of agent {node.agent!r} gave token ids without "
                "log-probabilities or prompt ids; it cannot be trained"
            )
        samples.append(
            Sample(
                agent=node.agent,
                policy=writer.policy,
                prompt_ids=generation.prompt_ids,
                token_ids=generation.token_ids,
                logprobs=generation.logprobs,
                temperature=writer.temperature,
                reward=node.reward,
                shaped=reward,
                advantage=advantage,
                tree_id=tree_id,
                node_id=node.node_id,
                policy_version=generation.policy_version,
                truncated=truncated,
            )
        )
    return samples


def _writer(agent: str, writers: Mapping[str, Writer] | None) -> Writer:
    if writers is None:
        return Writer(agent)
    if agent not in writers:
        raise SearchError(f"a node was written by {agent!r}, which is not an agent of this team")
    return writers[agent]


def _length(node: Node) -> int:
    ids = node.generation.token_ids
    return node.generation.usage.completion_tokens if ids is None else len(ids)
