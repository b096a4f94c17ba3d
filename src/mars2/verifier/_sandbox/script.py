"""Whole programs that read standard input: what `python program.py < input` would do.

A process of its own runs one test. A shared process runs many, each with fresh globals and
fresh standard streams on real descriptors: an ordinary program cannot tell, and the few that
could are not given a shared process (see `server`). A failure in a shared process is confirmed
in a process of its own before it counts.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import os
import sys
from types import CodeType
from typing import Any

from . import program
from .channel import INPUT, OUTPUT
from .program import Answers, Job

# Their presence means that something may still be unflushed or finalised at exit.
_TEARDOWN = (b"open", b"IO", b"__del__", b"Wrapper", b"finalize")
# And theirs, that the standard streams may not be what they were.
_STREAMS = (b"reconfigure", b"detach", b"Wrapper", b"Buffered", b"codecs")


def run(job: Job, answers: Answers) -> int:
    """Run all tests of the job, or up to one that makes the process unfit for the next."""
    code = program.compile_source(job, answers)
    if code is None:
        return 1
    gc.enable()
    teardown = any(word in job.source for word in _TEARDOWN)
    if job.apart:
        return _run(code, job, answers, teardown)
    streams = sys.stdin, sys.stdout, sys.stderr
    touched = any(word in job.source for word in _STREAMS)
    limit = 1000 + program.stack_depth() + 1
    os.dup2(OUTPUT, 1)
    for index, data in enumerate(job.tests):
        if index:
            if program.left_files(job):
                answers.send(b"N")
                return 0
            answers.pause()
            program.refresh(job)
        _input(data)
        if touched:
            _new_streams()
        elif index:
            sys.stdin, sys.stdout, sys.stderr = streams
            streams[0].seek(0)
        sys.setrecursionlimit(limit)
        _run(code, job, answers, teardown)
    return 0


def _input(data: bytes) -> None:
    os.ftruncate(INPUT, 0)
    done = 0
    while done < len(data):
        done += os.pwrite(INPUT, data[done:] if done else data, done)
    os.lseek(INPUT, 0, os.SEEK_SET)
    os.dup2(INPUT, 0)


def _new_streams() -> None:
    os.dup2(OUTPUT, 1)
    program.stream("stdin", 0)
    program.stream("stdout", 1)
    program.stream("stderr", 2)


def _run(code: CodeType, job: Job, answers: Answers, teardown: bool) -> int:
    """One test: run, end as the interpreter would, answer. Returns the exit status."""
    space = program.module("__main__", job.path, builtins)
    space.update(__cached__=None, __annotations__={})
    if job.apart:
        sys.setrecursionlimit(1000 + program.stack_depth())
    status = 0
    try:
        exec(code, space)
    except SystemExit as error:
        status = _exit_status(error)
        program.own_frames_off(error)
        report: BaseException | None = error if status else None
    except BaseException as error:
        status = 1
        program.own_frames_off(error)
        _excepthook(error)
        report = error
    else:
        report = None
    evidence = None
    if report is not None:
        evidence = program.describe(report)
        report.__traceback__ = None
        del report
    if job.apart:
        program.count_threads(job, answers)
    status = _finish(job, space, status, teardown)
    if not job.apart and not _send_output(job, answers):
        return status
    if status == 0:
        answers.send(b"X")
    else:
        evidence = evidence or {"type": "", "message": f"exit status {status}", "traceback": ""}
        answers.failure({"stage": "run", **evidence})
    return status


def _send_output(job: Job, answers: Answers) -> bool:
    """What was printed, as a message; False after telling that it is too much."""
    size = os.fstat(OUTPUT).st_size
    if size > job.output:
        answers.send(b"O")
        os.ftruncate(OUTPUT, 0)
        return False
    if size:
        data = os.pread(OUTPUT, size, 0)
        os.ftruncate(OUTPUT, 0)
        os.lseek(OUTPUT, 0, os.SEEK_SET)
        answers.hold(b"T", data)
    return True


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


def _finish(job: Job, space: dict[str, Any], status: int, teardown: bool) -> int:
    """What the interpreter does at its end: threads, atexit, finalisers, flush."""
    streams = (sys.stdout, sys.__stdout__)
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
    except BaseException:
        pass
    if not _flush(sys.stdout):
        status = status or 120
    if teardown:
        for private in (True, False):
            for name in list(space):
                if name != "__builtins__" and (name[:1] == "_" and name[:2] != "__") is private:
                    space[name] = None
        gc.collect()
    elif not job.apart:
        space.clear()
    for stream in streams:
        _flush(stream)
    _flush(sys.stderr)
    return status


def _flush(stream: Any) -> bool:
    try:
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()
    except BaseException:
        return False
    return True
