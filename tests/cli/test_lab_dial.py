"""`mars2 lab dial`: models that are made once, reproducible and whole."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from mars2.lab.dial import directory_name, make_dial


def test_the_command_makes_a_team_once(mars2, tmp_path: Path, monkeypatch) -> None:
    torch = pytest.importorskip("torch", reason="models need torch")
    torch.set_num_threads(1)
    from mars2.config import load_config
    from mars2.lab import dial, finish
    from mars2.lab.build import fit

    small = partial(make_dial, batch=2)
    monkeypatch.setattr(dial, "make_dial", small)
    argv = ("lab", "dial", "--overlap", "0.5", "--steps", "2", "--base-steps", "2", "--json")
    made = mars2(*argv, "--out", "a", "--twin")
    assert made.code == 0, made.err
    found = json.loads(made.out)
    assert list(found["agents"]) == ["a1", "a2", "twin"]
    cards = {name: agent["card"] for name, agent in found["agents"].items()}
    assert set(cards["a1"]["misreads"].values()) == {0.85}
    assert len(cards["a1"]["misreads"].keys() & cards["a2"]["misreads"].keys()) == 6
    team = load_config(Path(found["team"]), []).agents
    assert [a.name for a in team] == ["a1", "a2"]
    assert all(Path(a.spec.removeprefix("micro:"), "model.safetensors").is_file() for a in team)

    def weights(where: str, name: str) -> bytes:
        directory = Path(found["agents"][name]["directory"]).name
        return (tmp_path / where / directory / "model.safetensors").read_bytes()

    assert len({weights("a", name) for name in found["agents"]}) == 3  # the twin is another one
    monkeypatch.setattr(finish, "fit", lambda *_, **__: pytest.fail("made again"))
    again = mars2(*argv, "--out", "a", "--twin")
    assert json.loads(again.out) == found
    assert again.err.count("already there") == 3
    monkeypatch.setattr(finish, "fit", fit)
    assert mars2(*argv, "--out", "b").code == 0
    assert weights("a", "a2") == weights("b", "a2")  # the same bytes


def test_nothing_else_is_overwritten(mars2, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="models need torch")
    place = tmp_path / "a" / directory_name(make_dial(1, 0).agents["a1"].base)
    place.mkdir(parents=True)
    (place / "mine.txt").write_text("x")
    done = mars2("lab", "dial", "--out", "a", "--agents", "1")
    assert done.code == 2
    assert "is in the way" in done.err
    assert [p.name for p in (tmp_path / "a").iterdir()] == [place.name]
