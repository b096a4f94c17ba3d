"""A run directory as it lies there: finished, under way, killed in the middle of a line.

Nothing here fails because a run ended badly; what was missing or broken becomes a note.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mars2.errors import UsageError
from mars2.evaluation.outcomes import EvalResult
from mars2.report.text import finite, mapping, rows_of

IGNORED = (("seed",), ("train", "trackers"))
"""Settings that do not keep runs from being seeds of one group."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Held-out results after `step` steps (0: before training; None: not of a training run).

    `more` is all else of the file: curves, groups, what was spent. `summary` has its agents and
    team as objects, `outcomes` is one; what is in them is as the file has it.
    """

    label: str
    step: int | None
    summary: dict[str, Any]
    outcomes: dict[str, Any]
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One run directory.

    `rows`: lines of metrics.jsonl by rising step, each step once. `agents`: agent → policy, in the
    order of the settings. `notes`: what a reader must know about gaps and repairs. `diversity`:
    of diversity.json, if it is there.
    """

    path: Path
    name: str
    settings: dict[str, Any]
    manifest: dict[str, Any]
    rows: list[dict[str, Any]]
    evaluations: list[Evaluation]
    agents: dict[str, str]
    notes: list[str] = field(default_factory=list)
    diversity: dict[str, Any] = field(default_factory=dict)

    @property
    def seed(self) -> int | None:
        """Of the settings, or None if they are lost."""
        return self.settings.get("seed")

    @property
    def team(self) -> str:
        """What makes its trees is called: an agent alone is no team."""
        return team_name(self.agents)

    @property
    def last_step(self) -> int:
        """Of the metrics; 0 without any."""
        return self.rows[-1]["step"] if self.rows else 0

    def evaluation(self, label: str) -> Evaluation | None:
        """The evaluation of that label, if there is one."""
        return next((e for e in self.evaluations if e.label == label), None)


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that differ by their seed only."""

    name: str
    runs: list[Run]


def load_runs(paths: Sequence[Path]) -> list[Run]:
    """All runs, with names that tell them apart. Raises UsageError as `load_run`."""
    names = _names([p.resolve() for p in paths])
    return [load_run(p, n) for p, n in zip(paths, names, strict=True)]


def load_run(path: Path, name: str | None = None) -> Run:
    """Read what there is.

    Raises:
        UsageError: no directory, or nothing of a run in it.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is not a directory; give the directory of a run")
    known = ("metrics.jsonl", "config.json", "results.json")
    if not any((path / n).exists() for n in known):
        raise UsageError(f"{path} is no run: it has none of {', '.join(known)}")
    notes: list[str] = []
    settings = _object(path / "config.json", notes)
    if "agents" in settings:
        settings["agents"] = [a for a in rows_of(settings["agents"]) if _named(a)]
    manifest = _object(path / "manifest.json", notes)
    rows = _rows(path / "metrics.jsonl", notes)
    last = rows[-1]["step"] if rows else 0
    evaluations = _evaluations(path, manifest, last, notes)
    notes += _warnings(rows, manifest)
    if manifest.get("kind") == "eval" and not (path / "results.json").exists():
        notes.append("no results yet: an evaluation writes results.json when it ends")
    if evaluations:
        _complete(evaluations[-1], settings)
    agents = _agents(settings, manifest, rows, evaluations)
    name = name or path.resolve().name
    measured = path / "diversity.json"
    diversity = _object(measured, notes) if measured.exists() else {}
    return Run(path, name, settings, manifest, rows, evaluations, agents, notes, diversity)


