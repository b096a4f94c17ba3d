"""Log-probabilities of output tokens under a causal language model, without waste.

Rows are padded on the right, where a causal model's real positions cannot see the padding, so
no attention mask is needed and the fast attention path is used. The output head runs only at
positions that predict output tokens, never at prompt or padding positions, and in chunks that
keep at most `CHUNK_ELEMENTS` logits at a time, recomputed in the backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mars2.training.sample import Sample

CHUNK_ELEMENTS = 1 << 25  # logits of one chunk: 128 MB in float32
_split: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()  # answers, one a model


def micro_batches(samples: Sequence[Sample], max_tokens: int) -> Iterator[list[int]]:
    """Indices of `samples` in groups of similar length, at most `max_tokens` padded each.

    A sample longer than that comes alone. Every index comes exactly once.
    """

    def length(i: int) -> int:
        return len(samples[i].prompt_ids) + len(samples[i].token_ids)

    group: list[int] = []
    for i in sorted(range(len(samples)), key=lambda i: (-length(i), i)):
        if group and (len(group) + 1) * length(group[0]) > max_tokens:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def output_mask(samples: Sequence[Sample], device: str | torch.device = "cpu") -> Tensor:
    """[B, T] float32, 1.0 on the output tokens of each row, T = the longest output."""
    lengths = torch.tensor([len(s.token_ids) for s in samples], device=device)
    columns = torch.arange(int(lengths.max()), device=device)
    return (columns < lengths.unsqueeze(1)).float()


def rollout_logprobs(samples: Sequence[Sample], device: str | torch.device = "cpu") -> Tensor:
    """[B, T] float32: what the samples carry, 0 on padding."""
    rows = [torch.tensor(s.logprobs, dtype=torch.float32) for s in samples]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)


def output_logprobs(model: nn.Module, samples: Sequence[Sample]) -> Tensor:
    """log π(token_ids[t] | prompt_ids, token_ids[:t]) at each sample's temperature.

    Returns:
        [B, T] float32, 0 on padding; carries a gradient if gradients are enabled.
    """
    device = next(model.parameters()).device
    rows = [torch.tensor([*s.prompt_ids, *s.token_ids]) for s in samples]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)
    mask = output_mask(samples, device).bool()
    sample, step = mask.nonzero(as_tuple=True)  # row-major: outputs of row 0, of row 1, …
    first = torch.tensor([len(s.prompt_ids) for s in samples], device=device)
    position = first[sample] + step  # of the output token; predicted from the one before it
    temperatures = torch.tensor([s.temperature for s in samples], device=device)[sample]
    targets = ids[sample, position]
    if model not in _split:
        _split[model] = split_head_agrees(model)
    if _split[model]:
        hidden = _body(model)(input_ids=ids, use_cache=False)[0][sample, position - 1]
        flat = _chunked(_head(model), hidden, targets, temperatures)
    else:  # the model does more to its logits than its head does: take them as they come
        logits = model(input_ids=ids, use_cache=False).logits[sample, position - 1]
        flat = _gather(None, logits, targets, temperatures)
    return torch.zeros(mask.shape, device=device).masked_scatter(mask, flat)


@torch.no_grad()
def split_head_agrees(model: nn.Module) -> bool:
    """True if body + output head give the model's own logits (some models scale or cap them)."""
    try:
        ids = torch.arange(8, device=next(model.parameters()).device).unsqueeze(0)
        ours = _head(model)(_body(model)(input_ids=ids, use_cache=False)[0])
        theirs = model(input_ids=ids, use_cache=False).logits
    except (AttributeError, TypeError):
        return False
    return ours.shape == theirs.shape and bool(torch.allclose(ours, theirs, atol=1e-5, rtol=1e-5))


def _body(model: Any) -> Any:
    return model.base_model


def _head(model: Any) -> Any:
    return model.get_output_embeddings()


def _gather(head: Any, hidden: Tensor, targets: Tensor, temperatures: Tensor) -> Tensor:
    logits = (hidden if head is None else head(hidden)).float() / temperatures.unsqueeze(1)
    return -nn.functional.cross_entropy(logits, targets, reduction="none")


def _chunked(head: Any, hidden: Tensor, targets: Tensor, temperatures: Tensor) -> Tensor:
    size = max(1, CHUNK_ELEMENTS // head.weight.shape[0])
    if len(hidden) <= size:
        return _gather(head, hidden, targets, temperatures)
    parts = []
    for start in range(0, len(hidden), size):
        part = slice(start, start + size)
        arguments = (head, hidden[part], targets[part], temperatures[part])
        if torch.is_grad_enabled():
            parts.append(checkpoint(_gather, *arguments, use_reentrant=False))
        else:
            parts.append(_gather(*arguments))
    return torch.cat(parts)
