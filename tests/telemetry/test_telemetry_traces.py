"""Where traces go is what OpenTelemetry's own variables say; without them nothing is imported."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mars2 import telemetry
from mars2.config import TelemetryConfig
from mars2.errors import UsageError
from mars2.telemetry.session import watched
from mars2.telemetry.traces import wanted

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environment", "exporter"),
    [
        ({}, None),
        (ENDPOINT, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, None),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_SERVICE_NAME": "x"}, None),
    ],
)
def test_variables_decide(environment: dict[str, str], exporter: str | None) -> None:
    assert wanted(environment) == exporter


def test_an_exporter_that_is_not_here_is_refused() -> None:
    with pytest.raises(UsageError, match="OTEL_TRACES_EXPORTER is 'zipkin'"):
        wanted({"OTEL_TRACES_EXPORTER": "zipkin"})


def test_nothing_is_imported_that_nobody_asked_for() -> None:
    program = (
        "import sys\n"
        "from mars2.config import TelemetryConfig\n"
        "from mars2.telemetry.session import watched\n"
        "with watched(TelemetryConfig(), 'solve', 'r'): pass\n"
        "assert not {'opentelemetry', 'prometheus_client', 'torch'} & set(sys.modules)\n"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_a_collector_gets_the_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs mars2[otel]")
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    received: list[tuple[str, str | None, Any]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
            received.append((self.path, self.headers["api-key"], request))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=for-the-collector")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=here")
    try:
        with watched(TelemetryConfig(), "solve", "r"), telemetry.span("tree", tree="t") as tree:
            tree.note(outcome="solved", error=f"key {'for-the-collector'}")
    finally:
        server.shutdown()
        server.server_close()
    ((path, key, request),) = received
    assert (path, key) == ("/v1/traces", "for-the-collector")
    (resource,) = request.resource_spans
    about = {a.key: a.value.string_value for a in resource.resource.attributes}
    assert (about["service.name"], about["host.name"]) == ("mars2", "here")
    spans = {s.name: s for scope in resource.scope_spans for s in scope.spans}
    assert set(spans) == {"run", "tree"}
    assert spans["tree"].parent_span_id == spans["run"].span_id
    values = {a.key: a.value.string_value for a in spans["tree"].attributes}
    assert values == {
        "mars2.run": "r",
        "mars2.tree": "t",
        "mars2.outcome": "solved",
        "mars2.error": "key [redacted]",
    }


def test_a_missing_package_is_said_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    said: list[str] = []
    with watched(TelemetryConfig(), "solve", "r", said.append):
        pass
    assert any("pip install 'mars2[otel]'" in line for line in said)
