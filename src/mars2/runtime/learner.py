"""A learner in an actor, behind the interface of one in this process.

After each update the object store, which is another process, holds the weights and the training
state that it gave. This process owns those objects, so they outlive the actor: when it dies, a new
one starts from them and makes the update under way again, from the samples that are still here. As
a learner is deterministic, the weights are the same as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from mars2.runtime import cluster
from mars2.runtime.stored import StoredWeights, freeze, pack, thaw, unpack
from mars2.runtime.supervision import Member
from mars2.training.learning import LearnerSetup, UpdateMetrics
from mars2.training.sample import Sample


class RemoteLearner:
    """The learner of one policy, see `mars2.training.learning.Learning`.

    Args:
        concurrent: it shares its accelerator's memory with no other learner.
    """

    def __init__(self, setup: LearnerSetup, concurrent: bool) -> None:
        self.policy = setup.policy
        self.version = setup.version
        self.updates = 0
        self.failures = 0
        self.concurrent = concurrent
        self._kept: tuple[Any, Any] | None = None  # weights and state of the last whole update
        self._member: Member[Any] | None = None

    def attach(self, member: Member[Any]) -> None:
        """Take the actor, whose `prepare` has called `restore`."""
        self._member = member

    def restore(self, actor: Any, *start: Any) -> None:
        """Bring a new actor to the state kept here, at first that of `start`."""
        first = actor.start.options(num_returns=3).remote(*start)
        if self._kept is None:
            self._take(first)
        else:
            cluster.wait(actor.load.options(num_returns=3).remote(*self._kept)[0])

    def update(self, samples: Sequence[Sample]) -> UpdateMetrics:
        """As the learner in the actor; made again from the same state when that dies.

        Raises:
            LearnerLostError: it dies again and again.
            TrainingError: as the learner in the actor, which then is as before.
        """
        batch = cluster.put(list(samples))
        try:
            return self._change("update", batch)
        except Exception:
            if self._kept is not None:  # some of the update's steps may have been made
                self._change("load", *self._kept)
            raise

    def weights(self) -> dict[str, Tensor]:
        """As of the last update, in the object store: publishing them copies nothing here."""
        ref = self._state()[0]
        return StoredWeights(unpack(cluster.wait(ref)), ref)

    def training_state(self) -> dict[str, Any]:
        """As of the last update."""
        return thaw(cluster.wait(self._state()[1]))

    def load(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """As the learner in the actor."""
        self._change("load", cluster.put(pack(weights)), cluster.put(freeze(state)))

    def save(self, path: Path) -> None:
        """As the learner in the actor; the files are written here."""
        files = self._actor().call(lambda actor: cluster.wait(actor.save.remote()))
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            content.tofile(path / name)

    def _actor(self) -> Member[Any]:
        assert self._member is not None
        return self._member

    def _state(self) -> tuple[Any, Any]:
        assert self._kept is not None
        return self._kept

    def _change(self, method: str, *arguments: Any) -> Any:
        return self._actor().call(
            lambda actor: self._take(
                getattr(actor, method).options(num_returns=3).remote(*arguments)
            )
        )

    def _take(self, refs: Sequence[Any]) -> Any:
        """Wait for a change and keep what it gave; all or nothing. Returns its metrics."""
        metrics, counters = cluster.wait(refs[0])
        cluster.keep_here(refs[1:])
        self._kept = (refs[1], refs[2])
        self.version, self.updates, self.failures = counters
        return metrics
