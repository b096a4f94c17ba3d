import asyncio
import copy
import json
import pickle
import re

import pytest
from search_helpers import FakeExpand, grow, slower, strategy, uneven

from mars2.config import SearchConfig
from mars2.errors import GenerationError, ResumeError
from mars2.search import Journal, codec, derive, make_strategy, read_journal

MODES = pytest.mark.parametrize("ordered", [True, False])


@MODES
async def test_cancellation_leaves_a_journal_that_goes_on(tmp_path, ordered):
    path = tmp_path / "j"
    uninterrupted = await grow(
        "t", strategy(), FakeExpand("t", uneven), budget=20, in_flight=4, ordered=True
    )
    with Journal.open(path, {}) as journal:
        seen = asyncio.Event()
        count = 0

        def on_node(node):
            nonlocal count
            count += 1
            if count == 7:
                seen.set()

        task = asyncio.create_task(
            grow(
                "t",
                strategy(),
                FakeExpand("t", uneven),
                budget=20,
                in_flight=4,
                journal=journal,
                ordered=ordered,
                on_node=on_node,
            )
        )
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    told = [e["node_id"] for e in read_journal(path) if e["event"] == "tell"]
    assert len(told) >= 7
    with Journal.open(path, {}) as journal:
        expand = FakeExpand("t", slower)
        result = await grow(
            "t",
            strategy(),
            expand,
            budget=20,
            in_flight=4,
            journal=journal,
            ordered=ordered,
        )
    assert not set(told) & set(expand.started)
    assert len(result.nodes) == 20
    if ordered:
        assert result == uninterrupted


async def run_journaled(path, ordered, budget=24, seed=0, steps=uneven):
    """Run with a tenth of failures; (result, strategy, expand)."""

    def outcome(e):
        return GenerationError("lost") if derive("lost", e.node_id) % 10 == 0 else None

    s, expand = strategy(seed=seed), FakeExpand("t", steps, outcome)
    with Journal.open(path, {}) as journal:
        result = await grow(
            "t",
            s,
            expand,
            budget=budget,
            in_flight=4,
            journal=journal,
            ordered=ordered,
        )
    return result, s, expand


async def test_ordered_resume_from_every_line_equals_the_uninterrupted_run(tmp_path):
    path = tmp_path / "j"
    result, s, _ = await run_journaled(path, ordered=True)
    assert result.failed
    statistics, following = s.statistics(), s.ask()
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:kept]) + b'{"event":"tell","tr')
        ended = {e["node_id"] for e in read_journal(path) if e["event"] in ("tell", "fail")}
        again, t, expand = await run_journaled(path, ordered=True, steps=slower)
        assert again == result
        assert t.statistics() == statistics
        assert sorted(expand.started) == sorted(set(range(1, 25)) - ended)
        assert t.ask() == following


async def test_as_completed_replay_restores_statistics_exactly(tmp_path):
    path = tmp_path / "j"
    result, s, _ = await run_journaled(path, ordered=False)
    order = [e["node_id"] for e in read_journal(path) if e["event"] in ("tell", "fail")]
    assert order != sorted(order)
    again, t, expand = await run_journaled(path, ordered=False)
    assert expand.started == []
    assert again == result
    assert t.statistics() == s.statistics()
    assert t.ask() == s.ask()


async def test_as_completed_resume_repeats_and_loses_nothing(tmp_path):
    path = tmp_path / "j"
    await run_journaled(path, ordered=False)
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:kept]))
        past = list(read_journal(path))
        ended = {e["node_id"] for e in past if e["event"] in ("tell", "fail")}
        result, s, expand = await run_journaled(path, ordered=False, steps=slower)
        assert sorted(expand.started) == sorted(set(range(1, 25)) - ended)
        assert len(result.nodes) + len(result.failed) == 24
        # What was asked before is asked again as it was.
        asks = [e for e in read_journal(path) if e["event"] == "ask"]
        before = [e for e in past if e["event"] == "ask"]
        assert asks[: len(before)] == before
        assert (s.asked, s.in_flight) == (24, 0)


async def test_a_journal_of_other_agents_does_not_fit(tmp_path):
    path = tmp_path / "j"
    await run_journaled(path, ordered=False)
    other = make_strategy(SearchConfig(), ["zoe"], 0)
    with Journal.open(path, {}) as journal, pytest.raises(ResumeError, match="line 2"):
        await grow("t", other, FakeExpand("t"), budget=5, journal=journal)


