"""The log: JSON lines with ids, bounded, and without secrets."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2 import telemetry
from mars2.errors import UsageError
from mars2.telemetry.logs import LogSink
from mars2.telemetry.redact import Redactor

SECRET = "sk-0123456789abcdef"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_events_and_ordinary_records_carry_the_ids_of_their_span(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with telemetry.add_sink(LogSink(str(path))), telemetry.span("run", run="r"):
        with telemetry.span("step", step=2):
            telemetry.emit("policy halted", policy="p", reason="loss was nan")
            logging.getLogger("mars2.search.journal").warning("dropped line %d", 7)
            logging.getLogger("httpx").info("a request")
            logging.getLogger("fsspec").warning("odd")
            telemetry.emit("buffer", policy="p", samples=1)  # debug
        try:
            raise ValueError("no\nsuch thing")
        except ValueError:
            logging.getLogger("mars2").exception("failed")
    found = rows(path)
    assert [r["message"] for r in found] == [
        "policy halted",
        "dropped line 7",
        "odd",
        "failed",
        "run ended",
    ]
    halted = found[0]
    assert halted.pop("time").endswith("Z")
    assert halted == {
        "level": "error",
        "logger": "mars2.training",
        "message": "policy halted",
        "run": "r",
        "step": 2,
        "policy": "p",
        "reason": "loss was nan",
    }
    assert (found[1]["step"], found[1]["run"]) == (2, "r")
    assert found[2]["logger"] == "fsspec"
    assert "ValueError: no\nsuch thing" in found[3]["exception"]
    assert logging.getLogger("mars2").level == logging.NOTSET


def test_text_is_one_line_a_record(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with telemetry.add_sink(LogSink(str(path), "text", "debug")):
        telemetry.emit("expansion failed", node=3, agent="a b", kind="infra", error="x\ny")
    (line,) = path.read_text().splitlines()
    assert line.split(" ", 2)[1:2] == ["WARNING"]
    assert line.endswith(
        'mars2.search expansion failed node=3 agent="a b" kind=infra error="x\\ny"'
    )


def test_the_log_of_a_run_directory_begins_with_it(tmp_path: Path) -> None:
    with telemetry.add_sink(LogSink(None)), telemetry.span("run", run="r"):
        telemetry.emit("run directory", path=str(tmp_path), resumed=False)
        telemetry.emit("step closed", step=1, reward=float("nan"))
    found = rows(tmp_path / "log.jsonl")
    assert [r["message"] for r in found] == ["run directory", "step closed", "run ended"]
    assert found[1]["reward"] is None


def test_a_log_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with telemetry.add_sink(LogSink(str(path), max_bytes=2000, files=3)):
        for step in range(200):
            telemetry.emit("step closed", step=step)
    kept = sorted(p.name for p in tmp_path.iterdir())
    assert kept == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
    assert all((tmp_path / name).stat().st_size <= 2000 for name in kept)
    assert rows(path)[-1]["step"] == 199


def test_a_torn_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for before in ("", '{"message": "whole"}\n', '{"mess'):
        path.write_text(before)
        with telemetry.add_sink(LogSink(str(path))):
            telemetry.emit("step closed", step=1)
        assert json.loads(path.read_text().splitlines()[-1])["step"] == 1
        assert len(path.read_text().splitlines()) == before.count("{") + 1


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--log-file .*absent"):
        LogSink(str(tmp_path / "absent" / "log.jsonl"))


def test_a_full_disk_is_said_once_and_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with telemetry.add_sink(LogSink("/dev/full")):
        for step in range(3):
            telemetry.emit("step closed", step=step)
    assert capsys.readouterr().err.count("log /dev/full is incomplete: ") == 1


def test_no_secret_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=collector-secret,x=y")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    path = tmp_path / "log.jsonl"
    with telemetry.add_sink(LogSink(str(path))):
        telemetry.emit("endpoint down", policy="p", reason=f"401: no such key {SECRET}!")
        logging.getLogger("x").warning("headers %s", {"api-key": "collector-secret"})
        logging.getLogger("x").warning("Authorization: Bearer abcdefgh123")
        try:
            raise ValueError(f"key {SECRET}, http://me:pass-word@host/v1")
        except ValueError:
            logging.getLogger("x").exception("failed")
    text = path.read_text()
    for secret in (SECRET, "collector-secret", "abcdefgh123", "pass-word", "me:"):
        assert secret not in text
    assert text.count("[redacted]") >= 5
    assert len(rows(path)) == 4


@given(st.text(), st.text())
def test_whatever_is_around_a_secret(before: str, after: str) -> None:
    redact = Redactor({"MY_API_KEY": SECRET, "HOME_KEY": "short"})
    assert SECRET not in redact(before + SECRET + after)
    assert redact("a short word") == "a short word"
