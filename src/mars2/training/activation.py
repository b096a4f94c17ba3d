"""Activation checkpointing: what a layer computed is computed again when its gradient is due.

transformers' own switch works in training mode only, in which dropout would make a learner's
log-probs differ from those of the weights that wrote the tokens. Learners stay in evaluation mode.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
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


def checkpoint_layers(model: nn.Module, *, light: bool = False) -> None:
    """From now on, keep only the inputs of every layer for the backward pass.

    Args:
        light: also keep matrix products and attention, and compute only the rest again.

    Raises:
        TrainingError: the model does not say what its layers are.
    """
    layers = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    if not layers:
        raise TrainingError(
            f"{type(model).__name__} has no layers that can be computed again: set "
            "learner.activation_checkpointing = false"
        )
    options = {"context_fn": _keep_costly} if light else {}
    for layer in layers:
        layer.forward = partial(_again, layer.forward, options)


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
