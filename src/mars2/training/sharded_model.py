"""A model whose weights are spread over processes (FSDP2), and what goes in and out of it whole.

Every function is called by all processes together, in the same order. Whole tensors enter and
leave by rank 0, one at a time: no process ever needs room for a whole model but rank 0, and that
one in the memory of its host.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import AutoModelForCausalLM

from mars2.errors import TrainingError
from mars2.training.activation import layers_of
from mars2.training.forward import abilities, adopt_abilities, compute_through


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A model without its weights: what every process builds its part from."""

    config: Any
    generation: Any
    attention: str
    buffers: dict[str, Tensor]
    device: str  # type of device that the learner computes on


def skeleton_of(model: Any) -> Skeleton:
    """Of a transformers model.

    Raises:
        TrainingError: the model does not say what its layers are, so that it cannot be sharded.
    """
    if not layers_of(model):
        raise TrainingError(
            f"{type(model).__name__} does not say what its layers are, so that it cannot be "
            "sharded: set learner.shards = 1"
        )
    return Skeleton(
        copy.deepcopy(model.config),
        getattr(model, "generation_config", None),
        model.config._attn_implementation,
        {name: b.detach().cpu() for name, b in model.named_buffers()},
        next(model.parameters()).device.type,
    )


def shard_model(
    skeleton: Skeleton, mesh: DeviceMesh, source: Mapping[str, Tensor] | None, *, trained: bool
) -> Any:
    """A float32 model in evaluation mode that holds this process's part of every weight.

    Each layer is gathered for its own forward and backward pass. Embedding and output layer, which
    may be one matrix, are gathered together, for the whole of a pass. Gradients of all processes
    are added up.

    Args:
        source: the weights by name, on rank 0; None elsewhere.
        trained: whether gradients are wanted.
    """
    device = torch.device(skeleton.device)
    if device.type == "cuda":
        device = torch.device("cuda", torch.cuda.current_device())
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            skeleton.config, dtype=torch.float32, attn_implementation=skeleton.attention
        )
    model.tie_weights()
    model.generation_config = skeleton.generation
    for name, buffer in skeleton.buffers.items():
        owner, _, leaf = name.rpartition(".")
        model.get_submodule(owner)._buffers[leaf] = buffer.to(device, copy=True)
    model.eval()
    names = {p: name for name, p in model.named_parameters()}
    made: dict[nn.Parameter, nn.Parameter] = {}
    for module in [*layers_of(model), model]:
        _materialise(module, names, made, source, device, trained)
        last = module is model
        # what is gathered last in a forward pass is the first that the backward pass needs
        fully_shard(module, mesh=mesh, reshard_after_forward=not (last and trained))
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)
    compute_through(model, register_fsdp_forward_method)
    return model


@torch.no_grad()
def find_abilities(model: Any, like: nn.Module | None = None) -> None:
    """Ask a sharded model what `forward.abilities` wants to know; all processes go by rank 0's
    answer. `like`: take over that of another model of the same architecture."""
    if like is not None:
        adopt_abilities(model, abilities(like))
        return
    first = next(model.parameters()).device
    model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=first), use_cache=False)
    found = [abilities(model)]  # body and head are called apart: the last call left both whole
    model.reset_iter_state()  # a way that fails leaves layers gathered
    dist.broadcast_object_list(found, src=0)
    adopt_abilities(model, found[0])


def gathered(model: nn.Module) -> dict[str, Tensor]:
    """The whole weights, in the host's memory, under all of their names; empty but on rank 0."""
    whole: dict[Tensor, Tensor | None] = {}  # what is tied is gathered once
    found: dict[str, Tensor] = {}
    for name, weight in model.state_dict(keep_vars=True).items():
        if weight not in whole:
            whole[weight] = gather(weight.detach())
        if (full := whole[weight]) is not None:
            found[name] = full
    return found


def gather(tensor: Tensor) -> Tensor | None:
    """A whole tensor in the host's memory; None but on rank 0."""
    full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return full.cpu() if dist.get_rank() == 0 else None


@torch.no_grad()
def spread(model: nn.Module, weights: Mapping[str, Tensor] | None) -> None:
    """Inverse of `gathered`: `weights` on rank 0, None elsewhere."""
    for name, parameter in model.named_parameters():
        parameter.copy_(scatter(parameter, None if weights is None else weights[name]))


def scatter(like: Tensor, full: Tensor | None) -> Tensor:
    """This process's part of a tensor that is whole on rank 0, sharded as `like` is."""
    assert isinstance(like, DTensor)
    if full is None:
        given = torch.empty(like.shape, dtype=like.dtype, device=like.device)
    else:
        given = full.to(like.device, like.dtype).contiguous()
    return distribute_tensor(given, like.device_mesh, like.placements)


def _materialise(
    module: nn.Module,
    names: Mapping[nn.Parameter, str],
    made: dict[nn.Parameter, nn.Parameter],
    source: Mapping[str, Tensor] | None,
    device: torch.device,
    trained: bool,
) -> None:
    """Give a module the weights it lacks, as on rank 0. What was one weight stays one."""
    for part in module.modules():
        for leaf, empty in part._parameters.items():
            if empty is None or not empty.is_meta:
                continue
            if empty not in made:
                if source is None:
                    full = torch.empty(empty.shape, device=device)
                else:
                    full = source[names[empty]].detach().to(device, torch.float32, copy=True)
                    full = full.contiguous()
                dist.broadcast(full, src=0)
                made[empty] = nn.Parameter(full, requires_grad=trained)
            part._parameters[leaf] = made[empty]
