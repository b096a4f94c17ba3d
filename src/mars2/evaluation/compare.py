"""Evaluated runs side by side, paired by problem: differences, intervals and p values.

Reads what `mars2 eval` and the held-out evaluations of `mars2 train` wrote, older files included.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mars2.errors import UsageError
from mars2.evaluation.metrics import difference_ci, mean
from mars2.evaluation.outcomes import EvalResult
from mars2.evaluation.paired import holm, mcnemar, sign_flip

_NAMED = 5  # problems that a refusal names


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One evaluation of some team: its outcomes and the settings behind them."""

    name: str
    path: Path
    result: EvalResult
    settings: dict[str, Any] = field(default_factory=dict)  # dotted name → value

    @property
    def problems(self) -> list[str]:
        """Ids of all problems, also of those without a usable outcome."""
        attempts = itertools.chain.from_iterable(self.result.attempts.values())
        return list(dict.fromkeys([*attempts, *self.result.trees]))

    def metrics(self, ks: Sequence[int] = ()) -> dict[str, dict[str, float]]:
        """By metric and problem: the agents' mean pass@1, each agent's if there are several, each
        agent's pass@k for `ks`, and of trees whether the selected node passed and whether any did.
        """
        found = {"pass@1": self.result.mean_rates()}
        several = len(self.result.attempts) > 1
        for agent in self.result.attempts:
            of = f" of {agent}" if several else ""
            found[f"pass@1{of}"] = self.result.agent_rates(agent)
            found |= {f"pass@{k}{of}": self.result.agent_pass_at(agent, k) for k in ks if k > 1}
        if trees := self.result.trees:
            found["pass@1(mcts)"] = {p: float(t.selected) for p, t in trees.items()}
            found["pass@n"] = {p: float(t.any_passed) for p, t in trees.items()}
        return {metric: values for metric, values in found.items() if values}


# --------------------------------------------------------------------------- reading


def load_evaluated(paths: Sequence[Path]) -> list[Evaluated]:
    """Evaluations of directories or files, with names that differ.

    A directory of `mars2 eval` has one, of `mars2 train` those before and after training; a file
    is one, such as `RUN/eval/step00020.json`.

    Raises:
        UsageError: nothing there, not yet finished, or no outcomes in it.
    """
    found = [one for path in paths for one in _load(path)]
    depth = 1
    names = [_name(one.path, depth) for one in found]
    while len(set(names)) < len(names) and depth < 16:
        depth += 1
        names = [_name(one.path, depth) for one in found]
    if len(set(names)) < len(names):
        raise UsageError("one run is given twice: " + ", ".join(sorted(names)))
    return [
        Evaluated(name, one.path, one.result, one.settings)
        for name, one in zip(names, found, strict=True)
    ]


def _load(path: Path) -> list[Evaluated]:
    if path.is_file():
        run = path.parent.parent if path.parent.name == "eval" else path.parent
        return [_read(path, run)]
    if not path.is_dir():
        raise UsageError(f"{path} does not exist: give the directory of a run")
    if (path / "results.json").exists():
        return [_read(path / "results.json", path)]
    files = [path / "eval" / f"{when}.json" for when in ("before", "after")]
    if found := [file for file in files if file.exists()]:
        return [_read(file, path) for file in found]
    raise UsageError(
        f"{path} holds no finished evaluation (neither results.json nor eval/after.json): finish "
        "it with `mars2 eval … --out … --resume`, or give another directory"
    )


