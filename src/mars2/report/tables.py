"""A table of a report, before it is printed in any form."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mars2.report.text import NOTHING


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are ready to print; some are a `Score`. `key` is the table's name for machines.

    `notes` stand below it: what a reader must know to read it.
    """

    key: str
    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: tuple[str, ...] = ()

    def compact(self, *names: str) -> Table:
        """Without those of the named columns in which no row has anything."""
        keep = [
            i
            for i, column in enumerate(self.columns)
            if column not in names or any(row[i] not in ("", NOTHING) for row in self.rows)
        ]
        rows = [[row[i] for i in keep] for row in self.rows]
        return replace(self, columns=[self.columns[i] for i in keep], rows=rows)
