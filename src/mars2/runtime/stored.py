"""Weights and optimizer states as Ray's object store takes them: arrays that readers share.

torch's own pickling copies every tensor; arrays of numpy are mapped into every process of a node.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

Packed = tuple[dict[str, "np.ndarray[Any, Any]"], dict[str, str]]
"""Arrays by name, and the names of weights that are the same tensor as another (tied ones)."""


class StoredWeights(dict[str, Tensor]):
    """Weights by name, which are also the object `ref` in Ray's store. Not to be written to."""

    def __init__(self, weights: Mapping[str, Tensor], ref: Any) -> None:
        super().__init__(weights)
        self.ref = ref


def pack(weights: Mapping[str, Tensor]) -> Packed:
    """float32 weights as arrays; tied ones once."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    same: dict[str, str] = {}
    first: dict[Any, str] = {}
    for name, weight in weights.items():
        place = (weight.device, weight.data_ptr(), weight.shape, weight.stride())
        if weight.numel() and place in first:
            same[name] = first[place]
            continue
        first[place] = name
        arrays[name] = weight.detach().cpu().contiguous().numpy()
    return arrays, same


def unpack(packed: Packed) -> dict[str, Tensor]:
    """The weights of `pack`, without a copy; not to be written to."""
    arrays, same = packed
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return weights | {name: weights[other] for name, other in same.items()}


def freeze(state: dict[str, Any]) -> bytes:
    """A `training_state`, as a checkpoint would write it."""
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def thaw(frozen: bytes) -> dict[str, Any]:
    """Inverse of `freeze`."""
    return torch.load(io.BytesIO(frozen), weights_only=True)
