"""The tables of `training.py`, from the files of its runs alone: reading and arithmetic.

Pass rates are compared paired by problem and seed. Seeds and problems are crossed (every seed is
judged on the same problems), so the bootstrap draws both, seeds and problems, and takes the mean
of what they cross in; a draw of problems is the same for all its seeds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mars2.study.crossed import averaged

Rates = dict[str, float]  # problem → pass rate


def first_attempts(run: Path, last: int) -> tuple[float, int]:
    """Mean reward (all tests) of first attempts in the run's last steps, and how many those are.

    In a run that visits no problem twice, each step's problems are new to its policies.
    """
    rewards: dict[int, list[float]] = {}
    with open(run / "journal.jsonl", encoding="utf-8") as journal:
        for line in journal:
            event = json.loads(line)
            if event["event"] == "tell" and event["node"]["action"] == "generate":
                step = int(event["tree"].partition("/")[0].removeprefix("step"))
                rewards.setdefault(step, []).append(event["reward"])
    found = [r for step, rs in rewards.items() if step > max(rewards) - last for r in rs]
    return sum(found) / len(found), len(found)


def tuning_table(rows: Sequence[tuple[str, float, tuple[float, int]]]) -> str:
    """Arm by learning rate."""
    rates = sorted({rate for _, rate, _ in rows})
    cells = {(arm, rate): f"{mean:.3f} ({n})" for arm, rate, (mean, n) in rows}
    table = [
        [arm, *(cells.get((arm, rate), "") for rate in rates)]
        for arm in dict.fromkeys(arm for arm, _, _ in rows)
    ]
    return markdown(["arm", *(f"lr {rate:g}" for rate in rates)], table)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with aligned columns."""
    widths = [max(len(r[i]) for r in (head, *rows)) for i in range(len(head))]
    lines = [head, ["-" * w for w in widths], *rows]
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in lines
    )


