"""Log-probabilities of given tokens from hidden states, without the logits of all of them.

A vocabulary of 50,000 makes the logits of a batch larger than the model. They are computed in
chunks of rows, reduced at once, and computed again in the backward pass, which adds a chunk's part
of the output layer's gradient to one buffer: to `.grad` itself where `accumulate` says so.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mars2.training.accumulate import accumulates_in_place, gradient
from mars2.training.limits import CHUNK_ELEMENTS


def head_logprobs(
    head: nn.Module,
    hidden: Tensor,
    targets: Tensor,
    temperatures: Tensor,
    *,
    entropy: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """log softmax(head(hidden) / temperature) at the targets.

    Args:
        head: a linear layer.
        hidden: [N, width].
        targets: [N] int64.
        temperatures: [N] float32.
        entropy: also that of the distributions (nats).

    Returns:
        [N] float32, and [N] float32 or None; both carry gradients.
    """
    weight, bias = head.weight, getattr(head, "bias", None)
    if torch.is_autocast_enabled(hidden.device.type):
        hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
    logprobs, spread = _HeadLogprobs.apply(hidden, weight, bias, targets, temperatures, entropy)
    return logprobs, spread if entropy else None


def logits_logprobs(
    logits: Tensor, targets: Tensor, temperatures: Tensor, *, entropy: bool = False
) -> tuple[Tensor, Tensor | None]:
    """The same from logits [N, V], for models that change what their head gives."""
    logp = torch.log_softmax(logits.float() / temperatures.unsqueeze(1), dim=-1)
    chosen = logp.gather(1, targets.unsqueeze(1)).squeeze(1)
    return chosen, -(logp.exp() * logp).sum(1) if entropy else None


class _HeadLogprobs(torch.autograd.Function):
    """With z = (h Wᵀ + b)/τ and p = softmax(z): ∂ log p_y/∂z = onehot(y) − p, and for the entropy
    H = −Σ p log p: ∂H/∂z = −p (log p + H).

    The gradient of a weight that `accumulates_in_place` goes into its `.grad`, and autograd is
    given none: see `accumulate_in_place` for what this excludes."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        temperatures: Tensor,
        entropy: bool,
    ) -> tuple[Tensor, Tensor]:
        count = len(hidden)
        chosen = temperatures.new_empty(count)
        normaliser = temperatures.new_empty(count)
        spread = temperatures.new_zeros(count)
        matrix = weight.to(hidden.dtype)
        for part in _chunks(count, weight.shape[0]):
            z = _scaled(hidden[part], matrix, bias, temperatures[part])
            normaliser[part] = torch.logsumexp(z, dim=1)
            chosen[part] = z.gather(1, targets[part].unsqueeze(1)).squeeze(1)
            if entropy:
                p = (z - normaliser[part].unsqueeze(1)).exp_()
                spread[part] = normaliser[part] - p.mul_(z).sum(1)
        ctx.save_for_backward(hidden, weight, bias, targets, temperatures, normaliser, spread)
        ctx.entropy = entropy
        return chosen - normaliser, spread

    @staticmethod
    def backward(ctx: Any, grad: Tensor, grad_entropy: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, targets, temperatures, normaliser, spread = ctx.saved_tensors
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        matrix = weight.to(hidden.dtype)
        to_hidden = torch.empty_like(hidden) if wants_hidden else None
        in_place = accumulates_in_place(weight)
        to_weight = None
        if wants_weight:
            to_weight = gradient(weight) if in_place else torch.zeros_like(weight)
        to_bias = torch.zeros_like(bias) if wants_bias else None
        for part in _chunks(len(hidden), weight.shape[0]):
            z = _scaled(hidden[part], matrix, bias, temperatures[part])
            z -= normaliser[part].unsqueeze(1)  # log p
            scale = grad[part].unsqueeze(1)
            if ctx.entropy:
                up = grad_entropy[part].unsqueeze(1)
                factor = z + spread[part].unsqueeze(1)
                slope = z.exp_().mul_(factor.mul_(up).add_(scale).neg_())
            else:
                slope = z.exp_().mul_(-scale)
            slope.scatter_add_(1, targets[part].unsqueeze(1), scale)
            slope /= temperatures[part].unsqueeze(1)
            if to_bias is not None:
                to_bias += slope.sum(0)
            slope = slope.to(hidden.dtype)
            if to_hidden is not None:
                torch.mm(slope, matrix, out=to_hidden[part])
            if to_weight is not None:
                if hidden.dtype == weight.dtype:
                    to_weight.addmm_(slope.t(), hidden[part])
                else:
                    to_weight += torch.mm(slope.t(), hidden[part])
        return to_hidden, None if in_place else to_weight, to_bias, None, None, None


def _scaled(hidden: Tensor, matrix: Tensor, bias: Tensor | None, temperatures: Tensor) -> Tensor:
    z = torch.mm(hidden, matrix.t()).float()
    if bias is not None:
        z += bias
    return z.div_(temperatures.unsqueeze(1))


def _chunks(count: int, vocabulary: int) -> list[slice]:
    size = max(1, CHUNK_ELEMENTS // vocabulary)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
