"""Run directories in every state that a run can leave them in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from report_kit import AFTER, BEFORE, POLICIES, row, write_run

from mars2.errors import UsageError
from mars2.report.runs import grouped, load_run, load_runs, number


def append(run: Path, text: str) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(text)


def test_a_finished_run(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "run", seed=4))
    assert (run.name, run.seed, run.last_step, run.notes) == ("run", 4, 6, [])
    assert run.agents == POLICIES
    assert [(e.label, e.step) for e in run.evaluations] == [("before", 0), ("after", 6)]


def test_torn_repeated_and_missing_lines_are_noted(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", steps=3)
    again = row(3, {"lark": 0.9, "loom": 0.9}, POLICIES)
    late = row(6, {"lark": 0.8, "loom": 0.8}, POLICIES)
    append(path, f"{json.dumps(again)}\n[1, 2]\n{json.dumps(late)}\n" + '{"step": 7, "agen')
    run = load_run(path)
    assert [r["step"] for r in run.rows] == [1, 2, 3, 6]
    assert number(run.rows[2], ("agents", "lark", "reward")) == 0.9
    notes = " ".join(run.notes)
    assert "2 broken lines left out" in notes
    assert "1 step(s) written more than once; the last counts" in notes
    assert "2 step(s) missing" in notes


def test_a_whole_last_line_without_its_newline_counts(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", steps=2)
    text = (path / "metrics.jsonl").read_text()
    (path / "metrics.jsonl").write_text(text.rstrip("\n"))
    assert load_run(path).last_step == 2


def test_a_run_before_its_first_step(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", steps=0, evaluations={}, status="running")
    (path / "metrics.jsonl").unlink()
    run = load_run(path)
    assert (run.rows, run.evaluations, list(run.agents)) == ([], [], ["lark", "loom"])


def test_metrics_alone_are_enough(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", evaluations={})
    (path / "config.json").unlink()
    (path / "manifest.json").write_text('{"status": ')
    run = load_run(path)
    assert run.agents == {"lark": "lark", "loom": "loom"}
    assert {"config.json is missing", "manifest.json cannot be read"} <= set(run.notes)


def test_a_continued_run_forgets_the_evaluation_of_its_former_end(tmp_path: Path) -> None:
    middle = {"before": BEFORE, "step00004": AFTER, "after": AFTER}
    ended = load_run(write_run(tmp_path / "a", evaluations=middle))
    assert [e.step for e in ended.evaluations] == [0, 4, 6]
    running = load_run(write_run(tmp_path / "b", evaluations=middle, status="running"))
    assert [e.step for e in running.evaluations] == [0, 4]
    assert "the evaluation after training is of before the run was continued" in running.notes


def test_what_went_wrong_is_told(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", steps=1)
    bad = row(2, {"lark": 0.5, "loom": 0.5}, POLICIES)
    bad["policies"]["lark"] |= {"update": {"skipped_steps": 3}, "halted": "no finite loss"}
    append(path, json.dumps(bad) + "\n")
    (path / "manifest.json").write_text('{"status": "failed", "error": "MemoryError: 3 GB"}')
    notes = load_run(path).notes
    assert "failed: MemoryError: 3 GB" in notes
    assert "lark: 3 optimizer step(s) skipped, not finite" in notes
    assert "lark stopped learning: no finite loss" in notes


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a directory"):
        load_run(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"is no run: it has none of metrics\.jsonl"):
        load_run(tmp_path)
    run = write_run(tmp_path / "run")
    with pytest.raises(UsageError, match="given twice"):
        load_runs([run, tmp_path / "." / "run"])


def test_seeds_are_grouped_and_settings_are_not(tmp_path: Path) -> None:
    seeds = [write_run(tmp_path / f"tree-s{s}", seed=s) for s in range(3)]
    other = write_run(tmp_path / "plain", settings={"learner": {"lr": 2e-4}})
    lost = write_run(tmp_path / "lost")
    (lost / "config.json").unlink()
    tracked = write_run(
        tmp_path / "tree-s9", seed=9, settings={"train": {"steps": 6, "trackers": ["wandb"]}}
    )
    groups = grouped(load_runs([seeds[0], other, *seeds[1:], lost, tracked]))
    assert [(g.name, len(g.runs)) for g in groups] == [
        ("tree (4 runs)", 4),
        ("plain", 1),
        ("lost", 1),
    ]


def test_runs_of_equal_names_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / d / "run", steps=n) for d, n in (("a", 2), ("b", 3))]
    assert [r.name for r in load_runs(paths)] == ["a/run", "b/run"]


def test_an_evaluation_directory_has_a_result(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", steps=0, evaluations={})
    shutil.rmtree(path / "eval")
    (path / "results.json").write_text(json.dumps({"source": "x", **BEFORE["summary"]}))
    run = load_run(path)
    assert [(e.label, e.step) for e in run.evaluations] == [("result", None)]


@pytest.mark.parametrize("value", [None, True, "1", float("nan"), {"x": 1}, []])
def test_only_finite_numbers_are_numbers(value) -> None:
    assert number({"a": {"b": value}}, ("a", "b")) is None
    assert number({"a": {"b": 2}}, ("a", "b")) == 2.0
    assert number({"a": value}, ("a", "b")) is None
