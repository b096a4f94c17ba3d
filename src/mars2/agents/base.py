"""The one small interface between the system and whatever writes programs.

Agents exchange text only: no token id of one policy ever reaches another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from mars2.types import Generation, Message, Sampling

PromptStyle = Literal["chat", "micro"]


class Policy(ABC):
    """Weights + tokenizer + version; turns messages into Generations.

    Attributes:
        name: identity of the weights; agents with the same policy name share it.
        version: counts publications; every Generation carries the version that wrote it.
        prompt_style: which rendering of prompts the policy was made for.
        has_logprobs: True if Generations carry token ids and log-probabilities.
    """

    name: str
    version: int = 0
    prompt_style: PromptStyle = "chat"
    has_logprobs: bool = False

    @abstractmethod
    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Generation:
        """One answer. Safe to call concurrently; calls under way together may be batched.

        The answer depends on (weights, messages, sampling, seed), not on what else is under way
        (up to floating-point reduction order).

        Raises:
            GenerationError: this request failed for good; others are not affected.
        """

    async def aclose(self) -> None:
        """Release sockets, threads and memory. Calling it twice is harmless."""
        return None


@dataclass(frozen=True, slots=True)
class Role:
    """How an agent uses its policy: who it is told to be, and how it samples."""

    name: str = "coder"
    system_prompt: str = ""
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True, slots=True)
class Agent:
    """A policy seen through a role."""

    name: str
    policy: Policy
    role: Role = field(default_factory=Role)

    async def generate(self, messages: Sequence[Message], *, seed: int) -> Generation:
        """The policy's answer under this role's sampling."""
        return await self.policy.generate(messages, self.role.sampling, seed=seed)
