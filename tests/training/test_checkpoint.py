"""Checkpoints are whole or ignored, and hold everything that a policy needs to go on."""

from __future__ import annotations

import json

import pytest
import torch
from run_kit import tokenizer
from training_kit import samples, tiny_llama, tiny_neox
from transformers import AutoModelForCausalLM

from mars2.config import LearnerConfig, ObjectiveConfig
from mars2.errors import ResumeError
from mars2.training import checkpoint as module
from mars2.training.buffer import SampleBuffer
from mars2.training.checkpoint import (
    PolicyState,
    latest_checkpoint,
    restore_policy,
    restore_random,
    save_checkpoint,
)
from mars2.training.learner import Learner
from mars2.training.rundir import safe_name


def state(name: str, model) -> PolicyState:
    learner = Learner(
        name, model, LearnerConfig(lr=1e-2), ObjectiveConfig(kl_beta=0), total_steps=9
    )
    return PolicyState(learner, SampleBuffer(name, 2), tokenizer("abc"), {"prompt_style": "micro"})


def save(root, states, step, keep=2, best=None):
    progress = {"begun": 10 * step}
    return save_checkpoint(
        root, states, step=step, progress=progress, digest="d", keep=keep, best=best
    )


def test_everything_comes_back(tmp_path):
    name = "hf:some/model@1"
    states = {name: state(name, tiny_llama()), "neox": state("neox", tiny_neox())}
    for one, policy in states.items():
        policy.learner.update(samples(policy=one))
        policy.buffer.add(samples(3, policy=one, seed=4))
    torch.manual_seed(11)
    save(tmp_path, states, 7)
    drawn = torch.rand(3)
    found = latest_checkpoint(tmp_path)
    assert (found.step, found.progress, found.digest) == (7, {"begun": 70}, "d")
    again = {name: state(name, tiny_llama(seed=8)), "neox": state("neox", tiny_neox(seed=8))}
    for one, policy in again.items():
        restore_policy(found, one, policy)
        assert policy.learner.training_state()["steps"] == 1
        assert policy.learner.version == 1
        assert policy.buffer.dumps() == states[one].buffer.dumps()
        for key, weight in states[one].learner.state_dict().items():
            assert torch.equal(policy.learner.state_dict()[key], weight)
        step = [p.learner.update(samples(policy=one)) for p in (policy, states[one])]
        assert step[0] == step[1]  # the optimizer's moments came along
    restore_random(found)
    assert torch.equal(torch.rand(3), drawn)
    with pytest.raises(ResumeError, match="no policy 'third'"):
        restore_policy(found, "third", again["neox"])


def test_weights_are_a_hugging_face_directory(tmp_path):
    one = state("p", tiny_llama())
    path = save(tmp_path, {"p": one}, 1) / "policies" / "p" / "weights"
    loaded = AutoModelForCausalLM.from_pretrained(path)
    assert torch.equal(loaded.lm_head.weight, one.learner.model.lm_head.weight)


def test_only_the_newest_and_the_best_are_kept(tmp_path):
    one = {"p": state("p", tiny_llama())}
    for step in (1, 2, 3):
        save(tmp_path, one, step)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00002", "step-00003"]
    for step in (4, 5):
        save(tmp_path, one, step, keep=1, best=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00002", "step-00005"]


@pytest.mark.parametrize("damage", ["marker", "cut", "flip", "missing", "garbage"])
def test_a_damaged_checkpoint_is_ignored_for_the_one_before(tmp_path, damage):
    one = {"p": state("p", tiny_llama())}
    save(tmp_path, one, 1)
    path = save(tmp_path, one, 2)
    weights = path / "policies/p/weights/model.safetensors"
    data = weights.read_bytes()
    if damage == "marker":
        (path / "COMPLETE").unlink()
    elif damage == "cut":
        weights.write_bytes(data[:-1])
    elif damage == "flip":
        weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "missing":
        weights.unlink()
    else:
        (path / "COMPLETE").write_text("{")
    assert latest_checkpoint(tmp_path).step == 1
    save(tmp_path, one, 2)
    assert latest_checkpoint(tmp_path).step == 2


def test_a_crash_while_writing_leaves_no_checkpoint(tmp_path, monkeypatch):
    one = {"p": state("p", tiny_llama())}
    save(tmp_path, one, 1)
    monkeypatch.setattr(module.os, "rename", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        save(tmp_path, one, 2)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["step-00001"]
    (tmp_path / ".step-00002.123").mkdir()  # left by a killed process
    assert latest_checkpoint(tmp_path).step == 1
    save(tmp_path, one, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00001", "step-00002"]


def test_no_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path / "absent") is None
    assert latest_checkpoint(tmp_path) is None


def test_directory_names_are_safe_and_distinct():
    assert safe_name("micro-a_1.2") == "micro-a_1.2"
    odd = ["hf:a/b", "hf:a-b", "../up", "", ".hidden", "a b"]
    made = [safe_name(n) for n in odd]
    assert len(set(made)) == len(odd)
    assert all("/" not in m and not m.startswith(".") and m for m in made)


def test_marker_names_every_file(tmp_path):
    path = save(tmp_path, {"p": state("p", tiny_llama())}, 1)
    marker = json.loads((path / "COMPLETE").read_text())
    files = {str(f.relative_to(path)) for f in path.rglob("*") if f.is_file()}
    assert files == {*marker, "COMPLETE"}
