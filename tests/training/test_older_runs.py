"""Runs of an earlier version go on under a later one that has more settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import run_kit

from mars2.errors import ResumeError

OLD = "0123456789abcdef"  # what the earlier version made of its settings


def make_older(run: Path) -> None:
    """As a version wrote it that knew neither telemetry nor the choice of a curriculum."""
    config = json.loads((run / "config.json").read_text())
    del config["telemetry"], config["train"]["curriculum"]
    (run / "config.json").write_text(json.dumps(config))
    manifest = json.loads((run / "manifest.json").read_text())
    text = (run / "journal.jsonl").read_text()
    assert text.count(manifest["digest"]) == 1
    (run / "journal.jsonl").write_text(text.replace(manifest["digest"], OLD))
    (run / "manifest.json").write_text(json.dumps(manifest | {"digest": OLD}))


async def test_a_run_goes_on_if_what_is_new_is_as_it_was(tmp_path: Path) -> None:
    run = tmp_path / "run"
    one = run_kit.config(train={"steps": 1}, learner={"schedule": "constant"})
    two = run_kit.config(train={"steps": 2}, learner={"schedule": "constant"})
    await run_kit.run(run, one)
    make_older(run)
    other = run_kit.config(
        train={"steps": 2, "curriculum": "difficulty"}, learner={"schedule": "constant"}
    )
    with pytest.raises(ResumeError, match=r"train\.curriculum: 'shuffle' -> 'difficulty'"):
        await run_kit.run(run, other, resume=True)
    result, _ = await run_kit.run(run, two, resume=True)
    assert (result.status, result.steps) == ("finished", 2)


def test_what_telemetry_is_told_to_do_is_no_part_of_what_a_run_computes() -> None:
    plain = run_kit.config()
    watched = run_kit.config(telemetry={"metrics_port": 9100, "log_level": "debug"})
    assert plain.digest() == watched.digest()
    data = plain.model_dump(mode="json")
    assert set(data["telemetry"]) == set(type(plain.telemetry).model_fields)
