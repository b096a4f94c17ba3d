"""The loop without its barrier, failures of one policy among several, and what is accounted for."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import run_kit
import torch
from run_kit import config, free, run, team
from training_kit import tiny_neox

from mars2.agents.base import Agent, Policy, Role
from mars2.agents.local import LocalPolicy
from mars2.errors import ConfigError, EndpointDownError, GenerationError
from mars2.search.journal import read_journal
from mars2.training import clock
from mars2.training.buffer import SampleBuffer
from mars2.training.checkpoint import latest_checkpoint
from mars2.training.clock import PhaseClock
from mars2.training.curriculum import Curriculum
from mars2.training.growth import Growth, Job
from mars2.training.learner import Learner
from mars2.training.ledger import Ledger, read_ledger
from mars2.training.loop import Loop
from mars2.training.rundir import read_metrics
from mars2.types import Generation, Sampling

ROLE = Role(sampling=Sampling(max_tokens=8))


def manifest(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text())


def trainable_nodes(out: Path, policies: dict[str, str]) -> set[tuple[str, str, int]]:
    """(policy, tree, node) of all finished nodes with tokens, but those of trees without signal."""
    trees: dict[str, list[dict]] = {}
    for event in read_journal(out / "journal.jsonl"):
        if event["event"] == "tell":
            trees.setdefault(event["tree"], []).append(event["node"])
    return {
        (policies[n["agent"]], tree, n["node_id"])
        for tree, nodes in trees.items()
        if len(nodes) == 6 and len({n["reward"] for n in nodes}) > 1
        for n in nodes
        if n["generation"]["token_ids"]
    }


def accounted(out: Path) -> Counter[tuple[str, str, int]]:
    """The same of all samples in the ledger, and in the buffers of the last checkpoint."""
    rows = list(read_ledger(out / "updates.jsonl"))
    found = Counter(
        (row["policy"], tree, node)
        for row in rows
        for tree, nodes in row["samples"].items()
        for node in nodes
    )
    checkpoint = latest_checkpoint(out / "checkpoints")
    for name, folder in checkpoint.policies.items():
        buffer = SampleBuffer(name, 2)
        buffer.loads((checkpoint.path / "policies" / folder / "buffer.jsonl").read_text())
        found.update((name, s.tree_id, s.node_id) for s in buffer.take())
    return found


def open_trees(out: Path) -> set[str]:
    return set(latest_checkpoint(out / "checkpoints").progress["open"])


POLICY_OF = {"coder": "llama", "mender": "llama", "other": "neox"}


async def test_policies_update_in_their_own_time_and_every_sample_is_accounted_for(tmp_path):
    out = tmp_path / "run"
    result, _ = await run(out, free())
    assert (result.status, result.steps) == ("finished", 4)
    rows = read_metrics(out / "metrics.jsonl")
    assert [r["step"] for r in rows] == [1, 2, 3, 4]
    assert all(r["trees"]["informative"] == 3 or r["trees"]["count"] == 6 for r in rows)
    assert all(r["loop"]["mode"] == "async" for r in rows)
    updates = [r for r in read_ledger(out / "updates.jsonl") if r["event"] == "update"]
    for name in ("llama", "neox"):
        mine = [r for r in updates if r["policy"] == name]
        assert [r["update"] for r in mine] == list(range(len(mine)))
        assert len(mine) == sum(r["policies"][name]["updates"] for r in rows) >= 2
        assert all(sum(len(n) for n in r["samples"].values()) == 4 for r in mine)
    left = open_trees(out)
    expected = {n for n in trainable_nodes(out, POLICY_OF) if n[1] not in left}
    assert accounted(out) == Counter(expected)


async def test_a_policy_learns_in_one_thread(tmp_path, monkeypatch):
    """Each thread has a heap, and keeps in it what an update took."""
    threads: dict[str, set[tuple[int, str]]] = {}
    update = Learner.update

    def seen(self, samples):
        thread = threading.current_thread()
        threads.setdefault(self.policy, set()).add((thread.ident, thread.name))
        return update(self, samples)

    monkeypatch.setattr(Learner, "update", seen)
    await run(tmp_path / "run", free())
    for name in ("llama", "neox"):
        ((_, called),) = threads[name]
        assert called.startswith(f"learner of {name}")


@pytest.mark.parametrize("node", [40, pytest.param(60, marks=pytest.mark.slow)])
async def test_killed_and_resumed_loses_no_node_and_uses_none_twice(tmp_path, node):
    out = tmp_path / "run"
    assert run_kit.program(out, "--mode", "async", "--kill-at", str(node)) == -9
    before = {
        (e["tree"], e["node_id"])
        for e in read_journal(out / "journal.jsonl")
        if e["event"] == "tell"
    }
    result, _ = await run(out, free(), resume=True)
    assert result.status == "finished"
    tells = Counter(
        (e["tree"], e["node_id"])
        for e in read_journal(out / "journal.jsonl")
        if e["event"] == "tell"
    )
    assert max(tells.values()) == 1  # no finished node was made again
    left = open_trees(out)
    expected = {n for n in trainable_nodes(out, POLICY_OF) if n[1] not in left}
    assert accounted(out) == Counter(expected)
    assert before <= set(tells)
    assert {n[1:] for n in expected} & before  # and nodes of the first life were learned from


async def test_a_slow_learner_stops_nobody_and_its_oldest_samples_give_way(tmp_path, monkeypatch):
    update, others_are_done = Learner.update, threading.Event()
    agents = team()
    seen = []

    def slow(self, samples):
        if self.policy == "llama":
            others_are_done.wait(600)
        elif self.updates == 2:
            seen.append(agents["coder"].policy.version)
            others_are_done.set()
        return update(self, samples)

    monkeypatch.setattr(Learner, "update", slow)
    train = {"steps": 1, "trees_per_step": 12, "refill_rounds": 3, "max_staleness": 1}
    settings = free(search={"strategy": "repeated"}, train=train | {"open_trees": 1})
    await run(tmp_path / "run", settings, agents)
    assert seen == [0]  # three updates of the one while the other had none
    (row,) = read_metrics(tmp_path / "run/metrics.jsonl")
    rows = list(read_ledger(tmp_path / "run/updates.jsonl"))
    overflow = Counter()
    for r in rows:
        if r["event"] == "overflow":
            overflow[r["policy"]] += sum(len(nodes) for nodes in r["samples"].values())
    assert overflow["neox"] == 0 < overflow["llama"]
    assert row["policies"]["llama"]["overflow"] == overflow["llama"]


async def test_the_rollout_pauses_when_every_learner_is_behind(tmp_path, monkeypatch):
    update, pause, go_on = Learner.update, Loop._pause, threading.Event()

    def slow(self, samples):
        go_on.wait(600)
        return update(self, samples)

    def paused(self, behind):
        pause(self, behind)
        if behind:
            go_on.set()

    monkeypatch.setattr(Learner, "update", slow)
    monkeypatch.setattr(Loop, "_pause", paused)
    agents = {"coder": team()["coder"]}
    train = {"steps": 1, "trees_per_step": 8, "open_trees": 2, "refill_rounds": 3}
    await run(tmp_path / "run", free(train=train), agents)
    (row,) = read_metrics(tmp_path / "run/metrics.jsonl")
    assert row["loop"]["pauses"] >= 1  # without a pause no update would have ended
    assert row["policies"]["llama"]["overflow"] == 0
    assert row["trees"]["informative"] == 8


class Breaking(LocalPolicy):
    """Its learner's gradients become NaN, as an overflow makes them, after the first update."""

    def clone_model(self):
        clone = super().clone_model()
        calls = []

        def spoil(gradient):
            calls.append(1)
            return gradient * math.nan if len(calls) > 2 else gradient

        next(clone.parameters()).register_hook(spoil)
        return clone


