"""Runs inside a vLLM worker (`--worker-extension-cls mars2_vllm.Worker`), in vLLM's own Python.

vLLM's `reload_weights` loads a checkpoint in place but leaves out what is derived from a weight
that two layers share: with tied embeddings no tensor of the checkpoint names the output head, so
the head is not processed again, and on the CPU it computes with a packed copy of the old weights.

And when a prompt is read in several parts, vLLM turns a seeded request's generator back by the draw
that came of the unfinished prompt, which torch's generators for the CPU cannot do: the engine ends.
This file imports nothing of mars2, which need not be installed beside vLLM.
"""

from __future__ import annotations

from typing import Any

import torch


class CpuGenerator(torch.Generator):
    """A generator that can be turned back while nothing that it drew is in use: to its seed."""

    def get_offset(self) -> int:
        """vLLM asks for this and sets it 4 lower."""
        return 4

    def set_offset(self, offset: int) -> torch.Generator:
        """Begin again."""
        return self.manual_seed(self.initial_seed())


def _on_cpu() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


if _on_cpu():
    torch.Generator = CpuGenerator  # type: ignore[misc]


class Worker:
    """Methods that vLLM mixes into its worker class, called through `collective_rpc`."""

    model_runner: Any

    def mars2_adopt(self, path: str) -> dict[str, Any]:
        """Load the safetensors in `path` into the running model, every copy of them included.

        Returns:
            How many shared heads had to be processed once more.
        """
        with torch.inference_mode():
            self.model_runner.reload_weights(weights_path=path)
            return {"heads": _process_shared(self.model_runner.get_model())}


def _process_shared(model: torch.nn.Module) -> int:
    """Derive again what layers made of a weight that they share with another layer."""
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead

    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    count = 0
    for module in model.modules():
        if isinstance(module, ParallelLMHead) and owners.get(id(module.weight), 0) > 1:
            module.quant_method.process_weights_after_loading(module)
            count += 1
    return count
