"""Learners whose weights, gradients and moments are spread over several processes (FSDP2).

The loop, publication and checkpoints see learners like any other (`learning`): what is whole comes
together on rank 0, so a checkpoint is that of a learner in one process, and either kind goes on
from the other's. docs/sharded.md tells how to start them on one machine and on several.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mars2.config import LearnerConfig
from mars2.errors import UsageError
from mars2.training.learner import local_learner
from mars2.training.learning import LearnerSetup, Learning, MakeLearner, UpdateMetrics
from mars2.training.publication import TrainablePolicy
from mars2.training.sample import Sample
from mars2.training.sharded_model import skeleton_of
from mars2.training.sharded_part import Part
from mars2.training.sharded_ranks import Ranks, check_launch, launched, work


@contextlib.contextmanager
def learners(config: LearnerConfig) -> Iterator[MakeLearner]:
    """What makes the learners of a run, in this process or spread over `config.shards`, whose
    processes live as long as the block.

    Raises:
        UsageError: torchrun started another number of processes than there are shards.
        LearnerLostError: a process did not come up.
    """
    if config.shards == 1:
        check_launch(1)
        yield local_learner
        return
    parts: dict[str, Part] = {}
    ranks = Ranks(config.shards, partial(_execute, parts))
    try:
        yield partial(_sharded_learner, ranks, parts)
    finally:
        ranks.close()
        parts.clear()


def serve() -> None:
    """The life of a process other than rank 0; rank 0 says what it does."""
    work(partial(_execute, {}))


def _execute(
    parts: dict[str, Part], policy: str, method: str, shared: tuple[Any, ...], own: dict[str, Any]
) -> Any:
    if method == "make":
        parts[policy] = Part(*shared, **own)
        return None
    return getattr(parts[policy], method)(*shared, **own)


def _sharded_learner(
    ranks: Ranks, parts: dict[str, Part], setup: LearnerSetup, policy: TrainablePolicy
) -> Learning:
    held = getattr(policy, "model", None)  # of a policy elsewhere there is no model here
    model = held if isinstance(held, nn.Module) else policy.clone_model()
    skeleton = skeleton_of(model)
    if skeleton.device == "cuda" and launched() is None:
        found = torch.cuda.device_count()
        if found < ranks.shards:
            raise UsageError(
                f"learner.shards is {ranks.shards}, but this machine has {found} GPUs: lower it, "
                "or start the run on several machines with torchrun"
            )
    source = dict(model.named_parameters())
    ranks.call(setup.policy, "make", setup, skeleton, source=source)
    return ShardedLearner(ranks, parts[setup.policy])


class ShardedLearner:
    """A sharded learner as the loop sees it, on rank 0.

    Args:
        part: rank 0's own.
    """

    # one at a time: all learners of a run are spread over the same processes
    concurrent = False

    def __init__(self, ranks: Ranks, part: Part) -> None:
        self._ranks = ranks
        self._part = part
        self.policy = part.policy

    @property
    def version(self) -> int:
        """Counts updates that changed the weights."""
        return self._part.version

    @property
    def updates(self) -> int:
        """Counts all."""
        return self._part.updates

    @property
    def failures(self) -> int:
        """Updates in a row in which every step was skipped."""
        return self._part.failures

    def update(self, samples: Sequence[Sample]) -> UpdateMetrics:
        """As `Learner.update`.

        Raises:
            TrainingError: the samples are not for this learner; nothing has changed.
            LearnerLostError: a process is gone.
        """
        self._part.check(samples)
        return self._call("update", list(samples))

    def weights(self) -> dict[str, Tensor]:
        """A copy of the whole weights in the host's memory, float32."""
        return self._call("weights")

    def score(self, samples: Sequence[Sample]) -> list[list[float]]:
        """Log-probs (nats) of the output tokens of each sample under the present weights."""
        return self._call("score", list(samples))

    def save(self, path: Path) -> None:
        """Write a Hugging Face directory of `weights()`."""
        self._part.model.save_pretrained(path, state_dict=self.weights())  # type: ignore[operator]

    def training_state(self) -> dict[str, Any]:
        """Optimizer and counters, whole, as of a learner in one process."""
        return self._call("training_state")

    def load(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Continue from a checkpoint, of a sharded learner or not."""
        optimizer = state["optimizer"]
        outline = {
            i: {key: value if value.ndim == 0 else None for key, value in moments.items()}
            for i, moments in optimizer["state"].items()
        }
        told = {**state, "optimizer": {**optimizer, "state": outline}}
        self._call("resume", told, weights=weights, moments=optimizer["state"])

    def _call(self, method: str, *shared: Any, **own: Any) -> Any:
        return self._ranks.call(self.policy, method, *shared, **own)