@pytest.mark.parametrize("settings", [config(train={"steps": 7}), free(train={"steps": 7})])
async def test_one_policy_crashing_on_nan_stops_and_the_others_go_on(tmp_path, settings):
    agents, said = team(), []
    neox = run_kit.policy(
        "neox", tiny_neox(vocab=40), run_kit.CHARACTERS[::-1] + "uvwxyz0123456789", kind=Breaking
    )
    agents["other"] = Agent("other", neox, ROLE)
    out = tmp_path / "run"
    result, _ = await run(out, settings, agents, say=said.append)
    assert result.status == "finished"
    assert list(manifest(out)["halted"]) == ["neox"]
    assert "finite loss" in manifest(out)["halted"]["neox"]
    assert any("policy neox learns no more" in line for line in said)
    rows = read_metrics(out / "metrics.jsonl")
    assert rows[-1]["policies"]["neox"]["halted"]
    assert rows[0]["policies"]["neox"]["halted"] is None
    assert rows[-1]["policies"]["llama"]["version"] > rows[1]["policies"]["llama"]["version"]
    assert rows[-1]["agents"]["other"]["nodes"] > 0  # it still writes
    weights = agents["other"].policy.model.state_dict()
    assert all(torch.isfinite(w).all() for w in weights.values())
    assert {p.name for p in (out / "final").iterdir()} == {"llama", "neox"}
    said.clear()
    await run(out, settings, team(), say=said.append, resume=True)
    assert [line for line in said if "policy neox had learned no more (no update has" in line]
    assert list(manifest(out)["halted"]) == ["neox"]


