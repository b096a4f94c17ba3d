"""Names that function problems may use without importing them, as LeetCode-style sites offer.

The same modules as LiveCodeBench's checker (github.com/LiveCodeBench/LiveCodeBench), except
that `typing` comes before `collections`, so that `Counter` and `deque` are the real classes.
The names live in the builtins of the program's module: its globals hold its own names only, so
that a function which a star import happens to bring (`operator.add`) never answers for it.
"""

from __future__ import annotations

import builtins
import importlib
from typing import Any

RECURSION_LIMIT = 50_000
INT_DIGITS = 50_000

_MODULES = (
    *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random"),
    *("statistics", "itertools", "functools", "operator", "io", "sys", "json"),
)

_names: dict[str, Any] = {}


def names(anew: bool = False) -> dict[str, Any]:
    """The built-in names and those of the prelude, among them the standard streams of now.

    Built in the fork server, and not copied by programs: touching every name's reference count
    would copy the pages they are on.
    """
    if anew or not _names:
        _names.update(vars(builtins))
        for module_name in ("typing", *_MODULES, "builtins"):
            module = importlib.import_module(module_name)
            public = getattr(module, "__all__", None)
            if public is None:
                public = [name for name in vars(module) if not name.startswith("_")]
            _names.update({name: getattr(module, name) for name in public if name[:2] != "__"})
        for module_name in _MODULES:
            _names[module_name] = importlib.import_module(module_name)
    return _names
