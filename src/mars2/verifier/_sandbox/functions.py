"""Functions and `Solution` methods, called with the tests' arguments, each in fresh globals."""

from __future__ import annotations

import gc
import marshal
import sys
from typing import Any

from . import encode, prelude, program
from .program import Answers, Job


def run(job: Job, answers: Answers) -> int:
    """Answer all tests of the job, or up to one that makes the process unfit for the next."""
    code = program.compile_source(job, answers)
    if code is None:
        return 1
    gc.enable()
    names = prelude.names()
    for index, data in enumerate(job.tests):
        if index:
            if program.left_files(job):
                answers.send(b"N")
                return 0
            answers.pause()
            program.refresh(job)
        sys.setrecursionlimit(prelude.RECURSION_LIMIT)
        sys.set_int_max_str_digits(prelude.INT_DIGITS)
        arguments = marshal.loads(data)
        stage = "load"
        try:
            space = program.module("solution", job.path, names)
            exec(code, space)
            stage = "call"
            payload = encode.encode(_entry(space, job.entry)(*arguments), job.output)
        except encode.TooLarge:
            answers.send(b"O")
        except BaseException as error:
            program.own_frames_off(error)
            answers.exception(error, stage)
            del error
        else:
            answers.send(b"R", payload)
    return 0


def _entry(space: dict[str, Any], name: str) -> Any:
    """`Solution().name` on a fresh instance if the class has it, else the function `name`."""
    owner, _, member = name.rpartition(".")
    solution = space.get(owner or "Solution")
    if isinstance(solution, type) and hasattr(solution, member):
        return getattr(solution(), member)
    if name not in space:
        raise NameError(f"the program does not define {name!r}")
    return space[name]
