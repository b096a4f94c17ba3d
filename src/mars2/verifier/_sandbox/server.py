"""The fork server: takes jobs from its socket, forks one program at a time, reports.

Messages to it: "job" (limits, entry; the code), "test" (kind; its input), "end". From it:
"hello" (which walls stand), "report" a test, "idle" when nothing of the job is left alive
or on disk. Expected outputs are not among them: it and its programs never have them.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
from types import FrameType
from typing import Any

from . import frames, isolation, linux, prelude, processes, program
from .run import ANSWERS, Hangup, Program, Report
from .scratch import Scratch

# What programs import most: imported once here, free in every fork.
# Not `threading`: its hook would cost every fork more than its import costs the few.
_WARM = (
    *("abc", "array", "bisect", "bz2", "collections", "contextlib", "copy", "dataclasses"),
    *("datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "itertools"),
    *("json", "locale", "math", "numbers", "operator", "random", "re", "statistics", "string"),
    *("struct", "tempfile", "time", "traceback", "typing", "zlib"),
)
_HEAVY = ("numpy",)  # imported when a program first names it


class _Become(Exception):
    """Carries a forked program up to an almost empty stack."""

    def __init__(self, job: program.Job) -> None:
        super().__init__()
        self.job = job


def start(sock: socket.socket, level: isolation.Level, without: set[str]) -> None:
    """Set up the walls, say hello, serve until the socket ends. Ends the process."""
    job: program.Job | None = None
    try:
        server = _Server(sock, level, without)
        server.serve()
    except _Become as become:
        job = become.job
    if job is None:
        os._exit(0)
    del server
    program.become(job)


class _Server:
    def __init__(self, sock: socket.socket, level: isolation.Level, without: set[str]) -> None:
        self._sock, self._level = sock, level
        self._alone = level.has("pid")
        self._readable = True
        keep = isolation.keep_paths()
        if self._alone:
            self._readable = self._mount_proc()
        else:
            linux.set_subreaper()
        isolation.private_files(level, keep)
        self._keep = keep
        self._uid = isolation.choose_uid(level, keep, without)
        self._scratch = Scratch(level, keep, self._uid)
        linux.set_undumpable()
        level.active.append("no new privileges")
        os.chdir("/")
        for name in _WARM:
            importlib.import_module(name)
        program.make_streams()
        prelude.names()
        gc.collect()
        gc.freeze()
        if not self._alone:
            signal.signal(signal.SIGTERM, self._on_term)
        self._program: Program | None = None
        self._loaded: set[str] = set()
        self._job: dict[str, Any] = {}
        self._limits = isolation.Limits(1.0, 1, 1, 0)
        hello = {"op": "hello", "active": level.active, "missing": level.missing}
        self._sock.sendall(frames.pack({**hello, "folder": self._scratch.folder}))

    def _mount_proc(self) -> bool:
        if not self._level.has("mount"):
            self._level.missing["proc"] = "no mount namespace"
            return False
        flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
        try:
            linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
        except OSError:
            return False
        return self._level.attempt("proc", linux.mount, "proc", "/proc", "proc", flags)

    def _on_term(self, _number: int, _frame: FrameType | None) -> None:
        # The launcher died (its parent was killed): leave nothing behind.
        self._close()
        os._exit(0)

    def _close(self) -> None:
        processes.kill_all(self._alone, self._uid)
        self._scratch.close()

    def serve(self) -> None:
        """Jobs until the socket ends."""
        try:
            while (message := frames.receive(self._sock)) is not None:
                head, blobs = message
                if head["op"] == "job":
                    self._begin(head, blobs[0])
                elif head["op"] == "test":
                    self._fork(head["kind"], blobs[0])
                    self._report(self._supervise(select.POLLRDHUP), 0)
                elif head["op"] == "calls":
                    self._calls(blobs)
                elif head["op"] == "stop":  # it came after the last answer
                    self._sock.sendall(frames.pack({"op": "stopped"}))
                elif head["op"] == "end":
                    self._stop_program()
                    self._sock.sendall(frames.pack({"op": "idle"}))
        except (Hangup, ConnectionError):
            pass
        self._close()

    def _calls(self, blobs: list[bytes]) -> None:
        """All calls in one process, answers reported as they come, until told to stop."""
        self._stop_program()
        self._fork("functional", b"")
        assert self._program is not None
        for arguments in blobs:
            self._program.call(arguments)
        left = len(blobs)
        while left > 0 and self._program is not None:
            try:
                report = self._supervise(select.POLLRDHUP | select.POLLIN)
            except Hangup:
                message = frames.receive(self._sock)
                if message is None:
                    raise
                self._stop_program()
                self._sock.sendall(frames.pack({"op": "stopped"}))
                return
            left -= sum(kind in ANSWERS for kind, _ in report.frames)
            self._report(report, max(left, 0))

    def _report(self, report: Report, left: int) -> None:
        kinds = [kind for kind, _ in report.frames]
        payloads = [payload for _, payload in report.frames]
        head = {"op": "report", **report.head(), "kinds": kinds, "left": left}
        self._sock.sendall(frames.pack(head, report.stdout, report.stderr, *payloads))

    def _supervise(self, events: int) -> Report:
        assert self._program is not None
        report = self._program.supervise(self._sock.fileno(), events, self._alone, self._uid)
        if report.exit is not None:
            self._program = None
            self._scratch.clean()
        return report

    def _begin(self, head: dict[str, Any], source: bytes) -> None:
        self._limits = isolation.Limits(
            head["time"], head["memory"], head["output"], head["processes"]
        )
        self._job = {"entry": head["entry"], "source": source, "uid": self._uid}
        for name in _HEAVY:
            if name.encode() in source and name not in self._loaded:
                self._loaded.add(name)
                try:
                    importlib.import_module(name)
                except Exception:
                    continue
                gc.collect()
                gc.freeze()

    def _fork(self, kind: str, data: bytes) -> None:
        fields = {
            **self._job,
            "kind": kind,
            "path": self._scratch.put_program(self._job["source"]),
            "tests": data if kind == "assertion" else b"",
            "rlimits": isolation.rlimits(self._limits, self._process_base()),
            "reset_signals": not self._alone,
        }
        self._program = Program(fields, self._limits, self._readable)
        job = self._program.fork(data if kind == "stdin" else b"")
        if job is not None:
            raise _Become(job)

    def _process_base(self) -> int:
        if self._uid is not None:
            return 0
        if self._level.has("user"):
            return 2  # the launcher and this server count in this user namespace
        return isolation.count_tasks(os.getuid())

    def _stop_program(self) -> None:
        if self._program is not None:
            self._program.close()
            self._program = None
            processes.kill_all(self._alone, self._uid)
            self._scratch.clean()
