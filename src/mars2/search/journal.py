"""The append-only record of searches: all that happened to their trees, in that order.

One file of JSON lines a run holds many trees, their lines interleaved:

    {"event": "header", "schema": 2, "config_hash": "…", …}
    {"event": "ask",    "tree", "seconds", "node_id", "parent_id", "depth", "agent", "action",
                        "references": [node ids]}
    {"event": "tell",   "tree", "seconds", "node_id", "reward", "usage": [tokens of prompt, answer],
                        "node": {the whole node}, "crc": CRC-32 of the text from "node_id" to here}
    {"event": "fail",   "tree", "seconds", "node_id", "kind", "error", "node": {…} or null}
    {"event": "cancel", "tree", "seconds", "node_id"}
    {"event": "join" or "leave", "tree", "seconds", "agent"}

`seconds` are elapsed ones of the run, pauses between its processes left out.

Every event is one write of one whole line, handed to the kernel before the search goes on, so a
killed process leaves at most one torn line, the last, which reopening drops. Anything else
unreadable is an error that names file and line. Only positions are kept in memory; a tree's
events are read when it is resumed.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import logging
import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from mars2.errors import ResumeError
from mars2.search.codec import expansion_to_json, node_to_json
from mars2.search.lines import SCHEMA, encode, parse, read_lines, tree_at_a_glance
from mars2.types import Expansion, Node

_CHUNK = 1 << 20  # bytes read at once
_log = logging.getLogger(__name__)


class Journal:
    """One run's journal, open for appending. Make it with `Journal.open`.

    Attributes:
        path: the file.
        header: its first line.
    """

    def __init__(self, path: Path, file: io.FileIO, header: dict[str, Any]) -> None:
        self.path = path
        self.header = header
        self._file = file
        self._size = 0
        self._lines = 0
        # By tree, three numbers an event: line number from 1, byte offset, length.
        self._index: dict[str, array[int]] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str], header: dict[str, Any]) -> Journal:
        """Create the journal, or continue the one at `path`.

        `header` holds JSON values. Its "config_hash" decides whether an existing journal may be
        continued; without that key, the hash of the whole header does.

        Raises:
            ResumeError: the journal belongs to another config or schema, is in use by another
                process, is corrupt before its last line, or cannot be opened.
        """
        path = Path(path)
        wanted = {"event": "header", "schema": SCHEMA, "config_hash": _digest(header)}
        wanted |= {k: v for k, v in header.items() if k not in ("event", "schema")}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: each write call is one line, in the kernel when it returns.
            file = io.FileIO(path, "a+")
        except OSError as error:
            raise ResumeError(f"journal {path} cannot be opened: {error}") from None
        try:
            _lock(file, path)
            journal = cls(path, file, wanted)
            journal._read_existing()
            if journal._lines == 0:
                journal._append_line(encode(wanted))
        except BaseException:
            file.close()
            raise
        return journal

    @property
    def trees(self) -> list[str]:
        """Ids of the trees recorded so far, in order of their first event."""
        return list(self._index)

    def tree(self, tree_id: str) -> TreeJournal:
        """The part of one tree: its past events and an appender."""
        return TreeJournal(self, tree_id)

    def close(self) -> None:
        """Flush to the disk and release the file. Calling it twice is harmless."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read_existing(self) -> None:
        """Index every line by its beginning; truncate a torn last one.

        Nodes are parsed when their tree is resumed, not here: most are of finished trees.
        """
        for number, line, last in read_lines(self._file):
            tree_id = None if number == 1 or last else tree_at_a_glance(line)
            if tree_id is None:
                event = parse(line, self.path, number, may_be_torn=last)
                if event is None:
                    _log.warning("journal %s: dropped the torn line %d", self.path, number)
                    self._file.truncate(self._size)
                    break
                if number == 1:
                    self._check_header(event)
                else:
                    tree_id = event["tree"]
            self._lines = number
            self._size += len(line)
            if tree_id is not None:
                self._index_last(tree_id, len(line))

    def _check_header(self, found: dict[str, Any]) -> None:
        wanted = self.header
        if found["config_hash"] != wanted["config_hash"]:
            keys = sorted(k for k in found.keys() | wanted.keys() if found.get(k) != wanted.get(k))
            changes = "; ".join(f"{k}: {found.get(k)!r} -> {wanted.get(k)!r}" for k in keys)
            raise ResumeError(
                f"journal {self.path} was written with other settings and cannot be continued "
                f"({changes}); use the same settings or another directory"
            )
        self.header = found

    def _index_last(self, tree_id: str, length: int) -> None:
        """Note where the last line stands; it is an event of this tree."""
        if tree_id not in self._index:
            self._index[tree_id] = array("Q")
        self._index[tree_id].extend((self._lines, self._size - length, length))

    def _append_event(self, tree_id: str, line: bytes) -> None:
        self._append_line(line)
        self._index_last(tree_id, len(line))

    def _append_line(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            # A full disk: take a half-written line back, so that whoever goes on can.
            self._file.truncate(self._size)
            raise
        self._size += len(line)
        self._lines += 1

    def _events(
        self, tree_id: str, without_nodes: bool = False
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        places = self._index.get(tree_id, array("Q"))
        i = 0
        while i < len(places):
            # Adjacent lines in one read, and through the one descriptor: closing another one
            # would drop this process's lock.
            first, begin = i, places[i + 1]
            end = begin
            while i < len(places) and places[i + 1] == end and end - begin < _CHUNK:
                end += places[i + 2]
                i += 3
            chunk = io.BytesIO(os.pread(self._file.fileno(), end - begin, begin))
            for j in range(first, i, 3):
                line = chunk.read(places[j + 2])
                event = parse(line, self.path, places[j], without_node=without_nodes)
                assert event is not None  # only a torn line has none
                yield places[j], event


class TreeJournal:
    """One tree's events in its run's journal."""

    def __init__(self, journal: Journal, tree_id: str) -> None:
        self._journal = journal
        self.tree_id = tree_id

    def events(self) -> Iterator[dict[str, Any]]:
        """All events of this tree so far, oldest first.

        Raises:
            ResumeError: a line can no longer be read.
        """
        for _, event in self._journal._events(self.tree_id):
            yield event

    def replay(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(where it stands, event) of all events so far, oldest first.

        A "node" in bytes is as it was written, and need not be decoded to go on.

        Raises:
            ResumeError: a line can no longer be read, or its checksum is wrong.
        """
        for number, event in self._journal._events(self.tree_id, without_nodes=True):
            yield f"{self._journal.path}, line {number}", event

    def ask(self, expansion: Expansion, seconds: float = 0.0) -> None:
        """Record that an expansion was asked for, before it begins."""
        self._append("ask", seconds, expansion_to_json(expansion))

    def tell(self, node: Node, seconds: float = 0.0) -> None:
        """Record a finished node, whole."""
        usage = node.generation.usage
        told = {
            "node_id": node.node_id,
            "reward": node.reward,
            "usage": [usage.prompt_tokens, usage.completion_tokens],
            "node": node_to_json(node),
        }
        line = encode(self._start("tell", seconds), told)
        self._journal._append_event(self.tree_id, line)

    def fail(
        self, node_id: int, kind: str, error: str, node: Node | None = None, seconds: float = 0.0
    ) -> None:
        """Record an expansion that gave no usable node; `node` is kept as evidence."""
        written = None if node is None else node_to_json(node)
        self._append(
            "fail", seconds, {"node_id": node_id, "kind": kind, "error": error, "node": written}
        )

    def cancel(self, node_id: int, seconds: float = 0.0) -> None:
        """Record an expansion given up because its tree had ended."""
        self._append("cancel", seconds, {"node_id": node_id})

    def team(self, event: Literal["join", "leave"], agent: str, seconds: float = 0.0) -> None:
        """Record that an agent joined or left."""
        self._append(event, seconds, {"agent": agent})

    def _append(self, event: str, seconds: float, fields: dict[str, Any]) -> None:
        line = encode(self._start(event, seconds) | fields)
        self._journal._append_event(self.tree_id, line)

    def _start(self, event: str, seconds: float) -> dict[str, Any]:
        """What is read of a line at a glance. Milliseconds will do."""
        return {"event": event, "tree": self.tree_id, "seconds": round(seconds, 3)}


def read_journal(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """All events of a journal, header first; also of one that is being written.

    Raises:
        ResumeError: the file cannot be read or is corrupt before its last line.
    """
    path = Path(path)
    try:
        file = io.FileIO(path)
    except OSError as error:
        raise ResumeError(f"journal {path} cannot be read: {error}") from None
    with file:
        for number, line, last in read_lines(file):
            event = parse(line, path, number, may_be_torn=last)
            if event is not None:
                yield event


def _digest(header: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()[:16]


def _lock(file: io.FileIO, path: Path) -> None:
    """One writer at a time. The lock dies with its process and is not inherited by a fork."""
    try:
        fcntl.lockf(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise ResumeError(f"journal {path} is in use by another process") from None
    except OSError as error:  # a file system without locks
        _log.warning("journal %s: cannot be locked: %s", path, error)