def _read(file: Path, run: Path) -> Evaluated:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        result = EvalResult.from_json(data["outcomes"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file} is no evaluation that can be compared: {error!r}") from None
    settings = _flat(_object(run / "config.json"))
    manifest = _object(run / "manifest.json")
    settings |= {"source": data.get("source"), "problems": manifest.get("problems")}
    return Evaluated("", file, result, {k: v for k, v in settings.items() if v is not None})


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted names; agents by their names."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if key == "agents" and not prefix and isinstance(item, list):
            item = {a["name"]: a for a in item if isinstance(a, dict) and "name" in a}
        if isinstance(item, Mapping):
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[prefix + key] = item
    return flat


def _name(file: Path, depth: int) -> str:
    """The last `depth` folders, and which evaluation it is unless the run has but one."""
    file = file.absolute()
    if file.name == "results.json":
        return "/".join(file.parent.parts[-depth:])
    run = file.parent.parent if file.parent.name == "eval" else file.parent
    return "/".join(run.parts[-depth:]) + ":" + file.stem


# --------------------------------------------------------------------------- comparing


def compare(
    runs: Sequence[Evaluated],
    *,
    ks: Sequence[int] = (),
    shared: bool = False,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """All pairs of runs in every metric that both have, on the problems where both have it.

    Args:
        ks: pass@k for these too, of the problems for which both runs have k attempts.
        shared: compare on the problems that all runs have, where they differ.

    Returns:
        `{"runs": [{"name", "path", "problems"}], "problems": how many are shared, "differing":
        {setting: [value a run]}, "pairs": [{"a", "b", "metric", "problems", "a_value", "b_value",
        "difference" (b − a), "ci95", "p", "p_adjusted", "method", and for outcomes of 0 or 1
        "only_a", "only_b": problem ids}]}`. p values are adjusted over all of "pairs" (Holm).

    Raises:
        UsageError: fewer than two runs, or different problems and not `shared`, or none in
            common, or no pair of runs has a pass@k that was asked for.
    """
    if len(runs) < 2:
        names = ", ".join(run.name for run in runs) or "none"
        raise UsageError(f"a comparison needs at least two evaluations, got {names}")
    kept = common_problems(runs, shared=shared)
    pairs: list[dict[str, Any]] = []
    for a, b in itertools.combinations(runs, 2):
        of_b = b.metrics(ks)
        for metric, values in a.metrics(ks).items():
            ids = [p for p in kept if p in values and p in of_b.get(metric, {})]
            if ids:
                x, y = [values[p] for p in ids], [of_b[metric][p] for p in ids]
                pair = {"a": a.name, "b": b.name, "metric": metric, "problems": len(ids)}
                pairs.append({**pair, **_difference(ids, x, y, resamples, seed)})
    compared = {pair["metric"].partition(" ")[0] for pair in pairs}
    if missing := [f"pass@{k}" for k in ks if f"pass@{k}" not in compared]:
        raise UsageError(
            f"{', '.join(missing)}: no two runs have a problem with so many first attempts of one "
            "agent; leave it out, or evaluate with more --samples"
        )
    for pair, p in zip(pairs, holm([pair["p"] for pair in pairs]), strict=True):
        pair["p_adjusted"] = p
    return {
        "runs": [{"name": r.name, "path": str(r.path), "problems": len(r.problems)} for r in runs],
        "problems": len(kept),
        "differing": _differing(runs),
        "pairs": pairs,
    }


def common_problems(runs: Sequence[Evaluated], *, shared: bool = False) -> list[str]:
    """The problems that all runs have, in the order of the first.

    Raises:
        UsageError: different problems and not `shared`, or none in common.
    """
    everywhere = set.intersection(*(set(run.problems) for run in runs))
    kept = [p for p in runs[0].problems if p in everywhere]
    extra = {run.name: [p for p in run.problems if p not in everywhere] for run in runs}
    if any(extra.values()) and not shared:
        named = "; ".join(
            f"{name}: {', '.join(ids[:_NAMED])}"
            + (f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else "")
            for name, ids in extra.items()
            if ids
        )
        raise UsageError(
            f"the runs are of different problems; {len(kept)} are in all of them, these are not: "
            f"{named}. Give --shared to compare on those that all have"
        )
    if not kept:
        raise UsageError("the runs have no problem in common")
    return kept


def _difference(
    ids: Sequence[str], x: Sequence[float], y: Sequence[float], resamples: int, seed: int
) -> dict[str, Any]:
    differences = [b - a for a, b in zip(x, y, strict=True)]
    found: dict[str, Any] = {
        "a_value": mean(x),
        "b_value": mean(y),
        "difference": mean(differences),
        "ci95": list(difference_ci(differences, resamples=resamples, seed=seed)),
    }
    if {*x, *y} <= {0.0, 1.0}:
        only_a = [p for p, d in zip(ids, differences, strict=True) if d < 0]
        only_b = [p for p, d in zip(ids, differences, strict=True) if d > 0]
        p, method = mcnemar(len(only_a), len(only_b)), "McNemar exact"
        return found | {"p": p, "method": method, "only_a": only_a, "only_b": only_b}
    return found | {"p": sign_flip(differences, seed=seed), "method": "sign-flip permutation"}


def _differing(runs: Sequence[Evaluated]) -> dict[str, list[Any]]:
    """Settings that are not the same in all runs; None where a run does not say.

    Of an agent that some run does not have, `spec` alone: the rest would differ as well.
    """

    def said(key: str) -> bool:
        spec = key.rpartition(".")[0] + ".spec"
        of_agent = key.startswith("agents.") and key != spec
        return not of_agent or all(spec in run.settings for run in runs)

    keys = filter(said, dict.fromkeys(itertools.chain.from_iterable(r.settings for r in runs)))
    values = {key: [run.settings.get(key) for run in runs] for key in keys}
    return {key: of for key, of in values.items() if any(v != of[0] for v in of)}
