"""Results of two versions of a study are never mixed, and one call runs it at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from study_kit import SMALL, study

from mars2.errors import ResumeError
from mars2.study import store
from mars2.study.store import kept_study, locked, open_store

NEW_ARM = '[arms.more]\nabout = "x"\nteams = [["lark"]]\n\n[evaluations.rep]'
NEW_COMPARISON = '[[comparisons]]\na = "team"\nb = "base"\nmetric = "ceiling"\n\n[power]'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("trees_per_step = 4", "trees_per_step = 8", "settings.train.trees_per_step: 4 -> 8"),
        ("in_all = 128", "in_all = 256", "nodes.in_all: 128 -> 256"),
        ("seeds = [0, 1]", "seeds = [0, 2]", "seeds: 1 removed"),
        ('base = "quickstart"', 'base = "gspo"', "base."),
        ('teams = [["lark", "loom"]]\n[arms.j', 'teams = [["loom"]]\n[arms.j', "arms.team.teams"),
        ("effect = 0.1", "effect = 0.2", "power.effect: 0.1 -> 0.2"),
        ('expect = "less"', 'expect = "greater"', "diversity.algorithmic removed or changed"),
        ("[power]", NEW_COMPARISON, "mark it exploratory = true"),
        ('spec = "micro:loom"', 'spec = "micro:loom"\ntop_p = 0.9', "agents.loom.top_p"),
    ],
)
def test_changes_are_refused_and_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    open_store(tmp_path / "runs", study(tmp_path))
    changed = study(tmp_path, **{old: new})
    with pytest.raises(ResumeError) as error:
        open_store(tmp_path / "runs", changed)
    assert said in str(error.value)
    assert kept_study(tmp_path / "runs") is not None
    open_store(tmp_path / "runs", study(tmp_path))  # undone: goes on


def test_a_study_may_grow(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    open_store(out, study(tmp_path))
    exploratory = NEW_COMPARISON.replace("[power]", "exploratory = true\n\n[power]")
    grown = {
        "[evaluations.rep]": NEW_ARM,
        "seeds = [0, 1]": "seeds = [0, 1, 2]",
        'title = "Small"': 'title = "Still small"',
        "[power]": exploratory,
    }
    open_store(out, study(tmp_path, **grown))
    kept = kept_study(out)
    assert kept.seeds == [0, 1, 2]
    assert "more" in kept.arms
    assert kept.comparisons[-1].exploratory
    first = json.loads((out / "study.json").read_text())["first"]
    assert first["seeds"] == [0, 1]


def test_keys_that_an_earlier_version_did_not_know_are_no_change(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    open_store(out, study(tmp_path))
    kept = json.loads((out / "study.json").read_text())
    del kept["now"]["models"]
    (out / "study.json").write_text(json.dumps(kept))
    open_store(out, study(tmp_path))
    (out / "study.json").write_text(json.dumps({**kept, "now": {**kept["now"], "new": 1}}))
    with pytest.raises(ResumeError, match="cannot read its study"):
        open_store(out, study(tmp_path))


def test_the_kept_study_is_whole(tmp_path: Path) -> None:
    """Cells that run read it, whatever becomes of the file."""
    declared = study(tmp_path)
    open_store(tmp_path / "runs", declared)
    (tmp_path / "small.toml").write_text(SMALL.replace("in_all = 128", "in_all = 999"))
    kept = kept_study(tmp_path / "runs")
    assert kept.nodes.in_all == 128
    assert kept.config(agents=[], seed=3) == declared.config(agents=[], seed=3)


def test_other_directories_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(ResumeError, match="not empty"):
        open_store(tmp_path / "mine", study(tmp_path))


def test_only_one_runs_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PATIENCE_S", 0.0)
    with locked(tmp_path / "runs"), pytest.raises(ResumeError, match="is being run by process"):
        locked(tmp_path / "runs").__enter__()
    with locked(tmp_path / "runs"):
        pass
