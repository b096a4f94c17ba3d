"""The synchronous training loop: grow trees, give credit, let every policy learn on its own.

A step draws problems, searches a tree for each, turns all nodes into samples, and offers each
policy's samples to that policy's buffer; every policy with enough of them updates and publishes,
whatever the others do. After each step the run can be killed and continued: weights come from
the latest checkpoint, finished nodes of the steps since then from the journal, because tree ids
name the step.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import platform
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

import mars2
from mars2.agents.base import Agent
from mars2.config import RunConfig
from mars2.errors import ProblemError, TrainingError
from mars2.search.journal import Journal
from mars2.training.buffer import SampleBuffer
from mars2.training.checkpoint import (
    PolicyState,
    export_final,
    latest_checkpoint,
    restore_policy,
    restore_random,
    save_checkpoint,
)
from mars2.training.credit import Writer, credit_forest
from mars2.training.learner import Learner, UpdateMetrics
from mars2.training.publication import TrainablePolicy, publish, trainable_policies
from mars2.training.rundir import RunDir, problems_digest
from mars2.training.sample import Sample
from mars2.training.step_metrics import PolicyStep, StepData, Tree, metrics_line
from mars2.types import Node, Problem

MAX_FAILURES = 3  # updates in a row without a finite step, of every policy, before giving up

NodeHook = Callable[[Node], None]


class Forest(Protocol):
    """Where trees come from (`mars2.inference.rollout.Rollout`)."""

    async def forest(
        self, jobs: Sequence[tuple[str, Problem]], on_node: NodeHook | None = None
    ) -> Sequence[Tree]:
        """One searched tree for every (tree id, problem)."""
        ...


@dataclass(frozen=True, slots=True)
class StepReport:
    """What `on_step` is told, after the policies have adopted their new weights."""

    step: int
    steps: int
    metrics: dict[str, Any]
    run: RunDir


StepHook = Callable[[StepReport], Awaitable[None] | None]
StartHook = Callable[[RunDir, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """How a run ended. `status`: "finished", or "stopped" by the time budget (can be resumed).

    `final` maps each policy to its directory of weights and tokenizer.
    """

    status: str
    steps: int
    run: RunDir
    final: dict[str, Path] = field(default_factory=dict)


async def train(
    config: RunConfig,
    out: Path,
    *,
    agents: Mapping[str, Agent],
    problems: Sequence[Problem],
    open_forest: Callable[[Journal], Forest],
    resume: bool = False,
    on_start: StartHook | None = None,
    on_step: StepHook | None = None,
    on_node: NodeHook | None = None,
) -> TrainResult:
    """Train all policies of `agents` on `problems`, writing the run into `out`.

    Args:
        open_forest: makes the rollouts on the run's journal; called once, after all checks.
        resume: continue the run in `out` instead of starting one in an empty directory.
        on_start: awaited once before the first step of this call, with the run and the number of
            steps already done; policies have the weights of that step.
        on_step: called after every step, before its checkpoint; may be a coroutine function.
            After a kill it is called again for steps that were not yet checkpointed.
        on_node: called for every new node.

    Raises:
        CapabilityError: nobody learns, or an agent that is told to cannot.
        ProblemError: nothing to train on.
        ResumeError: `out` is not empty, or not this run.
        TrainingError: no policy gets a finite step any more.
    """
    policies = trainable_policies(agents, {a.name: a.train for a in config.agents})
    _check(config, problems)
    digest = problems_digest(problems)
    if resume:
        run = RunDir.resume(out, config, digest)
    else:
        RunDir.check_new(out)
    states = _policy_states(config, agents, policies)
    if resume:
        run.adopt(config)
    else:
        manifest = _manifest(config, agents, problems, digest)
        run = RunDir.create(out, config, manifest | {"learning": sorted(policies)})
    with Journal.open(run.journal, {"config_hash": config.digest()}) as journal:
        trainer = _Trainer(config, run, agents, policies, states, problems)
        try:
            trainer.restore()
            if on_start is not None:
                await on_start(run, trainer.step)
            return await trainer.run_steps(open_forest(journal), on_step, on_node)
        except (KeyboardInterrupt, asyncio.CancelledError):
            run.update_manifest(status="interrupted")
            raise
        except Exception as error:
            run.update_manifest(status="failed", error=f"{type(error).__name__}: {error}")
            raise


def draw(
    problems: Sequence[Problem], cursor: int, count: int, seed: int
) -> tuple[list[Problem], int]:
    """The next `count` problems and the new cursor: a new seeded shuffle every epoch."""
    drawn: list[Problem] = []
    epoch, order = -1, list(range(len(problems)))
    for position in range(cursor, cursor + count):
        if position // len(problems) != epoch:
            epoch = position // len(problems)
            order = list(range(len(problems)))
            random.Random(f"{seed}/epoch {epoch}").shuffle(order)
        drawn.append(problems[order[position % len(problems)]])
    return drawn, cursor + count


def _check(config: RunConfig, problems: Sequence[Problem]) -> None:
    if not problems:
        raise ProblemError("there are no training problems; set problems.train")
    ids = [p.id for p in problems]
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise ProblemError(f"the training problems have the id {twice!r} more than once")


def _policy_states(
    config: RunConfig, agents: Mapping[str, Agent], policies: Mapping[str, TrainablePolicy]
) -> dict[str, PolicyState]:
    states = {}
    for name, policy in policies.items():
        users = [a for a in agents.values() if a.policy.name == name]
        learner = Learner(
            name,
            policy.clone_model(),
            config.learner,
            config.objective,
            total_steps=config.train.steps * config.learner.minibatches,
            max_length=max(a.role.sampling.max_tokens for a in users),
            seed=config.seed,
            version=policy.version,
        )
        notes = {
            "prompt_style": users[0].policy.prompt_style,
            "agents": [a.name for a in users],
        }
        buffer = SampleBuffer(name, config.train.max_staleness)
        states[name] = PolicyState(learner, buffer, policy.tokenizer, notes)
    return states


def _manifest(
    config: RunConfig, agents: Mapping[str, Agent], problems: Sequence[Problem], digest: str
) -> dict[str, Any]:
    return {
        "mars2": mars2.__version__,
        "seed": config.seed,
        "agents": {name: agent.policy.name for name, agent in agents.items()},
        "problems": digest,
        "problem_count": len(problems),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpus": os.cpu_count(),
        "steps_done": 0,
    }


class _Trainer:
    """State of one run: counters, policies, buffers. `train` is the way in."""

    def __init__(
        self,
        config: RunConfig,
        run: RunDir,
        agents: Mapping[str, Agent],
        policies: Mapping[str, TrainablePolicy],
        states: dict[str, PolicyState],
        problems: Sequence[Problem],
    ) -> None:
        self.config = config
        self.run = run
        self.policies = policies
        self.states = states
        self.problems = problems
        self.writers = {
            name: Writer(
                agent.policy.name, agent.role.sampling.temperature, agent.role.sampling.max_tokens
            )
            for name, agent in agents.items()
        }
        self.step = 0
        self.saved = 0  # step of the latest checkpoint
        self.cursor = 0
        self.checkpoint_seconds = 0.0
        self.hook_seconds = 0.0
        self.line_written = 0.0  # when the previous line of metrics was, or the first step began

    def restore(self) -> None:
        """Go to the latest checkpoint, if there is one; its policies adopt their weights."""
        checkpoint = latest_checkpoint(self.run.checkpoints)
        if checkpoint is not None:
            for name, state in self.states.items():
                restore_policy(checkpoint, name, state)
                publish(state.learner, self.policies[name])
            restore_random(checkpoint)
            self.step = self.saved = checkpoint.step
            self.cursor = checkpoint.cursor
        self.run.cut_metrics(self.step)

    async def run_steps(
        self, forest: Forest, on_step: StepHook | None, on_node: NodeHook | None
    ) -> TrainResult:
        """Steps until all are done or the time budget is spent; then the final weights."""
        steps, budget = self.config.train.steps, self.config.train.time_budget_s
        fresh = {"error": None, "stopped": None}
        self.run.update_manifest(status="running", steps_done=self.step, **fresh)
        self.line_written = start = time.monotonic()
        status = "finished"
        while self.step < steps:
            if budget is not None and time.monotonic() - start >= budget:
                status = "stopped"
                break
            data = await self._one_step(forest, on_node)
            self.step += 1
            line = metrics_line(data, self.writers)
            self.run.append_metrics(line)
            self.checkpoint_seconds = 0.0
            hook_start = time.monotonic()
            if on_step is not None:
                outcome = on_step(StepReport(self.step, steps, line, self.run))
                if inspect.isawaitable(outcome):
                    await outcome
            self.hook_seconds = time.monotonic() - hook_start
            if self.step % self.config.train.checkpoint_every == 0:
                await self._save()
            self._give_up_if_hopeless()
        if self.saved < self.step:
            await self._save()
        final = await asyncio.to_thread(export_final, self.run.final, self.states)
        ended: dict[str, Any] = {
            "final": {name: str(path.relative_to(self.run.path)) for name, path in final.items()}
        }
        if status == "stopped":
            ended["stopped"] = f"train.time_budget_s = {budget}"
        self.run.update_manifest(status=status, steps_done=self.step, **ended)
        return TrainResult(status, self.step, self.run, final)

    async def _one_step(self, forest: Forest, on_node: NodeHook | None) -> StepData:
        data = StepData(self.step + 1)
        data.seconds.checkpoint = self.checkpoint_seconds
        data.seconds.evaluation = self.hook_seconds
        start = time.monotonic()
        samples = data.samples = await self._collect(forest, data, on_node)
        data.seconds.rollout = time.monotonic() - start
        for name, state in self.states.items():
            state.buffer.add([s for s in samples if s.policy == name])
        start = time.monotonic()
        data.policies = await self._learn_all()
        data.seconds.update = time.monotonic() - start
        known = astuple(data.seconds)
        now = time.monotonic()
        data.seconds.idle = max(0.0, now - self.line_written - sum(known))
        self.line_written = now
        return data

    async def _collect(
        self, forest: Forest, data: StepData, on_node: NodeHook | None
    ) -> list[Sample]:
        """Grow trees; replace those without signal, up to `refill_rounds` times."""
        samples: list[Sample] = []
        visits: dict[str, int] = {}
        wanted = self.config.train.trees_per_step
        for round_ in range(1 + self.config.train.refill_rounds):
            missing = wanted - len(data.credit.informative)
            if missing <= 0:
                break
            data.refills = round_
            drawn, self.cursor = draw(self.problems, self.cursor, missing, self.config.seed)
            jobs = []
            for problem in drawn:
                visit = visits[problem.id] = visits.get(problem.id, -1) + 1
                jobs.append((f"step{data.step:05d}/{problem.id}/{visit}", problem))
            trees = await forest.forest(jobs, on_node)
            nodes = [n for tree in trees for n in tree.nodes]
            found, stats = credit_forest(nodes, self.config.credit, self.writers)
            samples += found
            data.trees += trees
            data.credit.add(stats)
        return samples

    async def _learn_all(self) -> dict[str, PolicyStep]:
        """Every policy's turn: at once on CPUs, in turn where they share an accelerator's memory.

        Learners share nothing, so the results are the same either way.
        """
        devices = {next(s.learner.model.parameters()).device.type for s in self.states.values()}
        turns = [self._learn(name, state) for name, state in self.states.items()]
        if devices == {"cpu"}:
            steps = await asyncio.gather(*turns)
        else:
            steps = [await turn for turn in turns]
        return dict(zip(self.states, steps, strict=True))

    async def _learn(self, name: str, state: PolicyState) -> PolicyStep:
        """One policy's turn; it waits if it has too few samples."""
        learner = state.learner
        start = time.monotonic()
        stale = state.buffer.drop_stale(learner.version)
        batch = state.buffer.take(self.config.learner.min_samples)
        ages = [learner.version - s.policy_version for s in batch]
        update: UpdateMetrics | None = None
        if batch:
            before = learner.version
            update = await asyncio.to_thread(learner.update, batch)
            if learner.version != before:
                publish(learner, self.policies[name])
        return PolicyStep(
            update, stale, len(state.buffer), learner.version, time.monotonic() - start, ages
        )

    async def _save(self) -> None:
        start = time.monotonic()
        await asyncio.to_thread(
            save_checkpoint,
            self.run.checkpoints,
            self.states,
            step=self.step,
            cursor=self.cursor,
            digest=self.config.digest(),
            keep=self.config.train.keep_checkpoints,
        )
        self.saved = self.step
        self.checkpoint_seconds = time.monotonic() - start
        self.run.update_manifest(steps_done=self.step)

    def _give_up_if_hopeless(self) -> None:
        failures = {name: state.learner.failures for name, state in self.states.items()}
        if min(failures.values()) >= MAX_FAILURES:
            raise TrainingError(
                f"no policy has had a finite loss for {MAX_FAILURES} updates "
                f"({', '.join(failures)}); lower learner.lr and start from the last good weights"
            )
