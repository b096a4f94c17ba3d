"""Opens what the settings of a command ask for, before anything else starts, and closes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from mars2.config import TelemetryConfig
from mars2.telemetry.events import add_sink, begin
from mars2.telemetry.logs import LogSink
from mars2.telemetry.metrics import MetricsServer
from mars2.telemetry.traces import open_traces, wanted


@dataclass(frozen=True, slots=True)
class Watch:
    """What is open. `metrics_url` is None without metrics."""

    metrics_url: str | None


@contextmanager
def watched(
    config: TelemetryConfig,
    command: str,
    run: str,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Watch]:
    """The block is one run of a command, and told of as the settings say.

    Args:
        run: its name, in everything that is told.
        say: told in a line what a user should know at once.

    Raises:
        UsageError: the log file cannot be written, the port is taken, or a package is missing.
    """
    exporter = wanted()
    with ExitStack() as open_now:
        url = None
        if config.metrics_port is not None:
            server = MetricsServer(config.metrics_host, config.metrics_port)
            open_now.callback(server.close)
            open_now.enter_context(add_sink(server.sink))
            url = server.url
            say(f"metrics: {url}")
        log = LogSink(
            config.log_file,
            config.log_format,
            config.log_level,
            max_bytes=config.log_megabytes << 20,
            files=config.log_files,
        )
        open_now.enter_context(add_sink(log))
        if exporter is not None:
            traces = open_traces(exporter, say)
            if traces is not None:
                open_now.enter_context(add_sink(traces))
        with begin("run", run=run, command=command) as span:
            try:
                yield Watch(url)
            except (KeyboardInterrupt, asyncio.CancelledError):
                span.note(status="interrupted")
                raise
            except BaseException:
                span.note(status="failed")
                log.exception()  # the user is shown less
                raise
            span.note(status="ended")
