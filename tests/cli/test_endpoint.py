"""`solve` with the endpoint that the environment names: a real server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Endpoint(BaseHTTPRequestHandler):
    """The two routes that a client needs; answers every chat with the same program."""

    models = ("tiny-coder",)

    def _send(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        data = [{"id": m, "object": "model", "created": 0, "owned_by": "x"} for m in self.models]
        self._send({"object": "list", "data": data})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = "```python\ndef add(a, b):\n    return a + b\n```"
        message = {"role": "assistant", "content": text}
        self._send(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": asked["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14},
            }
        )

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_the_environment_names_the_endpoint(
    mars2, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> Any:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint)
        return mars2("solve", "builtin/sum-of-two", "--budget", 1, "--json")

    done = run()
    assert done.code in (0, 1), done.err
    assert "tiny-coder" in done.err
    assert "a + b" in json.loads(done.out)["code"]


def test_several_models_are_a_question(
    mars2, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Endpoint, "models", ("one", "two"))
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint)
    done = mars2("solve", "builtin/sum-of-two")
    assert done.code == 2
    assert "OPENAI_MODEL" in done.err
    assert "one, two" in done.err


def test_an_endpoint_cannot_be_trained(mars2, endpoint: str) -> None:
    done = mars2("train", "--out", "run", "--agent", f"a=openai:tiny-coder@{endpoint}")
    assert done.code == 2
    assert "log-prob" in done.err
    assert "'a'" in done.err
