"""Seconds of a token by what the device can do."""

from __future__ import annotations

import pytest

from mars2.config import load_config
from mars2.plan.hardware import device
from mars2.plan.layout import Layout
from mars2.plan.memory import kv_bytes
from mars2.plan.planning import make_plan
from mars2.plan.shapes import shape_of
from mars2.plan.timing import decode_seconds

SHAPE = shape_of("hf:smollm2-135m")
# One number at a time: no calls, and products that cost nothing unless a test says otherwise.
BARE = {
    "stream": 1.0,
    "matmul": 1.0,
    "bandwidth_gbs": 10.0,
    "float32_tflops": 1e9,
    "call_us": 0.0,
    "layer_us": 0.0,
}


def seconds(rows: float = 4, context: float = 100, **numbers: object) -> float:
    return decode_seconds(SHAPE, rows, context, device("h100", **{**BARE, **numbers}), "float32")


def test_what_is_only_read_goes_at_its_own_bandwidth() -> None:
    elements = SHAPE.matrices + SHAPE.head
    sampling = 4 * SHAPE.vocab * 24 / 1e10
    read = 4.0 * elements + 4 * 100 * kv_bytes(SHAPE, "float32")
    assert seconds() == pytest.approx(read / 1e10 + sampling)
    assert seconds(read_gbs=20.0) == pytest.approx(read / 2e10 + sampling)
    assert seconds(read_gbs=20.0, stream=0.5) == pytest.approx(read / 1e10 + 2 * sampling)


def test_a_device_that_does_not_overlap_reads_and_then_multiplies() -> None:
    products = 2.0 * (SHAPE.matrices + SHAPE.head) * 4 / 1e11
    free = seconds()
    slow = {"float32_tflops": 0.1}
    assert seconds(**slow, overlaps=False) == pytest.approx(free + products)
    reading = 4.0 * (SHAPE.matrices + SHAPE.head) / 1e10
    assert seconds(**slow) == pytest.approx(free + max(0.0, products - reading))


def test_attention_slower_than_reading_is_what_counts() -> None:
    free = seconds(context=0)
    read = seconds() - free
    elements = 4 * 100 * SHAPE.layers * SHAPE.keys
    slow = 1e12 * 3 * read / elements
    assert seconds(float32_attend_ps=slow) == pytest.approx(free + 3 * read)
    assert seconds(float32_attend_ps=slow / 9) == pytest.approx(free + read)
    assert seconds(bfloat16_attend_ps=slow) == pytest.approx(free + read)


def test_the_search_s_own_work_counts_for_each_node() -> None:
    agents = [{"name": n, "spec": f"micro:{n}", "policy": n} for n in ("lark", "loom")]
    config = load_config(base={"agents": agents, "search": {"nodes": 8}})

    def step(node_us: float) -> float:
        return make_plan(config, Layout(device=device("cpu", node_us=node_us))).sync_s

    nodes = make_plan(config, Layout(device=device("cpu"))).trees * config.search.nodes
    assert step(500.0) - step(0.0) == pytest.approx(nodes * 500e-6)
