"""From a finished tree to its outcome: the only place where private tests meet tree nodes.

They only judge. Whom the selector picks is asked of public information, after every node, so that
one search gives what each smaller budget would have answered.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace

from mars2.evaluation.outcomes import TreeOutcome
from mars2.inference.guide import Guide
from mars2.inference.judging import judged
from mars2.inference.select import shape
from mars2.rewards.base import RewardModel
from mars2.search.runner import TreeResult
from mars2.types import Node, Problem, Status
from mars2.verifier import AnyVerifier

_BY_TESTS = Guide()


async def judge_tree(
    problem: Problem,
    result: TreeResult,
    verifier: AnyVerifier,
    guide: Guide = _BY_TESTS,
    seed: int = 0,
    order: Sequence[int] | None = None,
) -> TreeOutcome | None:
    """Run all tests on the nodes that passed the public ones (a public failure settles it).

    Args:
        order: ids of the nodes in the order in which the search learnt of them; by default that
            of the ids.

    Returns None if the verifier's machinery failed on one: an unknown is not a failure.
    """
    by_id = {n.node_id: n for n in result.nodes}
    nodes = list(by_id.values()) if order is None else [by_id[i] for i in order]
    candidates = [n for n in nodes if n.code is not None and n.verdict.ok]
    full = problem.unpacked() if candidates else problem
    verdicts = await asyncio.gather(
        *(judged(verifier, full, n.code, id=f"{n.tree_id}#{n.node_id}") for n in candidates)
    )
    if any(v.status is Status.INFRA for v in verdicts):
        return None
    passed = [n.node_id for n, v in zip(candidates, verdicts, strict=True) if v.ok]
    selected_at = await selections(problem, nodes, verifier, guide, seed)
    return TreeOutcome(
        selected=bool(selected_at) and selected_at[-1][1] in passed,
        any_passed=bool(passed),
        nodes=len(nodes),
        failed=len(result.failed),
        order=tuple(n.node_id for n in nodes),
        passed=tuple(passed),
        selected_at=tuple(selected_at),
        spent=result.spent,
    )


def contender(problem: Problem, attempt: Node) -> str | None:
    """What a selector makes of an attempt that was judged on all tests: a digest of its program,
    equal for equal syntax trees, or None without a program or if it fails a public test."""
    shown = attempt.verdict.tests[: len(problem.public_tests)]
    passed = sum(test.status is Status.PASSED for test in shown)
    if attempt.code is None or not (attempt.verdict.ok or passed == len(problem.public_tests)):
        return None
    return hashlib.sha256(shape(attempt.code).encode(errors="replace")).hexdigest()[:16]


async def selections(
    problem: Problem, nodes: Sequence[Node], verifier: AnyVerifier, guide: Guide, seed: int = 0
) -> list[tuple[int, int | None]]:
    """(n, node id or None): whom the selector picks of the first n nodes, where that changes.

    Args:
        nodes: in the order in which the search learnt of them.
    """
    if guide.model is not None:
        guide = replace(guide, model=_Remembered(guide.model))
    found: list[tuple[int, int | None]] = []
    picked: int | None = None
    best = 0.0
    passing = False
    for n, node in enumerate(nodes, 1):
        ok = node.code is not None and node.verdict.ok
        # A node that public tests place below the best so far changes nobody's choice.
        if node.code is not None and (ok or (not passing and node.reward >= best)):
            passing, best = passing or ok, max(best, node.reward)
            seen = TreeResult(node.tree_id, list(nodes[:n]))
            chosen = await guide.choose(seen, problem, verifier, seed)
            picked = None if chosen is None else chosen.node_id
        if not found or found[-1][1] != picked:
            found.append((n, picked))
    return found


class _Remembered:
    """A reward model that is asked once for each program of one problem."""

    def __init__(self, model: RewardModel) -> None:
        self._model = model
        self._known: dict[str, float] = {}

    async def score(self, problem: Problem, codes: Sequence[str]) -> list[float]:
        new = [code for code in dict.fromkeys(codes) if code not in self._known]
        if new:
            scores = await self._model.score(problem, new)
            self._known.update(zip(new, scores, strict=True))
        return [self._known[code] for code in codes]
