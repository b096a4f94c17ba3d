"""One forked program under supervision: pipes, clocks, limits, and its end."""

from __future__ import annotations

import fcntl
import os
import resource
import secrets
import select
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from . import processes, program
from .isolation import Limits

_FIRST_LOOK_S, _LOOK_S = 0.01, 0.02
_STDERR_BYTES = 8192
_MAX_FRAMES = 10_000
ANSWERS = ("R", "E", "O")  # kinds that answer a call: result, exception, too large
_WALL_FACTOR, _WALL_EXTRA_S = 4.0, 5.0  # CPU time is what counts; this only ends a stall


@dataclass
class Report:
    """What is known of one test after it ran; the verifier makes the verdict."""

    exit: int | None = None  # status, or minus the signal; None: the process still lives
    killed: str = ""  # "", "cpu", "idle", "wall", "memory", "output"
    seconds: float = 0.0  # CPU time plus time asleep
    cpu: float = 0.0
    memory: int = 0  # peak, bytes
    done: bool = False
    leftovers: int = 0  # processes that were alive at the program's end
    process_limit: bool = False
    frames: list[tuple[str, bytes]] = field(default_factory=list)
    stdout: bytes = b""
    stderr: bytes = b""

    def head(self) -> dict[str, Any]:
        """Everything but the bytes, for the message."""
        skip = ("frames", "stdout", "stderr")
        return {name: value for name, value in vars(self).items() if name not in skip}


class Hangup(Exception):
    """The verifier went away or wants no more: kill everything."""


