"""How a batch of rows reads prompts and takes one more token each: the model with its cache.

`BufferDecoder` is the fast path, and rows can join it between two tokens: every row ends at the
same column of the buffer, so a prompt that is read later is written to the columns before the
present one, like a shorter prompt of a first batch. `GenericDecoder` leaves caches and masks to
transformers, for models with windows or recurrent layers; nobody joins there.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from mars2.agents.kvcache import BufferCache, supports_buffer_cache

_PREFILL_TOKENS = 16384  # padded prompt tokens of one forward pass: bounds activation memory
_SPARE_COLUMNS = 64  # of a mask, so that it is not made anew for every token

Prompt = Sequence[int]


class BufferDecoder:
    """One prefill per distinct prompt, grouped by length; masks made rarely; rows may join."""

    joins = True

    def __init__(self, model: PreTrainedModel, pad_id: int) -> None:
        self._forward = _Forward(model, pad_id)
        self._device, self._dtype = model.device, model.dtype
        self._cache = BufferCache(model.config.get_text_config().num_hidden_layers)
        self._positions = torch.zeros(0, 1, dtype=torch.long, device=self._device)
        self._starts = torch.zeros(0, dtype=torch.long, device=self._device)  # first own column
        self._padded = False
        self._mask: torch.Tensor | None = None

    def read(self, prompts: Sequence[Prompt]) -> torch.Tensor:
        """Read prompts of new rows, which become the last ones; logits [new rows, vocabulary]."""
        old = len(self._starts)
        longest = max(len(prompt) for prompt in prompts)
        shift = self._cache.make_room(old, len(prompts), longest)
        end = self._cache.columns
        logits = self._read_groups(prompts, old)
        lengths = torch.tensor([len(p) for p in prompts], device=self._device)
        self._positions = torch.cat([self._positions, lengths[:, None]])
        self._starts = torch.cat([self._starts + shift, end - lengths])
        self._padded = bool((self._starts > 0).any())
        self._mask = None
        return logits

    def _read_groups(self, prompts: Sequence[Prompt], old: int) -> torch.Tensor:
        owners: dict[tuple[int, ...], list[int]] = {}
        for row, prompt in enumerate(prompts):
            owners.setdefault(tuple(prompt), []).append(row)
        logits: torch.Tensor | None = None
        for group in _length_groups(list(owners)):
            width = len(group[-1])
            ids, mask, positions = self._forward.padded(group, width)
            rows = torch.tensor([r for p in group for r in owners[p]], device=self._device)
            source = torch.tensor(
                [i for i, p in enumerate(group) for _ in owners[p]], device=self._device
            )
            self._cache.fill_rows(rows + old, source)
            even = len(group[0]) == width
            out = self._forward(ids, positions, None if even else mask, self._cache)
            if logits is None:
                logits = out.new_empty(len(prompts), out.shape[-1])
            logits[rows] = out[source]
        self._cache.finish_prompts()
        assert logits is not None
        return logits

    def step(self, token: torch.Tensor) -> torch.Tensor:
        """Append `token`, int64 [rows, 1], to every row; logits of the next, [rows, vocabulary]."""
        if self._cache.full:
            unseen = int(self._starts.min())  # columns of rows that have left
            self._cache.move_columns(-unseen)
            self._starts = self._starts - unseen
            self._mask = None
        mask = None
        if self._padded:
            columns = self._cache.columns + 1
            if self._mask is None or self._mask.shape[-1] < columns:
                self._mask = self._visible(columns + _SPARE_COLUMNS)
            mask = self._mask[..., :columns]
        logits = self._forward(token, self._positions, mask, self._cache)
        self._positions = self._positions + 1
        return logits

    def drop(
        self, keep: torch.Tensor, holes: torch.Tensor, movers: torch.Tensor, alive: int
    ) -> None:
        """Keep rows `keep`: rows `movers` take the places `holes`, the first `alive` stay."""
        self._cache.move_rows(holes, movers, alive)
        self._positions = self._positions[keep]
        self._starts = self._starts[keep]
        if self._mask is not None:
            self._mask = self._mask[keep]

    def _visible(self, columns: int) -> torch.Tensor:
        """Additive [rows, 1, 1, columns]: the dtype's lowest value before a row's own columns."""
        hidden = torch.arange(columns, device=self._device) < self._starts[:, None]
        mask = torch.zeros(hidden.shape, dtype=self._dtype, device=self._device)
        return mask.masked_fill_(hidden, torch.finfo(self._dtype).min)[:, None, None]


class GenericDecoder:
    """Any other decoder (sliding windows, flash attention): transformers' cache and masks."""

    joins = False

    def __init__(self, model: PreTrainedModel, pad_id: int) -> None:
        self._forward = _Forward(model, pad_id)
        self._cache = DynamicCache(config=model.config)
        self._mask = self._positions = torch.empty(0)

    def read(self, prompts: Sequence[Prompt]) -> torch.Tensor:
        """As `BufferDecoder.read`, once only."""
        columns = max(len(prompt) for prompt in prompts)
        ids, self._mask, positions = self._forward.padded(prompts, columns)
        self._positions = positions[:, -1:] + 1
        return self._forward(ids, positions, self._mask, self._cache)

    def step(self, token: torch.Tensor) -> torch.Tensor:
        """As `BufferDecoder.step`."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        logits = self._forward(token, self._positions, self._mask, self._cache)
        self._positions = self._positions + 1
        return logits

    def drop(
        self, keep: torch.Tensor, holes: torch.Tensor, movers: torch.Tensor, alive: int
    ) -> None:
        """As `BufferDecoder.drop`."""
        self._cache.batch_select_indices(keep)
        self._positions = self._positions[keep]
        self._mask = self._mask[keep]


Decoder = BufferDecoder | GenericDecoder


def decoder_for(model: PreTrainedModel, pad_id: int) -> Decoder:
    """The fast one, where the model's attention is plain."""
    return (BufferDecoder if supports_buffer_cache(model) else GenericDecoder)(model, pad_id)


