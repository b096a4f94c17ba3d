"""`mars2 compare` on run directories with known outcomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mars2.config import RunConfig
from mars2.evaluation.outcomes import EvalResult, TreeOutcome


def write_run(
    path: Path,
    attempts: dict[str, list[bool]],
    solved: dict[str, bool] | None = None,
    *,
    seed: int = 0,
    agents: dict[str, dict[str, list[bool]]] | None = None,
) -> None:
    """A run of `mars2 eval`: attempts of agent "a", and trees whose answer passes or not."""
    trees = {p: TreeOutcome(ok, True, 4, 0) for p, ok in (solved or {}).items()}
    result = EvalResult(agents or {"a": attempts}, trees)
    path.mkdir()
    (path / "config.json").write_text(RunConfig(seed=seed).model_dump_json())
    (path / "manifest.json").write_text(json.dumps({"problems": "d1"}))
    (path / "results.json").write_text(
        json.dumps({"source": "x", **result.summary(resamples=50), "outcomes": result.to_json()})
    )


PROBLEMS = [f"p{i}" for i in range(8)]
# B solves p1…p7 alone, A solves p0 alone.
A_TREES = {p: p == "p0" for p in PROBLEMS}
B_TREES = {p: p != "p0" for p in PROBLEMS}
A_ATTEMPTS = {p: [False, False] for p in PROBLEMS}
B_ATTEMPTS = {p: [p in ("p0", "p1", "p2"), False] for p in PROBLEMS}


@pytest.fixture
def runs(tmp_path: Path) -> None:
    write_run(tmp_path / "A", A_ATTEMPTS, A_TREES)
    write_run(tmp_path / "B", B_ATTEMPTS, B_TREES, seed=5)


def by_metric(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {pair["metric"]: pair for pair in found["pairs"]}


@pytest.mark.usefixtures("runs")
def test_every_number_by_hand(mars2, tmp_path: Path) -> None:
    done = mars2("compare", "A", "B", "--json", "--out", "c.json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert json.loads((tmp_path / "c.json").read_text()) == found
    pairs = by_metric(found)
    picked = pairs["pass@1(mcts)"]
    assert (picked["a"], picked["b"], picked["problems"]) == ("A", "B", 8)
    assert (picked["a_value"], picked["b_value"], picked["difference"]) == (1 / 8, 7 / 8, 6 / 8)
    assert (picked["only_a"], picked["only_b"]) == (["p0"], PROBLEMS[1:])
    assert (picked["p"], picked["method"]) == (2 * (1 + 8) / 256, "McNemar exact")
    low, high = picked["ci95"]
    assert 0 < low < 6 / 8 < high <= 1
    rate = pairs["pass@1"]
    assert (rate["difference"], rate["method"]) == (3 * 0.5 / 8, "sign-flip permutation")
    assert rate["p"] == 2 / 8  # all three signs alike
    assert "only_a" not in rate
    # every tree holds a right node in both: no difference
    assert (pairs["pass@n"]["difference"], pairs["pass@n"]["p"]) == (0, 1)
    # Holm over the three: .0703 × 3, .25 × 2, 1
    adjusted = [pairs[m]["p_adjusted"] for m in ("pass@1(mcts)", "pass@1", "pass@n")]
    assert adjusted == pytest.approx([3 * 18 / 256, 0.5, 1])
    assert found["differing"] == {"seed": [0, 5]}


@pytest.mark.usefixtures("runs")
def test_a_table_for_people(mars2) -> None:
    done = mars2("compare", "A", "B")
    assert done.code == 0, done.err
    line = next(x for x in done.out.splitlines() if "pass@1(mcts)" in x)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:5] == ["A", "B", "pass@1(mcts)", "0.125", "0.875"]
    assert cells[5].startswith("+0.750 [+")
    assert cells[6:] == ["0.0703", "0.2109", "1 / 7"]
    assert "| seed " in done.out


@pytest.mark.usefixtures("runs")
def test_other_problems_are_refused_and_named(mars2, tmp_path: Path) -> None:
    write_run(tmp_path / "C", {"p0": [True], "q": [True]}, {"p0": True, "q": True})
    done = mars2("compare", "A", "C")
    assert done.code == 2
    assert "1 are in all of them" in done.err
    assert "A: p1, p2, p3, p4, p5 and 2 more; C: q" in done.err
    found = json.loads(mars2("compare", "A", "C", "--shared", "--json").out)
    assert {pair["problems"] for pair in found["pairs"]} == {1}
    write_run(tmp_path / "D", {"q": [True]})
    assert "no problem in common" in mars2("compare", "A", "D", "--shared").err


def test_lost_problems_are_left_out_of_their_metric_alone(mars2, tmp_path: Path) -> None:
    write_run(tmp_path / "A", {"p": [True], "q": []}, {"p": True, "q": True})
    write_run(tmp_path / "B", {"p": [False], "q": [True]}, {"q": True})
    found = json.loads(mars2("compare", "A", "B", "--json").out)
    pairs = by_metric(found)
    assert pairs["pass@1"]["problems"] == pairs["pass@n"]["problems"] == 1
    assert (pairs["pass@1"]["difference"], pairs["pass@1"]["only_a"]) == (-1, ["p"])
    assert pairs["pass@n"]["difference"] == 0


@pytest.mark.usefixtures("runs")
def test_pass_at_k_is_compared_where_asked(mars2) -> None:
    found = by_metric(json.loads(mars2("compare", "A", "B", "--k", "1,2", "--json").out))
    pair = found["pass@2"]
    # each of p0, p1, p2 has a right one among its two attempts
    assert (pair["a_value"], pair["b_value"], pair["problems"]) == (0, 3 / 8, 8)
    assert (pair["method"], pair["only_b"]) == ("McNemar exact", ["p0", "p1", "p2"])
    assert list(found) == ["pass@1", "pass@2", "pass@1(mcts)", "pass@n"]


def test_pass_at_k_of_several_agents(mars2, tmp_path: Path) -> None:
    for name, right in (("A", True), ("B", False)):
        agents = {"a": {"p": [right, False]}, "b": {"p": [True]}}
        write_run(tmp_path / name, {}, agents=agents)
    found = by_metric(json.loads(mars2("compare", "A", "B", "--k", "2", "--json").out))
    assert found["pass@2 of a"]["difference"] == -1
    assert "pass@2 of b" not in found  # one attempt only


def test_three_runs_agents_by_name_and_equal_folder_names(mars2, tmp_path: Path) -> None:
    for place, right in (("x", True), ("y", False), ("z", True)):
        (tmp_path / place).mkdir()
        agents = {"a": {"p": [right]}, "b": {"p": [True]}}
        write_run(tmp_path / place / "run", {}, agents=agents)
    found = json.loads(mars2("compare", "x/run", "y/run", "z/run", "--json").out)
    assert [run["name"] for run in found["runs"]] == ["x/run", "y/run", "z/run"]
    assert len(found["pairs"]) == 9
    of_a = [pair for pair in found["pairs"] if pair["metric"] == "pass@1 of a"]
    assert [pair["difference"] for pair in of_a] == [-1, 0, 1]
    assert found["differing"] == {}


def test_a_training_run_is_compared_before_and_after(mars2, tmp_path: Path) -> None:
    (tmp_path / "train" / "eval").mkdir(parents=True)
    for when, right in (("before", False), ("after", True), ("step00002", True)):
        result = EvalResult({"a": {"p": [right, False], "q": [False, False]}})
        data = {"summary": result.summary(resamples=50), "outcomes": result.to_json()}
        (tmp_path / "train" / "eval" / f"{when}.json").write_text(json.dumps(data))
    found = json.loads(mars2("compare", "train", "train/eval/step00002.json", "--json").out)
    assert [run["name"] for run in found["runs"]] == [
        "train:before",
        "train:after",
        "train:step00002",
    ]
    assert [pair["difference"] for pair in found["pairs"]] == [0.25, 0.25, 0]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["A"], "needs at least two evaluations, got A"),
        (["A", "B", "--k", "2,3"], "pass@3: no two runs have"),
        (["A", "B", "--k", "0"], "pass@0 does not exist"),
        (["A", "A"], "one run is given twice"),
        (["A", "nowhere"], "nowhere does not exist"),
        (["A", "empty"], "holds no finished evaluation"),
        (["A", "broken"], "is no evaluation that can be compared"),
        (["A", "B", "--out", "no/c.json"], "there is no directory"),
    ],
)
@pytest.mark.usefixtures("runs")
def test_what_cannot_be_compared_is_refused(mars2, tmp_path: Path, argv, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "results.json").write_text('{"outcomes": [1]}')
    done = mars2("compare", *argv)
    assert done.code == 2
    assert said in done.err


def test_of_an_agent_that_one_run_lacks_only_its_spec_is_listed(mars2, tmp_path: Path) -> None:
    for name, agents in (("A", ["x"]), ("B", ["x", "y"])):
        write_run(tmp_path / name, A_ATTEMPTS, A_TREES)
        specs = [{"name": a, "spec": "scripted:s", "temperature": 0.5} for a in agents]
        config = RunConfig.model_validate({"agents": specs})
        (tmp_path / name / "config.json").write_text(config.model_dump_json())
    found = json.loads(mars2("compare", "A", "B", "--json").out)
    assert found["differing"] == {"agents.y.spec": [None, "scripted:s"]}
    line = next(x for x in mars2("compare", "A", "B").out.splitlines() if "agents.y" in x)
    assert line.replace(" ", "") == "|agents.y.spec|–|scripted:s|"
