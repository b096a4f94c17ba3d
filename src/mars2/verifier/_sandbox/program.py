"""In the forked process: lock it in, hand it to the runner of its kind, end it.

What it tells the server goes into one file in counted messages: a kind byte and a payload.
Each test is answered by exactly one of "R" (a function's result), "X" (the program ended with
status 0), "E" (an exception, as JSON) or "O" (a result too large). Besides there are "T" (what
was printed, before the answer), "P" (the process limit was reached) and "N" (the next test needs
a fresh process). All of it is evidence from an untrusted process: what a program claims is
compared with expected outputs that no process here has.
"""

from __future__ import annotations

import gc
import io
import json
import marshal
import os
import random
import signal
import struct
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

from . import channel, walls
from .channel import ACK, RESULTS, WAKE

FRAME = struct.Struct(">Ic")  # payload bytes, kind
ANSWERS = (b"R", b"X", b"E", b"O")
_TEXT = 6000
WINDOW_S = 0.005
"""Tests shorter than this run on without waiting for the server."""


@dataclass
class Job:
    """What one process runs. It travels as `marshal` bytes, from the server to the program."""

    profile: str  # "native" or "lcb"
    kind: str  # "stdin", "functional" or "assertion"
    source: bytes
    entry: str
    path: str
    tests: list[bytes]
    apart: bool  # this process runs one test and is a real one in every way
    output: int  # bytes
    processes: int
    prepared: walls.Prepared

    def dump(self) -> bytes:
        """As bytes for the program's process."""
        return marshal.dumps(self.__dict__)


def become(wall: walls.Walls) -> NoReturn:
    """In a fresh fork of the zygote: run the job. Ends the process with os._exit.

    Written flat, like all that runs before a program: whatever Python touches first in a fresh
    fork (a function, a class) costs copies of the pages that it is on.
    """
    code = 1
    try:
        code = work(wall)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def work(wall: walls.Walls) -> int:
    """Lock this process in and run the job; returns the exit status."""
    job = Job.__new__(Job)
    size = os.lseek(channel.JOB, 0, os.SEEK_END)
    job.__dict__.update(marshal.loads(os.pread(channel.JOB, size, 0)))
    _settle(job, wall)
    return int(_runner(job)(job, Answers()))


def _runner(job: Job) -> Any:
    # Imported by the server beforehand; here to keep the modules' directions one way.
    from . import functions, script, subject

    if job.kind == "assertion":
        return subject.run
    if job.profile == "lcb":
        return _run_official
    return script.run if job.kind == "stdin" else functions.run


def _run_official(job: Job, answers: Answers) -> int:
    from . import official

    def tests() -> Iterator[bytes]:
        for index, data in enumerate(job.tests):
            if index:
                answers.pause()
            yield data

    def answer(kind: bytes, payload: bytes) -> None:
        if b"thread" in job.source:
            count_threads(job, answers)
        answers.send(kind, payload)

    source = job.source.decode("utf-8", "surrogatepass")
    official.run(job.kind, source, job.entry, tests(), answer, job.output)
    return 0


def _settle(job: Job, wall: walls.Walls) -> None:
    os.setsid()
    if not wall.alone:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    apart = job.kind == "stdin" and job.apart
    os.dup2(channel.STDIN if apart else channel.NULL, 0)
    os.dup2(channel.PRINTED if apart else channel.NULL, 1)
    os.dup2(channel.ERRORS, 2)
    if job.kind == "assertion":
        os.dup2(channel.SUBJECT_REQUESTS, channel.REQUESTS, inheritable=False)
        os.dup2(channel.SUBJECT_ANSWERS, channel.ANSWERS, inheritable=False)
    shared = job.profile == "native" and job.kind == "stdin" and not job.apart
    subject = job.kind == "assertion"  # it only has its examiner
    os.closerange(3, channel.REQUESTS if subject else RESULTS)
    if not (shared or subject):
        os.closerange(channel.INPUT, channel.LAST + 1)
    folder = job.path[: job.path.rindex("/")]
    os.chdir(folder)
    wall.confine(job.prepared)
    sys.argv[:] = [job.path]
    sys.path.insert(0, folder)


