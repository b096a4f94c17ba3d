"""Low-rank adapters (LoRA, arXiv 2106.09685) through peft, in place: the model stays what it is.

Only adapters train, so only they have gradients and optimizer state, and the model without them is
the KL reference. What leaves the learner are merged weights under the model's own names: a policy,
transformers and vLLM need not know that adapters exist.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mars2.config import LearnerConfig
from mars2.errors import TrainingError

_ADAPTER = "default"
_BASE = ".base_layer."


def add_adapters(model: nn.Module, config: LearnerConfig, seed: int) -> None:
    """Give the model adapters that change nothing yet; only they require gradients afterwards.

    Raises:
        TrainingError: peft is missing, or the model has no layer of the given names.
    """
    try:
        from peft import inject_adapter_in_model
    except ImportError as error:
        raise TrainingError(
            f"learner.lora_rank is {config.lora_rank}, which needs peft: pip install 'mars2[lora]'"
        ) from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            inject_adapter_in_model(adapter_config(config), model, adapter_name=_ADAPTER)
        except ValueError as error:
            raise TrainingError(
                f"learner.lora_targets = {config.lora_targets!r} fits no layer of "
                f"{type(model).__name__}: {error}"
            ) from error
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(_is_adapter(name))
    for layer in _layers(model).values():
        # Autocast takes inputs in bfloat16 as they are; peft would make them float32 for it first.
        layer.cast_input_dtype_enabled = config.precision == "float32"


def adapter_config(config: LearnerConfig) -> Any:
    """peft's description of these adapters."""
    from peft import LoraConfig

    return LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        target_modules=config.lora_targets,
        task_type="CAUSAL_LM",
    )


def adapter_weights(model: nn.Module) -> dict[str, Tensor]:
    """The adapters' own tensors (not copies), by name."""
    return {n: w.detach() for n, w in model.state_dict().items() if _is_adapter(n)}


def load_adapter_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Inverse of `adapter_weights`.

    Raises:
        TrainingError: they are of other adapters than the model's.
    """
    own = adapter_weights(model)
    shapes = {n: w.shape for n, w in own.items()}
    if shapes != {n: w.shape for n, w in weights.items()}:
        raise TrainingError(
            "the saved adapters have other names or shapes than this model's: continue with the "
            "learner.lora_* settings and the agents that they were saved under"
        )
    for name, weight in weights.items():
        own[name].copy_(weight)


@torch.no_grad()
def merged_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of the model without adapters that computes the same, under its own names.

    Tensors that no adapter changes are the model's own, not copies.
    """
    changes: dict[str, Any] = {
        name: module.get_delta_weight for name, module in _layers(model).items()
    }
    merged = {}
    for name, weight in model.state_dict().items():
        if _is_adapter(name):
            continue
        owner, found, leaf = name.rpartition(_BASE)
        change = changes[owner](_ADAPTER) if found and leaf == "weight" else None
        merged[f"{owner}.{leaf}" if found else name] = weight if change is None else weight + change
    return merged


@contextlib.contextmanager
def without_adapters(model: nn.Module) -> Iterator[None]:
    """The model as it was before `add_adapters`, for as long as the block lasts."""
    layers = _layers(model).values()
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def save_adapters(path: Path, model: nn.Module, config: LearnerConfig) -> None:
    """Write a directory that `peft.PeftModel.from_pretrained` takes."""
    from safetensors.torch import save_file

    path.mkdir(parents=True, exist_ok=True)
    adapter_config(config).save_pretrained(path)
    tensors = {
        "base_model.model." + name.replace(f".{_ADAPTER}.", "."): weight.contiguous()
        for name, weight in adapter_weights(model).items()
    }
    save_file(tensors, path / "adapter_model.safetensors")


def _is_adapter(name: str) -> bool:
    return ".lora_" in name


def _layers(model: nn.Module) -> dict[str, Any]:
    from peft.tuners.lora import LoraLayer

    return {name: m for name, m in model.named_modules() if isinstance(m, LoraLayer)}
