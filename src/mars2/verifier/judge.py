"""From what the fork server reports of one test to its verdict. Pure.

The expected output is only here, in the caller's process. The order of the questions is the
order of certainty: what the server measured, how the process ended, what it answered.
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass, replace
from typing import Any

from mars2.types import AssertionTest, FunctionalTest, Status, StdinTest, TestVerdict
from mars2.verifier import compare
from mars2.verifier._sandbox.run import ANSWERS
from mars2.verifier.evidence import cut, show, show_call

_OWN_DEATH = "the process ended before the program did (os._exit, exec, or killed)"


@dataclass(frozen=True)
class Limits:
    """Of one program: seconds, bytes, processes beside itself."""

    time_s: float
    memory: int
    output: int
    processes: int

    def text(self, what: str) -> str:
        """A limit in words, as in `TestVerdict.limit`."""
        return {
            "cpu": f"cpu time {self.time_s:g} s",
            "idle": f"time {self.time_s:g} s (cpu and asleep)",
            "wall": f"wall time, a multiple of {self.time_s:g} s",
            "memory": f"memory {self.memory >> 20} MB",
            "output": f"output {self.output >> 10} KB",
            "processes": f"processes {self.processes}",
        }[what]


@dataclass(frozen=True)
class Ran:
    """A report of the fork server, parsed."""

    exit: int | None
    killed: str
    seconds: float
    cpu: float
    memory: int
    done: bool
    leftovers: int
    process_limit: bool
    stdout: bytes
    stderr: bytes
    frames: list[tuple[str, bytes]]

    @classmethod
    def parse(cls, head: dict[str, Any], blobs: list[bytes]) -> Ran:
        """From a "report" message about one whole process."""
        return cls(
            exit=head["exit"],
            killed=head["killed"],
            seconds=head["seconds"],
            cpu=head["cpu"],
            memory=head["memory"],
            done=head["done"],
            leftovers=head["leftovers"],
            process_limit=head["process_limit"],
            stdout=blobs[0],
            stderr=blobs[1],
            frames=list(zip(head["kinds"], blobs[2:], strict=True)),
        )

    @classmethod
    def parse_calls(cls, head: dict[str, Any], blobs: list[bytes]) -> list[Ran]:
        """From a "report" message about calls: one for each answer, in order of the calls.

        If the process ended, one more, for the call that it did not answer: how it ended
        belongs to that call alone. All share the time, which was measured once.
        """
        whole = cls.parse(head, blobs)
        answers = [frame for frame in whole.frames if frame[0] in ANSWERS]
        ended = whole.exit is not None
        share = len(answers) + ended
        each = replace(whole, seconds=whole.seconds / share, cpu=whole.cpu / share, frames=[])
        lived = replace(each, exit=None, killed="", leftovers=0, process_limit=False)
        if ended:
            lived = replace(lived, memory=0)
        return [replace(lived, frames=[answer]) for answer in answers] + ([each] if ended else [])

    def first(self, kind: str) -> bytes | None:
        """The first message of that kind that the program sent."""
        return next((payload for k, payload in self.frames if k == kind), None)

    def error(self) -> dict[str, Any] | None:
        """The exception that the program reported, if it did and it is well formed."""
        payload = self.first("E")
        if payload is None:
            return None
        try:
            error = json.loads(payload)
        except (ValueError, RecursionError):
            return None
        if not isinstance(error, dict):
            return None
        texts = {k: str(error.get(k, "")) for k in ("stage", "type", "message", "traceback")}
        flags = {k: error.get(k) is True for k in ("memory", "in_tests")}
        return {**texts, **flags}


def judge(
    test: StdinTest | FunctionalTest | AssertionTest, entry: str, ran: Ran, limits: Limits
) -> TestVerdict:
    """The verdict of one test."""
    shown = _shown(test, entry)
    shown["seconds"] = round(ran.seconds, 4)
    failed = _failure(ran, limits)
    if failed is not None:
        return TestVerdict(**{**shown, **failed})
    if isinstance(test, StdinTest):
        return TestVerdict(**{**shown, **_printed(test, ran)})
    if isinstance(test, FunctionalTest):
        return TestVerdict(**{**shown, **_returned(test, ran)})
    passed = ran.done and ran.exit == 0
    return TestVerdict(**{**shown, **({"status": Status.PASSED} if passed else _ended(ran))})


def _shown(test: StdinTest | FunctionalTest | AssertionTest, entry: str) -> dict[str, Any]:
    if isinstance(test, StdinTest):
        return {"input": cut(test.input), "expected": cut(test.expected)}
    if isinstance(test, FunctionalTest):
        return {"input": show_call(entry, test.args), "expected": show(test.expected)}
    return {"input": cut(test.program)}


def _failure(ran: Ran, limits: Limits) -> dict[str, Any] | None:
    """What went wrong whatever the answer was; None if nothing did."""
    if ran.killed in ("cpu", "idle", "wall"):
        return {"status": Status.TIME_LIMIT, "limit": limits.text(ran.killed)}
    if ran.killed in ("memory", "output"):
        status = Status.MEMORY_LIMIT if ran.killed == "memory" else Status.OUTPUT_LIMIT
        return {"status": status, "limit": limits.text(ran.killed), "actual": _text(ran.stdout)}
    if ran.first("O") is not None:
        return {"status": Status.OUTPUT_LIMIT, "limit": limits.text("output")}
    error = ran.error()
    if error is not None and error["memory"] and error["stage"] != "compile":
        return {"status": Status.MEMORY_LIMIT, "limit": limits.text("memory"), **_told(error)}
    if ran.memory > limits.memory:
        return {"status": Status.MEMORY_LIMIT, "limit": limits.text("memory")}
    if ran.cpu > limits.time_s or ran.exit == -signal.SIGXCPU:
        return {"status": Status.TIME_LIMIT, "limit": limits.text("cpu")}
    if error is not None:
        if error["stage"] == "compile":
            return {"status": Status.COMPILE_ERROR, **_told(error)}
        # A test program's own assertion is a wrong answer; one in the submission is its crash.
        wrong = error["in_tests"] and error["type"] == "AssertionError"
        status = Status.WRONG_ANSWER if wrong else Status.RUNTIME_ERROR
        return {"status": status, "actual": _text(ran.stdout) or None, **_told(error)}
    if ran.process_limit or ran.leftovers >= max(limits.processes, 1):
        return {"status": Status.RUNTIME_ERROR, "limit": limits.text("processes")}
    if ran.exit is not None and ran.exit != 0:
        return {**_ended(ran), "actual": _text(ran.stdout) or None}
    return None


def _told(error: dict[str, Any]) -> dict[str, Any]:
    message = error["message"] or error["type"]
    return {"exception": cut(message, 1000), "traceback": cut(error["traceback"])}


def _ended(ran: Ran) -> dict[str, Any]:
    """A runtime error that only the process's end tells of."""
    if ran.exit is not None and ran.exit < 0:
        try:
            how = f"killed by {signal.Signals(-ran.exit).name}"
        except ValueError:
            how = f"killed by signal {-ran.exit}"
    elif ran.exit:
        how = f"exit status {ran.exit}"
    else:
        how = _OWN_DEATH
    return {
        "status": Status.RUNTIME_ERROR,
        "exception": how,
        "traceback": _text(ran.stderr) or None,
    }


def _printed(test: StdinTest, ran: Ran) -> dict[str, Any]:
    actual = ran.stdout.decode("utf-8", "replace")
    shown = {"actual": cut(actual)}
    if compare.outputs_match(test.expected, actual):
        return {"status": Status.PASSED, **shown}
    if not ran.done:
        return {**_ended(ran), **shown}
    return {"status": Status.WRONG_ANSWER, **shown}


def _returned(test: FunctionalTest, ran: Ran) -> dict[str, Any]:
    payload = ran.first("R")
    if payload is None:
        return _ended(ran)
    try:
        actual = compare.decode_result(payload)
    except ValueError:
        return {"status": Status.RUNTIME_ERROR, "exception": "the result could not be read"}
    match = compare.results_match(test.expected, actual)
    return {
        "status": Status.PASSED if match else Status.WRONG_ANSWER,
        "actual": show(actual),
    }


def _text(data: bytes) -> str:
    return cut(data.decode("utf-8", "replace"))
