"""What the training loop asks of a learner, wherever it computes.

`mars2.training.learner` is one in this process. One that is spread over processes or machines
stands behind the same interface; the loop, publication and checkpoints see nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mars2.config import LearnerConfig, ObjectiveConfig
from mars2.training.sample import Sample

if TYPE_CHECKING:
    from torch import Tensor

    from mars2.training.publication import TrainablePolicy


@dataclass(frozen=True, slots=True)
class UpdateMetrics:
    """What one update did. Means are over its samples or tokens; `lr` is of its last step."""

    samples: int
    tokens: int  # output tokens trained on
    optimizer_steps: int
    skipped_steps: int  # loss or gradient was not finite: nothing was changed
    loss: float
    grad_norm: float  # before clipping, mean over steps taken
    kl: float
    ratio_mean: float
    clip_fraction: float
    correction_mean: float
    correction_max: float
    lr: float
    version: int  # after the update
    dual_clip_fraction: float = 0.0
    corrected_fraction: float = 0.0  # weights that were truncated or masked
    entropy: float | None = None  # nats a token; None unless asked for


class Learning(Protocol):
    """A learner of one policy.

    The loop calls one method at a time of each learner, from threads of its own. What a learner
    computes depends on its samples and settings alone.

    """

    @property
    def policy(self) -> str:
        """Name of the policy."""
        ...

    @property
    def version(self) -> int:
        """Counts updates that changed the weights."""
        ...

    @property
    def updates(self) -> int:
        """Counts all."""
        ...

    @property
    def failures(self) -> int:
        """Updates in a row in which every step was skipped."""
        ...

    @property
    def concurrent(self) -> bool:
        """May update while others do: they do not share an accelerator's memory."""
        ...

    def update(self, samples: Sequence[Sample]) -> UpdateMetrics:
        """Train on the samples once.

        Raises:
            LearnerLostError: the learner is gone and cannot go on; the run ends.
            TrainingError: these samples cannot be trained on. Any other error halts the policy.
        """
        ...

    def weights(self) -> dict[str, Tensor]:
        """The weights to publish, under the names of a plain transformers model, float32; valid
        until the next update."""
        ...

    def save(self, path: Path) -> None:
        """Write a Hugging Face directory of `weights()`, without the tokenizer."""
        ...

    def training_state(self) -> dict[str, Any]:
        """Optimizer and counters for a checkpoint, whole tensors: what `torch.load` with
        `weights_only` takes, and what any other learner of the same model can go on from."""
        ...

    def load(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Continue from `weights()` and `training_state()` of a checkpoint."""
        ...


@runtime_checkable
class Scores(Protocol):
    """A learner that tells log-probabilities itself; of others, the published files are asked."""

    def score(self, samples: Sequence[Sample]) -> list[list[float]]:
        """log π(token_ids[t] | …) of each sample's output tokens under the present weights, at the
        sample's temperature, in float32."""
        ...


@runtime_checkable
class SavesAdapters(Protocol):
    """A learner that can write its LoRA adapters apart from the model."""

    @property
    def has_adapters(self) -> bool: ...

    def save_adapters(self, path: Path) -> None:
        """Write a directory that peft and vLLM load."""
        ...


@dataclass(frozen=True, slots=True)
class LearnerSetup:
    """Everything a learner is made from but the weights; see `mars2.training.learner.Learner`."""

    policy: str
    config: LearnerConfig
    objective: ObjectiveConfig
    total_steps: int
    max_length: int | None = None
    seed: int = 0
    version: int = 0


MakeLearner = Callable[[LearnerSetup, "TrainablePolicy"], Learning]
"""Makes the learner of a policy, with a copy of the policy's weights. Processes or machines that it
takes belong to whoever gives the function to `mars2.training.trainer.train`, not to the loop."""
