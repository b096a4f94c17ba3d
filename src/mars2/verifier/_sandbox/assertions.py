"""Test programs that examine a submission by assertions (HumanEval, MBPP)."""

from __future__ import annotations

import builtins
import linecache
import sys

from . import program
from .program import Answers, Job

TESTS_FILE = "<tests>"


def run(job: Job, answers: Answers) -> int:
    """Answer the one test of the job."""
    code = program.compile_source(job, answers)
    if code is None:
        return 1
    space = program.module("solution", job.path, builtins)
    text = job.tests[0].decode("utf-8", "replace")
    linecache.cache[TESTS_FILE] = (len(text), None, text.splitlines(True), TESTS_FILE)
    sys.setrecursionlimit(1000 + program.stack_depth())
    try:
        exec(code, space)
        exec(compile(job.tests[0], TESTS_FILE, "exec", dont_inherit=True), space)
    except BaseException as error:
        program.own_frames_off(error)
        innermost, trace = "", error.__traceback__
        while trace is not None:
            innermost, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
        answers.exception(error, "run", in_tests=innermost == TESTS_FILE)
        return 1
    answers.send(b"X")
    return 0
