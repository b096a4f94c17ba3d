"""What is drawn for one run, for seeds, and for runs that are compared."""

from __future__ import annotations

import json
from pathlib import Path

from report_kit import AFTER, BEFORE, write_run

from mars2.report.panels import Figure, Panel, build_figures, colours_of
from mars2.report.runs import grouped, load_runs


def panels(*paths: Path) -> dict[str, Panel]:
    return {p.title: p for f in figures(*paths).values() for p in f.panels}


def figures(*paths: Path) -> dict[str, Figure]:
    return {f.name: f for f in build_figures(grouped(load_runs(paths)))}


def test_one_run_has_a_line_an_agent(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    found = panels(run)
    reward = found["Training reward"]
    assert [line.who for line in reward.lines] == ["lark", "loom"]
    assert reward.lines[0].curve.steps == [1, 2, 3, 4, 5, 6]
    assert reward.lines[1].curve.values[0] == 0.2 + 0.05 + 0.1
    assert reward.lines[0].curve.low is None
    assert [line.curve.steps for line in found["Loss"].lines] == [[1, 3, 5]] * 2  # its updates
    assert {(x.who, x.part, x.style) for x in found["Throughput"].lines} == {
        ("", "written", "solid"),
        ("", "trained", "dashed"),
    }
    assert colours_of(grouped(load_runs([run]))) == ["lark", "loom"]


def test_held_out_points_have_the_intervals_of_the_run(tmp_path: Path) -> None:
    found = panels(write_run(tmp_path / "run"))
    lark = found["Held-out pass@1"].lines[0]
    assert lark.marks
    assert lark.curve.steps == [0, 6]
    assert lark.curve.values == [0.25, 0.75]
    low, high = BEFORE["summary"]["agents"]["lark"]["ci95"]
    assert (lark.curve.low[0], lark.curve.high[0]) == (low, high)
    assert found["Team, selected answer"].lines[0].who == ""


def test_one_evaluation_is_no_curve(tmp_path: Path) -> None:
    assert "Held-out pass@1" not in panels(write_run(tmp_path / "a", evaluations={}))
    assert "Held-out pass@1" not in panels(
        write_run(tmp_path / "b", evaluations={"before": BEFORE}, status="running")
    )


def test_what_never_changes_is_said_and_not_drawn(tmp_path: Path) -> None:
    found = figures(write_run(tmp_path / "run"))
    titles = [p.title for p in found["optimisation"].panels]
    constant = found["optimisation"].constant
    assert constant["Clip fraction"] == 0
    assert constant["Corrections at the cap"] == 0.25
    assert "Rollout correction" in titles  # its mean and its maximum differ
    assert not set(constant) & set(titles)
    assert "Entropy" not in [*titles, *constant]  # never computed


def test_one_step_is_drawn_though_nothing_changes_yet(tmp_path: Path) -> None:
    (_, optimisation, *_) = figures(write_run(tmp_path / "run", steps=1)).values()
    assert optimisation.constant == {}
    assert "Clip fraction" in [p.title for p in optimisation.panels]


def test_policies_bear_the_name_of_their_only_agent(tmp_path: Path) -> None:
    shared = {"coder": "base", "mender": "base", "other": "second"}
    run = write_run(tmp_path / "run", policies=shared, evaluations={})
    assert [x.who for x in panels(run)["Gradient norm"].lines] == ["base", "other"]
    assert colours_of(grouped(load_runs([run]))) == ["coder", "mender", "other", "base"]


def test_seeds_are_one_line_with_a_band(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"run-{s}", seed=s, rewards=lambda step, i, s=s: 0.1 * s + 0.01 * step)
        for s in range(3)
    ]
    found = panels(*runs)
    lark = found["Training reward"].lines[0].curve
    assert (round(lark.low[0], 6), round(lark.values[0], 6), round(lark.high[0], 6)) == (
        0.01,
        0.11,
        0.21,
    )
    held_out = found["Held-out pass@1"].lines[0].curve
    assert held_out.low == held_out.high == held_out.values  # three equal evaluations


def test_compared_runs_share_a_panel_an_agent(tmp_path: Path) -> None:
    plain = write_run(tmp_path / "plain")
    alone = write_run(
        tmp_path / "alone",
        policies={"lark": "lark"},
        evaluations={"before": BEFORE, "after": AFTER},
    )
    found = panels(plain, alone)
    assert [x.who for x in found["Training reward · lark"].lines] == ["plain", "alone"]
    assert [x.who for x in found["Training reward · loom"].lines] == ["plain"]
    assert [x.who for x in found["Size"].lines] == ["plain", "alone"]
    assert colours_of(grouped(load_runs([plain, alone]))) == ["plain", "alone"]


def test_long_runs_are_smoothed_and_keep_the_raw_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", steps=60, rewards=lambda step, i: float(step % 2))
    line = panels(run)["Training reward"].lines[0]
    assert line.raw is not None
    assert set(line.raw.values) == {0.0, 1.0}
    assert all(0.3 < v < 0.7 for v in line.curve.values)


def test_lines_of_an_older_version_draw_what_they_have(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", steps=2)
    old = [
        {
            "step": s,
            "policies": {"lark": {"reward": 0.5, "update": None}},
            "agents": {"lark": {"nodes": 3 + s, "reward": s / 4}},
            "trees": {"pass_rate": s / 8},
            "seconds": {"rollout": 1.0, "update": 2.0, "checkpoint": 0.0},
        }
        for s in (1, 2)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in old))
    found = panels(run)
    assert {"Training reward", "Trees solved", "Time of a step", "Nodes"} <= set(found)
    assert "Output length" not in found
