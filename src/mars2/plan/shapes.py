"""The shape of a model: what its memory and time follow from. From a table or a config.json.

Of every layer only matrix sizes count here. Biases and norms are in the number of parameters,
since the table is tested against published numbers, and nowhere else.
"""

from __future__ import annotations

import functools
import json
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from mars2.agents.spec import parse_spec
from mars2.errors import ConfigError

LOCAL = ("hf", "micro", "vllm")  # back ends whose weights take devices of the run

# What differs between the decoders that are known: biases of the (query, key, value), output and
# feed-forward layers, norms of a layer, norms of queries and keys, a gated feed-forward layer.
_KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {},
    "qwen2": {"qkv_bias": True},
    "qwen3": {"qk_norm": True},
    "gemma3_text": {"qk_norm": True, "norms": 4},
    "gpt_neox": {"qkv_bias": True, "bias": True, "norm_bias": True, "gated": False},
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder-only transformer.

    Attributes:
        ffn: width of the feed-forward layer, `gated` if it has three matrices.
        norms: normalisations of a layer over `hidden`; `qk_norm`: and over each head.
        context: most tokens of prompt and output together.
    """

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    tied: bool
    context: int
    gated: bool = True
    norms: int = 2
    qk_norm: bool = False
    qkv_bias: bool = False
    bias: bool = False
    norm_bias: bool = False

    @property
    def queries(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all key heads together, which is that of the values."""
        return self.kv_heads * self.head_dim

    @property
    def layer_matrices(self) -> int:
        """Elements of one layer's matrices: what a token is multiplied with."""
        attention = self.hidden * (2 * self.queries + 2 * self.keys)
        return attention + (3 if self.gated else 2) * self.hidden * self.ffn

    @property
    def matrices(self) -> int:
        """Of all layers."""
        return self.layers * self.layer_matrices

    @property
    def head(self) -> int:
        """Elements of the output layer (of the embedding, where they are tied)."""
        return self.vocab * self.hidden

    @property
    def body(self) -> int:
        """All parameters but embedding and output layer."""
        norm = self.hidden * (2 if self.norm_bias else 1)
        layer = self.layer_matrices + self.norms * norm
        layer += 2 * self.head_dim if self.qk_norm else 0
        layer += self.queries + 2 * self.keys if self.qkv_bias else 0
        layer += self.ffn + 2 * self.hidden if self.bias else 0
        return self.layers * layer + norm

    @property
    def parameters(self) -> int:
        """All."""
        return self.body + self.head * (1 if self.tied else 2)

    def lora(self, rank: int, targets: str | list[str]) -> int:
        """Elements of adapters of this rank on all layers' matrices, or on the named ones."""
        h, q, k, f = self.hidden, self.queries, self.keys, self.ffn
        ends = {"q_proj": h + q, "k_proj": h + k, "v_proj": h + k, "o_proj": q + h}
        ends |= {"up_proj": h + f, "down_proj": f + h} | (
            {"gate_proj": h + f} if self.gated else {}
        )
        named = list(ends) if targets == "all-linear" else [t for t in targets if t in ends]
        return self.layers * rank * sum(ends[name] for name in named)

    def merged(self, targets: str | list[str]) -> int:
        """Elements of the matrices that adapters change: they are made anew to be published."""
        h, q, k, f = self.hidden, self.queries, self.keys, self.ffn
        sizes = {"q_proj": h * q, "k_proj": h * k, "v_proj": h * k, "o_proj": q * h}
        sizes |= {"up_proj": h * f, "down_proj": f * h, "gate_proj": h * f if self.gated else 0}
        named = list(sizes) if targets == "all-linear" else [t for t in targets if t in sizes]
        return self.layers * sum(sizes[name] for name in named)


@functools.cache
def table() -> dict[str, dict[str, Any]]:
    """The published architectures by name."""
    text = resources.files("mars2.plan").joinpath("architectures.toml").read_text("utf-8")
    return tomllib.loads(text)


def shape_of(spec: str) -> Shape:
    """Of an agent's `hf:`, `vllm:` or `micro:` spec: its directory's config.json, or the table.

    Raises:
        ConfigError: neither has it, or its architecture is not one that is known here; says which
            are.
    """
    parsed = parse_spec(spec)
    if parsed.backend not in LOCAL:
        raise ConfigError(f"{spec}: its weights are elsewhere, so there is nothing to plan for")
    path = Path(parsed.model).expanduser()
    if parsed.backend == "micro" and not path.is_dir():
        from mars2.lab.specs import weights_dir

        path = weights_dir(parsed.model)
    if (path / "config.json").is_file():
        return from_config(json.loads((path / "config.json").read_text("utf-8")), parsed.model)
    wanted = parsed.model.rsplit("/", 1)[-1].lower()
    for name, row in table().items():
        if wanted in (n.lower() for n in [name, *row.get("also", [])]):
            return _shape(name, **{k: v for k, v in row.items() if k not in _NOT_SHAPE})
    raise ConfigError(
        f"{spec}: no directory with a config.json here, and not one of the architectures known by "
        f"name: {', '.join(table())}. Give a directory: hf:PATH"
    )


_NOT_SHAPE = ("published", "of_body", "also")


def from_config(config: dict[str, Any], name: str) -> Shape:
    """Of a Hugging Face config.json.

    Raises:
        ConfigError: another kind of model, or a size is missing.
    """
    config = config.get("text_config", config)
    kind = str(config.get("model_type"))
    try:
        heads = config["num_attention_heads"]
        return _shape(
            name,
            model_type=kind,
            layers=config["num_hidden_layers"],
            hidden=config["hidden_size"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or config["hidden_size"] // heads,
            ffn=config["intermediate_size"],
            vocab=config["vocab_size"],
            tied=bool(config.get("tie_word_embeddings", kind == "gemma3_text")),
            context=config["max_position_embeddings"],
        )
    except KeyError as error:
        raise ConfigError(f"{name}: its config.json has no {error}") from None


def _shape(name: str, *, model_type: str, **sizes: Any) -> Shape:
    if model_type not in _KINDS:
        raise ConfigError(
            f"{name}: models of type {model_type!r} are not known here; known are "
            f"{', '.join(_KINDS)}"
        )
    return Shape(name=name, **sizes, **_KINDS[model_type])
