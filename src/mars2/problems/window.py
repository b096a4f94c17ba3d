"""Which problems of a source are meant: released in a time, of some difficulties."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field

from mars2.errors import ProblemError

_DAY = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")


def check_day(text: str, what: str) -> str:
    """A day, month or year: "2024-01-31", "2024-01", "2024". Raises ProblemError."""
    try:
        if not _DAY.fullmatch(text):
            raise ValueError
        datetime.date.fromisoformat((text + "-01-01")[:10])
    except ValueError:
        raise ProblemError(
            f"{what} is {text!r}; write a day, month or year as 2024-01-31, 2024-01 or 2024"
        ) from None
    return text


def parse_dates(text: str, what: str) -> tuple[str | None, str | None] | None:
    """(since, until) of "SINCE..UNTIL", one of which may be missing; None for any other text."""
    since, dots, until = text.partition("..")
    if not dots:
        return None
    if not since and not until:
        raise ProblemError(f"{what}: '..' needs a date before it, behind it, or both")
    return (
        check_day(since, f"{what}: the begin of the time") if since else None,
        check_day(until, f"{what}: the end of the time") if until else None,
    )


@dataclass
class Window:
    """`since` and `until` belong to the time; a month or a year means all of its days.

    Attributes:
        difficulties: those that are meant; empty: all.
        seen, dated: the difficulties that were asked about, and whether any problem had a date.
    """

    since: str | None = None
    until: str | None = None
    difficulties: frozenset[str] = frozenset()
    seen: set[str] = field(default_factory=set)
    dated: bool = False

    def admits(self, date: str | None, difficulty: str | None) -> bool:
        """A problem without date is in no time, one without difficulty of none."""
        if difficulty is not None:
            self.seen.add(difficulty)
        self.dated = self.dated or date is not None
        if self.difficulties and difficulty not in self.difficulties:
            return False
        if self.since is None and self.until is None:
            return True
        if date is None or (self.since and date < self.since):
            return False
        return self.until is None or date[: len(self.until)] <= self.until

    def nothing(self) -> str:
        """Why there may be nothing in it, for a message."""
        if self.difficulties and not self.difficulties & self.seen:
            wanted = ", ".join(map(repr, sorted(self.difficulties)))
            has = f"it has {', '.join(sorted(self.seen))}" if self.seen else ""
            return f"no problem of difficulty {wanted}; {has or 'its problems carry no difficulty'}"
        if self.since or self.until:
            time = f"{self.since or ''}..{self.until or ''}"
            return f"no problem in the time {time}" + (
                "" if self.dated else "; its problems carry no date"
            )
        return "holds no problems"
