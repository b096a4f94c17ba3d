"""The on-disk half of the verdict cache: one SQLite file that several processes share.

Rows carry a digest of their content, so that a damaged one is a miss and never a verdict. A
file that is damaged as a whole is refused when it is opened; one that fails later is left alone
from then on, which costs speed and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import sqlite3
import threading
from pathlib import Path

from pydantic import ValidationError

from mars2.errors import UsageError
from mars2.types import Verdict

FILE_NAME = "verdicts.sqlite"
_SCHEMA = 1
_BUSY_S = 10.0
_BATCH = 256


class CacheFile:
    """Verdicts in `directory`/verdicts.sqlite. `get` from any thread; `put` never blocks."""

    def __init__(self, directory: Path) -> None:
        """Raises UsageError if the directory cannot be used or the file is damaged."""
        self.path = directory / FILE_NAME
        self.fault: str | None = None
        self._lock = threading.Lock()
        self._closed = False
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._writing = self._open()
            self._reading = self._open()  # never waits for a transaction of ours or of others
        except sqlite3.DatabaseError as error:
            raise UsageError(
                f"the verdict cache {self.path} cannot be used: {error}; delete the file if it is "
                "damaged, or choose another directory"
            ) from None
        except OSError as error:
            raise UsageError(f"the verdict cache {directory} cannot be used: {error}") from None
        self._queue: queue.SimpleQueue[tuple[str, Verdict] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="verdict-cache", daemon=True)
        self._writer.start()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS verdicts "
                "(key TEXT PRIMARY KEY, verdict BLOB NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID"
            )
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _SCHEMA):
                raise sqlite3.DatabaseError(f"it is of another format ({version})")
            if version == 0:
                connection.execute(f"PRAGMA user_version = {_SCHEMA}")
            connection.execute("SELECT key, verdict, digest FROM verdicts LIMIT 1").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def get(self, key: str) -> Verdict | None:
        """The verdict kept for `key`; None also if its row or the file is damaged."""
        if self.fault is not None or self._closed:
            return None
        try:
            with self._lock:
                row = self._reading.execute(
                    "SELECT verdict, digest FROM verdicts WHERE key = ?", (key,)
                ).fetchone()
        except sqlite3.Error as error:
            self.fault = f"the verdict cache {self.path} is no longer used: {error}"
            return None
        if row is None or _row_digest(key, bytes(row[0])) != bytes(row[1]):
            return None
        try:
            return Verdict.model_validate_json(row[0])
        except ValidationError:
            return None

    def put(self, key: str, verdict: Verdict) -> None:
        """Hand a verdict to the writing thread."""
        if self.fault is None and not self._closed:
            self._queue.put((key, verdict))

    def close(self) -> None:
        """Write what is waiting and let go of the file."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._writer.join()
        self._writing.close()
        with self._lock:
            self._reading.close()

    def _write(self) -> None:
        """The writing thread: everything that waits goes into one transaction."""
        item = self._queue.get()
        while item is not None:
            batch = [item]
            with contextlib.suppress(queue.Empty):
                while len(batch) < _BATCH:
                    item = self._queue.get_nowait()
                    if item is None:
                        break
                    batch.append(item)
            if self.fault is None:
                try:
                    self._store(batch)
                except sqlite3.Error as error:
                    self.fault = f"the verdict cache {self.path} is no longer written: {error}"
            if item is not None:
                item = self._queue.get()

    def _store(self, batch: list[tuple[str, Verdict]]) -> None:
        rows = []
        for key, verdict in batch:
            # text that is no UTF-8 cannot be stored: that verdict is judged again next time
            with contextlib.suppress(ValueError):
                payload = verdict.model_dump_json().encode()
                rows.append((key, payload, _row_digest(key, payload)))
        self._writing.execute("BEGIN IMMEDIATE")
        try:
            self._writing.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)", rows)
            self._writing.execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):
                self._writing.execute("ROLLBACK")
            raise


def _row_digest(key: str, payload: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\n" + payload).digest()
