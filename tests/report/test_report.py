"""The files of a report, and the command that writes them."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from report_kit import AFTER, BEFORE, evaluation, row, write_run

from mars2.cli.main import main
from mars2.errors import UsageError
from mars2.report.curves import Curve
from mars2.report.figures import LIGHT, again, draw_figures
from mars2.report.panels import Figure, Line, Panel, colours_of
from mars2.report.write import build_report, markdown, write_report


def run_command(*argv: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["report", *(str(a) for a in argv)])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def table(report, start: str) -> list[list[str]]:
    return next(t.rows for t in report.tables if t.title.startswith(start))


def test_numbers_by_hand(tmp_path: Path) -> None:
    report = build_report([write_run(tmp_path / "run")])
    (run,) = report.summary["runs"]
    # lark solves 1 of 4 attempts before and 3 of 4 after; loom 2 of 4 and 4 of 4: by problem,
    # the mean rises by (1 − 3/4) and (3/4 − 0).
    assert run["rise"]["mean"] == pytest.approx((0.25 + 0.75) / 2)
    assert run["rise"]["problems"] == 2
    assert run["best"]["held_out"] == {"step": 6, "pass@1": 0.875}
    assert run["best"]["reward"]["step"] == 6
    assert run["best"]["reward"]["reward"] == pytest.approx(0.55)
    assert run["totals"] == {
        "trees": 12,
        "nodes": 96,
        "tokens_written": 1920,
        "tokens_trained": 1440,
        "cost": None,
        "seconds": pytest.approx(26.4),
    }
    rows = table(report, "Held-out")
    assert rows[0][:3] == ["run", "lark", "pass@1"]
    assert rows[0][3].startswith("0.250 [")
    assert rows[1][:3] == ["run", "lark", "pass@2"]
    assert rows[4][1] == "mean"
    assert rows[4][5].startswith("+0.500 [")
    assert table(report, "Runs")[0][:6] == [
        *("run", "finished", "0", "6"),
        *("0.875 at step 6", "0.550 at step 6"),
    ]
    assert table(report, "Training")[0][:3] == ["run", "lark", "0.250 → 0.500"]
    settings = dict(table(report, "Settings"))
    assert settings["learner.lr"] == "0.0001"
    assert settings["agents.loom"] == "micro:loom, policy loom"
    assert settings["train.steps"] == "6"
    assert "seed" not in settings


def test_the_mean_of_one_agent_is_no_row_of_its_own(tmp_path: Path) -> None:
    before = evaluation({"lark": [[True, False], [False, False]]})
    after = evaluation({"lark": [[True, True], [True, False]]})
    evaluations = {"before": before, "after": after}
    report = build_report(
        [
            write_run(
                tmp_path / f"run-{s}", seed=s, policies={"lark": "lark"}, evaluations=evaluations
            )
            for s in range(2)
        ]
    )
    rows = table(report, "Held-out")
    assert "mean" not in [row[1] for row in rows]
    assert rows[0][:3] == ["run-0", "lark", "pass@1"]
    assert rows[0][5].startswith("+0.500 [")


def test_seeds_and_compared_settings(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"tree-{s}", seed=s) for s in range(2)]
    runs += [write_run(tmp_path / "plain", settings={"learner": {"lr": 2e-4}})]
    report = build_report(runs)
    rows = table(report, "Held-out results over seeds")
    assert rows[0] == [
        *("tree (2 runs)", "lark", "pass@1"),
        *("0.250 (0.250 to 0.250)", "0.750 (0.750 to 0.750)"),
    ]
    assert {r[0] for r in rows} == {"tree (2 runs)"}
    settings = table(report, "Settings")
    assert settings[0] == ["learner.lr", "0.0001", "0.0002"]  # what differs comes first


def test_the_files_are_the_same_bytes_again(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = write_run(tmp_path / "run")
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        write_report(build_report([run]), out)
    files = sorted(p.relative_to(outs[0]) for p in outs[0].rglob("*") if p.is_file())
    assert Path("figures/learning-dark.svg") in files
    for file in files:
        assert (outs[0] / file).read_bytes() == (outs[1] / file).read_bytes(), file
    page = (outs[0] / "report.md").read_text()
    for figure in ("learning", "optimisation", "search", "outputs", "speed"):
        assert f'src="figures/{figure}.svg"' in page
        for suffix in (".svg", "-dark.svg"):
            root = ElementTree.parse(outs[0] / "figures" / f"{figure}{suffix}").getroot()
            assert root.tag.endswith("svg")
        png = (outs[0] / "figures" / f"{figure}.png").read_bytes()
        width, height = struct.unpack(">II", png[16:24])
        assert width > 400
        assert height > 300


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    bad = tmp_path / "a$b$<script>|x"
    runs = [write_run(bad), write_run(tmp_path / "_b", settings={"learner": {"lr": 1.0}})]
    report = build_report(runs)
    page = markdown(report, drawn=True)
    assert "<script>" not in page
    assert r"a$b$&lt;script>\|x" in page
    (drawn,) = draw_figures(report.figures[:1], colours_of(report.groups), tmp_path / "out")
    ElementTree.parse(drawn)


def test_lines_that_share_a_colour_differ_in_their_dashes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    names = [f"n{i}" for i in range(len(LIGHT.cycle) + 1)]
    lines = [Line(n, Curve([1, 2], [0.1 * i, 0.2])) for i, n in enumerate(names)]
    panel = Panel("Rate", "share", lines)
    (drawn,) = draw_figures([Figure("many", "Many", [panel])], names, tmp_path)
    dashed = [
        element.get("style", "")
        for element in ElementTree.parse(drawn).iter("{http://www.w3.org/2000/svg}path")
        if "stroke-dasharray" in element.get("style", "")
    ]
    assert len(dashed) == 2  # in the panel and in the legend
    assert all(LIGHT.cycle[0] in style for style in dashed)
    assert [again(n, names) for n in names] == [False] * len(LIGHT.cycle) + [True]


def test_the_command_on_a_torn_unfinished_run(tmp_path: Path, capfd) -> None:
    run = write_run(tmp_path / "run", evaluations={"before": BEFORE}, status="running")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "pol')
    assert run_command(run, "--no-figures") == 0
    seen = capfd.readouterr()
    assert "unfinished" in seen.out
    assert "note: run: metrics.jsonl: 1 broken line left out" in seen.out
    assert "report.html" in seen.err
    assert (run / "report" / "report.md").exists()
    assert not (run / "report" / "figures").exists()


def test_json_is_one_object_with_the_curves(tmp_path: Path, capfd) -> None:
    run = write_run(tmp_path / "run")
    assert run_command(run, "--json", "--no-figures", "--out", tmp_path / "out") == 0
    seen = capfd.readouterr()
    assert len(seen.out.splitlines()) == 1
    data = json.loads(seen.out)
    assert data == json.loads((tmp_path / "out" / "report.json").read_text())
    learning = next(f for f in data["figures"] if f["name"] == "learning")
    reward = next(p for p in learning["panels"] if p["title"] == "Training reward")
    assert reward["lines"][0]["curve"]["steps"] == [1, 2, 3, 4, 5, 6]


def test_several_runs_are_reported_beside_the_first(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "runs" / f"run-{s}", seed=s, steps=2) for s in range(2)]
    assert run_command(*runs, "--no-figures") == 0
    assert (tmp_path / "runs" / "report" / "report.md").exists()


def test_without_matplotlib_the_tables_are_there(tmp_path: Path, capfd, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    run = write_run(tmp_path / "run")
    assert run_command(run) == 2
    seen = capfd.readouterr()
    assert "lark" in seen.out
    assert "pip install 'mars2[report]', or use --no-figures" in seen.err
    assert "figures/" not in (run / "report" / "report.md").read_text()
    assert run_command(run, "--no-figures") == 0


def test_a_run_without_metrics_has_tables_and_no_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = write_run(tmp_path / "run", steps=0, evaluations={}, status="failed")
    (run / "metrics.jsonl").unlink()
    report = build_report([run])
    assert report.figures == []
    write_report(report, tmp_path / "out")
    assert table(report, "Runs") == [["run", "failed", "0", "0 s"]]


def test_null_everywhere_is_no_error(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = write_run(tmp_path / "run", steps=1)
    empty = json.dumps(row(2, {"lark": 0.0, "loom": 0.0}, {"lark": "lark"}))
    with (run / "metrics.jsonl").open("a") as file:
        file.write(empty.replace("0.0", "null") + "\n")
    nothing = json.loads(json.dumps(AFTER).replace("0.75", "null"))
    (run / "eval" / "after.json").write_text(json.dumps(nothing))
    report = build_report([run])
    draw_figures(report.figures[:1], colours_of(report.groups), tmp_path / "out")
    assert "nan" not in markdown(report, drawn=True)


def test_no_run_is_a_usage_error(tmp_path: Path, capfd) -> None:
    assert run_command(tmp_path) == 2
    assert "is no run" in capfd.readouterr().err
    assert run_command() == 2
    with pytest.raises(UsageError):
        build_report([tmp_path / "none"])
