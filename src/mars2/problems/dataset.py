"""The one way from a published dataset to problems: find rows, normalise each, refuse or skip.

A dataset is a description (`Dataset`): where its rows are, and one strict function that makes a
problem of a row. Its source is written NAME[:PART…][@PATH], where a part is a variant, a time
"2024-08..2025-01" or a difficulty, in any order, and PATH a file, or a folder in the published
layout; without PATH the hub is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from mars2.errors import ProblemError
from mars2.problems.explain import fault
from mars2.problems.fields import Fields, Place, RowError
from mars2.problems.files import Item, find, read_file
from mars2.problems.hub import Hub, read_hub
from mars2.problems.window import Window, parse_dates
from mars2.types import Problem

OnBad = Callable[[RowError], None]
"""Is told of a row that is left out because it is bad."""


class Head(NamedTuple):
    """What decides whether a row is wanted, before its tests are looked at."""

    id: str
    difficulty: str | None = None
    date: str | None = None


Chosen = tuple[str, ...]
"""One word an axis of the dataset's variants."""


@dataclass(frozen=True)
class Dataset:
    """A published dataset.

    Attributes:
        variants: axes, each the words that may be chosen; the first one is the default, unless
            it is "" (then one has to be given, but for a single file).
        difficulties: the words of its difficulties, if they may be parts of the source.
        columns: the fields that `head` and `problem` read.
        layouts: (chosen) → what a folder holds, see `mars2.problems.files.find`.
        hub: (chosen) → where on the hub it is; or `package`: its rows from an installed package.
        head, problem: (fields of a row, chosen) → what is in it; both raise RowError. `head` gives
            None for a row that is not part of what was chosen.
    """

    columns: tuple[str, ...]
    layouts: Callable[[Chosen], Sequence[Sequence[str]]]
    head: Callable[[Fields, Chosen], Head | None]
    problem: Callable[[Fields, Head, Chosen], Problem]
    hub: Callable[[Chosen], Hub] | None = None
    package: Callable[[], Iterator[Item]] | None = None
    variants: tuple[tuple[str, ...], ...] = ()
    difficulties: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """A source of a dataset, understood."""

    source: str
    path: Path | None
    chosen: Chosen


def understand(dataset: Dataset, argument: str, source: str, window: Window) -> Wanted:
    """What `argument`, all behind the name, means; times and difficulties go into `window`.

    Raises ProblemError for a part that is none of the dataset's, or for one that is missing.
    """
    head, at, tail = argument.partition("@")
    if at and not tail.strip():
        raise ProblemError(f"problem source {source!r}: nothing stands behind the @")
    path = Path(tail).expanduser() if at else None  # behind the @ no shell does it
    chosen = [words[0] for words in dataset.variants]
    given: set[int] = set()
    for part in filter(None, head.split(":")):
        dates = parse_dates(part, f"problem source {source!r}")
        axis = next((i for i, known in enumerate(dataset.variants) if part in known), None)
        if dates is not None:
            window.since, window.until = dates[0] or window.since, dates[1] or window.until
        elif axis is not None and axis not in given:
            chosen[axis] = part
            given.add(axis)
        elif set(part.split(",")) <= set(dataset.difficulties):
            window.difficulties |= frozenset(part.split(","))
        else:
            raise ProblemError(_unknown(dataset, part, source))
    is_file = path is not None and not path.is_dir()
    missing = [i for i, word in enumerate(chosen) if not word]
    if missing and not is_file:
        words = ", ".join(filter(None, dataset.variants[missing[0]]))
        raise ProblemError(f"problem source {source!r}: say which of {words}")
    return Wanted(source, path, tuple(chosen))


def _unknown(dataset: Dataset, part: str, source: str) -> str:
    known = [", ".join(filter(None, axis)) for axis in dataset.variants]
    if dataset.difficulties:
        known.append(f"difficulties {', '.join(dataset.difficulties)}")
    known.append("a time such as 2024-08..2025-01")
    return f"problem source {source!r}: {part!r} is none of its parts; they are {'; '.join(known)}"


def read(
    dataset: Dataset, wanted: Wanted, window: Window, on_bad: OnBad | None = None
) -> Iterator[Problem]:
    """The problems, one at a time. A bad row is told to `on_bad` and left out, or raised.

    Raises:
        RowError: a bad row, without `on_bad`.
        ProblemError: no such file, layout or dataset on the hub.
    """
    return normalised(
        _rows(dataset, wanted),
        lambda fields: dataset.head(fields, wanted.chosen),
        lambda fields, head: dataset.problem(fields, head, wanted.chosen),
        window,
        on_bad,
    )


def _rows(dataset: Dataset, wanted: Wanted) -> Iterator[Item]:
    if wanted.path is None:
        if dataset.package is not None:
            yield from dataset.package()
        elif dataset.hub is not None:
            yield from read_hub(dataset.hub(wanted.chosen), dataset.columns, wanted.source)
        return
    paths = [wanted.path]
    if wanted.path.is_dir():
        paths = find(wanted.path, dataset.layouts(wanted.chosen), wanted.source)
    for path in paths:
        yield from read_file(path, dataset.columns)


def normalised(
    rows: Iterator[Item],
    head_of: Callable[[Fields], Head | None],
    problem_of: Callable[[Fields, Head], Problem],
    window: Window,
    on_bad: OnBad | None = None,
) -> Iterator[Problem]:
    """Problems of rows, each id once; rows outside of `window` are not looked at further."""
    first: dict[str, Place] = {}
    for index, (place, value) in enumerate(rows):
        try:
            if isinstance(value, RowError):
                raise value
            fields = Fields(place, index, value)
            head = head_of(fields)
            if head is None:
                continue
            if head.id in first:
                known = first[head.id]
                where = f"row {known.row}" if known.file == place.file else str(known)
                fields.fail("id", f"{head.id!r} is already used in {where}")
            first[head.id] = place
            if not window.admits(head.date, head.difficulty):
                continue
            problem = problem_of(fields, head)
        except RowError as error:
            if on_bad is None:
                raise
            on_bad(error)
            continue
        yield problem


def build(fields: Fields, head: Head, **parts: Any) -> Problem:
    """The problem of a row. Raises RowError, for example if it has no tests."""
    try:
        return Problem(id=head.id, difficulty=head.difficulty, date=head.date, **parts)
    except ValidationError as error:
        raise RowError(fields.place, *fault(error)) from None
