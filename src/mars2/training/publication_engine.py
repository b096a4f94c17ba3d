"""Weights to an engine in another process, through files; believed only when log-probs agree.

An engine that has loaded new weights may still compute with copies made of the old ones: packed
matrices, an output head tied to the embeddings, cached prefixes. Nothing of that can be seen from
outside but in what the engine computes. So before anyone is answered with new weights it writes
some tokens, and the log-probabilities that it reports of them are compared with the learner's. If
they disagree the publication is refused and the engine has its old weights back.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mars2.agents.hf import quiet
from mars2.errors import Mars2Error, TrainingError
from mars2.training.learning import Learning, SavesAdapters, Scores
from mars2.training.publication import Publication, TrainablePolicy
from mars2.training.sample import Sample
from mars2.types import Generation

Accept = Callable[[Sequence[Generation]], None]
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1}
"""Mean difference in nats by the engine's dtype. docs/vllm.md has what was measured."""


@runtime_checkable
class EnginePolicy(TrainablePolicy, Protocol):
    """A policy whose engine takes weights from files (`mars2.agents.vllm.policy.VllmPolicy`).

    Attributes:
        dtype: the engine computes in.
        adapters: the engine takes LoRA adapters.
        tolerance: mean difference of log-probs that is allowed, None: by dtype.
        outbox: directory that the engine can read.
    """

    dtype: str
    adapters: bool
    tolerance: float | None
    outbox: Path

    def adopt(self, directory: Path, version: int, accept: Accept) -> None:
        """Answer with these weights from now on, unless `accept` refuses the answers to a probe."""
        ...

    def adopt_adapter(self, directory: Path, version: int, accept: Accept) -> None:
        """Likewise, of an adapter on the weights that the engine was started with."""
        ...

    def examine(self, accept: Accept) -> None:
        """Have answers to a probe under the present weights looked at."""
        ...


class EnginePublisher:
    """Writes a Hugging Face directory, or adapters alone where learner and engine know them."""

    def publish(self, learner: Learning, policy: TrainablePolicy) -> Publication:
        """See `mars2.training.publication.Publisher`."""
        assert isinstance(policy, EnginePolicy)
        started = time.monotonic()
        adopt = policy.adopt
        try:
            policy.outbox.mkdir(parents=True, exist_ok=True)
            directory = Path(
                tempfile.mkdtemp(prefix=f"version-{learner.version}-", dir=policy.outbox)
            )
            if policy.adapters and isinstance(learner, SavesAdapters) and learner.has_adapters:
                learner.save_adapters(directory)
                adopt = policy.adopt_adapter
            else:
                with quiet():
                    learner.save(directory)
            found: list[Publication] = []

            def accept(answers: Sequence[Generation]) -> None:
                found.append(agreement(learner, policy, answers, directory))

            adopt(directory, learner.version, accept)
        except (OSError, Mars2Error) as error:
            raise TrainingError(
                f"version {learner.version} could not be published to policy {policy.name!r}: "
                f"{error}"
            ) from error
        (done,) = found
        return Publication(
            done.version,
            time.monotonic() - started,
            done.mean,
            done.max,
            done.tokens,
            done.tolerance,
        )


def examine(learner: Learning, policy: TrainablePolicy) -> Publication | None:
    """Compare an engine with the learner before anything was published; None in this process.

    Raises:
        TrainingError: they do not have the same weights, or the engine cannot be asked.
    """
    if not isinstance(policy, EnginePolicy):
        return None
    found: list[Publication] = []
    policy.examine(lambda answers: found.append(agreement(learner, policy, answers, None)))
    return found[0]


def agreement_line(done: Publication) -> str:
    """For people."""
    return (
        f"log-prob agreement of engine and learner at version {done.version}: {done.mean:.1e} nats "
        f"on average, {done.max:.1e} at most, {done.tokens} tokens (allowed: {done.tolerance:g})"
    )


def agreement(
    learner: Learning, policy: EnginePolicy, answers: Sequence[Generation], directory: Path | None
) -> Publication:
    """How far the engine's log-probs are from the learner's, token by token.

    Args:
        directory: what was published, for a learner that tells no log-probs itself.

    Raises:
        TrainingError: they are further apart than is allowed; says how far.
    """
    samples = [_sample(a, policy) for a in answers]
    ours = _scores(learner, policy, samples, directory)
    gaps = [
        abs(a - b)
        for mine, s in zip(ours, samples, strict=True)
        for a, b in zip(mine, s.logprobs, strict=True)
    ]
    allowed = policy.tolerance or TOLERANCE[policy.dtype]
    mean, worst = statistics.fmean(gaps), max(gaps)
    if not mean <= allowed:  # also NaN
        raise TrainingError(
            f"the engine of policy {policy.name!r} does not have the learner's weights: their "
            f"log-probs of {len(gaps)} tokens differ by {mean:.2g} on average and {worst:.2g} at "
            f"most; {allowed:g} is allowed on average in {policy.dtype} (vllm.tolerance)"
        )
    return Publication(learner.version, 0.0, mean, worst, len(gaps), allowed)


def _scores(
    learner: Learning, policy: EnginePolicy, samples: Sequence[Sample], directory: Path | None
) -> list[list[float]]:
    if isinstance(learner, Scores):
        return learner.score(samples)
    import torch
    from transformers import AutoModelForCausalLM

    from mars2.training.forward import output_logprobs

    model: Any = policy.clone_model()
    if directory is not None:
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    with torch.no_grad():
        return [output_logprobs(model, [s])[0].tolist() for s in samples]


def _sample(answer: Generation, policy: EnginePolicy) -> Sample:
    assert answer.prompt_ids is not None
    assert answer.token_ids is not None
    assert answer.logprobs is not None
    return Sample(
        agent="",
        policy=policy.name,
        prompt_ids=answer.prompt_ids,
        token_ids=answer.token_ids,
        logprobs=answer.logprobs,
        temperature=1.0,
        reward=0.0,
        shaped=0.0,
        advantage=0.0,
        tree_id="probe",
        node_id=0,
        policy_version=answer.policy_version,
        truncated=False,
    )
