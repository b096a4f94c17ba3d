"""Trees under way, a task each: what has begun, what is finished, what found nobody there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from mars2.errors import EndpointDownError
from mars2.training.clock import PhaseClock
from mars2.training.step_metrics import Tree
from mars2.types import Node, Problem

NodeHook = Callable[[Node], None]


class Forest(Protocol):
    """Where trees come from (`mars2.inference.rollout.Rollout`)."""

    @property
    def reached(self) -> bool:
        """True once any agent has answered."""
        ...

    def tree(
        self, tree_id: str, problem: Problem, on_node: NodeHook | None = None
    ) -> Coroutine[Any, Any, Tree]:
        """Search one problem; several at once are bounded together."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One tree to grow. Trees are numbered from 0 in the order in which they begin."""

    number: int
    tree_id: str
    problem: Problem


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """One that has been."""

    job: Job
    tree: Tree

    @property
    def number(self) -> int:
        """That of the job."""
        return self.job.number


class Growth:
    """All trees that have begun and have no credit yet.

    Args:
        changed: called whenever a tree has ended.

    Attributes:
        finished: in the order in which they ended; the caller takes out what it uses.
        error: what ended the rollout, None while nothing did.
    """

    def __init__(
        self,
        forest: Forest,
        on_node: NodeHook | None,
        clock: PhaseClock,
        changed: Callable[[], None],
    ) -> None:
        self.finished: list[Grown] = []
        self.error: Exception | None = None
        self._forest = forest
        self._on_node = on_node
        self._clock = clock
        self._changed = changed
        self._tasks: dict[asyncio.Task[Tree], Job] = {}
        self._down: list[tuple[Job, EndpointDownError]] = []
        self._closed = False

    @property
    def under_way(self) -> int:
        """Trees that have not ended."""
        return len(self._tasks) + len(self._down)

    def jobs(self) -> list[Job]:
        """Of all trees under way or finished, in order of number."""
        waiting = [*(job for job, _ in self._down), *(grown.job for grown in self.finished)]
        return sorted([*self._tasks.values(), *waiting], key=lambda job: job.number)

    def plant(self, job: Job) -> None:
        """Let a tree begin."""
        self._clock.begin("rollout")
        growing = self._forest.tree(job.tree_id, job.problem, self._on_node)
        task = asyncio.create_task(growing, name=f"tree {job.tree_id}")
        self._tasks[task] = job
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Interrupt what is under way. The journal has the nodes finished so far."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Tree]) -> None:
        self._clock.end("rollout")
        job = self._tasks.pop(task)
        if task.cancelled() or self._closed:
            return
        error = task.exception()
        if error is None:
            self.finished.append(Grown(job, task.result()))
        elif isinstance(error, EndpointDownError):
            self._down.append((job, error))
        elif isinstance(error, Exception):
            self.error = self.error or error
        else:
            return  # an interrupt: the event loop is on its way out
        self._changed()
        self._retry_down()

    def _retry_down(self) -> None:
        """Trees that found nobody there: once somebody has answered any tree, what an endpoint
        does not answer costs a node and no more. If nobody ever did, that is the end."""
        if self._forest.reached:
            down, self._down = self._down, []
            for job, _ in down:
                self.plant(job)
        elif self._down and not self._tasks:
            self.error = self.error or self._down[0][1]
            self._changed()
