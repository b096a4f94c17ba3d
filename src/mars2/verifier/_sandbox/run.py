"""One program under supervision: clocks, limits, and its end."""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from . import channel, examination, processes, program
from .control import Control
from .isolation import Limits
from .walls import Walls
from .zygote import Lost, Zygote

_FIRST_LOOK_S, _LOOK_S = 0.01, 0.02
_STDERR_BYTES = 8192
_SLOW_S = 0.05  # a program that takes longer is not worth waiting behind
_MESSAGES_BYTES = 8 << 20  # of all answers between two looks, besides the output limit
_WALL_FACTOR, _WALL_EXTRA_S = 4.0, 5.0  # CPU time is what counts; this only ends a stall
ANSWERS = frozenset(kind.decode() for kind in program.ANSWERS)
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
    """A program that the zygote has forked. `supervise` watches it until it ends or waits.

    With an examination a second process, a child of this one, runs the test program; what it
    reports are the program's answers, and its end ends the program.
    """

    def __init__(
        self,
        walls: Walls,
        zygote: Zygote,
        fds: channel.Channel,
        limits: Limits,
        tests: int,
        own_output: bool,
        official: bool,
        exam: examination.Examination | None = None,
    ) -> None:
        """Fork it; its job, of that many tests, lies ready in `fds`.

        `own_output`: it prints into the pipe. `official`: at its time limit it first gets the
        alarm signal.
        """
        self._walls, self._zygote, self._fds = walls, zygote, fds
        self._limits, self._exam = limits, exam
        self._own_output, self.official = own_output, official
        self._taken = 0  # bytes of messages read so far
        self._left = tests
        self.lost = False
        try:
            zygote.fork()
        except Lost:
            self.lost = True
        self._watch = _Watch(limits, walls.readable, zygote, exam.pid if exam else 0)

    # ------------------------------------------------------------------ watching

    def supervise(self, control: Control) -> Report:
        """Until the program ends (all of it), is stopped, or waits to be seen after an answer."""
        report = Report()
        self._watch.restart()
        try:
            if not self.lost and self._wait(report, control):
                return report
        except Lost:
            self.lost = True
        self._end(report)
        return report

    def _wait(self, report: Report, control: Control) -> bool:
        """True if the program waits to be seen, False if it shall end or has. Raises Lost."""
        watch, fds = self._watch, self._fds
        poller = select.poll()
        for fd in (self._zygote.status, control):
            poller.register(fd, select.POLLIN | select.POLLRDHUP)
        if self._own_output:
            poller.register(fds.printed, select.POLLIN)
        if self._exam:
            poller.register(self._exam.pidfd, select.POLLIN)
        else:
            poller.register(fds.wake, select.POLLIN)
        while not report.killed:
            ready = [fd for fd, _ in poller.poll(watch.timeout_ms())]
            if self._zygote.status in ready:
                return False
            for fd in ready:
                if fd == control.fileno():
                    if control.stopped():
                        report.killed = "stopped"
                elif fd == fds.wake:
                    os.read(fd, 4096)
                    if self._answered(report):
                        watch.cpu = max(watch.cpu, sum(map(processes.cpu_seconds, watch.pids())))
                        watch.finish(report)
                        return True
                elif fd == fds.printed:
                    self._read_output(report)
                elif not report.killed:  # the examination is over
                    report.killed = "examined"
            if not report.killed:
                self._look(report)
                if watch.age() > _SLOW_S:
                    control.slow()
        return False

    def _answered(self, report: Report) -> bool:
        """After a wake: is there a new answer, and more to come? Only then a clock starts anew."""
        before = len(report.frames)
        self._drain(report, self._fds.results)
        answers = sum(kind in ANSWERS for kind in report.kinds[before:])
        self._left -= answers
        if answers and self._left <= 0:
            report.killed = "stopped"  # it has nothing more to do
        if not answers:
            self.go_on()
        return answers > 0 and not report.killed

    def go_on(self) -> None:
        """Let a program that waits to be seen continue."""
        try:
            os.write(self._fds.ack, b"a")
        except BlockingIOError:
            pass  # it never reads them

    def _look(self, report: Report) -> None:
        watch = self._watch
        if not watch.look(report):
            return
        if os.fstat(self._fds.output).st_size > self._limits.output:
            report.killed = "output"
        if self.official and report.killed in ("cpu", "idle"):
            if not watch.alarmed:
                processes.send(self._watch.program(), signal.SIGALRM)
                watch.alarmed, report.killed = True, ""
            elif watch.over(_ALARM_GRACE_S) == "":
                report.killed = ""

    def _read_output(self, report: Report) -> None:
        """Take what is in the output pipe."""
        while left := channel.waiting(self._fds.printed):
            report.stdout += os.read(self._fds.printed, left)
            if len(report.stdout) > self._limits.output:
                report.killed = "output"
                return

    def _drain(self, report: Report, file: int) -> None:
        """All complete messages that were written since the last time."""
        end = os.fstat(file).st_size
        if end - self._taken > self._limits.output * 2 + _MESSAGES_BYTES:
            report.killed = "output"
            return
        data = os.pread(file, end - self._taken, self._taken)
        size, start = program.FRAME.size, 0
        while len(data) - start >= size:
            length, kind = program.FRAME.unpack_from(data, start)
            if len(data) - start < size + length:
                break
            report.kinds.append(kind.decode("latin-1"))
            report.frames.append(data[start + size : start + size + length])
            start += size + length
        self._taken += start

    # ------------------------------------------------------------------ the end

    def _end(self, report: Report) -> None:
        watch = self._watch
        try:
            if self.lost:
                raise Lost
            if report.killed:
                processes.send(watch.program(), signal.SIGKILL)
            status, cpu, peak = self._zygote.ended()
            report.exit = os.waitstatus_to_exitcode(status)
            watch.memory = max(watch.memory, peak - self._zygote.base)
        except Lost:
            self.lost, cpu = True, 0.0
            report.exit = -signal.SIGKILL
        if report.exit == -signal.SIGKILL and not report.killed and self._walls.out_of_memory():
            report.killed = "memory"
        exam = self._exam
        if exam is not None:
            cpu += exam.end(report.killed in ("", "examined"))
            if report.killed == "examined":
                report.killed = ""
        watch.cpu = max(watch.cpu, cpu)
        watch.finish(report)
        self._clear(report)
        if report.killed not in ("memory", "output"):
            self._drain(report, exam.report if exam else self._fds.results)
            if exam and report.exit != -signal.SIGKILL and not report.killed:
                _own_end(report)
            if self._own_output:
                self._read_output(report)
        if report.killed not in ("stopped", "output") and not self._own_output:
            report.stdout = os.pread(self._fds.output, self._limits.output + 1, 0)
        report.stderr = self._errors()
        if exam is not None:
            exam.close()

    def _clear(self, report: Report) -> None:
        """Nothing of the program may live on; if anything does, the zygote falls with it."""
        if self.lost or processes.others(self._zygote.pid):
            report.leftovers = processes.kill_all(self._walls.alone, self._walls.uid) - 1
            self._zygote.start()

    def _errors(self) -> bytes:
        """The beginning and the end of what was written to standard error."""
        fd, half = self._fds.errors, _STDERR_BYTES // 2
        size = os.fstat(fd).st_size
        if size <= _STDERR_BYTES:
            return os.pread(fd, size, 0) if size else b""
        return os.pread(fd, half, 0) + os.pread(fd, half, size - half)


