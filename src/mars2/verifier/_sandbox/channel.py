"""The descriptors between the fork server, its zygote and the programs, made once and reused.

Programs share the open file descriptions one after another, so that everything a program could
leave on them (bytes, flags, positions) is taken back in `reset`, when no program lives.
"""

from __future__ import annotations

import array
import fcntl
import os
import select

# In the zygote and in programs each has one number, far from what a program opens or closes.
NULL, ERRORS, JOB, GO, STATUS, STARTED, PRINTED, STDIN = range(187, 195)  # the zygote's only
RESULTS, WAKE, ACK, INPUT, OUTPUT = range(195, 200)
REQUESTS, ANSWERS = INPUT, OUTPUT  # of a subject, which has no input or output of its own
FIRST, LAST = NULL, OUTPUT
SUBJECT_REQUESTS, SUBJECT_ANSWERS = 185, 186


_FIONREAD = 0x541B  # on every architecture with a filter; `termios` would cost every fork


class Channel:
    """The server's ends, and the programs' ends by the number they will have."""

    def __init__(self, uid: int | None) -> None:
        """`uid` of the programs, which may open their standard output again by name."""
        self.job, self.input = _file("job"), _file("input")
        self.output, self.errors, self.results = map(_file, ("output", "errors", "results"))
        self.started = _file("started")
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self.wake, wake = os.pipe2(os.O_CLOEXEC)
        self._ack, self.ack = os.pipe2(os.O_CLOEXEC)
        self.printed, printed = os.pipe2(os.O_CLOEXEC)
        self.requests, self._requests = os.pipe2(os.O_CLOEXEC)
        self.answers, self._answers = os.pipe2(os.O_CLOEXEC)
        # Another description of the input: read-only, with a position of its own.
        self._stdin = os.open(f"/proc/self/fd/{self.input}", os.O_RDONLY | os.O_CLOEXEC)
        self.theirs = {
            NULL: null,
            ERRORS: self.errors,
            JOB: self.job,
            STARTED: self.started,
            PRINTED: printed,
            STDIN: self._stdin,
            RESULTS: self.results,
            WAKE: wake,
            ACK: self._ack,
            INPUT: self.input,
            OUTPUT: self.output,
            SUBJECT_REQUESTS: self.requests,
            SUBJECT_ANSWERS: self._answers,
        }
        self.examiners = (self._requests, self.answers)
        """What an examiner writes its requests to and reads the answers from."""
        self._filled = select.poll()
        for fd in (self.wake, self._ack, self.printed, self.requests, self.answers):
            self._filled.register(fd, select.POLLIN)
        self._growing = (self.output, self.errors, self.results)
        self._blocking = (wake, self._ack, printed, *self.examiners, self.requests, self._answers)
        os.set_blocking(self.wake, False)
        os.set_blocking(self.ack, False)  # whoever does not read it must not stop the server
        if uid is not None:
            os.fchown(printed, uid, uid)
        self.reset()

    def reset(self) -> None:
        """Take back all that programs did to the descriptors; none may be alive."""
        for fd in (self.job, self.input, *self._growing):
            os.ftruncate(fd, 0)
        for fd in self._growing:
            fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
            os.lseek(fd, 0, os.SEEK_SET)
        for fd in self._blocking:
            fcntl.fcntl(fd, fcntl.F_SETFL, 0)
        for fd, _ in self._filled.poll(0):
            while left := waiting(fd):
                os.read(fd, left)
        os.lseek(self._stdin, 0, os.SEEK_SET)

    def settle(self, go: int, status: int) -> None:
        """In the zygote: give everything its number and close all else."""
        theirs = {**self.theirs, GO: go, STATUS: status}
        moved = {number: fcntl.fcntl(fd, fcntl.F_DUPFD, 300) for number, fd in theirs.items()}
        for number, fd in moved.items():
            os.dup2(fd, number, inheritable=False)
        os.closerange(3, SUBJECT_REQUESTS)
        os.closerange(LAST + 1, 1 << 16)


def waiting(fd: int) -> int:
    """Bytes that can be read from a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(fd, _FIONREAD, count)
    return count[0]


def _file(name: str) -> int:
    return os.memfd_create(name, os.MFD_CLOEXEC)
