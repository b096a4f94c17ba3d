"""What is read from an evaluation: headline, budget, groups, problems, diversity; and bad files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from report_kit import evaluation, write_eval, write_run

from mars2.report.page import html
from mars2.report.problems import Outcome
from mars2.report.write import Report, build_report, markdown, write_report

OUTCOMES = {
    "lark": {"p1": [True, False], "p2": [False, False], "p3": [True, True]},
    "loom": {"p1": [False, False], "p2": [False, False], "p3": [True, False]},
}
# p1: nodes 1 and 3 pass, 1 is chosen; p2: node 2 passes, another is chosen; p3: none passes.
TREES: dict[str, tuple[list[int], int | None]] = {
    "p1": ([1, 3], 1),
    "p2": ([2], 0),
    "p3": ([], None),
}
INFO = {
    "p1": {"title": "Sum", "difficulty": "hard", "date": "2024-02-03", "format": "stdin"},
    "p2": {"difficulty": "easy", "date": "2024-01-31T00:00:00", "format": "stdin"},
    "p3": {"difficulty": "easy", "date": None, "format": "stdin"},
}


def rows(report: Report, key: str) -> list[list[str]]:
    return next((t.rows for t in report.tables if t.key == key), [])


def numbers(cells: list[str]) -> list[str]:
    """Without intervals, which are random."""
    return [c.partition(" [")[0] for c in cells]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_eval(tmp_path / "run", OUTCOMES, TREES, INFO)


def test_the_headline_of_an_evaluation_by_hand(run: Path) -> None:
    report = build_report([run])
    table = next(t for t in report.tables if t.key == "results")
    assert table.columns == ["run", "who", "metric", "result"]
    assert [numbers(r)[1:] for r in table.rows] == [
        ["lark", "pass@1", "0.500"],
        ["lark", "pass@2", "0.667"],
        ["loom", "pass@1", "0.167"],
        ["loom", "pass@2", "0.333"],
        ["team", "Pass@1(MCTS)", "0.333"],
        ["team", "Pass@N", "0.667"],
    ]
    assert all("[" in r[3] for r in table.rows)
    assert rows(report, "runs") == [
        ["run", "finished", "0", "3", "40", "1,234", "0.25", "12 s"],
    ]
    assert ["source", "lab:lists"] in rows(report, "settings")


def test_the_budget_by_hand(run: Path) -> None:
    report = build_report([run])
    # Within 1 node nothing, within 2 p1, within 3 also p2's right node, which is never chosen.
    assert [numbers(r)[1:] for r in rows(report, "budget")] == [
        ["1", "0.000", "0.000"],
        ["2", "0.333", "0.333"],
        ["4", "0.333", "0.667"],
    ]
    (figure,) = (f for f in report.figures if f.name == "budget")
    (panel,) = figure.panels
    by_part = {x.part: x.curve for x in panel.lines}
    assert by_part["Pass@N"].steps == [1, 2, 3, 4]
    assert by_part["Pass@N"].values == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3])
    assert by_part["Pass@N"].high is not None
    assert (panel.x, panel.floor, panel.ceiling) == ("nodes of a tree", 0.0, 1.0)


def test_groups_by_hand(run: Path) -> None:
    report = build_report([run])
    assert [numbers(r)[1:] for r in rows(report, "difficulty")] == [
        ["easy", "2", "0.500", "0.250", "0.000", "0.500"],
        ["hard", "1", "0.500", "0.000", "1.000", "1.000"],
    ]
    assert [r[1] for r in rows(report, "month")] == ["2024-01", "2024-02", "unknown"]


def test_problems_by_hand(run: Path) -> None:
    report = build_report([run])
    first, second, third = report.problems.rows
    assert (first.id, first.title, first.difficulty, first.date) == (
        *("p1", "Sum"),
        *("hard", "2024-02-03"),
    )
    assert first.outcomes == [
        Outcome(2, 1),
        Outcome(2, 0),
        Outcome(selected=True, found=True, nodes=4),
    ]
    assert [o.solved for o in second.outcomes if o] == [False, False, False]
    assert third.date is None
    assert rows(report, "problems") == [
        ["p1", "Sum", "hard", "2024-02-03", "1/2", "0/2", "solved", "4"],
        ["p2", "", "easy", "2024-01-31", "0/2", "0/2", "found, not chosen", "4"],
        ["p3", "", "easy", "", "2/2", "1/2", "no", "4"],
    ]


def test_a_training_run_shows_each_problem_before_and_after(tmp_path: Path) -> None:
    report = build_report([write_run(tmp_path / "run")])
    assert rows(report, "problems")[1][:3] == ["p1", "0.00 → 0.50", "0.00 → 1.00"]


def test_training_runs_have_a_budget_too(tmp_path: Path, run: Path) -> None:
    outcomes = json.loads((run / "results.json").read_text())["outcomes"]
    after = {"summary": {"agents": {}, "team": {}}, "outcomes": outcomes}
    trained = write_run(tmp_path / "trained", evaluations={"after": after})
    assert len(rows(build_report([trained]), "budget")) == 3


def test_evaluations_side_by_side(tmp_path: Path, run: Path) -> None:
    alone = write_eval(
        tmp_path / "alone", {"lark": OUTCOMES["lark"] | {"p4": [True]}}, {}, settings={"seed": 0}
    )
    report = build_report([run, alone])
    assert [(s.run, s.agent) for s in report.problems.solvers] == [
        *(("run", "lark"), ("run", "loom"), ("run", None)),
        ("alone", "lark"),
    ]
    assert report.problems.rows[-1].outcomes == [None, None, None, Outcome(1, 1)]
    assert rows(report, "settings")[0] == [
        "agents.loom",
        "micro:loom, policy micro:loom",
        "–",
    ]
    (figure,) = (f for f in report.figures if f.name == "budget")
    assert [p.title for p in figure.panels] == ["Pass@N", "Pass@1(MCTS)"]


def test_the_same_team_on_other_problems_is_no_seed(tmp_path: Path, run: Path) -> None:
    other = write_eval(tmp_path / "other", OUTCOMES, TREES)
    manifest = json.loads((other / "manifest.json").read_text()) | {"problems": "another"}
    (other / "manifest.json").write_text(json.dumps(manifest))
    assert len(build_report([run, other]).groups) == 2


DIVERSITY: dict[str, Any] = {
    "levels": {
        "semantic": {
            "method": "embeddings",
            "agents": {
                "lark": {"diversity": 0.25, "ci95": [0.2, 0.3], "problems": 3, "solutions": 6}
            },
            "between": [
                {"a": "lark", "b": "loom", "diversity": 0.5, "ci95": [0.4, 0.6], "problems": 2}
            ],
            "steps": [
                {"step": s, "agent": "lark", "diversity": d} for s, d in ((1, 0.5), (9, 0.25))
            ],
        },
        "algorithmic": {"agents": None, "between": 7},
    },
    "duplicates": {"lark": {"solutions": 6, "exact": 1, "normalised": 2}},
    "error_overlap": [
        {
            **{"a": "lark", "b": "loom", "problems": 3},
            **{"both": 0.25, "only_a": 0.5, "only_b": 0.0, "neither": 0.25},
            **{"pass@2": 0.75, "pass@2_a": 0.875, "pass@2_b": 0.5, "gain": -0.125},
            "ci95": {"both": [0.125, 0.5], "gain": [-0.25, 0.0]},
        }
    ],
}


def test_diversity_is_shown_if_it_is_there(run: Path) -> None:
    without = build_report([run])
    assert f"mars2 diversity {run}" in markdown(without, drawn=False)
    (run / "diversity.json").write_text(json.dumps(DIVERSITY))
    report = build_report([run])
    assert "mars2 diversity" not in markdown(report, drawn=False)
    assert rows(report, "diversity-0") == [
        ["run", "lark", "0.250 [0.200, 0.300]", "3", "6"],
        ["run", "lark and loom", "0.500 [0.400, 0.600]", "2", "–"],
    ]
    assert rows(report, "diversity-duplicates") == [["run", "lark", "6", "1", "2"]]
    assert rows(report, "diversity-overlap") == [
        ["run", "lark and loom", "3", "0.250 [0.125, 0.500]", "0.500", "0.000", "0.250"]
    ]
    assert rows(report, "diversity-gain") == [
        ["run", "lark and loom", "0.750", "0.875", "0.500", "-0.125 [-0.250, 0.000]"]
    ]
    (figure,) = (f for f in report.figures if f.name == "diversity")
    assert figure.panels[0].lines[0].curve.steps == [1, 9]
    assert report.to_json()["runs"][0]["diversity"] == DIVERSITY


def test_a_method_is_said_once_under_its_level(run: Path) -> None:
    two = DIVERSITY["levels"] | {
        "algorithmic": {"method": "trees", "agents": {"lark": {"diversity": 0.5}}}
    }
    (run / "diversity.json").write_text(json.dumps(DIVERSITY | {"levels": two}))
    report = build_report([run])
    for text in (markdown(report, drawn=False), html(report, drawn=False)):
        places = [text.index(x) for x in ("Semantic", "embeddings", "Algorithmic", "trees.")]
        assert places == sorted(places)
        assert text.count("Method: embeddings.") == text.count("Method: trees.") == 1


def test_methods_that_differ_name_their_runs(tmp_path: Path, run: Path) -> None:
    other = write_eval(tmp_path / "other", OUTCOMES, TREES, settings={"seed": 1})
    for path, method in ((run, "embeddings"), (other, "words")):
        level = DIVERSITY["levels"]["semantic"] | {"method": method}
        (path / "diversity.json").write_text(json.dumps({"levels": {"semantic": level}}))
    table = next(t for t in build_report([run, other]).tables if t.key == "diversity-0")
    assert table.notes == ("Method: embeddings. (run)", "Method: words. (other)")
    assert [r[:2] for r in table.rows[::2]] == [["run", "lark"], ["other", "lark"]]


def test_the_trees_of_a_single_agent_are_no_teams(tmp_path: Path, run: Path) -> None:
    alone = write_eval(tmp_path / "alone", {"lark": OUTCOMES["lark"]}, TREES, INFO)
    report = build_report([run, alone])
    who = [(r[0], r[1]) for r in rows(report, "results") if r[2] == "Pass@N"]
    assert who == [("run", "team"), ("alone", "tree")]
    columns = next(t for t in report.tables if t.key == "problems").columns
    assert [c for c in columns if c.endswith(("team", "tree"))] == ["run · team", "alone · tree"]
    page = html(report, drawn=False)
    assert "by the tree of alone" in page
    assert "by the team of run" in page
    assert "team" in report.to_json()["runs"][1]["evaluations"][0]["summary"]  # keys are kept
    solo = {"after": evaluation({"lark": [[True, False], [True, True]]})}
    seeds = [
        write_run(tmp_path / f"one-{s}", seed=s, policies={"lark": "lark"}, evaluations=solo)
        for s in range(2)
    ]
    found = {r[1] for r in rows(build_report(seeds), "seeds")}
    assert "tree" in found
    assert "team" not in found


def test_an_evaluation_under_way_says_so(run: Path) -> None:
    (run / "results.json").unlink()
    (run / "manifest.json").write_text(json.dumps({"kind": "eval", "status": "running"}))
    report = build_report([run])
    assert rows(report, "runs")[0][1] == "unfinished"
    assert any("no results yet" in n for n in report.notes())


def test_torn_results_are_a_note(run: Path) -> None:
    text = (run / "results.json").read_text()
    (run / "results.json").write_text(text[: len(text) // 2])
    report = build_report([run])
    assert report.notes() == ["run: results.json cannot be read"]
    assert report.problems.rows == []


WRONG = (None, "text", [7, [10**400]], {"x": {"y": 7}}, float("nan"))


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: repr(w)[:12])
def test_any_part_may_be_anything(run: Path, wrong: Any, tmp_path: Path) -> None:
    """Each value of the file, at the first levels, replaced in turn."""
    whole = json.loads((run / "results.json").read_text())
    (run / "diversity.json").write_text(json.dumps(DIVERSITY))
    for path in _paths(whole, 4):
        _write(run / "results.json", whole, path, wrong)
        assert "nan" not in markdown(build_report([run]), drawn=False).lower(), path
    (run / "results.json").write_text(json.dumps(whole))
    for path in _paths(DIVERSITY, 4):
        _write(run / "diversity.json", DIVERSITY, path, wrong)
        build_report([run])
    write_report(build_report([run]), tmp_path / "out", figures=False)


def _paths(value: Any, depth: int) -> list[list[Any]]:
    """Of the first two members at each level."""
    if not depth or not isinstance(value, dict | list) or not value:
        return []
    keys = list(value) if isinstance(value, dict) else range(min(2, len(value)))
    return [p for k in keys for p in ([k], *([k, *rest] for rest in _paths(value[k], depth - 1)))]


def _write(path: Path, whole: Any, at: list[Any], value: Any) -> None:
    changed = json.loads(json.dumps(whole))
    inner = changed
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    path.write_text(json.dumps(changed))
