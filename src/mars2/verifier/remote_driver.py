"""The program that is sent to a sandbox server around every submission. Standard library only.

It runs the submission in a process of its own, under limits, and prints one record with what
was measured, what was printed and what was returned. The record carries a random mark and a
digest of itself, so that one which arrives cut, mixed with other output or not at all is noticed.
Expected outputs are never part of what is sent.

The server's Python runs it (3.8 or later), not ours: it is sent as text, see `remote_job`.
"""

from __future__ import annotations

import base64
import builtins
import hashlib
import json
import linecache
import marshal
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zlib
from types import ModuleType
from typing import Any

INLINE = 40_000  # characters of a record that is printed whole; servers cut longer output
FRAME = struct.Struct(">Ic")
FILE_BYTES = 64 << 20  # of any one file that a submission writes
MEMORY_ROOM = 512 << 20  # of address space above the limit: the limit itself is of used memory
STDERR_BYTES = 4000
FRAMES = 50  # of a traceback
RECURSION_LIMIT, INT_DIGITS = 50_000, 50_000  # as `_sandbox.prelude`
TESTS_FILE = "<tests>"


# --------------------------------------------------------------------------- around it


def parent(packed: str) -> None:
    """Run what `packed` describes and report it."""
    job = json.loads(zlib.decompress(base64.b64decode(packed)))
    home = os.getcwd()
    try:
        os.unlink(os.path.abspath(__file__))  # the mark is in it
    except (OSError, NameError):
        pass
    folder = tempfile.mkdtemp()
    try:
        report = run(job, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    blob = zlib.compress(json.dumps(report).encode())
    text = base64.b64encode(blob).decode()
    if len(text) > INLINE:
        with open(os.path.join(home, job["report"]), "wb") as file:
            file.write(blob)
        text = ""
    mark, digest = job["mark"], hashlib.sha256(blob).hexdigest()
    record = f"\n{mark}:{digest}:{text}:{mark}\n".encode()
    while record:
        record = record[os.write(1, record) :]


def run(job: dict[str, Any], folder: str) -> dict[str, Any]:
    """Run the submission once in `folder`; what is known of it afterwards."""
    path = os.path.join(folder, "program.py")
    with open(path, "wb") as file:
        file.write(base64.b64decode(job["source"]))
    out, err, results = scratch(), scratch(), scratch()
    source: Any = None
    given: Any = None
    passed: list[int] = []
    if job["kind"] == "stdin":
        command = [sys.executable, path]
        if job["input"] is not None:  # it does not fit the protocol's text field
            given = source = scratch(base64.b64decode(job["input"]))
    else:
        names = ("kind", "entry", "args", "tests", "output", "encode", "prelude", "token")
        task = json.dumps({"path": path, **{n: job[n] for n in names}})
        given, source = scratch(task.encode()), subprocess.DEVNULL
        passed = [given.fileno(), results.fileno()]
        command = [sys.executable, "-c", f"{job['driver']}\nchild({passed[0]}, {passed[1]})\n"]
    report = supervise(command, job, folder, source, out, err, passed, given)
    if report["exit"] == 1 and job["kind"] == "stdin" and is_syntax_error(err):
        report["compile_error"] = True
    if os.fstat(out.fileno()).st_size > job["output"]:
        report["killed"] = report["killed"] or "output"
    report["stdout"] = head(out, job["output"])
    report["stderr"] = tail(err, STDERR_BYTES)
    report["results"] = head(results, 2 * job["output"] + 65536)
    return report


def supervise(
    command: list[str],
    job: dict[str, Any],
    folder: str,
    source: Any,
    out: Any,
    err: Any,
    passed: list[int],
    given: Any,
) -> dict[str, Any]:
    """Start the process, wait for its end or the wall limit, measure it."""

    def limit() -> None:
        seconds = int(job["time"]) + 1
        for what, soft, hard in (
            (resource.RLIMIT_CPU, seconds, seconds + 1),
            (resource.RLIMIT_AS, job["memory"] + MEMORY_ROOM, job["memory"] + MEMORY_ROOM),
            (resource.RLIMIT_FSIZE, FILE_BYTES, FILE_BYTES),
            (resource.RLIMIT_CORE, 0, 0),
        ):
            ceiling = resource.getrlimit(what)[1]
            if ceiling != resource.RLIM_INFINITY:
                soft, hard = min(soft, ceiling), min(hard, ceiling)
            resource.setrlimit(what, (soft, hard))

    settings = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"}
    killed: list[str] = []
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=source,
        stdout=out,
        stderr=err,
        cwd=folder,
        env={**os.environ, **settings},
        pass_fds=passed,
        preexec_fn=limit,
        start_new_session=True,
    )
    if given is not None:
        given.close()

    def kill() -> None:
        killed.append("wall")
        kill_group(process.pid)

    timer = threading.Timer(job["wall"], kill)
    timer.start()
    status = process.wait()
    timer.cancel()
    kill_group(process.pid)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "exit": status,
        "killed": killed[0] if killed else "",
        "seconds": time.monotonic() - started,
        "cpu": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss << 10,
        "python": sys.version,
    }


