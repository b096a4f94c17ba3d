"""Spans and their ids: who is within what, also where tasks begin in each other's context."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from typing import Any

import pytest

from mars2 import telemetry
from mars2.telemetry import Span
from mars2.telemetry.catalog import EVENTS, SPANS


class Heard:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.spans: list[Span] = []
        self.closed = 0

    def event(self, name: str, ids: dict[str, Any], fields: dict[str, Any]) -> None:
        self.events.append((name, ids, fields))

    def begun(self, span: Span) -> None:
        pass

    def ended(self, span: Span) -> None:
        self.spans.append(span)

    def close(self) -> None:
        self.closed += 1


def test_nothing_happens_while_nobody_listens() -> None:
    assert telemetry.begin("tree", tree="t") is telemetry.OFF
    with telemetry.span("generate") as span, span.here():
        span.note(tokens=1)
        span.emit("node", status="passed")
        telemetry.emit("node", status="passed")
        assert telemetry.current() is None


def test_what_happens_within_a_span_carries_its_ids() -> None:
    heard = Heard()
    with telemetry.add_sink(heard):
        with telemetry.span("run", run="r"), telemetry.span("step", step=1) as step:
            telemetry.emit("buffer", policy="p", samples=3)
            with telemetry.span("update", policy="p") as update:
                update.note(version=4, loss=0.5)
        telemetry.emit("buffer", policy="q", samples=0)
    assert heard.events == [
        ("buffer", {"run": "r", "step": 1, "policy": "p"}, {"samples": 3}),
        ("buffer", {"policy": "q"}, {"samples": 0}),
    ]
    assert [s.name for s in heard.spans] == ["update", "step", "run"]
    assert heard.spans[0].ids == {"run": "r", "step": 1, "policy": "p", "version": 4}
    assert heard.spans[0].fields == {"loss": 0.5}
    assert heard.spans[0].under is step
    assert heard.closed == 1


def test_a_span_can_be_given_the_one_it_is_under() -> None:
    heard = Heard()

    async def expand(tree: Span, node: int) -> None:
        with telemetry.span("expansion", tree, node=node):
            await asyncio.sleep(0)
            telemetry.emit("request retried", policy="p")

    async def search() -> None:
        trees = [telemetry.begin("tree", tree=t) for t in "ab"]
        with trees[0].here():  # all are begun in the task of one tree, as a limiter does
            await asyncio.gather(*(expand(t, n) for t in trees for n in (1, 2)))
        for tree in trees:
            tree.end(outcome="solved")
            tree.end(outcome="interrupted")

    with telemetry.add_sink(heard):
        asyncio.run(search())
    where = sorted((ids["tree"], ids["node"]) for _, ids, _ in heard.events)
    assert where == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert [s.fields["outcome"] for s in heard.spans if s.name == "tree"] == ["solved", "solved"]


def test_an_error_is_told_and_goes_on() -> None:
    heard = Heard()
    with (
        telemetry.add_sink(heard),
        pytest.raises(ValueError, match="no"),
        telemetry.span("verify"),
    ):
        raise ValueError("no")
    assert heard.spans[0].error == "ValueError: no"
    assert telemetry.current() is None


def test_a_sink_that_raises_hears_no_more_and_ends_nothing() -> None:
    class Broken(Heard):
        def event(self, name: str, ids: dict[str, Any], fields: dict[str, Any]) -> None:
            super().event(name, ids, fields)
            raise OSError("disk full")

    broken, heard = Broken(), Heard()
    with telemetry.add_sink(broken), telemetry.add_sink(heard):
        for _ in range(3):
            telemetry.emit("buffer", policy="p", samples=1)
    assert len(broken.events) == 1
    assert len(heard.events) == 3
    assert heard.closed == 1


def test_whatever_is_told_is_in_the_catalog() -> None:
    told: dict[str, set[str]] = {"emit": set(), "begin": set(), "span": set()}
    for path in Path(telemetry.__file__).parents[1].rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant):
                function = ast.unparse(call.func).split(".")
                ours = function[0] == "telemetry" or len(function) == 1 or function[-1] == "emit"
                if ours and function[-1] in told:
                    told[function[-1]].add(str(call.args[0].value))
    openai_says = {"endpoint down", "endpoint up"}  # by one call with a variable
    assert told["emit"] | openai_says == EVENTS.keys()
    assert told["begin"] | told["span"] == SPANS.keys()
    assert not EVENTS.keys() & SPANS.keys()
