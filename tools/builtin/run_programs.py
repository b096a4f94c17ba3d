"""Child of `build.py`: runs several trusted programs on several inputs, in one process.

This is an authoring aid, not a judge: no limits but a time limit. Standard input holds
{"entry_point", "programs": [text], "inputs": [args or stdin]}; standard output gets
one list a program of {"value"} or {"error"} an input.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
from typing import Any

SECONDS = 60  # of a clock: far more than any takes, on a slow machine too


class TooSlow(BaseException):
    """Raised by the alarm; not an Exception, so that programs do not swallow it."""


def on_alarm(signum: int, frame: object) -> None:
    raise TooSlow


def run_stdin(code: Any, text: str) -> str:
    """What the program prints when it reads `text`."""
    written = io.BytesIO()
    out = io.TextIOWrapper(written, encoding="utf-8", write_through=True)
    old = sys.stdin, sys.stdout
    sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
    sys.stdout = out
    try:
        with contextlib.suppress(SystemExit):
            exec(code, {"__name__": "__main__"})
        out.flush()
        return written.getvalue().decode()
    finally:
        sys.stdin, sys.stdout = old


def run_function(code: Any, name: str, args: list[Any]) -> Any:
    """What the function `name` returns."""
    scope: dict[str, Any] = {"__name__": "program"}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, scope)
        return scope[name](*args)


def main() -> None:
    job = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, on_alarm)
    rows = []
    for text in job["programs"]:
        row: list[dict[str, Any]] = []
        rows.append(row)
        try:
            code = compile(text, "program", "exec")
        except SyntaxError as error:
            row.extend({"error": f"SyntaxError: {error}"} for _ in job["inputs"])
            continue
        for given in job["inputs"]:
            signal.alarm(SECONDS)
            try:
                if job["entry_point"] is None:
                    value = run_stdin(code, given)
                else:  # a fresh copy: programs may change their arguments
                    value = run_function(code, job["entry_point"], json.loads(json.dumps(given)))
                row.append({"value": json.loads(json.dumps(value, allow_nan=False))})
            except TooSlow:
                row.append({"error": f"too slow (over {SECONDS} s)"})
            except Exception as error:
                row.append({"error": f"{type(error).__name__}: {error}"})
            finally:
                signal.alarm(0)
    json.dump(rows, sys.stdout)


main()
