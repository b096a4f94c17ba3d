"""A policy that vLLM answers for: continuous batching, cached prefixes, versioned weights.

Prompts are rendered and encoded here, by the same code as for a policy in this process, and go to
the engine as token ids; token ids and log-probabilities come back. New weights are taken between
answers, never within one, and nobody is answered with them before they were checked.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mars2.agents.base import Policy
from mars2.agents.codec import Codec
from mars2.agents.vllm.client import Answer, Client, ServerLostError
from mars2.agents.vllm.probe import PROBE_SAMPLING, probe_prompts
from mars2.agents.vllm.server import Server
from mars2.errors import EndpointDownError, GenerationError
from mars2.types import Generation, Message, Sampling, Usage

_log = logging.getLogger(__name__)
_TRIES = 3  # of a request whose server was lost; it is asked again with the same seed
_MAX_RESTARTS = 3  # without an answer in between
_POLL_S = 0.01

Accept = Callable[[Sequence[Generation]], None]
"""Looks at the engine's answers to a probe under new weights; raises what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What the engine answers with.

    `model` is their name in requests, `source` the model that the engine is started from, `adapter`
    the LoRA adapter on it, `label` what answers must name as their version (None: anything).
    """

    version: int
    model: str
    source: str
    adapter: Path | None = None
    label: str | None = None


class VllmPolicy(Policy):
    """One model on one vLLM server, which is started when it is first needed.

    Args:
        source: directory or hub id of the model.
        client: talks to the server.
        server: ours to start and end; None: it runs elsewhere.
        load: makes a float32 transformers model of `source`, for a learner.
        outbox: directory for weights to publish, which the server can read.
        adapters: whether the server holds LoRA adapters.
    """

    has_logprobs = True

    def __init__(
        self,
        name: str,
        source: str,
        codec: Codec,
        client: Client,
        server: Server | None,
        *,
        model: str,
        dtype: str,
        load: Callable[[], Any],
        outbox: Path,
        adapters: bool = False,
        tolerance: float | None = None,
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.codec = codec
        self.tokenizer = codec.tokenizer
        self.adapters = adapters
        self.tolerance = tolerance
        self.outbox = outbox
        self.in_flight = 0
        self._client = client
        self._server = server
        self._load = load
        self._weights = Weights(0, model, source)
        self._base = model
        self._old: list[Weights] = []  # adapters that answers may still be written with
        self._starting = threading.RLock()
        self._started = False
        self._suspect = False  # a request found nobody there
        self._restarts = 0
        self._gate = threading.Lock()
        self._shut = False  # nobody enters while weights change
        self._broken: str | None = None

    @property
    def version(self) -> int:  # type: ignore[override]
        """Of the weights that new answers are written with."""
        return self._weights.version

    # ------------------------------------------------------------------ requests

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Generation:
        """One answer with prompt ids, token ids and log-probabilities.

        Raises:
            EndpointDownError: the server is gone and cannot be had again.
            GenerationError: this request failed; others are not affected.
        """
        ids, sampling = self.codec.prompt(messages, sampling)
        for attempt in range(_TRIES):
            if not self._started or self._suspect or self._broken:
                await asyncio.to_thread(self.ensure)
            async with self._entered() as weights:
                try:
                    return await self._ask(self._client, weights, ids, sampling, seed)
                except ServerLostError as error:
                    lost, self._suspect = error, True
            _log.warning("policy %s: %s (attempt %d)", self.name, lost, attempt + 1)
        raise EndpointDownError(f"policy {self.name!r}: {lost}") from lost

    async def _ask(
        self, client: Client, weights: Weights, ids: list[int], sampling: Sampling, seed: int
    ) -> Generation:
        started = time.monotonic()
        answer = await client.generate(
            weights.model, ids, sampling, seed=seed, stop_ids=sorted(self.codec.eos_ids)
        )
        if weights.label is not None and answer.version != weights.label:
            raise GenerationError(
                f"policy {self.name!r}: asked version {weights.label}, was answered by "
                f"{answer.version!r}: somebody else changes the server's weights"
            )
        self._restarts = 0
        return self._generation(ids, answer, weights.version, time.monotonic() - started)

    def _generation(
        self, ids: list[int], answer: Answer, version: int, seconds: float
    ) -> Generation:
        return Generation(
            text=self.codec.decode(answer.token_ids),
            finish_reason=answer.finish_reason,
            prompt_ids=tuple(ids),
            token_ids=answer.token_ids,
            logprobs=answer.logprobs,
            policy_version=version,
            usage=Usage(len(ids), len(answer.token_ids)),
            seconds=seconds,
        )

    @asynccontextmanager
    async def _entered(self) -> AsyncIterator[Weights]:
        while True:
            with self._gate:
                if not self._shut:
                    self.in_flight += 1
                    weights = self._weights
                    break
            await asyncio.sleep(_POLL_S)
        try:
            yield weights
        finally:
            with self._gate:
                self.in_flight -= 1

    async def aclose(self) -> None:
        """Close the connections and end the server, if it is ours."""
        await self._client.aclose()
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)
        else:
            shutil.rmtree(self.outbox, ignore_errors=True)
        self._started = False

    # ------------------------------------------------------------------ the server

    def ensure(self) -> None:
        """Have the server run with the current weights; start it if need be. May take minutes.

        Raises:
            EndpointDownError: it cannot be had; says why.
        """
        if self._broken:
            raise EndpointDownError(self._broken)
        with self._starting:
            if self._started and self._suspect and self._server is not None:
                self._started = self._server.healthy()
            self._suspect = False
            if self._started and self._server is not None:
                return
            if self._restarts > _MAX_RESTARTS:
                raise EndpointDownError(
                    f"policy {self.name!r}: vLLM was started {_MAX_RESTARTS} times and ended each "
                    f"time without an answer:\n{self._server and self._server.last_words()}"
                )
            self._restarts += 1
            try:
                self._begin(self._weights)
            except ServerLostError as error:
                raise EndpointDownError(f"policy {self.name!r}: {error}") from error
            self._started = True

    def _begin(self, weights: Weights) -> None:
        if self._server is None:
            self._find()
            return
        if self._server.used:
            _log.warning(
                "policy %s: vLLM ended and is started again:\n%s",
                self.name,
                self._server.last_words(),
            )
        self._server.start(weights.source)
        self._client.name_version(weights.version)
        if weights.adapter is not None:
            self._client.load_adapter(weights.model, weights.adapter)
        elif weights.label is None:
            self._weights = replace(weights, label=str(weights.version))
        self._old = []

    def _find(self) -> None:
        """Look what a server that is not ours calls its model."""
        names = self._client.models()
        if self._base not in names:
            if len(names) != 1:
                raise ServerLostError(
                    f"vLLM at {self._client.where} has the models {', '.join(names)}, not "
                    f"{self._base!r}"
                )
            self._base = names[0]
            self._weights = replace(self._weights, model=self._base)

    # ------------------------------------------------------------------ weights

    def clone_model(self) -> Any:
        """A float32 copy of the model that the server was started with, for a learner to own."""
        return self._load()

    def adopt(self, directory: Path, version: int, accept: Accept) -> None:
        """Answer with the weights of a Hugging Face directory from now on.

        Answers under way are finished with the old weights first, new requests wait. If `accept`
        refuses, the old weights come back and its error is raised.

        Args:
            directory: under `outbox`; this policy's from now on.

        Raises:
            EndpointDownError: the server could not load them, and has the old weights again.
        """
        self.ensure()
        old = self._weights
        new = Weights(version, self._base, str(directory), None, str(version))
        with self._alone():
            try:
                self._take(directory, version)
                accept(self._probe(new))
            except BaseException as error:
                self._go_back(old)
                shutil.rmtree(directory, ignore_errors=True)
                if isinstance(error, ServerLostError):
                    raise EndpointDownError(f"policy {self.name!r}: {error}") from error
                raise
            self._weights = new
        if Path(old.source).parent == self.outbox:
            shutil.rmtree(old.source, ignore_errors=True)

    def _take(self, directory: Path, version: int) -> None:
        try:
            self._client.load_weights(directory, version)
        except ServerLostError as error:
            if self._server is None:
                raise
            _log.warning("policy %s: %s; starting vLLM from the new weights", self.name, error)
            self._server.start(str(directory))
            self._client.name_version(version)

    def adopt_adapter(self, directory: Path, version: int, accept: Accept) -> None:
        """Answer with a LoRA adapter on the model from now on; what is under way is not disturbed.

        Raises:
            EndpointDownError: the server could not load it; it goes on with the old one.
        """
        self.ensure()
        name = f"{self._base}-v{version}"
        new = Weights(version, name, self._weights.source, directory)
        try:
            self._client.load_adapter(name, directory)
            accept(self._probe(new))
        except BaseException as error:
            with suppress(ServerLostError):
                self._client.drop_adapter(name)
            shutil.rmtree(directory, ignore_errors=True)
            if isinstance(error, ServerLostError):
                raise EndpointDownError(f"policy {self.name!r}: {error}") from error
            raise
        with self._gate:
            old, self._weights = self._weights, new
        if old.adapter is not None:
            self._old.append(old)
        for gone in self._old[:-1]:  # answers begun two publications ago
            with suppress(ServerLostError):
                self._client.drop_adapter(gone.model)
            if gone.adapter is not None:
                shutil.rmtree(gone.adapter, ignore_errors=True)
        self._old = self._old[-1:]

    def examine(self, accept: Accept) -> None:
        """Have answers to a probe under the present weights looked at; starts the server."""
        self.ensure()
        accept(self._probe(self._weights))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody in, and wait until everybody is out."""
        with self._gate:
            self._shut = True
        try:
            while self.in_flight:
                time.sleep(_POLL_S)
            yield
        finally:
            with self._gate:
                self._shut = False

    def _probe(self, weights: Weights) -> list[Generation]:
        """Answers to fixed prompts under these weights, through all that rollouts go through."""

        async def ask() -> list[Generation]:
            client = self._client.another()
            try:
                prompts = probe_prompts(self.codec)
                asked = [
                    self._ask(client, weights, ids, PROBE_SAMPLING, seed)
                    for seed, ids in enumerate(prompts)
                ]
                return list(await asyncio.gather(*asked))
            finally:
                await client.aclose()

        with ThreadPoolExecutor(1) as thread:  # the caller's may have an event loop under way
            return thread.submit(asyncio.run, ask()).result()

    def _go_back(self, old: Weights) -> None:
        try:
            if Path(old.source).is_dir():
                self._take(Path(old.source), old.version)
            elif self._server is not None:
                self._server.start(old.source)  # a hub's model
                self._client.name_version(old.version)
            else:
                raise ServerLostError(f"{old.source} is not a directory")
        except (ServerLostError, EndpointDownError) as error:
            self._broken = (
                f"policy {self.name!r}: new weights were refused and version {old.version} could "
                f"not be brought back ({error}); whose weights the engine has is unknown"
            )
            _log.error("%s", self._broken)