class _Forward:
    """Forward passes for the logits of last positions."""

    def __init__(self, model: PreTrainedModel, pad_id: int) -> None:
        self._model = model
        self._pad_id = pad_id
        parameters = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in parameters
        self._keep_last: dict[str, Any] = (
            {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}
        )

    def __call__(
        self, ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor | None, cache: Any
    ) -> torch.Tensor:
        """Logits of the last position, [rows, vocabulary]."""
        kwargs: dict[str, Any] = dict(self._keep_last)
        if self._takes_positions:
            kwargs["position_ids"] = positions
        output = self._model(
            input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **kwargs
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def padded(
        self, prompts: Sequence[Prompt], columns: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ids, attention mask and positions, each int64 [len(prompts), columns], left-padded."""
        ids = np.full((len(prompts), columns), self._pad_id, dtype=np.int64)
        mask = np.zeros((len(prompts), columns), dtype=np.int64)
        for i, prompt in enumerate(prompts):
            ids[i, columns - len(prompt) :] = prompt
            mask[i, columns - len(prompt) :] = 1
        positions = np.maximum(mask.cumsum(1) - 1, 0)
        device = self._model.device
        return (
            torch.from_numpy(ids).to(device),
            torch.from_numpy(mask).to(device),
            torch.from_numpy(positions).to(device),
        )


def _length_groups(prompts: list[tuple[int, ...]]) -> list[list[tuple[int, ...]]]:
    """Distinct prompts, shortest first, in groups that waste little on padding."""
    groups: list[list[tuple[int, ...]]] = []
    for prompt in sorted(prompts, key=len):
        group = groups[-1] if groups else []
        fits = (len(group) + 1) * len(prompt) <= _PREFILL_TOKENS
        if group and fits and len(prompt) <= 16 + 1.25 * len(group[0]):
            group.append(prompt)
        else:
            groups.append([prompt])
    return groups
