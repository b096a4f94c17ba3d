"""Runs compared in a report: the numbers of `mars2 compare`, where they mean something."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from report_kit import write_eval, write_run

from mars2.cli.main import main
from mars2.evaluation.compare import compare, load_evaluated
from mars2.report.comparison import MOST
from mars2.report.page import html
from mars2.report.write import Report, build_report, markdown, write_report

IDS = [f"p{i}" for i in range(8)]


def evaluated(path: Path, solved: int, ids: list[str] = IDS, **more: Any) -> Path:
    """Trees solve the first `solved` problems; each agent's attempts are half right."""
    trees: dict[str, tuple[list[int], int | None]] = {
        p: ([0], 0) if i < solved else ([], None) for i, p in enumerate(ids)
    }
    return write_eval(path, {"lark": {p: [True, False] for p in ids}}, trees, **more)


def compared(report: Report) -> list[list[str]]:
    return next((t.rows for t in report.tables if t.key == "compare"), [])


def test_two_evaluations_by_hand(tmp_path: Path) -> None:
    runs = [evaluated(tmp_path / "one", 2), evaluated(tmp_path / "two", 7)]
    report = build_report(runs)
    same, selected, found = compared(report)
    assert same == ["one", "two", "pass@1", "0.500", "0.500", *same[5:]]
    assert same[5].startswith("+0.000 [")
    assert same[6:] == ["1.0000", "–", "–"]
    assert [c.partition(" [")[0] for c in selected] == [
        *("one", "two", "Pass@1(MCTS)", "0.250", "0.875"),
        # McNemar: 0 against 5 is 2/2⁵; three comparisons.
        *("+0.625", "0.1875", "0", "5"),
    ]
    assert found[2:] == ["Pass@N", *selected[3:]]
    assert report.to_json()["comparison"] == compare(load_evaluated(runs)) | {
        "runs": report.to_json()["comparison"]["runs"],
        "differing": {},
    }
    assert "adjusted for the number of comparisons (Holm)" in markdown(report, drawn=False)


def test_it_is_drawn_around_zero(tmp_path: Path) -> None:
    other = evaluated(tmp_path / "two", 2, settings={"search": {"strategy": "mcts"}})
    report = build_report([evaluated(tmp_path / "one", 7), other])
    page = html(report, drawn=False)
    results = page[page.index('id="results"') : page.index('id="settings"')]
    assert "−0.625" in results
    assert "Differences are drawn from −1 to +1." in results
    places = [float(x) for x in re.findall(r'signed".*?--v:([\d.]+)%', results)]
    assert places == [50.0, 18.8, 18.8]  # (1 − 0.625) / 2
    assert results.count('<td class="k1"><span class="chip"></span>two</td>') == 3


def test_training_before_and_after(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    report = build_report([run])
    theirs = compare(load_evaluated([run]))["pairs"]
    assert compared(report)[0][:3] == ["before", "after", "pass@1"]
    assert [float(r[6]) for r in compared(report)] == pytest.approx(
        [p["p_adjusted"] for p in theirs], abs=1e-4
    )
    # One that is continued has no present state to compare with.
    manifest = json.loads((run / "manifest.json").read_text()) | {"status": "running"}
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert compared(build_report([run])) == []


def test_runs_of_different_problems_are_not_compared(tmp_path: Path) -> None:
    one = evaluated(tmp_path / "one", 2)
    other = evaluated(tmp_path / "other", 2, [*IDS[1:], "q"])
    report = build_report([one, other])
    assert compared(report) == []
    assert report.to_json()["comparison"] is None
    for text in (markdown(report, drawn=False), html(report, drawn=False)):
        assert f"mars2 compare {one} {other} --shared" in text
    apart = evaluated(tmp_path / "apart", 2, ["q", "r"])
    assert "mars2 compare" not in markdown(build_report([one, apart]), drawn=False)


def test_many_runs_are_left_to_the_command(tmp_path: Path, capfd) -> None:
    runs = [evaluated(tmp_path / f"run{i}", i, settings={"x": i}) for i in range(MOST + 1)]
    assert len(compared(build_report(runs[:MOST]))) == 3 * MOST * (MOST - 1) // 2
    assert "<summary>Compared on the same problems</summary>" in html(
        build_report(runs[:MOST]), drawn=False
    )
    assert compared(build_report(runs)) == []
    out = str(tmp_path / "out")
    with pytest.raises(SystemExit, match="0"):
        main(["report", *map(str, runs), "--no-figures", "--out", out])
    command = " ".join(["mars2 compare", *map(str, runs)])
    assert command in capfd.readouterr().out
    assert command in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize("wrong", [None, "text", [7, [10**400]], {"x": 7}, float("nan")])
def test_broken_outcomes_are_left_out(tmp_path: Path, wrong: Any) -> None:
    one, two = evaluated(tmp_path / "one", 2), evaluated(tmp_path / "two", 3)
    whole = json.loads((two / "results.json").read_text())
    for at in (
        ["attempts"],
        ["attempts", "lark"],
        ["attempts", "lark", "p0"],
        ["trees"],
        ["trees", "p0"],
        ["trees", "p0", "selected"],
    ):
        data = json.loads(json.dumps(whole))
        place = data["outcomes"]
        for key in at[:-1]:
            place = place[key]
        place[at[-1]] = wrong
        (two / "results.json").write_text(json.dumps(data))
        write_report(build_report([one, two]), tmp_path / "out", figures=False)
