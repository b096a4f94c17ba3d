"""From learner to policy: weights travel one way, as an immutable version.

A publication that leaves the policy with other weights than the learner's would poison every
later sample silently. In this process the policy's own weights are compared with what was sent; an
engine elsewhere is asked for log-probabilities, which are compared with the learner's
(`mars2.training.publication_engine`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from mars2.agents.base import Agent
from mars2.errors import CapabilityError, TrainingError
from mars2.training.learning import Learning


@runtime_checkable
class TrainablePolicy(Protocol):
    """What a policy must offer to be trained."""

    name: str
    tokenizer: Any

    @property
    def version(self) -> int: ...

    def clone_model(self) -> nn.Module:
        """A float32 copy of the weights, for a learner to own."""
        ...


@runtime_checkable
class HeldPolicy(TrainablePolicy, Protocol):
    """One that takes tensors: its weights are in this process (`LocalPolicy`), or in actors."""

    def load_weights(self, state_dict: dict[str, Tensor], version: int) -> None:
        """Adopt a published version between two batches."""
        ...

    def differs(self, state_dict: dict[str, Tensor]) -> str | None:
        """Name of a weight that is not as given; None if all of these are."""
        ...


@dataclass(frozen=True, slots=True)
class Publication:
    """What the policy's log-probabilities were, relative to the learner's, after it had adopted a
    version: differences in nats over `tokens` tokens that the policy wrote for the purpose.

    An exact copy, in this process, was compared weight by weight and has no tokens.
    """

    version: int
    seconds: float
    mean: float = 0.0
    max: float = 0.0
    tokens: int = 0
    tolerance: float = 0.0  # of the mean


class Publisher(Protocol):
    """One way for weights to reach a policy."""

    def publish(self, learner: Learning, policy: TrainablePolicy) -> Publication:
        """Have the policy answer with the learner's weights, under the learner's version.

        Raises:
            TrainingError: it does not; the policy has the weights that it had.
        """
        ...


def trainable_policies(
    agents: Mapping[str, Agent], wanted: Mapping[str, bool | None] | None = None
) -> dict[str, TrainablePolicy]:
    """Policy name → policy of the agents that learn, each once.

    The others, frozen ones and those whose weights are elsewhere, take part without learning.

    Args:
        wanted: agent name → `AgentConfig.train`; an agent that is not named learns if it can.

    Raises:
        CapabilityError: nobody learns, or an agent told to learn cannot; says which and why.
    """
    if not agents:
        raise CapabilityError("training needs at least one agent; give one with --agent")
    policies: dict[str, TrainablePolicy] = {}
    reasons: dict[str, str] = {}
    for name, agent in agents.items():
        told = (wanted or {}).get(name)
        policy = agent.policy
        if told is False:
            reasons[name] = f"agent {name!r} is frozen"
        elif not policy.has_logprobs or not isinstance(policy, TrainablePolicy):
            reasons[name] = f"agent {name!r}: policy {policy.name!r} cannot be trained: " + (
                "nobody can publish weights to it"
                if policy.has_logprobs
                else "it gives no token ids and log-probabilities"
            )
            if told:
                raise CapabilityError(reasons[name] + "; use a micro:, hf: or vllm: agent")
        elif agent.role.sampling.top_p != 1:
            raise CapabilityError(
                f"agent {name!r}: top_p is {agent.role.sampling.top_p}, training needs 1: "
                "log-probabilities are of the full distribution; set it to 1 or train = false"
            )
        else:
            policies[policy.name] = policy
    if not policies:
        raise CapabilityError(
            "nobody in this team learns; add a micro:, hf: or vllm: agent\n  "
            + "\n  ".join(reasons.values())
        )
    for name in reasons:
        if agents[name].policy.name in policies:
            raise CapabilityError(
                f"{reasons[name]}, but others learn with its policy {agents[name].policy.name!r}; "
                "set train = false for all of them or for none"
            )
    return policies


def publish(learner: Learning, policy: TrainablePolicy) -> Publication:
    """Hand the learner's current weights to the policy under the learner's version.

    Raises:
        TrainingError: the policy did not adopt version or weights.
    """
    done = publisher_for(policy).publish(learner, policy)
    if policy.version != learner.version:
        raise TrainingError(
            f"policy {policy.name!r} is at version {policy.version} after version "
            f"{learner.version} was published"
        )
    return done


def publisher_for(policy: TrainablePolicy) -> Publisher:
    """The way to this policy.

    Raises:
        TrainingError: there is none.
    """
    from mars2.training.publication_engine import EnginePolicy, EnginePublisher

    if isinstance(policy, EnginePolicy):
        return EnginePublisher()
    if isinstance(policy, HeldPolicy):
        return HeldPublisher()
    raise TrainingError(f"policy {policy.name!r} takes no weights")


class HeldPublisher:
    """Copies tensors, and compares what the policy then holds with what was sent."""

    def publish(self, learner: Learning, policy: TrainablePolicy) -> Publication:
        """See `Publisher`."""
        assert isinstance(policy, HeldPolicy)
        started = time.monotonic()
        sent = learner.weights()  # no copy: the policy makes one, and this learner waits
        policy.load_weights(sent, learner.version)
        name = policy.differs(sent)
        if name is not None:
            raise TrainingError(f"policy {policy.name!r} did not adopt the published {name}")
        return Publication(learner.version, time.monotonic() - started)