class Program:
    """A forked program. `supervise` watches it until it ends or answers."""

    def __init__(self, job_fields: dict[str, Any], limits: Limits, readable: bool) -> None:
        self.kind: str = job_fields["kind"]
        self.limits = limits
        self._readable = readable
        self._nonce = secrets.token_hex(8)
        self.fields = job_fields
        self._out = self._err = self._results = self._calls = self.pidfd = -1
        self.pid = 0
        self._pending = b""  # bytes of incomplete messages
        self._calling = bytearray()  # call bytes not yet taken
        self._billed = 0.0  # CPU seconds until the last answer

    # ------------------------------------------------------------------ start and end

    def fork(self, stdin: bytes) -> program.Job | None:
        """Fork. Returns the job in the child (which must `become` it), None in the parent."""
        uid = self.fields.get("uid")
        out_r = out_w = err_r = err_w = -1
        if self.kind == "stdin":
            self._stdin = _input_file(stdin)
            out_r, out_w = _pipe(uid)
        else:
            self._stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
            out_w = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        err_r, err_w = _pipe(uid)
        res_r, res_w = _pipe(None)
        call_r = call_w = -1
        if self.kind == "functional":
            call_r, call_w = _pipe(None)
            os.set_blocking(call_w, False)
        job = program.Job(
            limits=self.limits,
            nonce=self._nonce,
            stdin=self._stdin,
            stdout=out_w,
            stderr=err_w,
            results=res_w,
            calls=call_r,
            **self.fields,
        )
        self._started = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            return job
        for fd in (self._stdin, out_w, err_w, res_w, call_r):
            if fd >= 0:
                os.close(fd)
        self._out, self._err, self._results, self._calls = out_r, err_r, res_r, call_w
        for fd in (out_r, err_r, res_r):
            if fd >= 0:
                os.set_blocking(fd, False)
        self.pidfd = os.pidfd_open(self.pid)
        return None

    def close(self) -> None:
        """Close this side's descriptors."""
        for fd in (self._out, self._err, self._results, self._calls, self.pidfd):
            if fd >= 0:
                os.close(fd)
        self._out = self._err = self._results = self._calls = self.pidfd = -1

    # ------------------------------------------------------------------ watching

    def call(self, arguments: bytes) -> None:
        """Queue one call (marshalled arguments) of a functional program."""
        self._calling += len(arguments).to_bytes(4, "big") + arguments

    def supervise(self, control: int, events: int, alone: bool, uid: int | None) -> Report:
        """Until the process ends, or a functional program answered one call or more.

        Raises Hangup when one of `events` is seen on the descriptor `control`.
        """
        report = Report()
        watch = _Watch(self, report)
        poller = select.poll()
        for fd in (self._out, self._err, self._results, self.pidfd):
            if fd >= 0:
                poller.register(fd, select.POLLIN)
        poller.register(control, events)
        if self._calling:
            poller.register(self._calls, select.POLLOUT)
        ended = False
        while not ended and not report.killed:
            for fd, _ in poller.poll(watch.timeout_ms()):
                if fd == control:
                    raise Hangup
                if fd == self.pidfd:
                    ended = True
                elif fd == self._calls:
                    self._feed(poller)
                elif not self._read(fd, report):
                    poller.unregister(fd)
            if not ended and any(kind in ANSWERS for kind, _ in report.frames):
                watch.look(final=True)
                self._billed = watch.cpu
                return report
            if not ended and not report.killed:
                watch.look()
        self._end(report, watch, alone, uid)
        return report

    def _feed(self, poller: select.poll) -> None:
        try:
            del self._calling[: os.write(self._calls, self._calling[: 1 << 16])]
        except BlockingIOError:
            return
        except OSError:
            self._calling.clear()  # it closed its end; its exit or its silence will tell
        if not self._calling:
            poller.unregister(self._calls)

    def _read(self, fd: int, report: Report) -> bool:
        """Take what is there; False at the end of the pipe."""
        try:
            data = os.read(fd, 1 << 18)
        except BlockingIOError:
            return True
        if not data:
            return False
        if fd == self._out:
            report.stdout += data
            if len(report.stdout) > self.limits.output:
                report.killed = "output"
        elif fd == self._err:
            if len(report.stderr) < _STDERR_BYTES:
                report.stderr += data[:_STDERR_BYTES]
            else:  # keep the beginning's half and the newest bytes
                tail = (report.stderr[_STDERR_BYTES // 2 :] + data)[-_STDERR_BYTES:]
                report.stderr = report.stderr[: _STDERR_BYTES // 2] + tail
        else:
            self._take_frames(data, report)
        return True

    def _take_frames(self, data: bytes, report: Report) -> None:
        self._pending += data
        size = program.FRAME.size
        while len(self._pending) >= size:
            length, kind = program.FRAME.unpack_from(self._pending)
            if length > self.limits.output + 65536:
                report.killed = "output"
                return
            if len(self._pending) < size + length:
                return
            payload = self._pending[size : size + length]
            self._pending = self._pending[size + length :]
            if kind == b"D":
                report.done = payload == self._nonce.encode()
            elif kind == b"P":
                report.process_limit = True
            elif len(report.frames) < _MAX_FRAMES:
                report.frames.append((kind.decode("latin-1"), payload))

    def _end(self, report: Report, watch: _Watch, alone: bool, uid: int | None) -> None:
        if report.killed:
            os.kill(self.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self.pid, 0)
        report.exit = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime
        report.cpu = max(watch.cpu, cpu) - self._billed
        report.seconds = report.cpu + watch.idle
        report.memory = max(report.memory, usage.ru_maxrss * 1024 - watch.base)
        report.leftovers = processes.kill_all(alone, uid)
        if not report.killed:
            for fd in (self._out, self._err, self._results):
                while fd >= 0 and not report.killed and self._more(fd, report):
                    pass
        self.close()

    def _more(self, fd: int, report: Report) -> bool:
        before = (len(report.stdout), len(report.stderr), len(self._pending), len(report.frames))
        again = self._read(fd, report)
        after = (len(report.stdout), len(report.stderr), len(self._pending), len(report.frames))
        return again and before != after


class _Watch:
    """Clocks and memory of a program during one test."""

    def __init__(self, prog: Program, report: Report) -> None:
        self._prog, self._report, self._limits = prog, report, prog.limits
        self._start = self._last = time.monotonic()
        self.cpu = prog._billed
        self.idle = 0.0
        self.base = _own_resident()
        self._next = self._start + _FIRST_LOOK_S
        self._wall = self._limits.time * _WALL_FACTOR + _WALL_EXTRA_S

    def timeout_ms(self) -> int:
        return max(0, int((self._next - time.monotonic()) * 1000) + 1)

    def look(self, final: bool = False) -> None:
        """Sample if it is time; sets `report.killed` when a limit is passed."""
        now = time.monotonic()
        if final:
            self.cpu = max(self.cpu, processes.cpu_seconds(self._prog.pid))
        elif now < self._next:
            return
        else:
            usage = processes.sample(self._prog.pid, self._prog._readable)
            if usage.asleep and usage.cpu - self.cpu < 0.5 * (now - self._last):
                self.idle += now - self._last
            self.cpu = max(self.cpu, usage.cpu)
            memory = usage.memory - self.base
            if memory > self._limits.memory:
                memory = self._exact_memory(memory)
            self._report.memory = max(self._report.memory, memory)
            self._last, self._next = now, now + _LOOK_S
        cpu = self.cpu - self._prog._billed
        self._report.cpu, self._report.seconds = cpu, cpu + self.idle
        if self._report.memory > self._limits.memory:
            self._report.killed = "memory"
        elif cpu > self._limits.time:
            self._report.killed = "cpu"
        elif cpu + self.idle > self._limits.time + 0.1:
            self._report.killed = "idle"
        elif now - self._start > self._wall:
            self._report.killed = "wall"
        else:
            left = max(0.001, self._limits.time - cpu - self.idle)
            self._next = min(self._next, now + left + 0.001)

    def _exact_memory(self, memory: int) -> int:
        # Pages shared after a fork were counted once a process: ask precisely before judging.
        try:
            pids = processes.descendants()
            if len(pids) > 1:
                return sum(processes.shared_bytes(pid) for pid in pids)
        except OSError:
            pass
        return memory


def _own_resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _pipe(uid: int | None) -> tuple[int, int]:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    if uid is not None:
        os.fchown(writer, uid, uid)  # so that the program may open /dev/stdout again
    return reader, writer


def _input_file(data: bytes) -> int:
    """A read-only descriptor at the start of the input: a regular file, as `< input` gives."""
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    reader = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    os.close(fd)
    return reader
