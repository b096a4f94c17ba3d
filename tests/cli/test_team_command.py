"""`mars2 team suggest` on real evaluations by scripted agents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

PROBLEMS = [
    {
        "id": f"p{i}",
        "statement": f"Return {i} times x.",
        "entry_point": "f",
        "public_tests": [{"kind": "functional", "args": [0], "expected": 0}],
        "private_tests": [{"kind": "functional", "args": [5], "expected": 5 * i}],
    }
    for i in (1, 2, 3)
]
# Public tests pass whatever the factor, which is drawn from the seed; one agent often writes none.
AGENT = """
def answer(messages, seed):
    return f"```python\\ndef f(x):\\n    return {seed % FACTORS + 1} * x\\n```"
"""


@pytest.fixture
def evaluate(mars2, tmp_path: Path) -> Callable[[str, int], None]:
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(p) + "\n" for p in PROBLEMS))

    def run(name: str, factors: int) -> None:
        (tmp_path / f"{name}.py").write_text(AGENT.replace("FACTORS", str(factors)))
        agent = f"{name}=scripted:{tmp_path / name}.py"
        options = ("--samples", 6, "--budget", 1, "--out", name)
        done = mars2("eval", "jsonl:p.jsonl", "--agent", agent, *options)
        assert done.code == 0, done.err

    return run


def test_from_evaluations_of_each_agent_alone(
    mars2, evaluate: Callable[[str, int], None], tmp_path: Path
) -> None:
    evaluate("solver", 3)
    evaluate("novice", 2)
    done = mars2("team", "suggest", "solver", "novice", "--nodes", "4", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    alone = {a["name"]: a for a in found["agents"]}
    (team,) = found["teams"]
    assert team["nodes"] == {"solver": 2, "novice": 2}
    assert team["best_alone"] == max(alone, key=lambda a: alone[a]["pass@n"])
    assert team["pass@n"] > team["pass@1(mcts)"] > 0  # wrong programs pass the public test
    shown = mars2("team", "suggest", "solver", "novice", "--nodes", "4")
    assert "| solver 2, novice 2 | " in shown.out
    assert "Pass@1(MCTS) needs" not in shown.out

    # a file of before contenders were kept
    path = tmp_path / "solver" / "results.json"
    data = json.loads(path.read_text())
    del data["outcomes"]["contenders"]
    path.write_text(json.dumps(data))
    old = mars2("team", "suggest", "solver", "novice", "--nodes", "4")
    assert "| – " in old.out
    assert "--resume` on a finished run adds it" in old.out
    assert (
        json.loads(mars2("team", "suggest", "solver", "novice", "--nodes", "4", "--json").out)[
            "teams"
        ][0]["pass@1(mcts)"]
        is None
    )


def test_one_agent_is_no_team(mars2, evaluate: Callable[[str, int], None]) -> None:
    evaluate("solver", 3)
    done = mars2("team", "suggest", "solver")
    assert done.code == 2
    assert "at least 2 agents" in done.err
