"""The page of a run under way: a server on this machine that the page asks for what is new.

Only this machine, and on it only who has the address: it holds a random token. A page from
elsewhere cannot reach it through a name that it makes point here, because the Host header would
say that name.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
from collections.abc import Callable
from typing import Any

from mars2.errors import ResumeError, UsageError
from mars2.training.rundir import finite
from mars2.viewer.page import page
from mars2.viewer.recorder import Record, Recorder
from mars2.viewer.run import Run
from mars2.viewer.tail import Tail, Wanted
from mars2.viewer.texts import Limits

HOST = "127.0.0.1"
_BYTES = 8 << 20  # of the journal that are read for one request
_RECORDS = 20_000  # that one answer holds at most


class Follower:
    """The records of a run so far; every question reads what has been written since.

    Safe to ask from several threads.
    """

    def __init__(self, run: Run, limits: Limits, wanted: Wanted | None = None) -> None:
        self._args = (run, limits, wanted)
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        run, limits, wanted = self._args
        self._life = secrets.token_hex(4)
        self._more = False
        self._tail = Tail(run.journal, wanted)
        self._recorder = Recorder(run, limits)
        self._records: list[Record] = self._recorder.opening()

    def since(self, number: int, life: str) -> dict[str, Any]:
        """Records from a number on, as the page wants them: `{"records", "next", "life", "more",
        "state"}`. `life` changes when the journal has become another one, and numbers begin anew.
        """
        with self._lock:
            broken = self._read()
            if life and life != self._life:
                number = 0
            found = self._records[number : number + _RECORDS]
            end = number + len(found)
            return {
                "records": found,
                "next": end,
                "life": self._life,
                "more": end < len(self._records) or self._more,
                "state": broken or self._state(),
            }

    def _read(self) -> str | None:
        """Take over what is new; what is wrong with it."""
        begin = self._tail.offset
        try:
            for event in self._tail.read(_BYTES):
                if self._tail.restarts:
                    break
                self._records += self._recorder.event(event)
        except ResumeError as error:
            return str(error)
        if self._tail.restarts:
            self._begin()
            return None
        self._more = self._tail.offset - begin >= _BYTES
        self._records += self._recorder.ending()
        return None

    def _state(self) -> str:
        status = self._args[0].manifest().get("status")
        return {"running": "live", None: "live"}.get(status, f"{status}; waiting for more")


def make_app(run: Run, limits: Limits, wanted: Wanted | None, token: str) -> Any:
    """The ASGI application."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, PlainTextResponse, Response
    from starlette.routing import Route

    follower = Follower(run, limits, wanted)
    html = page([], title=f"{run.name} · trees", live=True)
    headers = {
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }

    def known(request: Request) -> bool:
        given = request.path_params["token"].encode("utf-8", "replace")
        return hmac.compare_digest(given, token.encode())

    def show(request: Request) -> Response:
        if not known(request):
            return PlainTextResponse("not found", 404, headers)
        return HTMLResponse(html, headers=headers)

    # Not coroutines: they read files, so they run in threads.
    def records(request: Request) -> Response:
        if not known(request):
            return PlainTextResponse("not found", 404, headers)
        number = request.query_params.get("from", "0")
        if not (number.isascii() and number.isdigit() and len(number) < 16):
            return PlainTextResponse("from is a number of records", 400, headers)
        answer = follower.since(int(number), request.query_params.get("life", ""))
        # ASCII, because a text may hold half a surrogate pair, which UTF-8 has no bytes for.
        text = json.dumps(finite(answer), separators=(",", ":"), allow_nan=False)
        return Response(text, headers=headers, media_type="application/json")

    return Starlette(
        routes=[Route("/{token}/", show), Route("/{token}/records", records)],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
    )


def serve(
    run: Run, limits: Limits, wanted: Wanted | None, port: int, say: Callable[[str], None]
) -> None:
    """Serve until Ctrl-C, which then goes on as KeyboardInterrupt.

    Raises:
        UsageError: starlette or uvicorn are missing, or the port is taken.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError:
        raise UsageError("--live needs a server: pip install 'mars2[serve]'") from None
    listening = _listen(port)
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(16)
    app = make_app(run, limits, wanted, token)
    say(f"following {run.journal}; Ctrl-C ends it")
    say(f"http://{HOST}:{port}/{token}/")
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, lifespan="off"
    )
    # Ends at SIGINT and raises it again once all is closed.
    uvicorn.Server(config).run(sockets=[listening])


def _listen(port: int) -> socket.socket:
    """A socket of this machine alone."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        raise UsageError(f"--port {port} cannot be used: {error.strerror}") from None
    return listening
