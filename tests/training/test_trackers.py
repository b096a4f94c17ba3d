"""Trackers as a run uses them: real TensorBoard files always, wandb and trackio where installed."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from mars2.errors import ConfigError
from mars2.training import trackers
from mars2.training.trackers import Trackers, check_trackers, numbers


def row(step: int, reward: float) -> dict:
    return {"step": step, "agents": {"a": {"reward": reward, "note": None}}, "lost": float("nan")}


def started(names: list[str], run: Path, step: int = 0, warned: list[str] | None = None):
    run.mkdir(exist_ok=True)
    told = [] if warned is None else warned
    return Trackers(names, run, {"seed": 3, "agents": [{"name": "a"}]}, step, told.append)


def test_numbers_are_the_finite_leaves_by_path() -> None:
    nested = {
        "step": 3,
        "agents": {"my agent": {"pass@1": 0.5, "ci95": [0.4, 0.6], "nodes": 7, "lr": None}},
        "name": "x",
        "lost": float("inf"),
    }
    assert numbers(nested) == {"agents/my_agent/pass_1": 0.5, "agents/my_agent/nodes": 7.0}
    assert numbers({"team": {"pass@1(mcts)": 1}}, "eval/") == {"eval/team/pass_1_mcts": 1.0}


def curve(run: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return [(e.step, round(e.value, 3)) for e in events.Scalars(tag)]


def test_tensorboard_continues_the_same_curve_after_a_crash(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = tmp_path / "run"
    first = started(["tensorboard"], run)
    first.log("eval", {"team": {"pass@1": 0.1}}, 0)
    for step in (1, 2, 3):
        first.log("metrics", row(step, step / 10), step)
    # Killed here, without close; the latest checkpoint is of step 2.
    again = started(["tensorboard"], run, step=2)
    again.log("eval", {"team": {"pass@1": 0.1}}, 0)
    for step in (3, 4):
        again.log("metrics", row(step, 0.9), step)
    again.close()
    assert curve(run, "agents/a/reward") == [(1, 0.1), (2, 0.2), (3, 0.9), (4, 0.9)]
    assert curve(run, "eval/team/pass_1") == [(0, 0.1)]


def test_a_run_that_begins_again_replaces_its_curve(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = tmp_path / "run"
    first = started(["tensorboard"], run)
    first.log("metrics", row(1, 0.1), 1)
    again = started(["tensorboard"], run, step=0)
    again.log("metrics", row(1, 0.2), 1)
    again.close()
    assert curve(run, "agents/a/reward") == [(1, 0.2)]


class Kept:
    """A tracker that keeps what it was told, and fails when it is told step `fails`."""

    rewinds = False
    fails = 99

    def __init__(self, run: Path, name: str, settings, step: int) -> None:
        self.path = run / "kept.jsonl"
        self.name = name

    def log(self, values, step: int) -> None:
        if step == self.fails:
            raise OSError("the disk is full")
        with self.path.open("a") as file:
            file.write(json.dumps([self.name, step, values]) + "\n")

    def close(self) -> None:
        if self.fails != 99:
            raise OSError("cannot close either")


def kept(run: Path) -> list:
    return [json.loads(line) for line in (run / "kept.jsonl").read_text().splitlines()]


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> type[Kept]:
    fresh = type("Fresh", (Kept,), {})
    monkeypatch.setitem(trackers.PACKAGES, "kept", "json")
    monkeypatch.setitem(trackers.OPEN, "kept", fresh)
    return fresh


def test_a_tracker_that_cannot_go_back_gets_no_step_twice(tmp_path: Path, local) -> None:
    run = tmp_path / "run"
    first = started(["kept"], run)
    first.log("metrics", row(1, 0.1), 1)
    first.log("metrics", row(2, 0.2), 2)
    again = started(["kept"], run, step=1)
    again.log("metrics", row(2, 0.9), 2)
    again.log("eval", {"x": 1}, 2)
    again.log("metrics", row(3, 0.3), 3)
    assert [(step, values) for _, step, values in kept(run)] == [
        (1, {"agents/a/reward": 0.1}),
        (2, {"agents/a/reward": 0.2}),
        (2, {"eval/x": 1.0}),
        (3, {"agents/a/reward": 0.3}),
    ]
    assert len({name for name, _, _ in kept(run)}) == 1  # one run in the tracker


def test_a_failing_tracker_is_reported_once_and_forgotten(tmp_path: Path, local) -> None:
    local.fails = 2
    warned: list[str] = []
    both = started(["kept", "tensorboard"], tmp_path / "run", warned=warned)
    for step in (1, 2, 3, 4):
        both.log("metrics", row(step, 0.5), step)
    both.close()
    both.close()
    assert len(warned) == 1
    assert "kept failed" in warned[0]
    assert "the disk is full" in warned[0]
    assert [step for _, step, _ in kept(tmp_path / "run")] == [1]
    assert [step for step, _ in curve(tmp_path / "run", "agents/a/reward")] == [1, 2, 3, 4]


def test_what_cannot_be_used_is_said_before(tmp_path: Path, local, monkeypatch) -> None:
    with pytest.raises(ConfigError, match="no tracker 'mlflow'; there are tensorboard"):
        check_trackers(["mlflow"])
    monkeypatch.setitem(trackers.PACKAGES, "wandb", "a_package_that_is_not_installed")
    with pytest.raises(ConfigError, match=r"pip install 'mars2\[wandb\]'"):
        started(["wandb"], tmp_path / "run")

    def refuse(*_):
        raise RuntimeError("no API key")

    monkeypatch.setitem(trackers.OPEN, "kept", refuse)
    with pytest.raises(ConfigError, match="kept cannot be opened: no API key"):
        started(["kept"], tmp_path / "run")


def test_no_tracker_writes_nothing(tmp_path: Path) -> None:
    none = started([], tmp_path / "run")
    none.log("metrics", row(1, 0.5), 1)
    none.close()
    assert list((tmp_path / "run").iterdir()) == []


HALF = """
import sys
from pathlib import Path
from mars2.training.trackers import Trackers
name, run, first, last = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
trackers = Trackers([name], run, {"seed": 3}, first - 1, lambda text: sys.exit(text))
for step in range(first, last + 1):
    trackers.log("metrics", {"agents": {"a": {"reward": step / 10}}}, step)
