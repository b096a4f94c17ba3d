"""vLLM's HTTP interface: tokens in, tokens and log-probabilities out, and control of weights.

Requests go to `/inference/v1/generate`, which takes and gives token ids: nothing is tokenised a
second time, and every answer names the version of the weights that wrote each of its tokens.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from mars2.errors import EndpointDownError, GenerationError, Mars2Error
from mars2.types import Sampling

_NOT_FINITE = -9999.0  # what vLLM sends for a log-probability that is −∞ or NaN
_CONNECT_S = 10.0
_CONTROL_S = 900.0


class ServerLostError(Mars2Error):
    """The server cannot be reached or ended while it was answering."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What vLLM wrote: ids and log-probs (natural, at the sampling temperature), equally long.

    `version` is the label of the weights that wrote all of it.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: str
    version: str


class Client:
    """Talks to one server, on a Unix socket or at a URL.

    Generation is asynchronous; control is synchronous, for whoever changes weights does so from a
    thread of its own.
    """

    def __init__(self, *, url: str = "http://vllm", socket: Path | None = None, key: str = ""):
        self.url = url.removesuffix("/").removesuffix("/v1")
        self.socket = socket
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # ------------------------------------------------------------------ tokens

    async def generate(
        self,
        model: str,
        prompt_ids: Sequence[int],
        sampling: Sampling,
        *,
        seed: int,
        stop_ids: Sequence[int],
    ) -> Answer:
        """One answer. Cancelling this closes the connection, upon which vLLM aborts the request.

        Raises:
            ServerLostError: nothing answers any more.
            EndpointDownError: the server does not do what this needs; says what to start it with.
            GenerationError: the server refuses this request.
        """
        body = {
            "model": model,
            "token_ids": list(prompt_ids),
            "sampling_params": {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "max_tokens": sampling.max_tokens,
                "seed": seed % (1 << 63),
                "logprobs": 0,  # of the sampled token alone
                "stop_token_ids": list(stop_ids),
                "detokenize": False,
            },
        }
        try:
            response = await self._connected().post("/inference/v1/generate", json=body)
        except httpx.HTTPError as error:
            raise ServerLostError(
                f"vLLM at {self.where}: {error or type(error).__name__}"
            ) from error
        if response.status_code != 200:
            raise self._refused(response)
        return read_answer(response.json())

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    def another(self) -> Client:
        """A client of the same server, for another event loop."""
        client = Client(url=self.url, socket=self.socket)
        client.headers = self.headers
        return client

    @property
    def where(self) -> str:
        """For messages."""
        return str(self.socket or self.url)

    def _connected(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop = loop  # connections belong to an event loop
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
            uds = str(self.socket) if self.socket else None
            self._client = httpx.AsyncClient(
                base_url=self.url,
                headers=self.headers,
                transport=httpx.AsyncHTTPTransport(uds=uds, limits=limits),
                timeout=httpx.Timeout(None, connect=_CONNECT_S),  # answers take as long as they do
            )
        return self._client

    def _refused(self, response: httpx.Response) -> Mars2Error:
        said = _message(response)
        if response.status_code in (401, 403, 404):
            return EndpointDownError(
                f"vLLM at {self.where} answered {response.status_code}: {said}. mars2 needs a "
                "server of vLLM 0.32 or later started with the arguments that docs/vllm.md lists"
            )
        if response.status_code in (500, 502, 503):
            return ServerLostError(f"vLLM at {self.where} answered {response.status_code}: {said}")
        return GenerationError(f"vLLM at {self.where} answered {response.status_code}: {said}")

    # ------------------------------------------------------------------ control

    def control(self, path: str, **request: Any) -> Any:
        """POST to an endpoint of vLLM's development mode; its answer, None if that is empty.

        Raises:
            ServerLostError: it cannot be reached, or answered with an error.
        """
        return self._request("POST", path, **request)

    def _request(self, method: str, path: str, **request: Any) -> Any:
        uds = str(self.socket) if self.socket else None
        try:
            with httpx.Client(
                base_url=self.url, headers=self.headers, transport=httpx.HTTPTransport(uds=uds)
            ) as client:
                response = client.request(method, path, timeout=_CONTROL_S, **request)
        except httpx.HTTPError as error:
            raise ServerLostError(
                f"vLLM at {self.where}: {error or type(error).__name__}"
            ) from error
        if response.status_code != 200:
            said = f"{path} answered {response.status_code}: {_message(response)}"
            raise ServerLostError(f"vLLM at {self.where}: {said}")
        is_json = response.headers.get("content-type", "").startswith("application/json")
        return response.json() if is_json and response.content else None

    def models(self) -> list[str]:
        """What the server calls the models that it has."""
        return [str(m["id"]) for m in self._request("GET", "/v1/models")["data"]]

    def name_version(self, version: int) -> None:
        """From now on answers say that this version of the weights wrote them."""
        self.control("/update_weight_version", json={"new_version": str(version)})

    def load_weights(self, directory: Path, version: int) -> None:
        """Have the running engine take the weights of a Hugging Face directory.

        Nothing is generated meanwhile: what is under way is finished first, what arrives waits.
        Cached prefixes of the old weights are forgotten.

        Raises:
            ServerLostError: it could not; whose weights the engine has is then unknown.
        """
        self.control("/pause", params={"mode": "wait"})
        self.control(
            "/collective_rpc", json={"method": "mars2_adopt", "kwargs": {"path": str(directory)}}
        )
        reset = self.control("/reset_prefix_cache")
        if not (reset or {}).get("success"):
            raise ServerLostError(f"vLLM at {self.where} kept its cache of the old weights")
        self.name_version(version)
        self.control("/resume")

    def load_adapter(self, name: str, directory: Path) -> None:
        """Have the engine hold one more LoRA adapter; a request chooses it by its name."""
        body = {"lora_name": name, "lora_path": str(directory)}
        self.control("/v1/load_lora_adapter", json=body)

    def drop_adapter(self, name: str) -> None:
        """Have the engine forget an adapter."""
        self.control("/v1/unload_lora_adapter", json={"lora_name": name})


def read_answer(data: Any) -> Answer:
    """An answer of `/inference/v1/generate`.

    Raises:
        GenerationError: it was cut off, mixes versions of the weights, has a log-probability that
            is not finite, or has another shape.
    """
    try:
        (choice,) = data["choices"]
        ids = tuple(int(i) for i in choice["token_ids"])
        content = choice["logprobs"]["content"] if ids else []
        logprobs = tuple(float(c["logprob"]) for c in content)
        reason = choice["finish_reason"]
        same = [int(c["token_id"]) for c in content] == list(ids)
        versions = {str(span["version"]) for span in choice.get("weight_versions") or []}
    except (KeyError, TypeError, ValueError) as error:
        raise GenerationError(f"vLLM's answer cannot be read: {error!r}") from error
    if not same:
        raise GenerationError("vLLM's answer has log-probabilities of other tokens than it wrote")
    if reason not in ("stop", "length"):
        raise GenerationError(f"vLLM ended an answer early: {reason}")
    if any(not math.isfinite(x) or x <= _NOT_FINITE for x in logprobs):
        raise GenerationError("vLLM's answer has log-probabilities that are not finite")
    if len(versions) > 1:
        raise GenerationError(f"an answer mixes versions {', '.join(sorted(versions))} of weights")
    return Answer(ids, logprobs, reason, versions.pop() if versions else "")


def _message(response: httpx.Response) -> str:
    try:
        data = response.json()
        error = data.get("error", data)
        return str(error["message"] if isinstance(error, dict) and "message" in error else error)[
            :500
        ]
    except (ValueError, AttributeError):
        return response.text[:500]
