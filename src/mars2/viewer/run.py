"""What a run directory holds, for people who look at its trees: settings, results, names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from mars2.config import RunConfig
from mars2.errors import UsageError
from mars2.viewer.tail import Wanted

JOURNAL = "journal.jsonl"
Kind = Literal["eval", "train", "solve", "journal"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tree belongs: its problem, a heading for the trees around it, and whose it is.

    `agent` is that of a tree of independent attempts, None for a tree of the team.
    """

    group: str
    problem: str
    agent: str | None = None


@dataclass(slots=True)
class Run:
    """A run directory or a journal alone. Make it with `open_run`.

    `config` is None where the settings are missing or of another version; `notes` say so.
    """

    path: Path
    journal: Path
    name: str
    kind: Kind
    config: RunConfig | None
    notes: list[str] = field(default_factory=list)
    _steps: list[int] = field(default_factory=list)  # of training: trees grown up to each step

    @property
    def ordered(self) -> bool:
        """Whether the search was told in waves, which is how all but `solve` run."""
        return self.kind in ("eval", "train")

    def place(self, tree_id: str) -> Place:
        """What a tree's id says."""
        agents = [a.name for a in self.config.agents] if self.config else []
        if self.kind == "train":
            number, _, problem = tree_id.partition("/")
            return Place(self._step(int(number)) if number.isdigit() else "", problem or tree_id)
        parts = tree_id.split("/", 2)
        if self.kind == "eval" and len(parts) == 3:
            label, who, problem = parts
            label = "" if label == "eval" else f"{label}: "
            if who == "team":
                return Place(f"{label}team", problem)
            if who in agents:
                return Place(f"{label}{who} alone", problem, who)
        return Place("", tree_id)

    def manifest(self) -> dict[str, Any]:
        """As it is now; empty if there is none."""
        return _object(self.path / "manifest.json")

    def changed(self) -> tuple[tuple[str, int, int], ...]:
        """Differs when manifest or results were written anew."""
        found = []
        for name in ("manifest.json", "results.json"):
            if (self.path / name).exists():
                state = (self.path / name).stat()
                found.append((name, state.st_mtime_ns, state.st_ino))
        return tuple(found)

    def problem_info(self) -> dict[str, Any]:
        """Title, difficulty and date by problem id, where the results say them."""
        info = _object(self.path / "results.json").get("problem_info")
        return info if isinstance(info, dict) else {}

    def outcomes(self) -> dict[str, dict[str, Any]]:
        """By problem: which nodes pass all tests, which one is selected; empty before the end."""
        outcomes = _object(self.path / "results.json").get("outcomes")
        trees = outcomes.get("trees") if isinstance(outcomes, dict) else None
        return {k: v for k, v in (trees or {}).items() if isinstance(v, dict)}

    def _step(self, number: int) -> str:
        """Training numbers its trees as they begin; a synchronous step grows the next ones."""
        for step, trees in enumerate(self._steps, 1):
            if number < trees:
                return f"step {step}"
        return f"step {len(self._steps) + 1}" if self._steps else "training"


def open_run(path: Path) -> Run:
    """The run in a directory, or the journal in a file.

    Raises:
        UsageError: there is no journal.
    """
    journal = path if path.is_file() else path / JOURNAL
    if not journal.is_file():
        raise UsageError(
            f"{path} holds no {JOURNAL}; give the directory that --out named, of eval, train or "
            "solve, or a journal itself"
        )
    path = journal.parent
    name = path.resolve().name if journal.name == JOURNAL else journal.name
    notes: list[str] = []
    config = _config(path / "config.json", notes)
    kind: Kind = "journal"
    if config is not None:
        said = _object(path / "manifest.json").get("kind")
        kind = said if said in ("eval", "solve") else "train"
    run = Run(path, journal, name, kind, config, notes)
    if kind == "train" and config is not None and config.train.mode == "sync":
        run._steps = _trees_by_step(path / "metrics.jsonl")
    return run


def chooser(run: Run, problems: Sequence[str], trees: Sequence[str]) -> Wanted | None:
    """Whether a tree is wanted: one of these problems, and its id like one of these patterns."""
    if not problems and not trees:
        return None

    def wanted(tree_id: str) -> bool:
        return (not problems or run.place(tree_id).problem in problems) and (
            not trees or any(tree_id == t or fnmatchcase(tree_id, t) for t in trees)
        )

    return wanted


def _config(path: Path, notes: list[str]) -> RunConfig | None:
    try:
        return RunConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        notes.append("There are no settings beside this journal.")
    except ValidationError:
        notes.append("The settings beside this journal are not those of this version.")
    except (OSError, ValueError):
        notes.append("The settings beside this journal cannot be read.")
    return None


def _object(path: Path) -> dict[str, Any]:
    """A JSON object that may be missing; files are replaced atomically, so never torn."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _trees_by_step(path: Path) -> list[int]:
    """Trees grown up to the end of each step."""
    total, steps = 0, []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            total += int(json.loads(line)["trees"]["count"])
            steps.append(total)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no metrics, or a torn last line: what follows is of the step after these
    return steps