def scratch(content: bytes = b"") -> Any:
    """A file without a name, gone when it is closed."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(content)
    file.seek(0)
    return file


def kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass


def is_syntax_error(err: Any) -> bool:
    """True if Python refused the program before it ran: no frame of it is in a traceback."""
    text = base64.b64decode(tail(err, STDERR_BYTES)).decode("utf-8", "replace")
    last = text.rstrip().rsplit("\n", 1)[-1]
    refused = last.startswith(("SyntaxError", "IndentationError", "TabError"))
    return refused and "Traceback (most recent call last)" not in text


def head(file: Any, limit: int) -> str:
    file.seek(0)
    return base64.b64encode(file.read(limit)).decode()


def tail(file: Any, limit: int) -> str:
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - limit))
    return base64.b64encode(file.read(limit)).decode()


# --------------------------------------------------------------------------- within its process


def child(task_fd: int, results_fd: int) -> None:
    """Run functions or a test program, and end the process."""
    with os.fdopen(task_fd, "rb") as file:
        task = json.loads(file.read())
    own = os.getpid()

    def send(kind: bytes, payload: bytes = b"") -> None:
        if os.getpid() != own:
            return  # the submission forked and its child arrived here
        data = FRAME.pack(len(payload), kind) + payload
        while data:
            data = data[os.write(results_fd, data) :]

    code = 1
    try:
        code = functional(task, send) if task["kind"] == "functional" else assertion(task, send)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def functional(task: dict[str, Any], send: Any) -> int:
    encode, prelude = (library(name, task[name]) for name in ("encode", "prelude"))
    code = compiled(task["path"], send)
    if code is None:
        return 1
    sys.setrecursionlimit(RECURSION_LIMIT)
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(INT_DIGITS)
    stage = "load"
    try:
        space = namespace(task["path"], prelude.names())
        exec(code, space)
        stage = "call"
        arguments = marshal.loads(base64.b64decode(task["args"]))
        answer = encode.encode(entry(space, task["entry"])(*arguments), task["output"])
    except encode.TooLarge:
        send(b"O")
    except BaseException as error:
        send(b"E", json.dumps(describe(error, stage)).encode())
        return 1
    else:
        send(b"R", answer)
    return 0


def assertion(task: dict[str, Any], send: Any) -> int:
    code = compiled(task["path"], send)
    if code is None:
        return 1
    tests = base64.b64decode(task["tests"])
    text = tests.decode("utf-8", "replace")
    linecache.cache[TESTS_FILE] = (len(text), None, text.splitlines(True), TESTS_FILE)
    token = task["token"].encode()
    space = namespace(task["path"], builtins)
    try:
        exec(code, space)
        exec(compile(tests, TESTS_FILE, "exec", dont_inherit=True), space)
    except BaseException as error:
        send(b"E", json.dumps(describe(error, "run")).encode())
        return 1
    send(b"X", token)
    return 0


def library(name: str, source: str) -> Any:
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"<{name}>", "exec"), vars(module))
    return module


def namespace(path: str, names: Any) -> dict[str, Any]:
    module = ModuleType("solution")
    vars(module).update(__file__=path, __builtins__=names)
    sys.modules["solution"] = module  # dataclasses and pickle look it up
    return vars(module)


def entry(space: dict[str, Any], name: str) -> Any:
    """`Solution().name` on a fresh instance if the class has it, else the function `name`."""
    owner, _, member = name.rpartition(".")
    solution = space.get(owner or "Solution")
    if isinstance(solution, type) and hasattr(solution, member):
        return getattr(solution(), member)
    if name not in space:
        raise NameError(f"the program does not define {name!r}")
    return space[name]


def compiled(path: str, send: Any) -> Any:
    try:
        with open(path, "rb") as file:
            return compile(file.read(), path, "exec", dont_inherit=True)
    except BaseException as error:
        error.__traceback__ = None
        send(b"E", json.dumps(describe(error, "compile")).encode())
        return None


def describe(error: BaseException, stage: str) -> dict[str, Any]:
    """As the local sandbox does: type, message, traceback, and whose code raised it."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next  # our own frame
    innermost, trace, depth = "", error.__traceback__, 0
    while trace is not None:
        innermost, trace, depth = trace.tb_frame.f_code.co_filename, trace.tb_next, depth + 1
    limit = None if depth <= FRAMES else -FRAMES  # of a deep recursion, its innermost ones
    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__, limit=limit)
        message = "".join(traceback.format_exception_only(type(error), error)).strip()
    except BaseException:
        lines, message = [], type(error).__name__
    return {
        "stage": stage,
        "type": type(error).__name__,
        "memory": isinstance(error, MemoryError),
        "message": message.splitlines()[-1][:2000] if message else "",
        "traceback": "".join(lines)[-6000:],
        "in_tests": innermost == TESTS_FILE,
    }
