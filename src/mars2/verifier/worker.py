"""One fork server seen from the event loop: starting it, talking to it, making sure it is gone."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from mars2.errors import InfraError
from mars2.verifier._sandbox import frames

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from _sandbox import launcher; "
    "sys.path.pop(0); launcher.main(int(sys.argv[2]), set(sys.argv[3].split(',')) - {''})"
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

    def __init__(self, without: frozenset[str] = frozenset(), python: str = sys.executable) -> None:
        self._without, self._python = without, python
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._log = -1
        self.hello: dict[str, Any] = {}

    @property
    def pid(self) -> int | None:
        """Process id of the launcher, None while there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        """True between a successful `start` and `kill`."""
        return self._sock is not None

    async def start(self) -> None:
        """Start the process and wait for its hello. Raises InfraError saying what it wrote."""
        if self.alive:
            return
        await self.kill()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        arguments = [_FOLDER, str(theirs.fileno()), ",".join(sorted(self._without))]
        self._log = os.memfd_create("mars2-worker")
        try:
            # In this thread, on purpose: the server dies with the thread that started it.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                [self._python, "-sP", "-X", "utf8", "-c", _BOOT, *arguments],
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
            raise InfraError(f"cannot start the program runner {self._python}: {error}") from None
        finally:
            theirs.close()
        self._sock = ours
        try:
            self.hello, _ = await self._receive(_START_S)
        except WorkerLost as lost:
            said = self._said()
            await self.kill()
            raise InfraError(f"the program runner did not start: {lost}{said}") from None

    def _said(self) -> str:
        if self._log < 0:
            return ""
        text = os.pread(self._log, 4000, 0).decode("utf-8", "replace").strip()
        return f"\n{text}" if text else ""

    async def send(self, *messages: bytes) -> None:
        """Packed messages. Raises WorkerLost."""
        if self._sock is None:
            raise WorkerLost("not running")
        try:
            await asyncio.get_running_loop().sock_sendall(self._sock, b"".join(messages))
        except OSError as error:
            raise WorkerLost(f"cannot be written to: {error}") from None

    async def receive(self, seconds: float) -> frames.Message:
        """One message within about `seconds`. Raises WorkerLost."""
        return await self._receive(seconds + _MESSAGE_MARGIN_S)

    async def _receive(self, seconds: float) -> frames.Message:
        try:
            async with asyncio.timeout(seconds):
                head_size, blob_size = frames.lengths(await self._exactly(frames.PREFIX.size))
                return frames.unpack(await self._exactly(head_size), await self._exactly(blob_size))
        except TimeoutError:
            raise WorkerLost(f"no answer within {seconds:g} s") from None
        except (OSError, ValueError) as error:
            raise WorkerLost(f"cannot be read: {error}") from None

    async def _exactly(self, size: int) -> bytes:
        if self._sock is None:
            raise WorkerLost("not running")
        loop, data = asyncio.get_running_loop(), bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            count = await loop.sock_recv_into(self._sock, view[got:])
            if count == 0:
                raise WorkerLost("it ended")
            got += count
        return bytes(data)

    async def kill(self) -> None:
        """End the server and with it every program; returns when all are gone and reaped.

        The end of the socket tells the server to kill its program and leave; only one that
        does not is killed, and then the kernel (PID namespace, parent death signal) does it.
        """
        sock, process, self._sock, self._process = self._sock, self._process, None, None
        if sock is not None:
            sock.shutdown(socket.SHUT_WR)
            await self._drain(sock)
            sock.close()
        if process is not None:
            try:
                await asyncio.to_thread(process.wait, 2)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)
        if self._log >= 0:
            os.close(self._log)
            self._log = -1

    @staticmethod
    async def _drain(sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_GOODBYE_S):
                while await loop.sock_recv(sock, 1 << 16):
                    pass
        except (OSError, TimeoutError):
            pass
