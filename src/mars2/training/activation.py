"""Activation checkpointing: what a layer computed is computed again when its gradient is due.

transformers' own switch works in training mode only, in which dropout would make a learner's
log-probs differ from those of the weights that wrote the tokens. Learners stay in evaluation mode.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)
from transformers.modeling_layers import GradientCheckpointingLayer

from mars2.errors import TrainingError

# What takes time to compute again; the rest of a layer (norms, activations, products by element,
# copies of keys) is half of its memory.
_COSTLY = {
    getattr(torch.ops.aten, name).default
    for name in (
        "mm",
        "addmm",
        "bmm",
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
    )
}


def checkpoint_layers(model: nn.Module, how: Literal["all", "light"] = "all") -> None:
    """From now on, keep only the inputs of every layer for the backward pass.

    Args:
        how: "light": also keep matrix products and attention, and compute only the rest again.

    Raises:
        TrainingError: the model does not say what its layers are.
    """
    layers = layers_of(model)
    if not layers:
        raise TrainingError(
            f"{type(model).__name__} has no layers that can be computed again: set "
            "learner.activation_checkpointing = false"
        )
    options = {"context_fn": _keep_costly} if how == "light" else {}
    for layer in layers:
        layer.forward = partial(_again, layer.forward, options)


def checkpoint_beyond(model: nn.Module, room: int) -> None:
    """From now on, the first layers of a forward pass keep what they compute as long as it is at
    most `room` bytes together, and the others only their inputs. A model that does not say what
    its layers are keeps everything."""
    share = _Share(room)
    for i, layer in enumerate(layers_of(model)):
        layer.forward = partial(share.forward, i, layer, layer.forward)


class _Share:
    """Decides anew in each forward pass, whose number of tokens decides what a layer takes: by what
    the first layer kept. The layers of a model are much the same."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.layers = 0  # that fit, in the pass under way

    def forward(
        self, index: int, layer: nn.Module, forward: Any, *arguments: Any, **options: Any
    ) -> Any:
        if not torch.is_grad_enabled():
            return forward(*arguments, **options)
        if index == 0:
            kept: dict[int, int] = {}
            with torch.autograd.graph.saved_tensors_hooks(partial(_note, kept), _as_it_is):
                out = forward(*arguments, **options)
            for parameter in layer.parameters():  # whole ones, where they are sharded otherwise
                kept.pop(parameter.untyped_storage().data_ptr(), None)
            self.layers = self.room // max(1, sum(kept.values()))
            return out
        if index < self.layers:
            return forward(*arguments, **options)
        return _again(forward, {}, *arguments, **options)


def _note(kept: dict[int, int], tensor: Tensor) -> Tensor:
    storage = tensor.untyped_storage()
    kept[storage.data_ptr()] = storage.nbytes()
    return tensor.detach()  # an output that held itself would never be freed


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def layers_of(model: nn.Module) -> list[Any]:
    """The layers that a transformers model is made of; none if it does not say."""
    return [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]


def _again(forward: Any, how: dict[str, Any], *arguments: Any, **options: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*arguments, **options)
    return checkpoint(
        forward, *arguments, use_reentrant=False, preserve_rng_state=False, **how, **options
    )


def _keep_costly() -> Any:
    return create_selective_checkpoint_contexts(_policy)


def _policy(_: Any, operation: Any, *arguments: Any, **options: Any) -> CheckpointPolicy:
    if operation in _COSTLY:
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE
