"""Judges the programs of a sample file and keeps them as the first attempts of an agent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, cast

from mars2.evaluation.outcomes import EvalResult
from mars2.exchange.read import Samples
from mars2.search.journal import Journal
from mars2.search.runner import OnNode
from mars2.types import Expansion, Generation, Node, Problem, Status, Submission, Verdict
from mars2.verifier import AnyVerifier
from mars2.verifier.batch import run_verify
from mars2.verifier.formats import program

_TOGETHER = 256  # submissions in memory at once


async def rejudge(
    samples: Samples,
    problems: Sequence[Problem],
    verifier: AnyVerifier,
    agent: str,
    *,
    journal: Journal | None = None,
    on_node: OnNode | None = None,
) -> EvalResult:
    """Judge every program on all tests; pass rates as of `mars2.evaluation.evaluate`, no trees.

    Each program is a node of the tree "eval/AGENT/PROBLEM", in the order of the file. What
    `journal` holds is not judged again. A program that could not be judged is counted in `masked`
    and nowhere else; it is not in the journal, so that a resumed run tries again.

    Args:
        on_node: called for each node that is judged.
    """
    by_id = {problem.id: problem for problem in problems}
    passed: dict[str, dict[int, bool]] = {problem: {} for problem in samples.counts}
    masked = 0

    def tree(problem: str) -> str:
        return f"eval/{agent}/{problem}"

    if journal is not None:
        for problem in passed:
            for event in journal.tree(tree(problem)).events():
                if event["event"] == "tell":
                    ok = event["node"]["verdict"]["status"] == Status.PASSED
                    passed[problem][event["node_id"]] = ok
    rest = (s for s in samples.submissions() if _number(s) not in passed[s.problem_id])
    unpacking = cast(AnyVerifier, _Unpacking(verifier))
    for chunk in _chunks(rest):
        verdicts = run_verify(problems, chunk, verifier=unpacking)
        left = iter(chunk)
        async for verdict in verdicts:
            submission = next(left)
            if verdict.status is Status.INFRA:
                masked += 1
                continue
            problem = submission.problem_id
            node = _node(tree(problem), agent, by_id[problem], submission, verdict)
            if journal is not None:
                record = journal.tree(node.tree_id)
                record.ask(Expansion(node.node_id, None, 1, agent, "generate"))
                record.tell(node)
            passed[problem][node.node_id] = verdict.ok
            if on_node is not None:
                on_node(node)
    attempts = {problem: [ok for _, ok in sorted(of.items())] for problem, of in passed.items()}
    return EvalResult({agent: attempts}, masked=masked)


class _Unpacking:
    """A verifier that unpacks a problem's tests when its turn comes."""

    def __init__(self, verifier: AnyVerifier) -> None:
        self._verifier, self.config = verifier, verifier.config

    async def verify(self, problem: Problem, code: str | None, **how: Any) -> Verdict:
        return await self._verifier.verify(problem.unpacked(), code, **how)


def _number(submission: Submission) -> int:
    """Node ids count from 1."""
    return int(submission.id.rpartition("/")[2]) + 1


def _node(
    tree: str, agent: str, problem: Problem, submission: Submission, verdict: Verdict
) -> Node:
    code = program(problem, submission)
    return Node(
        tree_id=tree,
        node_id=_number(submission),
        parent_id=None,
        depth=1,
        agent=agent,
        action="generate",
        prompt=(),
        generation=Generation(code or ""),
        code=code,
        verdict=verdict,
        reward=float(verdict.ok),
    )


def _chunks(submissions: Iterator[Submission]) -> Iterator[list[Submission]]:
    while chunk := list(islice(submissions, _TOGETHER)):
        yield chunk
