"""Gradients of embedding matrices added where they are kept, instead of being passed along.

The matrix of a small model's embedding and output layer is a fifth of its weights or more. Autograd
makes its gradient anew, dense, in every backward pass, once for each of the two uses; where they
are tied it adds up both, and only then the sum to `.grad`: three of them at a time. Here each use
adds its own part to `.grad` and hands nothing on. What is added is the same, in another order, so
gradients agree to float32's rounding.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mars2.training.limits import LARGE

_MARK = "mars2_accumulates_in_place"


def accumulate_in_place(model: Any) -> None:
    """From now on, backward passes through `forward.output_logprobs` add to `.grad` of the model's
    embedding and output matrices themselves, if these are large and train.

    Autograd is told that these have no gradient. So this is for who calls `backward()` and reads
    `.grad`: `torch.autograd.grad` returns None for them, hooks on them do not run, and wrappers
    that reduce gradients between processes in such hooks (DDP, FSDP) would miss them.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if type(head) is nn.Linear and _wanted(head.weight):
        setattr(head.weight, _MARK, True)
    plain = isinstance(embedding, nn.Embedding) and not (
        embedding.sparse or embedding.scale_grad_by_freq or embedding.max_norm
    )
    if plain and _wanted(embedding.weight):
        setattr(embedding.weight, _MARK, True)
        embedding.forward = partial(_forward, embedding.forward)


def accumulates_in_place(weight: Tensor) -> bool:
    """Whether `accumulate_in_place` chose this matrix."""
    return getattr(weight, _MARK, False)


def gradient(weight: Tensor) -> Tensor:
    """`weight.grad`, made of zeros if there is none."""
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad


def _wanted(weight: Tensor) -> bool:
    return weight.requires_grad and weight.numel() >= LARGE


def _forward(forward: Any, *arguments: Any, **options: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*arguments, **options)
    with _Lookups():  # subclasses scale what they look up, so the call inside is what changes
        return forward(*arguments, **options)


class _Lookups(TorchFunctionMode):
    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is nn.functional.embedding:
            return _lookup(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def _lookup(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, *_: Any, **__: Any
) -> Any:
    return _Lookup.apply(input, weight, padding_idx)


class _Lookup(torch.autograd.Function):
    """Rows of a matrix; its gradient at `padding_idx` is 0, as PyTorch's."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, weight: Tensor, padding_idx: int | None) -> Tensor:
        ctx.save_for_backward(ids, weight)
        ctx.padding_idx = padding_idx
        return nn.functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, ...]:
        ids, weight = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            if ctx.padding_idx is not None:
                grad = grad.masked_fill((ids == ctx.padding_idx).unsqueeze(-1), 0.0)
            # not index_add_, which adds in no fixed order on CUDA
            gradient(weight).index_put_((ids,), grad.to(weight.dtype), accumulate=True)
        return None, None, None
