"""The official profile without its fork server: each program in a fork of a prepared process.

The server's supervision (CPU clocks, walls) is tested elsewhere; here a wall clock sends the
alarm. As a script it is that process: it reads jobs as marshalled tuples, writes frames back.
"""

from __future__ import annotations

import contextlib
import importlib
import marshal
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any

_HEAD = struct.Struct(">I")
_FRAME = struct.Struct(">Ic")
_GRACE_S = 0.9


class Local:
    """Runs programs in a temporary directory; use as a context manager."""

    def __enter__(self) -> Local:
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, "-X", "utf8", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder.name,
        )
        return self

    def __exit__(self, *error: object) -> None:
        # Not only by closing: processes forked meanwhile may hold the same pipe.
        self._process.stdin.write(_HEAD.pack(0))
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
        self._folder.cleanup()

    def run(
        self,
        kind: str,
        source: str,
        entry: str,
        tests: list[bytes],
        seconds: float,
        plain: bool = False,
    ) -> tuple[list[tuple[bytes, bytes]], int, bool, bool]:
        """Frames, the exit status, whether the alarm was sent, and whether it was killed."""
        code = source.encode("utf-8", "surrogatepass")
        data = marshal.dumps((kind, code, entry, tests, seconds, plain))
        self._process.stdin.write(_HEAD.pack(len(data)) + data)
        self._process.stdin.flush()
        size = _HEAD.unpack(self._process.stdout.read(_HEAD.size))[0]
        raw, status, alarmed, killed = marshal.loads(self._process.stdout.read(size))
        frames, start = [], 0
        while start < len(raw):
            length, letter = _FRAME.unpack_from(raw, start)
            start += _FRAME.size
            frames.append((letter, raw[start : start + length]))
            start += length
        return frames, status, alarmed, killed


def _serve() -> None:
    from mars2.verifier._sandbox import official

    jobs, replies = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for name in ("numpy", "fractions", "decimal"):  # as the server does
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    official.prepare()
    reader = os.fdopen(jobs, "rb")
    while size := _HEAD.unpack(reader.read(_HEAD.size))[0]:
        job = marshal.loads(reader.read(size))
        reply = marshal.dumps(_one(official, *job))
        os.write(replies, _HEAD.pack(len(reply)))
        while reply:
            reply = reply[os.write(replies, reply) :]


def _one(
    official: Any,
    kind: str,
    source: bytes,
    entry: str,
    tests: list[bytes],
    seconds: float,
    plain: bool,
) -> tuple[bytes, int, bool, bool]:
    results, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:

        def answer(letter: bytes, payload: bytes) -> None:
            data = _FRAME.pack(len(payload), letter) + payload
            while data:
                data = data[os.write(theirs, data) :]

        try:
            text = source.decode("utf-8", "surrogatepass")
            official.run(kind, text, entry, iter(tests), answer, 1 << 20, plain)
        finally:
            os._exit(0)
    os.close(theirs)
    parts: list[bytes] = []
    alarmed = killed = False
    end = time.monotonic() + seconds
    while not killed:
        if select.select([results], [], [], max(0.0, end - time.monotonic()))[0]:
            data = os.read(results, 1 << 20)
            if not data:
                break
            parts.append(data)
            end = end if alarmed else time.monotonic() + seconds
        elif alarmed:
            os.kill(pid, signal.SIGKILL)
            killed = True
        else:
            os.kill(pid, signal.SIGALRM)
            alarmed, end = True, time.monotonic() + _GRACE_S
    os.close(results)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return b"".join(parts), status, alarmed, killed


if __name__ == "__main__":
    _serve()
