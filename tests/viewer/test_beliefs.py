"""The posteriors that the viewer shows are those that the search had."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from view_kit import AGENTS, grow, settings

from mars2.config import SearchConfig
from mars2.search.journal import read_journal
from mars2.viewer.beliefs import Beliefs

SEARCHES: list[dict[str, Any]] = [
    {"in_flight": 1},
    {"in_flight": 3, "arm": "gaussian"},
    {"in_flight": 2, "agent_choice": "node", "depth_guided": True},
    {"in_flight": 2, "strategy": "mcts", "agent_choice": "ucb1"},
]


@pytest.mark.parametrize("search", SEARCHES, ids=str)
@pytest.mark.parametrize("ordered", [True, False])
def test_they_equal_the_searchs_own_at_every_ask(
    tmp_path: Path, search: dict[str, Any], ordered: bool
) -> None:
    config = settings(**search)
    seen: dict[int, dict[int, dict[str, tuple[float, ...]]]] = {}

    def watch(time: int, strategy: Any) -> None:
        seen[time] = {n: strategy.beliefs(n) for n in range(strategy.asked + 1)}

    grow(tmp_path, 40, config, watch=watch, fail=lambda i: i % 9 == 0)
    beliefs = Beliefs(config.search, list(AGENTS), ordered)
    known: dict[str, list[float | None]] = {}
    path: list[int] = []
    events = [e for e in read_journal(tmp_path / "journal.jsonl") if e["event"] != "header"]
    parents = {e["node_id"]: e["parent_id"] or 0 for e in events if e["event"] == "ask"}
    compared = 0
    for time, event in enumerate(events):
        known |= beliefs.before(event)
        if event["event"] == "ask":
            path = [parents[event["node_id"]]]
            while path[-1]:
                path.append(parents[path[-1]])
            for node in path:
                for name, numbers in seen[time][node].items():
                    per_tree = name[0] == "@" and search.get("agent_choice") != "node"
                    key = name if per_tree else f"{node}:{name}"
                    shown = known.get(key, beliefs.prior.get(name))
                    assert shown is not None
                    expected = [round(x, 6) if math.isfinite(x) else None for x in numbers]
                    assert shown == pytest.approx(expected), (time, key)
                    compared += 1
        known |= beliefs.after(event)
    assert beliefs.why_not is None
    assert compared > 100


def test_a_strategy_that_does_not_learn_has_none() -> None:
    beliefs = Beliefs(SearchConfig(strategy="repeated"), ["ann"], ordered=False)
    assert "does not learn" in str(beliefs.why_not)
    assert beliefs.before({"event": "ask", "parent_id": None}) == {}
    assert Beliefs(None, [], ordered=False).why_not is not None


def test_a_journal_of_other_settings_says_so(tmp_path: Path) -> None:
    grow(tmp_path, 5, settings())
    beliefs = Beliefs(SearchConfig(), ["dan"], ordered=False)
    events = [e for e in read_journal(tmp_path / "journal.jsonl") if e["event"] != "header"]
    changes = [beliefs.after(e) for e in events]
    assert not any(changes)
    assert "does not fit" in str(beliefs.why_not)


def test_outcomes_of_a_wave_are_told_when_it_has_ended() -> None:
    beliefs = Beliefs(SearchConfig(), ["ann", "bob"], ordered=True)

    def ask(node: int) -> dict[str, Any]:
        return {
            "event": "ask",
            "node_id": node,
            "parent_id": None,
            "depth": 1,
            "agent": "ann",
            "action": "generate",
            "references": [],
        }

    beliefs.after(ask(1))
    assert beliefs.after(ask(2))["0:gen"] == [0.5, 2.5]  # two under way count as failures
    assert beliefs.after({"event": "tell", "node_id": 2, "reward": 1.0}) == {}
    changes = beliefs.after({"event": "tell", "node_id": 1, "reward": 0.0})
    assert changes["0:gen"] == [1.5, 1.5]
    assert changes["@ann"] == [1.5, 1.5]
    assert changes["2:arm"] == [1.5, 0.5]
