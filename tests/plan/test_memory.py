"""Memory: against what autograd keeps of real models, and by hand."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.plan.memory import (
    Stream,
    activation_bytes,
    added_in_place,
    cache_columns,
    checkpoint_room,
    kv_bytes,
    layer_bytes,
    learner_memory,
    local_policy_memory,
    logits_bytes,
    whole_layers,
)
from mars2.plan.shapes import Shape, from_config, shape_of

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


# 4 layers of 2,048 wide: 48 M elements each, 210 M in all with its two vocabularies, so 3.4 GB of
# weights, gradients and moments and 210 MB of room.
WIDE = Shape(
    name="wide",
    layers=4,
    hidden=2048,
    heads=16,
    kv_heads=16,
    head_dim=128,
    ffn=5120,
    vocab=4096,
    tied=False,
    context=8192,
)
PER_TOKEN = 4 * (6 * 2048 + 5 * 2048 + 4 * 5120)  # bytes that one of its layers keeps


def test_room_by_hand() -> None:
    parameters = 4 * (4 * 2048**2 + 3 * 2048 * 5120 + 2 * 2048) + 2048 + 2 * 4096 * 2048
    assert WIDE.parameters == parameters
    assert checkpoint_room(WIDE) == parameters  # 16 bytes each, a sixteenth of it
    assert checkpoint_room(WIDE, shards=2) == 128 << 20
    assert checkpoint_room(shape_of("micro:lark")) == 128 << 20
    # Frozen weights have neither gradients nor moments.
    frozen, adapters = 4 * shape_of("hf:Qwen3-8B").parameters, 1_000_000
    room = checkpoint_room(shape_of("hf:Qwen3-8B"), adapters)
    assert room == (frozen + 16 * adapters) // 16


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [(100, 4), (304, 4), (305, 3), (406, 3), (407, 2), (609, 2), (610, 1), (10_000, 1)],
)
def test_auto_keeps_the_layers_that_fit_by_hand(tokens: int, kept: int) -> None:
    assert layer_bytes(WIDE, Stream(tokens, 0), "float32") == PER_TOKEN * tokens
    assert kept == max(1, min(4, WIDE.parameters // (PER_TOKEN * tokens)))
    stream = Stream(tokens, 0)
    assert whole_layers(WIDE, stream, "float32", "auto") == kept
    said = activation_bytes(WIDE, stream, "float32", "auto")
    ends = 4 * 2048 * 2 * tokens
    inputs = (4 - kept) * 4 * 2048 * tokens
    # While one is computed again, those that kept everything still do.
    assert said == (min(4, kept + 1)) * PER_TOKEN * tokens + inputs + ends
    everything = activation_bytes(WIDE, stream, "float32", False)
    none = activation_bytes(WIDE, stream, "float32", True)
    if kept == 4:
        assert said == everything
    else:
        assert said - none == kept * (PER_TOKEN - 4 * 2048) * tokens
        # The last layer of all, computed again, is there with its input and all the others.
        assert said < everything or kept == 3


def test_what_the_first_layer_makes_for_all_counts_as_its_own() -> None:
    stream = Stream(300, 0, mask=8_000_000)  # 32 MB, and 52 MB of layer
    assert whole_layers(WIDE, stream, "float32", "auto") == 2
    # 32 MB of layer, and 96 MB of its matrices in bfloat16
    assert whole_layers(WIDE, Stream(300, 0), "bfloat16", "auto") == 1
    assert whole_layers(WIDE, Stream(300, 0), "bfloat16", False) == 4


@pytest.mark.parametrize("tokens", [(40,), (60, 50), (160, 150)])
def test_auto_is_what_the_learner_does(tokens: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from mars2.training import forward
    from mars2.training.activation import checkpoint_beyond

    config = transformers.AutoConfig.for_model("llama", **SIZES | KINDS["llama"])
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    assert forward.abilities(model).packs
    shape = from_config(SIZES | KINDS["llama"] | {"model_type": "llama"}, "llama")
    row = forward._bare_sample(tuple(range(tokens[0])), (7, 8, *tokens[1:]))
    stream = Stream(tokens[0] + len(tokens), 1 + len(tokens))
    for wanted in (1, 2, 3):
        room = round((wanted + 0.5) * layer_bytes(shape, stream, "float32"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mars2.plan.memory.LEAST_ROOM", room)
            patch.setattr("mars2.plan.memory.ROOM", 1 << 40)
            assert whole_layers(shape, stream, "float32", "auto") == wanted
            said = activation_bytes(shape, stream, "float32", "auto")
        checkpoint_beyond(fresh := copy.deepcopy(model), room)
        kept = _kept(torch, fresh, lambda m=fresh: forward.output_logprobs(m, [row]), "float32")
        # The learner measures its first layer itself, so nobody else sees what that keeps.
        layer = layer_bytes(shape, stream, "float32")
        again = layer if wanted < shape.layers else 0
        assert said - again - layer == pytest.approx(kept, rel=0.12)


def test_large_gradients_are_added_where_they_are_kept() -> None:
    small, large = shape_of("hf:smollm2"), WIDE
    assert added_in_place(large) == 2 * 4096 * 2048  # two matrices of 8 M elements
    assert added_in_place(small) == small.head  # tied: one
    assert added_in_place(shape_of("micro:lark")) == 0
    assert logits_bytes(large, "float32", True) == logits_bytes(large, "float32", False)
    lark = shape_of("micro:lark")
    more = logits_bytes(lark, "float32", True) - logits_bytes(lark, "float32", False)
    assert more == 4 * lark.head


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
    head = 151936 * 4096  # and an embedding apart from it; a layer; all of them whole, in float32
    assert shared.weights == memory.weights / 4 + 4 * (2 * shape.layer_matrices + 2 * head)
    assert shared.gradients == memory.gradients / 4 + 4 * (shape.layer_matrices + head)
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
