"""Where output goes: data on stdout, everything else on stderr; rich on a terminal only."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from mars2.cli.tree_view import growing
from mars2.inference.show import label
from mars2.training.rundir import finite
from mars2.types import Node

Advance = Callable[[], None]


class Output:
    """One command's output. With `as_json`, stdout carries only `data()` objects."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._log = Console(stderr=True, highlight=False, soft_wrap=True)
        self._out = Console(
            stderr=as_json, highlight=False, soft_wrap=not sys.stdout.isatty(), emoji=False
        )

    def log(self, text: str) -> None:
        """A progress line for people, on stderr."""
        self._log.print(text, markup=False)

    def log_table(self, table: Callable[[], RenderableType], plain: str) -> None:
        """Progress on stderr: the table on a terminal, the plain line elsewhere."""
        if self._log.is_terminal:
            self._log.print(table(), markup=False)
        else:
            self.log(plain)

    def show(self, text: str) -> None:
        """A result for people: stdout, or stderr when stdout belongs to `--json`."""
        self._out.print(text, markup=False)

    def data(self, value: Any) -> None:
        """One JSON object on its own line of stdout."""
        sys.stdout.write(json.dumps(finite(value)) + "\n")
        sys.stdout.flush()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table for people; plain Markdown when stdout is not a terminal."""
        cells = [[str(c) for c in row] for row in rows]
        if self._out.is_terminal:
            table = Table(title=title, title_justify="left")
            for column in columns:
                table.add_column(column, overflow="fold")
            for row in cells:
                table.add_row(*row)
            self._out.print(table, markup=False)
            return
        self.show(title + "\n")
        widths = [max(len(c), *(len(r[i]) for r in cells), 3) for i, c in enumerate(columns)]
        for line in (list(columns), ["-" * w for w in widths], *cells):
            self.show(
                "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
            )
        self.show("")

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Advance]:
        """A bar on a terminal; elsewhere a line at every tenth of `total`."""
        if self._log.is_terminal:
            bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._log,
                transient=True,
            )
            with bar:
                task = bar.add_task(what, total=total)
                yield lambda: bar.advance(task)
            return
        done = 0
        tenth = max(1, total // 10)

        def advance() -> None:
            nonlocal done
            done += 1
            if done % tenth == 0 or done == total:
                self.log(f"{what}: {done}/{total}")

        yield advance

    @contextmanager
    def growing_tree(self, title: str, budget: int) -> Iterator[Callable[[Node], None]]:
        """Takes the nodes of a search: a tree that grows on a terminal, elsewhere lines."""
        if self._log.is_terminal:
            with growing(self._log, title, budget) as add:
                yield add
            return

        def line(node: Node) -> None:
            under = f"refines {node.parent_id}" if node.parent_id else "first attempt"
            self.log("  " * (node.depth - 1) + f"{label(node)} ({under})")

        yield line


def percent(value: float, interval: Sequence[float] | None = None) -> str:
    """`0.52 [0.48, 0.56]`, or a dash for NaN."""
    if math.isnan(value):
        return "–"
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
