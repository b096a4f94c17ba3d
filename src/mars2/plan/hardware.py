"""What a device can do, by name or from a file. Numbers are stated, never guessed from a name."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any, Literal

from pydantic import Field

from mars2.config.section import Section
from mars2.errors import ConfigError


class Device(Section):
    """One GPU, or one CPU machine; see hardware.toml.

    `overhead_gb`: taken by context and libraries before anything is loaded. `allocator`: memory
    taken over memory asked for. Fixed costs in microseconds: of a decoding step, `call_us`, each
    layer, `layer_us`, and each answer in each head and layer, `answer_us`; of a pass forwards and
    backwards, `train_call_us`, `train_layer_us`, and each row of a packed stream, `row_us`; of a
    node of a tree in the process that runs the search, `node_us`.

    What is only read, weights and keys and values while generating, goes at `read_gbs` (0: at the
    achievable bandwidth), products meanwhile if it `overlaps`. A kernel of attention that is slower
    than reading costs `*_attend_ps`, picoseconds an element of a key with that of its value.
    """

    name: str
    source: str = "given"
    memory_gb: float = Field(gt=0)
    float32_tflops: float = Field(gt=0)
    bfloat16_tflops: float = Field(gt=0)
    bandwidth_gbs: float = Field(gt=0)
    link_gbs: float = Field(default=25.0, gt=0)
    network_gbs: float = Field(default=10.0, gt=0)
    matmul: float = Field(default=0.6, gt=0, le=1)
    stream: float = Field(default=0.7, gt=0, le=1)
    call_us: float = Field(default=2000.0, ge=0)
    layer_us: float = Field(default=8.0, ge=0)
    answer_us: float = Field(default=0.0, ge=0)
    train_call_us: float = Field(default=5000.0, ge=0)
    train_layer_us: float = Field(default=1000.0, ge=0)
    row_us: float = Field(default=50.0, ge=0)
    node_us: float = Field(default=0.0, ge=0)
    read_gbs: float = Field(default=0.0, ge=0)
    overlaps: bool = True
    float32_attend_ps: float = Field(default=0.0, ge=0)
    bfloat16_attend_ps: float = Field(default=0.0, ge=0)
    overhead_gb: float = Field(default=2.0, ge=0)
    allocator: float = Field(default=1.08, ge=1)
    node: int = Field(default=8, gt=0)  # devices in one machine
    price: float = Field(default=0.0, ge=0)  # an hour of one

    def flops(self, dtype: Literal["float32", "bfloat16"]) -> float:
        """Achievable FLOP/s."""
        peak = self.float32_tflops if dtype == "float32" else self.bfloat16_tflops
        return 1e12 * peak * self.matmul

    @property
    def stream_bandwidth(self) -> float:
        """Achievable bytes a second of memory."""
        return 1e9 * self.bandwidth_gbs * self.stream

    @property
    def read_bandwidth(self) -> float:
        """Achievable bytes a second of what is read and not written."""
        return 1e9 * self.read_gbs * self.stream if self.read_gbs else self.stream_bandwidth

    def attend_s(self, dtype: Literal["float32", "bfloat16"]) -> float:
        """Seconds an element of a key with that of its value."""
        found = self.float32_attend_ps if dtype == "float32" else self.bfloat16_attend_ps
        return found / 1e12

    @property
    def memory(self) -> float:
        """Bytes."""
        return 1e9 * self.memory_gb

    @property
    def link(self) -> float:
        """Bytes a second to a neighbour, at the share of the memory's."""
        return 1e9 * self.link_gbs * self.stream

    @property
    def network(self) -> float:
        """Bytes a second to another machine."""
        return 1e9 * self.network_gbs * self.stream

    def call_s(self, layers: int) -> float:
        """Seconds of calling a model of so many layers once, forwards."""
        return (self.call_us + layers * self.layer_us) / 1e6

    def train_call_s(self, layers: int) -> float:
        """The same forwards and backwards."""
        return (self.train_call_us + layers * self.train_layer_us) / 1e6

    @property
    def answer_s(self) -> float:
        """Seconds of one more answer in a head of a layer."""
        return self.answer_us / 1e6

    @property
    def row_s(self) -> float:
        """Seconds of one more row."""
        return self.row_us / 1e6

    @property
    def node_s(self) -> float:
        """Seconds of the search's own work on a node."""
        return self.node_us / 1e6


@functools.cache
def devices() -> dict[str, dict[str, Any]]:
    """Those known by name."""
    text = resources.files("mars2.plan").joinpath("hardware.toml").read_text("utf-8")
    return tomllib.loads(text)


def device(name: str, **changes: Any) -> Device:
    """By name, with some of its numbers replaced.

    Raises:
        ConfigError: there is none of this name; lists those there are.
    """
    if name not in devices():
        raise ConfigError(
            f"unknown device {name!r}; there are {', '.join(devices())}, or give a file"
        )
    return Device(**{**devices()[name], **changes})
