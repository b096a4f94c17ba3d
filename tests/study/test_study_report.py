"""From a summary alone to the page: verdicts as declared, the same bytes each time."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from study_kit import SMALL, study, summary, written

from mars2.cli.main import cli
from mars2.cli.study import power_plan
from mars2.errors import UsageError
from mars2.evaluation.outcomes import TreeOutcome
from mars2.study.analysis import compared, family_size, plateau
from mars2.study.page import build_report, markdown, write_study_report
from mars2.study.record import _compact, joint_failure
from mars2.study.results import Results
from mars2.study.spec import Study
from mars2.study.summary import dumps, read_summary, write_summary

RATES = {"base": 0.3, "tree": 0.4, "team": 0.9, "joined": 0.5}


@pytest.fixture
def declared(tmp_path: Path) -> Study:
    return study(tmp_path, **{"seeds = [0, 1]": "seeds = [0, 1, 2, 3, 4]"})


@pytest.fixture
def found(declared: Study) -> dict[str, Any]:
    return summary(declared, RATES)


def test_every_file_is_the_same_bit_for_bit(found: dict[str, Any], tmp_path: Path) -> None:
    write_summary(tmp_path / "summary.json", found)
    trees = []
    for name in ("one", "two"):
        out = tmp_path / name
        report = build_report(read_summary(tmp_path / "summary.json"))
        few = [f for f in report.figures if f.name.startswith("learning")]  # drawing takes long
        write_study_report(replace(report, figures=few), out)
        trees.append({p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()})
    assert trees[0] == trees[1]
    names = {str(name) for name in trees[0]}
    assert {
        "report.md",
        "report.html",
        "figures/learning.svg",
        "figures/learning-dark.svg",
    } <= names
    assert "figures/learning-controls.svg" in names
    page = trees[0][Path("report.html")].decode()
    assert "<script" not in page
    assert "http-equiv" in page
    assert str(tmp_path) not in page
    drawn = {f.name for f in build_report(found).figures}
    assert drawn == {
        f"{n}{c}" for n in ("learning", "search", "diversity") for c in ("", "-controls")
    }


def test_the_committed_miniature_is_that_of_its_summary() -> None:
    committed = Path(__file__).parents[2] / "studies" / "results" / "miniature"
    found = markdown(build_report(read_summary(committed / "summary.json")), drawn=False)
    assert found == (committed / "report.md").read_text(encoding="utf-8")


def test_the_command_regenerates_from_the_committed_summary(
    found: dict[str, Any], tmp_path: Path
) -> None:
    path = written(tmp_path)
    results = tmp_path / "results" / "small"
    write_summary(results / "summary.json", found)
    before = (results / "summary.json").read_bytes()
    for _ in range(2):
        ran = CliRunner().invoke(
            cli, ["study", "report", str(path), "--from-summary", "--no-figures"]
        )
        assert ran.exit_code == 0, ran.output
    assert (results / "summary.json").read_bytes() == before
    assert "team &gt; tree in ceiling" in (results / "report.html").read_text()
    assert "team > tree in ceiling" in (results / "report.md").read_text()


def test_verdicts_are_those_of_the_declaration(found: dict[str, Any]) -> None:
    results = Results(found)
    rows = {(c.comparison.metric, c.accounting): c for c in compared(results)}
    ceiling = rows["ceiling", "in_all"]
    assert ceiling.verdict == "held"
    assert ceiling.gap is not None
    assert ceiling.gap["mean"] > 0.3
    assert ceiling.agree == "5/5"
    assert ceiling.removed == pytest.approx(0.8, abs=0.2)
    # the same distribution of diversity: nothing to see, whatever was expected
    assert rows["diversity.algorithmic", "in_all"].verdict == "not shown"
    # Holm: no adjusted value is below the p value itself; the family is all that was declared
    assert len(rows) == family_size(results.study) == 4
    for row in rows.values():
        assert row.gap is not None
        assert row.adjusted >= row.gap["p"]
    least = min(rows.values(), key=lambda row: row.gap["p"] if row.gap else 1)
    assert least.gap is not None
    assert least.adjusted == pytest.approx(min(1, 4 * least.gap["p"]))
    opposite = copy.deepcopy(found)
    opposite["study"]["comparisons"][0] |= {"a": "tree", "b": "team"}
    assert compared(Results(opposite))[0].verdict == "opposite"


def test_no_verdict_before_all_seeds_are_there(found: dict[str, Any]) -> None:
    found["cells"] = [c for c in found["cells"] if (c["arm"], c["seed"]) != ("team", 1)]
    rows = compared(Results(found))
    assert {row.verdict for row in rows} == {"unfinished"}
    report = build_report(found)
    assert report.verdicts()[0][0].startswith("No verdict yet")
    assert "19 of 20 cells" in report.notes()[0]
    found["cells"] = [c for c in found["cells"] if c["arm"] == "base"]
    assert all(row.gap is None for row in compared(Results(found)))
    build_report(found)  # a page of what is there


def test_exploratory_comparisons_are_no_part_of_the_family(found: dict[str, Any]) -> None:
    later = {"a": "joined", "b": "base", "metric": "pass@1", "exploratory": True}
    found["study"]["comparisons"].append(later)
    report = build_report(found)
    assert family_size(report.results.study) == 4
    tables = {t.key: t for t in report.tables}
    assert [row[0] for row in tables["exploratory"].rows] == ["joined − base"] * 2
    assert "joined − base" not in [row[0] for row in tables["comparisons"].rows]


def test_the_ceiling_is_the_mean_of_the_last_measurements(found: dict[str, Any]) -> None:
    results = Results(found)
    cell = results.cells("team")[0]["systems"][0]
    wanted = [sum(p["rates"][a][0] for p in cell["points"][3:5] for a in ("lark", "loom")) / 4]
    assert results.values("team", "ceiling", "in_all")[0]["problem-0"] == pytest.approx(wanted[0])
    untrained = results.values("base", "ceiling", "in_all")
    assert untrained == results.values("base", "pass@1", "per_policy")
    assert len(results.along("team", "per_policy")) == 3


def test_search_is_counted_at_every_budget(found: dict[str, Any]) -> None:
    system = next(c for c in found["cells"] if (c["arm"], c["seed"]) == ("team", 0))["systems"][0]
    system["ends"]["in_all"]["trees"]["rep"][:3] = [[2, [2, 4]], [0, []], None]
    system["points"][4]["rates"] = {"lark": [0.5] * 12, "loom": [0.25] * 12}
    results = Results(found)

    def at(metric: str) -> list[float | None]:
        values = results.values("team", f"rep.{metric}", "in_all")[0]
        return [values.get(f"problem-{i}") for i in range(3)]

    assert [at(f"any@{n}")[0] for n in (1, 2, 3, 4)] == [0, 1, 1, 1]
    assert [at(f"mcts@{n}")[0] for n in (1, 2, 3, 4)] == [0, 1, 1, 0]
    assert at("mcts@3") == [1, 0, None]
    assert at("gain@3") == [0.625, -0.375, None]
    # the other accounting's trees are its own
    assert results.values("team", "rep.any@4", "per_policy")[0].keys() == set(results.problems)


def test_arms_of_several_teams_are_told_apart(found: dict[str, Any]) -> None:
    for cell in found["cells"]:
        if cell["arm"] == "tree":
            for system, rate in zip(cell["systems"], (0.25, 0.75), strict=True):
                for point in system["points"]:
                    point["rates"] = {a: [rate] * 12 for a in point["rates"]}
    table = next(t for t in build_report(found).tables if t.key == "teams-in_all")
    assert table.columns == ["arm", "team", "ceiling", "rep.mcts@4"]
    told = {(row[0], row[1]): row[2].partition(" ")[0] for row in table.rows}
    assert told.keys() == {(arm, one) for arm in ("base", "tree") for one in ("lark", "loom")}
    assert (told["tree", "lark"], told["tree", "loom"]) == ("0.250", "0.750")


def test_a_plateau_is_what_surely_rises_no_more(declared: Study) -> None:
    def state(last: list[float]) -> str:
        found = summary(declared, RATES, problems=50)
        for cell in found["cells"]:
            for system in cell["systems"]:
                for point, rate in zip(system["points"][-2:], last, strict=False):
                    point["rates"] = {a: [rate] * 50 for a in system["agents"]}
        return plateau(Results(found), "team", "in_all")[0]

    assert state([0.6, 0.601]) == "reached"
    assert state([0.6, 0.5]) == "reached"
    assert state([0.5, 0.7]) == "still rising"
    assert plateau(Results(summary(declared, RATES)), "base", "in_all")[0] == "untrained"


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            st.permutations(range(1, n + 1)),
            st.sets(st.integers(1, n)),
            st.lists(st.tuples(st.integers(1, n), st.none() | st.integers(1, n)), max_size=6),
        )
    )
)
def test_the_compact_tree_says_what_the_tree_says(
    drawn: tuple[list[int], set[int], list[tuple[int, int | None]]],
) -> None:
    order, passed, picked = drawn
    at = sorted(dict(picked).items())
    tree = TreeOutcome(False, bool(passed), len(order), 0, tuple(order), tuple(passed), tuple(at))
    first, turns = _compact(tree)
    for n in range(1, len(order) + 1):
        assert (0 < first <= n) == tree.passed_at(n)
        assert sum(turn <= n for turn in turns) % 2 == tree.selected_passed_at(n)


def test_joint_failure_is_of_two_attempts() -> None:
    yes, no = True, False
    assert joint_failure({"a": {"p": [yes, no, no]}}, "p") == pytest.approx(1 / 3)
    assert joint_failure({"a": {"p": [yes]}}, "p") is None
    two = {"a": {"p": [yes, no]}, "b": {"p": [no, no]}}
    assert joint_failure(two, "p") == pytest.approx(0.5)
    three = two | {"c": {"p": [yes, yes]}}
    assert joint_failure(three, "p") == pytest.approx(0.5 / 3)
    assert joint_failure(two | {"c": {}}, "p") is None


def test_a_summary_is_one_cell_a_line_and_comes_back(found: dict[str, Any], tmp_path: Path) -> None:
    write_summary(tmp_path / "s.json", found)
    assert read_summary(tmp_path / "s.json") == json.loads(dumps(found))
    assert (tmp_path / "s.json").read_text().count('{"format":1,"arm"') == 20
    (tmp_path / "s.json").write_text(dumps(found | {"format": 99}))
    with pytest.raises(UsageError, match="has format 99"):
        read_summary(tmp_path / "s.json")
    with pytest.raises(UsageError, match="no summary"):
        read_summary(tmp_path / "none.json")


def test_plans_take_the_variances_of_a_pilot(
    declared: Study, found: dict[str, Any], tmp_path: Path
) -> None:
    plan = power_plan(declared, tmp_path, None)
    assert [c["name"] for c in plan["comparisons"]] == ["any, on 3 problems"]
    assert (plan["seeds"], plan["family"]) == (5, 4)
    assert not plan["enough"]
    write_summary(tmp_path / "pilot.json", found)
    piloted = power_plan(declared, tmp_path, tmp_path / "pilot.json")
    assert len(piloted["comparisons"]) == 4
    least = min(piloted["comparisons"], key=lambda c: c["power"])
    assert piloted["least_certain"] == least["name"]
    other = found | {"cells": [c for c in found["cells"] if c["arm"] == "base"]}
    write_summary(tmp_path / "pilot.json", other)
    with pytest.raises(UsageError, match="none of the study's comparisons"):
        power_plan(declared, tmp_path, tmp_path / "pilot.json")


def test_commands_say_what_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL.replace("micro:loom", "micro:lynx"))

    def run(*words: str) -> tuple[int, str]:
        ran = CliRunner().invoke(cli, ["study", *words], standalone_mode=False)
        return ran.exit_code, ran.output + str(ran.exception or "")

    code, said = run("run", str(path), "--runs", str(tmp_path / "r"), "--dry-run")
    assert code == 0
    assert "team cannot be run here: agent loom: micro:lynx: unknown model" in said
    assert not (tmp_path / "r").exists()
    assert "some arms cannot be run here" in run("run", str(path), "--runs", str(tmp_path / "r"))[1]
    assert "arms are base, tree" in run("run", str(path), "--only", "nobody")[1]
    assert "`mars2 study run" in run("report", str(path))[1]
    assert "holds no study" in run("report", str(path), "--runs", str(tmp_path))[1]
