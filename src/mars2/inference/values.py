"""Small changes of plain values that keep what all examples of them have in common. Pure."""

from __future__ import annotations

import itertools
import random
import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Path = tuple[Any, ...]
"""Where a value stands: argument number, then "*" for any element of a list, or a dict's key."""

_EDITS = (1, 1, 2, 3, 4)  # how many changes one new input is made by
_FEW = 4  # a text of at most so many different characters has an alphabet of its own
_CLASSES = (string.ascii_lowercase, string.ascii_uppercase, string.digits)


@dataclass(slots=True)
class _Facts:
    """What the examples show of the values at one path."""

    numbers: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    lists: list[list[Any]] = field(default_factory=list)

    def in_order(self) -> bool:
        return len(self.lists) > 0 and all(_sorted(x) for x in self.lists)

    def distinct(self) -> bool:
        return all(len({repr(v) for v in x}) == len(x) for x in self.lists)

    def one_length(self) -> bool:
        """Several lists, all equally long: pairs, rows, coordinates."""
        return len(self.lists) > 1 and len({len(x) for x in self.lists}) == 1

    def one_text_length(self) -> bool:
        return len(self.texts) > 1 and len({len(x) for x in self.texts}) == 1


class Values:
    """Changes argument lists as the examples allow.

    Args:
        calls: examples, argument lists of equal length; only plain values are changed.
        fixed: paths of lists and texts whose size stays, besides what the examples say.
        counts: path of a number → path of the list or text whose length it has. Only paths of
            plain indices (no "*").
        frozen: paths that are never changed.
    """

    def __init__(
        self,
        calls: Sequence[list[Any]],
        *,
        fixed: Collection[Path] = (),
        counts: Mapping[Path, Path] | None = None,
        frozen: Collection[Path] = (),
    ) -> None:
        self._facts: dict[Path, _Facts] = {}
        for call in calls:
            for i, value in enumerate(call):
                self._learn(value, (i,))
        self._fixed = set(fixed)
        self.counts = dict(counts) if counts is not None else _counts(calls)
        self._frozen = {*frozen, *self.counts}

    def change(self, call: list[Any], rng: random.Random) -> list[Any]:
        """A changed copy of an argument list."""
        args = [_copy(value) for value in call]
        for _ in range(rng.choice(_EDITS)):
            free = [i for i in range(len(args)) if (i,) not in self._frozen]
            if not free:
                break
            i = rng.choice(free)
            args[i] = self._change(args[i], (i,), rng)
        args = [self._repair(value, (i,)) for i, value in enumerate(args)]
        for number, counted in self.counts.items():
            _set(args, number, len(_get(args, counted)))
        return args

    def _learn(self, value: Any, path: Path) -> None:
        facts = self._facts.setdefault(path, _Facts())
        if isinstance(value, bool) or value is None:
            return
        if isinstance(value, int | float):
            facts.numbers.append(value)
        elif isinstance(value, str):
            facts.texts.append(value)
        elif isinstance(value, list | tuple):
            facts.lists.append(list(value))
            for item in value:
                self._learn(item, (*path, "*"))
        elif isinstance(value, dict):
            for key, item in value.items():
                self._learn(item, (*path, key))

    # ------------------------------------------------------------------ changes

    def _change(self, value: Any, path: Path, rng: random.Random) -> Any:
        if path in self._frozen:
            return value
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return self._integer(value, path, rng)
        if isinstance(value, float):
            moved = value + rng.choice((-1.0, -0.5, 0.5, 1.0, 10.0))
            return round(self._within(moved, path), 6)
        if isinstance(value, str):
            return self._text(value, path, rng)
        if isinstance(value, list | tuple):
            changed = self._list(list(value), path, rng)
            return tuple(changed) if isinstance(value, tuple) else changed
        if isinstance(value, dict) and value:
            key = rng.choice(list(value))
            return {**value, key: self._change(value[key], (*path, key), rng)}
        return value

    def _integer(self, value: int, path: Path, rng: random.Random) -> int:
        seen = [int(v) for v in self._numbers(path)] or [value]
        low, high = min(seen), max(seen)
        span = max(high - low, 3)
        new = rng.choice(
            (
                value + rng.choice((-2, -1, 1, 2)),
                rng.choice(seen) + rng.choice((-1, 0, 1)),
                rng.randint(low - span, high + span),
            )
        )
        return int(self._within(new, path))

    def _numbers(self, path: Path) -> list[float]:
        return self._facts[path].numbers if path in self._facts else []

    def _within(self, value: float, path: Path) -> float:
        """Numbers of a path that are never negative, or never 0 either, stay so."""
        least = min(self._numbers(path), default=value)
        return max(value, 1) if least >= 1 else max(value, 0) if least >= 0 else value

    def _text(self, value: str, path: Path, rng: random.Random) -> str:
        texts = self._facts[path].texts if path in self._facts else [value]
        keep = path in self._fixed or (path in self._facts and self._facts[path].one_text_length())
        words = [w for t in texts for w in t.split()]
        repeats = len(texts) > 2 and len(set(texts)) < len(texts)  # keywords, names
        if not keep and rng.random() < (0.8 if repeats else 0.2):
            return rng.choice(texts)
        if not keep and any(" " in t.strip() for t in texts) and rng.random() < 0.6:
            parts = value.split(" ")
            return " ".join(_words(parts, words, rng))
        alphabet = sorted(set("".join(texts)))
        own = alphabet if len(alphabet) <= _FEW and len("".join(texts)) > 2 * _FEW else None
        at = rng.randrange(len(value)) if value else 0
        kind = rng.random()
        if value and (keep or kind < 0.5):
            return value[:at] + _like(value[at], own, rng) + value[at + 1 :]
        if keep:
            return value
        if kind < 0.8 or not value:
            near = value[at] if value else rng.choice(alphabet or ["a"])
            return value[:at] + _like(near, own, rng) + value[at:]
        shortest = min(map(len, texts))
        return value[:at] + value[at + 1 :] if len(value) > max(1, shortest // 2) else value

    def _list(self, value: list[Any], path: Path, rng: random.Random) -> list[Any]:
        inner = (*path, "*")
        facts = self._facts.get(path, _Facts())
        kind = rng.random()
        fixed = (path in self._fixed or facts.one_length()) and path not in self._resizable()
        if not fixed:
            if kind < 0.35:
                source = value or [v for x in facts.lists for v in x]
                if source:
                    new = self._change(_copy(rng.choice(source)), inner, rng)
                    value.insert(rng.randint(0, len(value)), new)
                return value
            least = 0 if any(not x for x in facts.lists) else 1
            if kind < 0.5 and len(value) > least:
                del value[rng.randrange(len(value))]
                return value
        if not value:
            return value
        if kind < 0.6 and len(value) > 1 and not fixed:
            i, j = rng.randrange(len(value)), rng.randrange(len(value))
            if type(value[i]) is type(value[j]):
                value[i], value[j] = value[j], value[i]
            return value
        i = rng.randrange(len(value))
        value[i] = self._change(value[i], inner, rng)
        return value

    def _resizable(self) -> set[Path]:
        """Lists that a number counts: their size may change, because the number follows."""
        return set(self.counts.values()) - self._fixed

    # ------------------------------------------------------------------ repairs

    def _repair(self, value: Any, path: Path) -> Any:
        """Order and distinctness, where every example of several elements has them."""
        if not isinstance(value, list):
            return value
        value = [self._repair(item, (*path, "*")) for item in value]
        facts = self._facts.get(path)
        if facts is None or not any(len(x) > 2 for x in facts.lists) or path in self._fixed:
            return value
        if facts.distinct() and not facts.one_length():
            value = list({repr(v): v for v in value}.values())
        return sorted(value) if facts.in_order() and _comparable(value) else value


def _words(parts: list[str], words: list[str], rng: random.Random) -> list[str]:
    at, kind = rng.randrange(len(parts)), rng.random()
    if kind < 0.4:
        return [*parts[:at], rng.choice(words), *parts[at:]]
    if kind < 0.6 and len(parts) > 1:
        return parts[:at] + parts[at + 1 :]
    if kind < 0.8:
        return [*parts[:at], rng.choice(words), *parts[at + 1 :]]
    return rng.sample(parts, len(parts))


def _like(character: str, alphabet: list[str] | None, rng: random.Random) -> str:
    if alphabet is not None:
        return rng.choice(alphabet)
    same = next((c for c in _CLASSES if character in c), None)
    return rng.choice(same) if same else character


def _sorted(value: list[Any]) -> bool:
    return _comparable(value) and all(a <= b for a, b in itertools.pairwise(value))


def _comparable(value: list[Any]) -> bool:
    kinds = {type(v) for v in value}
    return kinds <= {int, float} or kinds == {str}


def _counts(calls: Sequence[list[Any]]) -> dict[Path, Path]:
    """Arguments that are, in every call, the length of a list or text argument."""
    found: dict[Path, Path] = {}
    for i in range(len(calls[0]) if calls else 0):
        for j in range(len(calls[0])):
            if (i,) not in found and all(
                type(c[i]) is int and isinstance(c[j], list | str) and c[i] == len(c[j])
                for c in calls
            ):
                found[(i,)] = (j,)
    return found


def _copy(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_copy, value))
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, dict) else value


def _get(args: list[Any], path: Path) -> Any:
    value: Any = args
    for step in path:
        value = value[step]
    return value


def _set(args: list[Any], path: Path, new: Any) -> None:
    _get(args, path[:-1])[path[-1]] = new
