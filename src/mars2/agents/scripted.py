"""A policy that answers from a script: for tests, for docs, for trying a setup without a model."""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from mars2.agents.base import Policy, PromptStyle
from mars2.agents.caller import Caller
from mars2.errors import AgentSpecError, GenerationError, Mars2Error
from mars2.types import Generation, Message, Sampling, Usage

Answer = Callable[[Sequence[Message], int], "str | Generation | Awaitable[str | Generation]"]

_PROSE = "That is an interesting problem, and I would rather talk about it than solve it."


def _echo(messages: Sequence[Message], seed: int) -> str:
    return messages[-1].content


NAMED: dict[str, tuple[str, Answer]] = {
    "echo": ("repeats the prompt's last message", _echo),
    "empty": ("answers with nothing", lambda messages, seed: ""),
    "prose": ("never writes code", lambda messages, seed: _PROSE),
}


class ScriptedPolicy(Policy):
    """Answers come from a function or, in turn and over again, from a list of texts.

    Args:
        name: identity of the policy.
        answers: `answer(messages, seed) -> str | Generation`; or the texts to give in the order
            in which requests arrive. A coroutine function answers many requests at once, in the
            event loop. Any other may block: it is called for one request after the other, in a
            thread of this policy's own.
        has_logprobs: token ids are then the bytes of the text and every log-probability is
            `logprob`. Such a policy still cannot be trained: it has no weights.
    """

    def __init__(
        self,
        name: str,
        answers: Answer | Sequence[str],
        *,
        prompt_style: PromptStyle = "chat",
        has_logprobs: bool = False,
        logprob: float = -1.0,
    ) -> None:
        self.name = name
        self.prompt_style = prompt_style
        self.has_logprobs = has_logprobs
        self.logprob = logprob
        self.requests = 0
        self._texts: list[str] | None = None
        self._answer: Answer | None = None
        self._caller = Caller()
        if callable(answers):
            self._answer = answers
        else:
            self._texts = list(answers)
            if not self._texts:
                raise ValueError(f"scripted policy {name!r} has no answers")

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Generation:
        """The script's answer; anything it raises becomes a GenerationError."""
        number = self.requests
        self.requests += 1
        if self._texts is not None:
            return self._generation(self._texts[number % len(self._texts)], messages)
        assert self._answer is not None
        try:
            if inspect.iscoroutinefunction(self._answer):
                answer = await self._answer(messages, seed)
            else:
                answer = await self._caller.call(partial(self._answer, messages, seed))
            if inspect.isawaitable(answer):
                answer = await answer
        except Mars2Error:
            raise
        except Exception as error:
            raise GenerationError(
                f"scripted policy {self.name!r}: {type(error).__name__}: {error}"
            ) from error
        if isinstance(answer, Generation):
            return answer
        if not isinstance(answer, str):
            raise GenerationError(
                f"scripted policy {self.name!r} answered with {type(answer).__name__}, not str"
            )
        return self._generation(answer, messages)

    def _generation(self, text: str, messages: Sequence[Message]) -> Generation:
        prompt = tuple("\n".join(m.content for m in messages).encode())
        tokens = tuple(text.encode())
        known = self.has_logprobs
        return Generation(
            text=text,
            prompt_ids=prompt if known else None,
            token_ids=tokens if known else None,
            logprobs=(self.logprob,) * len(tokens) if known else None,
            policy_version=self.version,
            usage=Usage(len(prompt), len(tokens)),
        )


def load_scripted(name: str, model: str) -> ScriptedPolicy:
    """The policy of `scripted:MODEL`: a built-in name, or a file with `answer(messages, seed)`.

    Raises:
        AgentSpecError: neither; or the file does not run or defines no such function.
    """
    if model in NAMED:
        return ScriptedPolicy(name, NAMED[model][1])
    if not model.endswith(".py"):
        known = "; ".join(f"{n} ({about})" for n, (about, _) in NAMED.items())
        raise AgentSpecError(
            f"scripted:{model}: unknown name; there are {known}; or give a FILE.py that "
            "defines answer(messages, seed) -> str"
        )
    path = Path(model)
    if not path.is_file():
        raise AgentSpecError(f"scripted:{model}: there is no such file")
    try:
        answer = runpy.run_path(str(path)).get("answer")
    except Exception as error:
        raise AgentSpecError(f"scripted:{model}: {type(error).__name__}: {error}") from error
    if not callable(answer):
        raise AgentSpecError(f"scripted:{model} defines no function answer(messages, seed) -> str")
    return ScriptedPolicy(name, answer)
