"""Memory that is free is given back to the system (glibc).

A forward and backward pass allocates and frees gradients, activations and temporary tensors of a
few megabytes in an order that leaves holes. glibc keeps these, so a process grows well beyond what
it uses; a trim hands back the pages in them.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any


def trim() -> None:
    """Hand free pages back. Does nothing where the C library cannot."""
    if (call := _malloc_trim()) is not None:
        call(0)


@functools.cache
def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
