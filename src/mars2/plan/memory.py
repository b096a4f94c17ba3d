"""Bytes that a learner and a generating policy hold at their peak. Pure functions of shapes.

Weights, gradients and moments follow from `mars2.training.learner` (float32, AdamW). What a pass
keeps was counted from the operations of a decoder layer in transformers and agrees with what
autograd saves to 1 % (tests/plan/test_memory.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from mars2.plan.shapes import Shape
from mars2.training.limits import CHUNK_ELEMENTS, LARGE, LEAST_ROOM, ROOM

Precision = Literal["float32", "bfloat16"]
BYTES: dict[str, int] = {"float32": 4, "bfloat16": 2}
_PREFILL = 16384  # tokens of one prefill pass: mars2.agents.sampler
_GROWTH = 64  # columns by which a full cache grows at least: mars2.agents.kvcache


@dataclass(frozen=True, slots=True)
class Stream:
    """One packed micro-batch (`mars2.training.packing`), in tokens.

    Attributes:
        tokens: that go through the layers, shared beginnings once.
        outputs: that are trained on: the output layer runs there only.
        rows: pieces of which each is one call of attention.
        joined: keys that rows with a shared beginning copy: beginning and own, summed over them.
        pairs: (query, key) pairs that attention computes.
        mask: elements of the explicit masks of rows with a shared beginning.
    """

    tokens: int
    outputs: int
    rows: int = 1
    joined: int = 0
    pairs: int = 0
    mask: int = 0


def layer_bytes(shape: Shape, stream: Stream, precision: Precision) -> float:
    """What one layer keeps for its backward pass, bytes.

    Of each token, in elements (h = hidden, q, k = widths of queries and of keys, f = ffn):
    gated with RMSNorm, per norm the input, the normalised and the scaled one, 6 h; queries, keys,
    values, the attention's output and its copy, 3 q + 2 k; gate, its activation, up and their
    product, 4 f. GPT-NeoX: 7 h + 3 h of query, key and value together, 2 f. Norms of queries and
    keys keep 2 (q + k) more. With autocast, norms stay float32, and each product has its own
    bfloat16 copy of its input.
    """
    h, q, k, f = shape.hidden, shape.queries, shape.keys, shape.ffn
    heads = 2 * (q + k) if shape.qk_norm else 0
    wide, narrow = 0, 0  # elements of 4 bytes, and of the precision
    if not shape.gated:
        wide, narrow = h, 9 * h + 2 * f
    else:
        wide, narrow = 2 * shape.norms * h + heads, shape.norms * h + 3 * q + 2 * k + 4 * f
        if precision == "bfloat16":
            narrow += 3 * h  # queries, keys and values each cast their input, gate and up theirs
    size = BYTES[precision]
    per_token = 4 * wide + size * narrow
    return stream.tokens * per_token + size * 2 * k * stream.joined


def checkpoint_room(shape: Shape, adapters: int = 0, shards: int = 1) -> float:
    """Bytes within which layers keep what they compute with "auto" (`mars2.training.limits`)."""
    trained = adapters or shape.parameters
    frozen = shape.parameters if adapters else 0
    return max((4.0 * frozen + 16.0 * trained) / shards // ROOM, LEAST_ROOM)


def whole_layers(
    shape: Shape,
    stream: Stream,
    precision: Precision,
    checkpointing: bool | str,
    *,
    adapters: int = 0,
    shards: int = 1,
) -> int:
    """Layers that keep all they compute: with "auto" as many as fit, the first one always.

    The first layer alone is measured by the learner, so what all have in common counts as its own:
    the masks, and with autocast its matrices in bfloat16 (`mars2.training.activation`).
    """
    if checkpointing != "auto":
        return 0 if checkpointing else shape.layers
    first = _layer(shape, stream, precision, adapters) + BYTES[precision] * stream.mask
    first += _casts(shape, precision)
    fit = int(checkpoint_room(shape, adapters, shards) // max(1.0, first))
    return max(1, min(shape.layers, fit))


def activation_bytes(
    shape: Shape,
    stream: Stream,
    precision: Precision,
    checkpointing: bool | str,
    *,
    adapters: int = 0,
    shards: int = 1,
) -> float:
    """What a forward pass keeps until its backward pass, bytes.

    Of each layer that is computed again its input, and one whole such layer at a time; "light"
    keeps the results of products and attention besides.
    """
    size = BYTES[precision]
    h, q, k = shape.hidden, shape.queries, shape.keys
    whole = whole_layers(shape, stream, precision, checkpointing, adapters=adapters, shards=shards)
    again = shape.layers - whole
    kept = 4.0 * h * stream.tokens
    if checkpointing == "light":
        wide = (2 if shape.gated else 1) * shape.ffn
        kept += size * (2 * q + 2 * k + 2 * h + wide) * stream.tokens
    layers = (whole + bool(again)) * _layer(shape, stream, precision, adapters) + again * kept
    norm = 2 if shape.gated else 1  # input, and where it is not LayerNorm the normalised one
    ends = 4.0 * h * (norm * stream.tokens + stream.outputs)  # last norm, states at outputs
    return layers + ends + whole * _casts(shape, precision) + size * stream.mask


def _layer(shape: Shape, stream: Stream, precision: Precision, adapters: int) -> float:
    """One layer; with adapters also what they hand on between their two matrices."""
    between = adapters / max(1, shape.hidden) / shape.layers
    return layer_bytes(shape, stream, precision) + BYTES[precision] * stream.tokens * between


def _casts(shape: Shape, precision: Precision) -> float:
    """Matrices of a layer in the precision of autocast, which products keep."""
    return 2.0 * shape.layer_matrices if precision == "bfloat16" else 0.0


def added_in_place(shape: Shape) -> int:
    """Elements of embedding and output layer whose gradients are added where they are kept
    (`mars2.training.accumulate`); of a fully trained model."""
    if shape.head < LARGE:
        return 0
    return shape.head * (1 if shape.tied else 2)


def logits_bytes(shape: Shape, precision: Precision, trains_head: bool) -> float:
    """A chunk of logits with its slope and its copy; and the output layer's gradient where it is
    made before it is added: of a small matrix, and of a chunk in bfloat16. Bytes."""
    rows = max(1, CHUNK_ELEMENTS // shape.vocab)
    chunk = 4.0 * rows * shape.vocab
    copy = 2.0 * shape.head if precision == "bfloat16" else 0.0
    gradient = copy if added_in_place(shape) else 4.0 * shape.head
    return 3 * chunk + copy + (gradient if trains_head else 0.0)


@dataclass(frozen=True, slots=True)
class LearnerMemory:
    """Bytes of one learner, on one device of those that share it."""

    weights: float
    gradients: float
    moments: float
    reference: float
    activations: float
    logits: float
    publication: float  # merged adapters; not at the same time as activations

    @property
    def static(self) -> float:
        """Held all the time."""
        return self.weights + self.moments + self.reference

    @property
    def peak(self) -> float:
        """In an update, or while its result is published."""
        update = self.gradients + self.activations + self.logits
        return self.static + max(update, self.publication)


def learner_memory(
    shape: Shape,
    stream: Stream,
    *,
    precision: Precision,
    checkpointing: bool | str,
    reference: bool,
    lora_rank: int = 0,
    lora_targets: str | list[str] = "all-linear",
    shards: int = 1,
) -> LearnerMemory:
    """Of `mars2.training.learner`: float32 weights P, gradients P, two moments 2 P (AdamW, arXiv
    1711.05101), a float32 copy as KL reference; with adapters, only these are trained.

    Args:
        shards: devices that share weights, gradients and moments evenly (ZeRO-3, arXiv
            1910.02054); each has its own micro-batch. Whole in float32 are two layers and, for a
            pass, embedding and output layer, and the gradients of a layer and of the output layer
            (`mars2.training.sharded_model`); that of the embedding comes when no layer's
            activations are left.
    """
    count = shape.parameters
    trained = shape.lora(lora_rank, lora_targets) if lora_rank else count
    adapters = trained if lora_rank else 0
    ends = shape.head * (1 if shape.tied else 2)
    gathered = 4.0 * (2 * shape.layer_matrices + ends) if shards > 1 else 0.0
    whole = 4.0 * (shape.layer_matrices + shape.head) if shards > 1 else 0.0
    own = reference and not lora_rank
    return LearnerMemory(
        weights=4.0 * (count + adapters) / shards + gathered,
        gradients=4.0 * trained / shards + whole,
        moments=8.0 * trained / shards,
        reference=4.0 * count / shards if own else 0.0,
        activations=activation_bytes(
            shape, stream, precision, checkpointing, adapters=adapters, shards=shards
        ),
        logits=logits_bytes(shape, precision, trains_head=not lora_rank),
        publication=4.0 * shape.merged(lora_targets) / shards if lora_rank else 0.0,
    )


def kv_bytes(shape: Shape, dtype: Precision) -> float:
    """Keys and values of one token in all layers: 2 · layers · kv heads · head_dim elements."""
    return 2.0 * shape.layers * shape.keys * BYTES[dtype]


@dataclass(frozen=True, slots=True)
class PolicyMemory:
    """Bytes of one generating policy on one device."""

    weights: float
    cache: float
    working: float  # logits, probabilities, or one prefill pass, whichever is more

    @property
    def peak(self) -> float:
        """While a batch is answered."""
        return self.weights + self.cache + self.working


def cache_columns(prompt: int, output: int) -> int:
    """Columns of the local cache when a batch's longest answer ends: it starts with the longest
    prompt and 64, and grows by half."""
    columns = prompt + _GROWTH
    while columns < prompt + output:
        columns += max(_GROWTH, columns // 2)
    return columns


def local_policy_memory(
    shape: Shape,
    dtype: Precision,
    *,
    rows: int,
    prompt: int,
    output: int,
    prefill: int | None = None,
) -> PolicyMemory:
    """Of `mars2.agents.local`: one batch of `rows` requests, padded to the longest prompt.

    Args:
        prompt: tokens of the longest prompt; output: most tokens written.
        prefill: tokens of the largest prefill pass; None: of all rows, up to its limit.
    """
    size = BYTES[dtype]
    pass_tokens = min(rows * prompt, _PREFILL) if prefill is None else prefill
    wide = (3 if shape.gated else 2) * shape.ffn + 2 * shape.hidden
    attention = shape.queries + 2 * shape.keys
    reading = size * pass_tokens * max(wide, attention + 4 * shape.hidden)
    sampling = rows * shape.vocab * (size + 3 * 4.0) + rows * output * 16.0
    return PolicyMemory(
        weights=float(size * shape.parameters),
        cache=rows * cache_columns(prompt, output) * kv_bytes(shape, dtype),
        working=max(reading, sampling),
    )


def engine_memory(
    shape: Shape, dtype: Precision, *, tokens: float, tensor_parallel: int
) -> PolicyMemory:
    """Of a serving engine with a paged cache (vLLM, arXiv 2309.06180) that holds `tokens` tokens,
    on one of the devices that split every matrix."""
    size = BYTES[dtype]
    return PolicyMemory(
        weights=size * shape.parameters / tensor_parallel,
        cache=tokens * kv_bytes(shape, dtype) / min(tensor_parallel, shape.kv_heads),
        working=size * 8192 * (3 * shape.ffn / tensor_parallel + 4 * shape.hidden)
        + 4.0 * 256 * shape.vocab,
    )


def gigabytes(value: float) -> str:
    """For people: 12.3 GB (10⁹ bytes), or MB below one."""
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{math.ceil(value / 1e6)} MB"
