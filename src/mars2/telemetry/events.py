"""Events and spans, the ids that go with them, and whoever listens.

A span is something that takes time: a step, a tree, an update. Spans nest, and what happens within
one carries its ids (run, step, tree, …), also in log records that know nothing of this: the span
that a task is in is a context variable. A task does not always begin where it belongs (whoever
frees a place starts the next expansion), so a span can be given the one that it is under.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Protocol, Self

IDS = ("run", "step", "problem", "tree", "node", "agent", "policy", "version")
"""What says where something happened; a span hands these on to all within it."""

_IDS = frozenset(IDS)
_log = logging.getLogger(__name__)


class Sink(Protocol):
    """A listener. One that raises is closed and hears no more: no run ends for its telemetry."""

    def event(self, name: str, ids: dict[str, Any], fields: dict[str, Any]) -> None:
        """Something happened."""
        ...

    def begun(self, span: Span) -> None:
        """A span has begun."""
        ...

    def ended(self, span: Span) -> None:
        """It has ended; `fields`, `seconds` and `error` are complete."""
        ...

    def close(self) -> None:
        """Write out what is left."""
        ...


class Span:
    """Something that takes time. Made by `begin` and `span`.

    Attributes:
        ids: its own and those of the spans it is within.
        fields: what else is told of it.
        seconds: how long it took, once it has ended.
        error: what was raised in it, as "Type: text"; None if nothing was.
        kept: whatever a sink wants to find again when the span has ended.
    """

    def __init__(self, name: str, under: Span | None, values: dict[str, Any]) -> None:
        own, self.fields = _split(values)
        self.name = name
        self.under = under
        self.ids: dict[str, Any] = under.ids | own if under is not None else own
        self.seconds = 0.0
        self.error: str | None = None
        self.kept: dict[int, Any] = {}
        self._started = time.monotonic()
        self._token: Token[Span | None] | None = None
        self._ended = False
        _tell("begun", self)

    def note(self, **values: Any) -> None:
        """Tell more of it; known to sinks when it ends."""
        own, fields = _split(values)
        self.ids |= own
        self.fields |= fields

    def emit(self, name: str, /, **values: Any) -> None:
        """Something happened within it."""
        own, fields = _split(values)
        _tell("event", name, self.ids | own, fields)

    def end(self, **values: Any) -> None:
        """It is over. Once: later calls do nothing."""
        if not self._ended:
            self._ended = True
            self.note(**values)
            self.seconds = time.monotonic() - self._started
            _tell("ended", self)

    @contextmanager
    def here(self) -> Iterator[None]:
        """What the block does, and tasks that it starts, are within this span."""
        token = _here.set(self)
        try:
            yield
        finally:
            _here.reset(token)

    def __enter__(self) -> Self:
        self._token = _here.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _here.reset(self._token)
        if error is not None:
            self.error = f"{type(error).__name__}: {error}".rstrip(": ")
        self.end()


class _Off(Span):
    """A span that nobody wants to know of."""

    def __init__(self) -> None:
        self.ids = {}

    def note(self, **values: Any) -> None:
        pass

    def emit(self, name: str, /, **values: Any) -> None:
        pass

    def end(self, **values: Any) -> None:
        pass

    @contextmanager
    def here(self) -> Iterator[None]:
        yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


OFF: Span = _Off()
"""What `begin` and `span` return while nobody listens."""

_here: ContextVar[Span | None] = ContextVar("mars2_telemetry", default=None)
_sinks: tuple[Sink, ...] = ()


def emit(name: str, /, **values: Any) -> None:
    """Something happened, within the span that this task is in.

    Args:
        name: one of those in `mars2.telemetry.catalog`.
        values: ids (`IDS`), and plain JSON values.
    """
    if _sinks:
        own, fields = _split(values)
        _tell("event", name, current_ids() | own, fields)


def begin(name: str, /, under: Span | None = None, **values: Any) -> Span:
    """A span that whoever holds it ends. `under`: by default the one that this task is in."""
    if not _sinks:
        return OFF
    parent = current() if under is None else under
    return Span(name, None if parent is OFF else parent, values)


span = begin
"""The same, for a `with` statement: within the block this task is in the span."""


def current() -> Span | None:
    """The span that this task is in."""
    return _here.get()


def current_ids() -> dict[str, Any]:
    """Its ids; empty without one."""
    here = _here.get()
    return here.ids if here is not None else {}


@contextmanager
def add_sink(sink: Sink) -> Iterator[None]:
    """During the block this sink hears everything that happens in the process."""
    global _sinks
    _sinks = (*_sinks, sink)
    try:
        yield
    finally:
        if sink in _sinks:
            _drop(sink)
            try:
                sink.close()
            except Exception:
                _log.exception("%s could not write what was left", type(sink).__name__)


def _drop(sink: Sink) -> None:
    global _sinks
    _sinks = tuple(s for s in _sinks if s is not sink)


def _tell(method: str, *arguments: Any) -> None:
    for sink in _sinks:
        try:
            getattr(sink, method)(*arguments)
        except Exception:
            _drop(sink)
            _log.exception("%s failed and hears no more of this run", type(sink).__name__)


def _split(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    ids: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for key, value in values.items():
        (ids if key in _IDS else fields)[key] = value
    return ids, fields
