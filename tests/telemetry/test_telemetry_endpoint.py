"""An endpoint that goes and comes back is told of once each; the key that it quotes is not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mars2.agents.openai import OpenAIPolicy
from mars2.config import TelemetryConfig
from mars2.errors import EndpointDownError
from mars2.telemetry.session import watched
from mars2.types import Message, Sampling

KEY = "sk-a-key-of-a-test-0123456789"
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": "far",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    ],
}


@contextmanager
def serving(port: int, status: int, body: dict[str, Any]) -> Iterator[None]:
    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Endpoint)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


async def no_wait(seconds: float) -> None:
    pass


async def ask(policy: OpenAIPolicy) -> str:
    return (await policy.generate([Message("user", "?")], Sampling(), seed=0)).text


async def test_down_and_up_are_told_once(tmp_path: Path, port: int) -> None:
    log = tmp_path / "log.jsonl"
    config = TelemetryConfig(log_file=str(log))
    url = f"http://127.0.0.1:{port}/v1"
    policy = OpenAIPolicy("far", "far", base_url=url, retries=2, sleep=no_wait)
    with watched(config, "solve", "r"):
        for _ in range(2):
            with pytest.raises(EndpointDownError):
                await ask(policy)
        with serving(port, 200, ANSWER):
            assert [await ask(policy), await ask(policy)] == ["x", "x"]
        with pytest.raises(EndpointDownError):
            await ask(policy)
        await policy.aclose()
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    told = [r["message"] for r in rows if r["logger"] == "mars2.agents"]
    states = [t for t in told if t != "request retried"]
    assert states == ["endpoint down", "endpoint up", "endpoint down"]
    retried = [r["attempt"] for r in rows if r["message"] == "request retried"]
    assert retried == [1, 1, 1, 2]
    (first, *_) = [r for r in rows if r["message"] == "endpoint down"]
    assert (first["policy"], first["url"], first["level"]) == ("far", url, "error")


async def test_a_key_that_the_endpoint_quotes_is_in_no_log(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    body = {"error": {"message": f"Incorrect API key provided: {KEY}"}}
    policy = OpenAIPolicy("far", "far", base_url=f"http://127.0.0.1:{port}/v1", sleep=no_wait)
    config = TelemetryConfig(log_file=str(tmp_path / "log.jsonl"), log_level="debug")
    with (
        serving(port, 401, body),
        pytest.raises(EndpointDownError) as refused,
        watched(config, "solve", "r"),
    ):
        await ask(policy)
    await policy.aclose()
    assert KEY not in str(refused.value)  # which the journal and the console have
    text = (tmp_path / "log.jsonl").read_text()
    assert "Incorrect API key provided: [your key]" in text
    assert KEY not in text
    assert '"message": "run failed"' in text
