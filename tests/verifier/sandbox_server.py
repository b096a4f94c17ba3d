"""A real HTTP server with SandboxFusion's POST /run_code, and the faults that such servers have.

Requests and answers are those of github.com/bytedance/SandboxFusion (sandbox_api.py, types.py,
base.py, execution.py): code in a file of a temporary directory, run there by `python FILE`;
standard output is what a single read returns, up to 1 MB, and non-UTF-8 output is replaced by a
message; files travel in base64.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = dict[str, Any]
FIELDS = {
    "compile_timeout": (int, float),
    "run_timeout": (int, float),
    "memory_limit_MB": int,
    "code": str,
    "stdin": str,
    "language": str,
    "files": dict,
    "fetch_files": list,
}


class SandboxServer:
    """`requests` holds the bodies that came; `faults` answers for the first so many requests.

    A fault gets the handler and a function that runs the request; it returns the answer to give,
    or None if it has dealt with the connection itself.
    """

    def __init__(self, output_cut: int = 1 << 20) -> None:
        self.output_cut = output_cut
        self.requests: list[dict[str, Any]] = []
        self.faults: list[Callable[[Any, Callable[[], Answer]], Answer | None]] = []
        self.running = self.most_running = 0
        self.lock = threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def run(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.requests.append(body)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            return self._run(body)
        finally:
            with self.lock:
                self.running -= 1

    def _run(self, body: dict[str, Any]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tmpabc123.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(body["code"])
            started = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, path],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            given = (body.get("stdin") or "").encode()
            try:
                out, err = process.communicate(given, timeout=body.get("run_timeout", 10))
                status, code = "Finished", process.returncode
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, err = process.communicate()
                status, code = "TimeLimitExceeded", None
            files = {}
            for name in body.get("fetch_files", []):
                fetched = os.path.join(folder, name)
                if os.path.isfile(fetched):
                    with open(fetched, "rb") as file:
                        files[name] = base64.b64encode(file.read()).decode()
        result = {
            "status": status,
            "execution_time": time.monotonic() - started,
            "return_code": code,
            "stdout": _decoded(out[: self.output_cut]),
            "stderr": _decoded(err[: self.output_cut]),
        }
        return {
            "status": "Success" if status == "Finished" and code == 0 else "Failed",
            "message": "",
            "compile_result": None,
            "run_result": result,
            "executor_pod_name": None,
            "files": files,
        }


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return f"[DecodeError] {error}"


def _handler(server: SandboxServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            wrong = [k for k, v in body.items() if k in FIELDS and not isinstance(v, FIELDS[k])]
            if self.path != "/run_code":
                self.answer(404, {"detail": "Not Found"})
            elif wrong or "code" not in body or body.get("language") != "python":
                self.answer(422, {"detail": f"bad request {wrong}"})
            else:
                with server.lock:
                    fault = server.faults.pop(0) if server.faults else None
                answer: Answer | None
                if fault is None:
                    answer = server.run(body)
                else:
                    answer = fault(self, lambda: server.run(body))
                if answer is not None:
                    self.answer(200, answer)

        def answer(self, status: int, value: Any) -> None:
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def sandbox_server(output_cut: int = 1 << 20) -> Iterator[SandboxServer]:
    """A server on a free port of this machine."""
    server = SandboxServer(output_cut)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        thread.join()
        server.http.server_close()
