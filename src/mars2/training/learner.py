"""The trainer of one policy: its own float32 copy of the weights, optimizer and schedule.

A learner sees samples of its own policy only, and is deterministic: the same samples in the
same order under the same seed give the same weights. It does not know of trees or searches.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from mars2.config import LearnerConfig, ObjectiveConfig
from mars2.errors import TrainingError
from mars2.training import lora
from mars2.training.accumulate import accumulate_in_place, accumulates_in_place
from mars2.training.activation import checkpoint_beyond, checkpoint_layers
from mars2.training.forward import (
    batches,
    output_logprobs,
    output_logprobs_and_entropy,
    output_mask,
    rollout_logprobs,
)
from mars2.training.learning import LearnerSetup, UpdateMetrics
from mars2.training.limits import CARES, LEAST_ROOM, ROOM
from mars2.training.memory import Heap
from mars2.training.objective import ObjectiveSums, Scale, policy_loss
from mars2.training.reach import bearable
from mars2.training.sample import Sample
from mars2.training.schedule import learning_rate

if TYPE_CHECKING:
    from mars2.training.publication import TrainablePolicy


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
        self.config = config
        self.objective = objective
        self.total_steps = total_steps
        self.max_length = max_length
        self.seed = seed
        self.version = version
        self.steps = 0
        self.updates = 0
        self.failures = 0
        self.reference = self._prepare(model)
        trained = [p for p in model.parameters() if p.requires_grad]
        self._heap = self._care(trained)
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": [p for p in trained if p.ndim >= 2],
                    "weight_decay": config.weight_decay,
                },
                # biases and norms are not decayed
                {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
            ],
            lr=config.lr,
            # one pass over the weights, without temporary copies of them
            fused=all(p.device.type in ("cpu", "cuda") for p in trained),
        )

    def _prepare(self, model: nn.Module) -> nn.Module | None:
        """Make the model ready to be trained. Returns the reference, if it is another model."""
        reference: nn.Module | None = None
        if self.config.lora_rank:
            seed = random.Random(f"{self.seed}/{self.policy}").getrandbits(32)
            lora.add_adapters(model, self.config, seed=seed)
        elif self.objective.needs_reference:
            reference = copy.deepcopy(model).requires_grad_(False)
        checkpoint_activations(model, self.config.activation_checkpointing)
        accumulate_in_place(model)
        return reference

    def _care(self, trained: Sequence[nn.Parameter]) -> Heap | None:
        on_cpu = all(p.device.type == "cpu" for p in trained)
        if not on_cpu or held_here(self.model) < CARES:
            return None
        return Heap([p for p in trained if not accumulates_in_place(p)])

    @property
    def concurrent(self) -> bool:
        """On CPUs all may learn at once; on one accelerator they would share its memory."""
        return next(self.model.parameters()).device.type == "cpu"

    def update(self, samples: Sequence[Sample]) -> UpdateMetrics:
        """Train on the samples once: `config.minibatches` optimizer steps, or fewer if few.

        A step whose loss or gradient is not finite, or after which the weights might not be,
        changes nothing and is counted.

        Raises:
            TrainingError: no samples, a sample of another policy, or a token id this model
                does not have.
        """
        self.check(samples)
        order = list(range(len(samples)))
        count = min(self.config.minibatches, len(samples))
        old: list[Tensor] | None = None
        if count > 1:
            random.Random(f"{self.seed}/{self.policy}/{self.updates}").shuffle(order)
            old = self._old_logprobs(samples)
        sums, losses, norms, skipped, rate = ObjectiveSums(), [], [], 0, self._rate()
        for part in range(count):
            chosen = order[part::count]
            loss, norm, seen = self._backward(samples, chosen, old)
            if norm is None or not bearable(self.optimizer, self._rate()):
                self._forget_gradients()
                skipped += 1
                continue
            sums.add(seen)
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
            dual_clip_fraction=_over(sums.dual_clipped, sums.ratio_terms),
            corrected_fraction=_over(sums.corrected, sums.correction_terms),
            entropy=sums.entropy / sums.entropy_terms if sums.entropy_terms else None,
        )

    def weights(self) -> dict[str, Tensor]:
        """The weights to publish, those of adapters merged, under the names of the plain model.

        Not copies, where nothing had to be merged: the next update changes them.
        """
        if self.config.lora_rank:
            return lora.merged_weights(self.model)
        return {name: weight.detach() for name, weight in self.model.state_dict().items()}

    def state_dict(self) -> dict[str, Tensor]:
        """A copy of `weights()`: later updates do not reach into it."""
        return {name: weight.clone() for name, weight in self.weights().items()}

    def save(self, path: Path) -> None:
        """Write a Hugging Face directory of `weights()`; with adapters, these in `path`/adapter."""
        self.model.save_pretrained(path, state_dict=self.weights())  # type: ignore[operator]
        if self.has_adapters:
            self.save_adapters(path / "adapter")

    @property
    def has_adapters(self) -> bool:
        """Whether adapters train, and not all weights."""
        return self.config.lora_rank > 0

    def save_adapters(self, path: Path) -> None:
        """Write a directory that peft and vLLM load."""
        lora.save_adapters(path, self.model, self.config)

    @torch.no_grad()
    def score(self, samples: Sequence[Sample]) -> list[list[float]]:
        """Log-probs of each sample's output tokens under the present weights, in float32."""
        return [row.tolist() for row in self._rows(samples)]

    def training_state(self) -> dict[str, Any]:
        """Optimizer and counters, for a checkpoint; the weights are saved apart from it."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "version": self.version,
            "steps": self.steps,
            "updates": self.updates,
            "failures": self.failures,
            "adapters": lora.adapter_weights(self.model) if self.config.lora_rank else None,
        }

    def load(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Continue from a checkpoint. The KL reference stays the model given at the start.

        Args:
            weights: as of `weights()`. With adapters, they only serve to check the model that these
                are laid on.

        Raises:
            TrainingError: the adapters of the checkpoint do not fit, or gave other weights.
        """
        if self.config.lora_rank:
            lora.load_adapter_weights(self.model, state["adapters"] or {})
            own = self.weights()
            changed = [n for n, w in weights.items() if not torch.equal(w, own[n])]
            if changed:
                raise TrainingError(
                    f"policy {self.policy!r}: with the checkpoint's adapters, {changed[0]} is not "
                    "what the checkpoint holds: the agent's model is not the one that was trained"
                )
        else:
            self.model.load_state_dict(weights)
        self._restore(state)

    def _restore(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.version = state["version"]
        self.steps = state["steps"]
        self.updates = state["updates"]
        self.failures = state["failures"]

    def check(self, samples: Sequence[Sample]) -> None:
        """Raises TrainingError as `update` does, which begins with this."""
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

    def _autocast(self) -> Any:
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(next(self.model.parameters()).device.type, torch.bfloat16)

    @torch.no_grad()
    def _old_logprobs(self, samples: Sequence[Sample]) -> list[Tensor]:
        with self._autocast():
            return self._rows(samples)

    def _rows(self, samples: Sequence[Sample]) -> list[Tensor]:
        """Log-probs of each sample's output tokens, without padding."""
        rows: list[Tensor] = [torch.empty(0)] * len(samples)
        for group in batches(samples, self.config.micro_batch_tokens, self.model):
            batch = output_logprobs(self.model, [samples[i] for i in group])
            for i, row in zip(group, batch, strict=True):
                rows[i] = row[: len(samples[i].token_ids)]
        return rows

    @torch.no_grad()
    def _reference_logprobs(self, batch: Sequence[Sample]) -> Tensor | None:
        """Under the model that the learner was given: a copy, or this one without adapters."""
        if not self.objective.needs_reference:
            return None
        if self.reference is not None:
            with self._autocast():
                return output_logprobs(self.reference, batch)
        with lora.without_adapters(self.model), self._autocast():
            return output_logprobs(self.model, batch)

    def _new_logprobs(self, batch: Sequence[Sample]) -> tuple[Tensor, Tensor | None]:
        """With gradients; and the entropies if the objective wants them."""
        with self._autocast():
            if self.objective.needs_entropy:
                return output_logprobs_and_entropy(self.model, batch)
            return output_logprobs(self.model, batch), None

    def _backward(
        self, samples: Sequence[Sample], chosen: Sequence[int], old: Sequence[Tensor] | None
    ) -> tuple[float, float | None, ObjectiveSums]:
        """Gradient of one optimizer step, clipped. The norm is None if it is not finite."""
        self._forget_gradients()
        part = [samples[i] for i in chosen]
        scale = Scale.of([len(s.token_ids) for s in part], self.max_length)
        total, sums = 0.0, ObjectiveSums()
        for group in batches(part, self.config.micro_batch_tokens, self.model):
            rows = None if old is None else [old[chosen[i]] for i in group]
            loss, seen = self._loss([part[i] for i in group], rows, scale)
            if not torch.isfinite(loss):
                return float("nan"), None, sums
            self._pass_back(loss)
            total += float(loss.detach())
            sums.add(seen)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)
        return total, float(norm) if torch.isfinite(norm) else None, sums

    def _loss(
        self, batch: Sequence[Sample], old: Sequence[Tensor] | None, scale: Scale
    ) -> tuple[Tensor, ObjectiveSums]:
        """A micro-batch's share of the loss, with gradient."""
        reference = self._reference_logprobs(batch)
        new, entropy = self._new_logprobs(batch)
        device = new.device
        earlier = None
        if old is not None:
            earlier = nn.utils.rnn.pad_sequence(list(old), batch_first=True)
        return policy_loss(
            new,
            earlier,
            rollout_logprobs(batch, device),
            reference,
            torch.tensor([s.advantage for s in batch], device=device),
            output_mask(batch, device),
            scale,
            self.objective,
            entropy=entropy,
        )

    def _pass_back(self, loss: Tensor) -> None:
        if self._heap is not None:
            self._heap.trim()
        loss.backward()
        if self._heap is not None:
            self._heap.trim()

    def _forget_gradients(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        if self._heap is not None:
            self._heap.release()

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
        self._forget_gradients()
        self.steps += 1
        return rate


def local_learner(setup: LearnerSetup, policy: TrainablePolicy) -> Learner:
    """A learner in this process, on a copy of the policy's model."""
    return Learner(
        setup.policy,
        policy.clone_model(),
        setup.config,
        setup.objective,
        total_steps=setup.total_steps,
        max_length=setup.max_length,
        seed=setup.seed,
        version=setup.version,
    )


def checkpoint_activations(model: nn.Module, how: bool | str) -> None:
    """As `learner.activation_checkpointing` says."""
    if how == "auto":
        checkpoint_beyond(model, max(held_here(model) // ROOM, LEAST_ROOM))
    elif how:
        checkpoint_layers(model, "light" if how == "light" else "all")


def held_here(model: nn.Module) -> int:
    """Bytes of weights, gradients and AdamW's two moments in this process."""
    parts = [(p, p.to_local() if isinstance(p, DTensor) else p) for p in model.parameters()]
    return sum(part.nbytes * (4 if p.requires_grad else 1) for p, part in parts)


def _mean(values: Sequence[float]) -> float:
    return _over(sum(values), len(values))


def _over(total: float, count: int) -> float:
    """NaN of nothing: every step was skipped."""
    return total / count if count else float("nan")