class Answers:
    """Messages to the server; only the process that was forked first sends any."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._asked = time.perf_counter()
        self._held = b""

    def hold(self, kind: bytes, payload: bytes) -> None:
        """A message that is written together with the next one."""
        self._held = FRAME.pack(len(payload), kind) + payload

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Write one message."""
        if os.getpid() != self._pid:
            return  # the program forked and its child arrived here
        data = self._held + FRAME.pack(len(payload), kind) + payload
        self._held = b""
        while data:
            try:
                data = data[os.write(RESULTS, data) :]
            except OSError:
                return  # closed by the program, or full: the server notices

    def pause(self) -> None:
        """Between two tests: after a long one wait until the server has seen its answer.

        So the server's clocks tell tests apart to `WINDOW_S`, and no test starts long after
        one that failed.
        """
        if time.perf_counter() - self._asked > WINDOW_S:
            self._ask()

    def _ask(self) -> None:
        os.write(WAKE, b"w")
        if not os.read(ACK, 1):
            os._exit(1)
        self._asked = time.perf_counter()

    def exception(self, error: BaseException, stage: str, **more: Any) -> None:
        """Tell type, message and traceback of an exception."""
        self.failure({"stage": stage, **describe(error), **more})

    def failure(self, fields: dict[str, Any]) -> None:
        """Tell an exception by its fields, as `describe` gives them."""
        self.send(b"E", json.dumps(fields).encode())


def describe(error: BaseException) -> dict[str, Any]:
    """Type, message and traceback, cut, and whether memory ran out."""
    try:
        text = "".join(traceback.format_exception_only(type(error), error)).strip()
    except BaseException:
        text = type(error).__name__
    try:
        full = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except BaseException:
        full = text
    return {
        "type": type(error).__name__,
        "memory": isinstance(error, MemoryError),
        "message": _cut(text.splitlines()[-1] if text else ""),
        "traceback": _cut(full),
        "in_tests": False,
    }


def _cut(text: str) -> str:
    if len(text) <= _TEXT:
        return text
    return f"{text[: _TEXT // 2]}\n… {len(text) - _TEXT} characters cut …\n{text[-_TEXT // 2 :]}"


# --------------------------------------------------------------------------- for all runners


def compile_source(job: Job, answers: Answers) -> CodeType | None:
    """The program's code, or None after telling why there is none."""
    try:
        return compile(job.source, job.path, "exec", dont_inherit=True)
    except BaseException as error:
        error.__traceback__ = None
        answers.exception(error, "compile")
        return None


def module(name: str, path: str, builtin_names: Any) -> dict[str, Any]:
    """Globals of a fresh module that is registered under its name (dataclasses look it up)."""
    fresh = ModuleType(name)
    space = fresh.__dict__
    space.update(__file__=path, __builtins__=builtin_names)
    sys.modules[name] = fresh
    return space


def own_frames_off(error: BaseException, depth: int = 1) -> None:
    """Remove the frames of this package from the beginning of a traceback."""
    trace: TracebackType | None = error.__traceback__
    for _ in range(depth):
        trace = trace.tb_next if trace is not None else None
    error.__traceback__ = trace


def stack_depth() -> int:
    """Frames in use, which the recursion limit counts."""
    depth, frame = 0, sys._getframe(1)
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    return depth


def refresh(job: Job) -> None:
    """Between two tests: what ordinary programs change in the interpreter."""
    sys.argv[:] = [job.path]
    gc.enable()
    if b"random" in job.source:
        random.seed(0)  # as in a process of its own


def count_threads(job: Job, answers: Answers) -> None:
    """Tell if so many threads live that the next would have been refused."""
    try:
        if len(os.listdir("/proc/self/task")) > job.processes:
            answers.send(b"P")
    except OSError:
        pass


def left_files(job: Job) -> bool:
    """True if the program may have left files in its directory for the next test to find."""
    return b"open" in job.source and os.listdir(".") != [os.path.basename(job.path)]


def make_streams() -> None:
    """Standard streams as CPython makes them on Linux for an input file and two pipes.

    Called once before any fork. Newlines are not translated, not even on input. Streams remember
    what kind of file they are on, so descriptors 0 to 2 are what a program will have.
    """
    saved = [os.dup(fd) for fd in range(3)]
    reader, writer = os.pipe()
    file = os.memfd_create("stdin")
    try:
        for source, fd in ((file, 0), (writer, 1), (writer, 2)):
            os.dup2(source, fd)
        for name, fd in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
            stream(name, fd)
    finally:
        for fd, old in enumerate(saved):
            os.dup2(old, fd)
        for fd in (*saved, reader, writer, file):
            os.close(fd)


def stream(name: str, fd: int) -> None:
    """Make a standard stream anew on its descriptor."""
    mode = "r" if fd == 0 else "w"
    raw = io.FileIO(fd, mode, closefd=False)
    raw.name = f"<{name}>"
    buffer = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    text = io.TextIOWrapper(
        buffer,
        encoding="utf-8",
        errors="backslashreplace" if fd == 2 else "strict",
        newline="\n",
        line_buffering=fd == 2,
    )
    text.__dict__["mode"] = mode
    setattr(sys, name, text)
    setattr(sys, f"__{name}__", text)
