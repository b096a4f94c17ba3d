"""The programs of a finished `mars2 eval`, from its journal, checked against its results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mars2.errors import UsageError
from mars2.inference.select import select
from mars2.search.journal import read_journal
from mars2.types import Generation, Node, Verdict

What = Literal["samples", "selected", "all-nodes"]
WHATS: tuple[What, ...] = get_args(What)
_TEAM = "team"


@dataclass(frozen=True, slots=True)
class Programs:
    """Programs by problem id, in the order of their nodes; None for an answer without one.

    `passed` says of each whether it passed all tests; None where the run does not know.
    """

    codes: dict[str, list[str | None]]
    passed: dict[str, list[bool]] | None


def agents_of(run: Path) -> list[str]:
    """The agents with first attempts. Raises UsageError: no finished evaluation."""
    return list(_outcomes(run)[0]["attempts"])


def read_programs(run: Path, what: What = "samples", agent: str | None = None) -> Programs:
    """The programs of every problem of the run.

    Args:
        what: "samples": the independent first attempts of `agent`, which may be left out if there
            is one agent only; "selected": the answer of each problem's tree; "all-nodes": all
            nodes of the trees.

    Raises:
        UsageError: no finished evaluation, no such agent, no trees, or a journal that does not
            agree with the results.
        ResumeError: the journal cannot be read.
    """
    outcomes, settings = _outcomes(run)
    attempts = outcomes["attempts"]
    if what == "samples":
        agent = _agent(run, attempts, agent)
        return _samples(run, agent, attempts[agent])
    if agent is not None:
        raise UsageError(f"--agent {agent}: the trees are the whole team's; only samples have one")
    trees = outcomes.get("trees") or {}
    if not trees:
        raise UsageError(f"{run}: has no trees; only samples can be exported")
    problems = list(dict.fromkeys([p for of in attempts.values() for p in of] + list(trees)))
    nodes: dict[str, list[Node]] = {problem: [] for problem in problems}
    for problem, node in _nodes(run, _TEAM):
        nodes.setdefault(problem, []).append(node)
    for problem, tree in trees.items():
        nodes[problem].sort(key=lambda n: n.node_id)
        _agree(run, f"the tree of {problem}", tree["nodes"], len(nodes[problem]))
    if what == "selected":
        return _selected(run, nodes, trees, settings)
    known = all("passed" in tree for tree in trees.values())
    passed = {
        problem: [n.node_id in trees.get(problem, {}).get("passed", ()) for n in of]
        for problem, of in nodes.items()
    }
    codes = {problem: [n.code for n in of] for problem, of in nodes.items()}
    return Programs(codes, passed if known else None)


def _samples(run: Path, agent: str, attempts: dict[str, list[bool]]) -> Programs:
    found: dict[str, list[tuple[int, str | None, bool]]] = {problem: [] for problem in attempts}
    for problem, node in _nodes(run, agent):
        found.setdefault(problem, []).append((node.node_id, node.code, node.verdict.ok))
    for problem, of in found.items():
        of.sort()
        told = attempts.get(problem, [])
        _agree(run, f"{agent}'s attempts at {problem}", told, [ok for _, _, ok in of])
    return Programs({p: [code for _, code, _ in of] for p, of in found.items()}, attempts)


def _selected(
    run: Path, nodes: dict[str, list[Node]], trees: dict[str, Any], settings: dict[str, Any]
) -> Programs:
    codes: dict[str, list[str | None]] = {}
    passed: dict[str, list[bool]] = {}
    for problem, of in nodes.items():
        tree = trees.get(problem, {})
        chosen: Node | None = None
        if tree.get("selected_at"):
            number = tree["selected_at"][-1][1]
            chosen = next((n for n in of if n.node_id == number), None)
        elif tree and settings.get("inference", {}).get("selector", "public") == "public":
            chosen = select(of)
        elif of:
            raise UsageError(
                f"{run}: does not say which node of {problem} was selected; it was made by an "
                "older version: continue it with `mars2 eval --resume`, which writes that down"
            )
        codes[problem] = [] if chosen is None else [chosen.code]
        passed[problem] = [] if chosen is None else [bool(tree.get("selected"))]
    return Programs(codes, passed)


def _outcomes(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    if not run.is_dir():
        raise UsageError(f"{run} is not a directory; give the --out of a `mars2 eval`")
    results, settings = _object(run / "results.json"), _object(run / "config.json")
    outcomes = results.get("outcomes")
    if not isinstance(outcomes, dict) or not isinstance(outcomes.get("attempts"), dict):
        raise UsageError(
            f"{run}: has no results.json of `mars2 eval`; an evaluation that was interrupted goes "
            "on with --resume"
        )
    return outcomes, settings


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    return value if isinstance(value, dict) else {}


def _agent(run: Path, attempts: dict[str, Any], agent: str | None) -> str:
    names = ", ".join(attempts)
    if agent is None and len(attempts) == 1:
        return next(iter(attempts))
    if agent is None:
        raise UsageError(f"{run}: has the agents {names}; say whose samples with --agent NAME")
    if agent not in attempts:
        raise UsageError(f"--agent {agent}: {run} has no such agent, only {names}")
    return agent


def _nodes(run: Path, who: str) -> Iterator[tuple[str, Node]]:
    """(problem id, node) of every finished node of an agent's or the team's trees.

    Without prompt, generation and evidence, which would fill the memory.
    """
    start = f"eval/{who}/"
    for event in read_journal(run / "journal.jsonl"):
        if event["event"] != "tell" or not event["tree"].startswith(start):
            continue
        try:
            data = event["node"]
            verdict = Verdict(status=data["verdict"]["status"], passed=0, total=0)
            node = Node(
                event["tree"],
                event["node_id"],
                data["parent_id"],
                data["depth"],
                data["agent"],
                data["action"],
                (),
                Generation(""),
                data["code"],
                verdict,
                event["reward"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{run / 'journal.jsonl'}: a node of {event['tree']} cannot be read: {error}"
            ) from None
        yield event["tree"][len(start) :], node


def _agree(run: Path, what: str, results: Any, journal: Any) -> None:
    if results != journal:
        raise UsageError(
            f"{run}: results.json and journal.jsonl do not agree on {what}: {results} and "
            f"{journal}; it is damaged, or being continued"
        )
