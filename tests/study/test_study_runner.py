"""Cells in processes: what is finished is skipped, what is shared is done once, nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from study_kit import SMALL, study

from mars2.errors import Mars2Error
from mars2.study.cost import costs, measured_pace
from mars2.study.grid import Cell, Grid, make_grid
from mars2.study.jobs import do_cell, jobs_of, record_path
from mars2.study.runner import duration, run_cells

FAKE = textwrap.dedent(
    """
    import json, pathlib, sys, time
    log, *names = sys.argv[1:]
    with open(log, "a") as file:
        file.write(f"begin {names[0]}\\n")
    if pathlib.Path(log + ".slow").exists() and names[0].startswith("tree"):
        time.sleep(1)  # long enough for whoever does not wait to begin
    for name in names[1:]:
        path = pathlib.Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"kind": "train", "nodes": 10, "updates": 1, "seconds": 2.0}))
        new.rename(path)  # whole or not at all, as markers are
    if names[0] in ("team/0",) and pathlib.Path(log + ".fail").exists():
        print("no more disk")
        sys.exit(3)
    with open(log, "a") as file:
        file.write(f"end {names[0]}\\n")
    """
)


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    return make_grid(study(tmp_path), tmp_path / "runs")


def fake(grid: Grid, log: Path) -> Callable[[Cell], list[str]]:
    """A process that marks the jobs of a cell as finished."""

    def command(cell: Cell) -> list[str]:
        markers = [str(j.marker(grid.out)) for j in jobs_of(grid, cell)]
        return [sys.executable, "-S", "-c", FAKE, str(log), cell.name, *markers]

    return command


def run(grid: Grid, log: Path, *, jobs: int = 1) -> list[str]:
    said: list[str] = []
    with open(log, "a") as lock:
        run_cells(grid, grid.cells, fake(grid, log), jobs=jobs, lock=lock.fileno(), say=said.append)
    return said


def test_cells_run_once_seed_by_seed(grid: Grid, tmp_path: Path) -> None:
    log = tmp_path / "log"
    said = run(grid, log)
    order = [line.split()[1] for line in log.read_text().splitlines() if line.startswith("begin")]
    assert order == [
        f"{arm}/{seed}" for seed in (0, 1) for arm in ("base", "tree", "team", "joined")
    ]
    assert any("jobs left, about" in line for line in said)
    log.write_text("")
    assert run(grid, log) == ["8 of 8 cells are finished already"]
    assert log.read_text() == ""


def test_one_failure_begins_nothing_more_and_the_next_call_goes_on(
    grid: Grid, tmp_path: Path
) -> None:
    log, fail = tmp_path / "log", tmp_path / "log.fail"
    fail.touch()
    grid.out.mkdir()
    for job in jobs_of(grid, grid.cells[0]):  # of a cell before it that is finished
        job.marker(grid.out).parent.mkdir(parents=True, exist_ok=True)
        job.marker(grid.out).write_text('{"kind": "eval", "nodes": 1, "seconds": 1}')
    with pytest.raises(Mars2Error, match="team/0 failed"):
        run(grid, log)
    assert "begin joined/0" not in log.read_text()
    assert "begin base/0" not in log.read_text()
    assert "no more disk" in (grid.out / "logs" / "team-0.log").read_text()
    fail.unlink()
    run(grid, log)
    assert log.read_text().count("begin tree/0") == 1
    assert "begin joined/1" in log.read_text()


def test_cells_that_share_an_unfinished_job_do_not_run_at_once(grid: Grid, tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "log.slow").touch()
    run(grid, log, jobs=8)
    lines = log.read_text().splitlines()
    assert lines.index("end tree/0") < lines.index("begin joined/0")
    assert lines.index("end tree/1") < lines.index("begin joined/1")


def test_costs_count_shared_jobs_once_and_follow_the_measured_pace(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {c.cell.name: c for c in costs(grid, grid.cells)}
    tree, joined = found["tree/0"], found["joined/0"]
    # two runs of 4 steps of 32 nodes; "before" and 4 points, of 3 problems, with 4 attempts and a
    # tree of one node; searches at two ends, of a tree of 4 nodes and one attempt. The two ends of
    # joined are one.
    assert tree.nodes == 2 * (128 + 5 * 3 * 5 + 2 * 3 * 5)
    assert tree.updates == 2 * 4
    assert (joined.updates, joined.nodes) == (0, 3 * (4 + 1 + 1))
    assert measured_pace(grid.out, 1).measured == 0
    # nothing known yet: two jobs halve the time only where there are two cores for them
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    alone, two, four = (measured_pace(grid.out, jobs).left([tree]) for jobs in (1, 2, 4))
    assert (two, four) == (pytest.approx(alone / 2, rel=0.2), pytest.approx(two, rel=0.2))
    for job in jobs_of(grid, tree.cell):
        job.marker(grid.out).parent.mkdir(parents=True, exist_ok=True)
        fact = {"kind": job.kind, "nodes": job.nodes, "updates": 0, "seconds": 3.0 * job.nodes}
        job.marker(grid.out).write_text(json.dumps(fact))
    pace = measured_pace(grid.out, 2)
    again = {c.cell.name: c for c in costs(grid, grid.cells)}
    assert (again["tree/0"].state, again["team/0"].state) == ("finished", "to run")
    evals = [job for job in again["joined/0"].left if job.kind == "eval"]
    assert sum(pace.seconds(job) for job in evals) == pytest.approx(3.0 * 18)
    assert pace.left([again["joined/0"]]) == again["joined/0"].seconds(pace) / 2
    assert [duration(x) for x in (12, 600, 7200)] == ["12 s", "10 min", "2.0 h"]


def test_jobs_are_commands_that_resume_what_was_begun(grid: Grid) -> None:
    """A cell whose commands are recorded and whose runs are faked file by file."""
    cell = next(c for c in grid.cells if c.name == "tree/0")
    calls: list[list[str]] = []

    def command(words: Sequence[str]) -> int:
        calls.append(list(words))
        folder = Path(words[words.index("--out") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").touch()
        if len(calls) == 1:
            return 130  # interrupted
        if words[0] == "train":
            step = int(words[words.index("--set") + 1].removeprefix("train.steps="))
            finished(folder, step)
        else:
            evaluated(folder / "results.json", folder / "journal.jsonl")
        return 0

    with pytest.raises(KeyboardInterrupt):
        do_cell(grid, cell, command, lambda text: None)
    assert "--resume" not in calls[0]
    do_cell(grid, cell, command, lambda text: None)
    trains = [c for c in calls if c[0] == "train"]
    assert ["--resume" in c for c in trains] == [False, True, True, False, True]
    assert [c[c.index("--set") + 1] for c in trains][1:3] == ["train.steps=2", "train.steps=4"]
    assert len([c for c in calls if c[0] == "eval"]) == 4
    made = json.loads(record_path(grid.out, cell).read_text())
    system = made["systems"][0]
    assert [p["nodes"] for p in system["points"]] == [0, 32, 64, 96, 128]
    assert (system["ends"]["per_policy"]["point"], system["ends"]["in_all"]["point"]) == (2, 4)
    assert system["points"][2]["rates"] == {"lark": [0.5, 0.75, 0.25]}  # the stage's, not "after"
    assert system["ends"]["in_all"]["trees"]["rep"] == [[2, [2]], [0, []], [1, [1]]]
    assert system["ends"]["in_all"]["spent"]["nodes"] == 128
    calls.clear()
    do_cell(grid, cell, command, lambda text: None)
    assert calls == []


def evaluated(path: Path, journal: Path, rates: Sequence[int] = (1, 1, 1)) -> None:
    def tree(passed: list[int], picked: list[list[Any]]) -> dict[str, Any]:
        return {
            "selected": False, "any_passed": bool(passed), "nodes": 4, "failed": 0,
            "order": [1, 2, 3, 4], "passed": passed, "selected_at": picked, "spent": {},
        }  # fmt: skip

    attempts = {f"p{i}": [True] * n + [False] * (4 - n) for i, n in enumerate(rates)}
    trees = {"p0": tree([2], [[1, 1], [2, 2]]), "p1": tree([], [[1, 1]]), "p2": tree([1], [[1, 1]])}
    path.parent.mkdir(parents=True, exist_ok=True)
    agent = "loom" if "loom" in str(path) else "lark"
    outcomes = {"attempts": {agent: attempts}, "trees": trees}
    path.write_text(json.dumps({"outcomes": outcomes}))
    journal.write_text("")


def finished(folder: Path, step: int) -> None:
    """What `mars2 train` leaves after so many steps."""
    (folder / "final" / "lark").mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"steps_done": step}))
    for label in ("before", *(f"step{s:05d}" for s in range(1, step + 1)), "after"):
        rates = (2, 3, 1) if label == "after" and step == 2 else (1, 1, 1)
        base = folder / "eval" / label
        evaluated(base.with_suffix(".json"), base.with_suffix(".jsonl"), rates)
    row = {"trees": {"nodes": 32}, "policies": {"x": {"update": None}}}
    lines = [json.dumps({"step": s, **row}) + "\n" for s in range(1, step + 1)]
    (folder / "metrics.jsonl").write_text("".join(lines))


SCRIPTED = SMALL.replace("micro:lark", "scripted:prose").replace("micro:loom", "scripted:echo")


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    """A study that trains nothing: untrained scripted agents, evaluated by real commands."""
    head, _, tail = SCRIPTED.partition("[arms.tree]")
    tail = tail.partition("[evaluations.rep]")[2].partition("[[comparisons]]")[0]
    power = "[power]\neffect = 0.1\nsd_seed = 0.1\nsd_problem = 0.1\nsd_rest = 0.1\n"
    path = tmp_path / "scripted.toml"
    path.write_text(f"{head}[evaluations.rep]{tail}{power}")
    return path


def mars2(*words: str, **more: Any) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "mars2.cli.main", *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def test_real_commands_from_run_to_page(scripted: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    ran = mars2("study", "run", str(scripted), "--runs", str(out), "--only", "base/1")
    assert ran.wait() == 0, ran.communicate()[1]
    assert (out / "records" / "base" / "1.json").exists()
    assert not (out / "records" / "base" / "0.json").exists()
    words = ("study", "report", str(scripted), "--runs", str(out), "--no-figures", "--json")
    told = mars2(*words, "--out", str(tmp_path / "results"))
    stdout, stderr = told.communicate()
    assert told.returncode == 0, stderr
    assert json.loads(stdout)["report"].endswith("report.html")
    page = (tmp_path / "results" / "report.md").read_text()
    assert "1 of 2 cells (arm × seed) are finished" in page
    assert "Unfinished: base/0" in page


def test_interrupted_it_ends_its_processes(scripted: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    (tmp_path / "slow.py").write_text(
        "import time\ndef answer(messages, seed):\n    time.sleep(600)\n    return ''\n"
    )
    text = scripted.read_text().replace("scripted:prose", f"scripted:{tmp_path / 'slow.py'}")
    scripted.write_text(text)
    running = mars2("study", "run", str(scripted), "--runs", str(out))
    while not list((out / "cells").glob("base/0/*/journal.jsonl")):
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate()
    assert running.returncode == 130
    assert "the same command goes on" in stderr
    assert not _holds(out / "lock")


def _holds(lock: Path) -> bool:
    """Whether any process has the file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == str(lock):
                return True
        except OSError:
            continue
    return False
