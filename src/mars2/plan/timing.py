"""Seconds of learning and of generating. Pure functions of shapes and hardware numbers.

A pass costs its products at the achievable FLOP/s, what goes through memory beside them at the
achievable bandwidth, and a fixed time a layer for calling it. Sums, not maxima: these follow one
another on a device that is not told to overlap them.
"""

from __future__ import annotations

from dataclasses import dataclass

from mars2.plan.hardware import Device
from mars2.plan.memory import BYTES, Precision, Stream, kv_bytes, layer_bytes, whole_layers
from mars2.plan.shapes import Shape

# How often what a layer keeps goes through memory: written once and read once forwards; read, and
# its gradient written and read, backwards. Counted, not fitted.
_FORWARD_TRIPS, _BACKWARD_TRIPS = 2.0, 3.0


@dataclass(frozen=True, slots=True)
class PassSeconds:
    """One pass over a stream: products, memory traffic, calls."""

    products: float
    traffic: float
    calls: float

    @property
    def total(self) -> float:
        """Seconds."""
        return self.products + self.traffic + self.calls


def forward_flops(shape: Shape, stream: Stream) -> tuple[float, float]:
    """FLOPs of the layers and of the output layer: 2 a matrix element and token; attention 4 · q a
    pair of query and key (Kaplan et al., arXiv 2001.08361, §2.1)."""
    layers = 2.0 * shape.matrices * stream.tokens
    layers += 4.0 * shape.queries * shape.layers * stream.pairs
    return layers, 2.0 * shape.head * stream.outputs


def forward_seconds(
    shape: Shape, stream: Stream, device: Device, precision: Precision
) -> PassSeconds:
    """Without gradients: of old log-probs, or of the KL reference."""
    layers, head = forward_flops(shape, stream)
    traffic = _FORWARD_TRIPS * shape.layers * layer_bytes(shape, stream, precision)
    traffic += 3 * 4.0 * shape.vocab * stream.outputs
    return PassSeconds(
        (layers + head) / device.flops(precision),
        traffic / device.stream_bandwidth,
        device.call_s(shape.layers) + shape.layers * stream.rows * device.row_s,
    )


def training_seconds(
    shape: Shape,
    stream: Stream,
    device: Device,
    precision: Precision,
    *,
    checkpointing: bool | str = False,
    lora_rank: int = 0,
    lora_targets: str | list[str] = "all-linear",
    shards: int = 1,
) -> PassSeconds:
    """Forward and backward. The backward pass takes twice the products of the forward pass, with
    adapters about once (no gradients of frozen matrices); layers that are checkpointed repeat the
    forward pass ("light": all but the products); the output layer is computed twice and has two
    products of gradients.

    Adapters (peft, `tuners/lora/layer.py`) pass what a matrix is given and what it gives
    through memory once more, n elements a token: given, scaled and added, 6 n forwards and 4 n
    backwards; the gradient of the input made and added to the others, and with autocast all casts
    both ways: together 28 bytes an element in float32, 23 with autocast.
    """
    layers, head = forward_flops(shape, stream)
    adapters = shape.lora(lora_rank, lora_targets)
    whole = whole_layers(shape, stream, precision, checkpointing, adapters=adapters, shards=shards)
    again = 1 - whole / shape.layers  # share of the layers that is computed twice
    backward = 1 if lora_rank else 2
    repeated = 0.0 if checkpointing == "light" else again
    products = layers * (1 + repeated + backward) + head * (2 + backward)
    trips = _FORWARD_TRIPS * (1 + again) + _BACKWARD_TRIPS
    traffic = trips * shape.layers * layer_bytes(shape, stream, precision)
    traffic += 8 * 4.0 * shape.vocab * stream.outputs
    if lora_rank:
        ends = shape.lora(1, lora_targets)  # n, over all layers
        traffic += (28 if precision == "float32" else 23) * ends * stream.tokens
    rows = (3 + again) * shape.layers * stream.rows * device.row_s
    return PassSeconds(
        products / device.flops(precision),
        traffic / device.stream_bandwidth,
        device.train_call_s(shape.layers) + again * device.call_s(shape.layers) + rows,
    )


def optimizer_seconds(
    trained: float, micro_batches: int, device: Device, in_place: float = 0.0
) -> float:
    """One optimizer step: gradients added up once a micro-batch after the first, 12 bytes a weight,
    but for those added `in_place`; clipped, 12; AdamW in one pass reads four values and writes
    three, 28."""
    adding = 12.0 * (micro_batches - 1) * (trained - in_place)
    return (adding + trained * (12 + 28)) / device.stream_bandwidth


def decode_seconds(
    shape: Shape, rows: float, context: float, device: Device, dtype: Precision, shards: int = 1
) -> float:
    """One token of each of `rows` answers with `context` tokens behind them.

    The weights are read once and multiplied with each row: the longer of the two where a device
    does both at once (roofline, Williams et al. 2009), else their sum. Keys and values are read,
    or attended to where that takes longer; logits go through softmax and cumulative sum.
    """
    size = BYTES[dtype]
    elements = shape.matrices + shape.head
    products = 2.0 * elements * rows / device.flops(dtype) / shards
    weights = size * elements / device.read_bandwidth / shards
    matrices = max(products, weights) if device.overlaps else products + weights
    read = kv_bytes(shape, dtype) / device.read_bandwidth
    attended = shape.layers * shape.keys * device.attend_s(dtype)
    cache = rows * context * max(read, attended) / shards
    sampling = rows * shape.vocab * 4.0 * 6 / device.stream_bandwidth / shards
    calls = device.call_s(shape.layers) + rows * shape.layers * shape.heads * device.answer_s
    talk = 0.0
    if shards > 1:  # two all-reduces a layer
        talk = 2 * shape.layers * rows * shape.hidden * size * 2 / device.link
    return matrices + cache + sampling + calls + talk


def prefill_seconds(
    shape: Shape, tokens: float, length: float, device: Device, dtype: Precision, shards: int = 1
) -> float:
    """Reading prompts of `length` tokens, `tokens` in all."""
    flops = 2.0 * shape.matrices * tokens + 2.0 * shape.queries * shape.layers * tokens * length
    bytes_ = _FORWARD_TRIPS * shape.layers * layer_bytes(shape, Stream(int(tokens), 0), dtype)
    return (
        flops / device.flops(dtype) / shards
        + bytes_ / device.stream_bandwidth / shards
        + device.call_s(shape.layers)
    )


def batch_seconds(
    shape: Shape,
    prompts: list[int],
    outputs: list[int],
    device: Device,
    dtype: Precision,
    distinct: int | None = None,
) -> float:
    """One batch of `mars2.agents.local`: all prompts are read (`distinct` of them), then all rows
    step until the longest answer ends; those that end leave."""
    read = sum(prompts) * (1.0 if distinct is None else distinct / len(prompts))
    mean_prompt = sum(prompts) / len(prompts)
    seconds = prefill_seconds(shape, read, mean_prompt, device, dtype)
    before = 0
    left = len(outputs)
    for length in sorted(outputs):
        if length > before:
            context = max(prompts) + (before + length) / 2
            step = decode_seconds(shape, left, context, device, dtype)
            seconds += (length - before) * step
            before = length
        left -= 1
    return seconds
