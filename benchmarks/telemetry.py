"""What telemetry costs: the share of a run's CPU time that the log, metrics and traces take.

    python benchmarks/telemetry.py [--steps 3]

Trains the quickstart's team for a few steps and writes down everything that is told, then tells all
of it again, and again, to each kind of listener alone. Both are CPU time of one process in one run,
so that a busy machine does not matter; the processes that judge programs are left out of the run's.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mars2 import telemetry
from mars2.cli.main import main as mars2
from mars2.telemetry import Sink, Span
from mars2.telemetry.logs import LogSink
from mars2.telemetry.metrics import MetricsSink

TOLD_AGAIN_S = 1.0  # CPU time of each measurement, at least


class Recorder:
    """Remembers what is told, and as what: an event or a span that has ended."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, dict[str, Any]]] = []

    def event(self, name: str, ids: dict[str, Any], fields: dict[str, Any]) -> None:
        self.told.append(("event", name, ids | fields))

    def begun(self, span: Span) -> None:
        pass

    def ended(self, span: Span) -> None:
        self.told.append(("span", span.name, span.ids | span.fields))

    def close(self) -> None:
        pass


def trained(steps: int, folder: Path) -> tuple[Recorder, float]:
    """What a run tells, and its CPU seconds."""
    recorder = Recorder()
    options = ["--set", "problems.heldout_limit=1", "--set", f"train.steps={steps}"]
    started = time.process_time()
    with ExitStack() as quietly:
        quietly.enter_context(telemetry.add_sink(recorder))
        quietly.enter_context(contextlib.suppress(SystemExit))
        quietly.enter_context(contextlib.redirect_stdout(io.StringIO()))
        quietly.enter_context(contextlib.redirect_stderr(io.StringIO()))
        mars2(["quickstart", "--out", str(folder / "run"), *options])
    return recorder, time.process_time() - started


def seconds_to_tell(recorder: Recorder, open_sinks: Callable[[], Sequence[Sink]]) -> float:
    """CPU seconds that telling all of it once takes with these listeners."""
    passes = 0
    with ExitStack() as listening:
        for sink in open_sinks():
            listening.enter_context(telemetry.add_sink(sink))
        started = time.process_time()
        while (spent := time.process_time() - started) < TOLD_AGAIN_S:
            passes += 1
            for kind, name, values in recorder.told:
                if kind == "event":
                    telemetry.emit(name, **values)
                else:
                    span = telemetry.begin(name)
                    span.note(**values)
                    span.end()
    return spent / passes


def traces() -> list[Sink]:
    """Spans through the SDK's batches, to nowhere; none without the package."""
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    except ImportError:
        return []
    from mars2.telemetry.traces import TraceSink

    nowhere = InMemorySpanExporter()
    nowhere.shutdown()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(nowhere))
    return [TraceSink(provider)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=3)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recorder, run = trained(steps, folder)
        nodes = sum(what == "node" for _, what, _ in recorder.told)
        calls = len(recorder.told)
        print(f"quickstart, {steps} steps: {nodes} nodes, {run:.1f} s of CPU; {calls} things told")
        print("| who listens | ms of CPU | µs a thing told | share of the run |")
        print("|---|---|---|---|")
        for who, open_sinks in {
            "nobody": list,
            "log (as by default)": lambda: [LogSink(str(folder / "log.jsonl"))],
            "log, level debug": lambda: [LogSink(str(folder / "debug.jsonl"), level="debug")],
            "metrics": lambda: [MetricsSink()],
            "traces": traces,
        }.items():
            spent = seconds_to_tell(recorder, open_sinks)
            each = 1e6 * spent / calls
            print(f"| {who} | {1000 * spent:.1f} | {each:.1f} | {100 * spent / run:.3f} % |")


if __name__ == "__main__":
    main()
