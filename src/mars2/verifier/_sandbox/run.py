"""One forked program under supervision: pipes, clocks, limits, and its end."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from . import processes, program
from .isolation import Limits

_FIRST_LOOK_S, _LOOK_S = 0.01, 0.02
_STDERR_BYTES = 8192
_MAX_FRAMES = 100_000
_WALL_FACTOR, _WALL_EXTRA_S = 4.0, 5.0  # CPU time is what counts; this only ends a stall
_ALARM_GRACE_S = 0.9  # what a program has to end in after its alarm


@dataclass
class Report:
    """What is known of some tests after they ran; the verifier makes the verdicts."""

    exit: int | None = None  # status, or minus the signal; None: the process still lives
    killed: str = ""  # "", "cpu", "idle", "wall", "memory", "output", "stopped"
    seconds: float = 0.0  # CPU time plus time asleep since the last report
    cpu: float = 0.0
    memory: int = 0  # peak, bytes
    leftovers: int = 0  # processes that were alive at the program's end
    alarmed: bool = False
    kinds: list[str] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    stdout: bytes = b""
    stderr: bytes = b""

    def head(self) -> dict[str, Any]:
        """Everything but the bytes, for the message."""
        skip = ("frames", "stdout", "stderr")
        return {name: value for name, value in vars(self).items() if name not in skip}


class Program:
    """A forked program. `supervise` watches it until it ends or waits to be seen."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields
        self._walls, self._limits = fields["walls"], fields["limits"]
        self._alarm: bool = fields["profile"] == "lcb"
        self._out = self._err = self._results = self._wake = self._ack = self._output = -1
        self.pid, self._pidfd = 0, -1
        self._pending = b""  # bytes of incomplete messages

    # ------------------------------------------------------------------ start and end

    def fork(self) -> program.Job | None:
        """Fork. Returns the job in the child (which must `become` it), None in the parent."""
        apart, kind = self._fields["apart"], self._fields["kind"]
        theirs = {}
        if kind == "stdin" and apart:
            theirs["stdin"] = _input_file(self._fields["tests"][0])
            self._out, theirs["stdout"] = self._pipe()
        else:
            theirs["stdin"] = theirs["stdout"] = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        if kind == "stdin" and not apart:
            theirs["input"] = os.memfd_create("input", os.MFD_CLOEXEC)
            self._output = theirs["output"] = os.memfd_create("output", os.MFD_CLOEXEC)
            fcntl.fcntl(self._output, fcntl.F_SETFL, os.O_APPEND)
        self._err, theirs["stderr"] = self._pipe()
        self._results, theirs["results"] = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(theirs["results"], False)
        self._wake, theirs["wake"] = os.pipe2(os.O_CLOEXEC)
        theirs["ack"], self._ack = os.pipe2(os.O_CLOEXEC)
        job = program.Job(**self._fields, **theirs)
        self.pid = os.fork()
        if self.pid == 0:
            return job
        self._pidfd = os.pidfd_open(self.pid)
        for fd in {*theirs.values()} - {self._output}:
            os.close(fd)
        for fd in (self._out, self._err, self._results):
            if fd >= 0:
                os.set_blocking(fd, False)
        self._watch = _Watch(self.pid, self._limits, self._walls.readable)
        return None

    def _pipe(self) -> tuple[int, int]:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        if self._walls.uid is not None:
            os.fchown(writer, self._walls.uid, self._walls.uid)  # it may open /dev/stdout again
        return reader, writer

    def _close(self) -> None:
        for fd in (
            *(self._out, self._err, self._results, self._wake, self._ack),
            *(self._output, self._pidfd),
        ):
            if fd >= 0:
                os.close(fd)

    # ------------------------------------------------------------------ watching

    def supervise(self, control: int) -> Report:
        """Until the process ends (all of it), or waits to be seen after an answer.

        A readable descriptor `control` stops the program.
        """
        report, watch = Report(), self._watch
        watch.restart()
        poller = select.poll()
        for fd in (self._out, self._err, self._wake, self._pidfd):
            if fd >= 0:
                poller.register(fd, select.POLLIN)
        poller.register(control, select.POLLIN | select.POLLRDHUP)
        while not report.killed:
            ready = [fd for fd, _ in poller.poll(watch.timeout_ms())]
            if self._pidfd in ready:
                break
            for fd in ready:
                if fd == control:
                    report.killed = "stopped"
                elif fd == self._wake:
                    if os.read(self._wake, 1) == b"w":
                        self._drain(report)
                        if not report.killed:
                            watch.finish(report)
                            return report
                    poller.unregister(fd)
                elif not self._read(fd, report):
                    poller.unregister(fd)
            if not report.killed:
                self._look(report)
        self._end(report)
        return report

    def go_on(self) -> None:
        """Let a program that waits to be seen continue."""
        try:
            os.write(self._ack, b"a")
        except OSError:
            pass  # it was killed meanwhile; its end will be seen

    def _look(self, report: Report) -> None:
        watch = self._watch
        if not watch.look(report):
            return
        if self._output >= 0 and os.fstat(self._output).st_size > self._limits.output:
            report.killed = "output"
        if self._alarm and report.killed in ("cpu", "idle"):
            if not watch.alarmed:
                os.kill(self.pid, signal.SIGALRM)
                watch.alarmed, report.killed = True, ""
            elif watch.over(_ALARM_GRACE_S) == "":
                report.killed = ""

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
            if len(report.stdout) > self._limits.output:
                report.killed = "output"
        elif len(report.stderr) < _STDERR_BYTES:
            report.stderr += data[:_STDERR_BYTES]
        else:  # keep the beginning's half and the newest bytes
            tail = (report.stderr[_STDERR_BYTES // 2 :] + data)[-_STDERR_BYTES:]
            report.stderr = report.stderr[: _STDERR_BYTES // 2] + tail
        return True

    def _drain(self, report: Report) -> None:
        """All complete messages that are in the result pipe."""
        size, parts = program.FRAME.size, [self._pending]
        while True:
            try:
                data = os.read(self._results, 1 << 20)
            except BlockingIOError:
                break
            if not data:
                break
            parts.append(data)
        data, start = b"".join(parts), 0
        while len(data) - start >= size:
            length, kind = program.FRAME.unpack_from(data, start)
            if length > self._limits.output * 2 + 65536 or len(report.frames) > _MAX_FRAMES:
                report.killed = "output"
                break
            if len(data) - start < size + length:
                break
            report.kinds.append(kind.decode("latin-1"))
            report.frames.append(data[start + size : start + size + length])
            start += size + length
        self._pending = data[start:]

    def _end(self, report: Report) -> None:
        watch = self._watch
        if report.killed:
            os.kill(self.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self.pid, 0)
        report.exit = os.waitstatus_to_exitcode(status)
        watch.cpu = max(watch.cpu, usage.ru_utime + usage.ru_stime)
        watch.memory = max(watch.memory, usage.ru_maxrss * 1024 - watch.base)
        watch.finish(report)
        report.leftovers = processes.kill_all(self._walls.alone, self._walls.uid)
        if report.killed not in ("memory", "output"):
            self._drain(report)
            for fd in (self._out, self._err):
                while fd >= 0 and self._more(fd, report):
                    pass
        if self._output >= 0 and report.killed != "stopped":
            report.stdout = os.pread(self._output, self._limits.output + 1, 0)
        self._close()

    def _more(self, fd: int, report: Report) -> bool:
        before = len(report.stdout), len(report.stderr)
        return self._read(fd, report) and before != (len(report.stdout), len(report.stderr))


class _Watch:
    """Clocks and memory of a program since it was last seen."""

    def __init__(self, pid: int, limits: Limits, readable: bool) -> None:
        self._pid, self._limits, self._readable = pid, limits, readable
        self.base = _own_resident()
        self.cpu = self._billed = 0.0
        self.memory = 0
        self._wall = limits.time * _WALL_FACTOR + _WALL_EXTRA_S
        self.restart()

    def restart(self) -> None:
        """A new test begins."""
        self._start = self._last = time.monotonic()
        self._billed, self.idle, self.alarmed = self.cpu, 0.0, False
        self._next = self._start + _FIRST_LOOK_S

    def timeout_ms(self) -> int:
        """Until the next look."""
        return max(0, int((self._next - time.monotonic()) * 1000) + 1)

    def finish(self, report: Report) -> None:
        """Write the clocks into a report."""
        self.cpu = max(self.cpu, processes.cpu_seconds(self._pid))
        report.cpu = self.cpu - self._billed
        report.seconds = report.cpu + self.idle
        report.memory, report.alarmed = self.memory, self.alarmed

    def look(self, report: Report) -> bool:
        """Sample if it is time; sets `report.killed` when a limit is passed."""
        now = time.monotonic()
        if now < self._next:
            return False
        usage = processes.sample(self._pid, self._readable)
        if usage.asleep and usage.cpu - self.cpu < 0.5 * (now - self._last):
            self.idle += now - self._last
        self.cpu = max(self.cpu, usage.cpu)
        memory = usage.memory - self.base
        if memory > self._limits.memory:
            memory = self._exact_memory(memory)
        self.memory = max(self.memory, memory)
        self._last, self._next = now, now + _LOOK_S
        if self.memory > self._limits.memory:
            report.killed = "memory"
        else:
            report.killed = self.over(0.0)
            left = self._limits.time - (self.cpu - self._billed) - self.idle
            if left > 0:
                self._next = min(self._next, now + left + 0.001)
        return True

    def over(self, grace: float) -> str:
        """Which time limit is passed by more than `grace` seconds, or ""."""
        cpu = self.cpu - self._billed - grace
        if cpu > self._limits.time + program.WINDOW_S:
            return "cpu"
        if cpu + self.idle > self._limits.time + 0.1:
            return "idle"
        return "wall" if self._last - self._start > self._wall else ""

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
