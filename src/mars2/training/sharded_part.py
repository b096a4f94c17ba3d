"""What one process does for a learner that is spread over several.

All processes call the same methods in the same order with the same arguments, and each computes
its share of the micro-batches. The loss is that of one process: its normalisers count the whole
optimizer step, and gradients are added up. Since every pass gathers weights from all processes,
all make the same number of passes; who has no samples left makes one over a token that counts for
nothing, and nobody stops at a loss that is not finite before all know of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh

from mars2.training.forward import batches, output_logprobs
from mars2.training.learner import Learner, checkpoint_activations, held_here
from mars2.training.learning import LearnerSetup
from mars2.training.limits import CARES
from mars2.training.memory import Heap
from mars2.training.objective import ObjectiveSums, Scale
from mars2.training.sample import Sample
from mars2.training.sharded_model import (
    Skeleton,
    find_abilities,
    gather,
    gathered,
    scatter,
    shard_model,
    spread,
)


class Part(Learner):
    """One process's part of a sharded learner: a shard of weights, gradients and moments.

    Args:
        source: the weights by name, on rank 0; None elsewhere.
    """

    def __init__(
        self, setup: LearnerSetup, skeleton: Skeleton, *, source: Mapping[str, Tensor] | None = None
    ) -> None:
        mesh = init_device_mesh(skeleton.device, (dist.get_world_size(),))
        model = shard_model(skeleton, mesh, source, trained=True)
        find_abilities(model)
        self._frozen: Any = None
        if setup.objective.needs_reference:
            self._frozen = shard_model(skeleton, mesh, source, trained=False)
            find_abilities(self._frozen, like=model)
        super().__init__(
            setup.policy,
            model,
            setup.config,
            setup.objective,
            total_steps=setup.total_steps,
            max_length=setup.max_length,
            seed=setup.seed,
            version=setup.version,
        )
        if self._heap is not None:
            self._heap.trim()  # of the whole layers that were cut up

    def _prepare(self, model: nn.Module) -> nn.Module | None:
        checkpoint_activations(model, self.config.activation_checkpointing)
        return self._frozen

    def _care(self, trained: Sequence[nn.Parameter]) -> Heap | None:
        # FSDP makes and moves the gradients itself; only the holes of the heap are cared for
        on_cpu = trained[0].device.type == "cpu"
        return Heap([]) if on_cpu and held_here(self.model) >= CARES else None

    # ------------------------------------------------------------------ whole tensors

    def weights(self) -> dict[str, Tensor]:
        """The whole weights in the host's memory; empty but on rank 0."""
        return gathered(self.model)

    def training_state(self) -> dict[str, Any]:
        """That of a learner in one process, on rank 0."""
        state = super().training_state()
        optimizer = state["optimizer"]
        optimizer["state"] = {
            i: {key: gather(value) for key, value in moments.items()}
            for i, moments in optimizer["state"].items()
        }
        return state

    def resume(
        self,
        state: dict[str, Any],
        *,
        weights: Mapping[str, Tensor] | None = None,
        moments: Mapping[int, Mapping[str, Tensor]] | None = None,
    ) -> None:
        """Continue from a checkpoint.

        Args:
            state: a training state whose optimizer has None in the place of moments.
            weights, moments: whole ones, on rank 0.
        """
        spread(self.model, weights)
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        known = state["optimizer"]["state"]
        for i, values in known.items():
            for key, value in values.items():
                if value is None:
                    full = None if moments is None else moments[i][key]
                    values[key] = scatter(trained[i], full)
        self._restore(state)

    # ------------------------------------------------------------------ passes

    def _shares(self, samples: Sequence[Sample]) -> list[list[int]]:
        """Indices of the samples of each of this process's passes; none in an empty one."""
        ranks = dist.get_world_size()
        groups = batches(samples, self.config.micro_batch_tokens, self.model, ranks)
        return deal(groups, [_length(s) for s in samples], ranks)[dist.get_rank()]

    def _rows(self, samples: Sequence[Sample]) -> list[Tensor]:
        mine: dict[int, Tensor] = {}
        for group in self._shares(samples):
            batch = output_logprobs(self.model, [samples[i] for i in group] or [_NOBODY])
            for i, row in zip(group, batch, strict=False):
                mine[i] = row[: len(samples[i].token_ids)].cpu()
        device = next(self.model.parameters()).device
        everyone = {i: row for part in _exchange(mine) for i, row in part.items()}
        return [everyone[i].to(device) for i in range(len(samples))]

    def _backward(
        self, samples: Sequence[Sample], chosen: Sequence[int], old: Sequence[Tensor] | None
    ) -> tuple[float, float | None, ObjectiveSums]:
        self._forget_gradients()
        part = [samples[i] for i in chosen]
        scale = Scale.of([len(s.token_ids) for s in part], self.max_length)
        total, sums = 0.0, ObjectiveSums()
        for group in self._shares(part):
            if group:
                rows = None if old is None else [old[chosen[i]] for i in group]
                loss, seen = self._loss([part[i] for i in group], rows, scale)
                total += float(loss.detach())
                sums.add(seen)
            else:
                loss = 0.0 * self._loss([_NOBODY], None, scale)[0]
            self._pass_back(loss)
        total, sums = _together(_exchange((total, sums)))
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm: Any = nn.utils.clip_grad_norm_(trained, self.config.max_grad_norm)
        size = float(norm.full_tensor())
        return total, size if math.isfinite(size) and math.isfinite(total) else None, sums


def deal(groups: Sequence[list[int]], lengths: Sequence[int], ranks: int) -> list[list[list[int]]]:
    """Micro-batches for each rank, as many for every one: those of about equal length at the same
    time, and nothing for who is left over in the last round."""
    order = sorted(groups, key=lambda g: -sum(lengths[i] for i in g))
    order += [[]] * (-len(order) % ranks)
    return [order[rank::ranks] for rank in range(ranks)]


def _together(parts: Sequence[tuple[float, ObjectiveSums]]) -> tuple[float, ObjectiveSums]:
    sums = ObjectiveSums()
    for _, seen in parts:
        sums.add(seen)
    return sum(loss for loss, _ in parts), sums


def _exchange(mine: Any) -> list[Any]:
    """What every rank has, by rank."""
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, mine)
    return parts


def _length(sample: Sample) -> int:
    return len(sample.prompt_ids) + len(sample.token_ids)


_NOBODY = Sample(
    agent="",
    policy="",
    prompt_ids=(0,),
    token_ids=(0,),
    logprobs=(0.0,),
    temperature=1.0,
    reward=0.0,
    shaped=0.0,
    advantage=0.0,
    tree_id="",
    node_id=0,
    policy_version=0,
    truncated=False,
)
"""A pass that has to be made, but has no samples."""
