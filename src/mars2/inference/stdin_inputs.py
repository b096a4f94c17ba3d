"""Standard inputs as lists of values, so that what counts what can be found and kept. Pure.

A text becomes one list of words a line; from a number on that counts all following lines, those
lines become one list of rows. Numbers that, in every example, equal the words of the next line,
the rows, or the width of each row, are counts: they follow what they count.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

from mars2.inference.values import Path, Values

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_FLOAT = re.compile(r"-?[0-9]+\.[0-9]+")


def change_text(texts: Sequence[str], rng: random.Random) -> str:
    """A changed copy of one of `texts`; which constraints hold is read off those that have as
    many lines as it (counted rows apart).
    """
    parsed = [[_words(line) for line in text.rstrip("\n").split("\n")] for text in texts]
    chosen = rng.randrange(len(texts))
    header = _header(parsed)
    if header is None:
        alike = [p for p in parsed if len(p) == len(parsed[chosen])]
        calls = [list(p) for p in alike]
        call = list(parsed[chosen])
    else:
        calls = [[*p[: header + 1], p[header + 1 :]] for p in parsed]
        call = calls[chosen]
    counts, frozen, fixed = _structure(calls, rows=header is not None)
    changed = Values(calls, fixed=fixed, counts=counts, frozen=frozen).change(call, rng)
    lines = changed if header is None else [*changed[:-1], *changed[-1]]
    end = "\n" if texts[chosen].endswith("\n") else ""
    return "\n".join(" ".join(map(str, line)) for line in lines) + end


def _words(line: str) -> list[Any]:
    """The line's words, numbers as numbers where they are written back the same."""
    words = line.split(" ")
    if any(not w or w != w.strip() for w in words):
        return [line]
    return [_value(w) for w in words]


def _value(word: str) -> int | float | str:
    if _INTEGER.fullmatch(word):
        return int(word)
    if _FLOAT.fullmatch(word) and str(float(word)) == word:
        return float(word)
    return word


def _header(parsed: Sequence[list[list[Any]]]) -> int | None:
    """The first line in every text with a number that counts all lines below, if more than one
    line follows somewhere.
    """
    if not any(len(p) > 2 for p in parsed):
        return None
    for line in range(min(map(len, parsed)) - 1):
        if any(all(_is_count(p, line, at, len(p) - line - 1) for p in parsed) for at in range(4)):
            return line
    return None


def _is_count(lines: list[list[Any]], line: int, at: int, size: int) -> bool:
    words = lines[line]
    return at < len(words) and type(words[at]) is int and words[at] == size


def _structure(
    calls: Sequence[list[Any]], *, rows: bool
) -> tuple[dict[Path, Path], set[Path], set[Path]]:
    """(counts, frozen, fixed) of lines as arguments, the last one rows if `rows`."""
    counts: dict[Path, Path] = {}
    frozen: set[Path] = set()
    lines = len(calls[0]) - (1 if rows else 0)
    plain = range(lines)
    fixed: set[Path] = {(i,) for i in plain}
    for i in plain:
        for at in range(min(len(c[i]) for c in calls)):
            if any(type(c[i][at]) is not int for c in calls):
                continue
            if rows and i == lines - 1 and all(c[i][at] == len(c[-1]) for c in calls):
                counts.setdefault((i, at), (lines,))
                continue
            counted = [j for j in plain if j > i and all(c[i][at] == len(c[j]) > 0 for c in calls)]
            if len(counted) == 1 and counted[0] not in {p[0] for p in counts.values()}:
                counts[(i, at)] = (counted[0],)
                fixed.discard((counted[0],))
            elif counted or _is_width(calls, i, at, lines, rows):
                frozen.add((i,) if len(calls[0][i]) == 1 else (i, "*"))
                fixed |= {(j, "*") for j in range(i + 1, lines + 1)} | {(lines, "*", "*")}
    # A line with a count among other words is left alone: changes go by line, not by word.
    frozen |= {(number[0],) for number in counts}
    if rows:
        fixed.add((lines, "*"))  # rows keep their words, and one is copied for another
    return counts, frozen, fixed


def _is_width(calls: Sequence[list[Any]], i: int, at: int, lines: int, rows: bool) -> bool:
    """The number is the count of words, or of characters, of each row or of the next line."""

    def wide(size: int, row: list[Any]) -> bool:
        single = len(row) == 1 and len(str(row[0])) == size
        return len(row) == size or single

    for call in calls:
        below = call[lines] if rows else call[i + 1 : i + 2]
        if not below or not all(wide(call[i][at], row) for row in below):
            return False
    return True
