"""A test program and a submission in two processes, connected as in the sandbox."""

from __future__ import annotations

import contextlib
import json
import os
import traceback
from collections.abc import Callable
from typing import Any

from mars2.verifier._sandbox import examiner, subject

LIMIT = 1 << 20


def fork(run: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        run()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def run(
    source: str,
    tests: str,
    entry: str = "",
    serve: Callable[[int, int], None] | None = None,
    limit: int = LIMIT,
    own_equality: bool = False,
) -> tuple[str, dict[str, Any]]:
    """What the examiner's process reports, run beside the submission's process.

    There is no sandbox here: only submissions that touch nothing but their own process.
    """
    request_r, request_w = os.pipe()
    answer_r, answer_w = os.pipe()
    report_r, report_w = os.pipe()

    def submission() -> None:
        os.chdir("/proc/self/fdinfo")  # nothing can be written here
        for fd in range(3, 256):
            if fd not in (request_r, answer_w):
                with contextlib.suppress(OSError):
                    os.close(fd)
        if serve is not None:
            serve(request_r, answer_w)
        else:
            subject.serve(source.encode(), "/nowhere/solution.py", request_r, answer_w, limit)

    def test_program() -> None:
        for fd in (request_r, answer_w, report_r):
            os.close(fd)

        def report(kind: bytes, payload: bytes) -> None:
            os.write(report_w, kind + payload)

        examiner.examine(
            tests.encode(),
            request_w,
            answer_r,
            report,
            entry=entry,
            output_limit=limit,
            own_equality=own_equality,
        )

    pids = [fork(submission), fork(test_program)]
    for fd in (request_r, request_w, answer_r, answer_w, report_w):
        os.close(fd)
    with open(report_r, "rb") as reports:
        data = reports.read()
    for pid in pids:
        os.waitpid(pid, 0)
    return data[:1].decode(), json.loads(data[1:] or b"{}")


def passes(source: str, tests: str, **more: Any) -> None:
    kind, fields = run(source, tests, **more)
    assert kind == "D", fields.get("traceback") or fields


def wrong(source: str, tests: str, **more: Any) -> None:
    """The test program's own assertion failed."""
    kind, fields = run(source, tests, **more)
    assert kind == "E"
    assert fields["type"] == "AssertionError", fields
    assert fields["in_tests"] is True
    assert fields["stage"] == "run"


def crash(source: str, tests: str, kind: str) -> dict[str, Any]:
    """An exception that is not the test program's assertion."""
    got, fields = run(source, tests)
    assert got == "E"
    assert (fields["type"], fields["in_tests"]) == (kind, False)
    return fields
