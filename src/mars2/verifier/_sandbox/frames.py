"""Messages between the verifier and its fork server: a JSON head and raw bytes, both counted.

Nothing is ever unpickled, and lengths are bounded before anything is allocated.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, NamedTuple

PREFIX = struct.Struct(">II")  # bytes of the head, bytes of all blobs
MAX_HEAD = 16 << 20
MAX_BLOBS = 1 << 30

Message = tuple[dict[str, Any], list[bytes]]


def pack(head: dict[str, Any], *blobs: bytes) -> bytes:
    """One message as bytes."""
    text = json.dumps({**head, "blobs": [len(blob) for blob in blobs]}).encode()
    return b"".join((PREFIX.pack(len(text), sum(map(len, blobs))), text, *blobs))


def lengths(prefix: bytes | bytearray) -> tuple[int, int]:
    """Bytes of the head and of the blobs. Raises ValueError beyond the bounds."""
    head, blobs = PREFIX.unpack(prefix)
    if head > MAX_HEAD or blobs > MAX_BLOBS:
        raise ValueError(f"message too large: {head} + {blobs} bytes")
    return head, blobs


def unpack(head: bytes, body: bytes) -> Message:
    """Head and blobs. Raises ValueError if they do not fit together."""
    parsed = json.loads(head)
    blobs, start = [], 0
    for size in parsed.pop("blobs"):
        blobs.append(body[start : start + size])
        start += size
    if start != len(body):
        raise ValueError("blob lengths do not add up")
    return parsed, blobs


class Received(NamedTuple):
    """A message whose blobs are views of one buffer."""

    head: dict[str, Any]
    blobs: list[memoryview]

    def wipe(self) -> None:
        """Overwrite the blobs: what later forks inherit shall not hold them."""
        for blob in self.blobs:
            blob[:] = bytes(len(blob))


def receive(sock: socket.socket) -> Received | None:
    """The next message from a blocking socket; None at its end."""
    prefix = _exactly(sock, PREFIX.size)
    if prefix is None:
        return None
    head_size, blob_size = lengths(prefix)
    head, body = _exactly(sock, head_size), _exactly(sock, blob_size)
    if head is None or body is None:
        return None
    parsed, views = json.loads(head), memoryview(body)
    blobs, start = [], 0
    for size in parsed.pop("blobs"):
        blobs.append(views[start : start + size])
        start += size
    return Received(parsed, blobs)


def _exactly(sock: socket.socket, size: int) -> bytearray | None:
    data, got = bytearray(size), 0
    view = memoryview(data)
    while got < size:
        count = sock.recv_into(view[got:])
        if count == 0:
            return None
        got += count
    return data
