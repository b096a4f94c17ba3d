"""Gives tests the sources of the builtin problems, which are no part of the package."""

from __future__ import annotations

import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "builtin" / "build.py"
sys.path.insert(0, str(TOOL.parent))

import build  # noqa: E402
from spec import P  # noqa: E402

__all__ = ["TOOL", "P", "build"]
