"""Any OpenAI-compatible endpoint: vLLM, SGLang, Ollama, llama.cpp, a cloud.

Answers are text. Token ids are not requested, so such a policy cannot be trained:
`has_logprobs` is False. (vLLM can return ids through `return_token_ids`; not used yet.)
Retries are done here and not by the client library, so that one server's "slow down" holds back
every request of the policy and so that a wait can be tested.
"""

from __future__ import annotations

import asyncio
import email.utils
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import openai

from mars2 import telemetry
from mars2.agents.base import Policy
from mars2.errors import EndpointDownError, GenerationError
from mars2.types import Generation, Message, Sampling, Usage

_CLOUD = "https://api.openai.com/v1"
_MAX_WAIT_S = 60.0
_OPTIONAL = ("seed", "top_p", "temperature", "logprobs")  # left out if an endpoint refuses them


class OpenAIPolicy(Policy):
    """Chat completions of one model at one endpoint.

    Args:
        base_url: default OPENAI_BASE_URL, else OpenAI's cloud.
        api_key: default OPENAI_API_KEY; other endpoints than the cloud work without one.
        timeout_s: of one attempt. Long answers of slow models take minutes.
        retries: further attempts after a connection error, a timeout (one at most), HTTP 408,
            409, 429 or 5xx, or an answer that is no chat completion; exponential backoff, or as
            long as Retry-After says (60 s at most).
        logprobs: ask for log-probabilities; they are the endpoint's own and come without ids.
        sleep: replaced in tests.
    """

    def __init__(
        self,
        name: str,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 600.0,
        retries: int = 4,
        logprobs: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.model = model
        self.base_url = base_url or os.environ.get("OPENAI_BASE_URL") or _CLOUD
        self.timeout_s = timeout_s
        self.retries = retries
        self.logprobs = logprobs
        self._api_key = api_key or os.environ.get("OPENAI_API_KEY")
        self._sleep = sleep
        self._client: openai.AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wait_until = 0.0  # monotonic; the endpoint asked everybody to wait
        self._has_answered = False
        self._is_down = False
        self._refused: set[str] = set()  # optional parameters this endpoint does not know
        self._limit_name = "max_tokens"

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Generation:
        """One answer. Reproducible only as far as the endpoint honours `seed`.

        Raises:
            EndpointDownError: nothing listens, the key is refused, or there is no such model.
            GenerationError: this request failed after its retries.
        """
        started = time.monotonic()

        async def request(client: openai.AsyncOpenAI) -> Generation:
            body = self._body(messages, sampling, seed)
            response = await client.chat.completions.create(**body)
            return self._generation(response, time.monotonic() - started)

        return await self._attempts(request)

    async def check(self) -> list[str]:
        """Model names the endpoint lists; empty if it lists none or does not support listing.

        Raises:
            EndpointDownError: it cannot be reached, refuses the key, or lists other models only.
        """

        async def request(client: openai.AsyncOpenAI) -> list[str]:
            try:
                page = await client.models.list()
                return [str(m.id) for m in page.data]
            except openai.NotFoundError:
                return []
            except (AttributeError, TypeError, ValueError, openai.APIResponseValidationError):
                raise _NotACompletion("its list of models cannot be read") from None

        names = await self._attempts(request)
        if names and self.model not in names and f"{self.model}:latest" not in names:
            raise EndpointDownError(
                f"{self.base_url} has no model {self.model!r}; it has {', '.join(names[:20])}"
            )
        return names

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    # ------------------------------------------------------------------ one request

    def _body(self, messages: Sequence[Message], sampling: Sampling, seed: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            self._limit_name: sampling.max_tokens,
            "temperature": sampling.temperature,
            "seed": seed % (1 << 31),  # some servers hold it in 32 bits
        }
        if sampling.top_p != 1:
            body["top_p"] = sampling.top_p
        if self.logprobs:
            body["logprobs"] = True
        return {k: v for k, v in body.items() if k not in self._refused}

    def _generation(self, response: Any, seconds: float) -> Generation:
        """Raises _NotACompletion for a 200 answer of another shape (proxies do that)."""
        try:
            choice = response.choices[0]
            text = choice.message.content
            reason = choice.finish_reason
        except (AttributeError, IndexError, TypeError):
            raise _NotACompletion(f"answered {str(response)[:200]!r}") from None
        if text is not None and not isinstance(text, str):
            raise _NotACompletion(f"answered with content {str(text)[:200]!r}")
        usage = getattr(response, "usage", None)
        return Generation(
            text=text or "",  # nothing said is an answer, too
            finish_reason="length" if reason == "length" else "stop",
            logprobs=_logprobs(choice) if self.logprobs else None,
            policy_version=self.version,
            usage=Usage(
                getattr(usage, "prompt_tokens", None) or 0,
                getattr(usage, "completion_tokens", None) or 0,
            ),
            seconds=seconds,
        )

    # ------------------------------------------------------------------ attempts

    async def _attempts(self, request: Callable[[openai.AsyncOpenAI], Awaitable[Any]]) -> Any:
        attempt = timeouts = 0
        while True:
            pause = self._wait_until - time.monotonic()
            if pause > 0:
                await self._sleep(pause)
            sent = self._dialect()
            try:
                result = await request(self._connected())
                self._has_answered = True
                self._tell_down(None)
                return result
            except openai.BadRequestError as error:
                # Requests sent together are all refused; the first adapts for the rest.
                if sent == self._dialect() and not self._adapt(error):
                    raise GenerationError(self._said(error)) from error
                continue  # not an attempt: each adaptation happens once
            except openai.APITimeoutError as error:
                timeouts += 1
                failure, wait = f"gave no answer in {self.timeout_s:g} s", None
                final: type[GenerationError] = GenerationError
                cause: Exception = error
                give_up = timeouts > 1
            except openai.APIConnectionError as error:
                failure, wait = f"cannot be reached ({_root(error)})", None
                final, cause = EndpointDownError, error
                give_up = not self._has_answered and attempt >= 1
            except openai.APIStatusError as error:
                self._raise_if_final(error)
                failure, wait = (
                    f"answered {error.status_code}: {self._message(error)}",
                    _wait(error),
                )
                final, cause, give_up = GenerationError, error, False
            except _NotACompletion as error:
                failure, wait = str(error), None
                final, cause, give_up = GenerationError, error, False
            except (openai.OpenAIError, ValueError) as error:  # unreadable JSON among them
                failure, wait = f"sent what cannot be read ({error})", None
                final, cause, give_up = GenerationError, error, False
            attempt += 1
            if final is EndpointDownError:
                self._tell_down(failure)
            if give_up or attempt > self.retries:
                advice = f". {self._advice()}" if final is EndpointDownError else ""
                raise final(
                    f"{self.base_url} {failure}, after {attempt} attempts{advice}"
                ) from cause
            telemetry.emit("request retried", policy=self.name, attempt=attempt, reason=failure)
            await self._back_off(attempt, wait)

    def _tell_down(self, reason: str | None) -> None:
        """Once when the endpoint goes, and once when it comes back."""
        if self._is_down != (reason is not None):
            self._is_down = reason is not None
            event = "endpoint down" if self._is_down else "endpoint up"
            telemetry.emit(event, policy=self.name, url=self.base_url, reason=reason)

    async def _back_off(self, attempt: int, wait: float | None) -> None:
        if wait is not None:  # the server spoke: everybody waits
            self._wait_until = max(self._wait_until, time.monotonic() + min(wait, _MAX_WAIT_S))
        else:
            delay = min(0.5 * 2 ** (attempt - 1), _MAX_WAIT_S)
            await self._sleep(delay * random.uniform(0.75, 1.25))  # not all at once

    def _raise_if_final(self, error: openai.APIStatusError) -> None:
        """Raise for an HTTP status that will not get better by asking again."""
        status = error.status_code
        if status in (401, 403):
            raise EndpointDownError(
                f"{self.base_url} refuses the key ({status}: {self._message(error)}). "
                "Set OPENAI_API_KEY to a key of this endpoint"
            ) from error
        if status == 404:
            raise EndpointDownError(
                f"{self.base_url} knows no model {self.model!r} or no such path "
                f"(404: {self._message(error)}). Check the model's name; most base URLs end in /v1"
            ) from error
        if status == 429 and "insufficient_quota" in str(error.body):
            raise EndpointDownError(
                f"{self.base_url}: the account's quota is used up ({self._message(error)})"
            ) from error
        if status not in (408, 409, 425, 429) and status < 500:
            raise GenerationError(self._said(error)) from error

    def _dialect(self) -> tuple[str, frozenset[str]]:
        return self._limit_name, frozenset(self._refused)

    def _adapt(self, error: openai.BadRequestError) -> bool:
        """Learn from a 400 which parameter this endpoint wants otherwise; True to try again."""
        text = f"{error.body} {error}".lower()
        if "max_completion_tokens" in text and self._limit_name == "max_tokens":
            self._limit_name = "max_completion_tokens"
            return True
        refuses = any(
            w in text for w in ("unsupported", "not supported", "unrecognized", "unknown")
        )
        for parameter in _OPTIONAL:
            if refuses and parameter in text and parameter not in self._refused:
                self._refused.add(parameter)
                return True
        return False

    def _connected(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            if self._api_key is None and self.base_url.startswith("https://api.openai.com"):
                raise EndpointDownError(
                    "no endpoint is set: set OPENAI_API_KEY for OpenAI's cloud, or "
                    "OPENAI_BASE_URL (or @URL in the agent's spec) for another endpoint"
                )
            self._loop = loop  # connections belong to an event loop
            self._client = openai.AsyncOpenAI(
                base_url=self.base_url,
                api_key=self._api_key or "EMPTY",  # local servers want any key
                timeout=self.timeout_s,
                max_retries=0,
            )
        return self._client

    def _said(self, error: openai.APIStatusError) -> str:
        return f"{self.base_url} answered {error.status_code}: {self._message(error)}"

    def _message(self, error: openai.APIStatusError) -> str:
        """What the endpoint says, without the key, which some quote."""
        body = error.body
        said = body.get("message") if isinstance(body, dict) else None
        text = said if isinstance(said, str) else str(body or error)
        return text.replace(self._api_key or "\0", "[your key]")[:300]

    def _advice(self) -> str:
        return (
            "Is the server running and the URL right (with /v1)? "
            "`mars2 doctor` shows what the environment names"
        )


class _NotACompletion(Exception):
    """A successful HTTP answer that is not what was asked for."""


def _logprobs(choice: Any) -> tuple[float, ...] | None:
    content = getattr(getattr(choice, "logprobs", None), "content", None)
    return tuple(float(t.logprob) for t in content) if content else None


def _wait(error: openai.APIStatusError) -> float | None:
    """Seconds the endpoint asks to wait: Retry-After as seconds or as an HTTP date."""
    value = error.response.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _root(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
