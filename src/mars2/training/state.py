"""One policy's part in the loop: its learner, its buffer, its turns, and what befell it.

Policies know nothing of each other. One that fails is halted and said to be so; it goes on
writing with the weights it published last, and the others go on learning.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from mars2 import telemetry
from mars2.agents.base import Agent
from mars2.config import RunConfig
from mars2.errors import LearnerLostError
from mars2.training.buffer import SampleBuffer
from mars2.training.checkpoint import PolicyState
from mars2.training.clock import PhaseClock
from mars2.training.learning import LearnerSetup, MakeLearner, UpdateMetrics
from mars2.training.ledger import Ledger
from mars2.training.publication import Publication, TrainablePolicy, publish
from mars2.training.sample import Sample
from mars2.training.step_metrics import PolicyStep

MAX_FAILURES = 3  # updates in a row without a finite step before a policy is halted

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchSize:
    """How many samples an update takes.

    `minimum` must be there; `maximum` are taken, None: all. More than `capacity` never wait: the
    oldest, which are the stalest, give way. With `full` waiting the learner is behind.
    """

    minimum: int
    maximum: int | None
    full: float = math.inf
    capacity: int | None = None


def batch_size(config: RunConfig, share: float) -> BatchSize:
    """Of a policy whose agents are this share of the team.

    Synchronous: whatever there is, from `learner.min_samples` on, or whole batches of
    `train.batch_samples`. Asynchronous: batches, by default as large as this policy's part of
    `trees_per_step` trees.
    """
    train = config.train
    least = config.learner.min_samples
    if train.mode == "sync":
        batch = train.batch_samples
        return BatchSize(batch or least, batch)
    nodes = config.search.nodes
    batch = train.batch_samples or max(least, round(train.trees_per_step * nodes * share))
    full = max(1, train.max_staleness) * batch
    return BatchSize(batch, batch, full, full + (train.open_trees or train.trees_per_step) * nodes)


def policy_states(
    config: RunConfig,
    agents: Mapping[str, Agent],
    policies: Mapping[str, TrainablePolicy],
    make_learner: MakeLearner,
) -> dict[str, PolicyState]:
    """A learner with its own copy of the weights, and a buffer, for every policy that learns."""
    states = {}
    for name, policy in policies.items():
        users = [a for a in agents.values() if a.policy.name == name]
        setup = LearnerSetup(
            name,
            config.learner,
            config.objective,
            total_steps=planned_updates(config, len(users) / len(agents))
            * config.learner.minibatches,
            max_length=max(a.role.sampling.max_tokens for a in users),
            seed=config.seed,
            version=policy.version,
        )
        notes = {
            "prompt_style": users[0].policy.prompt_style,
            "agents": [a.name for a in users],
        }
        buffer = SampleBuffer(name, config.train.max_staleness)
        states[name] = PolicyState(make_learner(setup, policy), buffer, policy.tokenizer, notes)
    return states


def planned_updates(config: RunConfig, share: float) -> int:
    """How many updates the schedule of a policy's learning rate is made for.

    One a step; where batches have a size, as many as the policy's share of all nodes would fill.
    """
    steps, batch = config.train.steps, config.train.batch_samples
    if batch is None:
        return steps
    nodes = steps * config.train.trees_per_step * config.search.nodes * share
    return max(1, math.ceil(nodes / batch))


class PolicyRunner:
    """Takes a policy's turns.

    Args:
        gate: held during an update, where learners share the memory of one accelerator.
        freed: called after each update, when samples have left the buffer.
        halted: called with (policy, reason) when the policy will learn no more.
        failed: called with what no policy is to blame for: a disk that is full.

    Attributes:
        lock: held while weights, optimizer or buffer change.
        reason: why the policy learns no more, None while it does.
        published: the latest publication since the last `flush`.
    """

    def __init__(
        self,
        name: str,
        state: PolicyState,
        policy: TrainablePolicy,
        size: BatchSize,
        ledger: Ledger,
        clock: PhaseClock,
        gate: asyncio.Semaphore,
        freed: Callable[[], None],
        halted: Callable[[str, str], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.name = name
        self.state = state
        self.policy = policy
        self.size = size
        self.lock = asyncio.Lock()
        self.reason: str | None = None
        self._ledger = ledger
        self._clock = clock
        self._gate = gate
        self._freed = freed
        self._halted = halted
        self._failed = failed
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"learner of {name}")
        self._reset()

    def _reset(self) -> None:
        self._updates: list[UpdateMetrics] = []
        self._ages: list[int] = []
        self._stale = 0
        self._overflow = 0
        self._seconds = 0.0
        self.published: Publication | None = None

    @property
    def behind(self) -> bool:
        """As much waits as may."""
        return len(self.state.buffer) >= self.size.full

    def offer(self, samples: Sequence[Sample]) -> None:
        """New samples of this policy. Those that a halted one cannot use are written down."""
        if self.reason is not None:
            self._drop("halted", samples)
            return
        self.state.buffer.add(samples)
        if self.size.capacity is not None:
            gone = self.state.buffer.keep_newest(self.size.capacity)
            self._overflow += len(gone)
            self._drop("overflow", gone)
        self._tell_waiting()

    def start_turn(self) -> None:
        """Have a turn taken in a task of its own, unless one is under way or there is no batch."""
        waiting = self._task is not None and not self._task.done()
        if not waiting and self.reason is None and len(self.state.buffer) >= self.size.minimum:
            self._task = asyncio.create_task(self.turn(), name=f"learner of {self.name}")
            self._task.add_done_callback(self._turn_ended)

    def _turn_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._failed(error)

    async def stop(self) -> None:
        """End the task; an update that runs in its thread is not waited for, nor counted."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=False)

    async def turn(self) -> None:
        """Learn from every batch that waits."""
        while self.reason is None:
            async with self.lock:
                batch = self._take()
                if batch:
                    await self._learn(batch)
            if not batch:
                return
            self._freed()

    def _take(self) -> list[Sample]:
        buffer = self.state.buffer
        stale = buffer.drop_stale(self.state.learner.version)
        self._stale += len(stale)
        self._drop("stale", stale)
        batch = buffer.take(self.size.minimum, self.size.maximum)
        self._tell_waiting()
        return batch

    def _tell_waiting(self) -> None:
        telemetry.emit("buffer", policy=self.name, samples=len(self.state.buffer))

    async def _learn(self, batch: list[Sample]) -> None:
        learner = self.state.learner
        before, number = learner.version, learner.updates
        update: UpdateMetrics | None = None
        failure: str | None = None
        async with self._gate:
            started = self._clock.now()
            learning = telemetry.span("update", policy=self.name, update=number)
            with self._clock.during("update"), learning:
                try:
                    update = await self._work(learner.update, batch)
                    if learner.version != before:
                        version = learner.version
                        with telemetry.span("publish", policy=self.name, version=version) as sent:
                            self.published = await self._work(publish, learner, self.policy)
                            sent.note(difference=self.published.mean, tokens=self.published.tokens)
                except LearnerLostError:
                    raise
                except Exception as error:
                    failure = f"{type(error).__name__}: {error}"
                    _log.exception("policy %s: an update failed", self.name)
                ages = [max(0, before - s.policy_version) for s in batch]
                learning.note(samples=len(batch), ages=dict(Counter(ages)), failure=failure)
                if update is not None:
                    learning.note(loss=update.loss, version=learner.version, lr=update.lr)
            self._seconds += self._clock.now() - started
        if update is not None:
            self._updates.append(update)
            self._ages += ages
        self._ledger.write(
            self.name, "update", batch, update=number, version=learner.version, error=failure
        )
        if failure is None and learner.failures >= MAX_FAILURES:
            failure = f"no update has had a finite loss, gradient and step for {MAX_FAILURES} times"
        if failure is not None:
            self.halt(failure)

    async def _work(self, do: Callable[..., T], *arguments: Any) -> T:
        """In the one thread of this policy: the C library gives each thread a heap of its own, and
        each heap that an update was ever made in keeps what it took."""
        here = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, here.run, do, *arguments)

    def halt(self, reason: str) -> None:
        """From now on the policy only takes part; what waited is given up."""
        self.reason = reason
        self._drop("halted", self.state.buffer.take())
        self._halted(self.name, reason)

    def _drop(self, event: str, samples: Sequence[Sample]) -> None:
        if samples:
            self._ledger.write(self.name, event, samples)
            telemetry.emit("samples dropped", policy=self.name, reason=event, samples=len(samples))

    def flush(self) -> tuple[PolicyStep, dict[str, Any]]:
        """What happened since the last call, for the metrics of a step, and what it adds to it."""
        step = PolicyStep(
            merge_updates(self._updates),
            self._stale,
            len(self.state.buffer),
            self.state.learner.version,
            self._seconds,
            self._ages,
        )
        more: dict[str, Any] = {
            "updates": len(self._updates),
            "overflow": self._overflow,
            "halted": self.reason,
        }
        if self.published is not None and self.published.tokens:
            more["published"] = asdict(self.published)
        self._reset()
        return step, more


def merge_updates(updates: Sequence[UpdateMetrics]) -> UpdateMetrics | None:
    """Several updates of one step as one: counts added, means weighted by samples, of rate and
    version the last, of maxima the greatest."""
    if len(updates) < 2:
        return updates[0] if updates else None
    merged: dict[str, Any] = {}
    weights = [u.samples for u in updates]
    for name in (f.name for f in fields(UpdateMetrics)):
        values = [getattr(u, name) for u in updates]
        if name in ("version", "lr") or not all(isinstance(v, int | float) for v in values):
            merged[name] = values[-1]
        elif name.endswith("_max"):
            merged[name] = max(values)
        elif all(isinstance(v, int) for v in values):
            merged[name] = sum(values)
        else:
            known = [(v, w) for v, w in zip(values, weights, strict=True) if math.isfinite(v)]
            total = sum(w for _, w in known)
            merged[name] = sum(v * w for v, w in known) / total if total else math.nan
    return UpdateMetrics(**merged)
