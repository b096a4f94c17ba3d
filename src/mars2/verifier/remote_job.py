"""One request to a sandbox server: the driver with its job, and the report in the answer.

Nothing of a test's expected output is sent. The report is accepted only as the driver wrote it:
marked, complete and with the right digest; servers have been seen to cut long output without a
word (github.com/bytedance/SandboxFusion, issue 62), so a long report is fetched as a file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import marshal
import re
import secrets
import zlib
from functools import cache
from pathlib import Path
from typing import Any

from mars2.types import AssertionTest, FunctionalTest, Problem, StdinTest
from mars2.verifier.judge import Limits, Ran
from mars2.verifier.remote_driver import FRAME

_WALL_FACTOR, _WALL_EXTRA_S = 4.0, 5.0  # as locally: a loaded server slows programs down
SERVER_EXTRA_S = 20.0
"""For the driver to start and report, within the server's own limit."""


class Trouble(Exception):
    """The server did not do its part; another try may work (`again`) or not."""

    def __init__(self, what: str, again: bool = True) -> None:
        super().__init__(what)
        self.again = again


class RemoteJob:
    """One request: what is sent, and how the answer to it is read."""

    def __init__(self, problem: Problem, case: Any, code: str, limits: Limits) -> None:
        self.wall = limits.time_s * _WALL_FACTOR + _WALL_EXTRA_S
        self._kind, self._output, self._time = case.kind, limits.output, limits.time_s
        self._mark, self._token = secrets.token_hex(16), secrets.token_hex(16)
        self._report = f"report-{secrets.token_hex(8)}"
        self._stdin = ""
        job: dict[str, Any] = {
            "kind": case.kind,
            "source": _pack(code),
            "mark": self._mark,
            "report": self._report,
            "time": limits.time_s,
            "wall": self.wall,
            "memory": limits.memory,
            "output": limits.output,
            "input": None,
        }
        if isinstance(case, StdinTest):
            try:
                case.input.encode()
                self._stdin = case.input
            except UnicodeEncodeError:  # lone surrogates: no JSON text of the protocol's
                job["input"] = _pack(case.input)
        else:
            job |= {"entry": problem.entry_point or "", "token": self._token, "driver": _text()}
            job |= {"args": "", "tests": "", "encode": "", "prelude": ""}
        if isinstance(case, FunctionalTest):
            # version 2: every Python of today reads it
            job["args"] = base64.b64encode(marshal.dumps(case.args, 2)).decode()
            job |= {name: _text(f"_sandbox/{name}.py") for name in ("encode", "prelude")}
        elif isinstance(case, AssertionTest):
            job["tests"] = _pack(case.program)
        packed = base64.b64encode(zlib.compress(json.dumps(job).encode())).decode()
        self._code = f"{_text()}\n\nparent({packed!r})\n"

    def request(self) -> dict[str, Any]:
        """The body of POST /run_code."""
        return {
            "language": "python",
            "code": self._code,
            "stdin": self._stdin,
            "run_timeout": self.wall + SERVER_EXTRA_S,
            "fetch_files": [self._report],
        }

    def ran(self, answer: dict[str, Any]) -> tuple[Ran, str]:
        """What the driver measured, and the version of the Python that ran it.

        Raises Trouble if the server failed, or if the driver's record is not there as it was
        written: then nothing is known of the submission.
        """
        result = answer.get("run_result")
        if answer.get("status") == "SandboxError" or not isinstance(result, dict):
            raise Trouble(f"it reports an error of its own: {str(answer.get('message'))[:300]}")
        report = self._record(str(result.get("stdout") or ""), answer.get("files"))
        if report is None:
            raise Trouble(
                f"the report is missing or cut (status {answer.get('status')}, "
                f"{result.get('status')}, return code {result.get('return_code')}); it wrote: "
                f"{str(result.get('stderr'))[-300:]}"
            )
        try:
            return self._parsed(report), str(report["python"])
        except (KeyError, TypeError, ValueError) as error:
            raise Trouble(f"the report is malformed: {error!r}") from None

    def _record(self, stdout: str, files: Any) -> dict[str, Any] | None:
        found = re.search(rf"{self._mark}:([0-9a-f]{{64}}):([A-Za-z0-9+/=]*):{self._mark}", stdout)
        if found is None:
            return None
        packed = found[2] or (files.get(self._report) if isinstance(files, dict) else None)
        try:
            blob = base64.b64decode(packed or "")
            if hashlib.sha256(blob).hexdigest() != found[1]:
                return None
            # standard output, results and stderr in base64, and some
            text = zlib.decompressobj().decompress(blob, 6 * self._output + (1 << 20))
            report = json.loads(text)
        except (ValueError, TypeError, zlib.error, RecursionError):
            return None
        return report if isinstance(report, dict) else None

    def _parsed(self, report: dict[str, Any]) -> Ran:
        stderr = base64.b64decode(report["stderr"])
        exit_status, answer = int(report["exit"]), self._answer(base64.b64decode(report["results"]))
        if self._kind == "stdin":
            answer = ("X", b"") if exit_status == 0 else _raised(exit_status, stderr, report)
        elif answer is not None and answer[0] != "E" and exit_status != 0:
            answer = None  # it said that all was well, and then ended otherwise
        killed, cpu = str(report["killed"]), float(report["cpu"])
        return Ran(
            exit=None if answer is not None else exit_status,
            killed="cpu" if killed == "wall" and cpu > self._time else killed,
            seconds=float(report["seconds"]),
            cpu=cpu,
            memory=int(report["memory"]),
            stdout=base64.b64decode(report["stdout"]),
            stderr=stderr,
            answer=answer,
        )

    def _answer(self, data: bytes) -> tuple[str, bytes] | None:
        """The first answer that its process sent, if it is one that this kind of test has."""
        if len(data) < FRAME.size:
            return None
        length, kind = FRAME.unpack_from(data)
        payload = data[FRAME.size : FRAME.size + length]
        if len(payload) != length:
            return None
        if self._kind == "functional" and kind in (b"R", b"E", b"O"):
            return kind.decode(), payload
        if kind == b"E":
            return "E", payload
        right = secrets.compare_digest(payload, self._token.encode())
        return ("X", b"") if kind == b"X" and right else None


def _raised(exit_status: int, stderr: bytes, report: dict[str, Any]) -> tuple[str, bytes] | None:
    """The exception that ended a whole program, read from what Python wrote about it."""
    text = stderr.decode("utf-8", "replace").rstrip()
    last = text.rsplit("\n", 1)[-1]
    refused = report.get("compile_error") is True
    if exit_status != 1 or not (refused or "Traceback (most recent call last)" in text):
        return None
    error = {
        "stage": "compile" if refused else "run",
        "type": last.partition(":")[0],
        "message": last,
        "traceback": text,
        "memory": last.startswith("MemoryError"),
    }
    return "E", json.dumps(error).encode()


def _pack(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


@cache
def _text(name: str = "remote_driver.py") -> str:
    """The source of a module that runs there."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
