"""Following a run: the server's answers, its address, its end; and a page that follows a search."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import Chromium
from view_kit import HOSTILE, grow, settings, write_settings

from mars2.viewer.run import open_run
from mars2.viewer.serve import Follower, make_app
from mars2.viewer.texts import Limits

MARS2 = [sys.executable, "-m", "mars2.cli.main"]


def test_records_come_once_and_go_on_where_they_ended(tmp_path: Path) -> None:
    grow(tmp_path, 4, settings())
    follower = Follower(open_run(tmp_path), Limits())
    first = follower.since(0, "")
    assert first["records"][0][0] == "run"
    assert not first["more"]
    again = follower.since(first["next"], first["life"])
    assert again["records"] == []
    grow(tmp_path, 3, settings(), tree="eval/team/P2")
    later = follower.since(first["next"], first["life"])
    assert [r[2]["id"] for r in later["records"] if r[0] == "tree"] == ["eval/team/P2"]
    everything = follower.since(0, first["life"])["records"]
    assert everything == first["records"] + later["records"]


def test_another_journal_is_another_life(tmp_path: Path) -> None:
    grow(tmp_path, 6, settings())
    follower = Follower(open_run(tmp_path), Limits())
    first = follower.since(0, "")
    (tmp_path / "journal.jsonl").unlink()
    grow(tmp_path, 2, settings())
    follower.since(first["next"], first["life"])
    anew = follower.since(first["next"], first["life"])
    assert anew["life"] != first["life"]
    assert sum(r[0] == "ask" for r in anew["records"]) == 2


def test_damage_is_told_and_not_an_end(tmp_path: Path) -> None:
    grow(tmp_path, 2, settings())
    with open(tmp_path / "journal.jsonl", "a") as file:
        file.write("no event\n")
    follower = Follower(open_run(tmp_path), Limits())
    answer = follower.since(0, "")
    assert "line 6" in answer["state"]
    assert sum(r[0] == "tell" for r in answer["records"]) == 2


@pytest.mark.slow  # with what only the slow tests install
def test_only_this_machine_with_the_token_is_answered(tmp_path: Path) -> None:
    pytest.importorskip("starlette", reason="pip install -e '.[serve]'")
    from starlette.testclient import TestClient

    grow(tmp_path, 2, settings(), tree=f"eval/team/{HOSTILE}")
    app = make_app(open_run(tmp_path), Limits(), None, "secret")
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    shown = client.get("/secret/")
    assert shown.status_code == 200
    assert "connect-src 'self'" in shown.text
    assert shown.headers["referrer-policy"] == "no-referrer"
    answer = client.get("/secret/records?from=0")
    assert any(r[0] == "tree" and HOSTILE in r[2]["id"] for r in answer.json()["records"])
    assert client.get("/wrong/").status_code == 404
    assert client.get("/wrong/records").status_code == 404
    assert client.get("/").status_code == 404
    assert client.get("/secret/records?from=-1").status_code == 400
    rebound = client.get("/secret/", headers={"host": "evil.example"})
    assert rebound.status_code == 400
    assert "secret" not in rebound.text


@contextmanager
def process(argv: list[str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A command under way, killed at the end if it is still there."""
    running = subprocess.Popen(argv, text=True, stderr=subprocess.PIPE, **more)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


@contextmanager
def following(path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`mars2 view --live` and its address."""
    with process([*MARS2, "view", str(path), "--live"]) as server:
        assert server.stderr is not None
        address = ""
        for line in server.stderr:
            if line.startswith("http://"):
                address = line.strip()
                break
        assert address, "no address"
        yield address, server


SCRIPT = """
import asyncio
import json
from pathlib import Path

HERE = Path(__file__).parent

async def answer(messages, seed):
    number = len(list(HERE.glob("asked-*")))
    (HERE / f"asked-{number}").touch()
    # Each answer waits until the test lets it go.
    while not (HERE / f"go-{number}").exists():
        await asyncio.sleep(0.02)
    return "```python\\nprint('</script> %d')\\n```" % number
"""


@pytest.mark.slow
def test_a_page_follows_a_real_search(chromium: Chromium, tmp_path: Path) -> None:
    pytest.importorskip("uvicorn", reason="pip install -e '.[serve]'")
    (tmp_path / "agent.py").write_text(SCRIPT)
    out = tmp_path / "run"
    agent = f"slow=scripted:{tmp_path / 'agent.py'}"
    argv = [*MARS2, "solve", "builtin/sum-of-two", "--agent", agent, "--budget", "4"]
    argv += ["--set", "search.in_flight=1", "--out", str(out)]

    def let(number: int) -> None:
        (tmp_path / f"go-{number}").touch()

    with process(argv) as search:
        journal = out / "journal.jsonl"
        until(lambda: journal.exists() and b'"ask"' in journal.read_bytes(), search)
        with following(out) as (address, server):
            chromium.open(address)
            chromium.wait("mars2.model.trees[0]?.time === 1")  # asked, not told
            chromium.wait("document.querySelector('#status').textContent === 'live'")
            let(0)
            chromium.wait("mars2.model.trees[0].told === 1")
            let(1)
            chromium.wait("mars2.look().time === mars2.look().of && mars2.look().of >= 4")
            chromium.press("ARROW_DOWN")
            assert "</script>" in chromium.text("#details")
            search.kill()
            search.wait()
            with open(journal, "ab") as file:
                file.write(b'{"event":"tell","tree":"builtin/sum')  # as a kill leaves it
            time.sleep(1)
            told = chromium.script("return mars2.model.trees[0].told")
            whole = journal.read_bytes().rpartition(b"\n")[0] + b"\n"
            journal.write_bytes(whole)  # as a resumed run cuts it
            grow_on(journal)
            chromium.wait(f"mars2.model.trees[1]?.told === 2 && {told} > 0")
            manifest = json.dumps({"kind": "solve", "status": "finished"})
            (out / "manifest.json").write_text(manifest)
            chromium.wait("document.querySelector('#status').textContent.startsWith('finished')")
            assert chromium.errors == []
            hosts = {url.split("/")[2] for url in chromium.requests}
            assert hosts == {address.split("/")[2]}
            server.send_signal(signal.SIGINT)
            assert server.wait(30) == 130


def grow_on(journal: Path) -> None:
    """Another tree's lines at the end of a journal."""
    aside = journal.parent / "aside"
    grow(aside, 2, settings(), tree="more")
    lines = (aside / "journal.jsonl").read_bytes().splitlines(keepends=True)
    with open(journal, "ab") as file:
        file.writelines(lines[1:])


def until(condition: Any, search: subprocess.Popen[str]) -> None:
    """Wait for it while the search is under way."""
    for _ in range(3000):
        if condition():
            return
        assert search.poll() is None, search.stderr.read() if search.stderr else ""
        time.sleep(0.02)
    raise AssertionError("it never came")


@pytest.mark.slow  # with what only the slow tests install
def test_a_port_that_is_taken_is_a_usage_error(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn", reason="pip install -e '.[serve]'")
    import socket

    from mars2.errors import UsageError
    from mars2.viewer.serve import serve

    grow(tmp_path, 1, settings())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot be used"):
            serve(open_run(tmp_path), Limits(), None, taken.getsockname()[1], print)


def test_a_run_without_trees_yet_can_be_followed(tmp_path: Path) -> None:
    write_settings(tmp_path, settings())
    (tmp_path / "journal.jsonl").touch()
    answer = Follower(open_run(tmp_path), Limits()).since(0, "")
    assert [r[0] for r in answer["records"]] == ["run", "status"]
    assert os.path.getsize(tmp_path / "journal.jsonl") == 0
