"""Where problems come from: one registry of sources, each loaded by its own module.

A source is written as `NAME` or `NAME:ARGUMENT`; `sources()` lists them. Sources whose data or
code is optional (`humaneval`, `lab`) are imported only when asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mars2.errors import ProblemError
from mars2.problems.completion import complete_code
from mars2.types import Problem

__all__ = ["check_unique", "complete_code", "load", "sources"]


def _builtin(argument: str) -> list[Problem]:
    from mars2.problems.jsonl import read_builtin

    return read_builtin()


def _humaneval(argument: str) -> list[Problem]:
    from mars2.problems.humaneval import read_humaneval

    return read_humaneval()


def _jsonl(argument: str) -> list[Problem]:
    from mars2.problems.jsonl import read_jsonl

    return read_jsonl(Path(argument))


def _lab(argument: str) -> list[Problem]:
    from mars2.problems.lab import read_lab

    return read_lab(argument)


# name → (what follows the colon, "" if nothing may; one line; loader)
_SOURCES: dict[str, tuple[str, str, Callable[[str], list[Problem]]]] = {
    "builtin": ("", "problems written for this project, easy to hard, shipped with it", _builtin),
    "humaneval": ("", "HumanEval's 164 problems (pip install 'mars2[humaneval]')", _humaneval),
    "jsonl": ("PATH", "your own problems: a JSON-lines file, one problem a line", _jsonl),
    "lab": ("FAMILY[:SPLIT]", "generated families for the micro models; train or heldout", _lab),
}


def sources() -> dict[str, str]:
    """How each source is written → one line that says what it holds."""
    return {f"{n}:{arg}" if arg else n: line for n, (arg, line, _) in _SOURCES.items()}


def check_unique(problems: list[Problem], source: str) -> None:
    """Raises ProblemError naming an id that two problems share; ids are global in a run."""
    twice = [i for i, n in Counter(p.id for p in problems).items() if n > 1]
    if twice:
        raise ProblemError(f"{source}: problem id {twice[0]!r} is used more than once")


def load(source: str, *, difficulty: str | None = None, limit: int | None = None) -> list[Problem]:
    """The problems of `source` in its own order, which is easiest first for `builtin`.

    `difficulty` keeps the problems of that difficulty, then `limit` (≥ 1) the first so many.
    Raises ProblemError for an unknown source, an unusable file (naming file, row and field),
    ids used twice, a missing package, or when nothing is left.
    """
    name, colon, argument = source.partition(":")
    if name not in _SOURCES:
        known = ", ".join(sources())
        raise ProblemError(f"unknown problem source {source!r}; the sources are: {known}")
    wanted, _, loader = _SOURCES[name]
    if bool(wanted) != bool(argument.strip()) or bool(colon) != bool(wanted):
        how = f"{name}:{wanted}" if wanted else name
        raise ProblemError(f"problem source {source!r} should be written {how!r}")
    if limit is not None and limit < 1:
        raise ProblemError(f"limit is {limit}; it has to be at least 1")
    problems = loader(argument)
    check_unique(problems, source)
    if not problems:
        raise ProblemError(f"{source}: holds no problems")
    if difficulty is not None:
        present = sorted({p.difficulty for p in problems if p.difficulty is not None})
        problems = [p for p in problems if p.difficulty == difficulty]
        if not problems:
            has = f"it has {', '.join(present)}" if present else "its problems carry no difficulty"
            raise ProblemError(f"{source}: no problem of difficulty {difficulty!r}; {has}")
    return problems[:limit]
