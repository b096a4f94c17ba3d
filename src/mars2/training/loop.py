"""The training loop: trees grow, each finished one gets its credit, every policy takes its turns.

Three kinds of tasks. A *tree* task searches one problem. A *learner* task takes one policy's
turns (`mars2.training.state`). The coordinator, here, lets trees begin, gives finished ones their
credit, offers the samples to the buffers and closes steps. When trees may begin and who may learn
when is asked of a `mars2.training.pace`: with a barrier between rollout and learning this loop is
synchronous and repeatable, without one it is asynchronous; all else is the same.

Trees are numbered as they begin, and their ids name the number and the problem. So a run that was
killed goes back to its last checkpoint and finds all nodes finished since then in the journal:
trees that the checkpoint left open, and every number that began after it, are taken up again.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import shutil
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from mars2 import telemetry
from mars2.config import RunConfig
from mars2.errors import Mars2Error, TrainingError
from mars2.training.checkpoint import (
    Checkpoint,
    PolicyState,
    restore_policy,
    restore_random,
    save_checkpoint,
)
from mars2.training.clock import PhaseClock
from mars2.training.credit import Writer, credit_forest
from mars2.training.curriculum import Curriculum
from mars2.training.growth import Forest, Grown, Growth, Job, NodeHook
from mars2.training.keeper import Keeper
from mars2.training.ledger import Ledger
from mars2.training.pace import Counts, make_pace
from mars2.training.publication import TrainablePolicy, publish
from mars2.training.publication_engine import agreement_line, examine
from mars2.training.rundir import RunDir
from mars2.training.state import PolicyRunner, batch_size
from mars2.training.step_metrics import Seconds, StepData, metrics_line
from mars2.types import Problem


@dataclass(frozen=True, slots=True)
class StepReport:
    """What `on_step` is told, after the policies have adopted their new weights."""

    step: int
    steps: int
    metrics: dict[str, Any]
    run: RunDir


StepHook = Callable[[StepReport], Awaitable[float | None] | float | None]


class Loop:
    """One run's loop.

    Args:
        recorded: ids of the trees in the journal.
        say: told in a line what a user should know at once.
    """

    def __init__(
        self,
        config: RunConfig,
        run: RunDir,
        policies: Mapping[str, TrainablePolicy],
        states: Mapping[str, PolicyState],
        writers: Mapping[str, Writer],
        problems: Sequence[Problem],
        forest: Forest,
        recorded: Sequence[str],
        on_node: NodeHook | None,
        say: Callable[[str], None],
    ) -> None:
        self.config = config
        self.directory = run
        self.states = states
        self.writers = writers
        self.problems = {p.id: p for p in problems}
        self.step = 0
        self.saved = 0  # step of the latest checkpoint
        self.curriculum = Curriculum(problems, config.seed, config.train.curriculum)
        self.keeper = Keeper(config)
        self.ledger = Ledger(run.path / "updates.jsonl")
        self.clock = PhaseClock()
        self.pace = make_pace(config)
        self._say = say
        self._growth = Growth(forest, on_node, self.clock, self._tree_ended)
        self._recorded = {_number(tree_id): tree_id for tree_id in recorded}
        self._begun = 0  # number of the next tree
        self._again: deque[Job] = deque()  # begun before, to be taken up
        self._changed = asyncio.Event()
        self._error: Exception | None = None
        self._pauses = 0
        self._paused = self._closed = False
        self._data = StepData(1)
        self._span = telemetry.OFF  # of the step under way
        users = [writers[a].policy for a in writers]
        gate = asyncio.Semaphore(
            len(states) if all(s.learner.concurrent for s in states.values()) else 1
        )
        self.runners = {
            name: PolicyRunner(
                name,
                state,
                policies[name],
                batch_size(config, users.count(name) / len(users)),
                self.ledger,
                self.clock,
                gate,
                freed=self._start_trees,
                halted=self._policy_halted,
                failed=self._fail,
            )
            for name, state in states.items()
        }

    # ------------------------------------------------------------------ checkpoints

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Go to a checkpoint, None: to the beginning. Policies adopt its weights."""
        size = 0
        if checkpoint is not None:
            progress = checkpoint.progress
            for name, runner in self.runners.items():
                restore_policy(checkpoint, name, runner.state)
                learner = runner.state.learner
                with telemetry.span("publish", policy=name, version=learner.version):
                    publish(learner, runner.policy)
                runner.reason = progress["halted"].get(name)
                if runner.reason is not None:
                    self._say(
                        f"policy {name} had learned no more ({runner.reason}) and does not now: a "
                        "resumed run does what it would have done; to train it, start a run from "
                        "its last good weights with a lower learner.lr"
                    )
            restore_random(checkpoint)
            self.step = self.saved = checkpoint.step
            self._begun = progress["begun"]
            self._again.extend(self._job_of(tree_id) for tree_id in progress["open"])
            self.curriculum.load(progress["curriculum"])
            self.keeper.load(progress["best"])
            size = progress["ledger"]
        else:
            for runner in self.runners.values():
                runner.published = examine(runner.state.learner, runner.policy)
        for name, runner in self.runners.items():
            if (first := runner.published) is not None and first.tokens:
                self._say(f"policy {name}: {agreement_line(first)}")
        self.ledger.cut(size)
        self.directory.cut_metrics(self.step)
        self._data = StepData(self.step + 1)

    def _progress(self) -> dict[str, Any]:
        """What a checkpoint needs besides the policies. Trees that are finished but have no
        credit yet count as open: the journal has them."""
        return {
            "begun": self._begun,
            "open": [job.tree_id for job in [*self._growth.jobs(), *self._again]],
            "curriculum": self.curriculum.state(),
            "halted": self._halted(),
            "best": self.keeper.best,
            "ledger": self.ledger.size,
        }

    async def _save(self) -> None:
        """Write a checkpoint of this step. No policy may be learning."""
        with self.clock.during("checkpoint"), telemetry.span("checkpoint", step=self.step):
            try:
                await asyncio.to_thread(
                    save_checkpoint,
                    self.directory.checkpoints,
                    self.states,
                    step=self.step,
                    progress=self._progress(),
                    digest=self.directory.digest,
                    keep=self.config.train.keep_checkpoints,
                    best=self.keeper.best_step,
                )
            except Mars2Error:
                raise
            except Exception as error:  # of torch, safetensors or the system
                folder = self.directory.path
                raise TrainingError(
                    f"the checkpoint of step {self.step} cannot be written: {error}. "
                    f"{shutil.disk_usage(folder).free >> 20} MB are free in {folder}; make room "
                    "and go on with --resume"
                ) from error
        self.saved = self.step
        self.directory.update_manifest(steps_done=self.step, best=self.keeper.best)

    # ------------------------------------------------------------------ steps

    async def run(self, on_step: StepHook | None, out_of_time: Callable[[], bool]) -> str:
        """Steps until all are made ("finished") or there is no time for another ("stopped").

        Raises:
            TrainingError: no policy can learn any more.
            EndpointDownError: nobody was reached.
        """
        steps = self.config.train.steps
        self.clock.laps()  # what came before, as an evaluation, is not of the first step
        while self.step < steps and not out_of_time():
            with telemetry.span("step", step=self.step + 1) as self._span:
                await self._make_step(on_step, out_of_time)
        return "finished" if self.step >= steps else "stopped"

    async def _make_step(self, on_step: StepHook | None, out_of_time: Callable[[], bool]) -> None:
        await self._fill_step()
        if self.pace.waits:
            await asyncio.gather(*(runner.turn() for runner in self.runners.values()))
        async with AsyncExitStack() as still:  # no weights change while a step is closed
            for runner in self.runners.values():
                await still.enter_async_context(runner.lock)
            await self._close_step(on_step)
            if self.step >= self.config.train.steps or out_of_time():
                for runner in self.runners.values():
                    await runner.stop()
                if self.saved < self.step:
                    await self._save()
        self._raise_error()

    async def _fill_step(self) -> None:
        """Credit trees as the pace releases them until the step has all it may have."""
        self._start_trees()
        while not self._full():
            self._raise_error()
            growth = self._growth
            ready = self.pace.release(growth.finished, growth.under_way)
            if ready:
                self._credit(ready)
                self._start_trees()
            else:
                self._changed.clear()
                await self._changed.wait()

    def _full(self) -> bool:
        return self._missing() <= 0 or self._left() <= 0

    def _missing(self) -> int:
        return self.config.train.trees_per_step - len(self._data.credit.informative)

    def _left(self) -> int:
        train = self.config.train
        return train.trees_per_step * (1 + train.refill_rounds) - len(self._data.trees)

    def _credit(self, ready: Sequence[Grown]) -> None:
        """These trees become samples, and their learners are told."""
        data, size = self._data, self.config.train.trees_per_step
        for grown in ready:
            self._growth.finished.remove(grown)
            self.curriculum.observe(grown.job.problem.id, grown.tree.nodes)
            data.trees.append(grown.tree)
        nodes = [n for grown in ready for n in grown.tree.nodes]
        samples, stats = credit_forest(nodes, self.config.credit, self.writers)
        data.credit.add(stats)
        if stats.dropped_groups:
            telemetry.emit("trees without signal", trees=stats.dropped_groups)
        data.samples += samples
        data.refills = max(0, math.ceil((len(data.trees) - size) / size))
        for name, runner in self.runners.items():
            runner.offer([s for s in samples if s.policy == name])
            if not self.pace.waits:
                runner.start_turn()

    async def _close_step(self, on_step: StepHook | None) -> None:
        self.step += 1
        line = self._line()
        self.directory.append_metrics(line)
        trees = line["trees"]
        telemetry.emit(
            "step closed",
            step=self.step,
            steps=self.config.train.steps,
            trees=trees["count"],
            nodes=trees["nodes"],
            reward=trees["reward"],
            informative=trees["informative"],
            failed=trees["failed_expansions"],
        )
        score: float | None = None
        if on_step is not None:
            with self.clock.during("evaluation"):
                outcome = on_step(
                    StepReport(self.step, self.config.train.steps, line, self.directory)
                )
                score = await outcome if inspect.isawaitable(outcome) else outcome
        due = self.step % self.config.train.checkpoint_every == 0
        if self.keeper.judge(self.step, score, line["trees"]["reward"], due=due) or due:
            await self._save()

    def _line(self) -> dict[str, Any]:
        data, more = self._data, {}
        for name, runner in self.runners.items():
            data.policies[name], more[name] = runner.flush()
        laps = self.clock.laps()
        phases = Seconds.__dataclass_fields__
        data.seconds = Seconds(**{k: v for k, v in laps.items() if k in phases})
        line = metrics_line(data, self.writers)
        for name, extra in more.items():
            line["policies"][name] |= extra
        line["loop"] = {
            "mode": self.config.train.mode,
            "open_trees": self._growth.under_way,
            "pauses": self._pauses,
            "paused_seconds": laps.get("paused", 0.0),
        }
        line["curriculum"] = self.curriculum.summary()
        self._pauses = 0
        self._data = StepData(self.step + 1)
        return line

    # ------------------------------------------------------------------ trees

    def _start_trees(self) -> None:
        """Let as many trees begin as the pace allows now."""
        if self._closed or self._error is not None or self._growth.error is not None:
            return
        live = [r for r in self.runners.values() if r.reason is None]
        now = Counts(
            under_way=self._growth.under_way,
            finished=len(self._growth.finished),
            missing=self._missing(),
            left=self._left(),
            later=(self.config.train.steps - self._data.step) * self.config.train.trees_per_step,
            behind=all(r.behind for r in live),
        )
        self._pause(now.behind)
        with self._span.here():  # not in the task that made room for them
            for _ in range(self.pace.to_start(now)):
                self._growth.plant(self._next_job())

    def _pause(self, behind: bool) -> None:
        if behind != self._paused:
            self._paused = behind
            self._pauses += behind
            (self.clock.begin if behind else self.clock.end)("paused")

    def _next_job(self) -> Job:
        if self._again:
            return self._again.popleft()
        number, self._begun = self._begun, self._begun + 1
        busy = {job.problem.id for job in self._growth.jobs()}
        problem = self.curriculum.pick(number, busy)
        if number in self._recorded:
            return self._job_of(self._recorded[number])
        return Job(number, f"{number:06d}/{problem.id}", problem)

    def _job_of(self, tree_id: str) -> Job:
        return Job(_number(tree_id), tree_id, self.problems[tree_id.partition("/")[2]])

    def _tree_ended(self) -> None:
        try:
            self._start_trees()
        except Exception as error:  # nobody awaits this call
            self._fail(error)
        self._changed.set()

    # ------------------------------------------------------------------ what goes wrong

    def _halted(self) -> dict[str, str]:
        return {n: r.reason for n, r in self.runners.items() if r.reason is not None}

    def _policy_halted(self, name: str, reason: str) -> None:
        halted = self._halted()
        self.directory.update_manifest(halted=halted)
        telemetry.emit("policy halted", policy=name, reason=reason)
        self._say(f"policy {name} learns no more ({reason}); it goes on with its last weights")
        if len(halted) == len(self.runners):
            reasons = "\n  ".join(f"{n}: {why}" for n, why in halted.items())
            self._fail(
                TrainingError(
                    "no policy can learn any more; lower learner.lr and start from the last good "
                    f"weights\n  {reasons}"
                )
            )

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._changed.set()

    def _raise_error(self) -> None:
        error = self._error or self._growth.error
        if error is not None:
            raise error

    async def close(self) -> None:
        """End every task. The journal has what was finished of the trees under way."""
        self._closed = True
        await self._growth.close()
        await asyncio.gather(*(runner.stop() for runner in self.runners.values()))


def _number(tree_id: str) -> int:
    return int(tree_id.partition("/")[0])
