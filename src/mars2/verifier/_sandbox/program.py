"""In the forked process: become `python program.py` and run the submission.

What it tells the server goes through one pipe in counted messages of a kind byte and JSON:
"E" an exception, "R" a result, "D" the program ended by itself, "P" the process limit was
reached. All of it is evidence from an untrusted process: no message alone makes a test pass.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import io
import json
import linecache
import marshal
import os
import signal
import struct
import sys
import traceback
from dataclasses import dataclass
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

from . import encode, isolation, prelude

FRAME = struct.Struct(">Ic")  # payload bytes, kind
RESULT_FD, CALLS_FD = 198, 199  # far from what a program opens or closes by number
TESTS_FILE = "<tests>"
_TEXT = 6000
# Their presence means that something may still be unflushed or finalised at exit.
_TEARDOWN = (b"open", b"IO", b"__del__", b"Wrapper", b"finalize")


@dataclass(frozen=True)
class Job:
    """One process to be: what to run and the descriptors it gets."""

    kind: str  # "stdin", "functional" or "assertion"
    source: bytes
    path: str
    limits: isolation.Limits
    entry: str = ""
    tests: bytes = b""
    nonce: str = ""
    uid: int | None = None
    rlimits: tuple[isolation.Rlimit, ...] = ()
    reset_signals: bool = False
    stdin: int = -1
    stdout: int = -1
    stderr: int = -1
    results: int = -1
    calls: int = -1


def become(job: Job) -> NoReturn:
    """Take over this process. Ends it with os._exit."""
    code = 1
    try:
        _settle(job)
        reporter = _Reporter(job.nonce)
        if job.kind == "stdin":
            code = _run_script(job, reporter)
        elif job.kind == "functional":
            code = _run_functions(job, reporter)
        else:
            code = _run_assertions(job, reporter)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _settle(job: Job) -> None:
    os.setsid()
    if job.reset_signals:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for source, target in (
        (job.results, RESULT_FD),
        (job.calls, CALLS_FD),
        (job.stdin, 0),
        (job.stdout, 1),
        (job.stderr, 2),
    ):
        if source >= 0:
            os.dup2(source, target, inheritable=target < 3)
    os.closerange(3, RESULT_FD)
    os.closerange((CALLS_FD if job.calls >= 0 else RESULT_FD) + 1, 1 << 16)
    isolation.confine(job.rlimits, job.uid)
    folder = job.path[: job.path.rindex("/")]
    os.chdir(folder)
    sys.argv[:] = [job.path]
    sys.path.insert(0, folder)


def make_streams() -> None:
    """Standard streams as CPython makes them on Linux, once, before any fork.

    Newlines are not translated, not even on input. They remember what kind of file they are
    on, so descriptors 0 to 2 are made what a program will have: a file and two pipes.
    """
    saved = [os.dup(fd) for fd in range(3)]
    reader, writer = os.pipe()
    file = os.memfd_create("stdin")
    try:
        for source, fd in ((file, 0), (writer, 1), (writer, 2)):
            os.dup2(source, fd)
        _stream("stdin", 0, "r", "strict")
        _stream("stdout", 1, "w", "strict")
        _stream("stderr", 2, "w", "backslashreplace")
    finally:
        for fd, old in enumerate(saved):
            os.dup2(old, fd)
        for fd in (*saved, reader, writer, file):
            os.close(fd)


def _stream(name: str, fd: int, mode: str, errors: str) -> None:
    raw = io.FileIO(fd, mode, closefd=False)
    raw.name = f"<{name}>"
    buffer = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    stream = io.TextIOWrapper(
        buffer, encoding="utf-8", errors=errors, newline="\n", line_buffering=fd == 2
    )
    vars(stream)["mode"] = mode
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


class _Reporter:
    """Writes messages to the server; only the process that was forked first does."""

    def __init__(self, nonce: str) -> None:
        self._nonce, self._pid = nonce, os.getpid()

    def send(self, kind: bytes, payload: bytes) -> None:
        if os.getpid() != self._pid:
            return  # the program forked and its child arrived here
        data = FRAME.pack(len(payload), kind) + payload
        try:
            while data:
                data = data[os.write(RESULT_FD, data) :]
        except OSError:
            pass  # the program closed it: the server notices

    def done(self) -> None:
        self.send(b"D", self._nonce.encode())

    def exception(self, error: BaseException, stage: str) -> None:
        """Tell type, message and traceback, without this module's own frames."""
        self.send(b"E", json.dumps({"stage": stage, **describe(error)}).encode())


def describe(error: BaseException) -> dict[str, Any]:
    """Type, message, traceback (cut) and whether the innermost frame is the test program's."""
    innermost, trace = "", error.__traceback__
    while trace is not None:
        innermost, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
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
        "in_tests": innermost == TESTS_FILE,
    }


def _cut(text: str) -> str:
    if len(text) <= _TEXT:
        return text
    return f"{text[: _TEXT // 2]}\n… {len(text) - _TEXT} characters cut …\n{text[-_TEXT // 2 :]}"


