"""A process that trains has one heap, unless the user said otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from mars2.cli import train
from mars2.cli.output import Output
from mars2.config import load_config
from mars2.training import memory

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")

# Threads that are alive together hold memory; glibc tells of its heaps in XML.
PROGRAM = """
import ctypes, sys, threading
from mars2.training.memory import share_one_heap
print(share_one_heap())
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(4)
def work():
    together.wait()
    libc.malloc(5000)
    together.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
out = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
"""


def _heaps(tmp_path: Path, **environment: str) -> tuple[str, int]:
    out = tmp_path / "heaps.xml"
    names = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
    free = {k: v for k, v in os.environ.items() if k not in names} | environment
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(out)],
        env=free,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip(), out.read_text().count("<heap nr=")


@glibc
def test_all_threads_share_one_heap(tmp_path: Path) -> None:
    assert _heaps(tmp_path) == ("True", 1)


@glibc
@pytest.mark.parametrize(
    "chosen", [{"MALLOC_ARENA_MAX": "4"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"}]
)
def test_what_the_user_chose_stays(tmp_path: Path, chosen: dict[str, str]) -> None:
    said, heaps = _heaps(tmp_path, **chosen)
    assert said == "False"
    assert heaps > 1


def test_nothing_happens_with_another_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not memory.share_one_heap()


def test_training_asks_for_one_before_it_opens_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def opened(*_: object) -> None:
        asked.append("runtime")
        raise KeyboardInterrupt

    monkeypatch.setattr(memory, "share_one_heap", lambda: asked.append("heap"))
    monkeypatch.setattr(train, "open_runtime", opened)
    agents = [{"name": "lark", "spec": "micro:lark"}]
    config = load_config(base={"agents": agents, "problems": {"train": "lab:lists", "limit": 2}})
    with pytest.raises(KeyboardInterrupt):
        train.run_training(config, tmp_path / "run", False, Output(as_json=True))
    assert asked == ["heap", "runtime"]
