"""Where problems come from: one registry of sources, each read by its own module.

A source is written as `NAME` or `NAME:ARGUMENT`; `sources()` lists them. Modules of sources are
imported only when asked for.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from mars2.errors import ProblemError
from mars2.problems.completion import complete_code
from mars2.problems.window import Window, check_day
from mars2.types import Problem

if TYPE_CHECKING:
    from mars2.problems.dataset import OnBad

__all__ = ["check_unique", "complete_code", "load", "sources", "stream"]

# name → how it goes on ("" if it does not; in brackets what may be left out), one line
_SOURCES: dict[str, tuple[str, str]] = {
    "builtin": ("", "problems written for this project, easy to hard, shipped with it"),
    "humaneval": ("[@PATH]", "HumanEval's 164 problems (pip install 'mars2[humaneval]')"),
    "humaneval+": ("[@PATH]", "the same with EvalPlus's tests"),
    "mbpp": (
        "[:full|sanitized][:test|train|validation|prompt][@PATH]",
        "Mostly Basic Python Problems, 500 in the test split",
    ),
    "mbpp+": ("[@PATH]", "378 problems of MBPP with EvalPlus's tests"),
    "livecodebench": (
        ":v1…v6|file1…file6[:SINCE..UNTIL][:easy,medium,hard][@PATH]",
        "releases 1 to 6, each with all before it (400 to 1,055 problems), or one file",
    ),
    "deepcoder": (
        ":lcbv5|primeintellect|taco|codeforces[:train|test][@PATH]",
        "the training data of DeepCoder, 24,000 problems",
    ),
    "taco": ("[:test|train][:EASY…VERY_HARD][@PATH]", "TACO, 1,000 and 25,443 problems"),
    "apps": (
        "[:test|train][:introductory|interview|competition][@PATH]",
        "APPS, 5,000 problems in each split",
    ),
    "codecontests": ("[:test|valid|train][@PATH]", "CodeContests, 165, 117 and 13,328 problems"),
    "jsonl": (":PATH", "your own problems: a JSON-lines file, one problem a line"),
    "lab": (":FAMILY[:SPLIT]", "generated families for the micro models; train or heldout"),
}
# name → module of this package, and the description in it
_DATASETS = {
    "humaneval": ("humaneval", "HUMANEVAL"),
    "humaneval+": ("humaneval", "PLUS"),
    "mbpp": ("mbpp", "MBPP"),
    "mbpp+": ("mbpp", "PLUS"),
    "livecodebench": ("livecodebench", "DATASET"),
    "deepcoder": ("deepcoder", "DATASET"),
    "taco": ("taco", "TACO"),
    "apps": ("taco", "APPS"),
    "codecontests": ("codecontests", "DATASET"),
}


def sources() -> dict[str, str]:
    """How each source is written → one line that says what it holds."""
    return {name + how: line for name, (how, line) in _SOURCES.items()}


def check_unique(problems: list[Problem], source: str) -> None:
    """Raises ProblemError naming an id that two problems share; ids are global in a run."""
    twice = [i for i, n in Counter(p.id for p in problems).items() if n > 1]
    if twice:
        raise ProblemError(f"{source}: problem id {twice[0]!r} is used more than once")


def load(
    source: str,
    *,
    difficulty: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    on_bad: OnBad | None = None,
) -> list[Problem]:
    """The problems of `source` in its own order, which is easiest first for `builtin`.

    Args:
        difficulty: keeps the problems of that difficulty, or of several, separated by commas.
        since, until: keep those released in that time: days, months or years ("2024-08"), both
            belonging to it. A problem without a date is in no time.
        limit: then the first so many (≥ 1); what stands behind them is not read.
        on_bad: is called with each bad row, which is then left out.

    Raises:
        ProblemError: an unknown source, an unusable file, a missing package, nothing left; a bad
            row (naming file, row and field), or an id used twice, without `on_bad`.
    """
    if limit is not None and limit < 1:
        raise ProblemError(f"limit is {limit}; it has to be at least 1")
    window = Window()
    found = _open(source, window, on_bad, difficulty=difficulty, since=since, until=until)
    problems = list(islice(found, limit))
    if not problems:
        raise ProblemError(f"{source}: {window.nothing()}")
    return problems


def stream(
    source: str,
    *,
    difficulty: str | None = None,
    since: str | None = None,
    until: str | None = None,
    on_bad: OnBad | None = None,
) -> Iterator[Problem]:
    """As `load`, one problem at a time; nothing at all is no error here."""
    return _open(source, Window(), on_bad, difficulty=difficulty, since=since, until=until)


def _open(
    source: str,
    window: Window,
    on_bad: OnBad | None,
    *,
    difficulty: str | None,
    since: str | None,
    until: str | None,
) -> Iterator[Problem]:
    """Checks the source and opens it; `window` then knows what was asked for, and saw."""
    name = source.partition(":")[0].partition("@")[0]
    if name not in _SOURCES:
        known = ", ".join(sources())
        raise ProblemError(f"unknown problem source {source!r}; the sources are: {known}")
    if name in _DATASETS:
        from mars2.problems.dataset import read, understand

        module, attribute = _DATASETS[name]
        dataset = getattr(importlib.import_module(f"mars2.problems.{module}"), attribute)
        wanted = understand(dataset, source[len(name) :], source, window)
        _narrow(window, source, difficulty, since, until)
        return read(dataset, wanted, window, on_bad)
    argument = source[len(name) + 1 :]
    how, _ = _SOURCES[name]
    if bool(how) != bool(argument.strip()) or source[len(name) : len(name) + 1] != how[:1]:
        raise ProblemError(f"problem source {source!r} should be written '{name}{how}'")
    _narrow(window, source, difficulty, since, until)
    if name == "jsonl":
        from mars2.problems.jsonl import read_jsonl

        return read_jsonl(Path(argument), window, on_bad)
    return (p for p in _listed(name, argument) if window.admits(p.date, p.difficulty))


def _listed(name: str, argument: str) -> list[Problem]:
    if name == "lab":
        from mars2.problems.lab import read_lab

        problems = read_lab(argument)
    else:
        from mars2.problems.jsonl import read_builtin

        problems = read_builtin()
    check_unique(problems, name)
    return problems


def _narrow(
    window: Window, source: str, difficulty: str | None, since: str | None, until: str | None
) -> None:
    for what, given, there in (
        ("difficulty", difficulty, window.difficulties),
        ("time", since, window.since),
        ("time", until, window.until),
    ):
        if given and there:
            raise ProblemError(f"{source}: the {what} is given twice, in the source and beside it")
    if difficulty is not None:
        window.difficulties = frozenset(difficulty.split(","))
    if since is not None:
        window.since = check_day(since, "since")
    if until is not None:
        window.until = check_day(until, "until")
