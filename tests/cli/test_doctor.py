"""`mars2 doctor` names the isolation level and every wall, with the reason for a missing one."""

from __future__ import annotations

import json

import pytest

from mars2.cli import doctor
from mars2.verifier import Isolation, isolation_level


def test_json_has_the_level_and_the_walls(mars2) -> None:
    done = mars2("doctor", "--json")
    assert done.code == 0, done.err
    sandbox = json.loads(done.out)["sandbox"]
    here = isolation_level()
    assert sandbox["level"] == here.level
    assert sandbox["active"] == list(here.active)
    assert sandbox["missing"] == here.missing
    assert (
        list(sandbox["above"])
        == {
            "basic": ["restricted", "strict"],
            "restricted": ["strict"],
            "strict": [],
        }[here.level]
    )


def test_text_says_what_is_missing_and_why(mars2, monkeypatch: pytest.MonkeyPatch) -> None:
    walls = ("seccomp", "landlock", "no new privileges", "capabilities dropped")
    missing = {"mount": "unshare: Operation not permitted"}
    monkeypatch.setattr(doctor, "isolation_level", lambda: Isolation(walls, missing))
    lines = [" ".join(line.split()) for line in mars2("doctor").out.splitlines()]
    assert "level restricted" in lines
    assert "landlock active" in lines
    assert "mount missing: unshare: Operation not permitted" in lines
    above = next(line for line in lines if line.startswith("strict would need: "))
    assert {"mount", "pid", "private root"} <= set(above[19:].split(", "))
