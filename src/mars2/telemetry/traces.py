"""OpenTelemetry traces of a run (extra `otel`): a trace a run, a span for every span of ours.

Where they go is said by the variables that all of OpenTelemetry reads: OTEL_TRACES_EXPORTER (otlp,
console, none), OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, … Without
either of the first two nothing is traced and nothing imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mars2.errors import UsageError
from mars2.telemetry.events import Span
from mars2.telemetry.redact import Redactor

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def wanted(environment: Mapping[str, str] | None = None) -> str | None:
    """The exporter that the environment asks for: "otlp", "console", or None for none.

    Raises:
        UsageError: it asks for one that is not here.
    """
    variables = os.environ if environment is None else environment
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    named = variables.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if not named:
        return "otlp" if any(variables.get(name) for name in _ENDPOINTS) else None
    if named not in ("otlp", "console", "none"):
        raise UsageError(f"OTEL_TRACES_EXPORTER is {named!r}; here it is otlp, console or none")
    return None if named == "none" else named


def open_traces(exporter: str, say: Callable[[str], None]) -> TraceSink | None:
    """The sink for this exporter; None, said to the user, if the extra is not installed.

    A cluster may set the variables for everybody, so that is no reason not to run.
    """
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            ConsoleSpanExporter,
            SimpleSpanProcessor,
        )

        named = os.environ.get("OTEL_SERVICE_NAME")
        resource = Resource.create({} if named else {"service.name": "mars2"})
        provider = TracerProvider(resource=resource)
        if exporter == "console":  # on stderr: stdout belongs to data
            provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ImportError as error:
        say(
            f"OTEL_* variables ask for traces, but there are none: {error}. "
            "pip install 'mars2[otel]', or set OTEL_SDK_DISABLED=true"
        )
        return None
    return TraceSink(provider)


class TraceSink:
    """Hands spans to a provider, which it shuts down at the end."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace

        self._api = trace
        self._provider = provider
        self._tracer = provider.get_tracer("mars2")
        self._redact = Redactor()
        self._open: dict[Span, Any] = {}

    def event(self, name: str, ids: dict[str, Any], fields: dict[str, Any]) -> None:
        """Not traced: a span of a run that takes a week has no room for its events."""

    def begun(self, span: Span) -> None:
        context = None
        if span.under is not None and id(self) in span.under.kept:
            context = self._api.set_span_in_context(span.under.kept[id(self)])
        begun = self._tracer.start_span(span.name, context=context)
        span.kept[id(self)] = self._open[span] = begun

    def ended(self, span: Span) -> None:
        ours = self._open.pop(span, None)
        if ours is None:  # begun before this sink listened
            return
        for key, value in (span.ids | span.fields).items():
            ours.set_attribute(f"mars2.{key}", self._attribute(value))
        error = span.error or span.fields.get("failure")
        if error is not None:
            status = self._api.StatusCode.ERROR
            ours.set_status(self._api.Status(status, self._redact(str(error))))
        ours.end()

    def close(self) -> None:
        for left in self._open.values():  # of a run that was interrupted
            left.end()
        self._open.clear()
        self._provider.shutdown()

    def _attribute(self, value: Any) -> Any:
        return value if isinstance(value, bool | int | float) else self._redact(str(value))
