"""When trees may begin and when learners learn: with a barrier, or freely. Pure decisions.

`Barrier` makes the loop synchronous: a step's trees are grown by one version of every policy, no
tree begins while anybody learns, and finished trees count in the order in which they began, so a
seed gives the same run every time. `Free` makes it asynchronous: trees are always under way, and
every policy learns as soon as its buffer holds a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mars2.config import RunConfig


class Numbered(Protocol):
    """A tree that has a place in the order of the run."""

    @property
    def number(self) -> int:
        """Counts from 0 in the order in which trees begin."""
        ...


N = TypeVar("N", bound=Numbered)


@dataclass(frozen=True, slots=True)
class Counts:
    """What the rollout looks like now, in trees."""

    under_way: int
    finished: int  # grown, not credited yet
    missing: int  # informative ones that this step still lacks
    left: int  # that this step may still take, informative or not
    later: int  # informative ones that the steps after this one want
    behind: bool  # every learner has as much waiting as it may


class Barrier:
    """Synchronous: rounds of trees, then everybody's turn."""

    waits = True

    def to_start(self, now: Counts) -> int:
        """A whole round once the previous one has been credited; nothing between."""
        return 0 if now.under_way or now.finished else min(now.missing, now.left)

    def release(self, finished: Sequence[N], under_way: int) -> list[N]:
        """All trees of a round together, in the order in which they began."""
        return [] if under_way else sorted(finished, key=lambda tree: tree.number)


class Free:
    """Asynchronous: up to `trees` under way at any time.

    It starts nothing while every learner is behind: nobody needs samples then, and those made now
    would be stale when their turn comes. A learner that alone is behind stops nobody.
    """

    waits = False

    def __init__(self, trees: int) -> None:
        self.trees = trees

    def to_start(self, now: Counts) -> int:
        """Fill the places, but no more trees than the rest of the run can use."""
        if now.behind or now.finished >= self.trees:
            return 0
        wanted = now.missing + now.later - now.under_way - now.finished
        return max(0, min(self.trees - now.under_way, wanted))

    def release(self, finished: Sequence[N], under_way: int) -> list[N]:
        """One at a time, in the order in which they came."""
        return list(finished[:1])


Pace = Barrier | Free


def make_pace(config: RunConfig) -> Pace:
    """What `train.mode` names."""
    if config.train.mode == "sync":
        return Barrier()
    return Free(config.train.open_trees or config.train.trees_per_step)
