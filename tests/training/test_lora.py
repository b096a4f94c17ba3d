"""Adapters: what trains, what is published, what is the reference, and exact resumes."""

from __future__ import annotations

import copy

import peft
import pytest
import torch
from run_kit import config, run, team
from training_kit import family, tiny_gpt2, tiny_llama, tiny_neox
from transformers import AutoModelForCausalLM

from mars2.config import LearnerConfig, ObjectiveConfig
from mars2.errors import TrainingError
from mars2.training import lora
from mars2.training.forward import abilities, output_logprobs
from mars2.training.learner import Learner

VOCAB = 24
MODELS = {"llama": tiny_llama, "neox": tiny_neox, "gpt2": tiny_gpt2}
ROWS = family([(6, [3, 5]), (9, [2, 7])], seed=1)


def learner(model=None, kl=0.0, **settings) -> Learner:
    settings = {"lr": 1e-2, "lora_rank": 4, "weight_decay": 0.1, **settings}
    return Learner(
        "p",
        model or tiny_llama(VOCAB),
        LearnerConfig(**settings),
        ObjectiveConfig(kl_beta=kl),
        total_steps=10,
    )


def logits(model):
    with torch.no_grad():
        return model(torch.arange(8).unsqueeze(0)).logits


@pytest.mark.parametrize("name", MODELS)
def test_only_adapters_train_and_the_merged_weights_compute_the_same(name):
    base = MODELS[name](VOCAB)
    one = learner(copy.deepcopy(base))
    assert abilities(one.model).packs
    torch.testing.assert_close(logits(one.model), logits(base), rtol=0, atol=0)
    for _ in range(3):
        assert one.update(ROWS).optimizer_steps == 1
    own = one.model.state_dict()
    for key, weight in base.state_dict().items():
        owner, leaf = key.rsplit(".", 1)
        assert torch.equal(own.get(f"{owner}.base_layer.{leaf}", own.get(key)), weight), key
    assert not torch.allclose(logits(one.model), logits(base), atol=1e-3)
    trained = sum(p.numel() for p in one.model.parameters() if p.requires_grad)
    assert trained == sum(w.numel() for w in lora.adapter_weights(one.model).values())
    states = one.optimizer.state_dict()["state"].values()
    assert sum(s["exp_avg"].numel() for s in states) == trained
    plain = MODELS[name](VOCAB, seed=9)
    plain.load_state_dict(one.state_dict())
    torch.testing.assert_close(logits(plain), logits(one.model), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_saved_is_a_plain_directory_with_the_adapters_beside(name, tmp_path):
    base = MODELS[name](VOCAB)
    one = learner(copy.deepcopy(base))
    one.update(ROWS)
    one.save(tmp_path)
    saved = AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
    for key, weight in one.weights().items():
        assert torch.equal(saved[key], weight)
    with_adapters = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    torch.testing.assert_close(logits(with_adapters), logits(one.model), rtol=1e-6, atol=1e-6)


def test_the_reference_is_the_model_without_adapters_and_no_copy():
    base = tiny_llama(VOCAB)
    one = learner(copy.deepcopy(base), kl=0.1)
    assert one.reference is None
    assert one.update(ROWS).kl == pytest.approx(0, abs=1e-6)
    assert one.update(ROWS).kl > 1e-6
    with torch.no_grad():
        reference = one._reference_logprobs(ROWS)
        torch.testing.assert_close(reference, output_logprobs(base, ROWS))
        assert not torch.allclose(reference, output_logprobs(one.model, ROWS), atol=1e-4)
    assert all(p.requires_grad == (".lora_" in n) for n, p in one.model.named_parameters())


def test_the_kl_gradient_is_that_of_a_learner_with_a_copy(monkeypatch):
    """The reference pass in between must not disturb the graph of the trained one."""
    gradients = []
    for own_copy in (False, True):
        one = learner(kl=1.0, max_grad_norm=1e9)
        with torch.no_grad():
            for name, parameter in one.model.named_parameters():
                if "lora_B" in name:
                    parameter.add_(0.05)
        if own_copy:
            one.reference = tiny_llama(VOCAB)
        trained = [p for p in one.model.parameters() if p.requires_grad]
        monkeypatch.setattr(
            one, "_step", lambda t=trained: gradients.append([p.grad.clone() for p in t]) or 0.0
        )
        one.update(ROWS)
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_resume_is_exact_and_refuses_another_base_or_other_adapters():
    straight, first = learner(minibatches=2), learner(minibatches=2)
    for _ in range(4):
        straight.update(ROWS)
    for _ in range(2):
        first.update(ROWS)
    weights, state = first.state_dict(), copy.deepcopy(first.training_state())
    second = learner(minibatches=2)
    second.load(weights, state)
    for _ in range(2):
        second.update(ROWS)
    for key, weight in straight.weights().items():
        assert torch.equal(second.weights()[key], weight)
    with pytest.raises(TrainingError, match="not the one that was trained"):
        learner(model=tiny_llama(VOCAB, seed=3)).load(weights, state)
    with pytest.raises(TrainingError, match="other names or shapes"):
        learner(lora_rank=2).load(weights, state)


def test_targets_choose_the_layers_and_unknown_ones_are_named():
    one = learner(lora_targets=["q_proj", "v_proj"])
    names = lora.adapter_weights(one.model)
    assert {name.split(".lora_")[0].rsplit(".", 1)[1] for name in names} == {"q_proj", "v_proj"}
    with pytest.raises(TrainingError, match=r"learner\.lora_targets = \['nothing'\]"):
        learner(lora_targets=["nothing"])


def test_the_same_seed_gives_the_same_adapters_whatever_was_drawn_before():
    models = tiny_llama(VOCAB), tiny_llama(VOCAB)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = learner(models[0])
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    two = learner(models[1])
    for name, weight in lora.adapter_weights(one.model).items():
        assert torch.equal(weight, lora.adapter_weights(two.model)[name])


async def test_a_run_with_adapters_resumes_to_the_same_weights(tmp_path):
    """The policies generate with merged weights; publication checks that they hold them."""
    settings = config(learner={"lora_rank": 2, "activation_checkpointing": True})
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    await run(straight, settings)

    def stop(report):
        if report.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await run(broken, settings, on_step=stop)
    agents = team()
    await run(broken, settings, agents, resume=True)
    for name in ("llama", "neox"):
        weights = [
            AutoModelForCausalLM.from_pretrained(out / "final" / name).state_dict()
            for out in (straight, broken)
        ]
        assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
        assert (broken / "final" / name / "adapter" / "adapter_config.json").is_file()
        policy = next(a.policy for a in agents.values() if a.policy.name == name)
        start = next(a.policy for a in team().values() if a.policy.name == name)
        held = policy.model.state_dict()
        assert all(torch.equal(held[k], weights[0][k]) for k in held)
        assert any(not torch.equal(held[k], w) for k, w in start.model.state_dict().items())


def test_autocast_takes_inputs_as_they_are_and_computes_the_same():
    casts, gradients = [], []
    for as_it_is in (True, False):
        torch.manual_seed(0)
        made = learner(precision="bfloat16")
        for weight in lora.adapter_weights(made.model).values():
            weight.normal_(std=0.1)  # fresh ones change nothing
        abilities(made.model)
        for layer in lora._layers(made.model).values():
            assert not layer.cast_input_dtype_enabled
            layer.cast_input_dtype_enabled = not as_it_is
        with torch.profiler.profile() as seen, made._autocast():
            output_logprobs(made.model, ROWS).sum().backward()
        casts.append(sum(e.name == "aten::_to_copy" for e in seen.events()))
        gradients.append({n: p.grad for n, p in made.model.named_parameters() if p.requires_grad})
    assert casts[0] < casts[1]
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=0, atol=0)
