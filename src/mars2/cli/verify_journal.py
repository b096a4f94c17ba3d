"""What a run of `mars2 verify --output FILE` has judged so far, in FILE.partial.

One line with the settings, then one verdict a line as soon as it is known, so that neither
Ctrl-C nor a crash loses any. Verdicts that say that the machinery failed are left out: they are
judged again. The file goes when the results are written whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel, ValidationError

from mars2.errors import ResumeError
from mars2.types import Status, Verdict


def digest(rows: Iterable[BaseModel]) -> str:
    """SHA-256 of models in order, first 16 hex digits."""
    result = hashlib.sha256()
    for row in rows:
        # not model_dump_json: it refuses lone surrogates
        result.update(json.dumps(row.model_dump(mode="python")).encode() + b"\n")
    return result.hexdigest()[:16]


class Journal:
    """FILE.partial, open for more. `done` holds the verdicts of the interrupted run by id."""

    def __init__(self, output: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        """Start one beside `output`, or with `resume` go on with one if it is there.

        Raises:
            ResumeError: there is one already and `resume` is not set; it is of other settings
                (each is named), damaged, or in use by another process; or it cannot be written.
        """
        self.path = output.with_name(output.name + ".partial")
        self.done: dict[str, Verdict] = {}
        self._kept = 0
        if self.path.exists() and not resume:
            raise ResumeError(
                f"{self.path} holds the verdicts of an interrupted run: continue it with --resume, "
                "or delete it"
            )
        try:
            self._file: TextIO = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise ResumeError(f"{self.path} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ResumeError(f"{self.path} is in use by another run") from None
        try:
            self._load(dict(settings))
        except BaseException:
            self._file.close()
            raise

    def _load(self, settings: dict[str, Any]) -> None:
        self._file.seek(0)
        text = self._file.read()
        whole = text[: text.rfind("\n") + 1]  # a torn last line: the process was killed
        self._file.truncate(len(whole.encode()))
        if not whole:
            self._line({"settings": settings})
            return
        head, *lines = whole.split("\n")[:-1]
        try:
            before = json.loads(head)["settings"]
            found = [Verdict.model_validate(json.loads(line)) for line in lines]
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise ResumeError(f"{self.path} is damaged, delete it: {error}") from None
        changed = [
            f"{key}: {before.get(key)!r} -> {settings.get(key)!r}"
            for key in sorted(before.keys() | settings.keys())
            if before.get(key) != settings.get(key)
        ]
        if changed:
            raise ResumeError(
                f"{self.path} was started with other settings; resume with the same ones or "
                "delete it. Changed:\n  " + "\n  ".join(changed)
            )
        self.done = {verdict.id: verdict for verdict in found}
        self._kept = len(found)

    def add(self, verdict: Verdict) -> None:
        """Keep a verdict, unless the machinery failed."""
        if verdict.status is not Status.INFRA:
            self._kept += 1
            self._line(verdict.model_dump(mode="python", exclude_none=True))

    def _line(self, value: Any) -> None:
        self._file.write(json.dumps(value) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Let go of the file, which stays if it holds a verdict."""
        if self._file.closed:
            return
        if not self._kept:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def remove(self) -> None:
        """All is written elsewhere: the file goes."""
        self.path.unlink(missing_ok=True)
        self._file.close()


def read_verdicts(path: Path, text: str) -> dict[str, Verdict]:
    """Verdicts by id of an earlier run: its output in the format `mars2`, or its journal.

    Raises ResumeError naming the row.
    """
    found: dict[str, Verdict] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            if number == 1 and isinstance(value, dict) and "settings" in value:
                continue
            verdict = Verdict.model_validate(value)
        except (ValueError, ValidationError):
            raise ResumeError(
                f"{path}, row {number}: is no verdict; give a file of `mars2 verify --json`, or "
                "of `--output` in the format mars2"
            ) from None
        found[verdict.id] = verdict
    return found
