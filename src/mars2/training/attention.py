"""Attention over a packed stream, as an attention implementation that transformers' models take.

Everything else in a decoder treats tokens one by one, so this is all that a stream with shared
beginnings needs (see `packing`). Each row of the stream is one call of PyTorch's fused attention;
nothing of size [stream x stream] exists. Models call it under the name `NAME`, and their ordinary
calls, without a `packed` argument, go on to PyTorch's attention as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from mars2.training.packing import Layout, Row

NAME = "mars2_packed"


@dataclass(slots=True)
class Packed:
    """Rows of a stream; one object a forward pass, kept until the backward pass has used it."""

    rows: list[Row]
    # Of each row's prefix: which row it lies in, and which of that row's tokens.
    pieces: list[list[tuple[int, int, int]]]
    masks: dict[Any, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, layout: Layout) -> Packed:
        """From a layout."""
        rows = layout.rows
        owner = [r for r, row in enumerate(rows) for _ in range(row.start, row.end)]
        pieces = [
            [
                (r, start - rows[r].start, end - rows[r].start)
                for low, high in row.prefix
                for r, start, end in _by_row(low, high, rows, owner)
            ]
            for row in rows
        ]
        return cls(rows, pieces)

    def mask(self, length: int, before: int, window: int | None, like: Tensor) -> Tensor:
        """[length, before + length], 0 where a token of a row may look and −inf elsewhere."""
        key = (length, before, window, like.dtype, like.device)
        if key not in self.masks:
            seen = torch.ones(length, before + length, dtype=torch.bool, device=like.device)
            seen = seen.tril(before)
            if window is not None:
                seen = seen.triu(before - window + 1)
            hidden = like.new_zeros(seen.shape).masked_fill(~seen, float("-inf"))
            self.masks[key] = hidden
        return self.masks[key]


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packed: Packed | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of one layer.

    Args:
        query: [1, heads, N, head_dim]; `key` and `value` may have fewer heads.
        packed: how the N tokens belong together; None: an ordinary batch.

    Returns:
        [1, N, heads, head_dim], None (no attention weights).

    Raises:
        ValueError: the layer wants what a packed stream does not offer.
    """
    if packed is None:
        given = {"scaling": scaling, "sliding_window": sliding_window, **options}
        return sdpa_attention_forward(module, query, key, value, attention_mask, **given)
    if options.get("softcap") or options.get("position_bias") is not None or options.get("dropout"):
        raise ValueError("a packed stream has no logit cap, position bias or dropout in attention")
    lengths = [row.end - row.start for row in packed.rows]
    queries, keys, values = (x.split(lengths, dim=2) for x in (query, key, value))
    parts = []
    for r, length in enumerate(lengths):
        k, v = (_joined(x, packed.pieces[r], r) for x in (keys, values))
        before = k.shape[2] - length
        short = sliding_window is None or before + length <= sliding_window
        causal = before == 0 and short
        mask = None if causal else packed.mask(length, before, sliding_window, query)
        parts.append(
            nn.functional.scaled_dot_product_attention(
                queries[r],
                k,
                v,
                attn_mask=mask,
                is_causal=causal,
                scale=scaling,
                enable_gqa=query.shape[1] != key.shape[1],
            )
        )
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _joined(parts: Sequence[Tensor], pieces: Sequence[tuple[int, int, int]], own: int) -> Tensor:
    if not pieces:
        return parts[own]
    return torch.cat([*(parts[r][:, :, i:j] for r, i, j in pieces), parts[own]], dim=2)


def _by_row(
    low: int, high: int, rows: Sequence[Row], owner: Sequence[int]
) -> list[tuple[int, int, int]]:
    """The range [low, high) of the stream cut at row borders: (row, start, end)."""
    cut = []
    while low < high:
        row = owner[low]
        end = min(high, rows[row].end)
        cut.append((row, low, end))
        low = end
    return cut


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
