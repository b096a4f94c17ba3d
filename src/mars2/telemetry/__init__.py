"""What a run tells about itself while it runs: a log, metrics, traces. docs/operations.md.

The rest of the system says what happens, in one line each, and knows nothing of who listens:

    telemetry.emit("policy halted", policy=name, reason=why)
    with telemetry.span("generate", policy=name) as asking:
        ...
        asking.note(tokens=12)

Who listens is opened by a command (`mars2.telemetry.session`). While nobody does, every one of
these calls returns at once. Imports nothing heavy, and nothing of the system but errors.
"""

from mars2.telemetry.events import IDS, OFF, Sink, Span, add_sink, begin, current, emit, span

__all__ = ["IDS", "OFF", "Sink", "Span", "add_sink", "begin", "current", "emit", "span"]
