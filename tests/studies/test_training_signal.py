"""What the study reads out of journals: by hand, on two trees."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "studies"))

import training_signal


def told(tree: str, node: int, parent: int | None, agent: str, reward: float) -> dict[str, Any]:
    action = "generate" if parent is None else "refine"
    return {
        "event": "tell",
        "tree": tree,
        "node_id": node,
        "node": {"agent": agent, "action": action, "parent_id": parent, "reward": reward},
    }


def test_groups_attempts_and_advantages_by_hand(tmp_path: Path):
    mixed, failed = "step00001/lab-lists-a/0", "step00002/lab-strings-b/0"
    events = [
        {"event": "header"},
        told(mixed, 1, None, "lark", 1.0),
        told(mixed, 2, None, "loom", 0.0),
        told(mixed, 3, 2, "lark", 1.0),
        told(mixed, 4, None, "loom", 0.0),
        told(failed, 1, None, "lark", 0.0),
        told(failed, 2, 1, "lark", 0.0),
        told("step00003/lab-lists-c/0", 1, None, "lark", 1.0),  # after the steps looked at
    ]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    credit = {"shaping_gamma": 0.0, "shaping_lambda": 0.5}
    (tmp_path / "config.json").write_text(json.dumps({"credit": credit}))
    found = training_signal.signal([tmp_path], {tmp_path: 2})
    assert set(found) == {("lark", "lists"), ("loom", "lists"), ("lark", "strings")}
    lists = found["lark", "lists"]
    assert lists["first"] == lists["refined"] == (1, 1.0)
    assert lists["none pass"] == lists["all pass"] == (1, 0.0)
    std = (4 * 0.25 / 3) ** 0.5  # of 1, 0, 1, 0, unbiased
    assert lists["advantage"] == (2, pytest.approx(0.5 / (std + 1e-4)))
    assert found["loom", "lists"]["advantage"] == (2, pytest.approx(-0.5 / (std + 1e-4)))
    strings = found["lark", "strings"]
    assert strings["none pass"] == (1, 1.0)
    assert "advantage" not in strings  # nothing to learn from equal rewards


def test_advantages_are_of_shaped_rewards():
    tree = {1: {"reward": 0.0, "parent_id": None}, 2: {"reward": 1.0, "parent_id": 1}}
    plain = training_signal.advantages(tree, 0.0, 0.5)
    # shaping: node 2 gains 0.5 over its parent, node 1 has nothing to be compared with
    assert plain[2] == pytest.approx(0.5 / (0.5**0.5 + 1e-4))
    shaped = training_signal.advantages(tree, 0.5, 0.5)
    assert shaped[2] == pytest.approx(0.75 / (1.5 * 0.5**0.5 + 1e-4))
