"""Which checkpoint is the best so far, by a measure that is said with it."""

from __future__ import annotations

import math
from typing import Any

from mars2.config import RunConfig

HELDOUT = "held-out pass@1"
REWARD = "training reward"


def best_measure(config: RunConfig) -> str | None:
    """What `train.keep_best` comes to: held-out pass@1, training reward, or None for neither."""
    kind = config.train.keep_best
    if kind == "auto":
        measured = config.train.eval_every and config.problems.heldout
        kind = "heldout" if measured else "reward"
    return {"heldout": HELDOUT, "reward": REWARD, "off": None}[kind]


class Keeper:
    """Compares steps. `best` is {"step", "measure", "value"}, None before there is one.

    Held-out pass@1 is compared where it was measured. Training reward is the mean raw reward of
    all nodes of the steps since the checkpoint before: noisy, and of weights a little older.
    """

    def __init__(self, config: RunConfig) -> None:
        self.measure = best_measure(config)
        self.best: dict[str, Any] | None = None
        self._rewards: list[float] = []

    @property
    def best_step(self) -> int | None:
        """The step whose checkpoint is kept."""
        return None if self.best is None else self.best["step"]

    def load(self, best: dict[str, Any] | None) -> None:
        """Go on from a checkpoint's `best`; of another measure it says nothing."""
        self.best = best if best and best["measure"] == self.measure else None

    def judge(self, step: int, heldout: float | None, reward: float, *, due: bool) -> bool:
        """True if this step is the best so far, so that its checkpoint has to be written.

        Args:
            due: a checkpoint is written anyhow.
        """
        self._rewards.append(reward)
        value = heldout if self.measure == HELDOUT else None
        if due:
            known = [r for r in self._rewards if math.isfinite(r)]
            if self.measure == REWARD and known:
                value = sum(known) / len(known)
            self._rewards.clear()
        if value is None or (self.best is not None and value <= self.best["value"]):
            return False
        self.best = {"step": step, "measure": self.measure, "value": value}
        return True
