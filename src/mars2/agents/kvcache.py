"""A key/value cache made for sampling many rows at once on small machines.

transformers' DynamicCache concatenates every layer's whole cache at every step, which on a CPU
costs more than the model itself. This one writes into a buffer that grows geometrically, lets
rows that share a prompt be prefilled once, and drops finished rows by moving a few others.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

_GROWTH = 64  # columns (token positions) added at least when a buffer is full


class _BufferLayer(DynamicLayer):
    """Keys and values of one layer, each [rows, heads, columns, head_dim]."""

    def __init__(self, rows: int, prompt_columns: int) -> None:
        super().__init__()
        self._rows = rows
        self._prompt = prompt_columns
        self._length = 0
        self._key_buffer: torch.Tensor | None = None
        self._value_buffer: torch.Tensor | None = None
        # While a prompt group is being read: rows to fill, and which prompt each one copies.
        self.fill: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.fill is not None:
            self._read_prompts(key_states, value_states, *self.fill)
            return key_states, value_states
        assert self._key_buffer is not None
        assert self._value_buffer is not None
        start, end = self._length, self._length + key_states.shape[2]
        if end > self._key_buffer.shape[2]:
            self._key_buffer = self._grown(self._key_buffer)
            self._value_buffer = self._grown(self._value_buffer)
        self._key_buffer[: self._rows, :, start:end] = key_states
        self._value_buffer[: self._rows, :, start:end] = value_states
        self._length = end
        self.keys = self._key_buffer[: self._rows, :, :end]
        self.values = self._value_buffer[: self._rows, :, :end]
        return self.keys, self.values

    def _read_prompts(
        self, keys: torch.Tensor, values: torch.Tensor, rows: torch.Tensor, source: torch.Tensor
    ) -> None:
        if self._key_buffer is None or self._value_buffer is None:
            self.dtype, self.device = keys.dtype, keys.device
            columns = self._prompt + _GROWTH
            # Zeros: what a padded column holds is multiplied by weight 0, and must be finite.
            self._key_buffer = keys.new_zeros(self._rows, keys.shape[1], columns, keys.shape[3])
            self._value_buffer = values.new_zeros(
                self._rows, values.shape[1], columns, values.shape[3]
            )
            self.is_initialized = True
        start = self._prompt - keys.shape[2]
        self._key_buffer[rows, :, start : self._prompt] = keys[source]
        self._value_buffer[rows, :, start : self._prompt] = values[source]

    def finish_prompts(self) -> None:
        """Every prompt has been read: from now on single columns are appended."""
        self.fill = None
        self._length = self._prompt

    def move_rows(self, holes: torch.Tensor, movers: torch.Tensor, rows: int) -> None:
        """Copy rows `movers` over rows `holes`, then keep only the first `rows`."""
        assert self._key_buffer is not None
        assert self._value_buffer is not None
        if len(holes):
            for buffer in (self._key_buffer, self._value_buffer):
                buffer[holes, :, : self._length] = buffer[movers, :, : self._length]
        self._rows = rows

    def get_seq_length(self) -> int:
        return self._length

    def _grown(self, old: torch.Tensor) -> torch.Tensor:
        columns = old.shape[2] + max(_GROWTH, old.shape[2] // 2)
        new = old.new_zeros(self._rows, old.shape[1], columns, old.shape[3])
        new[:, :, : self._length] = old[: self._rows, :, : self._length]
        return new


class BufferCache(Cache):
    """All layers of one batch. Rows are left-padded to `prompt_columns`."""

    def __init__(self, layers: int, rows: int, prompt_columns: int) -> None:
        self._own = [_BufferLayer(rows, prompt_columns) for _ in range(layers)]
        super().__init__(layers=list(self._own))

    def fill_rows(self, rows: torch.Tensor, source: torch.Tensor) -> None:
        """The next forward pass reads prompts: row rows[i] copies its prompt source[i]."""
        for layer in self._own:
            layer.fill = (rows, source)

    def finish_prompts(self) -> None:
        """Call once after the last prompt group."""
        for layer in self._own:
            layer.finish_prompts()

    def move_rows(self, holes: torch.Tensor, movers: torch.Tensor, rows: int) -> None:
        """Copy rows `movers` over rows `holes` in every layer; keep the first `rows` rows."""
        for layer in self._own:
            layer.move_rows(holes, movers, rows)


def supports_buffer_cache(model: PreTrainedModel) -> bool:
    """True for decoder models whose every layer attends to all earlier tokens.

    Sliding windows and recurrent layers need transformers' own caches and masks, flash attention
    its own mask format.
    """
    config = model.config.get_text_config()
    if config._attn_implementation not in ("sdpa", "eager"):
        return False
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:
        return all(kind == "full_attention" for kind in kinds)
    return getattr(config, "sliding_window", None) is None and not getattr(
        config, "is_encoder_decoder", False
    )
