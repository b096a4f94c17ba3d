"""Every event and span by name: how important it is, and which part of the system tells it.

A name that is not here cannot be told, so that this is the whole list (docs/operations.md has it
in words).
"""

from __future__ import annotations

from logging import DEBUG, ERROR, INFO, WARNING

EVENTS = {
    "run directory": (INFO, "run"),
    "training resumed": (INFO, "training"),
    "training ended": (INFO, "training"),
    "step closed": (INFO, "training"),
    "trees without signal": (INFO, "training"),
    "samples dropped": (INFO, "training"),
    "buffer": (DEBUG, "training"),
    "policy halted": (ERROR, "training"),
    "node": (DEBUG, "search"),
    "expansion failed": (WARNING, "search"),
    "request retried": (WARNING, "agents"),
    "endpoint down": (ERROR, "agents"),
    "endpoint up": (INFO, "agents"),
}
"""Event → (level, part)."""

SPANS = {
    "run": (DEBUG, INFO, "run"),
    "step": (DEBUG, DEBUG, "training"),
    "tree": (INFO, INFO, "search"),
    "expansion": (DEBUG, DEBUG, "search"),
    "generate": (DEBUG, DEBUG, "agents"),
    "verify": (DEBUG, DEBUG, "verifier"),
    "update": (DEBUG, INFO, "training"),
    "publish": (DEBUG, INFO, "training"),
    "checkpoint": (DEBUG, INFO, "training"),
    "evaluation": (INFO, INFO, "evaluation"),
}
"""Span → (level of its beginning, of its end, part)."""
