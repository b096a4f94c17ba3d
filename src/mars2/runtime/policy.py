"""A policy whose weights are in actors; behind the same interface as one in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mars2.agents.base import Policy
from mars2.runtime import cluster
from mars2.runtime.stored import StoredWeights, pack
from mars2.runtime.supervision import Group, Member
from mars2.types import Generation, Message, Sampling


class RemotePolicy(Policy):
    """Requests go to the replica with the fewest under way. A replica that died is started with the
    weights published last, and its requests are asked again under their seeds.

    Args:
        facts: what `InferenceActor.start` returned.
        published: where the version that all replicas have to hold is kept: a list that is empty or
            holds (reference, version), which whoever starts replicas reads, too.
    """

    def __init__(
        self,
        name: str,
        members: Sequence[Member[Any]],
        facts: Mapping[str, Any],
        published: list[tuple[Any, int]],
    ) -> None:
        self.name = name
        self.version = facts["version"]
        self.prompt_style = facts["prompt_style"]
        self.has_logprobs = facts["has_logprobs"]
        self.tokenizer = facts["tokenizer"]
        self._members = members
        self._group = Group(members)
        self._published = published

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Generation:
        """As the policy in the actors.

        Raises:
            RuntimeLostError: replicas die again and again.
        """
        asked = tuple(messages)
        return await self._group.call(
            lambda actor: cluster.answer(actor.generate.remote(asked, sampling, seed))
        )

    def load_weights(self, state_dict: dict[str, Tensor], version: int) -> None:
        """Have all replicas adopt a published version: one object, read by each of them."""
        self._published[:] = [(_stored(state_dict), version)]
        self._on_all("load_weights", *self._published[0])
        self.version = version

    def differs(self, state_dict: dict[str, Tensor]) -> str | None:
        """Name of a weight that a replica does not hold as given; None if all do."""
        found = self._on_all("differs", _stored(state_dict), self.version)
        return next((name for name in found if name is not None), None)

    def clone_model(self) -> nn.Module:
        """A float32 copy of the weights."""
        return self._members[0].call(lambda actor: cluster.wait(actor.clone_model.remote()))

    def _on_all(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every replica, all at once."""
        early = [_begun(m, method, arguments) for m in self._members]
        return [m.tell(ask) for m, ask in zip(self._members, early, strict=True)]

    async def aclose(self) -> None:
        """End the replicas."""
        self._group.close()


def _begun(member: Member[Any], method: str, arguments: tuple[Any, ...]) -> Any:
    """What to ask a member, begun at once of the actor that it has now."""
    actor = member.handle
    ref = getattr(actor, method).remote(*arguments)

    def ask(now: Any) -> Any:
        same = now is actor
        return cluster.wait(ref if same else getattr(now, method).remote(*arguments))

    return ask


def _stored(weights: dict[str, Tensor]) -> Any:
    """Weights that come out of the store are there already."""
    return weights.ref if isinstance(weights, StoredWeights) else cluster.put(pack(weights))
