"""From raw rewards of tree nodes to advantages.

The order: raw → (truncated outputs penalised) → shaped → overlong penalty → group advantage.

Pure functions without torch. The group of a node is its tree, by tree id, across agents and
depths; nothing depends on the order in which nodes arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from statistics import fmean, stdev

from mars2.config import CreditConfig
from mars2.errors import CapabilityError, ConfigError, SearchError
from mars2.training.sample import Sample
from mars2.types import Node, Status

STD_EPSILON = 1e-4  # added to the standard deviation, as TRL and DAPO implementations do
ZERO_VARIANCE = 1e-8  # a group whose standard deviation is below carries no signal


@dataclass(frozen=True, slots=True)
class Writer:
    """Which policy an agent writes with, at which sampling temperature, and how much at most.

    `max_tokens` None: not known, which only an overlong penalty relative to it minds.
    """

    policy: str
    temperature: float = 1.0
    max_tokens: int | None = None


@dataclass(slots=True)
class CreditStats:
    """What happened to the nodes. Counts are nodes, except `trees` and `dropped_groups`.

    `empty` generations and those `without_ids` (backends that give no tokens) take part in the
    statistics of their group but train nothing; so do `masked` truncated ones. `truncated`
    counts all truncated nodes of informative trees, whatever is done with them.
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


def truncated_reward(reward: float, coef: float) -> float:
    """What the raw reward of an output cut at its limit becomes (`truncated = "penalise"`).

    It is multiplied by a coefficient in [0, 1) and replaced by one below 0, as OpenRLHF's and NeMo
    RL's `stop_properly_penalty_coef`. 0, the default, is a failure; DAPO (arXiv 2503.14476, §3.4)
    calls this the punitive reward.
    """
    return coef if coef < 0 else reward * coef


def overlong_penalty(length: int, maximum: int | None, buffer: float) -> float:
    """Soft overlong punishment (DAPO, arXiv 2503.14476, eq. 13), in [−1, 0].

    0 up to `maximum − buffer` tokens, then linear down to −1 at `maximum`; −1 beyond it.
    `maximum` None: always 0.
    """
    if maximum is None or length <= maximum - buffer:
        return 0.0
    if length >= maximum:
        return -1.0
    return (maximum - buffer - length) / buffer


def group_advantages(rewards: Sequence[float], scale: float | None = None) -> list[float] | None:
    """(r̂ − mean) / (std + 1e-4) with the unbiased std (n − 1) over one group (arXiv 2402.03300).

    None if the group carries no signal: fewer than two members, or no variance.

    Args:
        scale: what to divide by instead of the group's std + 1e-4.
    """
    if len(rewards) < 2:
        return None
    mean, std = fmean(rewards), stdev(rewards)
    if std < ZERO_VARIANCE:
        return None
    divisor = std + STD_EPSILON if scale is None else scale
    return [(r - mean) / divisor for r in rewards]


def credit_forest(
    nodes: Iterable[Node],
    config: CreditConfig,
    writers: Mapping[str, Writer] | None = None,
) -> tuple[list[Sample], CreditStats]:
    """Samples of all informative trees, ordered by tree id and node id, and what was left out.

    Nodes may come in any order and interleaved. Nodes whose verdict is `infra` say nothing about
    their program and are left out before any statistic.

    Args:
        writers: agent name → its `Writer`; None: every agent is its own policy at temperature 1.

    Raises:
        SearchError: a node occurs twice, or an agent is not in `writers`.
        ConfigError: the overlong penalty needs an agent's `max_tokens`.
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
    rewards: dict[str, dict[int, float]] = {}
    for tree_id in sorted(trees):
        tree = trees[tree_id]
        judged = [tree[i] for i in sorted(tree) if tree[i].verdict.status is not Status.INFRA]
        stats.infra += len(tree) - len(judged)
        rewards[tree_id] = _final_rewards(judged, config, writers)
    scale = _scale(rewards.values(), config)
    samples: list[Sample] = []
    for tree_id, final in rewards.items():
        advantages = group_advantages(list(final.values()), scale)
        if advantages is None:
            stats.dropped_groups += 1
            continue
        stats.informative.add(tree_id)
        for (node_id, reward), advantage in zip(final.items(), advantages, strict=True):
            sample = _sample(trees[tree_id][node_id], reward, advantage, config, writers, stats)
            if sample is not None:
                samples.append(sample)
    return samples, stats


def _final_rewards(
    nodes: Sequence[Node], config: CreditConfig, writers: Mapping[str, Writer] | None
) -> dict[int, float]:
    """Node id → reward after truncation, shaping and overlong penalty, of one tree."""
    raw = {n.node_id: n.reward for n in nodes}
    if config.truncated == "penalise":
        for n in nodes:
            if _is_truncated(n):
                raw[n.node_id] = truncated_reward(n.reward, config.truncated_coef)
    parents = {n.node_id: n.parent_id for n in nodes}
    shaped = shaped_rewards(raw, parents, config.shaping_gamma, config.shaping_lambda)
    for n in nodes:
        writer = (writers or {}).get(n.agent)
        try:
            limits = config.overlong_limits(writer.max_tokens if writer else None)
        except ValueError as error:
            raise ConfigError(f"credit: agent {n.agent!r}: {error}") from None
        if limits is not None:
            shaped[n.node_id] += overlong_penalty(_length(n), *limits)
    return shaped


def _scale(trees: Iterable[Mapping[int, float]], config: CreditConfig) -> float | None:
    """What all advantages are divided by; None: each tree's own deviation."""
    if config.scale_rewards == "group":
        return None
    if config.scale_rewards == "none":
        return 1.0
    everything = [r for tree in trees for r in tree.values()]
    return (stdev(everything) if len(everything) > 1 else 0.0) + STD_EPSILON


def _sample(
    node: Node,
    reward: float,
    advantage: float,
    config: CreditConfig,
    writers: Mapping[str, Writer] | None,
    stats: CreditStats,
) -> Sample | None:
    """What the node's learner sees of it; None, and counted, if it trains nothing."""
    generation = node.generation
    if generation.token_ids is None:
        stats.without_ids += 1
        return None
    if not generation.token_ids:  # nothing was written: no token may be trained, least of all one
        stats.empty += 1  # of the prompt
        return None
    truncated = _is_truncated(node)
    stats.truncated += truncated
    if truncated and config.truncated == "mask":
        stats.masked += 1
        return None
    writer = _writer(node.agent, writers)
    if generation.logprobs is None or not generation.prompt_ids:
        raise CapabilityError(
            f"policy {writer.policy!r} of agent {node.agent!r} gave token ids without "
            "log-probabilities or prompt ids; it cannot be trained"
        )
    return Sample(
        agent=node.agent,
        policy=writer.policy,
        prompt_ids=generation.prompt_ids,
        token_ids=generation.token_ids,
        logprobs=generation.logprobs,
        temperature=writer.temperature,
        reward=node.reward,
        shaped=reward,
        advantage=advantage,
        tree_id=node.tree_id,
        node_id=node.node_id,
        policy_version=generation.policy_version,
        truncated=truncated,
    )


def _writer(agent: str, writers: Mapping[str, Writer] | None) -> Writer:
    if writers is None:
        return Writer(agent)
    if agent not in writers:
        raise SearchError(f"a node was written by {agent!r}, which is not an agent of this team")
    return writers[agent]


def _is_truncated(node: Node) -> bool:
    return node.generation.finish_reason == "length"


def _length(node: Node) -> int:
    ids = node.generation.token_ids
    return node.generation.usage.completion_tokens if ids is None else len(ids)
