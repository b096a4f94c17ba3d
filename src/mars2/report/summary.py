"""The numbers and tables of a report: what was set, what it came to, where it was best."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mars2.config import RunConfig
from mars2.evaluation.evaluate import EvalResult, paired_rise
from mars2.report.comparison import Comparison, comparison_table
from mars2.report.curves import best, ends, points
from mars2.report.diversity import diversity_tables
from mars2.report.evaluations import TEAM, budget_table, group_tables, latest
from mars2.report.problems import Problems, problems_table
from mars2.report.runs import Evaluation, Group, Run, number, team_name
from mars2.report.tables import Table
from mars2.report.text import NOTHING, Score, count, duration, finite, interval, mapping


def summarize(groups: Sequence[Group]) -> dict[str, Any]:
    """All but tables as JSON: `{"runs": […], "groups": […], "settings": {…}, "all_settings": {…}}`.

    Settings are by dotted name, of each group those of its first run.
    """
    runs = [r for g in groups for r in g.runs]
    return {
        "runs": [_run(r) for r in runs],
        "groups": [{"name": g.name, "runs": [r.name for r in g.runs]} for g in groups],
        "settings": {g.name: changed_settings(g.runs[0]) for g in groups},
        "all_settings": {g.name: _flat(g.runs[0].settings) for g in groups},
    }


def tables(
    groups: Sequence[Group],
    summary: Mapping[str, Any],
    problems: Problems,
    comparison: Comparison,
) -> list[Table]:
    """The tables of a report, in order; those without rows are left out."""
    runs = summary["runs"]
    found = [
        _results_table(runs),
        Table(
            "seeds",
            "Held-out results over seeds: mean (smallest to largest)",
            ["runs", "who", "metric", "before", "after"],
            [row for g in groups if len(g.runs) > 1 for row in _group_rows(g, runs)],
        ),
        comparison_table(comparison),
        _runs_table(runs),
        Table(
            "training",
            "Training, mean of the first fifth of the steps → of the last",
            ["run", "agent", "reward", "pass rate", "tokens", "truncated"],
            [row for run in runs for row in _training_rows(run)],
        ),
        budget_table(groups),
        *group_tables(groups),
        *diversity_tables(groups),
        _settings_table(summary["settings"]),
        _settings_table(summary["all_settings"], "all-settings", "All settings"),
        problems_table(problems),
    ]
    return [t for t in found if t.rows]


def changed_settings(run: Run) -> dict[str, Any]:
    """Settings that differ from the defaults, by dotted name; agents as `agents.NAME`.

    `source` is that of an evaluation's problems.
    """
    default = _flat(RunConfig().model_dump(mode="json"))
    mine = {k: v for k, v in run.settings.items() if k != "agents"}
    changed = {k: v for k, v in _flat(mine).items() if default.get(k, default) != v}
    evaluation = latest(run)
    if evaluation is not None and isinstance(evaluation.more.get("source"), str):
        changed["source"] = evaluation.more["source"]
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
            {"label": e.label, "step": e.step, "summary": e.summary}
            | {k: e.more[k] for k in ("curves", "groups") if k in e.more}
            for e in run.evaluations
        ],
        "rise": _rise(run, before, after),
        "best": {
            "held_out": None if top is None else {"step": top, "pass@1": scores[top]},
            "reward": None if reward is None else {"step": reward[0], "reward": reward[1]},
        },
        "training": {name: _training(run, name) for name in run.agents},
        "totals": _totals(run),
        "diversity": run.diversity or None,
        "notes": run.notes,
    }


def _totals(run: Run) -> dict[str, float | None]:
    """Of a training run over its steps; of an evaluation as it says itself."""
    evaluation = latest(run)
    if not run.rows and evaluation is not None:
        spent = mapping(evaluation.more.get("spent"))
        seconds = finite(evaluation.more.get("seconds"))
        return {
            "trees": float(len(mapping(evaluation.outcomes.get("trees")))) or None,
            "nodes": finite(spent.get("nodes")),
            "tokens_written": finite(spent.get("tokens")),
            "tokens_trained": None,
            "cost": finite(spent.get("cost")) or None,
            "seconds": finite(spent.get("seconds")) if seconds is None else seconds,
        }
    phases = ("rollout", "update", "checkpoint", "evaluation", "idle")
    return {
        "trees": _total(run, ("trees", "count")),
        "nodes": _total(run, ("trees", "nodes")),
        "tokens_written": _total(run, ("throughput", "generated_tokens")),
        "tokens_trained": _total(run, ("throughput", "trained_tokens")),
        "cost": None,
        "seconds": sum(_total(run, ("seconds", phase)) or 0.0 for phase in phases),
    }


def _status(run: Run) -> str:
    status = str(run.manifest.get("status", "unknown"))
    return "unfinished" if status == "running" else status


def _rise(run: Run, before: Evaluation | None, after: Evaluation | None) -> dict[str, Any] | None:
    """Paired by problem, as training reports it; None without both evaluations' outcomes."""
    if before is None or after is None or not before.outcomes or not after.outcomes:
        return None
    first, last = EvalResult(_attempts(before)), EvalResult(_attempts(after))
    resamples = number(run.settings, ("eval", "bootstrap"))
    return paired_rise(first, last, resamples=int(resamples or 2000), seed=run.seed or 0)


def _attempts(evaluation: Evaluation) -> dict[str, dict[str, list[bool]]]:
    return {
        agent: {
            p: [x is True for x in xs] for p, xs in mapping(tried).items() if isinstance(xs, list)
        }
        for agent, tried in mapping(evaluation.outcomes.get("attempts")).items()
    }


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


