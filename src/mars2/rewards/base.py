"""What a reward model is to whoever uses one; imports no torch until one is loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from mars2.errors import UsageError
from mars2.types import Problem


class RewardModel(Protocol):
    """Says how likely programs are to pass all tests, without running them."""

    async def score(self, problem: Problem, codes: Sequence[str]) -> list[float]:
        """Probability in [0, 1] that each program passes all tests, in the order of `codes`.

        Of the problem only what a writer may see is read. Safe to call concurrently.
        """
        ...


def load_reward_model(path: str | os.PathLike[str], *, device: str = "auto") -> RewardModel:
    """The reward model that `mars2 reward-model train` wrote to the directory `path`.

    Args:
        device: a torch device, or "auto": CUDA if there is one, else CPU.

    Raises:
        UsageError: torch is not installed, or the directory holds no finished reward model.
    """
    try:
        from mars2.rewards.model import TorchRewardModel
    except ImportError as error:
        raise UsageError(
            f"reward model {os.fspath(path)}: needs torch: pip install 'mars2[hf]' ({error})"
        ) from None
    return TorchRewardModel.load(path, device=device)
