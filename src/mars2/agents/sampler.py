"""Batched sampling from a causal language model, seeded row by row.

Why not `model.generate`: training needs the log-probability of every token at the sampling
temperature, and a row's tokens must depend on its own seed only, not on which other rows happen
to share the batch. Each row draws its uniform numbers from its own counter-based generator
(Philox, keyed by the seed) and turns them into tokens by inverting the cumulative distribution.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from mars2.agents.kvcache import BufferCache, supports_buffer_cache

_PREFILL_TOKENS = 16384  # padded prompt tokens of one forward pass: bounds activation memory


@dataclass(frozen=True, slots=True)
class SampledRow:
    """One sampled continuation.

    Attributes:
        token_ids: sampled tokens, including the end-of-text token if one was drawn.
        logprobs: natural log of the softmax at the row's temperature over the *full* vocabulary
            (also when top_p < 1), one per token.
        finish_reason: "stop" if an end-of-text token was drawn, else "length".
    """

    token_ids: list[int]
    logprobs: list[float]
    finish_reason: Literal["stop", "length"]


def generate_batch(
    model: PreTrainedModel,
    prompt_ids: Sequence[Sequence[int]],
    *,
    temperature: Sequence[float],
    top_p: Sequence[float],
    max_tokens: Sequence[int],
    seeds: Sequence[int],
    eos_ids: set[int],
    pad_id: int,
) -> list[SampledRow]:
    """Sample one continuation of every prompt.

    Args:
        model: a causal language model in evaluation mode (any dtype, any device).
        prompt_ids: token ids of each row's prompt, none empty; any lengths.
        temperature: > 0, one per row.
        top_p: in (0, 1], one per row: nucleus sampling (arXiv 1904.09751).
        max_tokens: > 0, one per row.
        seeds: one per row; equal (weights, prompt, sampling, seed) give equal tokens whatever
            else is in the batch, up to floating-point reduction order.
        eos_ids: tokens that end a row.
        pad_id: fills the left of shorter prompts; never attended to.

    Raises:
        ValueError: the arguments disagree in length or are out of range.
        FloatingPointError: the model's logits are not finite.
    """
    _check(prompt_ids, temperature, top_p, max_tokens, seeds)
    if not prompt_ids:
        return []
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            return _Batch(
                model, prompt_ids, temperature, top_p, max_tokens, seeds, eos_ids, pad_id
            ).run()
    finally:
        model.train(training)


def uniforms(seed: int, count: int) -> np.ndarray:
    """`count` float64 numbers in [0, 1) from the counter-based generator keyed by `seed`."""
    return np.random.Generator(np.random.Philox(key=seed % (1 << 64))).random(count)


def _check(
    prompt_ids: Sequence[Sequence[int]],
    temperature: Sequence[float],
    top_p: Sequence[float],
    max_tokens: Sequence[int],
    seeds: Sequence[int],
) -> None:
    rows = len(prompt_ids)
    for name, values in (
        ("temperature", temperature),
        ("top_p", top_p),
        ("max_tokens", max_tokens),
        ("seeds", seeds),
    ):
        if len(values) != rows:
            raise ValueError(f"{rows} prompts but {len(values)} values of {name}")
    if any(len(ids) == 0 for ids in prompt_ids):
        raise ValueError("a prompt has no tokens")
    if any(not t > 0 for t in temperature):
        raise ValueError("temperature must be above 0")
    if any(not 0 < p <= 1 for p in top_p):
        raise ValueError("top_p must be in (0, 1]")
    if any(n < 1 for n in max_tokens):
        raise ValueError("max_tokens must be at least 1")


class _Batch:
    """The rows under way. Finished rows leave at once, so tensors hold live rows only.

    `order[i]` is the caller's index of live row i.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        prompt_ids: Sequence[Sequence[int]],
        temperature: Sequence[float],
        top_p: Sequence[float],
        max_tokens: Sequence[int],
        seeds: Sequence[int],
        eos_ids: set[int],
        pad_id: int,
    ) -> None:
        self.model = model
        self.device = model.device
        self.prompts = prompt_ids
        self.pad_id = pad_id
        self.columns = max(len(ids) for ids in prompt_ids)
        self.rows = len(prompt_ids)
        self.padded = any(len(ids) != self.columns for ids in prompt_ids)
        parameters = inspect.signature(model.forward).parameters
        self.takes_positions = "position_ids" in parameters
        self.keep_last: dict[str, Any] = (
            {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}
        )

        def column(values: Sequence[float], dtype: torch.dtype) -> torch.Tensor:
            return torch.tensor(values, dtype=dtype, device=self.device)[:, None]

        steps = max(max_tokens)
        self.order = torch.arange(self.rows, device=self.device)
        self.positions = column([len(ids) for ids in prompt_ids], torch.long)
        self.inverse_temperature = column([1.0 / t for t in temperature], torch.float32)
        self.top_p = column(top_p, torch.float32) if min(top_p) < 1 else None
        self.limits = column(max_tokens, torch.long)[:, 0]
        noise = np.zeros((self.rows, steps), dtype=np.float32)
        for row, (seed, count) in enumerate(zip(seeds, max_tokens, strict=True)):
            noise[row, :count] = uniforms(seed, count)
        self.noise = torch.from_numpy(noise).to(self.device)
        self.eos_ids = eos_ids
        self.tokens = torch.zeros(self.rows, steps, dtype=torch.long, device=self.device)
        self.logprobs = torch.zeros(self.rows, steps, device=self.device)
        self.lengths = torch.zeros(self.rows, dtype=torch.long, device=self.device)
        self.stopped = torch.zeros(self.rows, dtype=torch.bool, device=self.device)
        self.decoder: _BufferDecoder | _GenericDecoder = (
            _BufferDecoder(self) if supports_buffer_cache(model) else _GenericDecoder(self)
        )

    def run(self) -> list[SampledRow]:
        logits = self.decoder.prefill()
        is_eos = torch.zeros(logits.shape[-1], dtype=torch.bool, device=self.device)
        is_eos[[i for i in self.eos_ids if 0 <= i < len(is_eos)]] = True
        step = 0
        while True:
            token, logprob = sample(
                logits, self.inverse_temperature, self.top_p, self.noise[:, step : step + 1]
            )
            self.tokens[self.order, step] = token
            self.logprobs[self.order, step] = logprob
            step += 1
            stopped = is_eos[token]
            done = stopped | (self.limits <= step)
            if bool(done.any()):
                finished = self.order[done]
                self.lengths[finished] = step
                self.stopped[finished] = stopped[done]
                keep = self._drop(done)
                if keep is None:
                    break
                token = token[keep]
            logits = self.decoder.step(token[:, None])
            self.positions += 1
        return self._collect()

    def _drop(self, done: torch.Tensor) -> torch.Tensor | None:
        """Remove finished rows; which old rows are the new ones, or None if none is left."""
        alive = int((~done).sum())
        if alive == 0:
            return None
        # The last live rows move into the gaps: as few rows as possible are copied.
        holes = done[:alive].nonzero()[:, 0]
        movers = (~done[alive:]).nonzero()[:, 0] + alive
        keep = torch.arange(alive, device=self.device)
        keep[holes] = movers
        self.order = self.order[keep]
        self.positions = self.positions[keep]
        self.inverse_temperature = self.inverse_temperature[keep]
        self.limits = self.limits[keep]
        self.noise = self.noise[keep]
        if self.top_p is not None:
            self.top_p = self.top_p[keep]
        self.decoder.drop(keep, holes, movers, alive)
        return keep

    def _collect(self) -> list[SampledRow]:
        lengths = self.lengths.tolist()
        stopped = self.stopped.tolist()
        tokens, logprobs = self.tokens.cpu(), self.logprobs.cpu()
        if not bool(torch.isfinite(logprobs).all()):
            raise FloatingPointError("the model's logits are not finite: its weights are broken")
        return [
            SampledRow(
                token_ids=tokens[row, : lengths[row]].tolist(),
                logprobs=logprobs[row, : lengths[row]].tolist(),
                finish_reason="stop" if stopped[row] else "length",
            )
            for row in range(len(lengths))
        ]

    def padded_prompts(
        self, which: Sequence[int], columns: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ids, attention mask and positions, each int64 [len(which), columns], left-padded."""
        ids = np.full((len(which), columns), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(which), columns), dtype=np.int64)
        for i, row in enumerate(which):
            prompt = self.prompts[row]
            ids[i, columns - len(prompt) :] = prompt
            mask[i, columns - len(prompt) :] = 1
        positions = np.maximum(mask.cumsum(1) - 1, 0)
        return (
            torch.from_numpy(ids).to(self.device),
            torch.from_numpy(mask).to(self.device),
            torch.from_numpy(positions).to(self.device),
        )

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor | None, cache: Any
    ) -> torch.Tensor:
        """Logits of the last position, [rows, vocabulary]."""
        kwargs: dict[str, Any] = dict(self.keep_last)
        if self.takes_positions:
            kwargs["position_ids"] = positions
        output = self.model(
            input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **kwargs
        )
        return output.logits[:, -1]


class _BufferDecoder:
    """The fast path: one prefill per distinct prompt, grouped by length; masks made once."""

    def __init__(self, batch: _Batch) -> None:
        self.batch = batch
        config = batch.model.config.get_text_config()
        self.cache = BufferCache(config.num_hidden_layers, batch.rows, batch.columns)
        self.column = batch.columns
        self.hidden: torch.Tensor | None = None  # bool [rows, prompt columns]: padding
        self.mask: torch.Tensor | None = None
        if batch.padded:
            lengths = batch.positions  # still the prompt lengths
            columns = torch.arange(batch.columns, device=batch.device)[None, :]
            self.hidden = columns < batch.columns - lengths

    def prefill(self) -> torch.Tensor:
        batch = self.batch
        owners: dict[tuple[int, ...], list[int]] = {}
        for row, ids in enumerate(batch.prompts):
            owners.setdefault(tuple(ids), []).append(row)
        logits: torch.Tensor | None = None
        for group in _length_groups(list(owners)):
            width = len(group[-1])
            inputs, mask, positions = batch.padded_prompts([owners[p][0] for p in group], width)
            rows = [row for prompt in group for row in owners[prompt]]
            source = [i for i, prompt in enumerate(group) for _ in owners[prompt]]
            rows_t = torch.tensor(rows, device=batch.device)
            source_t = torch.tensor(source, device=batch.device)
            self.cache.fill_rows(rows_t, source_t)
            even = len(group[0]) == width
            out = batch.forward(inputs, positions, None if even else mask, self.cache)
            if logits is None:
                logits = out.new_empty(batch.rows, out.shape[-1])
            logits[rows_t] = out[source_t]
        self.cache.finish_prompts()
        assert logits is not None
        return logits

    def step(self, token: torch.Tensor) -> torch.Tensor:
        self.column += 1
        mask = None
        if self.hidden is not None:
            if self.mask is None or self.mask.shape[-1] < self.column:
                self.mask = self._decode_mask(self.column + 64)
            mask = self.mask[..., : self.column]
        return self.batch.forward(token, self.batch.positions, mask, self.cache)

    def drop(
        self, keep: torch.Tensor, holes: torch.Tensor, movers: torch.Tensor, alive: int
    ) -> None:
        self.cache.move_rows(holes, movers, alive)
        if self.hidden is not None:
            self.hidden = self.hidden[keep]
            if self.mask is not None:
                self.mask = self.mask[keep]

    def _decode_mask(self, columns: int) -> torch.Tensor:
        """Additive [rows, 1, 1, columns]: the dtype's lowest value at padding, 0 elsewhere."""
        assert self.hidden is not None
        dtype = self.batch.model.dtype
        rows, prompt = self.hidden.shape
        mask = torch.zeros(rows, 1, 1, columns, dtype=dtype, device=self.batch.device)
        mask[:, 0, 0, :prompt].masked_fill_(self.hidden, torch.finfo(dtype).min)
        return mask


class _GenericDecoder:
    """Any other decoder (sliding windows, flash attention): transformers' cache and masks."""

    def __init__(self, batch: _Batch) -> None:
        self.batch = batch
        self.cache = DynamicCache(config=batch.model.config)
        self.mask = torch.empty(0)

    def prefill(self) -> torch.Tensor:
        batch = self.batch
        ids, self.mask, positions = batch.padded_prompts(range(batch.rows), batch.columns)
        return batch.forward(ids, positions, self.mask, self.cache)

    def step(self, token: torch.Tensor) -> torch.Tensor:
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)
        return self.batch.forward(token, self.batch.positions, self.mask, self.cache)

    def drop(
        self, keep: torch.Tensor, holes: torch.Tensor, movers: torch.Tensor, alive: int
    ) -> None:
        self.cache.batch_select_indices(keep)
        self.mask = self.mask[keep]


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


