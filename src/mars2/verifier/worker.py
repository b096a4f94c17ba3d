"""One fork server seen from the event loop: starting it, talking to it, making sure it is gone."""

from __future__ import annotations

import asyncio
import contextlib
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

    def __init__(self, why: str, begun: bool = True) -> None:
        """`begun`: the job may be the cause."""
        super().__init__(why)
        self.begun = begun


class GivenBack(Exception):
    """The program before this one takes long; this one did not begin and can run elsewhere."""


class Turn:
    """One process of a program on a worker: running, or waiting for the one before it."""

    def __init__(self, worker: Worker, number: int, seconds: float) -> None:
        self.number, self.seconds = number, seconds
        self.over = self._left = False
        self._worker = worker
        self._messages: deque[frames.Message] = deque()
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def receive(self) -> frames.Message:
        """Its next report. Raises WorkerLost, GivenBack."""
        while not self._messages:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._messages.popleft()

    def stop(self) -> None:
        """Have the process killed; the last report follows. Raises WorkerLost."""
        if not self.over:
            self._worker.send(frames.pack({"op": "stop", "id": self.number}))

    def leave(self) -> None:
        """Want no more reports; a process that still runs is killed."""
        self._left = True
        with contextlib.suppress(WorkerLost):
            self.stop()

    def put(self, message: frames.Message) -> None:
        """A report has come."""
        self.over = message[0]["final"]
        if not self._left:
            self._messages.append(message)
        self._wake()

    def fail(self, error: Exception) -> None:
        """There will be none."""
        self.over, self._error = True, error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Worker:
    """A fork server process."""

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
        self._log, self._numbers = -1, 0
        self._changing = asyncio.Lock()
        self.hello: dict[str, Any] = {}

    @property
    def pid(self) -> int | None:
        """Process id of the launcher, None while there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        """True between a successful `start` and `kill`, or the loss of the server."""
        return self._wire is not None and self._wire.lost is None

    async def start(self) -> None:
        """Start the process and wait for its hello. Raises InfraError saying what it wrote."""
        async with self._changing:
            if not self.alive:
                await self._end()
                await self._begin()

    async def _begin(self) -> None:
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
        hello = Turn(self, 0, _START_S)
        self._wire.add(hello)
        try:
            self.hello, _ = await hello.receive()
        except WorkerLost as lost:
            said = self._said()
            await self._end()
            raise InfraError(f"the program runner did not start: {lost}{said}") from None

    def _said(self) -> str:
        if self._log < 0:
            return ""
        text = os.pread(self._log, 4000, 0).decode("utf-8", "replace").strip()
        return f"\n{text}" if text else ""

    def begin(self, head: dict[str, Any], blobs: list[bytes], seconds: float) -> Turn:
        """Send a "run"; the server is to report within about `seconds` each time.

        One may run and others wait for it. Raises WorkerLost.
        """
        self._numbers += 1
        turn = Turn(self, self._numbers, seconds + _MESSAGE_MARGIN_S)
        self.send(frames.pack({**head, "id": turn.number}, *blobs))
        assert self._wire is not None
        self._wire.add(turn)
        return turn

    def send(self, message: bytes) -> None:
        """A packed message. Raises WorkerLost."""
        if self._wire is None or self._wire.lost is not None:
            raise WorkerLost("not running")
        self._wire.write(message)

    async def bury(self) -> None:
        """Make sure that a lost server is gone, with every program."""
        async with self._changing:
            if not self.alive:
                await self._end()

    async def kill(self) -> None:
        """End the server and with it every program; returns when all are gone and reaped.

        The end of the socket tells the server to kill its program and leave; only one that
        does not is killed, and then the kernel (PID namespace, parent death signal) does it.
        """
        async with self._changing:
            await self._end()

    async def _end(self) -> None:
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
    """Messages from and to one server, and how long it may take over them."""

    def __init__(self) -> None:
        self.lost: str | None = None
        self._transport: asyncio.Transport | None = None
        self._data = bytearray()
        self._turns: dict[int, Turn] = {}  # the first is the one that runs
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def add(self, turn: Turn) -> None:
        """The server is going to report to that turn, after those before it."""
        self._turns[turn.number] = turn
        if len(self._turns) == 1:
            self._await_report()

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
                del self._data[:end]
                self._take(frames.unpack(body[:head], body[head:]))
        except (ValueError, KeyError) as error:
            self._lose(f"cannot be read: {error!r}")

    def _take(self, message: frames.Message) -> None:
        head = message[0]
        turn = self._turns[head["id"]]
        if head["op"] == "back":
            del self._turns[turn.number]
            turn.fail(GivenBack())
            return
        turn.put(message)
        if turn.over:
            del self._turns[turn.number]
        self._await_report()

    def _await_report(self) -> None:
        turn = next(iter(self._turns.values()), None)
        if turn is not None:
            self._deadline = self._loop.time() + turn.seconds
            if self._timer is None:
                self._timer = self._loop.call_later(turn.seconds, self._look)

    def _look(self) -> None:
        # One timer for many reports: to set one for each costs more than the rest of this class.
        self._timer = None
        left = self._deadline - self._loop.time()
        if not self._turns:
            return
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._lose(f"no answer within {next(iter(self._turns.values())).seconds:g} s")

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(f"cannot be read: {exc}" if exc else "it ended")
        if not self._closed.done():
            self._closed.set_result(None)

    def _lose(self, why: str) -> None:
        self.lost = self.lost or why
        turns, self._turns = list(self._turns.values()), {}
        for index, turn in enumerate(turns):
            turn.fail(WorkerLost(self.lost, begun=index == 0))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def write(self, data: bytes) -> None:
        """Send; buffered as far as the socket does not take it."""
        assert self._transport is not None
        self._transport.write(data)

    async def goodbye(self) -> None:
        """Tell the server that there is no more, and wait for its end of the socket."""
        assert self._transport is not None
        if not self._transport.is_closing():
            if self._transport.can_write_eof():
                self._transport.write_eof()
            await asyncio.wait([self._closed], timeout=_GOODBYE_S)
        self._transport.abort()