def _own_end(report: Report) -> None:
    """How the submission's process ended says more than that its examiner missed it."""
    if any(b'"stage": "died"' in frame for frame in report.frames):
        report.kinds, report.frames = [], []


class _Watch:
    """Clocks and memory of a program since it was last seen."""

    def __init__(self, limits: Limits, readable: bool, zygote: Zygote, examiner: int) -> None:
        self._limits, self._readable, self._zygote = limits, readable, zygote
        self._examiner, self._program = examiner, 0
        self._base = zygote.base * (2 if examiner else 1)
        self.cpu = self._billed = 0.0
        self.memory, self._released = 0, False
        self._born = time.monotonic()
        self._wall = limits.time * _WALL_FACTOR + _WALL_EXTRA_S
        self.restart()

    def program(self) -> int:
        """Process id of the program. Raises Lost."""
        self._program = self._program or self._zygote.program()
        return self._program

    def pids(self) -> list[int]:
        """The processes that are known to be the program's, and its examiner. Raises Lost."""
        return [self.program(), *([self._examiner] if self._examiner else [])]

    def restart(self) -> None:
        """A new test begins."""
        self._start = self._last = time.monotonic()
        self._billed, self.idle, self.alarmed = self.cpu, 0.0, False
        self._next = self._start + _FIRST_LOOK_S

    def age(self) -> float:
        """Seconds since the program was started."""
        return time.monotonic() - self._born

    def timeout_ms(self) -> int:
        """Until the next look."""
        return max(0, int((self._next - time.monotonic()) * 1000) + 1)

    def finish(self, report: Report) -> None:
        """Write the clocks into a report."""
        report.cpu = self.cpu - self._billed
        report.seconds = report.cpu + self.idle
        report.memory, report.alarmed = self.memory, self.alarmed

    def look(self, report: Report) -> bool:
        """Sample if it is time; sets `report.killed` when a limit is passed."""
        now = time.monotonic()
        if now < self._next:
            return False
        if not self._released:
            self._zygote.release()
            self._released = True
        usage = processes.sample(self.pids(), self._readable, self._zygote.pid)
        if usage.asleep and usage.cpu - self.cpu < 0.5 * (now - self._last):
            self.idle += now - self._last
        self.cpu = max(self.cpu, usage.cpu)
        memory = usage.memory - self._base
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
            pids = processes.descendants(self._zygote.pid)
            if len(pids) > 1:
                return sum(processes.shared_bytes(pid) for pid in pids)
        except OSError:
            pass
        return memory
