"""Prometheus metrics of a run, served over HTTP while it runs (extra `metrics`).

Counters count from the start of this process: nodes that a resumed run takes from its journal are
not counted again, as Prometheus expects of a process that was restarted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIServer

from mars2.errors import UsageError
from mars2.telemetry.events import Span

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_LATENCY = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300, 600)
_LONG = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_VERSIONS = (0, 1, 2, 3, 4, 6, 8, 12, 16)


class MetricsSink:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        from prometheus_client import (
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            Info,
            ProcessCollector,
        )

        self.registry: CollectorRegistry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

        def make(kind: Any, name: str, text: str, *labels: str, **more: Any) -> Any:
            return kind(f"mars2_{name}", text, labels, registry=self.registry, **more)

        self._run = make(Info, "run", "What runs")
        self._nodes = make(
            Counter, "nodes", "Nodes of search trees, by their verdict", "agent", "status"
        )
        self._failed = make(
            Counter, "expansions_failed", "Expansions without a node (masked)", "agent", "kind"
        )
        self._trees_open = make(Gauge, "trees_open", "Trees under way")
        self._trees = make(Counter, "trees", "Trees that have ended", "outcome")
        self._flat = make(Counter, "trees_without_signal", "Trees whose rewards are all equal")
        self._under_way = make(Gauge, "expansions_open", "Expansions under way")
        self._asking = make(
            Histogram, "generation_seconds", "From request to answer", "agent", buckets=_LATENCY
        )
        self._tokens = make(Counter, "generated_tokens", "Tokens written", "agent")
        self._prompts = make(Counter, "prompt_tokens", "Tokens read", "agent")
        self._verdicts = make(Counter, "verdicts", "Programs judged", "status")
        self._judging = make(
            Histogram, "verdict_seconds", "From program to verdict, waiting included",
            buckets=_LATENCY,
        )  # fmt: skip
        self._running = make(
            Histogram, "program_seconds", "CPU time of a judged program", buckets=_LATENCY
        )
        self._retried = make(Counter, "requests_retried", "Requests sent again", "policy")
        self._up = make(Gauge, "endpoint_up", "1 while the endpoint answers", "policy")
        self._step = make(Gauge, "step", "Steps closed")
        self._steps = make(Gauge, "steps", "Steps of the whole run (train.steps)")
        self._reward = make(Gauge, "reward_mean", "Mean raw reward of the nodes of the last step")
        self._buffer = make(Gauge, "buffer_samples", "Samples that wait", "policy")
        self._version = make(Gauge, "policy_version", "Version that generates", "policy")
        self._difference = make(
            Gauge, "publication_difference_nats",
            "Mean difference of log-probabilities, policy and learner, at the last publication",
            "policy",
        )  # fmt: skip
        self._halted = make(Gauge, "policy_halted", "1 once it learns no more", "policy")
        self._updates = make(Counter, "updates", "Updates of a policy", "policy")
        self._broken = make(Counter, "updates_failed", "Updates that raised", "policy")
        self._updating = make(
            Histogram, "update_seconds", "An update, publication included", "policy", buckets=_LONG
        )
        self._learned = make(Counter, "samples_learned", "Samples of updates", "policy")
        self._dropped = make(
            Counter, "samples_dropped", "Samples not learned from", "policy", "reason"
        )
        self._ages = make(
            Histogram, "staleness", "Versions between writing and learning", "policy",
            buckets=_VERSIONS,
        )  # fmt: skip
        self._saving = make(Histogram, "checkpoint_seconds", "A checkpoint", buckets=_LONG)
        self._saved = make(
            Gauge, "last_checkpoint_timestamp_seconds", "When the last one was complete"
        )
        self._on_event: dict[str, Callable[[dict[str, Any]], None]] = {
            "node": lambda f: self._nodes.labels(f["agent"], f["status"]).inc(),
            "expansion failed": lambda f: self._failed.labels(f["agent"], f["kind"]).inc(),
            "trees without signal": lambda f: self._flat.inc(f["trees"]),
            "buffer": lambda f: self._buffer.labels(f["policy"]).set(f["samples"]),
            "samples dropped": lambda f: self._dropped.labels(f["policy"], f["reason"]).inc(
                f["samples"]
            ),
            "policy halted": lambda f: self._halted.labels(f["policy"]).set(1),
            "request retried": lambda f: self._retried.labels(f["policy"]).inc(),
            "endpoint down": lambda f: self._up.labels(f["policy"]).set(0),
            "endpoint up": lambda f: self._up.labels(f["policy"]).set(1),
            "training resumed": lambda f: self._step.set(f["step"]),
            "step closed": self._step_closed,
        }
        self._on_end: dict[str, Callable[[Span, dict[str, Any]], None]] = {
            "tree": self._tree_ended,
            "expansion": lambda span, f: self._under_way.dec(),
            "generate": self._generated,
            "verify": self._verified,
            "update": self._updated,
            "publish": self._published,
            "checkpoint": self._checkpoint,
        }
        self._on_begin = {
            "run": lambda f: self._run.info({k: str(v) for k, v in f.items()}),
            "tree": lambda f: self._trees_open.inc(),
            "expansion": lambda f: self._under_way.inc(),
        }

    def event(self, name: str, ids: dict[str, Any], fields: dict[str, Any]) -> None:
        if name in self._on_event:
            self._on_event[name](ids | fields)

    def begun(self, span: Span) -> None:
        if span.name in self._on_begin:
            self._on_begin[span.name](span.ids | span.fields)

    def ended(self, span: Span) -> None:
        if span.name in self._on_end:
            self._on_end[span.name](span, span.ids | span.fields)

    def close(self) -> None:
        """Nothing is left to write."""

    def _step_closed(self, f: dict[str, Any]) -> None:
        self._step.set(f["step"])
        self._steps.set(f["steps"])
        self._reward.set(f["reward"])

    def _tree_ended(self, span: Span, f: dict[str, Any]) -> None:
        self._trees_open.dec()
        self._trees.labels(f["outcome"]).inc()

    def _generated(self, span: Span, f: dict[str, Any]) -> None:
        if span.error is None:
            self._asking.labels(f["agent"]).observe(span.seconds)
            self._tokens.labels(f["agent"]).inc(f["tokens"])
            self._prompts.labels(f["agent"]).inc(f["prompt_tokens"])

    def _verified(self, span: Span, f: dict[str, Any]) -> None:
        if span.error is None:
            self._verdicts.labels(f["status"]).inc()
            self._judging.observe(span.seconds)
            self._running.observe(f["program_seconds"])

    def _updated(self, span: Span, f: dict[str, Any]) -> None:
        policy = f["policy"]
        if f.get("failure") or span.error:
            self._broken.labels(policy).inc()
            return
        self._updates.labels(policy).inc()
        self._updating.labels(policy).observe(span.seconds)
        self._learned.labels(policy).inc(f["samples"])
        for age, samples in f["ages"].items():
            for _ in range(samples):
                self._ages.labels(policy).observe(age)

    def _published(self, span: Span, f: dict[str, Any]) -> None:
        if span.error is None:
            self._version.labels(f["policy"]).set(f["version"])
            if f.get("tokens"):
                self._difference.labels(f["policy"]).set(f["difference"])

    def _checkpoint(self, span: Span, f: dict[str, Any]) -> None:
        if span.error is None:
            self._saving.observe(span.seconds)
            self._saved.set_to_current_time()


class MetricsServer:
    """Serves a registry at http://HOST:PORT/metrics, from a thread of its own.

    Args:
        port: 0 takes any that is free.

    Raises:
        UsageError: the address cannot be had, or prometheus-client is not installed.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            from prometheus_client import start_http_server
        except ImportError:
            raise UsageError(
                "telemetry.metrics_port is set, but prometheus-client is not installed: "
                "pip install 'mars2[metrics]', or leave --metrics-port out"
            ) from None
        self.sink = MetricsSink()
        self._server: WSGIServer
        self._thread: threading.Thread
        try:
            self._server, self._thread = start_http_server(port, host, self.sink.registry)
        except OSError as error:
            raise UsageError(
                f"metrics cannot be served at {host}:{port}: {error.strerror or error}. "
                "Choose another --metrics-port (0: any free one)"
            ) from None
        bracketed = f"[{host}]" if ":" in host else host
        self.url = f"http://{bracketed}:{self._server.server_port}/metrics"

    def close(self) -> None:
        """Give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
