"""The trees of a run as plain objects, for export."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mars2.viewer.recorder import result_of
from mars2.viewer.run import Place, Run
from mars2.viewer.tail import Tail, Wanted


@dataclass(slots=True)
class Shoot:
    """One expansion: what was asked for, and what became of it.

    `state` is "told", "failed", "cancelled" or "pending"; `node` is as in the journal.
    """

    asked: dict[str, Any]
    state: str = "pending"
    ended_at: float | None = None
    error: str | None = None
    node: dict[str, Any] | None = None


@dataclass(slots=True)
class Tree:
    """One tree; `shoots` by node id, in the order in which they were asked for."""

    id: str
    place: Place
    shoots: dict[int, Shoot] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)


def read_trees(run: Run, wanted: Wanted | None = None) -> list[Tree]:
    """All trees in order of their first event.

    Raises:
        ResumeError: the journal is damaged.
    """
    trees: dict[str, Tree] = {}
    for event in Tail(run.journal, wanted).read():
        tree = trees.get(event["tree"])
        if tree is None:
            tree = trees[event["tree"]] = Tree(event["tree"], run.place(event["tree"]))
        _take(tree, event)
    outcomes = run.outcomes()
    for tree in trees.values():
        if tree.place.agent is None and tree.place.problem in outcomes:
            tree.result = result_of(outcomes[tree.place.problem])
    return list(trees.values())


def _take(tree: Tree, event: dict[str, Any]) -> None:
    kind = event["event"]
    if kind in ("join", "leave"):
        return
    if kind == "ask":
        tree.shoots[event["node_id"]] = Shoot(event)
        return
    shoot = tree.shoots[event["node_id"]]
    shoot.ended_at = event["seconds"]
    shoot.node = event.get("node")
    shoot.state = {"tell": "told", "fail": "failed", "cancel": "cancelled"}[kind]
    shoot.error = event.get("error")