def sample(
    logits: torch.Tensor,
    inverse_temperature: torch.Tensor,
    top_p: torch.Tensor | None,
    noise: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One token a row by inverting the cumulative distribution at `noise`.

    Args:
        logits: [rows, vocabulary], any float dtype.
        inverse_temperature: float32 [rows, 1].
        top_p: float32 [rows, 1] in (0, 1], or None if every row samples the whole distribution.
        noise: float32 [rows, 1] uniform in [0, 1).

    Returns:
        Token ids int64 [rows], and the natural log of each one's full-softmax probability at
        the temperature, float32 [rows].
    """
    probs = torch.softmax(logits.float() * inverse_temperature, dim=-1)
    if top_p is None:
        token = _invert(probs, noise)
    else:
        ranked, ids = probs.sort(dim=-1, descending=True, stable=True)
        before = ranked.cumsum(-1) - ranked  # mass of likelier tokens: the first is always kept
        # 1 means everything, also where rounding pushes the mass beyond it.
        ranked = ranked.masked_fill((before >= top_p) & (top_p < 1), 0.0)
        token = ids.gather(1, _invert(ranked, noise)[:, None])[:, 0]
    return token, probs.gather(1, token[:, None])[:, 0].log()


def _invert(weights: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """The first index whose cumulative weight exceeds noise * total; never one of weight 0."""
    cdf = weights.cumsum(-1)
    total = cdf[:, -1:]
    target = torch.minimum(noise * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cdf, target, right=True)[:, 0].clamp_(max=weights.shape[-1] - 1)