async def test_what_comes_before_the_first_step_is_not_in_its_seconds(tmp_path, monkeypatch):
    ahead = 0.0
    real = time.monotonic
    monkeypatch.setattr(clock.time, "monotonic", lambda: real() + ahead)
    begin = Loop.run

    async def late(self, *arguments):
        nonlocal ahead
        ahead = 1e6
        return await begin(self, *arguments)

    monkeypatch.setattr(Loop, "run", late)
    await run(tmp_path / "run", config(train={"steps": 1}))
    (row,) = read_metrics(tmp_path / "run/metrics.jsonl")
    assert row["seconds"].get("idle", 0) < 1e5


class SometimesAway(Policy):
    """An endpoint that nobody reaches for the first requests."""

    name = "remote"

    def __init__(self, away: int) -> None:
        self.away = away

    async def generate(self, messages, sampling, *, seed):
        self.away -= 1
        if self.away >= 0:
            raise GenerationError("nobody there")
        return Generation(text="aa" if seed % 2 else "ss")


@pytest.mark.parametrize("settings", [config(), free(train={"steps": 3})])
async def test_an_agent_that_produces_nothing_for_a_while(tmp_path, settings):
    out = tmp_path / "run"
    settings = settings.model_copy(
        update={"search": settings.search.model_copy(update={"strategy": "repeated"})}
    )
    agents = team() | {"remote": Agent("remote", SometimesAway(6))}
    await run(out, settings, agents)
    rows = read_metrics(out / "metrics.jsonl")
    assert rows[0]["trees"]["failed_expansions"] > 0
    assert rows[-1]["agents"]["remote"]["nodes"] > 0
    for name in ("llama", "neox"):
        assert rows[-1]["policies"][name]["version"] > 0


class Down(Policy):
    name = "down"

    async def generate(self, messages, sampling, *, seed):
        raise EndpointDownError("no server")


async def test_nobody_reached_ends_the_run_and_somebody_does_not(tmp_path):
    class Forest:
        reached = False

        def __init__(self):
            self.grown = []

        async def tree(self, tree_id, problem, on_node=None):
            await asyncio.sleep(0)
            if tree_id == "first" and not self.reached:
                raise EndpointDownError("no server")
            if tree_id == "second":
                await asyncio.sleep(0.05)
                self.reached = True
            self.grown.append(tree_id)
            return tree_id

    problem = run_kit.problems(1)[0]
    forest = Forest()
    changed = asyncio.Event()
    growth = Growth(forest, None, PhaseClock(), changed.set)
    growth.plant(Job(0, "first", problem))
    growth.plant(Job(1, "second", problem))
    while len(growth.finished) < 2:
        changed.clear()
        await asyncio.wait_for(changed.wait(), 5)
    assert forest.grown == ["second", "first"]
    assert growth.error is None

    growth = Growth(Forest(), None, PhaseClock(), changed.set)
    growth.plant(Job(0, "first", problem))
    while growth.error is None:
        changed.clear()
        await asyncio.wait_for(changed.wait(), 5)
    assert isinstance(growth.error, EndpointDownError)