def crossed_interval(
    table: np.ndarray, *, resamples: int = 4000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `table` [seeds, problems], both redrawn.

    Raises:
        ValueError: nothing to draw from.
    """
    seeds, problems = table.shape
    if not table.size:
        raise ValueError(f"a table of {seeds} seeds and {problems} problems has no mean")
    rng = np.random.default_rng(seed)
    drawn_seeds = rng.multinomial(seeds, [1 / seeds] * seeds, size=resamples)
    drawn_problems = rng.multinomial(problems, [1 / problems] * problems, size=resamples)
    sums = ((drawn_seeds @ table) * drawn_problems).sum(axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(sums / table.size, [tail, 1 - tail])
    return float(low), float(high)


def estimate(by_seed: Mapping[int, Rates]) -> dict[str, Any]:
    """Mean over seeds and problems, its interval, and the mean of each seed.

    Problems that a seed lacks (lost to the machinery) are left out of all.
    """
    shared = sorted(set.intersection(*(set(rates) for rates in by_seed.values())))
    table = np.array([[rates[p] for p in shared] for rates in by_seed.values()])
    return {
        "mean": float(table.mean()),
        "ci95": list(crossed_interval(table)),
        "seeds": {str(s): float(m) for s, m in zip(by_seed, table.mean(axis=1), strict=True)},
        "problems": len(shared),
    }


def difference(one: Mapping[int, Rates], other: Mapping[int, Rates]) -> dict[str, Any] | None:
    """`one` minus `other`, paired by seed and problem; None without a common seed."""
    pairs = {s: (one[s], other[s]) for s in one if s in other}
    if not pairs:
        return None
    return estimate({s: {p: a[p] - b[p] for p in a if p in b} for s, (a, b) in pairs.items()})


def build(out: Path, arms: Mapping[str, Sequence[str]], seeds: int) -> dict[str, Any]:
    """All tables as numbers.

    Args:
        arms: method → its runs' names, without the seed. A seed's runs count where they have
            got to; their mean once all have.
    """
    points: dict[str, dict[str, dict[str, dict[int, Rates]]]] = {}
    spent: dict[str, Any] = {}
    for method, names in arms.items():
        for seed in range(seeds):
            runs = [out / f"{name}-{seed}" for name in names]
            for point, rates in _pass_rates(runs).items():
                for who, found in rates.items():
                    by_who = points.setdefault(method, {}).setdefault(point, {})
                    by_who.setdefault(who, {})[seed] = found
            if all((run / "report.json").exists() for run in runs):
                spent.setdefault(method, []).append([_spent(run) for run in runs])
    return {
        "settings": _settings(out, arms),
        "pass@1": {
            method: {
                point: {who: estimate(by_seed) for who, by_seed in found.items()}
                for point, found in by_point.items()
            }
            for method, by_point in points.items()
        },
        "rise": {
            method: {
                point: difference(by[point]["mean"], by["before"]["mean"])
                for point in COUNTS
                if "mean" in by.get(point, {}) and "mean" in by["before"]
            }
            for method, by in points.items()
        },
        "comparisons": _comparisons(points),
        "search": _searches(out, seeds),
        "spent": {method: _total(rows) for method, rows in spent.items()},
    }


COUNTS = ("per policy", "in all")
PAIRS = (
    ("tree", "grpo"),
    ("team", "tree"),
    ("team", "grpo"),
    ("tree-unshaped", "grpo"),
    ("tree", "tree-unshaped"),
    ("team-grpo", "grpo"),
    ("team", "team-grpo"),
    ("team", "team-unshaped"),
)


def _comparisons(points: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one, other in PAIRS:
        if one in points and other in points:
            found[f"{one} - {other}"] = {
                count: {
                    who: difference(points[one][count][who], points[other][count][who])
                    for who in points[one][count]
                    if who in points[other][count]
                }
                for count in COUNTS
                if count in points[one] and count in points[other]
            }
    return found


FAMILIES = {"lab-lists-": "lists", "lab-strings-": "strings"}


def _pass_rates(runs: Sequence[Path]) -> dict[str, dict[str, Rates]]:
    """Point of the training → model, "mean", or model and family → rates of first attempts."""
    found: dict[str, dict[str, Rates]] = {}
    for point in ("before", *COUNTS):
        files = [_evaluation(run, point) for run in runs]
        for path in files:
            if not path.exists():
                continue
            attempts = json.loads(path.read_text(encoding="utf-8"))["outcomes"]["attempts"]
            for agent, by_problem in attempts.items():
                rates = {p: sum(x) / len(x) for p, x in by_problem.items() if x}
                found.setdefault(point, {})[agent] = rates
        if point in found and all(path.exists() for path in files):
            found[point]["mean"] = averaged(list(found[point].values()))
    for rates in found.values():
        whole = {who: by_problem for who, by_problem in rates.items() if who != "mean"}
        for agent, by_problem in whole.items():
            for start, family in FAMILIES.items():
                part = {p: rate for p, rate in by_problem.items() if p.startswith(start)}
                if part:
                    rates[f"{agent} {family}"] = part
    return found


def _evaluation(run: Path, point: str) -> Path:
    """The run's evaluation at that point; of a team's run the last one is both counts'."""
    if point == "per policy" and (run / "config.json").exists():
        every = json.loads((run / "config.json").read_text())["train"]["eval_every"]
        if every:
            return run / "eval" / f"step{every:05d}.json"
    return run / "eval" / ("before.json" if point == "before" else "after.json")


def _searches(out: Path, seeds: int) -> dict[str, Any]:
    """Metric → who searched → method → estimate; and the methods' differences."""
    found: dict[str, dict[str, dict[str, dict[int, Rates]]]] = {}
    for path in sorted(out.glob("search-*/results.json")):
        method, who, seed = path.parent.name.removeprefix("search-").rsplit("-", 2)
        if int(seed) >= seeds:
            continue
        trees = json.loads(path.read_text(encoding="utf-8"))["outcomes"]["trees"]
        for metric, key in (("Pass@1(MCTS)", "selected"), ("Pass@N", "any_passed")):
            rates = {p: float(tree[key]) for p, tree in trees.items()}
            by_who = found.setdefault(metric, {}).setdefault(who, {})
            by_who.setdefault(method, {})[int(seed)] = rates
    tables: dict[str, Any] = {}
    for metric, by_who in found.items():
        for who, by_method in by_who.items():
            row = {m: estimate(by_seed) for m, by_seed in by_method.items()}
            pairs = [(a, b) for a, b in PAIRS if a in by_method and b in by_method]
            gaps = {f"{a} - {b}": difference(by_method[a], by_method[b]) for a, b in pairs}
            tables.setdefault(metric, {})[who] = {"rates": row, "differences": gaps}
    return tables


def _spent(run: Path) -> dict[str, float]:
    """What a run used: counts over its policies, and sums over its steps."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line) for line in lines]
    policies = [p for step in steps for p in step["policies"].values()]
    updates = [p["update"] for p in policies if p["update"]]
    return {
        "policies": len(steps[0]["policies"]),
        "nodes": sum(s["trees"]["nodes"] for s in steps),
        "least nodes of a policy": min(
            sum(s["policies"][name]["nodes"] for s in steps) for name in steps[0]["policies"]
        ),
        "updates": sum(u["optimizer_steps"] for u in updates),
        "samples": sum(u["samples"] for u in updates),
        "trees": sum(s["trees"]["count"] for s in steps),
        "informative": sum(s["trees"]["informative"] for s in steps),
        "refinements": sum(s["trees"]["refinements"] for s in steps),
    }


def _total(rows: Sequence[Sequence[dict[str, float]]]) -> dict[str, float]:
    """Means over seeds of what one run, or one policy, used."""
    runs = [run for row in rows for run in row]
    total = {key: sum(run[key] for run in runs) for key in runs[0]}
    return {
        "nodes a run": total["nodes"] / len(runs),
        "nodes a policy": total["nodes"] / total["policies"],
        "least nodes of a policy": min(run["least nodes of a policy"] for run in runs),
        "updates a policy": total["updates"] / total["policies"],
        "samples a policy": total["samples"] / total["policies"],
        "informative trees": total["informative"] / total["trees"],
        "refinements": total["refinements"] / total["nodes"],
    }


def _settings(out: Path, arms: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What the report has to say about each method's runs, from their own configs."""
    found: dict[str, Any] = {}
    for method, names in arms.items():
        for path in sorted(out.glob(f"{names[0]}-[0-9]*/config.json")):
            c = json.loads(path.read_text(encoding="utf-8"))
            found[method] = {
                "lr": c["learner"]["lr"],
                "strategy": c["search"]["strategy"],
                "in flight": c["search"]["in_flight"],
                "shaping": c["credit"]["shaping_gamma"],
                "level": c["objective"]["level"],
                "steps": c["train"]["steps"],
                "trees a step": c["train"]["trees_per_step"],
                "nodes a tree": c["search"]["nodes"],
                "held-out problems": c["problems"]["heldout_limit"],
                "samples": c["eval"]["samples"],
            }
    return found


def show(report: Mapping[str, Any]) -> str:
    """All tables, as Markdown."""
    parts = ["Settings", _plain(report["settings"])]
    for families in (False, True):
        kind = "by family of problems" if families else "of the models and their mean"
        parts += [f"Held-out pass@1, {kind}", _pass_table(report, families)]
        rows = [
            [
                pair,
                count,
                who,
                _cell(gap, "+"),
                ", ".join(f"{x:+.3f}" for x in gap["seeds"].values()),
            ]
            for pair, by_count in report["comparisons"].items()
            for count, by_who in by_count.items()
            for who, gap in by_who.items()
            if gap is not None and (" " in who) == families
        ]
        head = ["difference", "nodes equal", "who", "value [95 %]", "by seed"]
        parts += ["Differences, paired by seed and problem", markdown(head, rows)]
    for metric, by_who in report["search"].items():
        rows = [
            [who, kind, _cell(value, "+" if " - " in kind else ""), str(len(value["seeds"]))]
            for who, found in by_who.items()
            for kind, value in (found["rates"] | found["differences"]).items()
        ]
        parts += [f"Held-out {metric}", markdown(["who", "method", "value [95 %]", "seeds"], rows)]
    if report["spent"]:
        parts += ["What finished runs used, means over seeds", _plain(report["spent"])]
    return "\n\n".join(parts)


def _pass_table(report: Mapping[str, Any], families: bool) -> str:
    table, rises = report["pass@1"], report["rise"]
    found = {who for by_point in table.values() for by_who in by_point.values() for who in by_who}
    columns = sorted((w for w in found if (" " in w) == families), key=lambda w: (w != "mean", w))
    rows = []
    for method, by_point in table.items():
        for point, by_who in by_point.items():
            cells = [_cell(by_who[who], "") if who in by_who else "" for who in columns]
            rise = rises[method].get(point)
            seeds = by_who.get("mean", {"seeds": {}})["seeds"]
            last = [] if families else [_cell(rise, "+") if rise else "", str(len(seeds))]
            rows.append([method, point, *cells, *last])
    last = [] if families else ["rise of the mean", "seeds"]
    return markdown(["method", "nodes equal", *columns, *last], rows)


def _plain(table: Mapping[str, Mapping[str, Any]]) -> str:
    head = ["method", *next(iter(table.values()))]
    rows = [[m, *(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values())]
            for m, row in table.items()]  # fmt: skip
    return markdown(head, rows)


def _cell(value: Mapping[str, Any], sign: str) -> str:
    low, high = value["ci95"]
    return f"{value['mean']:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
