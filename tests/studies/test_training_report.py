"""The training study's arithmetic and reading: intervals, pairing, and which files give what."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mars2.config import load_config

sys.path.insert(0, str(Path(__file__).parents[2] / "studies"))

import training
import training_report as report

SMALL: dict[str, Any] = {
    "seeds": 1, "steps": 2, "trees": 4, "nodes": 3, "in_flight": 2, "problems": 2, "samples": 2,
    "search_problems": 2, "only": None, "tune": False, "half": False,
    "minutes": None, "out": Path("/runs"),
}  # fmt: skip


def options(**changes: Any) -> argparse.Namespace:
    return argparse.Namespace(**(SMALL | changes))


def test_an_interval_counts_what_seeds_differ_in():
    rng = np.random.default_rng(1)
    problems = rng.random(50)
    same = np.tile(problems, (3, 1))
    apart = same + np.array([[-0.3], [0.0], [0.3]])

    def width(table: np.ndarray) -> float:
        low, high = report.crossed_interval(table)
        return high - low

    assert same.mean() == pytest.approx(apart.mean())
    assert width(apart) > 1.5 * width(same)
    # seeds that agree add nothing to the problems' own spread: a normal interval of their mean
    assert width(same) == pytest.approx(2 * 1.96 * problems.std() / 50**0.5, rel=0.08)


def test_problems_are_drawn_once_for_all_seeds():
    # were they drawn apart for each seed, three equal seeds would shrink this by sqrt(3)
    one = np.random.default_rng(2).random((1, 60))
    narrow, wide = (np.diff(report.crossed_interval(np.tile(one, (n, 1)))) for n in (1, 3))
    assert wide == pytest.approx(narrow, rel=0.08)


def test_a_constant_has_no_width_and_nothing_no_mean():
    assert report.crossed_interval(np.full((3, 7), 0.25)) == pytest.approx((0.25, 0.25))
    with pytest.raises(ValueError, match="0 seeds"):
        report.crossed_interval(np.zeros((0, 7)))


def test_differences_are_paired():
    one = {0: {"p": 0.9, "q": 0.2}, 1: {"p": 1.0, "q": 0.5}, 2: {"p": 1.0}}
    other = {1: {"q": 0.4, "p": 0.9}, 0: {"p": 0.8, "q": 0.1}, 3: {"p": 0.0}}
    gap = report.difference(one, other)
    assert gap is not None
    assert gap["mean"] == pytest.approx(0.1)
    assert gap["ci95"] == pytest.approx([0.1, 0.1])  # the same everywhere, whatever is drawn
    assert set(gap["seeds"]) == {"0", "1"}
    assert report.difference({0: {"p": 1.0}}, {1: {"p": 1.0}}) is None


def test_first_attempts_of_the_last_steps_only(tmp_path: Path):
    def told(step: int, action: str, reward: float) -> dict[str, Any]:
        tree = f"step{step:05d}/p/0"
        return {"event": "tell", "tree": tree, "reward": reward, "node": {"action": action}}

    events = [
        {"event": "header"},
        told(1, "generate", 0.0),
        {"event": "ask", "tree": "step00002/p/0"},
        told(2, "generate", 1.0),
        told(2, "refine", 0.0),
        told(3, "generate", 0.5),
    ]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    assert report.first_attempts(tmp_path, last=2) == (0.75, 2)


def evaluated(run: Path, label: str, attempts: dict[str, dict[str, list[bool]]]) -> None:
    (run / "eval").mkdir(parents=True, exist_ok=True)
    (run / "eval" / f"{label}.json").write_text(json.dumps({"outcomes": {"attempts": attempts}}))


def test_one_agent_counts_half_way_and_at_the_end_a_team_at_its_end(tmp_path: Path):
    for name, rate in (("lark", [True, False]), ("loom", [True, True])):
        run = tmp_path / f"grpo-{name}-0"
        run.mkdir()
        (run / "config.json").write_text(json.dumps({"train": {"eval_every": 34}}))
        evaluated(run, "before", {name: {"p": [False, False]}})
        evaluated(run, "step00034", {name: {"p": rate}})
        evaluated(run, "after", {name: {"p": [True, True]}})
    runs = [tmp_path / "grpo-lark-0", tmp_path / "grpo-loom-0"]
    found = report._pass_rates(runs)
    assert found["before"]["mean"] == {"p": 0.0}
    assert found["per policy"] == {"lark": {"p": 0.5}, "loom": {"p": 1.0}, "mean": {"p": 0.75}}
    assert found["in all"]["mean"] == {"p": 1.0}
    (runs[0] / "eval" / "after.json").unlink()  # killed before: what there is still counts
    assert report._pass_rates(runs)["in all"] == {"loom": {"p": 1.0}}
    team = tmp_path / "team-0"
    team.mkdir()
    (team / "config.json").write_text(json.dumps({"train": {"eval_every": 0}}))
    evaluated(team, "before", {"lark": {"p": [False]}, "loom": {"p": [False]}})
    evaluated(team, "after", {"lark": {"p": [True]}, "loom": {"p": [False]}})
    found = report._pass_rates([team])
    assert found["per policy"]["mean"] == found["in all"]["mean"] == {"p": 0.5}


def test_accountings_are_equal_in_nodes():
    job = training.training("grpo", "grpo-lark", 0, options())
    team = training.training("team", "team", 0, options())

    def nodes(train: dict[str, Any], steps: int) -> int:
        return steps * train["trees_per_step"]

    one, both = job.settings["train"], team.settings["train"]
    assert nodes(one, one["steps"]) == nodes(both, both["steps"])
    assert nodes(one, one["eval_every"]) * 2 == nodes(both, both["steps"])
    # training, and three evaluations of 2 problems with 2 attempts and a tree of one node
    assert job.nodes() == 4 * 2 * 3 + 3 * 2 * (2 + 1)


@pytest.mark.parametrize("method", training.METHODS)
def test_every_method_is_a_valid_config_that_survives_toml(method: str):
    for arm in training.arms(method):
        settings = training.training(method, arm, 1, options()).settings
        config = load_config(base=tomllib.loads(training.toml(settings)))
        assert config.seed == 1
        assert [a.name for a in config.agents] == (
            ["lark", "loom"] if training.is_team(method) else [arm.rpartition("-")[2]]
        )
        vanilla = method.endswith("grpo")
        assert (config.search.strategy == "repeated") == vanilla
        assert (config.credit.shaping_gamma == 0) == (method not in ("tree", "team"))
        assert config.train.time_budget_s is None


def test_finished_runs_are_skipped_and_begun_ones_resumed(tmp_path: Path, monkeypatch):
    calls: list[list[str]] = []
    monkeypatch.setattr(training, "call", lambda argv, log, until: calls.append(argv[3:]))
    given = options(out=tmp_path, only="tree")
    first, second = training.plan(given)
    assert (first.name, second.name) == ("tree-lark-0", "tree-loom-0")
    (tmp_path / first.name).mkdir()
    (tmp_path / first.name / "report.json").touch()
    (tmp_path / second.name).mkdir()
    (tmp_path / second.name / "config.json").touch()
    training.execute([first, second], given)
    assert [argv[0] for argv in calls] == ["train"]
    assert str(tmp_path / second.name) in calls[0]
    assert calls[0][-1] == "--resume"
    calls.clear()
    half = second.half(tmp_path)
    assert half is not None
    half.parent.mkdir(parents=True)
    half.touch()
    training.execute([first, second], options(out=tmp_path, only="tree", half=True))
    assert calls == []


def test_a_run_is_interrupted_half_way_and_a_failing_one_is_an_error(tmp_path: Path):
    mark = tmp_path / "mark"
    program = f"import pathlib, time; pathlib.Path({str(mark)!r}).touch(); time.sleep(600)"
    with open(tmp_path / "log", "w") as log:
        training.call([sys.executable, "-c", program], log, mark)
        with pytest.raises(subprocess.CalledProcessError):
            training.call([sys.executable, "-c", "raise SystemExit(3)"], log, None)
