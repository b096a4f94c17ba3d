"""The log of a run: one record an event, through the standard library's logging.

What modules log in the ordinary way is in it too, with the ids of the span they are in; of other
libraries warnings and errors only. Events go into the log alone, not to the console, which a
command keeps for its user.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import sys
import traceback
from datetime import UTC, datetime
from logging import ERROR
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal

from mars2.errors import UsageError
from mars2.telemetry.catalog import EVENTS, SPANS
from mars2.telemetry.events import IDS, Span, current_ids
from mars2.telemetry.redact import Redactor

Format = Literal["json", "text"]
LEVELS = ("debug", "info", "warning", "error")


class LogSink:
    """Writes events as records, and has the other records of the process written with them.

    Args:
        path: the file, "-" for stderr. None: that of the run directory, once there is one.
        level: of `mars2` loggers; others count from "warning" on.
        max_bytes, files: a file that is full becomes NAME.1, the one before NAME.2, and so on; no
            more than `files` are kept.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | None,
        format: Format = "json",
        level: str = "info",
        *,
        max_bytes: int = 16 << 20,
        files: int = 4,
    ) -> None:
        self._format: Format = format
        self._max_bytes = max_bytes
        self._files = files
        self._ours, self._root = logging.getLogger("mars2"), logging.getLogger()
        self._before = self._ours.level
        self._console: logging.Handler | None = None
        self._handler: logging.Handler | None = None
        if path is not None:
            self._handler = self._open(path)
        self._ours.setLevel(level.upper())
        if not self._root.handlers and path != "-":
            # Without any handler warnings would go to stderr; with one, only there.
            self._console = logging.StreamHandler()
            self._console.setLevel(logging.WARNING)
            self._console.addFilter(lambda record: not hasattr(record, "event"))
            self._root.addHandler(self._console)
        if self._handler is not None:
            self._root.addHandler(self._handler)

    def _open(self, path: str) -> logging.Handler:
        handler: logging.Handler
        if path == "-":
            handler = logging.StreamHandler(sys.stderr)
        else:
            try:
                handler = _File(path, maxBytes=self._max_bytes, backupCount=self._files - 1)
            except OSError as error:
                raise UsageError(f"--log-file {path} cannot be written: {error}") from None
        handler.setFormatter(JsonFormatter() if self._format == "json" else TextFormatter())
        handler.addFilter(add_ids)
        return handler

    def event(self, name: str, ids: dict[str, Any], fields: dict[str, Any]) -> None:
        if name == "run directory" and self._handler is None:
            suffix = "jsonl" if self._format == "json" else "txt"
            self._handler = self._open(str(Path(fields["path"]) / f"log.{suffix}"))
            self._root.addHandler(self._handler)
        self._write(name, *EVENTS[name], ids, fields)

    def begun(self, span: Span) -> None:
        level, _, part = SPANS[span.name]
        self._write(f"{span.name} begun", level, part, span.ids, span.fields)

    def ended(self, span: Span) -> None:
        _, level, part = SPANS[span.name]
        fields = span.fields | {"seconds": round(span.seconds, 4)}
        if span.error is not None:
            fields["error"] = span.error
            level = ERROR if span.name == "run" else level
        self._write(f"{span.name} ended", level, part, span.ids, fields)

    def _write(
        self, message: str, level: int, part: str, ids: dict[str, Any], fields: dict[str, Any]
    ) -> None:
        if self._ours.isEnabledFor(level):
            logger = logging.getLogger(f"mars2.{part}")
            logger.log(level, message, extra={"event": True, "ids": ids, "fields": fields})

    def exception(self) -> None:
        """Write down the exception that is being handled, with its traceback."""
        extra = {"event": True, "ids": current_ids()}
        logging.getLogger("mars2.run").error("run failed", exc_info=True, extra=extra)

    def close(self) -> None:
        for handler in (self._handler, self._console):
            if handler is not None:
                self._root.removeHandler(handler)
                handler.close()
        self._ours.setLevel(self._before)


def add_ids(record: logging.LogRecord) -> bool:
    """Give a record the ids of the span it was made in. A logging filter that keeps all."""
    if not hasattr(record, "ids"):
        record.ids = current_ids()
    return True


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time (UTC), level, logger, message, ids, fields."""

    def __init__(self) -> None:
        super().__init__()
        self._redact = Redactor()

    def format(self, record: logging.LogRecord) -> str:
        row: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        row |= _ids(record)
        row |= {k: _plain(v) for k, v in getattr(record, "fields", {}).items()}
        if record.exc_info and record.exc_info[1] is not None:
            row["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
        return self._redact(json.dumps(row, default=str, ensure_ascii=False))


class TextFormatter(logging.Formatter):
    """`TIME LEVEL LOGGER MESSAGE key=value …`, for people."""

    def __init__(self) -> None:
        super().__init__()
        self._redact = Redactor()

    def format(self, record: logging.LogRecord) -> str:
        values = _ids(record) | getattr(record, "fields", {})
        pairs = "".join(f" {k}={_word(v)}" for k, v in values.items())
        text = f"{_time(record)} {record.levelname:<7} {record.name} {record.getMessage()}{pairs}"
        if record.exc_info and record.exc_info[1] is not None:
            text += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        return self._redact(text)


class _File(RotatingFileHandler):
    """Says once that it cannot write; the run goes on."""

    def __init__(self, path: str, *, maxBytes: int, backupCount: int) -> None:
        if os.path.isfile(path) and not _ends_with_a_line(path):
            with open(path, "a") as file:  # torn by a kill, or a disk that was full
                file.write("\n")
        super().__init__(path, maxBytes=maxBytes, backupCount=backupCount, encoding="utf-8")
        self._said = False
        self._last: tuple[logging.LogRecord | None, str] = (None, "")

    def format(self, record: logging.LogRecord) -> str:
        # Asked twice of each record: how long it will be, and what it is.
        if self._last[0] is not record:
            self._last = (record, super().format(record))
        return self._last[1]

    def close(self) -> None:
        try:
            super().close()
        except OSError:  # what was not written is said already
            pass

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._said:
            self._said = True
            error = sys.exc_info()[1]
            print(f"log {self.baseFilename} is incomplete: {error}", file=sys.stderr)


def _ends_with_a_line(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(-min(1, os.path.getsize(path)), os.SEEK_END)
        return file.read() in (b"", b"\n")


def _ids(record: logging.LogRecord) -> dict[str, Any]:
    ids: dict[str, Any] = getattr(record, "ids", {})
    return {name: ids[name] for name in IDS if name in ids}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _word(value: Any) -> str:
    """On one line, and without a space unless quoted."""
    text = str(value)
    return text if re.fullmatch(r"[^\s\"=]+", text) else json.dumps(value, default=str)


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