def grouped(runs: Sequence[Run]) -> list[Group]:
    """Runs of equal settings but for the seed, in the order in which they first occur.

    A run whose settings are lost is a group of its own.
    """
    found: dict[str, list[Run]] = {}
    for number, run in enumerate(runs):
        found.setdefault(_identity(run) or f"lost {number}", []).append(run)
    groups: list[Group] = []
    for members in found.values():
        name = _group_name([r.name for r in members])
        while any(g.name == name for g in groups):
            name += "'"
        groups.append(Group(name, members))
    return groups


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that differ."""
    for length in range(1, max(len(p.parts) for p in paths) + 1):
        names = ["/".join(p.parts[-length:]) for p in paths]
        if len(set(names)) == len(names):
            return names
    raise UsageError("a run is given twice")


def _group_name(names: Sequence[str]) -> str:
    """What the names begin with in common, less a trailing word for the seed."""
    if len(names) == 1:
        return names[0]
    first, last = min(names), max(names)
    count = next(i for i, c in enumerate(f"{first}\n") if not last.startswith(first[:i] + c))
    shared = re.sub(r"([-_./ ]+(seed|s|run))?[-_.=/ ]*\d*$", "", first[:count]) or names[0]
    return f"{shared} ({len(names)} runs)"


def _identity(run: Run) -> str | None:
    if not run.settings:
        return None
    settings = json.loads(json.dumps(run.settings))
    for *sections, key in IGNORED:
        inner = settings
        for section in sections:
            inner = inner.get(section)
            if not isinstance(inner, dict):
                inner = {}
        inner.pop(key, None)
    # Evaluations of different problems are not seeds of each other.
    problems = run.manifest.get("problems") if run.manifest.get("kind") == "eval" else None
    return json.dumps([settings, list(run.agents), problems], sort_keys=True)


def _object(path: Path, notes: list[str]) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(value, dict):
            return value
        problem = "is not an object"
    except FileNotFoundError:
        problem = "is missing"
    except (OSError, ValueError, RecursionError):
        problem = "cannot be read"
    notes.append(f"{path.name} {problem}")
    return {}


def _rows(path: Path, notes: list[str]) -> list[dict[str, Any]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    steps: dict[int, dict[str, Any]] = {}
    torn = repeated = 0
    for line in lines:
        if not line.strip():
            continue
        row = _row(line)
        if row is None:
            torn += 1
            continue
        repeated += row["step"] in steps
        steps[row["step"]] = row
    if torn:
        notes.append(f"{path.name}: {torn} broken line{'s' * (torn > 1)} left out")
    if repeated:
        notes.append(f"{path.name}: {repeated} step(s) written more than once; the last counts")
    if steps:
        missing = max(steps) - min(steps) + 1 - len(steps)
        if missing:
            notes.append(f"{path.name}: {missing} step(s) missing")
    return [steps[s] for s in sorted(steps)]


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("step"), int):
        return None
    for key in ("agents", "policies"):
        row[key] = {name: mapping(line) for name, line in mapping(row.get(key)).items()}
    return row


def _evaluations(
    path: Path, manifest: Mapping[str, Any], last: int, notes: list[str]
) -> list[Evaluation]:
    found = []
    for file in [*sorted((path / "eval").glob("*.json")), path / "results.json"]:
        if not file.exists():
            continue
        data = _object(file, notes)
        summary = data.get("summary", data if "agents" in data else None)
        if not isinstance(summary, dict):
            continue
        label = "result" if file.name == "results.json" else file.stem
        step = _step_of(label, manifest, last)
        if label == "after" and manifest.get("status") not in ("finished", "stopped"):
            notes.append("the evaluation after training is of before the run was continued")
            continue
        found.append(_evaluation(label, step, summary, data))
    return sorted(found, key=lambda e: (-1 if e.step is None else e.step, e.label == "after"))


def _evaluation(
    label: str, step: int | None, summary: dict[str, Any], data: dict[str, Any]
) -> Evaluation:
    agents = {a: mapping(v) for a, v in mapping(summary.get("agents")).items()}
    outcomes = mapping(data.get("outcomes"))
    more = {k: v for k, v in data.items() if k not in ("summary", "outcomes", "agents", "team")}
    headline = {"agents": agents, "team": mapping(summary.get("team"))}
    return Evaluation(label, step, headline, outcomes, more)


def _complete(evaluation: Evaluation, settings: Mapping[str, Any]) -> None:
    """Add the curves over the budget, which training leaves out, if its trees can tell them."""
    if "curves" in evaluation.more:
        return
    resamples = number(settings, ("eval", "bootstrap"))
    try:
        result = EvalResult.from_json(evaluation.outcomes)
        evaluation.more["curves"] = result.curves(resamples=int(resamples or 2000))
    except (KeyError, TypeError, ValueError, AttributeError):
        pass  # an old run, or not of ours


def _step_of(label: str, manifest: Mapping[str, Any], last: int) -> int | None:
    if label == "before":
        return 0
    if label == "after":
        return manifest.get("steps_done") or last
    number = re.fullmatch(r"step(\d+)", label)
    return int(number[1]) if number else None


def _warnings(rows: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> list[str]:
    notes = []
    if manifest.get("status") in ("failed", "stopped", "interrupted"):
        why = manifest.get("error") or manifest.get("stopped")
        notes.append(manifest["status"] + (f": {why}" if why else ""))
    skipped: dict[str, int] = {}
    halted: dict[str, str] = {}
    for row in rows:
        for policy, line in row.get("policies", {}).items():
            count = finite(mapping(line.get("update")).get("skipped_steps")) or 0
            skipped[policy] = skipped.get(policy, 0) + int(count)
            if line.get("halted"):
                halted[policy] = str(line["halted"])
    notes += [f"{p}: {n} optimizer step(s) skipped, not finite" for p, n in skipped.items() if n]
    notes += [f"{p} stopped learning: {why}" for p, why in halted.items()]
    return notes


def _named(agent: Mapping[str, Any]) -> bool:
    return isinstance(agent.get("name"), str)


def _agents(
    settings: Mapping[str, Any],
    manifest: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    evaluations: Sequence[Evaluation],
) -> dict[str, str]:
    policies = {a: str(p) for a, p in mapping(manifest.get("agents")).items()}
    for agent in settings.get("agents") or []:
        policy = agent.get("policy") or agent.get("spec") or agent["name"]
        policies.setdefault(agent["name"], str(policy))
    for known in (
        *(mapping(r.get("agents")) for r in rows),
        *(e.summary["agents"] for e in evaluations),
    ):
        for name in known:
            policies.setdefault(name, name)
    return policies


def team_name(agents: Mapping[str, Any]) -> str:
    """In a table's cell, beside the names of agents, that which the trees came to."""
    return "tree" if len(agents) == 1 else "team"


def number(row: Mapping[str, Any], path: Sequence[str]) -> float | None:
    """The finite number at a path of nested objects, or None."""
    value: Any = row
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return finite(value)
