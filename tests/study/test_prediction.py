"""What foretells a team's gain: declared without contradiction, and computed as elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_kit import study

from mars2.diversity.overlap import error_overlap
from mars2.diversity.team import Attempts, Member, suggest
from mars2.errors import ConfigError, ResumeError
from mars2.study.crossed import estimate
from mars2.study.grid import make_grid
from mars2.study.page import build_report
from mars2.study.predict import Predicted, predicted, spearman
from mars2.study.results import Results
from mars2.study.spec import Study
from mars2.study.store import described, open_store

TEXT = """
title = "Foretold"
seeds = [0, 1, 2]

[settings.problems]
heldout_limit = 3
[settings.search]
nodes = 8
[settings.train]
trees_per_step = 4

[models.a1]
member = "a1"
overlap = 0.0
[models.b0]
member = "a2"
overlap = 0.0
[models.b50]
member = "a2"
overlap = 0.5
[models.b100]
member = "a2"
overlap = 1.0

[agents]
a1 = { model = "a1" }
b0 = { model = "b0" }
b50 = { model = "b50" }
b100 = { model = "b100" }

[nodes]
in_all = 128
between = 32

[arms.base]
about = "untrained"
train = "none"
teams = [["a1"], ["b0"], ["b50"], ["b100"]]
settings = { eval = { samples = 8 } }
[arms.alone]
about = "alone"
teams = [["a1"], ["b0"], ["b50"], ["b100"]]
[arms.far]
about = "disjoint"
teams = [["a1", "b0"]]
[arms.half]
about = "half"
teams = [["a1", "b50"]]
[arms.near]
about = "the same"
teams = [["a1", "b100"]]

[evaluations.rep]
nodes = 4
settings = { search = { strategy = "repeated" } }

[predictions.training]
before = "base"
x = ["joint_failure_excess", "expected_gain@4", "overlap", "agents"]
y = ["ceiling", "rep.any@4"]
over = [["far", "alone"], ["half", "alone"], ["near", "alone"]]