def _compile(source: bytes, path: str, reporter: _Reporter) -> CodeType | None:
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except BaseException as error:
        error.__traceback__ = None
        reporter.exception(error, "compile")
        return None


def _own_frames_off(error: BaseException, depth: int = 1) -> None:
    trace: TracebackType | None = error.__traceback__
    for _ in range(depth):
        trace = trace.tb_next if trace is not None else None
    error.__traceback__ = trace


def _frames() -> int:
    depth, frame = 0, sys._getframe(1)
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    return depth


# --------------------------------------------------------------------------- whole programs


def _run_script(job: Job, reporter: _Reporter) -> int:
    code = _compile(job.source, job.path, reporter)
    if code is None:
        return 1
    module = ModuleType("__main__")
    space = module.__dict__
    space.update(__file__=job.path, __cached__=None, __builtins__=builtins, __annotations__={})
    sys.modules["__main__"] = module
    sys.setrecursionlimit(1000 + _frames())  # as deep as in an interpreter of its own
    status = 0
    try:
        exec(code, space)
    except SystemExit as error:
        status = _exit_status(error)
        if status:
            _own_frames_off(error)
            reporter.exception(error, "run")
    except BaseException as error:
        status = 1
        _own_frames_off(error)
        reporter.exception(error, "run")
        _excepthook(error)
    return _finish(job, space, status, reporter)


def _excepthook(error: BaseException) -> None:
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except BaseException:
        pass


def _exit_status(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return int(error.code) & 0xFF
    try:
        print(error.code, file=sys.stderr)
    except BaseException:
        pass
    return 1


def _finish(job: Job, space: dict[str, Any], status: int, reporter: _Reporter) -> int:
    """What the interpreter does at its end: threads, atexit, finalisers, flush."""
    try:
        if len(os.listdir("/proc/self/task")) > job.limits.processes:
            reporter.send(b"P", b"")
    except OSError:
        pass
    streams = (sys.stdout, sys.__stdout__)
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
    except BaseException:
        pass
    if not _flush(sys.stdout):
        status = status or 120
    if any(word in job.source for word in _TEARDOWN):
        for private in (True, False):
            for name in list(space):
                if name != "__builtins__" and (name[:1] == "_" and name[:2] != "__") is private:
                    space[name] = None
        gc.collect()
    for stream in streams:
        _flush(stream)
    _flush(sys.stderr)
    if status == 0:
        reporter.done()
    return status


def _flush(stream: Any) -> bool:
    try:
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()
    except BaseException:
        return False
    return True


# --------------------------------------------------------------------------- functions


def _module(path: str, names: Any) -> dict[str, Any]:
    module = ModuleType("solution")
    module.__dict__.update(__file__=path, __builtins__=names)
    sys.modules["solution"] = module  # dataclasses and pickle look it up
    return module.__dict__


def _run_functions(job: Job, reporter: _Reporter) -> int:
    code = _compile(job.source, job.path, reporter)
    if code is None:
        return 1
    sys.setrecursionlimit(prelude.RECURSION_LIMIT)
    sys.set_int_max_str_digits(prelude.INT_DIGITS)
    space = _module(job.path, prelude.names())
    try:
        exec(code, space)
    except BaseException as error:
        _own_frames_off(error)
        reporter.exception(error, "load")
        return 1
    with open(CALLS_FD, "rb", closefd=False) as calls:
        while True:
            head = calls.read(4)
            if len(head) < 4:
                return 0
            arguments = marshal.loads(calls.read(int.from_bytes(head, "big")))
            try:
                result = _entry(space, job.entry)(*arguments)
                payload = encode.encode(result, job.limits.output)
            except encode.TooLarge:
                reporter.send(b"O", b"")
                continue
            except BaseException as error:
                _own_frames_off(error)
                reporter.exception(error, "call")
                del error
                continue
            reporter.send(b"R", payload)
            del result, payload


def _entry(space: dict[str, Any], name: str) -> Any:
    """`Solution().name` on a fresh instance if the class has it, else the function `name`."""
    owner, _, member = name.rpartition(".")
    solution = space.get(owner or "Solution")
    if isinstance(solution, type) and hasattr(solution, member):
        return getattr(solution(), member)
    if name not in space:
        raise NameError(f"the program does not define {name!r}")
    return space[name]


# --------------------------------------------------------------------------- test programs


def _run_assertions(job: Job, reporter: _Reporter) -> int:
    code = _compile(job.source, job.path, reporter)
    if code is None:
        return 1
    space = _module(job.path, builtins)
    text = job.tests.decode("utf-8", "replace")
    linecache.cache[TESTS_FILE] = (len(text), None, text.splitlines(True), TESTS_FILE)
    sys.setrecursionlimit(1000 + _frames())
    try:
        exec(code, space)
        exec(compile(job.tests, TESTS_FILE, "exec", dont_inherit=True), space)
    except BaseException as error:
        _own_frames_off(error)
        reporter.exception(error, "run")
        return 1
    reporter.done()
    return 0
