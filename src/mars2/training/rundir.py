"""The directory of a training run: what lies where, and who may write into it.

    config.json      all settings, whole
    manifest.json    version, settings digest, problems digest, platform, seed, agents, status
    journal.jsonl    every ask, tell and fail of every tree
    metrics.jsonl    one line a step
    updates.jsonl    which samples each update learned from, and which were dropped
    log.jsonl        what happened, for people and their tools (`mars2.telemetry`)
    checkpoints/     step-NNNNN/
    final/POLICY/    weights and tokenizer of each policy at the end

A new run takes an absent or empty directory only; a resumed one takes the same settings and
problems only. Nothing is written before that is known. Single files are replaced atomically.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mars2.config import RunConfig, changed_keys, free_on_resume
from mars2.errors import ResumeError
from mars2.packed import PackedTests
from mars2.types import Problem


def problems_digest(problems: Sequence[Problem]) -> str:
    """SHA-256 of all problems in order, first 16 hex digits: the cursor counts along them.

    Packed tests count as they are packed.
    """
    digest = hashlib.sha256()
    for problem in problems:
        # a problem without a date counts as it did before problems had dates
        left_out = {"date"} if problem.date is None else set()
        if isinstance(problem.private_tests, PackedTests):
            left_out.add("private_tests")
            digest.update(problem.private_tests.payload)
        digest.update(problem.model_dump_json(exclude=left_out).encode() + b"\n")
    return digest.hexdigest()[:16]


def safe_name(name: str) -> str:
    """A directory name for a policy: equal to `name` where possible, else made unique."""
    if re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
        return name
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def finite(value: Any) -> Any:
    """The same value with null for NaN and infinities, which JSON lacks, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file whole; see `write_atomic` and `finite`."""
    write_atomic(path, json.dumps(finite(value), indent=1, allow_nan=False) + "\n")


def write_atomic(path: Path, text: str) -> None:
    """Replace a file so that a reader, or a crash, sees the old or the new one, whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    fsync_path(path.parent)


def fsync_path(path: Path) -> None:
    """Make a file's contents, or a directory's renames, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class RunDir:
    """Paths and small files of one run. Make it with `create` or `resume`."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest

    @property
    def digest(self) -> str:
        """`RunConfig.digest` by the version that started the run. A later one, which has more
        settings, would reckon another; `resume` compares every setting itself."""
        return str(self.manifest["digest"])

    @property
    def journal(self) -> Path:
        """Append-only record of all trees."""
        return self.path / "journal.jsonl"

    @property
    def metrics(self) -> Path:
        """One JSON line a step."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Directory of step-NNNNN directories."""
        return self.path / "checkpoints"

    @property
    def final(self) -> Path:
        """Directory of one directory a policy."""
        return self.path / "final"

    @classmethod
    def check_new(cls, path: Path) -> None:
        """Raises ResumeError unless `path` is absent or an empty directory."""
        if path.exists() and not path.is_dir():
            raise ResumeError(f"{path} is a file; give a directory for the run")
        if path.is_dir() and any(path.iterdir()):
            is_run = (path / "config.json").exists()
            hint = "continue it with --resume or choose" if is_run else "choose"
            raise ResumeError(f"{path} is not empty; {hint} another directory")

    @classmethod
    def create(cls, path: Path, config: RunConfig, manifest: Mapping[str, Any]) -> RunDir:
        """Start a run. Raises ResumeError as `check_new`."""
        cls.check_new(path)
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path, {})
        run.update_manifest(**manifest, digest=config.digest(), status="running")
        write_atomic(path / "config.json", config.model_dump_json(indent=2) + "\n")
        return run

    @classmethod
    def resume(cls, path: Path, config: RunConfig, problems: str) -> RunDir:
        """Open a run to continue it; writes nothing.

        Args:
            problems: `problems_digest` of the training problems.

        Raises:
            ResumeError: not a run, or other settings (each changed key is named; some are free,
                see `free_on_resume`) or problems; or fewer steps than were made.
        """
        try:
            text = (path / "config.json").read_text(encoding="utf-8")
            manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
            before = RunConfig.model_validate_json(text)
        except (OSError, ValueError, ValidationError) as error:
            raise ResumeError(f"{path} is not a run that can be resumed: {error}") from None
        changed = changed_keys(before, config, but=free_on_resume(config))
        if changed:
            raise ResumeError(
                f"{path} was started with other settings; resume with the same ones or choose "
                "another directory. Changed:\n  " + "\n  ".join(changed)
            )
        if manifest.get("problems") != problems:
            raise ResumeError(f"{path} was started on other training problems than these")
        done = manifest.get("steps_done", 0)
        if config.train.steps < done:
            raise ResumeError(f"{path} has made {done} steps; train.steps = {config.train.steps}")
        return cls(path, manifest)

    def adopt(self, config: RunConfig) -> None:
        """From now on the run has these settings; which ones changed is kept in the manifest."""
        path = self.path / "config.json"
        before = RunConfig.model_validate_json(path.read_text(encoding="utf-8"))
        changed = changed_keys(before, config)
        if changed:
            self.update_manifest(changed=[*self.manifest.get("changed", []), changed])
            write_atomic(path, config.model_dump_json(indent=2) + "\n")

    def update_manifest(self, **changes: Any) -> None:
        """Set keys of the manifest and write it."""
        self.manifest.update(changes)
        write_atomic(self.path / "manifest.json", json.dumps(self.manifest, indent=2) + "\n")

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add a line; NaN and infinities, which JSON lacks, become null."""
        with open(self.metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(finite(row), allow_nan=False) + "\n")

    def cut_metrics(self, step: int) -> None:
        """Forget lines of steps after `step`: they are about to be made again."""
        if not self.metrics.exists():
            return
        kept = [row for row in read_metrics(self.metrics) if row["step"] <= step]
        write_atomic(self.metrics, "".join(json.dumps(row) + "\n" for row in kept))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole lines; a torn last one (the process was killed) is left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
