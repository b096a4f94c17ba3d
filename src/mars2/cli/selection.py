"""Which problems of a source a command takes: options that several commands share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mars2.cli.output import Output
from mars2.problems import load
from mars2.types import Problem

if TYPE_CHECKING:
    from mars2.problems.fields import RowError

F = TypeVar("F", bound=Callable[..., Any])
_SHOWN = 5  # bad rows named in the log


def selection_options(command: F) -> F:
    """`--difficulty`, `--since`, `--until`, `--limit`, `--skip-bad`."""
    for option in (
        click.option("--skip-bad", is_flag=True, help="Leave bad rows out, and say how many."),
        click.option("--limit", type=click.IntRange(min=1), help="Only the first N."),
        click.option("--until", metavar="DATE", help="Only those released up to then."),
        click.option(
            "--since",
            metavar="DATE",
            help="Only problems released since: a day, month or year, as 2024-08.",
        ),
        click.option(
            "--difficulty",
            metavar="WORD,…",
            help="Only problems of this difficulty, or of one of these.",
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Selection:
    """What the shared options said."""

    difficulty: str | None = None
    since: str | None = None
    until: str | None = None
    limit: int | None = None
    skip_bad: bool = False

    @classmethod
    def taken(cls, kwargs: dict[str, Any]) -> Selection:
        """Take the shared options out of a command's keyword arguments."""
        return cls(**{f.name: kwargs.pop(f.name) for f in fields(cls)})

    def window(self) -> dict[str, str | None]:
        """The arguments of `mars2.problems.stream`."""
        return {"difficulty": self.difficulty, "since": self.since, "until": self.until}

    def load(self, source: str, output: Output) -> list[Problem]:
        """The problems; what was left out as bad is told on stderr. As `mars2.problems.load`."""
        bad: list[RowError] = []
        on_bad = bad.append if self.skip_bad else None
        problems = load(source, limit=self.limit, on_bad=on_bad, **self.window())
        tell_bad(bad, source, output)
        return problems


def tell_bad(bad: list[RowError], source: str, output: Output) -> None:
    """Say how many rows were left out, for what, and which came first."""
    if not bad:
        return
    output.log(f"{source}: {len(bad)} bad rows were left out")
    for reason, count in Counter(error.reason for error in bad).most_common():
        output.log(f"  {count} × {reason}")
    for error in bad[:_SHOWN]:
        output.log(f"  {error}")
    if len(bad) > _SHOWN:
        output.log("  … `mars2 problems check SOURCE --json` lists all")
