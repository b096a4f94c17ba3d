"""From learner to policy: weights travel one way, as an immutable version.

A publication that leaves the policy with other weights than the learner's would poison every
later sample silently, so the policy's own weights are compared with what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from mars2.agents.base import Agent
from mars2.errors import CapabilityError, TrainingError
from mars2.training.learning import Learning


@runtime_checkable
class TrainablePolicy(Protocol):
    """What a policy must offer to be trained in this process (`LocalPolicy` does)."""

    name: str
    version: int
    model: Any
    tokenizer: Any

    def clone_model(self) -> nn.Module:
        """A float32 copy of the weights, for a learner to own."""
        ...

    def load_weights(self, state_dict: dict[str, Tensor], version: int) -> None:
        """Adopt a published version between two batches."""
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
                "its weights are not in this process"
                if policy.has_logprobs
                else "it gives no token ids and log-probabilities"
            )
            if told:
                raise CapabilityError(reasons[name] + "; use a micro: or hf: agent")
        elif agent.role.sampling.top_p != 1:
            raise CapabilityError(
                f"agent {name!r}: top_p is {agent.role.sampling.top_p}, training needs 1: "
                "log-probabilities are of the full distribution; set it to 1 or train = false"
            )
        else:
            policies[policy.name] = policy
    if not policies:
        raise CapabilityError(
            "nobody in this team learns; add a micro: or hf: agent\n  "
            + "\n  ".join(reasons.values())
        )
    for name in reasons:
        if agents[name].policy.name in policies:
            raise CapabilityError(
                f"{reasons[name]}, but others learn with its policy {agents[name].policy.name!r}; "
                "set train = false for all of them or for none"
            )
    return policies


def publish(learner: Learning, policy: TrainablePolicy) -> None:
    """Hand the learner's current weights to the policy under the learner's version.

    Raises:
        TrainingError: the policy did not adopt version or weights.
    """
    sent = learner.weights()  # no copy: the policy makes one, and this learner waits
    policy.load_weights(sent, learner.version)
    if policy.version != learner.version:
        raise TrainingError(
            f"policy {policy.name!r} is at version {policy.version} after version "
            f"{learner.version} was published"
        )
    held = policy.model.state_dict()
    for name, weight in sent.items():
        if not torch.equal(held[name], weight.to(held[name].dtype).to(held[name].device)):
            raise TrainingError(f"policy {policy.name!r} did not adopt the published {name}")
