"""Which node of a finished tree is the answer, seeing public information only."""

from __future__ import annotations

import ast
import functools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

from mars2.errors import ConfigError
from mars2.inference.agreement import Group, group_by_behaviour
from mars2.rewards.base import RewardModel
from mars2.syntax import NOT_PYTHON, parse
from mars2.types import Node, Problem
from mars2.verifier import AnyVerifier

Selector = Literal["public", "agreement", "reward-model", "combined"]
SELECTORS: tuple[Selector, ...] = get_args(Selector)


def public_best(nodes: Sequence[Node]) -> list[Node]:
    """The nodes with a program that the public tests cannot tell apart, earliest first.

    Those that pass all of them (whatever else their reward was mixed with), else those with the
    highest reward.
    """
    candidates = sorted((n for n in nodes if n.code is not None), key=lambda n: n.node_id)
    passing = [n for n in candidates if n.verdict.ok]
    if passing:
        return passing
    best = max((n.reward for n in candidates), default=0.0)
    return [n for n in candidates if n.reward == best]


def select(nodes: Sequence[Node]) -> Node | None:
    """The best node by public tests; ties go to the program that most of the tied nodes agree on
    (equal syntax trees), then to the earliest. None without any program.
    """
    tied = public_best(nodes)
    if not tied:
        return None
    shapes = [shape(n.code or "") for n in tied]
    votes = Counter(shapes)
    ranked = zip(tied, shapes, strict=True)
    return min(ranked, key=lambda pair: (-votes[pair[1]], pair[0].node_id))[0]


async def choose(
    nodes: Sequence[Node],
    problem: Problem,
    selector: Selector,
    verifier: AnyVerifier,
    reward_model: RewardModel | None = None,
    *,
    seed: int = 0,
) -> Node | None:
    """The answer of a tree, by `config.InferenceConfig.selector`. None without any program.

    Among the nodes that the public tests cannot tell apart (`public_best`):

    - "public": as `select`; runs nothing.
    - "agreement": the earliest of the largest group of equal behaviour on generated inputs.
    - "reward-model": the highest probability.
    - "combined": of the group with the greatest sum of probabilities, the most probable.

    Ties go to the earlier group and node. A group of programs that crash or run out of a limit on
    generated inputs is taken only if there is no other. Where no program passes the public tests,
    all are known to be wrong, and the answer is that of "public".

    Args:
        nodes: of a search rewarded by public tests; private tests are never looked at.
        seed: of the generated inputs.

    Raises:
        ConfigError: an unknown selector, or one that needs a reward model without one.
    """
    if selector not in SELECTORS:
        raise ConfigError(f"inference.selector is {selector!r}; there are {', '.join(SELECTORS)}")
    if selector in ("reward-model", "combined") and reward_model is None:
        raise ConfigError(
            f"inference.selector is {selector!r}, which needs inference.reward_model: the "
            "directory that `mars2 reward-model train` wrote"
        )
    if selector == "public":
        return select(nodes)
    tied = public_best(nodes)
    if not tied or not tied[0].verdict.ok:
        return select(nodes)
    codes = [n.code for n in tied if n.code is not None]
    if len(set(codes)) < 2:
        return tied[0]
    scores = [0.0] * len(codes)
    if selector != "agreement" and reward_model is not None:
        scores = await reward_model.score(problem, codes)
    if selector == "reward-model":
        return tied[best_of(scores, range(len(scores)))]
    groups = await group_by_behaviour(problem, codes, verifier, seed=seed)
    return tied[pick(groups, scores if selector == "combined" else None)]


def pick(groups: Sequence[Group], scores: Sequence[float] | None) -> int:
    """The index to choose from groups of indices, by their size or, given scores, by the sum of
    their scores and then the best score; ties go to the lowest index. Pure.

    Raises ValueError for no groups.
    """
    usable = [g for g in groups if not g.failed] or list(groups)

    def weight(g: Group) -> float:
        return len(g.members) if scores is None else math.fsum(scores[i] for i in g.members)

    chosen = min(usable, key=lambda g: (-weight(g), min(g.members)))
    return min(chosen.members) if scores is None else best_of(scores, chosen.members)


def best_of(scores: Sequence[float], indices: Sequence[int]) -> int:
    """The one of `indices` with the highest score, the lowest of equals."""
    return min(indices, key=lambda i: (-scores[i], i))


@functools.lru_cache(maxsize=512)  # asked again after each node of a tree
def shape(code: str) -> str:
    """The syntax tree of a program as text, the same for programs that differ in layout alone.

    The program itself if it is no Python.
    """
    try:
        return ast.dump(parse(code))
    except NOT_PYTHON:
        return code
