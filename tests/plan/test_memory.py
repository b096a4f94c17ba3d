"""Memory: against what autograd keeps of real models, and by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.plan.memory import (
    Stream,
    activation_bytes,
    cache_columns,
    kv_bytes,
    learner_memory,
    local_policy_memory,
)
from mars2.plan.shapes import from_config, shape_of

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 160,
    "vocab_size": 300,
    "max_position_embeddings": 512,
}
KINDS = {
    "llama": {"num_key_value_heads": 2, "head_dim": 16},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 32},
    "gpt_neox": {},
}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_keeps_what_the_formula_says(kind: str, checkpointing: bool, precision: Any) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from mars2.training import forward
    from mars2.training.activation import checkpoint_layers
    from mars2.training.packing import pack

    settings = SIZES | KINDS[kind]
    config = transformers.AutoConfig.for_model(kind, **settings)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    rows = [forward._bare_sample(tuple(range(60)), tuple(range(i, i + 50))) for i in (70, 130, 190)]
    assert forward.abilities(model).packs
    if checkpointing:
        checkpoint_layers(model)
    kept = _kept(torch, model, lambda: forward.output_logprobs(model, rows), precision)
    layout = pack(rows)
    joined = sum(r.end - r.start + sum(b - a for a, b in r.prefix) for r in layout.rows if r.prefix)
    mask = 50 * 110  # two rows have it in common, short by the output that predicts nothing
    stream = Stream(len(layout.tokens), 150, 3, joined, mask=mask)
    shape = from_config(settings | {"model_type": kind}, kind)
    said = activation_bytes(shape, stream, precision, checkpointing)
    if checkpointing:  # nothing is recomputed before the backward pass
        from mars2.plan.memory import layer_bytes

        said -= layer_bytes(shape, stream, precision)
    assert said == pytest.approx(kept, rel=0.12 if checkpointing else 0.06)


def _kept(torch: Any, model: Any, run: Any, precision: str) -> int:
    """Bytes of all storages that a forward pass saves, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    storages: dict[int, int] = {}
    alive = []

    def save(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(save, lambda t: t)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        out = run()
    del out
    return sum(storages.values())


def test_a_full_learner_by_hand() -> None:
    shape = shape_of("hf:Qwen3-8B")
    stream = Stream(1000, 500)
    options: dict[str, Any] = {"precision": "bfloat16", "checkpointing": True}
    memory = learner_memory(shape, stream, reference=True, **options)
    assert memory.weights == 4 * shape.parameters
    assert memory.moments == 8 * shape.parameters
    assert memory.reference == memory.gradients == 4 * shape.parameters
    adapters = learner_memory(shape, stream, reference=True, lora_rank=8, **options)
    assert adapters.reference == 0
    assert adapters.gradients == 4 * shape.lora(8, "all-linear")
    assert adapters.publication == 4 * shape.matrices
    shared = learner_memory(shape, stream, reference=False, shards=4, **options)
    assert shared.moments == memory.moments / 4
    assert shared.activations == memory.activations


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_the_cache_has_a_column_for_every_token(prompt: int, output: int) -> None:
    columns = cache_columns(prompt, output)
    assert prompt + output <= columns <= max(prompt + 64, 1.5 * (prompt + output) + 64)


def test_keys_and_values_by_hand() -> None:
    # 36 layers, 8 heads of 128, keys and values, 2 bytes
    assert kv_bytes(shape_of("hf:Qwen3-8B"), "bfloat16") == 36 * 8 * 128 * 2 * 2


def test_more_of_anything_never_takes_less() -> None:
    shape = shape_of("hf:smollm2")
    small = local_policy_memory(shape, "bfloat16", rows=2, prompt=100, output=50)
    for more in (
        local_policy_memory(shape, "bfloat16", rows=4, prompt=100, output=50),
        local_policy_memory(shape, "bfloat16", rows=2, prompt=300, output=50),
        local_policy_memory(shape, "bfloat16", rows=2, prompt=100, output=150),
        local_policy_memory(shape, "float32", rows=2, prompt=100, output=50),
    ):
        assert more.peak > small.peak
