"""A policy whose weights live in this process: batches concurrent requests, can be trained.

Requests that are under way together are answered as one batch by a worker thread, so the event
loop never waits for a model. Each answer is handed over when it ends, and a request that waits
takes its place between two tokens: while programs are judged, the model goes on. Sampling is
seeded request by request: what else happens to be in a batch does not change an answer.
"""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mars2.agents.base import Policy, PromptStyle
from mars2.agents.codec import Codec, context_of, eos_ids
from mars2.agents.sampler import Row, SampledRow, sample_rows
from mars2.errors import GenerationError
from mars2.types import Generation, Message, Sampling, Usage


@dataclass(slots=True, eq=False)
class _Request:
    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int
    answer: asyncio.Future[Generation]


@dataclass(slots=True, eq=False)
class _Ready:
    """A request that fits the context, as the sampler takes it."""

    request: _Request
    row: Row
    since: float
    answered: bool = False


class LocalPolicy(Policy):
    """A transformers causal language model in this process.

    Args:
        name: identity of the weights.
        model: moved to `device`, evaluation mode; its dtype is kept.
        tokenizer: with a chat template for chat models; without one (base and micro models)
            messages are concatenated.
        prompt_style: the rendering of prompts the model was made for.
        max_batch: most requests under way together; more wait until one of these ends, or, with
            models that nobody can join (windows, recurrent layers), until all have.
        linger_s: a batch starts when no request arrived for this long, so that a wave of
            requests becomes one batch.
    """

    has_logprobs = True

    def __init__(
        self,
        name: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        prompt_style: PromptStyle,
        device: str = "cpu",
        max_batch: int = 64,
        linger_s: float = 0.002,
    ) -> None:
        if max_batch < 1:
            raise ValueError("max_batch must be at least 1")
        self.name = name
        self.version = 0
        self.prompt_style = prompt_style
        self.model: Any = model.to(device).eval()
        self.tokenizer: Any = tokenizer
        self.max_batch = max_batch
        self.linger_s = linger_s
        self.eos_ids = eos_ids(getattr(model, "generation_config", None), model.config, tokenizer)
        self.pad_id = _pad_id(tokenizer, self.eos_ids)
        self.context = context_of(model.config)
        self.codec = Codec(name, tokenizer, prompt_style, self.eos_ids, self.context)
        self._waiting: deque[_Request] = deque()
        self._dispatcher: asyncio.Task[None] | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._weights = threading.Lock()  # held while a batch runs or weights change
        self._changing: list[None] = []  # one for each who waits for the batch under way to end

    # ------------------------------------------------------------------ requests

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Generation:
        """One answer with prompt ids, token ids and log-probabilities.

        The output is cut where prompt + output would exceed the model's context (finish reason
        "length"). The text excludes the end-of-text and other special tokens.

        Raises:
            GenerationError: the prompt leaves no room in the context, the model's logits are
                not finite, or memory does not suffice for this request alone.
        """
        loop = asyncio.get_running_loop()
        request = _Request(tuple(messages), sampling, seed, loop.create_future())
        dispatcher = self._dispatcher
        if dispatcher is None or dispatcher.done() or dispatcher.get_loop() is not loop:
            self._waiting = deque()  # a closed event loop may have left some behind
            self._dispatcher = loop.create_task(self._dispatch(), name=f"batches of {self.name}")
        self._waiting.append(request)
        return await request.answer

    async def aclose(self) -> None:
        """Fail waiting requests and end the worker thread (after the batch under way)."""
        dispatcher, self._dispatcher = self._dispatcher, None
        if dispatcher is not None and dispatcher.get_loop() is asyncio.get_running_loop():
            dispatcher.cancel()
            await asyncio.gather(dispatcher, return_exceptions=True)
        for request in self._waiting:
            _fail(request, GenerationError(f"policy {self.name!r} was closed"))
        self._waiting.clear()
        worker, self._worker = self._worker, None
        if worker is not None:
            await asyncio.to_thread(worker.shutdown)

    async def _dispatch(self) -> None:
        """Runs while requests wait: collect a wave, answer it and who joins it, and again."""
        loop = asyncio.get_running_loop()
        waiting = self._waiting
        batch: list[_Request] = []
        try:
            while await self._collect():
                batch = [waiting.popleft() for _ in range(min(len(waiting), self.max_batch))]
                if self._worker is None:
                    self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"mars2-{self.name}")
                try:
                    await loop.run_in_executor(self._worker, self._answer, batch, waiting)
                except Exception as error:  # a defect of ours: whoever waits shall see it
                    for request in batch:
                        _fail(request, error)
        finally:
            for request in batch:  # only if this task was cancelled
                _fail(request, GenerationError(f"policy {self.name!r} was closed"))

    async def _collect(self) -> bool:
        """Wait until no more requests arrive; False if none is left."""
        waiting = self._waiting
        seen = -1
        while len(waiting) > seen and len(waiting) < self.max_batch:
            seen = len(waiting)
            await asyncio.sleep(self.linger_s)
        live = [r for r in waiting if not r.answer.done()]  # not the cancelled
        waiting.clear()
        waiting.extend(live)
        return bool(waiting)

    # ------------------------------------------------------------------ the worker thread

    def _answer(self, batch: list[_Request], waiting: deque[_Request]) -> None:
        """Answer these requests and those that join them, which are added to `batch`."""
        with self._weights:
            self._sample(self._ready(batch), batch, waiting)

    def _ready(self, requests: Sequence[_Request]) -> list[_Ready]:
        """Those that fit; the others are told why not."""
        ready = []
        for request in requests:
            try:
                ids, how = self.codec.prompt(request.messages, request.sampling)
                row = Row(ids, how.temperature, how.top_p, how.max_tokens, request.seed)
            except Exception as error:
                _settle(request, error)
            else:
                ready.append(_Ready(request, row, time.monotonic()))
        return ready

    def _sample(
        self, ready: list[_Ready], batch: list[_Request], waiting: deque[_Request] | None
    ) -> None:
        """Answer `ready` and who joins from `waiting`; in halves where memory does not suffice."""
        if not ready:
            return

        def join(under_way: int) -> Sequence[Row]:
            if not waiting or self._changing:
                return ()
            more: list[_Request] = []
            while len(more) < self.max_batch - under_way:
                try:
                    request = waiting.popleft()
                except IndexError:
                    break
                if not request.answer.done():
                    more.append(request)
            batch.extend(more)
            joined = self._ready(more)
            ready.extend(joined)
            return [r.row for r in joined]

        def ended(number: int, sampled: SampledRow) -> None:
            r = ready[number]
            r.answered = True
            seconds = time.monotonic() - r.since
            _settle(r.request, self._generation(list(r.row.prompt_ids), sampled, seconds))

        try:
            sample_rows(
                self.model,
                [r.row for r in ready],
                eos_ids=self.eos_ids,
                pad_id=self.pad_id,
                ended=ended,
                join=join,
            )
        except FloatingPointError as error:
            said = GenerationError(f"policy {self.name!r}, version {self.version}: {error}")
            for r in ready:
                _settle(r.request, said)
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            left = [r for r in ready if not r.answered]
            if len(ready) == 1:
                _settle(
                    ready[0].request,
                    GenerationError(
                        f"policy {self.name!r}: not enough memory for one request of "
                        f"{len(ready[0].row.prompt_ids)} + {ready[0].row.max_tokens} tokens"
                    ),
                )
                return
            half = (len(left) + 1) // 2
            self._sample(left[:half], batch, None)  # nobody joins what is too much already
            self._sample(left[half:], batch, None)

    def _generation(self, prompt_ids: list[int], row: SampledRow, seconds: float) -> Generation:
        return Generation(
            text=self.decode(row.token_ids),
            finish_reason=row.finish_reason,
            prompt_ids=tuple(prompt_ids),
            token_ids=tuple(row.token_ids),
            logprobs=tuple(row.logprobs),
            policy_version=self.version,
            usage=Usage(len(prompt_ids), len(row.token_ids)),
            seconds=seconds,
        )

    # ------------------------------------------------------------------ text and tokens

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation, ready for the model to answer."""
        return self.codec.encode(messages)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of sampled tokens without end-of-text and other special tokens."""
        return self.codec.decode(token_ids)

    # ------------------------------------------------------------------ weights

    def load_weights(self, state_dict: dict[str, Tensor], version: int) -> None:
        """Adopt a published version; waits for a batch under way. Tensors are copied.

        Names are those of `model.state_dict()`; of tied weights one name suffices.

        Raises:
            ValueError: a name is unknown or missing, or a shape differs; nothing is changed.
        """
        own: dict[str, Tensor] = self.model.state_dict()
        unknown = sorted(set(state_dict) - set(own))
        if unknown:
            raise ValueError(f"policy {self.name!r} has no weight {unknown[0]!r}")
        given = {own[name].data_ptr() for name in state_dict}
        missing = sorted(n for n, w in own.items() if w.data_ptr() not in given)
        if missing:
            raise ValueError(f"policy {self.name!r}: weight {missing[0]!r} is missing")
        for name, weight in state_dict.items():
            if weight.shape != own[name].shape:
                raise ValueError(
                    f"policy {self.name!r}: {name} has shape {tuple(weight.shape)}, "
                    f"the model's is {tuple(own[name].shape)}"
                )
        with self._between_batches(), torch.no_grad():
            for name, weight in state_dict.items():
                own[name].copy_(weight)
            self.version = version

    @contextmanager
    def _between_batches(self) -> Iterator[None]:
        """Nobody joins the batch under way, and when it has ended no other one begins."""
        self._changing.append(None)
        try:
            with self._weights:
                yield
        finally:
            self._changing.pop()

    def differs(self, state_dict: dict[str, Tensor]) -> str | None:
        """Name of a weight that is not as given, but for its dtype; None if all of these are."""
        held: dict[str, Tensor] = self.model.state_dict()
        for name, weight in state_dict.items():
            if not torch.equal(held[name], weight.to(held[name].dtype).to(held[name].device)):
                return name
        return None

    def clone_model(self) -> nn.Module:
        """An independent float32 copy of the model, in evaluation mode, gradients enabled."""
        with self._between_batches():
            clone: nn.Module = copy.deepcopy(self.model)
        return clone.float().eval().requires_grad_(True)


def _settle(request: _Request, outcome: Generation | BaseException) -> None:
    """Answer a request, from the worker thread."""

    def settle() -> None:
        if isinstance(outcome, BaseException):
            _fail(request, outcome)
        elif not request.answer.done():
            request.answer.set_result(outcome)

    request.answer.get_loop().call_soon_threadsafe(settle)


def _fail(request: _Request, error: BaseException) -> None:
    if not request.answer.done():
        request.answer.set_exception(error)


def _out_of_memory(error: BaseException) -> bool:
    """PyTorch's CPU allocator raises a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "not enough memory" in str(error) or "can't allocate memory" in str(error)
    )


def _pad_id(tokenizer: PreTrainedTokenizerBase, eos_ids: set[int]) -> int:
    pad = getattr(tokenizer, "pad_token_id", None)
    return pad if isinstance(pad, int) else min(eos_ids, default=0)
