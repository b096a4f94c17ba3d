"""Gradients added where they are kept are those that autograd would have made."""

from __future__ import annotations

import copy

import pytest
import torch
from training_kit import samples, tiny_gemma, tiny_gpt2, tiny_llama, tiny_neox

from mars2.config import LearnerConfig, ObjectiveConfig
from mars2.training import accumulate, forward
from mars2.training.accumulate import accumulate_in_place, accumulates_in_place
from mars2.training.learner import Learner


@pytest.fixture(autouse=True)
def every_size(monkeypatch):
    monkeypatch.setattr(accumulate, "LARGE", 1)


def gradients(model, parts, entropy=False):
    """After a backward pass over each part."""
    for rows in parts:
        if entropy:
            logprobs, spread = forward.output_logprobs_and_entropy(model, rows)
            (logprobs.sum() + 0.1 * spread.sum()).backward()
        else:
            forward.output_logprobs(model, rows).sum().backward()
    return {n: p.grad for n, p in model.named_parameters()}


def assert_same(plain, other):
    assert plain.keys() == other.keys()
    for name, want in plain.items():
        if want is None:
            assert other[name] is None, name
        else:
            torch.testing.assert_close(other[name], want, rtol=1e-5, atol=1e-6, msg=name)
            assert want.abs().sum() > 0


def pair(model):
    other = copy.deepcopy(model)
    accumulate_in_place(other)
    return model, other


MODELS = {"tied": tiny_gpt2, "untied": tiny_neox, "llama": tiny_llama, "scaled": tiny_gemma}


@pytest.mark.parametrize("entropy", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_the_same_over_several_micro_batches(name, entropy):
    plain, other = pair(MODELS[name]())
    embedding = other.get_input_embeddings().weight
    assert accumulates_in_place(embedding)
    assert accumulates_in_place(other.get_output_embeddings().weight)
    parts = [samples(4, seed=1), samples(3, seed=2), samples(5, seed=3)]
    assert_same(gradients(plain, parts, entropy), gradients(other, parts, entropy))


def test_without_a_split_head_autograd_adds_to_the_same_gradient():
    plain, other = pair(tiny_gpt2())
    for model in (plain, other):
        forward._known[model] = forward.Abilities(packs=False, splits=False)
    parts = [samples(4, seed=1), samples(3, seed=2)]
    assert_same(gradients(plain, parts), gradients(other, parts))


@pytest.mark.parametrize("name", ["tied", "untied"])
@pytest.mark.parametrize("frozen", ["embedding", "head", "all but the body"])
def test_frozen_matrices_get_no_gradient(name, frozen):
    model = MODELS[name]()
    if frozen != "head":
        model.get_input_embeddings().weight.requires_grad_(False)
    if frozen != "embedding":
        model.get_output_embeddings().weight.requires_grad_(False)
    plain, other = pair(model)
    parts = [samples(4, seed=1), samples(3, seed=2)]
    assert_same(gradients(plain, parts), gradients(other, parts))


def test_the_padding_row_gets_none_where_pytorch_gives_none():
    model = tiny_neox()
    model.get_input_embeddings().padding_idx = 5
    plain, other = pair(model)
    parts = [samples(9, seed=1)]
    assert any(5 in s.prompt_ids for s in parts[0])
    found = gradients(other, parts)
    assert_same(gradients(plain, parts), found)
    assert found["gpt_neox.embed_in.weight"][5].abs().sum() == 0


def test_nothing_of_the_size_of_the_matrix_is_made_beside_its_gradient():
    """Autograd is not told of the gradients, so it cannot make copies of them."""
    _, other = pair(tiny_gpt2())
    weight = other.get_input_embeddings().weight
    out = forward.output_logprobs(other, samples(3)).sum()
    assert torch.autograd.grad(out, [weight], allow_unused=True) == (None,)
    kept = weight.grad
    forward.output_logprobs(other, samples(3)).sum().backward()
    assert weight.grad is kept


def learner(**settings):
    return Learner(
        "p",
        tiny_gpt2(),
        LearnerConfig(lr=1e-2, minibatches=2, micro_batch_tokens=30, **settings),
        ObjectiveConfig(kl_beta=0),
        total_steps=10,
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("again", [False, "light", True])
def test_a_learner_s_updates_are_the_same(precision, again, monkeypatch):
    weights = []
    for least in (1, 1 << 40):
        monkeypatch.setattr(accumulate, "LARGE", least)
        one = learner(precision=precision, activation_checkpointing=again)
        assert accumulates_in_place(one.model.get_input_embeddings().weight) == (least == 1)
        for seed in range(2):
            assert one.update(samples(9, seed=seed)).optimizer_steps == 2
        weights.append(torch.cat([p.detach().flatten() for p in one.model.parameters()]))
    # AdamW magnifies the rounding of gradients that are almost 0, up to a step of the rate
    torch.testing.assert_close(*weights, rtol=1e-4, atol=5e-4)


def test_adapters_leave_nothing_to_add_in_place():
    pytest.importorskip("peft")
    one = learner(lora_rank=2)
    assert not accumulates_in_place(one.model.get_output_embeddings().weight)
    assert one.update(samples(6)).optimizer_steps == 2


def test_small_matrices_are_left_to_autograd(monkeypatch):
    monkeypatch.undo()
    _, other = pair(tiny_gpt2())
    assert not accumulates_in_place(other.get_input_embeddings().weight)