def _results_table(runs: Sequence[Mapping[str, Any]]) -> Table:
    """Before and after training; of evaluations alone, the result."""
    columns = ["run", "who", "metric", "before", "after", "rise"]
    rows = [row for run in runs for row in _result_rows(run)]
    found = Table("results", "Held-out results (95 % intervals over problems)", columns, rows)
    found = found.compact("before", "rise")
    if "before" in found.columns:
        return found
    columns = ["result" if c == "after" else c for c in found.columns]
    return Table("results", "Results (95 % intervals over problems)", columns, found.rows)


def _result_rows(run: Mapping[str, Any]) -> list[list[str]]:
    """Of a training run: before and after; of an evaluation: one result."""
    summaries = {e["label"]: e["summary"] for e in run["evaluations"]}
    first = summaries.get("before") or {}
    last = summaries.get("after") or summaries.get("result") or {}
    rows = []
    agents = list(dict.fromkeys([*first.get("agents", {}), *last.get("agents", {})]))
    rise = interval(run["rise"]["mean"], run["rise"]["ci95"], sign=True) if run["rise"] else ""
    alone = len(agents) == 1  # the mean of one agent is that agent
    for agent in agents:
        mine = [s.get("agents", {}).get(agent) or {} for s in (first, last)]
        sampled = {k for m in mine for k in m if re.fullmatch(r"pass@\d{1,6}", k)} - {"pass@1"}
        for key in ["pass@1", *sorted(sampled, key=lambda k: int(k[5:]))]:
            gained = rise if alone and key == "pass@1" else ""
            rows.append([run["name"], agent, key, *(_cell(m, key) for m in mine), gained])
    if rise and not alone:
        cells = [_cell(s.get("team") or {}, "pass@1") for s in (first, last)]
        rows.append([run["name"], "mean", "pass@1", *cells, rise])
    for key, title in TEAM.items():
        if any(key in (s.get("team") or {}) for s in (first, last)):
            cells = [_cell(s.get("team") or {}, key) for s in (first, last)]
            rows.append([run["name"], team_name(run["agents"]), title, *cells, ""])
    return rows


def _cell(values: Mapping[str, Any], key: str) -> str:
    """With its interval: `ci95` is by metric for a team, for an agent that of pass@1."""
    known = values.get("ci95")
    by_metric = known if isinstance(known, Mapping) else {"pass@1": known}
    by_metric = {**by_metric, **mapping(values.get("intervals"))}
    return interval(values.get(key), by_metric.get(key))


def _group_rows(group: Group, runs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    names = {r.name for r in group.runs}
    mine = [r for r in runs if r["name"] in names]
    keys: dict[tuple[str, str, str], None] = {}
    for agent in (a for r in mine for a in r["agents"]):
        keys["agents", agent, "pass@1"] = None
    if len(keys) > 1:
        keys["team", "mean", "pass@1"] = None
    keys |= {("team", group.runs[0].team, key): None for key in TEAM}
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


def _runs_table(runs: Sequence[Mapping[str, Any]]) -> Table:
    columns = [
        *("run", "status", "seed", "steps", "best held-out", "best reward"),
        *("trees", "nodes", "tokens written", "trained", "cost", "time"),
    ]
    table = Table("runs", "Runs", columns, [_run_row(run) for run in runs])
    return table.compact(*columns[3:])


def _run_row(run: Mapping[str, Any]) -> list[str]:
    top, reward, totals = run["best"]["held_out"], run["best"]["reward"], run["totals"]
    cost = totals["cost"]
    return [
        run["name"],
        run["status"],
        NOTHING if run["seed"] is None else str(run["seed"]),
        count(run["steps"] or None),
        f"{top['pass@1']:.3f} at step {top['step']}" if top else NOTHING,
        f"{reward['reward']:.3f} at step {reward['step']}" if reward else NOTHING,
        *(count(totals[k]) for k in ("trees", "nodes", "tokens_written", "tokens_trained")),
        NOTHING if cost is None else Score(f"{cost:.4g}", cost),
        NOTHING if totals["seconds"] is None else duration(totals["seconds"]),
    ]


def _training_rows(run: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for agent, found in run["training"].items():
        digits = {"reward": 3, "pass_rate": 3, "length": 1, "truncation_rate": 3}
        cells = [_change(found[name], places) for name, places in digits.items()]
        if any(c != NOTHING for c in cells):
            rows.append([run["name"], agent, *cells])
    return rows


def _settings_table(
    settings: Mapping[str, Mapping[str, Any]],
    key: str = "settings",
    title: str = "Settings that differ from the defaults",
) -> Table:
    """One column a group; with several, what differs between them comes first."""
    names = list(settings)
    keys = sorted({k for s in settings.values() for k in s})

    def cell(name: str, setting: str) -> str:
        if setting not in settings[name]:
            return NOTHING if setting.startswith("agents.") else "default"
        value = settings[name][setting]
        return value if isinstance(value, str) else json.dumps(value)

    rows = [[k, *(cell(n, k) for n in names)] for k in keys]
    rows.sort(key=lambda row: len(set(row[1:])) == 1 and len(names) > 1)
    head = names if len(names) > 1 else ["value"]
    return Table(key, title, ["setting", *head], rows)


def _change(pair: Sequence[float] | None, digits: int) -> str:
    return NOTHING if pair is None else f"{pair[0]:.{digits}f} → {pair[1]:.{digits}f}"


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
