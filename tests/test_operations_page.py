"""docs/operations.md speaks of messages, events and metrics that there are, and of all of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from mars2.config import RunConfig, free_on_resume
from mars2.telemetry.catalog import EVENTS, SPANS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")


def texts_of_the_code() -> list[str]:
    """Every string; "…" for what is filled in."""
    found = []
    for path in (ROOT / "src/mars2").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "…" for p in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_messages_are_those_of_the_code() -> None:
    table = PAGE.partition("## What breaks")[2]
    messages = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert len(messages) > 15
    texts = texts_of_the_code()
    missing = []
    for message in messages:
        if message.startswith(("mars2_", "RuntimeError")):  # a metric; torch's own
            continue
        for system in ("Address already in use", "No space left on device"):
            message = message.replace(system, "…")
        fragments = [f.strip(" .:(),") for f in re.split(r"…|\. |: ", message)]
        missing += [f for f in fragments if f and not any(f in text for text in texts)]
    assert not missing


def test_what_may_change_on_resume_is_what_the_page_says() -> None:
    section = PAGE.partition("## Resume")[2].partition("## Upgrade")[0]
    for name in free_on_resume(RunConfig()):
        if name.startswith(("train.", "learner.")):
            assert name in section or f"`{name.partition('.')[2]}`" in section, name
    assert "all of `telemetry`" in section


def test_every_event_is_on_the_page() -> None:
    for name in EVENTS:
        assert f"`{name}`" in PAGE, name
    for name in SPANS:
        assert f"`{name}`" in PAGE or f"`{name} ended`" in PAGE, name


def test_every_metric_is_on_the_page() -> None:
    pytest.importorskip("prometheus_client", reason="needs mars2[metrics]")
    from mars2.telemetry.metrics import MetricsSink

    ours = {f.name: f.type for f in MetricsSink().registry.collect() if f.name.startswith("mars2_")}
    there = set(re.findall(r"`(mars2_\w+)`", PAGE))
    endings = {"counter": "_total", "info": "_info"}
    assert {name + endings.get(kind, "") for name, kind in ours.items()} == there
