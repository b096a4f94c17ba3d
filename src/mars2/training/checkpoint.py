"""Checkpoints that are whole or absent, and weights that transformers loads as they are.

    step-00012/
      COMPLETE                 written last: size and SHA-256 of every other file
      state.json               step, digest of the settings, policies, and the loop's own state:
                               trees begun and open, curriculum, length of the ledger, best step
      random.pt                torch's random state
      policies/NAME/weights/   Hugging Face directory: model and tokenizer of that policy alone
      policies/NAME/learner.pt optimizer and counters (schedule, version)
      policies/NAME/buffer.jsonl

A checkpoint is built under a hidden name, synced, then renamed. The latest is the highest step
whose directory matches its COMPLETE file; anything else is ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from mars2.errors import ResumeError
from mars2.training.buffer import SampleBuffer
from mars2.training.learning import Learning
from mars2.training.rundir import fsync_path, safe_name

_NAME = re.compile(r"step-(\d{5,})")
_MARKER = "COMPLETE"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PolicyState:
    """What one policy adds to a checkpoint. `notes` goes beside the weights as mars2.json."""

    learner: Learning
    buffer: SampleBuffer
    tokenizer: Any
    notes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint on disk."""

    path: Path
    step: int
    progress: dict[str, Any]
    digest: str
    policies: dict[str, str]  # policy name → directory name


def save_checkpoint(
    root: Path,
    policies: Mapping[str, PolicyState],
    *,
    step: int,
    progress: dict[str, Any],
    digest: str,
    keep: int,
    best: int | None = None,
) -> Path:
    """Write step-NNNNN under `root`, then delete all complete ones but the newest `keep` and that
    of step `best`.

    Args:
        progress: JSON values of the loop's own state.
    """
    target = root / f"step-{step:05d}"
    with _staged(target) as stage:
        for name, state in policies.items():
            folder = stage / "policies" / safe_name(name)
            save_weights(folder / "weights", state)
            torch.save(state.learner.training_state(), folder / "learner.pt")
            (folder / "buffer.jsonl").write_text(state.buffer.dumps(), encoding="utf-8")
        torch.save(torch.get_rng_state(), stage / "random.pt")
        names = {name: safe_name(name) for name in policies}
        row = {"step": step, "progress": progress, "digest": digest, "policies": names}
        (stage / "state.json").write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
        marker = {str(p.relative_to(stage)): _fingerprint(p) for p in _files(stage)}
        (stage / _MARKER).write_text(json.dumps(marker, indent=2) + "\n", encoding="utf-8")
    complete = [(n, path) for n, path in _steps(root) if (path / _MARKER).exists()]
    for number, old in complete[keep:]:
        if number != best:
            shutil.rmtree(old)
    return target


def latest_checkpoint(root: Path) -> Checkpoint | None:
    """The newest complete checkpoint, None if there is none. Changes nothing on disk."""
    for _, path in _steps(root):
        problem = _defect(path)
        if problem is None:
            row = json.loads((path / "state.json").read_text(encoding="utf-8"))
            return Checkpoint(path, **row)
        _log.warning("checkpoint %s is ignored: %s", path, problem)
    return None


def restore_policy(checkpoint: Checkpoint, name: str, state: PolicyState) -> None:
    """Bring learner and buffer to the checkpoint. Raises ResumeError if the policy is not in it."""
    if name not in checkpoint.policies:
        raise ResumeError(f"checkpoint {checkpoint.path} has no policy {name!r}")
    folder = checkpoint.path / "policies" / checkpoint.policies[name]
    with _quiet():
        model = AutoModelForCausalLM.from_pretrained(
            folder / "weights", dtype=torch.float32, local_files_only=True
        )
    training = torch.load(folder / "learner.pt", weights_only=True)
    state.learner.load(model.state_dict(), training)
    state.buffer.loads((folder / "buffer.jsonl").read_text(encoding="utf-8"))


def restore_random(checkpoint: Checkpoint) -> None:
    """Set torch's global random state to that of the checkpoint."""
    torch.set_rng_state(torch.load(checkpoint.path / "random.pt", weights_only=True))


def save_weights(path: Path, state: PolicyState) -> None:
    """Write a directory that `from_pretrained` takes, with `mars2.json` saying what it is."""
    path.mkdir(parents=True, exist_ok=True)
    with _quiet():
        state.learner.save(path)
        state.tokenizer.save_pretrained(path)
    notes = {"policy": state.learner.policy, "version": state.learner.version, **state.notes}
    (path / "mars2.json").write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")


def export_final(root: Path, policies: Mapping[str, PolicyState]) -> dict[str, Path]:
    """Write final weights, one directory a policy, replacing earlier ones; policy name → path."""
    paths = {name: root / safe_name(name) for name in policies}
    for name, state in policies.items():
        with _staged(paths[name]) as stage:
            save_weights(stage, state)
    return paths


@contextlib.contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """A hidden directory to fill, which takes the name `target` if the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{target.name}.*"):  # of a killed process
        shutil.rmtree(left, ignore_errors=True)
    stage = target.with_name(f".{target.name}.{os.getpid()}")
    stage.mkdir()
    try:
        yield stage
        for path in [*_files(stage), *(p for p in stage.rglob("*") if p.is_dir()), stage]:
            fsync_path(path)
        if target.exists():
            shutil.rmtree(target)
        os.rename(stage, target)
        fsync_path(target.parent)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _steps(root: Path) -> list[tuple[int, Path]]:
    """(step, directory), newest first, complete or not."""
    if not root.is_dir():
        return []
    found = [(_NAME.fullmatch(path.name), path) for path in root.iterdir()]
    return sorted(((int(m[1]), path) for m, path in found if m), reverse=True)


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def _fingerprint(path: Path) -> list[Any]:
    with open(path, "rb") as file:
        return [path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()]


def _defect(path: Path) -> str | None:
    """Why a directory is no complete checkpoint; None if it is one."""
    try:
        marker = json.loads((path / _MARKER).read_text(encoding="utf-8"))
        for name, fingerprint in marker.items():
            if _fingerprint(path / name) != fingerprint:
                return f"{name} is damaged"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, AttributeError) as error:
        return str(error)
    return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of transformers for a few small files."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
