"""Values of a JSON-lines file or of one JSON array, one at a time: memory for a row, not a file."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from mars2.errors import UsageError
from mars2.problems.jsonl import parse_json

_CHUNK = 1 << 20  # characters read at once
_ROW = 1 << 28  # characters of one row at most
_HEAD = 1 << 16  # bytes in which the first character is looked for
_SPACE = " \t\r\n"


def read_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """(row number from 1, value) of every row; of JSON lines blank ones are counted, not given.

    The file may be gzipped, begin with a byte order mark and have lines that end in CR LF.

    Raises:
        UsageError: a file that cannot be read, is not UTF-8, or a row that is no JSON, has a key
            twice, is longer than 2**28 characters, or was not written whole; names file and row.
    """
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            whole = stream.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
            stream.seek(0)
            with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n") as file:
                yield from _array(file, str(path)) if whole else _lines(file, str(path))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(f"{path}: cannot be unpacked: {error}") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _lines(file: TextIO, name: str) -> Iterator[tuple[int, Any]]:
    number = 0
    try:
        while line := file.readline(_ROW):
            number += 1
            if line.strip():
                yield number, _line(line, f"{name}, row {number}")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name}: is not UTF-8 text ({error.reason}, after row {number})"
        ) from None


def _line(line: str, where: str) -> Any:
    if len(line) >= _ROW:
        raise UsageError(f"{where}: is longer than {_ROW} characters")
    try:
        return parse_json(line, where)
    except UsageError as error:
        if line.endswith("\n"):
            raise
        raise UsageError(
            f"{error}; the file ends there, without an end of line: cut off?"
        ) from None


def _array(file: TextIO, name: str) -> Iterator[tuple[int, Any]]:
    decoder = json.JSONDecoder()
    text, number, size = "", 0, _CHUNK
    before, ended = "", False  # what stood before the next item: "[", or a comma
    while True:
        where = f"{name}, row {number + 1}"
        if ended:
            if text:
                parse_json(text, where)  # says what is wrong, unless only the end is missing
            raise UsageError(f"{where}: the file ends within the array: cut off?")
        if len(text) >= _ROW:
            raise UsageError(f"{where}: is longer than {_ROW} characters, or no JSON")
        try:
            more = file.read(size)
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{name}: is not UTF-8 text ({error.reason}, near row {number + 1})"
            ) from None
        text, ended, size = text + more, not more, 2 * size
        while (item := _item(decoder, text, before, where)) is not None:
            value, before, text = item
            if value is not None:
                number += 1
                where = f"{name}, row {number}"
                yield number, parse_json(value, where)
                where = f"{name}, row {number + 1}"
            size = _CHUNK
            if before == "]":
                if text.strip() or file.read().strip():
                    raise UsageError(f"{name}: something follows the end of the array")
                return


def _item(
    decoder: json.JSONDecoder, text: str, before: str, where: str
) -> tuple[str | None, str, str] | None:
    """(an item's text, the "," or "]" after it, what follows that), or None if `text` ends first.

    At the beginning of the array (None, "[", …), at the end of an empty one (None, "]", …).
    """
    text = text.lstrip(_SPACE)
    if not text:
        return None
    if not before:
        return None, "[", text[1:]
    if before == "[" and text[0] == "]":
        return None, "]", text[1:]
    if text[0] not in '[{"':
        raise UsageError(f"{where}: is no JSON object or list, it begins with {text[0]!r}")
    try:
        _, end = decoder.raw_decode(text)
    except RecursionError:
        raise UsageError(f"{where}: is nested too deeply") from None
    except ValueError:  # cut off here, or no JSON: more of the file will tell
        return None
    after = text[end:].lstrip(_SPACE)
    if not after:
        return None
    if after[0] not in ",]":
        raise UsageError(f"{where}: after it stands {after[0]!r}, not a comma or a bracket")
    return text[:end], after[0], after[1:]
