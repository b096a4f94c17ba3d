"""The way into training: checks, the run directory, the learners; then `mars2.training.loop`.

Nothing is written before everything that can be checked has been. After each checkpoint the run
can be killed and continued: weights come from the latest checkpoint, finished nodes of the steps
since then from the journal. docs/training.md tells what is repeatable, and what happens when
something fails.
"""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import mars2
from mars2 import telemetry
from mars2.agents.base import Agent
from mars2.config import RunConfig
from mars2.errors import ConfigError, ProblemError
from mars2.search.journal import Journal
from mars2.training.checkpoint import export_final, latest_checkpoint
from mars2.training.credit import Writer
from mars2.training.growth import Forest, NodeHook
from mars2.training.keeper import HELDOUT, best_measure
from mars2.training.learner import local_learner
from mars2.training.learning import MakeLearner
from mars2.training.loop import Loop, StepHook, StepReport
from mars2.training.publication import trainable_policies
from mars2.training.rundir import RunDir, problems_digest
from mars2.training.state import policy_states
from mars2.types import Problem

__all__ = ["StepReport", "TrainResult", "train"]

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
    make_learner: MakeLearner = local_learner,
    say: Callable[[str], None] = lambda line: None,
) -> TrainResult:
    """Train all policies of `agents` on `problems`, writing the run into `out`.

    Args:
        open_forest: makes the rollouts on the run's journal; called once, after all checks.
        resume: continue the run in `out` instead of starting one in an empty directory.
        on_start: awaited once before the first step of this call, with the run and the number of
            steps already done; policies have the weights of that step.
        on_step: called after every step, before its checkpoint; may be a coroutine function. What
            it returns is the step's held-out pass@1, or None. Nobody's weights change meanwhile.
            After a kill it is called again for steps that were not yet checkpointed.
        on_node: called for every node, replayed ones of a resumed run included.
        make_learner: makes the learner of each policy that learns; what it holds is its owner's to
            give back.
        say: told in a line what a user should know at once.

    Raises:
        CapabilityError: nobody learns, or an agent that is told to cannot.
        ConfigError, ProblemError: nothing to train on, or settings that contradict each other.
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
    states = policy_states(config, agents, policies, make_learner)
    if resume:
        run.adopt(config)
    else:
        manifest = _manifest(config, agents, problems, digest)
        run = RunDir.create(out, config, manifest | {"learning": sorted(policies)})
    writers = {
        name: Writer(
            agent.policy.name, agent.role.sampling.temperature, agent.role.sampling.max_tokens
        )
        for name, agent in agents.items()
    }
    with Journal.open(run.journal, {"config_hash": run.digest}) as journal:
        telemetry.emit("run directory", path=str(run.path), resumed=resume)  # which is ours now
        forest = open_forest(journal)
        loop = Loop(
            config, run, policies, states, writers, problems, forest, journal.trees, on_node, say
        )
        budget = config.train.time_budget_s
        try:
            loop.restore(latest_checkpoint(run.checkpoints))
            if resume:
                telemetry.emit("training resumed", step=loop.step)
            if on_start is not None:
                await on_start(run, loop.step)
            run.update_manifest(status="running", steps_done=loop.step, error=None, stopped=None)
            start = time.monotonic()
            status = await loop.run(
                on_step, lambda: budget is not None and time.monotonic() - start >= budget
            )
            final = await asyncio.to_thread(export_final, run.final, states)
        except (KeyboardInterrupt, asyncio.CancelledError):
            run.update_manifest(status="interrupted")
            raise
        except Exception as error:
            run.update_manifest(status="failed", error=f"{type(error).__name__}: {error}")
            raise
        finally:
            await loop.close()
    paths = {name: str(path.relative_to(run.path)) for name, path in final.items()}
    stopped = f"train.time_budget_s = {budget}" if status == "stopped" else None
    run.update_manifest(status=status, steps_done=loop.step, final=paths, stopped=stopped)
    telemetry.emit("training ended", step=loop.step, status=status, reason=stopped)
    return TrainResult(status, loop.step, run, final)


def _check(config: RunConfig, problems: Sequence[Problem]) -> None:
    if not problems:
        raise ProblemError("there are no training problems; set problems.train")
    ids = [p.id for p in problems]
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise ProblemError(f"the training problems have the id {twice!r} more than once")
    if best_measure(config) == HELDOUT and not (
        config.train.eval_every and config.problems.heldout
    ):
        raise ConfigError(
            'train.keep_best = "heldout" needs problems.heldout, and train.eval_every above 0'
        )
    if 0 < config.vllm.lora_rank < config.learner.lora_rank:
        raise ConfigError(
            f"vllm.lora_rank ({config.vllm.lora_rank}) is below learner.lora_rank "
            f"({config.learner.lora_rank}): the engine must have room for the adapters"
        )
    batch, least = config.train.batch_samples, config.learner.min_samples
    if batch is not None and batch < least:
        raise ConfigError(f"train.batch_samples ({batch}) is below learner.min_samples ({least})")


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