@pytest.mark.parametrize("what", ["Curriculum.pick", "Ledger.write"])
async def test_a_defect_nobody_waits_for_ends_the_run(tmp_path, monkeypatch, what):
    """In a callback or a learner's task: the run must not stand still."""
    name, method = what.split(".")
    kind = {"Curriculum": Curriculum, "Ledger": Ledger}[name]
    whole, calls = getattr(kind, method), []

    def broken(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 6 or (name == "Ledger" and len(calls) > 1):
            raise OSError("the disk is full")
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(kind, method, broken)
    with pytest.raises(OSError, match="the disk is full"):
        await asyncio.wait_for(run(tmp_path / "run", free()), 300)
    assert manifest(tmp_path / "run")["status"] == "failed"
    assert len(asyncio.all_tasks()) == 1


async def test_cancelling_an_asynchronous_run_leaves_one_that_resumes(tmp_path):
    out = tmp_path / "run"

    def cancel(node):
        if node.tree_id.startswith("000006"):
            task.cancel()

    task = asyncio.create_task(run(out, free(), on_node=cancel))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert manifest(out)["status"] == "interrupted"
    assert len(asyncio.all_tasks()) == 1
    result, _ = await run(out, free(), resume=True)
    assert result.status == "finished"


async def test_settings_that_contradict_the_mode_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"batch_samples \(1\) is below"):
        await run(tmp_path / "run", free(train={"batch_samples": 1}))
    with pytest.raises(ConfigError, match=r"keep_best = .heldout. needs"):
        await run(tmp_path / "run", free(train={"keep_best": "heldout"}))
    assert not (tmp_path / "run").exists()


async def test_the_best_step_is_kept_by_the_measure_that_is_said(tmp_path):
    out = tmp_path / "run"
    settings = config(
        train={"steps": 4, "keep_checkpoints": 1, "keep_best": "heldout", "eval_every": 1},
        problems={"heldout": "lab:lists"},
    )
    scores = {1: 0.25, 2: 0.5, 3: 0.5, 4: 0.375}
    await run(out, settings, on_step=lambda report: scores[report.step])
    assert manifest(out)["best"] == {"step": 2, "measure": "held-out pass@1", "value": 0.5}
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == ["step-00002", "step-00004"]
    by_reward = config(train={"steps": 3, "keep_checkpoints": 1, "keep_best": "auto"})
    await run(tmp_path / "two", by_reward)
    rewards = [r["trees"]["reward"] for r in read_metrics(tmp_path / "two/metrics.jsonl")]
    best = manifest(tmp_path / "two")["best"]
    assert (best["measure"], best["value"]) == ("training reward", max(rewards))
    assert best["step"] == rewards.index(max(rewards)) + 1


async def test_the_curriculum_of_a_killed_run_goes_on(tmp_path):
    settings = config(train={"curriculum": "difficulty", "steps": 4})

    def stop(report):
        if report.step == 2:
            raise KeyboardInterrupt

    straight, broken = tmp_path / "straight", tmp_path / "broken"
    await run(straight, settings)
    with pytest.raises(KeyboardInterrupt):
        await run(broken, settings, on_step=stop)
    await run(broken, settings, resume=True)
    orders = [
        list(dict.fromkeys(e["tree"] for e in read_journal(d / "journal.jsonl") if "tree" in e))
        for d in (straight, broken)
    ]
    assert orders[0] == orders[1]
    rows = [read_metrics(d / "metrics.jsonl")[-1]["curriculum"] for d in (straight, broken)]
    assert rows[0] == rows[1]
    assert rows[0]["visits"] == len(orders[0])
