"""The directory of a study that is being run: which study it is, and who runs it now.

A study file may grow (other arms, more seeds, exploratory comparisons) but not change what results
are there already for, nor what was expected of them before: each changed key is named.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mars2.errors import ResumeError
from mars2.study.spec import Study, base_settings
from mars2.training.rundir import write_json

_PATIENCE_S = 10.0  # for processes of a killed call to end
_WORDS = ("title", "question", "about", "builds")  # keys that decide nothing


def described(study: Study) -> dict[str, Any]:
    """The study with the settings of its base, so that a changed base is a changed study."""
    data = study.model_dump(mode="json")
    if not study.predictions:  # a version that knows none may still be running the study
        del data["predictions"]
    return {**data, "base": base_settings(study.base)}


def open_store(out: Path, study: Study) -> None:
    """Make `out` the directory of this study, or check that it is.

    Raises:
        ResumeError: it holds something else, or a study that differs; names the keys.
    """
    path, now = out / "study.json", described(study)
    if not path.exists():
        if out.exists() and (not out.is_dir() or any(p.name != "lock" for p in out.iterdir())):
            raise ResumeError(f"{out} is not empty and holds no study: give another --out")
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, {"first": now, "now": now})
        return
    kept = read_store(out)
    # As this version reads it: keys that an earlier one did not know have their defaults.
    changed = refused_changes(described(kept_study(out)), now)
    if changed:
        raise ResumeError(
            f"{out} holds results of another version of this study; results of both would be "
            "mixed. Undo the changes or give another --out. Changed:\n  " + "\n  ".join(changed)
        )
    if kept["now"] != now:
        write_json(path, {"first": kept["first"], "now": now})


def read_store(out: Path) -> dict[str, Any]:
    """`{"first", "now"}`: the study when it began, and as it is.

    Raises:
        ResumeError: no study in `out`.
    """
    try:
        kept = json.loads((out / "study.json").read_text(encoding="utf-8"))
        return {"first": kept["first"], "now": kept["now"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResumeError(f"{out} holds no study that was begun: {error!r}") from None


def kept_study(out: Path) -> Study:
    """The study as it was when its run began, whatever became of its file since.

    Raises:
        ResumeError: no study in `out`, or one that this version cannot read.
    """
    try:
        return Study.model_validate(read_store(out)["now"])
    except ValidationError as error:
        raise ResumeError(f"{out}: this version of mars2 cannot read its study: {error}") from None


def refused_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Keys whose values were changed or removed, or that were added where that is not growing."""
    changed = []
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if key in _WORDS or before == after:
            continue
        if key == "seeds":
            lost = [s for s in before or () if s not in (after or ())]
            changed += [f"seeds: {', '.join(map(str, lost))} removed"] if lost else []
        elif key == "comparisons":
            changed += _comparisons(before or [], after or [])
        elif key in ("arms", "evaluations", "agents", "models", "predictions"):
            if key == "predictions":
                changed += [
                    f"predictions.{name} added after the study began: mark it exploratory = true"
                    for name, value in (after or {}).items()
                    if name not in (before or {}) and not value["exploratory"]
                ]
            changed += [
                line
                for name, value in (before or {}).items()
                for line in _differences(f"{key}.{name}", value, (after or {}).get(name))
            ]
        else:
            changed += _differences(key, before, after)
    return changed


def _comparisons(before: list[Any], after: list[Any]) -> list[str]:
    lost = [c for c in before if c not in after]
    late = [c for c in after if c not in before and not c["exploratory"]]
    return [f"comparisons: {_said(c)} removed or changed" for c in lost] + [
        f"comparisons: {_said(c)} added after the study began: mark it exploratory = true"
        for c in late
    ]


def _said(comparison: Mapping[str, Any]) -> str:
    return f"{comparison['a']} - {comparison['b']} in {comparison['metric']}"


def _differences(key: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        return [
            line
            for k in keys
            if k not in _WORDS
            for line in _differences(f"{key}.{k}", old.get(k), new.get(k))
        ]
    return [] if old == new else [f"{key}: {old!r} -> {new!r}"]


@contextlib.contextmanager
def locked(out: Path) -> Iterator[int]:
    """Hold the study's lock; yields its descriptor, for processes that must hold it as well.

    A killed call's processes may live a moment longer: they are waited for.

    Raises:
        ResumeError: somebody else runs the study.
    """
    import fcntl

    out.mkdir(parents=True, exist_ok=True)
    with open(out / "lock", "a+", encoding="utf-8") as file:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.seek(0)
                    who = file.read().strip() or "unknown"
                    raise ResumeError(
                        f"{out} is being run by process {who}: wait for it, or end it"
                    ) from None
                time.sleep(0.1)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file.fileno()
