"""A disk that is full ends a run with words, and costs nothing but time."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
import run_kit

from mars2.errors import TrainingError


async def test_a_checkpoint_without_room_says_so_and_the_run_goes_on_later(tmp_path: Path) -> None:
    """The limit on the size of a file stands for the disk that is full."""
    run = tmp_path / "run"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(TrainingError, match=r"step 1 cannot be written.* make room and go on"):
            await run_kit.run(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((run / "checkpoints").glob("step-*"))
    assert json.loads((run / "manifest.json").read_text())["status"] == "failed"
    result, _ = await run_kit.run(run, resume=True)
    assert result.status == "finished"
