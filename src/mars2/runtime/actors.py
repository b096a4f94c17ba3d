"""What runs in the actors: the same parts that run in one process otherwise.

Plain classes, which `mars2.runtime.cluster` makes actors of. An actor that is made has done nothing
yet: what can fail is in `start`, so that its error reaches whoever asked.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mars2.config import AgentConfig, VerifierConfig
from mars2.types import Generation, Message, Problem, Sampling, TestSet, Verdict


class Actor:
    """What all have. A ping is answered in a thread apart from the work (`Cluster.actor`)."""

    def ping(self) -> None:
        """A sign of life."""


class InferenceActor(Actor):
    """Holds a policy and answers its requests; those under way together are batched."""

    async def start(self, name: str, config: AgentConfig) -> dict[str, Any]:
        """Load the policy; what a stand-in needs to know of it. Errors as `make_policy`."""
        from mars2.agents.team import make_policy

        self.policy: Any = await asyncio.to_thread(make_policy, name, config)
        return {
            "prompt_style": self.policy.prompt_style,
            "has_logprobs": self.policy.has_logprobs,
            "version": self.policy.version,
            "tokenizer": self.policy.tokenizer,
        }

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, seed: int
    ) -> Generation:
        """As the policy's."""
        return await self.policy.generate(messages, sampling, seed=seed)

    async def load_weights(self, packed: Any, version: int) -> None:
        """Adopt a published version, after the batch under way."""
        from mars2.runtime.stored import unpack

        await asyncio.to_thread(self.policy.load_weights, unpack(packed), version)

    async def differs(self, packed: Any, version: int) -> str | None:
        """As the policy's, whose version must be this one, too."""
        from mars2.runtime.stored import unpack

        if self.policy.version != version:
            return f"version {version} (it has {self.policy.version})"
        return await asyncio.to_thread(self.policy.differs, unpack(packed))

    async def clone_model(self) -> Any:
        """As the policy's."""
        return await asyncio.to_thread(self.policy.clone_model)


class LearnerActor(Actor):
    """Holds a learner. Whatever changes it returns the state that it has then, which the caller
    keeps: counters, weights and the rest of the training state, apart."""

    def start(self, setup: Any, config: AgentConfig) -> tuple[Any, Any, Any]:
        """Load the policy's model and make its learner."""
        from mars2.agents.team import make_policy
        from mars2.training.learner import local_learner

        self.learner = local_learner(setup, make_policy(setup.policy, config))  # type: ignore[arg-type]
        return self._state(None)

    def load(self, packed: Any, frozen: bytes) -> tuple[Any, Any, Any]:
        """As the learner's."""
        from mars2.runtime.stored import thaw, unpack

        self.learner.load(unpack(packed), thaw(frozen))
        return self._state(None)

    def update(self, samples: list[Any]) -> tuple[Any, Any, Any]:
        """As the learner's."""
        return self._state(self.learner.update(samples))

    def _state(self, metrics: Any) -> tuple[Any, Any, Any]:
        from mars2.runtime.stored import freeze, pack

        learner = self.learner
        counters = (learner.version, learner.updates, learner.failures)
        return (metrics, counters), pack(learner.weights()), freeze(learner.training_state())

    def save(self) -> dict[str, Any]:
        """What the learner saves: relative path → bytes as an array of uint8."""
        import numpy as np

        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            self.learner.save(root)
            files = sorted(p for p in root.rglob("*") if p.is_file())
            return {str(p.relative_to(root)): np.fromfile(p, dtype=np.uint8) for p in files}


class VerifierActor(Actor):
    """Holds a verifier with sandbox workers of its own."""

    async def start(self, config: VerifierConfig) -> list[str]:
        """Start the workers; what was warned of. Errors as `Verifier.start`."""
        from mars2.verifier import Verifier

        said = _Said()
        logging.getLogger("mars2").addHandler(said)
        self.verifier = Verifier(config)
        await self.verifier.start()
        return said.lines

    async def verify(
        self, problem: Problem, code: str, tests: TestSet, early_stop: bool, id: str
    ) -> Verdict:
        """As the verifier's."""
        return await self.verifier.verify(problem, code, tests=tests, early_stop=early_stop, id=id)

    async def worker_pids(self) -> list[int]:
        """Process ids of the sandbox workers."""
        return self.verifier.worker_pids()

    async def close(self) -> None:
        """End the workers and write the cache."""
        await self.verifier.aclose()


class _Said(logging.Handler):
    """Keeps warnings for the process that has somebody to tell."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
