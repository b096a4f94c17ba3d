"""A solved problem as text and as HTML, for terminals and notebooks.

Programs and names are untrusted text: everything is escaped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from html import escape

from mars2.types import Node, Status

_MARKS = {Status.PASSED: "✓", Status.INFRA: "?"}
_STYLE = (
    "font-family: monospace; white-space: pre; border: 1px solid #8884; padding: 0.5em; "
    "overflow-x: auto"
)


def outline(nodes: Iterable[Node]) -> list[Node]:
    """The nodes depth first, children in order of their ids; those without a parent first."""
    below: defaultdict[int | None, list[Node]] = defaultdict(list)
    for node in sorted(nodes, key=lambda node: node.node_id, reverse=True):
        below[node.parent_id].append(node)
    found: list[Node] = []
    waiting = below.pop(None, [])
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += below.pop(node.node_id, [])
    return found


def label(node: Node) -> str:
    """One node in a line: who wrote it, and what the tests say."""
    verdict = node.verdict
    mark = _MARKS.get(verdict.status, "✗")
    said = "no tests" if verdict.total == 0 else f"{verdict.passed}/{verdict.total}"
    status = "" if verdict.ok else f" {verdict.status}"
    return f"{mark} {node.node_id} {node.agent}: {said}{status}"


def text(nodes: Iterable[Node]) -> str:
    """The tree, a line a node, indented by depth."""
    return "\n".join("  " * (node.depth - 1) + label(node) for node in outline(nodes))


def html(title: str, nodes: Iterable[Node], code: str | None) -> str:
    """A self-contained fragment: the title, the tree (folded), the program."""
    tree = [*nodes]
    program = escape(code) if code is not None else "<i>no program</i>"
    return (
        f"<div><b>{escape(title)}</b>"
        f"<details><summary>{len(tree)} nodes</summary>"
        f'<div style="{_STYLE}">{escape(text(tree))}</div></details>'
        f'<div style="{_STYLE}">{program}</div></div>'
    )
