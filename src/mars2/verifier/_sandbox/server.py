"""The fork server: takes jobs from its socket, forks one program at a time, reports.

Messages to it: "run" (limits, entry, profile, kind of tests; the source and the tests of one new
process), "stop" (kill that process). From it: "hello" (which walls stand), "report"s, of which the
last one of each "run" has `final` set: then nothing of the program is left alive or on disk; and
"back" for a run that did not begin (see `control`). Runs are told apart by `id`.
Expected outputs are not among them: it and its programs never have them.
"""

from __future__ import annotations

import gc
import importlib
import os
import random
import signal
import socket
import sys
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from . import (
    affinity,
    channel,
    control,
    examination,
    frames,
    isolation,
    official,
    pages,
    processes,
    program,
    rehearsal,
    samples,
    walls,
    zygote,
)
from .run import ANSWERS, Program

# What programs import most: imported once here, free in every fork.
# No more than these: every library mapped and every page in use makes every fork dearer.
_WARM = (
    *("array", "bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools"),
    *("heapq", "itertools", "json", "math", "operator", "random", "re", "statistics", "string"),
    *("time", "traceback", "typing"),
)
_HEAVY = ("numpy",)  # imported when a program first names it
# A program whose text holds one of these could notice an earlier test in its process, or spoil
# the process for a later one: it gets a process for each test. A false alarm only costs time.
_APART = (
    *(b"threading", b"_thread", b"multiprocessing", b"concurrent", b"asyncio", b"subprocess"),
    *(b"fork", b"signal", b"alarm", b"atexit", b"ctypes", b"faulthandler", b"weakref", b"gc."),
    *(b"/dev/", b"/proc", b"seek", b"tell", b"truncate", b"dup", b"close", b"fdopen", b"fileno"),
    *(b"pipe", b"tempfile", b"chdir", b"environ", b"setlocale", b"resource", b"rlimit"),
    *(b"settrace", b"setprofile", b"modules", b"builtins", b"importlib", b"__import__"),
    *(b"excepthook", b"displayhook", b"getcontext", b"setcontext", b"__del__", b"socket"),
    *(b"getattr", b"setattr", b"_getframe", b"umask", b"pathlib", b"shutil", b"warnings"),
    *(b"set_int_max_str_digits", b"setswitchinterval", b"mmap", b"unlink", b"remove(b"),
)


_OWN = ("encode", "encode_exact", "functions", "official", "official_code", "script", "subject")


def start(sock: socket.socket, level: isolation.Level, settings: walls.Settings) -> None:
    """Set up the walls, say hello, serve until the socket ends. Ends the process."""
    _Server(sock, level, settings).serve()
    os._exit(0)


@dataclass(frozen=True)
class _Submission:
    source: bytes
    profile: str
    entry: str
    limits: isolation.Limits