[power]
effect = 0.1
sd_seed = 0.02
sd_problem = 0.1
sd_rest = 0.2
"""
PAIRS = {"far": "b0", "half": "b50", "near": "b100"}
PROBLEMS = [f"problem-{i}" for i in range(40)]


def summary(declared: Study) -> dict[str, Any]:
    """b0 fails where a1 does not, b100 where it does; pairs gain 0.3, 0.2 and 0.1 in training."""
    rng = np.random.default_rng(3)
    hard = np.arange(len(PROBLEMS)) % 2 == 0
    chance = {"a1": hard, "b0": ~hard, "b100": hard}
    gains = {"far": 0.3, "half": 0.2, "near": 0.1}

    def rate(agent: str) -> list[float]:
        mean = np.where(chance[agent], 0.2, 0.8) if agent in chance else np.full(len(hard), 0.5)
        return [float(x) / 8 for x in rng.binomial(8, mean)]

    def system(agents: list[str], rates: dict[str, list[float]], end: str) -> dict[str, Any]:
        first = [int(x) for x in rng.integers(0, 5, len(PROBLEMS))]
        facts = {
            "point": 0,
            "joint_failure": [None] * len(PROBLEMS),
            "diversity": {},
            "spent": {},
            "trees": {"rep": [[n, [n] if n else []] for n in first]},
        }
        point = {"nodes": 0, "rates": rates, "joint_failure": None, "diversity": {}}
        return {"name": "+".join(agents), "agents": agents, "points": [point], "ends": {end: facts}}

    cells = []
    for seed in declared.seeds:
        for arm, spec in declared.arms.items():
            systems = []
            for team in spec.teams:
                if arm in gains:
                    noise = 0.02 * rng.standard_normal(len(PROBLEMS))
                    of = {a: [float(x) for x in 0.5 + gains[arm] + noise] for a in team}
                elif arm == "alone":
                    of = {a: [0.4 if a == "a1" else 0.5] * len(PROBLEMS) for a in team}
                else:
                    of = {a: rate(a) for a in team}
                systems.append(system(team, of, "untrained" if arm == "base" else "in_all"))
            cells.append({"format": 1, "arm": arm, "seed": seed, "systems": systems})
    return {
        "format": 1,
        "name": "foretold",
        "study": described(declared),
        "problems": PROBLEMS,
        "cells": cells,
    }


@pytest.fixture
def declared(tmp_path: Path) -> Study:
    return study(tmp_path, TEXT)


@pytest.fixture
def results(declared: Study) -> Results:
    return Results(summary(declared))


def one(results: Results) -> Predicted:
    (found,) = predicted(results)
    return found


def mean(by_seed: Any) -> float:
    return float(estimate(by_seed)["mean"])


def test_gains_are_over_the_best_member_alone(results: Results) -> None:
    teams = one(results).teams
    assert [t.label for t in teams] == ["far", "half", "near"]
    assert [t.best["ceiling"] for t in teams] == ["b0", "b50", "b100"]
    assert [mean(t.y["ceiling"]) for t in teams] == pytest.approx([0.3, 0.2, 0.1], abs=0.01)
    raw = results.summary["study"]["predictions"]["training"]
    raw["against"] = "mean"
    teams = one(Results(results.summary)).teams
    assert [mean(t.y["ceiling"]) for t in teams] == pytest.approx([0.35, 0.25, 0.15], abs=0.01)
    assert teams[0].best == {}


def test_what_is_known_before_is_that_of_team_suggest(results: Results) -> None:
    rows = results.summary["cells"]
    results.summary["cells"][:] = [c for c in rows if c["seed"] == 0]
    base = next(c for c in results.summary["cells"] if c["arm"] == "base")
    attempts = {
        s["agents"][0]: {
            p: [i < round(8 * x) for i in range(8)]
            for p, x in zip(PROBLEMS, s["points"][0]["rates"][s["agents"][0]], strict=True)
        }
        for s in base["systems"]
    }
    overlap = {(o["a"], o["b"]): o for o in error_overlap(attempts)}
    declared = results.summary["study"]["predictions"]["training"]
    declared["x"].append("joint_failure")
    found = suggest(
        [Member(a, a, {p: Attempts(x) for p, x in of.items()}) for a, of in attempts.items()],
        nodes=4,
        resamples=10,
    )
    expected = {tuple(t["agents"]): t["gain"] for t in found["teams"]}
    results = Results(results.summary)
    for team in one(results).teams:
        pair = ("a1", PAIRS[team.label])
        assert mean(team.x["joint_failure_excess"]) == pytest.approx(
            overlap[pair]["joint_failure_excess"]
        )
        assert mean(team.x["joint_failure"]) == pytest.approx(overlap[pair]["neither"])
        assert mean(team.x["expected_gain@4"]) == pytest.approx(expected[pair])
        assert mean(team.x["agents"]) == 2
    assert [mean(t.x["overlap"]) for t in one(results).teams] == pytest.approx([0, 0.5, 1])


def test_the_order_of_teams_is_found(results: Results) -> None:
    ranks = {(r.x, r.y): r for r in one(results).ranks}
    assert len(ranks) == 8
    excess = ranks["joint_failure_excess", "ceiling"]
    assert excess.rho == pytest.approx(-1)
    assert excess.ci95 == pytest.approx([-1, -1])
    # b50 solves half of every problem: four attempts of it are worth more than two of a1 and two
    assert ranks["expected_gain@4", "ceiling"].rho == pytest.approx(0.5)
    assert ranks["agents", "ceiling"].rho is None  # all of two
    noise = ranks["joint_failure_excess", "rep.any@4"]  # drawn alike for all teams
    assert noise.ci95 is not None
    assert noise.ci95[0] <= -0.5 < 0.5 <= noise.ci95[1]
    # unfinished: what there is, and no number out of nothing
    results.summary["cells"][:] = [c for c in results.summary["cells"] if c["arm"] != "near"]
    short = one(Results(results.summary))
    assert {(r.rho, r.teams) for r in short.ranks} == {(None, 2)}
    results.summary["cells"][:] = [c for c in results.summary["cells"] if c["arm"] != "base"]
    assert {r.teams for r in one(Results(results.summary)).ranks if r.x == "agents"} == {2}
    assert {r.teams for r in one(Results(results.summary)).ranks if "excess" in r.x} == {0}


def test_the_report_shows_them(results: Results) -> None:
    report = build_report(dict(results.summary))
    tables = {t.key: t for t in report.tables}
    gains = tables["prediction-training"]
    assert gains.columns[:5] == ["team", "members", *results.study.predictions["training"].x[:3]]
    assert [row[4] for row in gains.rows] == ["0", "0.5", "1"]
    ranks = tables["prediction-training-ranks"]
    assert ranks.rows[0] == ["joint_failure_excess", "ceiling", "3", "-1.000 [-1.000, -1.000]"]
    figure = next(f for f in report.figures if f.name == "prediction-training")
    assert [len(p.lines) for p in figure.panels] == [3] * 8
    assert [line.who for line in figure.panels[0].lines] == ["far", "half", "near"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('before = "base"', 'before = "bass"', "predictions.training: there is no arm 'bass'"),
        ('before = "base"', 'before = "alone"', "alone is trained: name an arm that is not"),
        ('["near", "alone"]', '["near", "alone", "far"]', "give pairs [arm, arm of its members"),
        (', ["near", "alone"]', "", "2 teams; an order needs 3"),
        ('["near", "alone"]', '["far", "alone"]', "each named once"),
        ('["near", "alone"]', '["near", "base"]', "one of near and base is trained"),
        ('["near", "alone"]', '["near", "half"]', "half has no team of a1 alone"),
        ('"agents"]', '"age"]', "'age' foretells nothing known"),
        ("gain@4", "gain@9", "base has 8 attempts"),
        ("gain@4", "gain@1", "teams of up to 2 need"),
        ('"ceiling"', '"joint_failure"', "is no rate of what is solved"),
        ("any@4", "any@5", "rep has 1 to 4 nodes"),
        ('"rep.any@4"', '"rap.any@4"', "there is no 'rap'"),
        ("nodes = 4\n", 'nodes = 4\narms = ["far"]\n', "is not measured of alone at the end"),
        ('b50 = { model = "b50" }', 'b50 = { spec = "micro:loom" }', "overlap is known of"),
        ('before = "base"', 'before = "base"\naccounting = "per_policy"', "is not given"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        study(tmp_path, TEXT, **{old: new})
    assert said in str(error.value)


def test_attempts_before_training_are_as_many_as_the_arm_says(declared: Study) -> None:
    cells = {c.arm: c for c in make_grid(declared, Path("/tmp/none")).cells}
    assert {s.config.eval.samples for s in cells["base"].searches if not s.evaluation} == {8}
    assert {r.config.eval.samples for r in cells["far"].runs()} == {4}


def test_predictions_are_declared_beforehand_or_exploratory(tmp_path: Path) -> None:
    begun = TEXT[: TEXT.index("[predictions")] + TEXT[TEXT.index("[power]") :]
    open_store(tmp_path / "a", study(tmp_path, begun))
    assert "predictions" not in (tmp_path / "a" / "study.json").read_text()  # as it was before
    with pytest.raises(ResumeError, match=r"predictions\.training added after the study began"):
        open_store(tmp_path / "a", study(tmp_path, TEXT))
    late = TEXT.replace('before = "base"', 'before = "base"\nexploratory = true')
    open_store(tmp_path / "a", study(tmp_path, late))
    with pytest.raises(ResumeError, match=r"predictions\.training"):
        open_store(tmp_path / "a", study(tmp_path, begun))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=3, max_size=7), st.randoms())
def test_rank_correlation_is_of_the_order_alone(values: list[int], rng: Any) -> None:
    x = np.array([values], dtype=float)
    y = np.exp(x)
    rho = spearman(x, y)[0]
    if len(set(values)) == 1:
        assert np.isnan(rho)
        return
    assert rho == pytest.approx(1)
    assert spearman(x, -y)[0] == pytest.approx(-1)
    other = np.array([rng.sample(range(len(values)), len(values))], dtype=float)
    order = np.argsort(other[0])
    assert spearman(x, other)[0] == pytest.approx(spearman(x[:, order], other[:, order])[0])


def test_rank_correlation_as_by_hand() -> None:
    # ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: 4.5 / sqrt(4.5 * 5)
    found = spearman(np.array([[1.0, 2, 2, 3]]), np.array([[10.0, 30, 20, 40]]))
    assert found[0] == pytest.approx(4.5 / np.sqrt(22.5))
