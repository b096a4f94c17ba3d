"""A real HTTP server that answers chat completions as scripted, for tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What the server does with one request."""

    status: int = 200
    body: Any = None  # dict → JSON; str → as is
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False  # never answers


def completion(text: str | None = "```python\nprint(1)\n```", **changes: Any) -> Reply:
    body = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "tiny",
        "choices": [
            {
                "index": 0,
                "finish_reason": changes.pop("finish_reason", "stop"),
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
    }
    return Reply(body={k: v for k, v in (body | changes).items() if v is not None})


def error(status: int, message: str, **headers: str) -> Reply:
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return Reply(status, {"error": {"message": message}}, named)


class FakeEndpoint:
    """Replies in turn (the last one again and again), or as `respond(request body)` says."""

    def __init__(self, *replies: Reply, respond: Callable[[dict], Reply] | None = None) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.models: Reply = Reply(body={"object": "list", "data": [{"id": "tiny"}]})
        self._replies = list(replies)
        self._respond = respond
        self._stop = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(outer.models)

            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                body = json.loads(self.rfile.read(size))
                outer.requests.append(body)
                outer.keys.append(self.headers.get("authorization"))
                self._send(outer.reply(body))

            def _send(self, reply: Reply) -> None:
                if reply.hang:
                    outer._stop.wait(30)
                    return
                text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
                payload = text.encode()
                self.send_response(reply.status)
                for name, value in ({"content-type": "application/json"} | reply.headers).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def reply(self, body: dict[str, Any]) -> Reply:
        if self._respond is not None:
            return self._respond(body)
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def __enter__(self) -> FakeEndpoint:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
