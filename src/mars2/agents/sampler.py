"""Batched sampling from a causal language model, seeded row by row.

Why not `model.generate`: training needs the log-probability of every token at the sampling
temperature, and a row's tokens must depend on its own seed only, not on which other rows happen
to share the batch. Each row draws its uniform numbers from its own counter-based generator
(Philox, keyed by the seed) and turns them into tokens by inverting the cumulative distribution.
And a row that ends is handed over at once, and its place to a row that waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from transformers import PreTrainedModel

from mars2.agents.decoders import decoder_for


@dataclass(frozen=True, slots=True)
class Row:
    """What to sample: a prompt's token ids, not empty, and how; see `generate_batch`.

    Raises:
        ValueError: a value is out of range.
    """

    prompt_ids: Sequence[int]
    temperature: float
    top_p: float
    max_tokens: int
    seed: int

    def __post_init__(self) -> None:
        if not self.prompt_ids:
            raise ValueError("a prompt has no tokens")
        if not self.temperature > 0:
            raise ValueError("temperature must be above 0")
        if not 0 < self.top_p <= 1:
            raise ValueError("top_p must be in (0, 1]")
        if self.max_tokens < 1:
            raise ValueError("max_tokens must be at least 1")


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
    columns = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "seeds": seeds}
    for name, values in columns.items():
        if len(values) != len(prompt_ids):
            raise ValueError(f"{len(prompt_ids)} prompts but {len(values)} values of {name}")
    rows = list(map(Row, prompt_ids, temperature, top_p, max_tokens, seeds))
    sampled: dict[int, SampledRow] = {}
    sample_rows(model, rows, eos_ids=eos_ids, pad_id=pad_id, ended=sampled.__setitem__)
    return [sampled[i] for i in range(len(rows))]


def sample_rows(
    model: PreTrainedModel,
    rows: Sequence[Row],
    *,
    eos_ids: set[int],
    pad_id: int,
    ended: Callable[[int, SampledRow], None],
    join: Callable[[int], Sequence[Row]] | None = None,
) -> None:
    """Sample rows, and rows that come later beside them, until none is left.

    Args:
        ended: called with a row's number, counted in the order of arrival, as soon as it ends.
        join: asked between two tokens, with the number of rows under way, for rows to take in.
            Not asked of models that cannot take rows in: those with windows or recurrent layers.

    Raises:
        FloatingPointError: the model's logits are not finite.
    """
    if not rows:
        return
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            _Batch(model, eos_ids, pad_id, ended).run(rows, join)
    finally:
        model.train(training)


def uniforms(seed: int, count: int) -> np.ndarray:
    """`count` float64 numbers in [0, 1) from the counter-based generator keyed by `seed`."""
    return np.random.Generator(np.random.Philox(key=seed % (1 << 64))).random(count)


class _Batch:
    """The rows under way. Tensors hold one line each of these; a row that ended leaves at once.

    `numbers[i]` is the caller's number of line i.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        eos_ids: set[int],
        pad_id: int,
        ended: Callable[[int, SampledRow], None],
    ) -> None:
        self.device = model.device
        self.decoder = decoder_for(model, pad_id)
        self.eos_ids = eos_ids
        self.ended = ended
        self.seen = 0  # rows taken in so far
        self.nucleus = False  # whether any of them samples from a part of the distribution

        def empty(dtype: torch.dtype, *columns: int) -> torch.Tensor:
            return torch.zeros(0, *columns, dtype=dtype, device=self.device)

        self.numbers = empty(torch.long)
        self.inverse_temperature = empty(torch.float32, 1)
        self.top_p = empty(torch.float32, 1)
        self.limits = empty(torch.long)
        self.lengths = empty(torch.long)  # tokens so far
        self.noise = empty(torch.float32, 0)
        self.tokens = empty(torch.long, 0)
        self.logprobs = empty(torch.float32, 0)

    def run(self, rows: Sequence[Row], join: Callable[[int], Sequence[Row]] | None) -> None:
        logits = self._read(rows)
        is_eos = torch.zeros(logits.shape[-1], dtype=torch.bool, device=self.device)
        is_eos[[i for i in self.eos_ids if 0 <= i < len(is_eos)]] = True
        while True:
            at = self.lengths[:, None]
            nucleus = self.top_p if self.nucleus else None
            token, logprob = sample(
                logits, self.inverse_temperature, nucleus, self.noise.gather(1, at)
            )
            self.tokens.scatter_(1, at, token[:, None])
            self.logprobs.scatter_(1, at, logprob[:, None])
            self.lengths += 1
            stopped = is_eos[token]
            done = stopped | (self.limits <= self.lengths)
            if bool(done.any()):
                self._hand_over(done, stopped)
                keep = self._drop(done)
                if keep is None:
                    return
                token = token[keep]
            logits = self.decoder.step(token[:, None])
            if join and self.decoder.joins and (more := join(len(self.numbers))):
                logits = torch.cat([logits, self._read(more)])

    def _read(self, rows: Sequence[Row]) -> torch.Tensor:
        """Take rows in, as the last lines; the logits of their first tokens."""
        logits = self.decoder.read([row.prompt_ids for row in rows])

        def column(values: Sequence[float], dtype: torch.dtype) -> torch.Tensor:
            return torch.tensor(values, dtype=dtype, device=self.device)

        def below(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
            steps = max(old.shape[1], new.shape[1])
            wide = [torch.nn.functional.pad(t, (0, steps - t.shape[1])) for t in (old, new)]
            return torch.cat(wide)

        limits = [row.max_tokens for row in rows]
        noise = np.zeros((len(rows), max(limits)), dtype=np.float32)
        for i, row in enumerate(rows):
            noise[i, : row.max_tokens] = uniforms(row.seed, row.max_tokens)
        drawn = torch.from_numpy(noise).to(self.device)
        self.noise = below(self.noise, drawn)
        self.tokens = below(self.tokens, torch.zeros_like(drawn, dtype=torch.long))
        self.logprobs = below(self.logprobs, torch.zeros_like(drawn))
        heat = column([1 / row.temperature for row in rows], torch.float32)[:, None]
        self.inverse_temperature = torch.cat([self.inverse_temperature, heat])
        self.top_p = torch.cat(
            [self.top_p, column([row.top_p for row in rows], torch.float32)[:, None]]
        )
        self.nucleus = self.nucleus or any(row.top_p < 1 for row in rows)
        self.limits = torch.cat([self.limits, column(limits, torch.long)])
        self.lengths = torch.cat([self.lengths, torch.zeros_like(self.limits[: len(rows)])])
        numbers = range(self.seen, self.seen + len(rows))
        self.numbers = torch.cat([self.numbers, column(numbers, torch.long)])
        self.seen += len(rows)
        return logits

    def _hand_over(self, done: torch.Tensor, stopped: torch.Tensor) -> None:
        numbers, lengths = self.numbers[done].tolist(), self.lengths[done].tolist()
        tokens, logprobs = self.tokens[done].cpu(), self.logprobs[done].cpu()
        for i, (number, eos) in enumerate(zip(numbers, stopped[done].tolist(), strict=True)):
            chosen = logprobs[i, : lengths[i]]
            if not bool(torch.isfinite(chosen).all()):
                raise FloatingPointError(
                    "the model's logits are not finite: its weights are broken"
                )
            self.ended(
                number,
                SampledRow(
                    token_ids=tokens[i, : lengths[i]].tolist(),
                    logprobs=chosen.tolist(),
                    finish_reason="stop" if eos else "length",
                ),
            )

    def _drop(self, done: torch.Tensor) -> torch.Tensor | None:
        """Remove ended rows; which old lines are the new ones, or None if none is left."""
        alive = int((~done).sum())
        if alive == 0:
            return None
        # The last live rows move into the gaps: as few rows as possible are copied.
        holes = done[:alive].nonzero()[:, 0]
        movers = (~done[alive:]).nonzero()[:, 0] + alive
        keep = torch.arange(alive, device=self.device)
        keep[holes] = movers
        for name in (
            "numbers",
            "inverse_temperature",
            "top_p",
            "limits",
            "lengths",
            "noise",
            "tokens",
            "logprobs",
        ):
            lines = getattr(self, name)
            lines[holes] = lines[movers]
            setattr(self, name, lines[:alive])
        self.decoder.drop(keep, holes, movers, alive)
        return keep


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
    token = _invert(probs, noise)
    if top_p is not None:
        ranked, ids = probs.sort(dim=-1, descending=True, stable=True)
        before = ranked.cumsum(-1) - ranked  # mass of likelier tokens: the first is always kept
        likely = ids.gather(1, _invert(ranked.masked_fill(before >= top_p, 0.0), noise)[:, None])
        # Who samples from everything does so in one way, whoever else is in the batch.
        token = torch.where(top_p[:, 0] < 1, likely[:, 0], token)
    return token, probs.gather(1, token[:, None])[:, 0].log()


def _invert(weights: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """The first index whose cumulative weight exceeds noise * total; never one of weight 0."""
    cdf = weights.cumsum(-1)
    total = cdf[:, -1:]
    target = torch.minimum(noise * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cdf, target, right=True)[:, 0].clamp_(max=weights.shape[-1] - 1)