trackers.close()
"""


def two_halves(name: str, run: Path, **environment: str) -> None:
    """Steps 1–3, then, resumed from step 2, steps 3–5; each in its own process."""
    run.mkdir()
    for first, last in ((1, 3), (3, 5)):
        done = subprocess.run(
            [sys.executable, "-c", HALF, name, str(run), str(first), str(last)],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""


def leveldb_log(data: bytes, header: int = 7, block: int = 32768):
    """Records of a wandb file: a LevelDB log (crc 4, length 2, type 1, data) after a header."""
    at, whole = header, b""
    while at + 7 <= len(data):
        left = block - at % block
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # full, or last of several
            yield whole
            whole = b""


@pytest.mark.slow
def test_wandb_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    run = tmp_path / "run"
    two_halves("wandb", run, WANDB_MODE="offline", WANDB_SILENT="true")
    seen, ids = [], set()
    for path in sorted(run.glob("wandb/offline-run-*/*.wandb")):
        for data in leveldb_log(path.read_bytes()):
            record = Record()
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "run":
                ids.add(record.run.run_id)
            if record.WhichOneof("record_type") == "history":
                items = {(i.key or "/".join(i.nested_key)): i for i in record.history.item}
                seen.append((record.history.step.num, items["agents/a/reward"].value_json))
    assert seen == [(1, "0.1"), (2, "0.2"), (3, "0.3"), (4, "0.4"), (5, "0.5")]
    assert len(ids) == 1


@pytest.mark.slow
def test_trackio_local(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    run, store = tmp_path / "run", tmp_path / "trackio"
    two_halves("trackio", run, TRACKIO_DIR=str(store))
    script = (
        "import json\n"
        "from trackio.sqlite_storage import SQLiteStorage as S\n"
        "(run,) = S.get_runs('mars2')\n"
        "print(json.dumps([[r['step'], r['agents/a/reward']] for r in S.get_logs('mars2', run)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"TRACKIO_DIR": str(store)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [[step, step / 10] for step in range(1, 6)]
