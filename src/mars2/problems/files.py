"""Rows of a file in a published form, one at a time: JSON lines, JSON, Parquet, Arrow.

A row that cannot be read is told as what it is (a RowError in its place); the next one follows.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from mars2.errors import ProblemError
from mars2.problems.fields import Fault, Place, RowError, strict_json
from mars2.problems.unpack import max_bytes, too_large

Item = tuple[Place, Any]
"""Where a row stands, and its value or the RowError that it is."""
SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".parquet", ".arrow")
_BATCH = 16  # rows of a columnar file in memory at once
_CHUNK = 1 << 20


def read_file(path: Path, columns: Sequence[str]) -> Iterator[Item]:
    """The rows of a file; of a columnar one only `columns`, as far as it has them.

    Raises ProblemError for a file that cannot be read as its name says.
    """
    name = str(path)
    if not name.endswith(SUFFIXES):
        raise ProblemError(f"{name}: is none of {', '.join(SUFFIXES)}")
    try:
        if name.endswith((".parquet", ".arrow")):
            yield from _columnar(path, columns)
        elif name.endswith(".json"):
            yield from _array(path)
        else:
            with gzip.open(path) if name.endswith(".gz") else path.open("rb") as stream:
                yield from _lines(stream, name)
    except FileNotFoundError:
        raise ProblemError(f"{name}: no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ProblemError(f"{name}: cannot be unpacked: {error}") from None
    except OSError as error:
        raise ProblemError(f"{name}: cannot be read: {error.strerror or error}") from None


def _lines(stream: BufferedIOBase, name: str) -> Iterator[Item]:
    bound = max_bytes()
    number = 0
    while line := stream.readline(bound + 1):
        number += 1
        place = Place(name, number)
        if len(line) > bound and not line.endswith(b"\n"):
            while (rest := stream.readline(_CHUNK)) and not rest.endswith(b"\n"):
                pass
            yield place, RowError(place, "", too_large("has").what)
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield place, _value(line, place)


def _value(data: bytes, place: Place) -> Any:
    try:
        return strict_json(data)
    except Fault as fault:
        return RowError(place, "", fault.what)


def _array(path: Path) -> Iterator[Item]:
    if path.stat().st_size > max_bytes():
        raise ProblemError(f"{path}: {too_large('has').what}")
    try:
        values = strict_json(path.read_bytes())
    except Fault as fault:
        raise ProblemError(f"{path}: {fault.what}") from None
    if type(values) is not list:
        raise ProblemError(f"{path}: has to be a JSON array of rows")
    yield from ((Place(str(path), n), value) for n, value in enumerate(values, 1))


def _columnar(path: Path, columns: Sequence[str]) -> Iterator[Item]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ProblemError(f"{path}: reading it needs pip install 'mars2[datasets]'") from None
    number = 0
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                there = [c for c in columns if c in file.schema_arrow.names]
                batches = file.iter_batches(batch_size=_BATCH, columns=there)
                for batch in batches:
                    for row in batch.to_pylist():
                        number += 1
                        yield Place(str(path), number), row
            return
        with pa.memory_map(str(path)) as source:
            for batch in pa.ipc.open_stream(source):
                batch = batch.select([c for c in columns if c in batch.schema.names])
                for start in range(0, batch.num_rows, _BATCH):
                    for row in batch.slice(start, _BATCH).to_pylist():
                        number += 1
                        yield Place(str(path), number), row
    except pa.ArrowException as error:
        raise ProblemError(f"{path}: is no {path.suffix[1:]} file: {str(error)[:200]}") from None


def find(folder: Path, layouts: Sequence[Sequence[str]], what: str) -> list[Path]:
    """The files of the first layout that is wholly in the folder.

    A layout lists file names without suffix, each with its folder, and may hold `*`. Raises
    ProblemError if none is there, naming what is missing.
    """
    for layout in layouts:
        found = [_matching(folder, pattern) for pattern in layout]
        if all(found):
            return [path for paths in found for path in paths]
    wanted = " or ".join(", ".join(layout) for layout in layouts)
    raise ProblemError(
        f"{folder}: holds no {what}: looked for {wanted} (with one of {', '.join(SUFFIXES)})"
    )


def _matching(folder: Path, pattern: str) -> list[Path]:
    for suffix in SUFFIXES:
        found = sorted(folder.glob(pattern + suffix))
        if found:
            return found
    return []
