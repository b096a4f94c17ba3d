"""Activation checkpointing: a layer's activations are computed again when its gradient is due.

transformers' own switch works in training mode only, in which dropout would make a learner's
log-probs differ from those of the weights that wrote the tokens. Learners stay in evaluation mode.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from mars2.errors import TrainingError


def checkpoint_layers(model: nn.Module) -> None:
    """From now on, keep only the inputs of every layer for the backward pass.

    Raises:
        TrainingError: the model does not say what its layers are.
    """
    layers = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    if not layers:
        raise TrainingError(
            f"{type(model).__name__} has no layers that can be computed again: set "
            "learner.activation_checkpointing = false"
        )
    for layer in layers:
        layer.forward = partial(_again, layer.forward)


def _again(forward, *arguments, **options):  # type: ignore[no-untyped-def]
    if not torch.is_grad_enabled():
        return forward(*arguments, **options)
    return checkpoint(forward, *arguments, use_reentrant=False, preserve_rng_state=False, **options)
