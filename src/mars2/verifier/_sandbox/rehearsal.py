"""The samples, run in the fork server itself before it forks anything.

Python makes code fast when it has run a few times, and writes on it then; what is done here, no
program's process has to do, nor to copy the pages that it is on.
"""

from __future__ import annotations

import os
import sys

from . import channel, functions, prelude, program, samples, script

_NUMBERS = (channel.RESULTS, channel.WAKE, channel.ACK, channel.INPUT, channel.OUTPUT)


def rehearse(fds: channel.Channel) -> None:
    """Leaves the standard streams and the prelude as new, everything else as it was."""
    standard = [os.dup(fd) for fd in (0, 1)]
    main, arguments = sys.modules["__main__"], sys.argv[:]
    depth, digits = sys.getrecursionlimit(), sys.get_int_max_str_digits()
    for number in _NUMBERS:
        os.dup2(fds.theirs[number], number, inheritable=False)
    program.make_streams()
    samples.warm_up()
    for _ in range(samples.OFTEN):
        for kind, source, entry, tests in samples.samples():
            fds.reset()
            os.write(fds.ack, b"a" * len(tests))  # it shall wait for nobody
            run = script.run if kind == "stdin" else functions.run
            run(_job(kind, source, entry, tests), program.Answers())
    fds.reset()
    for number in _NUMBERS:
        os.close(number)
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
        os.close(fd)
    sys.modules["__main__"], sys.argv[:] = main, arguments
    sys.modules.pop("solution", None)
    sys.setrecursionlimit(depth)
    sys.set_int_max_str_digits(digits)
    program.make_streams()
    prelude.names(anew=True)


def _job(kind: str, source: bytes, entry: str, tests: list[bytes]) -> program.Job:
    return program.Job(
        profile="native",
        kind=kind,
        source=source,
        entry=entry,
        path="/sample.py",
        tests=tests,
        apart=False,
        output=1 << 20,
        processes=0,
        prepared=(),
    )
