"""What an update takes from the C library's heap, kept close to what it uses.

A forward and backward pass allocates and frees gradients, activations and temporary tensors of a
few megabytes in an order that leaves holes, and gradients that settle in these make them useless
for the next layer. glibc keeps all that, so a process grows well beyond what it uses. Here
gradients move out of the heap, and a trim hands back the pages of its holes.

glibc also gives each new thread a heap of its own, up to eight a core, and none of them uses what
another one has free: learners and policies, whose threads take turns, would keep it all. So a
process that trains has one.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h


def share_one_heap() -> bool:
    """From now on, threads that have not taken memory yet take it from the main heap (mallopt(3),
    M_ARENA_MAX). To be called before threads start; those that run keep what they have.

    Returns:
        Whether it is so: not where the user set MALLOC_ARENA_MAX or the tunable of that name, nor
        with another C library than glibc.
    """
    chosen = "MALLOC_ARENA_MAX" in os.environ or "arena_max" in os.environ.get("GLIBC_TUNABLES", "")
    if chosen or platform.libc_ver()[0] != "glibc":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_ARENA_MAX, 1))
    except (AttributeError, OSError, TypeError):
        return False


class Heap:
    """Care for the heap of a learner that trains `parameters` on a CPU.

    Each gradient is moved to its part of one block when it has been made, before the backward pass
    goes on; what was never made stays None. Values do not change.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._starts: dict[nn.Parameter, int] = {}
        self._size = 0
        self._block: Tensor | None = None
        for p in parameters:
            self._starts[p] = self._size
            self._size += -(-p.numel() // 16) * 16  # a cache line
            p.register_post_accumulate_grad_hook(self._settle)

    def trim(self) -> None:
        """Hand free pages back to the system. Does nothing where the C library cannot."""
        if (call := _malloc_trim()) is not None:
            call(0)

    def release(self) -> None:
        """The gradients are gone: so is their block."""
        self._block = None
        self.trim()

    def _settle(self, p: Tensor) -> None:
        if self._block is None:
            self._block = p.new_empty(self._size)
        start = self._starts[p]  # type: ignore[index]
        place = self._block[start : start + p.numel()].view_as(p)
        assert p.grad is not None
        if p.grad.data_ptr() != place.data_ptr():
            p.grad = place.copy_(p.grad)


@functools.cache
def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
