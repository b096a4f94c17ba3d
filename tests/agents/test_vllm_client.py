"""What is read of vLLM's answers, and what is asked of it; tests/agents/test_vllm_engine.py has the
real one."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mars2.agents.vllm.client import Client, ServerLostError, read_answer
from mars2.agents.vllm.server import INSIDE
from mars2.errors import EndpointDownError, GenerationError
from mars2.types import Sampling

ANSWER: dict[str, Any] = {
    "choices": [
        {
            "token_ids": [5, 1],
            "finish_reason": "stop",
            "logprobs": {
                "content": [{"token_id": 5, "logprob": -0.5}, {"token_id": 1, "logprob": -2.0}]
            },
            "weight_versions": [{"version": "3", "start": 0, "end": 2}],
        }
    ]
}


def changed(**fields: Any) -> dict[str, Any]:
    data = copy.deepcopy(ANSWER)
    data["choices"][0] |= fields
    return data


def test_ids_logprobs_and_version_are_read() -> None:
    got = read_answer(ANSWER)
    assert (got.token_ids, got.logprobs) == ((5, 1), (-0.5, -2.0))
    assert (got.finish_reason, got.version) == ("stop", "3")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"finish_reason": "abort"}, "early: abort"),
        ({"token_ids": [5, 2]}, "other tokens"),
        ({"token_ids": [5]}, "other tokens"),
        ({"logprobs": None}, "cannot be read"),
        ({"token_ids": None}, "cannot be read"),
        (
            {
                "token_ids": [5],
                "logprobs": {"content": [{"token_id": 5, "logprob": -9999.0}]},
            },
            "not finite",
        ),
        (
            {
                "weight_versions": [
                    {"version": "3", "start": 0, "end": 1},
                    {"version": "4", "start": 1, "end": 2},
                ]
            },
            "mixes versions 3, 4",
        ),
    ],
)
def test_an_answer_that_cannot_be_learnt_from_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(GenerationError, match=said):
        read_answer(changed(**fields))


class Fake:
    """Answers every request with one status and body, and keeps what was asked."""

    def __init__(self, status: int, body: Any) -> None:
        self.asked: list[tuple[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                outer.asked.append((self.path, json.loads(self.rfile.read(length) or "null")))
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def __enter__(self) -> Fake:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


async def ask(url: str) -> Any:
    client = Client(url=url)
    try:
        sampling = Sampling(temperature=0.5, max_tokens=7)
        return await client.generate("m", [3, 4], sampling, seed=2**63 + 9, stop_ids=[1])
    finally:
        await client.aclose()


async def test_token_ids_go_in_and_no_text() -> None:
    with Fake(200, ANSWER) as server:
        assert (await ask(server.url)).token_ids == (5, 1)
    ((path, body),) = server.asked
    assert path == "/inference/v1/generate"
    assert body["token_ids"] == [3, 4]
    assert body["sampling_params"] == {
        "temperature": 0.5,
        "top_p": 1.0,
        "max_tokens": 7,
        "seed": 9,
        "logprobs": 0,
        "stop_token_ids": [1],
        "detokenize": False,
    }


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, EndpointDownError), (400, GenerationError), (500, ServerLostError)],
)
async def test_refusals(status: int, error: type[Exception]) -> None:
    with (
        Fake(status, {"error": {"message": "no such thing"}}) as server,
        pytest.raises(error, match="no such thing"),
    ):
        await ask(server.url)


async def test_nobody_listens() -> None:
    with Fake(200, ANSWER) as server:
        url = server.url
    with pytest.raises(ServerLostError):
        await ask(url)


def test_a_cache_that_was_kept_refuses_the_weights(tmp_path: Path) -> None:
    with (
        Fake(200, {"success": False}) as server,
        pytest.raises(ServerLostError, match="kept its cache"),
    ):
        Client(url=server.url).load_weights(tmp_path, 4)
    assert [path for path, _ in server.asked] == [
        "/pause?mode=wait",
        "/collective_rpc",
        "/reset_prefix_cache",
    ]


SLEEPER = "import subprocess, sys; print(1, flush=True); subprocess.run(['sleep', '600'])"
STARTER = """
import subprocess, sys, time
watch = [sys.executable, "-I", {watch!r}, {directory!r}, sys.executable, "-c", {sleeper!r}]
subprocess.Popen(watch, stdin=subprocess.PIPE)
print("started", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", ["kill", "close"])
def test_a_server_ends_with_whoever_started_it(tmp_path: Path, how: str) -> None:
    directory = tmp_path / "server"
    directory.mkdir()
    script = STARTER.format(
        watch=str(INSIDE / "mars2_watch.py"), directory=str(directory), sleeper=SLEEPER
    )
    starter = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    while not (directory / "log").exists() or b"1" not in (directory / "log").read_bytes():
        assert starter.poll() is None
        time.sleep(0.01)
    assert len(processes(str(directory))) == 1  # the watch; the server does not name it
    starter.kill() if how == "kill" else starter.terminate()
    starter.wait()
    while processes(str(directory)):
        time.sleep(0.01)
    assert not directory.exists()


def processes(text: str) -> list[int]:
    """Ids of processes whose command line has this text, and is not Python's `-c`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if text in line:
            found.append(int(entry.name))
    return found
