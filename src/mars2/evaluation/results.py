"""What `results.json` holds beside the headline: problems, groups of them, and budget curves.

Written whole by `mars2 eval`; `compare`, the report, the viewer and the exporters read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mars2.evaluation.outcomes import EvalResult
from mars2.types import Problem

UNKNOWN = "unknown"
"""The group of problems that do not say, where others do."""


def problem_info(problems: Sequence[Problem]) -> dict[str, dict[str, Any]]:
    """By problem id: `{"title"?, "difficulty", "date", "format"}`; nothing of its tests.

    `date` is the ISO date of release or None; `format` the kind of the tests.
    """
    found: dict[str, dict[str, Any]] = {}
    for problem in problems:
        entry: dict[str, Any] = {
            "difficulty": problem.difficulty,
            "date": problem.date,
            "format": problem.kind,
        }
        if isinstance(title := problem.metadata.get("title"), str):
            entry["title"] = title
        found[problem.id] = entry
    return found


def details(
    result: EvalResult,
    info: Mapping[str, Mapping[str, Any]],
    *,
    ks: Sequence[int] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """`{"groups", "curves", "problem_info"}`; arguments as of `EvalResult.summary`.

    Groups are `{"difficulty": {VALUE: {"problems", "agents", "team"}}, "month": {"2024-01": …}}`,
    each summed up like the whole. A dimension that no problem has is empty.
    """
    known = [p for p in info if any(p in of for of in result.attempts.values())]

    def summed(of: Mapping[str, list[str]]) -> dict[str, Any]:
        return {
            name: {"problems": len(problems)}
            | result.subset(problems).summary(ks=ks, resamples=resamples, seed=seed, partly=True)
            for name, problems in of.items()
        }

    return {
        "groups": {
            "difficulty": summed(_grouped(known, lambda p: info[p]["difficulty"])),
            "month": summed(_grouped(known, lambda p: (info[p]["date"] or "")[:7], ordered=True)),
        },
        "curves": result.curves(resamples=resamples, seed=seed),
        "problem_info": dict(info),
    }


def _grouped(
    problems: Sequence[str], key: Callable[[str], str | None], *, ordered: bool = False
) -> dict[str, list[str]]:
    """Problem ids by key, in order of first appearance or of the keys; those without one last."""
    found: dict[str, list[str]] = {}
    for problem in problems:
        found.setdefault(key(problem) or UNKNOWN, []).append(problem)
    if set(found) <= {UNKNOWN}:
        return {}
    names = sorted(found) if ordered else list(found)
    return {name: found[name] for name in sorted(names, key=lambda n: n == UNKNOWN)}
