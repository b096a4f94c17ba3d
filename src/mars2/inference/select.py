"""Which node of a finished tree is the answer, seeing public information only."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence

from mars2.types import Node


def select(nodes: Sequence[Node]) -> Node | None:
    """The node with the highest public reward; ties go to the program that most of the tied
    nodes agree on (equal syntax trees), then to the earliest. None without any program.
    """
    candidates = [n for n in nodes if n.code is not None]
    if not candidates:
        return None
    best = max(n.reward for n in candidates)
    tied = [n for n in candidates if n.reward == best]
    shapes = [_shape(n.code or "") for n in tied]
    votes = Counter(shapes)
    ranked = zip(tied, shapes, strict=True)
    return min(ranked, key=lambda pair: (-votes[pair[1]], pair[0].node_id))[0]


def _shape(code: str) -> str:
    try:
        return ast.dump(ast.parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
