"""From what the fork server reports of one test to its verdict. Pure.

The expected output is only here, in the caller's process. The order of the questions is the
order of certainty: what the server measured, how the process ended, what it answered.
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from typing import Any

from mars2.types import AssertionTest, FunctionalTest, Status, StdinTest, TestVerdict
from mars2.verifier import compare
from mars2.verifier.evidence import cut, show, show_call

_ANSWERS = ("R", "X", "E", "O")
_TIME_SLACK_S = 0.01  # tests that share a process are told apart to this
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


@dataclass
class Ran:
    """What is known of one test after it ran."""

    exit: int | None = None
    """Exit status, or minus the signal, of a process that did not answer; else None."""
    killed: str = ""
    """The limit that it was killed for: "cpu", "idle", "wall", "memory", "output", or ""."""
    seconds: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    leftovers: int = 0
    process_limit: bool = False
    alarmed: bool = False
    """Profile `lcb`: it got the alarm signal at its time limit."""
    stdout: bytes = b""
    stderr: bytes = b""
    answer: tuple[str, bytes] | None = None
    """Kind ("R", "X", "E", "O") and payload; None if the process ended without an answer."""

    @classmethod
    def parse(cls, head: dict[str, Any], blobs: list[bytes]) -> list[Ran]:
        """From a "report" message: one for each answer, in the order of the tests.

        If the process ended before its next answer, one more for that test: how the process
        ended belongs to it alone. All share the time, which was measured once.
        """
        stdout, stderr, *payloads = blobs
        runs: list[Ran] = []
        printed, crowded = stdout if head["apart"] else b"", False
        count = sum(kind in _ANSWERS for kind in head["kinds"]) + head["died"]
        shared = {"seconds": head["seconds"] / max(count, 1), "stderr": stderr}
        for kind, payload in zip(head["kinds"], payloads, strict=True):
            if kind == "T":
                printed = payload
            elif kind == "P":
                crowded = True
            elif kind in _ANSWERS:
                answer = (kind, payload)
                runs.append(cls(answer=answer, stdout=printed, process_limit=crowded, **shared))
                printed = b""
        if head["died"]:
            how = {"exit": head["exit"], "killed": head["killed"], "process_limit": crowded}
            runs.append(cls(**how, stdout=stdout, **shared))
        if not runs:
            return []
        # All but the last were short, see `program.Answers.pause`: what was measured is its own.
        for name in ("cpu", "memory", "leftovers", "alarmed"):
            setattr(runs[-1], name, head[name])
        return runs

    def size(self) -> int:
        """Bytes to judge."""
        return len(self.stdout) + (len(self.answer[1]) if self.answer else 0)

    def error(self) -> dict[str, Any] | None:
        """The exception that the program reported, if it did and it is well formed."""
        if self.answer is None or self.answer[0] != "E":
            return None
        try:
            error = json.loads(self.answer[1])
        except (ValueError, RecursionError):
            error = None
        if not isinstance(error, dict):
            error = {"type": "", "message": "the program's report of an exception is malformed"}
        texts = {k: str(error.get(k, "")) for k in ("stage", "type", "message", "traceback")}
        flags = {k: error.get(k) is True for k in ("memory", "in_tests", "timeout")}
        return {**error, **texts, **flags}


def judge(
    test: StdinTest | FunctionalTest | AssertionTest, entry: str, ran: Ran, limits: Limits
) -> TestVerdict:
    """The verdict of one test."""
    shown = shown_of(test, entry)
    shown["seconds"] = round(ran.seconds, 4)
    failed = failure_of(ran, limits)
    if failed is not None:
        return TestVerdict(**{**shown, **failed})
    if isinstance(test, StdinTest):
        return TestVerdict(**{**shown, **_printed(test, ran)})
    if isinstance(test, FunctionalTest):
        return TestVerdict(**{**shown, **_returned(test, ran)})
    passed = ran.answer is not None and ran.answer[0] == "X"
    return TestVerdict(**{**shown, **({"status": Status.PASSED} if passed else ended_as(ran))})


def shown_of(test: StdinTest | FunctionalTest | AssertionTest, entry: str) -> dict[str, Any]:
    if isinstance(test, StdinTest):
        return {"input": cut(test.input), "expected": cut(test.expected)}
    if isinstance(test, FunctionalTest):
        return {"input": show_call(entry, test.args), "expected": show(test.expected)}
    return {"input": cut(test.program)}


def failure_of(ran: Ran, limits: Limits, timed: bool = True) -> dict[str, Any] | None:
    """What went wrong whatever the answer was; None if nothing did. `timed`: CPU time counts."""
    if ran.killed in ("cpu", "idle", "wall"):
        return {"status": Status.TIME_LIMIT, "limit": limits.text(ran.killed)}
    if ran.killed in ("memory", "output"):
        status = Status.MEMORY_LIMIT if ran.killed == "memory" else Status.OUTPUT_LIMIT
        return {"status": status, "limit": limits.text(ran.killed), "actual": _text(ran.stdout)}
    if ran.answer is not None and ran.answer[0] == "O":
        return {"status": Status.OUTPUT_LIMIT, "limit": limits.text("output")}
    error = ran.error()
    if error is not None and error["memory"] and error["stage"] != "compile":
        return {"status": Status.MEMORY_LIMIT, "limit": limits.text("memory"), **told_by(error)}
    if ran.memory > limits.memory:
        return {"status": Status.MEMORY_LIMIT, "limit": limits.text("memory")}
    if (timed and ran.cpu > limits.time_s + _TIME_SLACK_S) or ran.exit == -signal.SIGXCPU:
        return {"status": Status.TIME_LIMIT, "limit": limits.text("cpu")}
    if error is not None:
        if error["stage"] == "compile":
            return {"status": Status.COMPILE_ERROR, **told_by(error)}
        # A test program's own assertion is a wrong answer; one in the submission is its crash.
        wrong = error["in_tests"] and error["type"] == "AssertionError"
        status = Status.WRONG_ANSWER if wrong else Status.RUNTIME_ERROR
        return {"status": status, "actual": _text(ran.stdout) or None, **told_by(error)}
    if ran.process_limit or ran.leftovers >= max(limits.processes, 1):
        return {"status": Status.RUNTIME_ERROR, "limit": limits.text("processes")}
    if ran.exit is not None and ran.exit != 0:
        return {**ended_as(ran), "actual": _text(ran.stdout) or None}
    return None


def told_by(error: dict[str, Any]) -> dict[str, Any]:
    message = error["message"] or error["type"]
    return {"exception": cut(message, 1000), "traceback": cut(error["traceback"])}


def ended_as(ran: Ran) -> dict[str, Any]:
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
    forbidden = ran.exit == -signal.SIGSYS
    return {
        "status": Status.SANDBOX_VIOLATION if forbidden else Status.RUNTIME_ERROR,
        "exception": f"{how}: a system call that is forbidden here" if forbidden else how,
        "traceback": _text(ran.stderr) or None,
    }


def _printed(test: StdinTest, ran: Ran) -> dict[str, Any]:
    actual = ran.stdout.decode("utf-8", "replace")
    shown = {"actual": cut(actual)}
    if compare.outputs_match(test.expected, actual):
        return {"status": Status.PASSED, **shown}
    if ran.answer is None:
        return {**ended_as(ran), **shown}
    return {"status": Status.WRONG_ANSWER, **shown}


def _returned(test: FunctionalTest, ran: Ran) -> dict[str, Any]:
    if ran.answer is None or ran.answer[0] != "R":
        return ended_as(ran)
    try:
        actual = compare.decode_result(ran.answer[1])
    except ValueError:
        return {"status": Status.RUNTIME_ERROR, "exception": "the result could not be read"}
    match = compare.results_match(test.expected, actual)
    return {
        "status": Status.PASSED if match else Status.WRONG_ANSWER,
        "actual": show(actual),
    }


def _text(data: bytes) -> str:
    return cut(data.decode("utf-8", "replace"))
