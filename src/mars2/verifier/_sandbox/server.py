"""The fork server: takes jobs from its socket, forks one program at a time, reports.

Messages to it: "job" (limits, entry, profile; the source), "run" (kind; the tests of one new
process), "stop" (kill that process). From it: "hello" (which walls stand) and "report"s, of which
the last one of each "run" has `final` set: then nothing of the program is left alive or on
disk.
Expected outputs are not among them: it and its programs never have them.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
from dataclasses import replace
from types import FrameType
from typing import Any

from . import frames, isolation, prelude, processes, program, walls
from .run import Program

# What programs import most: imported once here, free in every fork.
# Not `threading`: its hook would cost every fork more than its import costs the few.
_WARM = (
    *("abc", "array", "bisect", "bz2", "collections", "contextlib", "copy", "dataclasses"),
    *("datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "itertools"),
    *("json", "locale", "math", "numbers", "operator", "random", "re", "statistics", "string"),
    *("struct", "tempfile", "time", "traceback", "typing", "zlib"),
)
_HEAVY = ("numpy",)  # imported when a program first names it
# A program whose text holds one of these could notice an earlier test in its process, or spoil
# the process for a later one: it gets a process for each test. A false alarm only costs time.
_APART = (
    *(b"threading", b"_thread", b"multiprocessing", b"concurrent", b"asyncio", b"subprocess"),
    *(b"fork", b"signal", b"alarm", b"atexit", b"ctypes", b"faulthandler", b"weakref", b"gc."),
    *(b"/dev/", b"/proc", b"seek", b"truncate", b"dup", b"close", b"fdopen", b"fileno"),
    *(b"pipe", b"tempfile", b"chdir", b"environ", b"setlocale", b"resource", b"rlimit"),
    *(b"settrace", b"setprofile", b"modules", b"builtins", b"importlib", b"__import__"),
    *(b"excepthook", b"displayhook", b"getcontext", b"setcontext", b"__del__", b"socket"),
    *(b"getattr", b"setattr", b"_getframe", b"umask", b"pathlib", b"shutil", b"warnings"),
    *(b"set_int_max_str_digits", b"setswitchinterval", b"mmap", b"unlink", b"remove(b"),
)


_ANSWERS = frozenset(kind.decode() for kind in program.ANSWERS)


class _Become(Exception):
    """Carries a forked program up to an almost empty stack."""

    def __init__(self, job: program.Job) -> None:
        super().__init__()
        self.job = job


def start(sock: socket.socket, level: isolation.Level, settings: walls.Settings) -> None:
    """Set up the walls, say hello, serve until the socket ends. Ends the process."""
    job: program.Job | None = None
    try:
        server = _Server(sock, level, settings)
        server.serve()
    except _Become as become:
        job = become.job
    if job is None:
        os._exit(0)
    del server
    program.become(job)


class _Server:
    def __init__(
        self, sock: socket.socket, level: isolation.Level, settings: walls.Settings
    ) -> None:
        self._sock = sock
        for name in ("assertions", "encode", "functions", "script"):
            importlib.import_module(f"{__package__}.{name}")  # before their files are out of sight
        for name in _WARM:
            importlib.import_module(name)
        self._walls = walls.Walls(level, settings)
        program.make_streams()
        prelude.names()
        self._ready: set[str] = set()
        _freeze()
        if not self._walls.alone:
            signal.signal(signal.SIGTERM, self._on_term)
        self._job: dict[str, Any] = {}
        hello = {"op": "hello", "active": level.active, "missing": level.missing}
        self._sock.sendall(frames.pack({**hello, "folder": self._walls.scratch.folder}))

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
            while (message := frames.receive(self._sock)) is not None:
                head, blobs = message
                if head["op"] == "job":
                    self._begin(head, blobs[0])
                elif head["op"] == "run":
                    self._run(head["kind"], blobs)
                # a "stop" that finds nothing running came after the end: nothing to do
        except ConnectionError:
            pass
        self._close()

    def _begin(self, head: dict[str, Any], source: bytes) -> None:
        limits = isolation.Limits(head["time"], head["memory"], head["output"], head["processes"])
        self._job = {
            "profile": head["profile"],
            "entry": head["entry"],
            "source": source,
            "limits": limits,
            "walls": self._walls,
        }
        if head["profile"] == "lcb":
            self._prepare("lcb", _prepare_official)
        for name in _HEAVY:
            if name.encode() in source:
                self._prepare(name, lambda name=name: importlib.import_module(name))

    def _prepare(self, name: str, action: Any) -> None:
        if name not in self._ready:
            self._ready.add(name)
            try:
                action()
            except ImportError:
                return
            _freeze()

    def _run(self, kind: str, tests: list[bytes]) -> None:
        """One process for these tests, or for the first if that is all that it may run."""
        source, limits = self._job["source"], self._job["limits"]
        native = self._job["profile"] == "native" and kind != "assertion"
        apart = native and any(word in source for word in _APART)
        tests = tests[:1] if apart else tests
        whole = replace(limits, time=limits.time * len(tests))
        process = Program(
            {
                **self._job,
                "kind": kind,
                "tests": tests,
                "apart": apart,
                "path": self._walls.scratch.put_program(source),
                "prepared": self._walls.before_fork(whole),
            }
        )
        job = process.fork()
        if job is not None:
            raise _Become(job)
        answered, total, final = 0, len(tests), False
        while not final:
            report = process.supervise(self._sock.fileno())
            final = report.exit is not None
            answered += sum(kind in _ANSWERS for kind in report.kinds)
            handed_on = answered > 0 and "N" in report.kinds  # the next test is for another process
            died = final and answered < total and not handed_on and report.killed != "stopped"
            head = {"op": "report", "final": final, "died": died, "apart": apart}
            message = frames.pack(
                {**head, **report.head()}, report.stdout, report.stderr, *report.frames
            )
            if final:
                self._walls.scratch.clean()
            self._sock.sendall(message)
            if not final:
                process.go_on()


def _freeze() -> None:
    gc.collect()
    gc.freeze()


def _prepare_official() -> None:
    from . import official

    official.prepare()