@pytest.mark.parametrize(
    "event",
    [
        '{"event":"tell","tree":"t","seconds":0,"node_id":1,"reward":0,"node":{}}',
        '{"event":"tell","tree":"t","seconds":0,"node_id":1,"reward":0,"node":null}',
        '{"event":"tell","tree":"t","seconds":0,"node_id":1,"reward":0,"node":7}',
        '{"event":"fail","tree":"t","seconds":0,"node_id":1}',
        '{"event":"fail","tree":"t","seconds":0,"node_id":8,"kind":"infra","error":"","node":null}',
        '{"event":"ask","tree":"t","seconds":0}',
    ],
)
async def test_a_bad_event_names_its_line(tmp_path, event):
    path = tmp_path / "j"
    with Journal.open(path, {}) as journal:
        journal.tree("t").ask(strategy().ask())
    with path.open("a") as file:
        file.write(event + "\n")
    with Journal.open(path, {}) as journal, pytest.raises(ResumeError, match="line 3"):
        await grow("t", strategy(), FakeExpand("t"), budget=5, journal=journal)


@MODES
@pytest.mark.parametrize(
    ("place", "key", "value", "why"),
    [
        ("event", "node_id", 77, "(node id, reward) is (77, "),
        ("event", "reward", 0.0625, ", 0.0625), but ("),
        ("node", "node_id", 77, "in the node"),
        ("node", "reward", 0.0625, ", 0.0625) in the node"),
        ("node", "tree_id", "u", "asked for ('t', "),
        ("node", "parent_id", 77, ", 77, "),
        ("node", "agent", "eve", ", 'eve', "),
        ("node", "words", 7, "unexpected keyword argument 'words'"),
        ("verdict", "colour", 7, "validation error for Verdict"),
    ],
)
async def test_a_node_that_was_not_asked_for_names_its_line(
    tmp_path, ordered, place, key, value, why
):
    path = tmp_path / "j"
    await run_journaled(path, ordered, budget=8)
    lines = path.read_bytes().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if b'"tell"' in line)
    event = json.loads(lines[number])
    parts = {"event": event, "node": event["node"], "verdict": event["node"]["verdict"]}
    parts[place][key] = value
    lines[number] = json.dumps(event).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(ResumeError, match=f"line {number + 1}: .*{re.escape(why)}"):
        await run_journaled(path, ordered, budget=8)


@MODES
async def test_a_node_that_is_there_twice_names_its_line(tmp_path, ordered):
    path = tmp_path / "j"
    await run_journaled(path, ordered, budget=8)
    lines = path.read_bytes().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if b'"tell"' in line)
    path.write_bytes(b"".join([*lines[: number + 1], *lines[number:]]))
    with pytest.raises(ResumeError, match=f"line {number + 2}: .*has already ended"):
        await run_journaled(path, ordered, budget=8)


@MODES
async def test_a_journal_without_checksums_goes_on(tmp_path, ordered):
    path, other = tmp_path / "j", tmp_path / "k"
    result, s, _ = await run_journaled(path, ordered)
    events = list(read_journal(path))
    with other.open("w") as file:
        for event in events:
            event.pop("crc", None)
            event.pop("usage", None)
            file.write(json.dumps(event, separators=(",", ":")) + "\n")
    again, t, expand = await run_journaled(other, ordered)
    assert expand.started == []
    assert again == result
    assert again.spent.tokens == result.spent.tokens > 0
    assert t.statistics() == s.statistics()


async def test_a_resumed_search_decodes_what_it_builds_on_alone(tmp_path, monkeypatch):
    path = tmp_path / "j"
    result, _, _ = await run_journaled(path, ordered=False)
    decoded = []
    real = codec.node_from_json
    monkeypatch.setattr(
        codec, "node_from_json", lambda data: decoded.append(data["node_id"]) or real(data)
    )
    again, _, _ = await run_journaled(path, ordered=False)
    assert not decoded
    assert again.solved == result.solved
    assert [(n.node_id, n.reward) for n in again.nodes] == [
        (n.node_id, n.reward) for n in result.nodes
    ]
    assert not decoded
    assert again.spent.tokens == result.spent.tokens > 0
    assert again == result
    assert sorted(decoded) == [n.node_id for n in result.nodes]


async def test_nothing_is_copied_or_pickled(monkeypatch, tmp_path):
    def forbidden(*args, **kwargs):
        raise AssertionError("state was copied")

    for module, name in ((copy, "deepcopy"), (pickle, "dumps"), (pickle, "dump")):
        monkeypatch.setattr(module, name, forbidden)
    result, _, _ = await run_journaled(tmp_path / "j", ordered=False)
    assert len(result.nodes) + len(result.failed) == 24
