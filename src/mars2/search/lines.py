"""The lines of a journal: how one is written, checked and read, whole or without its node.

Nodes are most of a journal, and reading JSON is most of resuming. So the line of a finished node
ends with a checksum of its fields: the node is known to be as it was written without being read.
"""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from mars2.errors import ResumeError

SCHEMA = 2
EVENTS = ("ask", "tell", "fail", "cancel", "join", "leave")


def encode(event: Mapping[str, Any], told: Mapping[str, Any] | None = None) -> bytes:
    """One line. `told` are the further fields of a finished node; the last is "node"."""
    line = _dump(event)
    if told is None:
        return line + b"\n"
    fields = _dump(told)[1:-1]
    return line[:-1] + b"," + fields + _checksum(fields)


def decode(line: bytes) -> Any:
    """The JSON value. Raises ValueError if there is none."""
    try:
        return from_json(line)
    except ValueError:  # a lone surrogate, which it refuses; or no JSON
        return json.loads(line)


def parse(
    line: bytes,
    path: Path,
    number: int,
    *,
    may_be_torn: bool = False,
    without_node: bool = False,
) -> dict[str, Any] | None:
    """The event, or None for a torn line where one may be.

    Args:
        without_node: the node of a line that has a checksum is left as JSON, in bytes.

    Raises:
        ResumeError: no whole JSON object, or one that has no place in a journal, or not there.
    """
    try:
        event = _event(line, without_node)
    except ValueError as error:
        if may_be_torn and (number > 1 or _begins_header(line)):
            return None
        why = f"{error}; the file is damaged or no journal"
        raise _unreadable(path, number, why) from None
    if number == 1:
        if event.get("event") != "header" or "config_hash" not in event:
            raise _unreadable(path, number, "not the header of a search journal")
        if event.get("schema") != SCHEMA:
            raise _unreadable(
                path,
                number,
                f"schema {event.get('schema')!r}, this version reads schema {SCHEMA}; "
                "go on with the version that wrote it, or begin anew in another directory",
            )
    elif (
        event.get("event") not in EVENTS
        or not isinstance(event.get("tree"), str)
        or not isinstance(event.get("seconds"), int | float)
    ):
        raise _unreadable(path, number, "not an event of a tree")
    return event


def read_lines(file: io.FileIO) -> Iterator[tuple[int, bytes, bool]]:
    """(line number from 1, line, whether it is the last) of every line."""
    file.seek(0)
    buffered = io.BufferedReader(file, 1 << 20)
    try:
        line = buffered.readline()
        number = 1
        while line:
            following = buffered.readline()
            yield number, line, not following
            line = following
            number += 1
    finally:
        buffered.detach()


def tree_at_a_glance(line: bytes) -> str | None:
    """The tree id of a line that begins and ends as `encode` writes them, else None."""
    match = _BEGINNING.match(line)
    return _text(match[1]) if match is not None and line.endswith(b"}\n") else None


_BEGINNING = re.compile(
    rb'\{"event":"(?:%b)","tree":("(?:[^"\\]|\\.)*"),"seconds":[0-9.]+,(?=")'
    % "|".join(EVENTS).encode()
)


def _event(line: bytes, without_node: bool) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise ValueError("it ends within a line")
    begin = _BEGINNING.match(line)
    end = -1 if begin is None else line.rfind(b',"crc":', -20)
    node = -1
    if begin is not None and end >= 0:
        if line[end:] != _checksum(line[begin.end() : end]):
            raise ValueError("the line does not match its checksum")
        # Not within a string: a quote would be escaped there.
        node = line.find(b',"node":{', begin.end()) if without_node else -1
    event = decode(line) if node < 0 else decode(line[:node] + b"}")
    if not isinstance(event, dict):
        raise ValueError("not a JSON object")
    if node >= 0:
        event["node"] = line[node + len(b',"node":') : end]
    return event


@lru_cache(1 << 12)
def _text(written: bytes) -> str | None:
    """What a JSON string says; None if it is none."""
    try:
        return json.loads(written)
    except ValueError:
        return None


def _begins_header(line: bytes) -> bool:
    """Could a torn first line have been a header? If not, the file is not ours to cut."""
    start = b'{"event":"header",'
    return line[: len(start)] == start[: len(line)]


def _unreadable(path: Path, number: int, why: str) -> ResumeError:
    return ResumeError(f"journal {path}, line {number}: {why}")


def _dump(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def _checksum(fields: bytes) -> bytes:
    return b',"crc":%d}\n' % zlib.crc32(fields)
