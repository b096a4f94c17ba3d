"""Whole runs with tiny real models: what learns, what is written, what survives a kill."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import run_kit
import torch
from run_kit import config, problems, program, run, team
from training_kit import tiny_llama, tiny_neox
from transformers import AutoModelForCausalLM, AutoTokenizer

from mars2.agents.base import Agent, Policy, Role
from mars2.agents.local import LocalPolicy
from mars2.errors import (
    CapabilityError,
    ProblemError,
    ResumeError,
    TrainingError,
)
from mars2.search.journal import read_journal
from mars2.training.rundir import read_metrics
from mars2.types import Generation, Sampling

POLICIES = ("llama", "neox")


def final(out: Path, policy: str) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(out / "final" / policy)
    return model.state_dict()


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(a[k], b[k]) for k in a)


def manifest(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text())


async def test_a_run_trains_every_policy_and_writes_everything(tmp_path):
    out, reports = tmp_path / "run", []
    agents = team()
    before = {n: agents[a].policy.model.state_dict() for n, a in (("llama", "coder"),)}
    before = {n: {k: v.clone() for k, v in d.items()} for n, d in before.items()}
    result, _ = await run(out, agents=agents, on_step=reports.append)
    assert (result.status, result.steps) == ("finished", 3)
    assert [r.step for r in reports] == [1, 2, 3]
    rows = read_metrics(out / "metrics.jsonl")
    assert [r["step"] for r in rows] == [1, 2, 3]
    for row in rows:
        assert row["trees"]["nodes"] == 6 * row["trees"]["count"]
        for name in POLICIES:
            update = row["policies"][name]["update"]
            assert update is None or math.isfinite(update["loss"])
    assert sum(r["policies"]["llama"]["update"] is not None for r in rows) >= 2
    assert not same(before["llama"], final(out, "llama"))
    status = manifest(out)
    assert (status["status"], status["steps_done"], status["seed"]) == ("finished", 3, 3)
    assert status["final"] == {"llama": "final/llama", "neox": "final/neox"}
    assert status["agents"] == {"coder": "llama", "mender": "llama", "other": "neox"}
    assert (out / "config.json").exists()
    assert [p.name for p in sorted((out / "checkpoints").iterdir())] == [
        "step-00002",
        "step-00003",
    ]
    trees = {e["tree"] for e in read_journal(out / "journal.jsonl") if "tree" in e}
    assert {t.partition("/")[0] for t in trees} == {f"{i:06d}" for i in range(len(trees))}


async def test_final_weights_have_their_own_directory_and_their_own_tokenizer(tmp_path):
    agents = team()
    await run(tmp_path / "run", config(train={"steps": 1}), agents)
    for name, agent in (("llama", "coder"), ("neox", "other")):
        folder = tmp_path / "run" / "final" / name
        policy = agents[agent].policy
        assert same(policy.model.state_dict(), final(tmp_path / "run", name))
        again = AutoTokenizer.from_pretrained(folder)
        assert again("abc")["input_ids"] == policy.tokenizer("abc")["input_ids"]
        notes = json.loads((folder / "mars2.json").read_text())
        assert (notes["policy"], notes["prompt_style"]) == (name, "micro")
        assert notes["version"] == policy.version
    assert json.loads((tmp_path / "run/final/llama/mars2.json").read_text())["agents"] == [
        "coder",
        "mender",
    ]


async def test_reward_rises_on_a_task_that_can_be_learned(tmp_path):
    agents = {"coder": team()["coder"]}
    settings = config(
        train={"steps": 8, "trees_per_step": 5}, learner={"lr": 1e-2, "schedule": "constant"}
    )
    await run(tmp_path / "run", settings, agents)
    rows = read_metrics(tmp_path / "run/metrics.jsonl")
    rewards = [row["policies"]["llama"]["reward"] for row in rows]
    assert sum(rewards[-2:]) > sum(rewards[:2]) + 0.4


@pytest.mark.parametrize(
    "node", [pytest.param(4, marks=pytest.mark.slow, id="first step"), pytest.param(30, id="later")]
)
async def test_killed_and_resumed_equals_uninterrupted(tmp_path, node):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    await run(straight)
    assert program(broken, "--kill-at", str(node)) == -9
    assert manifest(broken)["status"] == "running"
    done = [e for e in read_journal(broken / "journal.jsonl") if e["event"] == "tell"]
    assert len(done) == node
    _, (forest,) = await run(broken, resume=True)
    told = [e for e in read_journal(straight / "journal.jsonl") if e["event"] == "tell"]
    assert forest.expansions == len(told) - node  # no finished node was made again
    for name in POLICIES:
        assert same(final(straight, name), final(broken, name))
    rows = [read_metrics(d / "metrics.jsonl") for d in (straight, broken)]
    for a, b in zip(*rows, strict=True):
        assert a["trees"] == b["trees"]
        assert _untimed(a["policies"]) == _untimed(b["policies"])


def _untimed(policies: dict) -> dict:
    return {n: {k: v for k, v in p.items() if k != "update_seconds"} for n, p in policies.items()}


async def test_resume_goes_back_over_steps_without_checkpoint(tmp_path):
    settings = config(train={"steps": 3, "checkpoint_every": 3})
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    await run(straight, settings)

    def stop(report):
        if report.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await run(broken, settings, on_step=stop)
    assert manifest(broken)["status"] == "interrupted"
    _, (forest,) = await run(broken, settings, resume=True)
    assert [r["step"] for r in read_metrics(broken / "metrics.jsonl")] == [1, 2, 3]
    for name in POLICIES:
        assert same(final(straight, name), final(broken, name))
    told = [e for e in read_journal(broken / "journal.jsonl") if e["event"] == "tell"]
    assert forest.expansions < len(told)


async def test_cancelling_leaves_a_run_that_resumes(tmp_path):
    out = tmp_path / "run"

    def cancel(node):
        if node.tree_id.startswith("000004"):
            task.cancel()

    task = asyncio.create_task(run(out, on_node=cancel))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert manifest(out)["status"] == "interrupted"
    result, _ = await run(out, resume=True)
    assert result.status == "finished"


async def test_resume_under_other_settings_names_the_keys_and_changes_nothing(tmp_path):
    out = tmp_path / "run"
    await run(out, config(train={"steps": 1}))
    files = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    with pytest.raises(ResumeError, match=r"learner.lr: 0.003 -> 0.1\n  train.steps: 1 -> 3"):
        await run(out, config(learner={"lr": 0.1}), resume=True)
    with pytest.raises(ResumeError, match="other training problems"):
        await run(out, config(train={"steps": 1}), resume=True, problems=problems(4))
    assert files == {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}


async def test_settings_of_when_to_stop_and_what_to_keep_may_change_on_resume(tmp_path):
    out, straight = tmp_path / "run", tmp_path / "straight"
    constant = {"schedule": "constant"}
    await run(straight, config(learner=constant))
    await run(out, config(learner=constant, train={"steps": 1}))
    more = config(learner=constant, train={"keep_checkpoints": 3, "time_budget_s": 1e6})
    result, _ = await run(out, more, resume=True)
    assert (result.status, result.steps) == ("finished", 3)
    assert len(list((out / "checkpoints").iterdir())) == 3
    for name in POLICIES:
        assert same(final(straight, name), final(out, name))
    (changed,) = manifest(out)["changed"]
    assert "train.steps: 1 -> 3" in changed
    assert json.loads((out / "config.json").read_text())["train"]["steps"] == 3
    with pytest.raises(ResumeError, match=r"has made 3 steps; train.steps = 2"):
        await run(out, config(learner=constant, train={"steps": 2}), resume=True)


async def test_a_directory_in_use_is_refused(tmp_path):
    with pytest.raises(ResumeError, match="not a run that can be resumed"):
        await run(tmp_path / "nothing", resume=True)
    (tmp_path / "note").write_text("mine")
    with pytest.raises(ResumeError, match="is not empty; choose another"):
        await run(tmp_path)
    with pytest.raises(ResumeError, match="is a file"):
        await run(tmp_path / "note")
    await run(tmp_path / "run", config(train={"steps": 1}))
    with pytest.raises(ResumeError, match="continue it with --resume"):
        await run(tmp_path / "run", config(train={"steps": 1}))
    assert [p.name for p in tmp_path.iterdir() if p.name != "run"] == ["note"]


class Silent(Policy):
    """An endpoint without log-probabilities."""

    name = "api"

    async def generate(self, messages, sampling, *, seed):
        raise AssertionError("never asked")


async def test_what_cannot_be_trained_is_refused_by_name_before_anything_is_written(tmp_path):
    out = tmp_path / "run"
    remote = {"remote": Agent("remote", Silent())}
    with pytest.raises(CapabilityError, match=r"nobody.*\n.*agent 'remote': policy 'api' cannot"):
        await run(out, agents=remote)
    agents = [
        {"name": "remote", "spec": "openai:x", "train": True},
        {"name": "coder", "spec": "micro:x", "train": False},
    ]
    with pytest.raises(CapabilityError, match="agent 'remote': policy 'api' cannot be trained"):
        await run(out, config(agents=agents), team() | remote)
    with pytest.raises(CapabilityError, match=r"'coder' is frozen, but others learn .* 'llama'"):
        await run(out, config(agents=agents[1:]))
    nucleus = Role(sampling=Sampling(top_p=0.9))
    with pytest.raises(CapabilityError, match=r"'n': top_p is 0\.9"):
        await run(out, agents={"n": replace(team()["coder"], role=nucleus)})
    with pytest.raises(ProblemError, match="no training problems"):
        await run(out, problems=[])
    with pytest.raises(ProblemError, match="'p0' more than once"):
        await run(out, problems=problems(1) * 2)
    assert not out.exists()


async def test_trees_without_signal_are_replaced_once_and_counted(tmp_path):
    settings = config(train={"steps": 1, "refill_rounds": 2})
    result, _ = await run(tmp_path / "run", settings, judge=lambda text: 0.0)
    (row,) = read_metrics(tmp_path / "run/metrics.jsonl")
    trees = row["trees"]
    assert (trees["count"], trees["dropped_groups"], trees["refills"]) == (9, 9, 2)
    assert all(p["update"] is None and p["version"] == 0 for p in row["policies"].values())
    assert result.status == "finished"


async def test_refilling_keeps_what_was_accepted(tmp_path):
    seen = []

    def judge(text):  # trees of the first problem drawn are hopeless, others informative
        seen.append(text)
        return 0.0 if len(seen) <= 6 else float(len(seen) % 2)

    await run(tmp_path / "run", config(train={"steps": 1, "refill_rounds": 3}), judge=judge)
    (row,) = read_metrics(tmp_path / "run/metrics.jsonl")
    assert (row["trees"]["count"], row["trees"]["informative"]) == (4, 3)
    trained = sum(p["update"]["samples"] for p in row["policies"].values() if p["update"])
    waiting = sum(p["waiting"] for p in row["policies"].values())
    assert trained + waiting == 18


async def test_without_refilling_training_still_happens(tmp_path):
    settings = config(train={"steps": 1, "refill_rounds": 0})
    await run(tmp_path / "run", settings, judge=lambda text: float(len(text) % 2))
    (row,) = read_metrics(tmp_path / "run/metrics.jsonl")
    assert row["trees"]["count"] == 3
    assert any(p["update"] for p in row["policies"].values())


class Mute(LocalPolicy):
    """Writes nothing at all."""

    async def generate(self, messages, sampling, *, seed):
        whole = await super().generate(messages, sampling, seed=seed)
        return replace(whole, text="", token_ids=(), logprobs=())


async def test_three_agents_one_of_which_produces_nothing(tmp_path):
    agents = team()
    del agents["mender"]
    role = Role(sampling=Sampling(max_tokens=8))
    agents["mute"] = Agent(
        "mute", run_kit.policy("mute", tiny_llama(vocab=22, seed=9), kind=Mute), role
    )
    settings = config(search={"strategy": "repeated", "nodes": 9})
    await run(tmp_path / "run", settings, agents)
    assert same(final(tmp_path / "run", "mute"), tiny_llama(vocab=22, seed=9).state_dict())
    rows = read_metrics(tmp_path / "run/metrics.jsonl")
    assert all(r["policies"]["mute"]["update"] is None for r in rows)
    assert all(r["policies"]["mute"]["empty"] == r["policies"]["mute"]["nodes"] for r in rows)
    for name in POLICIES:
        assert rows[-1]["policies"][name]["version"] > 0


class Endpoint(Policy):
    """Text without token ids, as an endpoint gives it."""

    name = "api"

    async def generate(self, messages, sampling, *, seed):
        return Generation(text="aa" if seed % 2 else "ss")


async def test_frozen_and_endpoint_agents_take_part_and_count_but_do_not_learn(tmp_path):
    settings = config(
        agents=[{"name": "other", "spec": "micro:x", "train": False}],
        search={"strategy": "repeated", "nodes": 6},
    )
    agents = team() | {"remote": Agent("remote", Endpoint())}
    await run(tmp_path / "run", settings, agents)
    assert same(agents["other"].policy.model.state_dict(), tiny_neox(vocab=40).state_dict())
    assert [p.name for p in (tmp_path / "run/final").iterdir()] == ["llama"]
    assert manifest(tmp_path / "run")["learning"] == ["llama"]
    told = [e["node"] for e in read_journal(tmp_path / "run/journal.jsonl") if e["event"] == "tell"]
    assert {n["agent"] for n in told} == {"coder", "mender", "other", "remote"}
    rows = read_metrics(tmp_path / "run/metrics.jsonl")
    assert all(list(r["policies"]) == ["llama"] for r in rows)
    assert all(r["agents"]["remote"]["nodes"] > 0 for r in rows)
    # Trees in which only those who do not learn differ are informative all the same.
    judge = iter(range(10**6))
    await run(tmp_path / "two", settings, judge=lambda text: float(next(judge) % 6 == 2))
    (first, *_) = read_metrics(tmp_path / "two/metrics.jsonl")
    assert first["trees"]["informative"] == 3
    assert first["policies"]["llama"]["update"]["samples"] == 12


async def test_a_policy_with_few_samples_waits_and_the_others_go_on(tmp_path):
    settings = config(train={"steps": 2}, learner={"min_samples": 15})
    agents = team()
    await run(tmp_path / "run", settings, agents, judge=lambda text: float(len(text) % 2))
    rows = read_metrics(tmp_path / "run/metrics.jsonl")
    for row in rows:
        for policy in row["policies"].values():
            assert (policy["update"] is None) == (policy["waiting"] > 0)
    assert any(p["waiting"] for r in rows for p in r["policies"].values())


async def test_time_budget_stops_between_steps_and_can_be_resumed(tmp_path, monkeypatch):
    clock = iter(range(0, 10**6, 7))
    monkeypatch.setattr("mars2.training.trainer.time.monotonic", lambda: next(clock))
    settings = config(train={"time_budget_s": 1.0})
    result, _ = await run(tmp_path / "run", settings)
    assert (result.status, result.steps) == ("stopped", 0)
    assert manifest(tmp_path / "run")["stopped"] == "train.time_budget_s = 1.0"
    clock = itertools.repeat(0)
    result, _ = await run(tmp_path / "run", settings, resume=True)
    assert (result.status, result.steps) == ("finished", 3)
    assert manifest(tmp_path / "run")["stopped"] is None


async def test_a_run_in_which_nothing_is_finite_ends_and_says_so(tmp_path, monkeypatch):
    agents = {"coder": team()["coder"]}
    monkeypatch.setattr("mars2.training.credit.STD_EPSILON", math.nan)
    with pytest.raises(TrainingError, match=r"(?s)no policy can learn.*llama: no update has had"):
        await run(tmp_path / "run", config(train={"steps": 4}), agents)
    assert manifest(tmp_path / "run")["status"] == "failed"
    line = (tmp_path / "run/metrics.jsonl").read_text().splitlines()[0]
    assert json.loads(line)["policies"]["llama"]["update"]["loss"] is None


async def test_the_loop_carries_an_asynchronous_hook(tmp_path):
    steps = []

    async def hook(report):
        await asyncio.sleep(0)
        steps.append((report.step, report.steps))

    await run(tmp_path / "run", config(train={"steps": 2}), on_step=hook)
    assert steps == [(1, 2), (2, 2)]
