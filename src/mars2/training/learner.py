"""The trainer of one policy: its own float32 copy of the weights, optimizer and schedule.

A learner sees samples of its own policy only, and is deterministic: the same samples in the
same order under the same seed give the same weights. It does not know of trees or searches.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mars2.config import LearnerConfig, ObjectiveConfig
from mars2.errors import TrainingError
from mars2.training.forward import (
    batches,
    output_logprobs,
    output_mask,
    rollout_logprobs,
)
from mars2.training.objective import ObjectiveSums, Scale, policy_loss
from mars2.training.sample import Sample
from mars2.training.schedule import learning_rate


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


class Learner:
    """Updates one policy.

    Args:
        policy: name of the policy; samples of another are refused.
        model: a causal language model of this learner alone, float32.
        total_steps: optimizer steps planned for the run (end of the decay).
        max_length: constant output length of Dr. GRPO; None: the longest of each step.
        version: of the weights in `model`.

    Attributes:
        version: counts updates that changed the weights.
        steps: optimizer steps taken, which is all the schedule knows.
        failures: updates in a row in which every step was skipped.
    """

    def __init__(
        self,
        policy: str,
        model: nn.Module,
        config: LearnerConfig,
        objective: ObjectiveConfig,
        *,
        total_steps: int,
        max_length: int | None = None,
        seed: int = 0,
        version: int = 0,
    ) -> None:
        for name, parameter in model.named_parameters():
            if parameter.dtype != torch.float32:
                raise TrainingError(f"policy {policy!r}: weight {name} is not float32")
        self.policy = policy
        # evaluation mode: dropout would make π_θ differ from π_old by noise
        self.model = model.eval().requires_grad_(True)
        self.reference: nn.Module | None = None
        if objective.kl_beta > 0:
            self.reference = copy.deepcopy(model).requires_grad_(False)
        self.config = config
        self.objective = objective
        self.total_steps = total_steps
        self.max_length = max_length
        self.seed = seed
        self.version = version
        self.steps = 0
        self.updates = 0
        self.failures = 0
        matrices = [p for p in model.parameters() if p.ndim >= 2]
        vectors = [p for p in model.parameters() if p.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": config.weight_decay},
                {"params": vectors, "weight_decay": 0.0},  # biases and norms are not decayed
            ],
            lr=config.lr,
        )

    def update(self, samples: Sequence[Sample]) -> UpdateMetrics:
        """Train on the samples once: `config.minibatches` optimizer steps, or fewer if few.

        A step whose loss or gradient is not finite changes nothing and is counted.

        Raises:
            TrainingError: no samples, a sample of another policy, or a token id this model
                does not have.
        """
        self._check(samples)
        order = list(range(len(samples)))
        count = min(self.config.minibatches, len(samples))
        old: list[Tensor] | None = None
        if count > 1:
            random.Random(f"{self.seed}/{self.policy}/{self.updates}").shuffle(order)
            old = self._old_logprobs(samples)
        sums, losses, norms, skipped, rate = ObjectiveSums(), [], [], 0, self._rate()
        for part in range(count):
            chosen = order[part::count]
            loss, norm = self._backward(samples, chosen, old, sums)
            if norm is None:
                skipped += 1
                continue
            rate = self._step()
            losses.append(loss)
            norms.append(norm)
        self.updates += 1
        self.version += bool(losses)
        self.failures = 0 if losses else self.failures + 1
        return UpdateMetrics(
            samples=len(samples),
            tokens=sum(len(s.token_ids) for s in samples),
            optimizer_steps=len(losses),
            skipped_steps=skipped,
            loss=_mean(losses),
            grad_norm=_mean(norms),
            kl=_over(sums.kl, sums.tokens),
            ratio_mean=_over(sums.ratio, sums.ratio_terms),
            clip_fraction=_over(sums.clipped, sums.ratio_terms),
            correction_mean=_over(sums.correction, sums.correction_terms),
            correction_max=sums.correction_max,
            lr=rate,
            version=self.version,
        )

    def state_dict(self) -> dict[str, Tensor]:
        """A copy of the weights, to publish: later updates do not reach into it."""
        return {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    def training_state(self) -> dict[str, Any]:
        """Optimizer and counters, for a checkpoint; the weights are saved apart from it."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "version": self.version,
            "steps": self.steps,
            "updates": self.updates,
            "failures": self.failures,
        }

    def load(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Continue from a checkpoint. The KL reference stays the model given at the start."""
        self.model.load_state_dict(weights)
        self.optimizer.load_state_dict(state["optimizer"])
        self.version = state["version"]
        self.steps = state["steps"]
        self.updates = state["updates"]
        self.failures = state["failures"]

    def _check(self, samples: Sequence[Sample]) -> None:
        if not samples:
            raise TrainingError(f"policy {self.policy!r}: an update needs samples")
        vocabulary = self.model.get_input_embeddings().num_embeddings  # type: ignore[operator]
        for s in samples:
            if s.policy != self.policy:
                raise TrainingError(
                    f"policy {self.policy!r} was given a sample of {s.policy!r} "
                    f"(node {s.node_id} of tree {s.tree_id!r})"
                )
            if not 0 <= max(*s.prompt_ids, *s.token_ids) < vocabulary:
                raise TrainingError(
                    f"policy {self.policy!r}: node {s.node_id} of tree {s.tree_id!r} has a token "
                    f"id beyond the {vocabulary} of its vocabulary"
                )

    @torch.no_grad()
    def _old_logprobs(self, samples: Sequence[Sample]) -> list[Tensor]:
        rows: list[Tensor] = [torch.empty(0)] * len(samples)
        for group in batches(samples, self.config.micro_batch_tokens, self.model):
            batch = output_logprobs(self.model, [samples[i] for i in group])
            for i, row in zip(group, batch, strict=True):
                rows[i] = row[: len(samples[i].token_ids)]
        return rows

    def _backward(
        self,
        samples: Sequence[Sample],
        chosen: Sequence[int],
        old: Sequence[Tensor] | None,
        sums: ObjectiveSums,
    ) -> tuple[float, float | None]:
        """Gradient of one optimizer step, clipped. The norm is None if it is not finite."""
        self.optimizer.zero_grad(set_to_none=True)
        part = [samples[i] for i in chosen]
        scale = Scale.of([len(s.token_ids) for s in part], self.max_length)
        total = 0.0
        for group in batches(part, self.config.micro_batch_tokens, self.model):
            batch = [part[i] for i in group]
            new = output_logprobs(self.model, batch)
            reference = None
            if self.reference is not None:
                with torch.no_grad():
                    reference = output_logprobs(self.reference, batch)
            earlier = None
            if old is not None:
                earlier = nn.utils.rnn.pad_sequence(
                    [old[chosen[i]] for i in group], batch_first=True
                )
            device = new.device
            loss, seen = policy_loss(
                new,
                earlier,
                rollout_logprobs(batch, device),
                reference,
                torch.tensor([s.advantage for s in batch], device=device),
                output_mask(batch, device),
                scale,
                self.objective,
            )
            if not torch.isfinite(loss):
                return float("nan"), None
            loss.backward()
            total += float(loss.detach())
            sums.add(seen)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)
        return total, float(norm) if torch.isfinite(norm) else None

    def _rate(self) -> float:
        return learning_rate(
            self.steps,
            self.total_steps,
            peak=self.config.lr,
            warmup=self.config.warmup_steps,
            schedule=self.config.schedule,
        )

    def _step(self) -> float:
        rate = self._rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        return rate


def _mean(values: Sequence[float]) -> float:
    return _over(sum(values), len(values))


def _over(total: float, count: int) -> float:
    """NaN of nothing: every step was skipped."""
    return total / count if count else float("nan")
