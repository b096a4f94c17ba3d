"""What a step looks like on a terminal and off it."""

from __future__ import annotations

import copy
import io

from rich.console import Console

from mars2.cli.output import Output
from mars2.cli.step_view import step_line, step_table
from mars2.training import trackers

NAN = float("nan")
UPDATE = {
    "samples": 105,
    "tokens": 3132,
    "kl": 0.0123,
    "clip_fraction": 0.25,
    "correction_mean": 1.01,
    "grad_norm": 0.12,
}
AGENT = {
    "nodes": 112,
    "reward": 0.4375,
    "pass_rate": 0.43,
    "advantage": {"mean": -0.27, "std": 1.0},
    "length": {"mean": 29.4, "p95": 60, "max": 64},
    "truncation_rate": 0.05,
}
METRICS = {
    "step": 2,
    "agents": {"coder": AGENT, "mender": AGENT, "other": {**AGENT, "reward": NAN}},
    "policies": {
        "one": {"reward": 0.44, "waiting": 0, "staleness": {"mean": 0.5}, "update": UPDATE},
        "two": {"reward": NAN, "waiting": 7, "staleness": {"mean": NAN}, "update": None},
    },
    "trees": {"pass_rate": 0.97, "informative": 30, "count": 32},
    "throughput": {"generated_tokens_per_second": 1755.2, "trained_tokens_per_second": 2091.7},
    "seconds": {"rollout": 5.7, "update": 4.5},
}
POLICIES = {"coder": "one", "mender": "one", "other": "two"}


def drawn(**options) -> str:
    file = io.StringIO()
    Console(file=file, width=80, **options).print(step_table(METRICS, 20, POLICIES))
    return file.getvalue()


def test_the_table_fits_a_terminal_and_shows_a_policy_once() -> None:
    lines = drawn().splitlines()
    assert max(len(line) for line in lines) <= 80
    assert lines[0].startswith("step 2/20  solved 0.97  informative 30/32  tok/s 1755 written 2092")
    rows = {cells[0]: cells[1:] for line in lines if (cells := line.split())}
    assert rows["coder"][:6] == ["112", "0.44", "0.43", "-0.27", "29", "0.05"]
    assert rows["coder"][6:] == ["105", "0.0123", "0.25", "1.01", "0.12", "0.5"]
    assert rows["mender"] == rows["coder"][:6]  # of the same policy
    assert rows["other"][1] == "–"
    assert rows["other"][6] == "(7)"


def test_a_terminal_gets_the_table_and_a_file_the_line() -> None:
    for terminal in (True, False):
        output, file = Output(), io.StringIO()
        output._log = Console(file=file, force_terminal=terminal, width=80, soft_wrap=True)
        output.log_table(lambda: step_table(METRICS, 20, POLICIES), step_line(METRICS, 20))
        assert ("agent" in file.getvalue()) is terminal
        assert ("\x1b" in file.getvalue()) is terminal
    assert "one reward 0.44 (105 samples, kl 0.0123)" in file.getvalue()
    assert "two reward – (waits for samples)" in file.getvalue()


def test_no_color_is_obeyed(monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    shown = drawn(force_terminal=True)
    assert "\x1b[3" not in shown
    assert "\x1b[38" not in shown


def test_the_table_survives_null() -> None:
    row = copy.deepcopy(METRICS)
    row["trees"]["pass_rate"] = None
    row["policies"]["one"]["update"] = UPDATE | {"grad_norm": None}
    Console(file=io.StringIO()).print(step_table(row, 20, POLICIES))


def test_a_tracker_without_its_package_is_refused_before_the_run(
    mars2, monkeypatch, tmp_path
) -> None:
    monkeypatch.setitem(trackers.PACKAGES, "wandb", "a_package_that_is_not_installed")
    done = mars2("quickstart", "--out", "run", "--set", 'train.trackers=["wandb"]')
    assert done.code == 2
    assert "pip install 'mars2[wandb]'" in done.err
    assert not (tmp_path / "run").exists()
    unknown = mars2("quickstart", "--out", "run", "--set", 'train.trackers=["mlflow"]')
    assert unknown.code == 2
    assert "train.trackers" in unknown.err
