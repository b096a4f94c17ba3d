"""A key/value cache made for sampling many rows at once on small machines.

transformers' DynamicCache concatenates every layer's whole cache at every step, which on a CPU
costs more than the model itself. This one writes into a buffer that grows geometrically, lets
rows that share a prompt be prefilled once, drops finished rows by moving a few others, and takes
new rows in the places of those. All rows end at the same column; where one begins is its own
affair.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

_GROWTH = 64  # columns (token positions) added at least when a buffer is full


class _BufferLayer(DynamicLayer):
    """Keys and values of one layer, each [rows, heads, columns, head_dim]."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0
        self.length = 0  # columns in use
        self.room = (0, 0)  # rows and columns of the buffers
        # While a prompt group is being read: rows to fill, and which prompt each one copies.
        self.fill: tuple[torch.Tensor, torch.Tensor] | None = None
        self._buffers: list[torch.Tensor] = []

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self._buffers:
            self.dtype, self.device = key_states.dtype, key_states.device
            # Zeros: what a padded column holds is multiplied by weight 0, and must be finite.
            self._buffers = [
                states.new_zeros(self.room[0], states.shape[1], self.room[1], states.shape[3])
                for states in (key_states, value_states)
            ]
            self.is_initialized = True
        if self.fill is not None:
            rows, source = self.fill
            start = self.length - key_states.shape[2]
            for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
                buffer[rows, :, start : self.length] = states[source]
            return key_states, value_states
        start, self.length = self.length, self.length + key_states.shape[2]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[: self.rows, :, start : self.length] = states
        self.keys, self.values = (b[: self.rows, :, : self.length] for b in self._buffers)
        return self.keys, self.values

    def move_rows(self, holes: torch.Tensor, movers: torch.Tensor, rows: int) -> None:
        if len(holes):
            for buffer in self._buffers:
                buffer[holes, :, : self.length] = buffer[movers, :, : self.length]
        self.rows = rows

    def lay_out(self, room: tuple[int, int], shift: int) -> None:
        """New buffers of so many rows and columns, what is held moved by `shift` columns."""
        self.room = room
        first, to = max(0, -shift), max(0, shift)
        for i, old in enumerate(self._buffers):
            new = old.new_zeros(room[0], old.shape[1], room[1], old.shape[3])
            held = old[: self.rows, :, first : self.length]
            new[: self.rows, :, to : to + held.shape[2]] = held
            self._buffers[i] = new
        self.length += shift

    def get_seq_length(self) -> int:
        return 0 if self.fill is not None else self.length  # prompts see nothing before them


class BufferCache(Cache):
    """All layers of one batch."""

    def __init__(self, layers: int) -> None:
        self._own = [_BufferLayer() for _ in range(layers)]
        super().__init__(layers=list(self._own))

    @property
    def columns(self) -> int:
        """Columns in use: where every row ends."""
        return self._own[0].length

    @property
    def full(self) -> bool:
        """No column is left for another token."""
        return self._own[0].length == self._own[0].room[1]

    def make_room(self, old: int, new: int, prompt_columns: int) -> int:
        """Prepare for `new` rows after the `old` ones, with prompts of up to so many tokens.

        Returns:
            By how many columns the old rows have moved.
        """
        first = self._own[0]
        rows, columns = first.room
        shift = max(0, prompt_columns - self.columns)
        if old + new > rows:  # more than needed where others may follow
            rows = max(old + new, rows + rows // 2)
        if self.columns + shift > columns or (shift and old):
            columns = self.columns + shift + _GROWTH
        if (rows, columns) != first.room or shift:
            for layer in self._own:
                layer.lay_out((rows, columns), shift)
        for layer in self._own:
            layer.rows = old + new
        return shift

    def move_columns(self, shift: int) -> None:
        """Make room for more columns; drop the first `-shift` ones."""
        rows, used = self._own[0].rows, self.columns + shift
        for layer in self._own:
            layer.lay_out((rows, used + max(_GROWTH, used // 2)), shift)

    def fill_rows(self, rows: torch.Tensor, source: torch.Tensor) -> None:
        """The next forward pass reads prompts: row rows[i] copies its prompt source[i]."""
        for layer in self._own:
            layer.fill = (rows, source)

    def finish_prompts(self) -> None:
        """Call once after the last prompt group: from now on single columns are appended."""
        for layer in self._own:
            layer.fill = None

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