class _Server:
    def __init__(
        self, sock: socket.socket, level: isolation.Level, settings: walls.Settings
    ) -> None:
        self._sock, self._control = sock, control.Control(sock)
        for name in _OWN:  # before their files are out of sight
            importlib.import_module(f"{__package__}.{name}")
        for name in _WARM:
            importlib.import_module(name)
        sys.dont_write_bytecode = True  # of what programs import
        self._walls = walls.Walls(level, settings)
        self._ready: set[str] = set()
        if not self._walls.alone:
            signal.signal(signal.SIGTERM, self._on_term)
        self._fds = channel.Channel(self._walls.uid)
        rehearsal.rehearse(self._fds)
        random.seed(0)  # all programs begin alike
        self._zygote = zygote.Zygote(
            self._fds,
            self._walls.pins,
            affinity.Home(settings.place),
            self._walls.enter_zygote,
            lambda: program.become(self._walls),
            self._walls.readable,
        )
        self._start_zygote()
        hello = {
            "op": "hello",
            "id": 0,
            "final": True,
            "active": level.active,
            "missing": level.missing,
        }
        self._sock.sendall(frames.pack({**hello, "folder": self._walls.scratch.folder}))

    def _start_zygote(self) -> None:
        gc.collect()
        gc.freeze()
        self._zygote.written = self._written()
        self._zygote.start()

    def _written(self) -> list[pages.Range]:
        """What programs write, as the samples show it."""
        if not (self._walls.readable and self._walls.pins.possible):
            return []
        null = self._fds.theirs[channel.NULL]

        def settle(fd: int) -> int:
            self._fds.settle(null, fd)
            return channel.STATUS

        found = []
        for kind, source, entry, tests in samples.samples():
            profile = "lcb" if "lcb" in self._ready else "native"
            limits = isolation.Limits(5.0, 1 << 30, 1 << 20, 0)
            self._lay_out(_Submission(source, profile, entry, limits), kind, tests, False)
            os.write(self._fds.ack, b"a" * len(tests))  # it shall wait for nobody
            found.append(pages.written(settle, lambda: program.work(self._walls)))
            self._walls.scratch.clean()
        self._fds.reset()
        return pages.common(found, 2)

    def _on_term(self, _number: int, _frame: FrameType | None) -> None:
        # The launcher died (its parent was killed): leave nothing behind.
        self._close()
        os._exit(0)

    def _close(self) -> None:
        processes.kill_all(self._walls.alone, self._walls.uid)
        self._walls.scratch.close()

    def serve(self) -> None:
        """Jobs until the socket ends."""
        try:
            while (message := self._control.next()) is not None:
                head, blobs = message
                self._begin(head, bytes(blobs[0]))
                self._run(head["id"], head["kind"], blobs[1:])
                message.wipe()
        except ConnectionError:
            pass
        self._close()

    def _begin(self, head: dict[str, Any], source: bytes) -> None:
        limits = isolation.Limits(head["time"], head["memory"], head["output"], head["processes"])
        self._submission = _Submission(source, head["profile"], head["entry"], limits)
        if head["profile"] == "lcb":
            self._prepare("lcb", official.prepare)
        for name in _HEAVY:
            if name.encode() in source:
                self._prepare(name, lambda name=name: importlib.import_module(name))

    def _prepare(self, name: str, action: Any) -> None:
        """Do something once that all later programs shall find done."""
        if name in self._ready:
            return
        self._ready.add(name)
        try:
            action()
        except ImportError:
            return
        processes.kill_all(self._walls.alone, self._walls.uid)
        self._start_zygote()

    def _run(self, number: int, kind: str, tests: list[memoryview]) -> None:
        """One process for these tests, or for the first if that is all that it may run."""
        process, total, apart = self._fork(kind, tests)
        answered, final = 0, False
        while not final:
            report = process.supervise(self._control)
            final = report.exit is not None
            answered += sum(kind in ANSWERS for kind in report.kinds)
            handed_on = answered > 0 and "N" in report.kinds  # the next test is for another process
            # The official checker's process ends with the first test that raises.
            over = handed_on or (process.official and report.kinds[-1:] in (["E"], ["O"]))
            died = final and answered < total and not over and report.killed != "stopped"
            head = {"op": "report", "id": number, "final": final, "died": died, "apart": apart}
            message = frames.pack(
                {**head, **report.head()}, report.stdout, report.stderr, *report.frames
            )
            if final:
                self._walls.scratch.clean()
            self._sock.sendall(message)
            if not final:
                process.go_on()

    def _fork(self, kind: str, tests: list[memoryview]) -> tuple[Program, int, bool]:
        own = self._submission
        native = own.profile == "native" and kind != "assertion"
        apart = native and any(word in own.source for word in _APART)
        tests = tests[:1] if apart else tests
        inputs = [] if kind == "assertion" else [bytes(test) for test in tests]
        prepared = self._lay_out(own, kind, inputs, apart)
        exam = None
        if kind == "assertion":
            exam = examination.Examination(
                self._walls, self._fds, tests[0], own.entry, own.limits.output, prepared
            )
        own_output = kind == "stdin" and apart
        quirks = own.profile == "lcb" and kind != "assertion"
        process = Program(
            self._walls, self._zygote, self._fds, own.limits, len(tests), own_output, quirks, exam
        )
        return process, len(tests), apart

    def _lay_out(
        self, submission: _Submission, kind: str, tests: list[bytes], apart: bool
    ) -> walls.Prepared:
        """Put everything where the next program's process finds it. Returns its limits."""
        limits = submission.limits
        whole = replace(limits, time=limits.time * max(1, len(tests)))
        prepared = self._walls.before_fork(whole)
        self._fds.reset()
        job = program.Job(
            profile=submission.profile,
            kind=kind,
            source=submission.source,
            entry=submission.entry,
            path=self._walls.scratch.put_program(submission.source),
            tests=tests,
            apart=apart,
            output=limits.output,
            processes=limits.processes,
            prepared=prepared,
        )
        if kind == "stdin" and apart:
            _write(self._fds.input, tests[0])
        _write(self._fds.job, job.dump())
        return prepared


def _write(file: int, data: bytes) -> None:
    view, done = memoryview(data), 0
    while done < len(view):
        done += os.pwrite(file, view[done:], done)
