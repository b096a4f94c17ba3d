"""`mars2 eval` under every kind of budget, with prices, and what it says of what did not begin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

PROBLEMS = [
    {
        "id": f"p{i}",
        "statement": f"Return {i} times x.",
        "entry_point": "f",
        "public_tests": [{"kind": "functional", "args": [2], "expected": 2 * i}],
        "private_tests": [{"kind": "functional", "args": [5], "expected": 5 * i}],
    }
    for i in (1, 2, 3, 4)
]
# Every answer takes 1000 tokens; p1 is solved, the others never are.
AGENT = """
from mars2.types import Generation, Usage
def answer(messages, seed):
    text = "```python\\ndef f(x):\\n    return x\\n```"
    return Generation(text, usage=Usage(900, 100))
"""
TEAM = """
[[agents]]
name = "a"
spec = "scripted:{path}"
price_prompt = 1.0
price_completion = 11.0
"""
ANSWER_COST = (900 * 1.0 + 100 * 11.0) / 1e6


@pytest.fixture
def evaluate(mars2, tmp_path: Path):
    """Run with settings and options; the report."""
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(p) + "\n" for p in PROBLEMS))
    (tmp_path / "agent.py").write_text(AGENT)
    (tmp_path / "team.toml").write_text(TEAM.format(path=tmp_path / "agent.py"))

    def run(*options: object, **settings: Any) -> dict[str, Any]:
        chosen = [f"--set={key.replace('__', '.')}={value}" for key, value in settings.items()]
        done = mars2(
            "eval", "jsonl:p.jsonl", "--config", "team.toml", "--samples", 2, "--budget", 8,
            "--set=search.in_flight=2", "--set=search.concurrency=4",
            "--json", *chosen, *options,
        )  # fmt: skip
        assert done.code == 0, done.err
        return json.loads(done.out)

    return run


def nodes_by_problem(path: Path, results: str = "run") -> dict[str, int]:
    outcomes = json.loads((path / results / "results.json").read_text())["outcomes"]
    return {p: tree["nodes"] for p, tree in outcomes["trees"].items()}


def test_without_limits_everything_begins(evaluate) -> None:
    report = evaluate()
    assert report["spent"]["nodes"] == 4 * 2 + 4 * 8
    assert report["spent"]["tokens"] == 1000 * 40
    assert report["spent"]["cost"] == pytest.approx(40 * ANSWER_COST)
    assert (report["cut_attempts"], report["cut_trees"]) == (0, 0)
    assert report["agents"]["a"]["pass@1"] == 0.25


@pytest.mark.parametrize(
    "limit", [{"budget__problem_tokens": 3000}, {"budget__problem_cost": 3 * ANSWER_COST}]
)
def test_limits_of_a_problem_are_of_its_tree(evaluate, tmp_path: Path, limit: Any) -> None:
    report = evaluate("--out", "run", **limit)
    # The third answer reaches it; one more may be under way then.
    assert all(3 <= n <= 4 for n in nodes_by_problem(tmp_path).values())
    assert report["cut_attempts"] == 0
    assert report["agents"]["a"]["pass@2"] == 0.25


@pytest.mark.parametrize(
    ("limit", "most"),
    [
        ({"budget__nodes": 20}, 20),
        ({"budget__tokens": 20_000}, 23),
        ({"budget__cost": 20 * ANSWER_COST}, 23),
    ],
)
def test_limits_of_the_run_are_of_attempts_and_trees(evaluate, limit: Any, most: int) -> None:
    report = evaluate(**limit)
    assert 20 <= report["spent"]["nodes"] <= most
    assert report["spent"]["tokens"] == 1000 * report["spent"]["nodes"]
    assert (report["cut_attempts"], report["cut_trees"]) == (0, 0)
    assert report["agents"]["a"]["pass@1"] == 0.25


def test_what_does_not_begin_is_counted(evaluate, mars2) -> None:
    report = evaluate(budget__nodes=5)
    assert report["spent"]["nodes"] == 5
    assert (report["cut_attempts"], report["cut_trees"]) == (3, 4)
    assert "pass@n" not in report["team"]
    some = evaluate(budget__nodes=10, search__in_flight=1)
    assert (some["cut_attempts"], some["cut_trees"]) == (0, 2)
    assert some["team"]["pass@n"] == 0.25
    told = mars2(
        "eval", "jsonl:p.jsonl", "--config", "team.toml", "--samples", 2, "--set=budget.nodes=5"
    )
    assert "3 first attempts and 4 trees did not begin" in told.out
    assert "5 nodes, 5000 tokens, cost 0.01" in told.out


def test_seconds_of_the_run(evaluate) -> None:
    report = evaluate(budget__seconds=1e-9)
    assert report["spent"]["nodes"] == 0
    assert (report["cut_attempts"], report["cut_trees"]) == (8, 4)
    assert evaluate(budget__seconds=3600)["spent"]["nodes"] == 40


def test_seconds_of_a_problem(evaluate, tmp_path: Path) -> None:
    report = evaluate("--out", "run", budget__problem_seconds=1e-9)
    assert report["cut_attempts"] == 0
    # A wave begins at once, and nothing after it.
    assert all(1 <= n <= 2 for n in nodes_by_problem(tmp_path).values())


def test_what_a_solved_problem_leaves_goes_to_the_others(evaluate, tmp_path: Path) -> None:
    early = {"search__stop_on_success": "true", "search__in_flight": 1}
    evaluate("--out", "run", **early)
    assert nodes_by_problem(tmp_path) == {"p1": 1, "p2": 8, "p3": 8, "p4": 8}
    evaluate("--out", "shared", **early, budget__reallocate="true")
    shared = nodes_by_problem(tmp_path, "shared")
    assert shared["p1"] == 1
    assert sum(shared.values()) == 32
    assert max(shared.values()) - min(shared[p] for p in ("p2", "p3", "p4")) <= 1


def test_a_resumed_evaluation_spends_nothing_twice(evaluate, tmp_path: Path) -> None:
    first = evaluate("--out", "run", budget__tokens=20_000)
    again = evaluate("--out", "run", "--resume", budget__tokens=20_000)
    for key in ("agents", "team", "cut_attempts", "cut_trees"):
        assert again[key] == first[key]
    assert again["spent"]["tokens"] == first["spent"]["tokens"]
    journal = tmp_path / "run" / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[: len(lines) // 2]))
    half = evaluate("--out", "run", "--resume", budget__tokens=20_000)
    assert half["spent"]["tokens"] >= 20_000
    assert half["spent"]["nodes"] <= 23


def test_training_refuses_them_by_name(mars2) -> None:
    done = mars2(
        "train", "--agent", "a=micro:lark", "--out", "run", "--problems", "builtin",
        "--set=budget.tokens=5",
    )  # fmt: skip
    assert done.code == 2
    assert "budget.tokens is set" in done.err
