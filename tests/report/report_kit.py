"""Run directories as training writes them, made in milliseconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def agent(reward: float, **more: Any) -> dict[str, Any]:
    return {
        "nodes": 8,
        "reward": reward,
        "pass_rate": reward,
        "refinements": 2,
        "samples": 6,
        "advantage": {"mean": reward - 0.5, "std": 1.0},
        "length": {"mean": 20.0, "p95": 31, "max": 32},
        "tokens": 160,
        "truncation_rate": 0.0,
        "empty_rate": 0.0,
    } | more


def update(kl: float = 0.01, **more: Any) -> dict[str, Any]:
    return {
        "samples": 6,
        "tokens": 120,
        "optimizer_steps": 1,
        "skipped_steps": 0,
        "loss": 0.1,
        "grad_norm": 0.2,
        "kl": kl,
        "ratio_mean": 1.0,
        "clip_fraction": 0.0,
        "correction_mean": 1.0,
        "correction_max": 1.2,
        "lr": 1e-4,
        "version": 1,
        "dual_clip_fraction": 0.0,
        "corrected_fraction": 0.25,
        "entropy": None,
    } | more


def row(step: int, rewards: dict[str, float], policies: dict[str, str]) -> dict[str, Any]:
    mean = sum(rewards.values()) / len(rewards)
    return {
        "step": step,
        "policies": {
            p: {
                "reward": mean,
                "stale": 0,
                "waiting": 0,
                "staleness": {"mean": 0.0, "max": 0, "dropped": 0},
                "update": update(kl=step / 100, loss=0.1 / step, grad_norm=0.2 + step / 10)
                if step % 2
                else None,
            }
            for p in dict.fromkeys(policies.values())
        },
        "agents": {name: agent(reward) for name, reward in rewards.items()},
        "trees": {
            "count": 2,
            "nodes": 16,
            "reward": mean,
            "pass_rate": mean,
            "pass_rate_generate": mean,
            "pass_rate_refine": None,
            "size": 8.0 + step % 3,
            "depth": 2.0,
            "root_width": 4.0,
            "informative_share": 1.0,
        },
        "throughput": {
            "generated_tokens": 320,
            "generated_tokens_per_second": 100.0 + step,
            "trained_tokens": 240,
            "trained_tokens_per_second": 200.0,
        },
        "seconds": {"rollout": 3.2, "update": 1.2, "checkpoint": 0.0, "evaluation": 0.0, "idle": 0},
    }


def evaluation(rates: dict[str, list[list[bool]]]) -> dict[str, Any]:
    """From attempts by agent and problem: as `mars2 train` writes it."""
    from mars2.evaluation.evaluate import EvalResult, TreeOutcome

    attempts = {
        a: {f"p{i}": xs for i, xs in enumerate(by_problem)} for a, by_problem in rates.items()
    }
    trees = {f"p{i}": TreeOutcome(True, True, 4, 0) for i in range(2)}
    result = EvalResult(attempts, trees)
    return {"summary": result.summary(resamples=50), "outcomes": result.to_json()}


def write_eval(
    path: Path,
    outcomes: dict[str, dict[str, list[bool]]],
    trees: dict[str, tuple[list[int], int | None]],
    info: dict[str, dict[str, Any]] | None = None,
    *,
    nodes: int = 4,
    settings: dict[str, Any] | None = None,
) -> Path:
    """As `mars2 eval --out` writes it.

    `trees`: by problem the nodes, of 0 to `nodes` − 1, that pass all tests, and the one selected
    in the end (None: the selector never found any).
    """
    from mars2.evaluation.outcomes import EvalResult, TreeOutcome
    from mars2.evaluation.results import details

    result = EvalResult(
        outcomes,
        {
            problem: TreeOutcome(
                selected=chosen in passed,
                any_passed=bool(passed),
                nodes=nodes,
                failed=0,
                order=tuple(range(nodes)),
                passed=tuple(passed),
                selected_at=((1, None),) if chosen is None else ((chosen + 1, chosen),),
            )
            for problem, (passed, chosen) in trees.items()
        },
    )
    known = {p: {"difficulty": None, "date": None, "format": "stdin"} for p in trees} | (info or {})
    path.mkdir(parents=True)
    agents = [{"name": n, "spec": f"micro:{n}", "policy": None, "role": "coder"} for n in outcomes]
    config = {"seed": 0, "agents": agents, "eval": {"bootstrap": 50}} | (settings or {})
    (path / "config.json").write_text(json.dumps(config))
    manifest = {"kind": "eval", "status": "finished", "problems": "abc"}
    (path / "manifest.json").write_text(json.dumps(manifest))
    results = {
        "source": "lab:lists",
        "seconds": 12.0,
        "spent": {"nodes": 40, "tokens": 1234, "seconds": 9.0, "cost": 0.25},
        **result.summary(resamples=50),
        "outcomes": result.to_json(),
        **details(result, known, resamples=50),
    }
    (path / "results.json").write_text(json.dumps(results))
    return path


BEFORE = evaluation({"lark": [[True, False], [False, False]], "loom": [[True, True], [False] * 2]})
AFTER = evaluation({"lark": [[True, True], [True, False]], "loom": [[True, True], [True] * 2]})
POLICIES = {"lark": "lark", "loom": "loom"}


def write_run(
    path: Path,
    *,
    steps: int = 6,
    seed: int = 0,
    policies: dict[str, str] | None = None,
    evaluations: dict[str, Any] | None = None,
    status: str = "finished",
    settings: dict[str, Any] | None = None,
    rewards: Any = lambda step, index: 0.2 + 0.05 * step + 0.1 * index,
) -> Path:
    policies = POLICIES if policies is None else policies
    path.mkdir(parents=True)
    config = {
        "seed": seed,
        "agents": [
            {"name": n, "spec": f"micro:{n}", "policy": p, "role": "coder"}
            for n, p in policies.items()
        ],
        "learner": {"lr": 1e-4},
        "train": {"steps": steps, "trackers": []},
        "eval": {"bootstrap": 50},
    } | (settings or {})
    (path / "config.json").write_text(json.dumps(config))
    (path / "manifest.json").write_text(
        json.dumps({"status": status, "steps_done": steps, "agents": policies})
    )
    rows = [
        row(s, {n: rewards(s, i) for i, n in enumerate(policies)}, policies)
        for s in range(1, steps + 1)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (path / "eval").mkdir()
    found = {"before": BEFORE, "after": AFTER} if evaluations is None else evaluations
    for label, data in found.items():
        (path / "eval" / f"{label}.json").write_text(json.dumps(data))
    return path
