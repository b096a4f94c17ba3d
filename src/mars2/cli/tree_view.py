"""A search tree that grows live on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from mars2.inference.show import label
from mars2.types import Node


class TreeView:
    """What has been found so far. Nodes may come in any order after their parents."""

    def __init__(self, title: str, budget: int) -> None:
        self._root = Tree(Text(title, style="bold"))
        self._branches: dict[int | None, Tree] = {None: self._root}
        self._budget, self._count, self._tokens = budget, 0, 0
        self._started = time.monotonic()

    def add(self, node: Node) -> None:
        """A node has ended."""
        usage = node.generation.usage
        self._count += 1
        self._tokens += usage.prompt_tokens + usage.completion_tokens
        above = self._branches.get(node.parent_id, self._root)
        style = "green" if node.verdict.ok else "red"
        self._branches[node.node_id] = above.add(Text(label(node), style=style))

    def __rich__(self) -> Group:
        seconds = time.monotonic() - self._started
        state = f"{self._count} of {self._budget} nodes, {self._tokens} tokens, {seconds:.0f} s"
        return Group(self._root, Text(state, style="dim"))


@contextmanager
def growing(console: Console, title: str, budget: int) -> Iterator[Callable[[Node], None]]:
    """Show the tree on that terminal while it grows; what is left there is its last state."""
    view = TreeView(title, budget)
    with Live(view, console=console, refresh_per_second=4, vertical_overflow="crop"):
        yield view.add
