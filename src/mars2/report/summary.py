"""The numbers and tables of a report: what was set, what it came to, where it was best."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mars2.config import RunConfig
from mars2.evaluation.evaluate import EvalResult, paired_rise
from mars2.report.curves import best, ends, points
from mars2.report.runs import Evaluation, Group, Run, number

TEAM = {"pass@1(mcts)": "Pass@1(MCTS)", "pass@n": "Pass@N"}
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are ready to print."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def summarize(groups: Sequence[Group]) -> dict[str, Any]:
    """Everything as JSON: `{"runs": [...], "groups": [...], "settings": {...}}`."""
    runs = [r for g in groups for r in g.runs]
    return {
        "runs": [_run(r) for r in runs],
        "groups": [{"name": g.name, "runs": [r.name for r in g.runs]} for g in groups],
        "settings": {g.name: changed_settings(g.runs[0]) for g in groups},
    }


def tables(groups: Sequence[Group], summary: Mapping[str, Any]) -> list[Table]:
    """The tables of a report, in order; those without rows are left out."""
    runs = summary["runs"]
    found = [
        Table(
            "Held-out results (95 % intervals over problems)",
            ["run", "who", "metric", "before", "after", "rise"],
            [row for run in runs for row in _result_rows(run)],
        ),
        Table(
            "Held-out results over seeds: mean (smallest to largest)",
            ["runs", "who", "metric", "before", "after"],
            [row for g in groups if len(g.runs) > 1 for row in _group_rows(g, runs)],
        ),
        Table(
            "Runs",
            [
                *("run", "status", "seed", "steps", "best held-out", "best reward"),
                *("trees", "nodes", "tokens written", "trained", "time"),
            ],
            [_run_row(run) for run in runs],
        ),
        Table(
            "Training, mean of the first fifth of the steps → of the last",
            ["run", "agent", "reward", "pass rate", "tokens", "truncated"],
            [row for run in runs for row in _training_rows(run)],
        ),
        _settings_table(summary["settings"]),
    ]
    return [t for t in found if t.rows]


def changed_settings(run: Run) -> dict[str, Any]:
    """Settings that differ from the defaults, by dotted name; agents as `agents.NAME`."""
    default = _flat(RunConfig().model_dump(mode="json"))
    mine = {k: v for k, v in run.settings.items() if k != "agents"}
    changed = {k: v for k, v in _flat(mine).items() if default.get(k, default) != v}
    for agent in run.settings.get("agents") or []:
        policy = agent.get("policy") or agent.get("spec")
        changed[f"agents.{agent['name']}"] = f"{agent.get('spec')}, policy {policy}"
    return changed


def _run(run: Run) -> dict[str, Any]:
    before, after = run.evaluation("before"), run.evaluation("after")
    held_out = {e.step: e for e in run.evaluations if e.step is not None}
    scores = {
        step: value
        for step, e in held_out.items()
        if (value := number(e.summary, ("team", "pass@1"))) is not None
    }
    top = max(scores, key=lambda s: (scores[s], -s), default=None)
    reward = best(points(run, ("trees", "reward")))
    return {
        "name": run.name,
        "path": str(run.path),
        "status": _status(run),
        "seed": run.seed,
        "steps": run.last_step,
        "agents": run.agents,
        "evaluations": [
            {"label": e.label, "step": e.step, "summary": e.summary} for e in run.evaluations
        ],
        "rise": _rise(run, before, after),
        "best": {
            "held_out": None if top is None else {"step": top, "pass@1": scores[top]},
            "reward": None if reward is None else {"step": reward[0], "reward": reward[1]},
        },
        "training": {name: _training(run, name) for name in run.agents},
        "totals": {
            "trees": _total(run, ("trees", "count")),
            "nodes": _total(run, ("trees", "nodes")),
            "tokens_written": _total(run, ("throughput", "generated_tokens")),
            "tokens_trained": _total(run, ("throughput", "trained_tokens")),
            "seconds": sum(
                _total(run, ("seconds", phase)) or 0.0
                for phase in ("rollout", "update", "checkpoint", "evaluation", "idle")
            ),
        },
        "notes": run.notes,
    }


def _status(run: Run) -> str:
    status = run.manifest.get("status", "unknown")
    return "unfinished" if status == "running" else status


def _rise(run: Run, before: Evaluation | None, after: Evaluation | None) -> dict[str, Any] | None:
    """Paired by problem, as training reports it; None without both evaluations' outcomes."""
    if before is None or after is None or not before.outcomes or not after.outcomes:
        return None
    first, last = (EvalResult(e.outcomes.get("attempts", {})) for e in (before, after))
    return paired_rise(
        first,
        last,
        resamples=run.settings.get("eval", {}).get("bootstrap", 2000),
        seed=run.seed or 0,
    )


def _training(run: Run, agent: str) -> dict[str, list[float] | None]:
    paths = {
        "reward": ("reward",),
        "pass_rate": ("pass_rate",),
        "length": ("length", "mean"),
        "truncation_rate": ("truncation_rate",),
    }
    found = {}
    for name, path in paths.items():
        pair = ends(points(run, ("agents", agent, *path)))
        found[name] = None if pair is None else list(pair)
    return found


