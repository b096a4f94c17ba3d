"""Shapes: parameter counts against model cards and against transformers' own models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mars2.agents.spec import parse_spec
from mars2.errors import ConfigError
from mars2.plan.shapes import Shape, from_config, shape_of, table


def published(text: str) -> tuple[float, float]:
    """A number such as "8.2B", and half of its last digit."""
    digits, unit = text[:-1], {"M": 1e6, "B": 1e9}[text[-1]]
    after = len(digits.partition(".")[2])
    return float(digits) * unit, 0.5 * unit / 10**after


@pytest.mark.parametrize("name", table())
def test_parameters_are_the_model_card_s(name: str) -> None:
    row, shape = table()[name], shape_of(f"hf:someone/{name}")
    for key, ours in (("published", shape.parameters), ("of_body", shape.body)):
        if key in row:
            wanted, rounding = published(row[key])
            assert abs(ours - wanted) <= max(rounding * 1.001, 0.01 * wanted)


@pytest.mark.parametrize("name", table())
def test_parameters_are_those_of_the_model_that_transformers_builds(name: str) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    shape = shape_of(f"hf:{name}")
    config = transformers.AutoConfig.for_model(
        table()[name]["model_type"],
        num_hidden_layers=shape.layers,
        hidden_size=shape.hidden,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        intermediate_size=shape.ffn,
        vocab_size=shape.vocab,
        tie_word_embeddings=shape.tied,
    )
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    assert shape.parameters == model.num_parameters()


def test_micro_models_are_read_from_their_config() -> None:
    assert shape_of("micro:lark").parameters == 734_080
    assert shape_of("micro:loom").parameters == 660_608
    assert not shape_of("micro:loom").gated


def test_names_are_found_without_organisation_and_case() -> None:
    assert shape_of("hf:inclusionAI/AReaL-boba-2-8B") == shape_of("hf:qwen/QWEN3-8b")
    assert parse_spec("hf:inclusionAI/AReaL-boba-2-8B").model.endswith("8B")


def test_a_directory_wins_over_the_table(tmp_path: Path) -> None:
    path = tmp_path / "Qwen3-8B"
    path.mkdir()
    config = {
        "model_type": "qwen2",
        "num_hidden_layers": 2,
        "hidden_size": 8,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "vocab_size": 10,
        "max_position_embeddings": 99,
    }
    (path / "config.json").write_text(json.dumps(config))
    shape = shape_of(f"hf:{path}")
    assert (shape.layers, shape.kv_heads, shape.head_dim, shape.tied) == (2, 2, 4, False)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("openai:gpt", "weights are elsewhere"),
        ("hf:nobody/none", "Qwen3-8B"),
    ],
)
def test_what_cannot_be_planned_is_said(spec: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        shape_of(spec)


def test_other_architectures_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="mixtral"):
        from_config(
            {
                "model_type": "mixtral",
                "num_hidden_layers": 1,
                "hidden_size": 8,
                "num_attention_heads": 1,
                "intermediate_size": 8,
                "vocab_size": 8,
                "max_position_embeddings": 8,
            },
            "m",
        )
    with pytest.raises(ConfigError, match="num_attention_heads"):
        from_config({"model_type": "llama"}, "m")


def test_adapters_by_hand() -> None:
    shape = Shape("s", 2, 8, 2, 1, 4, 16, 10, True, 99)
    # q 8->8, k and v 8->4, o 8->8, gate and up 8->16, down 16->8
    assert shape.lora(3, "all-linear") == 2 * 3 * (16 + 12 + 12 + 16 + 24 + 24 + 24)
    assert shape.lora(3, ["q_proj", "v_proj"]) == 2 * 3 * (16 + 12)
    assert shape.merged("all-linear") == shape.matrices
