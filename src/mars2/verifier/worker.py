"""One fork server seen from the event loop: starting it, talking to it, making sure it is gone."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mars2.errors import InfraError
from mars2.verifier._sandbox import frames
from mars2.verifier._sandbox.walls import Settings

# Compiled once and not in every worker: what compiling leaves in memory makes each fork dearer.
_BOOT = (
    "import sys; sys.dont_write_bytecode = False; sys.path.insert(0, sys.argv[1]); "
    "from _sandbox import launcher, walls; sys.path.pop(0); "
    "launcher.main(int(sys.argv[2]), walls.Settings.parse(sys.argv[3]))"
)
_FOLDER = str(Path(__file__).resolve().parent)
_START_S = 60.0  # a cold disk on a loaded machine; a hang, not a slow start, is what it ends
_MESSAGE_MARGIN_S = 30.0
_GOODBYE_S = 5.0
# Hash order fixed: a program whose output depends on it gets the same verdict every time.
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}


class WorkerLost(Exception):
    """The fork server died or does not answer; the job can be run again on a new one."""


class Worker:
    """A fork server process. Not safe for concurrent jobs: one at a time."""

    def __init__(
        self,
        settings: Settings | None = None,
        python: str = sys.executable,
        prefix: Sequence[str] = (),
    ) -> None:
        """`prefix` is a command that runs its arguments as a command, such as a container's."""
        self._settings, self._python = settings or Settings(), python
        self._prefix = list(prefix)
        self._process: subprocess.Popen[bytes] | None = None
        self._wire: _Wire | None = None
        self._log = -1
        self.hello: dict[str, Any] = {}

    @property
    def pid(self) -> int | None:
        """Process id of the launcher, None while there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        """True between a successful `start` and `kill`."""
        return self._wire is not None

    async def start(self) -> None:
        """Start the process and wait for its hello. Raises InfraError saying what it wrote."""
        if self.alive:
            return
        await self.kill()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        arguments = [_FOLDER, str(theirs.fileno()), self._settings.dump()]
        self._log = os.memfd_create("mars2-worker")
        try:
            # In this thread, on purpose: the server dies with the thread that started it.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                [*self._prefix, self._python, "-sP", "-X", "utf8", "-c", _BOOT, *arguments],
                pass_fds=[theirs.fileno()],
                env=_ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            command = self._prefix[0] if self._prefix else self._python
            raise InfraError(f"cannot start the program runner {command}: {error}") from None
        finally:
            theirs.close()
        loop = asyncio.get_running_loop()
        _, self._wire = await loop.create_unix_connection(_Wire, sock=ours)
        try:
            self.hello, _ = await self._wire.message(_START_S)
        except WorkerLost as lost:
            said = self._said()
            await self.kill()
            raise InfraError(f"the program runner did not start: {lost}{said}") from None

    def _said(self) -> str:
        if self._log < 0:
            return ""
        text = os.pread(self._log, 4000, 0).decode("utf-8", "replace").strip()
        return f"\n{text}" if text else ""

    def send(self, *messages: bytes) -> None:
        """Packed messages. Raises WorkerLost."""
        if self._wire is None or self._wire.lost is not None:
            raise WorkerLost("not running")
        self._wire.write(b"".join(messages))

    async def receive(self, seconds: float) -> frames.Message:
        """One message within about `seconds`. Raises WorkerLost."""
        if self._wire is None:
            raise WorkerLost("not running")
        return await self._wire.message(seconds + _MESSAGE_MARGIN_S)

    async def kill(self) -> None:
        """End the server and with it every program; returns when all are gone and reaped.

        The end of the socket tells the server to kill its program and leave; only one that
        does not is killed, and then the kernel (PID namespace, parent death signal) does it.
        """
        wire, process, self._wire, self._process = self._wire, self._process, None, None
        if wire is not None:
            await wire.goodbye()
        if process is not None:
            try:
                await asyncio.to_thread(process.wait, 2)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)
        if self._log >= 0:
            os.close(self._log)
            self._log = -1


class _Wire(asyncio.Protocol):
    """Messages from and to one server."""

    def __init__(self) -> None:
        self.lost: str | None = None
        self._transport: asyncio.Transport | None = None
        self._data = bytearray()
        self._messages: deque[frames.Message] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        size = frames.PREFIX.size
        try:
            while len(self._data) >= size:
                head, blobs = frames.lengths(self._data[:size])
                end = size + head + blobs
                if len(self._data) < end:
                    break
                body = bytes(self._data[size:end])
                self._messages.append(frames.unpack(body[:head], body[head:]))
                del self._data[:end]
        except ValueError as error:
            self._lose(f"cannot be read: {error}")
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(f"cannot be read: {exc}" if exc else "it ended")
        if not self._closed.done():
            self._closed.set_result(None)

    def _lose(self, why: str) -> None:
        self.lost = self.lost or why
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def write(self, data: bytes) -> None:
        """Send; buffered as far as the socket does not take it."""
        assert self._transport is not None
        self._transport.write(data)

    async def message(self, seconds: float) -> frames.Message:
        """The next message. Raises WorkerLost."""
        while not self._messages:
            if self.lost is not None:
                raise WorkerLost(self.lost)
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(seconds):
                    await self._waiter
            except TimeoutError:
                self._lose(f"no answer within {seconds:g} s")
        return self._messages.popleft()

    async def goodbye(self) -> None:
        """Tell the server that there is no more, and wait for its end of the socket."""
        assert self._transport is not None
        if not self._transport.is_closing():
            if self._transport.can_write_eof():
                self._transport.write_eof()
            await asyncio.wait([self._closed], timeout=_GOODBYE_S)
        self._transport.abort()