def _total(run: Run, path: tuple[str, ...]) -> float | None:
    values = points(run, path).values()
    return sum(values) if values else None


def _result_rows(run: Mapping[str, Any]) -> list[list[str]]:
    """Of a training run: before and after; of an evaluation: one result."""
    summaries = {e["label"]: e["summary"] for e in run["evaluations"]}
    first = summaries.get("before") or {}
    last = summaries.get("after") or summaries.get("result") or {}
    rows = []
    for agent in list(dict.fromkeys([*first.get("agents", {}), *last.get("agents", {})])):
        cells = [_cell(s.get("agents", {}).get(agent) or {}, "pass@1") for s in (first, last)]
        rows.append([run["name"], agent, "pass@1", *cells, ""])
    if run["rise"]:
        rise = _interval(run["rise"]["mean"], run["rise"]["ci95"], sign=True)
        cells = [_cell(s.get("team") or {}, "pass@1") for s in (first, last)]
        rows.append([run["name"], "mean", "pass@1", *cells, rise])
    for key, title in TEAM.items():
        if any(key in (s.get("team") or {}) for s in (first, last)):
            cells = [_cell(s.get("team") or {}, key) for s in (first, last)]
            rows.append([run["name"], "team", title, *cells, ""])
    return rows


def _cell(values: Mapping[str, Any], key: str) -> str:
    intervals = values.get("ci95")
    interval = intervals.get(key) if isinstance(intervals, Mapping) else intervals
    return _interval(values.get(key), interval)


def _group_rows(group: Group, runs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    names = {r.name for r in group.runs}
    mine = [r for r in runs if r["name"] in names]
    keys: dict[tuple[str, str, str], None] = {}
    for agent in (a for r in mine for a in r["agents"]):
        keys["agents", agent, "pass@1"] = None
    keys |= {("team", "mean", "pass@1"): None}
    keys |= {("team", "team", key): None for key in TEAM}
    rows = []
    for kind, who, key in keys:
        path = ("agents", who, key) if kind == "agents" else ("team", key)
        cells = [_spread(_evaluated(mine, label, path)) for label in ("before", "after")]
        if any(c != NOTHING for c in cells):
            rows.append([group.name, who, TEAM.get(key, key), *cells])
    return rows


def _evaluated(runs: Sequence[Mapping[str, Any]], label: str, path: tuple[str, ...]) -> list[float]:
    summaries = [e["summary"] for r in runs for e in r["evaluations"] if e["label"] == label]
    return [v for s in summaries if (v := number(s, path)) is not None]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return NOTHING
    mean = sum(values) / len(values)
    return f"{mean:.3f} ({min(values):.3f} to {max(values):.3f})"


def _run_row(run: Mapping[str, Any]) -> list[str]:
    top, reward, totals = run["best"]["held_out"], run["best"]["reward"], run["totals"]
    return [
        run["name"],
        run["status"],
        NOTHING if run["seed"] is None else str(run["seed"]),
        str(run["steps"]),
        f"{top['pass@1']:.3f} at step {top['step']}" if top else NOTHING,
        f"{reward['reward']:.3f} at step {reward['step']}" if reward else NOTHING,
        *(_count(totals[k]) for k in ("trees", "nodes", "tokens_written", "tokens_trained")),
        _duration(totals["seconds"]),
    ]


def _training_rows(run: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for agent, found in run["training"].items():
        digits = {"reward": 3, "pass_rate": 3, "length": 1, "truncation_rate": 3}
        cells = [_change(found[name], count) for name, count in digits.items()]
        if any(c != NOTHING for c in cells):
            rows.append([run["name"], agent, *cells])
    return rows


def _settings_table(settings: Mapping[str, Mapping[str, Any]]) -> Table:
    """One column a group; with several, what differs between them comes first."""
    names = list(settings)
    keys = sorted({k for s in settings.values() for k in s})

    def shown(name: str, key: str) -> str:
        value = settings[name].get(key)
        return (
            "default" if value is None else value if isinstance(value, str) else json.dumps(value)
        )

    rows = [[key, *(shown(n, key) for n in names)] for key in keys]
    rows.sort(key=lambda row: len(set(row[1:])) == 1 and len(names) > 1)
    head = names if len(names) > 1 else ["value"]
    return Table("Settings that differ from the defaults", ["setting", *head], rows)


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def _interval(value: float | None, interval: Sequence[float] | None, *, sign: bool = False) -> str:
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:{'+' if sign else ''}.3f}"
    if not interval or any(x is None or not math.isfinite(x) for x in interval):
        return text
    return f"{text} [{interval[0]:.3f}, {interval[1]:.3f}]"


def _change(pair: Sequence[float] | None, digits: int) -> str:
    return NOTHING if pair is None else f"{pair[0]:.{digits}f} → {pair[1]:.{digits}f}"


def _count(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
