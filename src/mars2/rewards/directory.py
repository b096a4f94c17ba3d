"""The directory of a reward model: who may write into it, and how it is written.

While training it holds reward_model.json with status "training", state.pt and best-NNNNN.pt;
afterwards what `mars2.rewards.model` describes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from mars2.errors import ResumeError
from mars2.rewards.model import BODY, HEAD, ScalarModel, quiet, read_config
from mars2.training.rundir import fsync_path


def check_out(out: Path, settings: Mapping[str, Any], digest: str, resume: bool) -> None:
    """Refuse a directory before anything is written.

    Raises:
        ResumeError: `out` is a file, or not empty and not a reward model; or is one without
            `resume`; or with `resume` has other settings or data (each is named), or is not there.
    """
    if out.exists() and not out.is_dir():
        raise ResumeError(f"{out} is a file; give a directory for the reward model")
    if not out.is_dir() or not any(out.iterdir()):
        if resume:
            raise ResumeError(f"--resume: {out} holds no reward model to go on with")
        return
    config = read_config(out)
    if config is None:
        raise ResumeError(f"{out} is not empty and holds no reward model; choose another directory")
    if not resume:
        raise ResumeError(f"{out} holds a reward model; go on with --resume or choose another")
    new = {**settings, "data": digest}
    old = {**config.get("settings", {}), "data": config.get("data", {}).get("digest")}
    changed = [f"{k}: {old.get(k)!r} -> {v!r}" for k, v in new.items() if old.get(k) != v]
    if changed:
        raise ResumeError(
            f"{out} was started with other settings or data; resume with the same ones or choose "
            "another directory. Changed:\n  " + "\n  ".join(changed)
        )


def finished_report(out: Path) -> dict[str, Any] | None:
    """The report of a directory whose training is over; None if it is not."""
    config = read_config(out)
    if config is None or config["status"] != "finished":
        return None
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return report


def save_state(path: Path, value: Any) -> None:
    """Replace a file of tensors whole: a crash leaves the old or the new one."""
    temporary = path.with_name(f".{path.name}.tmp")
    torch.save(value, temporary)
    fsync_path(temporary)
    temporary.replace(path)
    fsync_path(path.parent)


def load_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote, on the CPU. Raises ResumeError if it cannot be read."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # whatever a broken file makes the reader raise
        raise ResumeError(f"{path} cannot be read: {error}; train into another directory") from None
    return state


def write_weights(out: Path, model: ScalarModel, tokenizer: Any) -> list[str]:
    """Write body, tokenizer and head as `TorchRewardModel.load` reads them; the names of the
    tokenizer's files.
    """
    with quiet():
        model.body.save_pretrained(out / BODY)  # type: ignore[operator]
        written = tokenizer.save_pretrained(out / BODY)
    head = {k: v.detach().cpu().contiguous() for k, v in model.head.state_dict().items()}
    save_file(head, out / HEAD)
    return sorted({Path(p).name for p in written if Path(p).is_file()})
