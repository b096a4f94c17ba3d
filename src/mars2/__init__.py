"""MARS²: multi-agent tree search and reinforcement learning on code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mars2.api import solve, solve_sync
    from mars2.inference.solve import Solution

__all__ = ["Solution", "__version__", "solve", "solve_sync"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Only when asked for: importing a part of the package shall not import all of it.
    if name in ("solve", "solve_sync"):
        from mars2 import api

        return getattr(api, name)
    if name == "Solution":
        from mars2.inference.solve import Solution

        return Solution
    raise AttributeError(f"module 'mars2' has no attribute {name!r}")
