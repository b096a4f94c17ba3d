"""One policy's updates: exact accumulation, schedule, guards, determinism, separation."""

from __future__ import annotations

import copy
import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from training_kit import samples, tiny_llama, tiny_neox

from mars2.config import LearnerConfig, ObjectiveConfig
from mars2.errors import TrainingError
from mars2.training import learner as learning
from mars2.training import memory
from mars2.training.forward import abilities, batches, output_logprobs
from mars2.training.learner import Learner
from mars2.training.schedule import learning_rate


def learner(policy="p", model=None, objective=None, **settings) -> Learner:
    settings = {"lr": 1e-2, **settings}
    return Learner(
        policy,
        model or tiny_llama(),
        LearnerConfig(**settings),
        objective or ObjectiveConfig(kl_beta=0),
        total_steps=10,
    )


def flat(model, gradient=False):
    return torch.cat([(p.grad if gradient else p.detach()).flatten() for p in model.parameters()])


@pytest.mark.parametrize("normalisation", ["sample", "token", "dr_grpo"])
@pytest.mark.parametrize("level", ["sequence", "token"])
def test_accumulated_gradient_equals_that_of_the_full_batch(normalisation, level, monkeypatch):
    objective = ObjectiveConfig(level=level, normalisation=normalisation, kl_beta=0.1)
    rows = samples(9)
    seen = []
    for tokens in (1, 30, 10**6):
        one = learner(objective=objective, micro_batch_tokens=tokens, max_grad_norm=1e9)
        one.reference = tiny_llama(seed=7)
        monkeypatch.setattr(one, "_step", lambda one=one: seen.append(flat(one.model, True)) or 0.0)
        metrics = one.update(rows)
        seen.append(torch.tensor(metrics.loss))
    singles, full = seen[0], seen[4]
    assert full.abs().max() > 1e-3
    torch.testing.assert_close(singles, full, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(seen[2], full, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(seen[1], seen[5])


def test_an_update_raises_what_was_good_and_lowers_what_was_bad():
    rows = [replace(s, advantage=a) for s, a in zip(samples(2), (1.0, -1.0), strict=True)]
    one = learner(lr=1e-3)
    with torch.no_grad():
        rows = [
            replace(s, logprobs=tuple(output_logprobs(one.model, [s])[0].tolist())) for s in rows
        ]
    before = [sum(s.logprobs) for s in rows]
    metrics = one.update(rows)
    with torch.no_grad():
        after = output_logprobs(one.model, rows).sum(1).tolist()
    assert after[0] > before[0]
    assert after[1] < before[1]
    assert metrics.version == one.version == 1
    assert metrics.optimizer_steps == 1
    assert metrics.ratio_mean == pytest.approx(1)
    assert metrics.correction_mean == pytest.approx(1, abs=1e-5)
    assert metrics.grad_norm > 0
    assert metrics.tokens == sum(len(s.token_ids) for s in rows)


def test_minibatches_use_log_probs_from_before_the_first_step():
    one = learner(minibatches=3, lr=5e-2)
    metrics = one.update(samples(9))
    assert metrics.optimizer_steps == one.steps == 3
    assert metrics.ratio_mean != pytest.approx(1, abs=1e-3)  # later steps are off-policy
    assert one.version == 1


def test_more_minibatches_than_samples():
    one = learner(minibatches=8)
    assert one.update(samples(3)).optimizer_steps == 3


def test_same_samples_and_seed_give_the_same_weights_and_resume_is_exact():
    straight, first = learner(minibatches=2), learner(minibatches=2)
    for step in range(4):
        straight.update(samples(6, seed=step))
    for step in range(2):
        first.update(samples(6, seed=step))
    state = copy.deepcopy(first.training_state())
    second = learner(minibatches=2, model=tiny_llama(seed=5))
    second.load(first.state_dict(), state)
    for step in (2, 3):
        second.update(samples(6, seed=step))
    assert torch.equal(flat(straight.model), flat(second.model))
    assert (second.version, second.steps) == (straight.version, straight.steps) == (4, 8)


def test_published_weights_are_a_copy():
    one = learner()
    published = one.state_dict()
    before = {k: v.clone() for k, v in published.items()}
    one.update(samples())
    assert all(torch.equal(published[k], before[k]) for k in before)
    assert not torch.equal(flat(one.model), flat(tiny_llama()))


def test_a_non_finite_step_changes_nothing_and_is_reported():
    one = learner()
    before, state = flat(one.model).clone(), copy.deepcopy(one.training_state())
    bad = [replace(s, advantage=math.nan) for s in samples(3)]
    metrics = one.update(bad)
    assert (metrics.optimizer_steps, metrics.skipped_steps, metrics.version) == (0, 1, 0)
    assert math.isnan(metrics.loss)
    assert torch.equal(flat(one.model), before)
    assert one.steps == state["steps"] == 0  # the schedule counts real steps only
    assert one.failures == 1
    assert one.update(samples(3)).optimizer_steps == 1
    assert one.failures == 0


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_one_bad_micro_batch_leaves_weights_and_optimizer_untouched(where):
    """The other micro-batches of the step already have gradients when it is noticed."""
    one = learner(micro_batch_tokens=20, minibatches=1)
    one.update(samples(8, seed=1))
    before, state = flat(one.model).clone(), copy.deepcopy(one.training_state())
    rows = samples(8, seed=2)
    assert len(batches(rows, 20, one.model)) > 2
    bad = {"loss": math.nan, "gradient": 3e38}[where]  # finite in the loss, not in the gradient
    rows[3] = replace(rows[3], advantage=bad)
    metrics = one.update(rows)
    assert (metrics.optimizer_steps, metrics.skipped_steps, metrics.version) == (0, 1, 1)
    assert torch.equal(flat(one.model), before)
    after = one.training_state()
    assert (after["steps"], after["failures"]) == (state["steps"], 1)
    for key, moments in state["optimizer"]["state"].items():
        for name, value in moments.items():
            assert torch.equal(after["optimizer"]["state"][key][name], value)
    assert all(p.grad is None for p in one.model.parameters())
    assert math.isnan(metrics.ratio_mean)  # nothing of a step that was not taken is reported
    assert one.update(samples(8, seed=3)).optimizer_steps == 1
    assert torch.isfinite(flat(one.model)).all()


@pytest.mark.parametrize("changed", [{"lr": 1e30}, {"lr": 1.0, "weight_decay": 1e30}])
def test_a_step_that_would_break_the_weights_changes_nothing(changed):
    """Losses can stay finite: what is normalised by an infinite norm is 0."""
    one = learner(**changed, warmup_steps=0)
    before = flat(one.model).clone()
    for failures in (1, 2, 3):
        metrics = one.update(samples(3))
        assert (metrics.optimizer_steps, metrics.skipped_steps, metrics.version) == (0, 1, 0)
        assert one.failures == failures
    assert torch.equal(flat(one.model), before)


@pytest.mark.parametrize("model", [tiny_llama, tiny_neox])
@pytest.mark.parametrize("how", [True, "light", "auto"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_activation_checkpointing_changes_nothing(model, how, precision, monkeypatch):
    monkeypatch.setattr(learning, "LEAST_ROOM", 0)
    shared = {"minibatches": 2, "precision": precision}
    one = learner(model=model(), activation_checkpointing=False, **shared)
    two = learner(model=model(), activation_checkpointing=how, **shared)
    rows = samples(6)
    metrics = [x.update(rows) for x in (one, two)]
    assert torch.equal(flat(one.model), flat(two.model))  # so a resumed run may change it
    assert metrics[0].loss == metrics[1].loss


class Counted(TorchDispatchMode):
    """How often each operation ran."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.counts[func] += 1
        return func(*args, **(kwargs or {}))


def operations(how):
    """Of an update of a model with four layers."""
    one = learner(model=tiny_llama(layers=4), activation_checkpointing=how)
    abilities(one.model)
    with Counted() as counted:
        one.update(samples(3))
    return counted.counts


def test_what_is_computed_again():
    """Everything in a layer, or all but its matrix products and attention."""
    costly = torch.ops.aten.mm.default
    cheap = torch.ops.aten.silu.default
    counts = {how: operations(how) for how in (False, "light", True)}
    assert counts["light"][cheap] == counts[True][cheap] == 2 * counts[False][cheap] > 0
    assert counts["light"][costly] == counts[False][costly] < counts[True][costly]


def test_care_for_the_heap_changes_no_result(monkeypatch):
    plain = learner(micro_batch_tokens=30)
    assert plain._heap is None  # small
    monkeypatch.setattr(learning, "CARES", 0)
    cared = learner(micro_batch_tokens=30)
    trims, blocks = [], set()
    monkeypatch.setattr(cared._heap, "trim", lambda: trims.append(1))
    step = cared._step

    def look():
        blocks.update(p.grad.untyped_storage().data_ptr() for p in cared.model.parameters())
        return step()

    monkeypatch.setattr(cared, "_step", look)
    for seed in range(3):
        metrics = [one.update(samples(9, seed=seed)) for one in (plain, cared)]
        assert metrics[0] == metrics[1]
        assert len(blocks) == 1  # all gradients in one piece of memory
        assert all(p.grad is None for p in cared.model.parameters())
        assert cared._heap._block is None
        assert len(trims) > 3
        blocks.clear()
    assert torch.equal(flat(plain.model), flat(cared.model))
    memory.Heap([]).trim()  # the real one runs


def test_what_fits_is_kept(monkeypatch):
    """A layer of these samples keeps some 72 kB; the first one always does."""
    silu, layer = torch.ops.aten.silu.default, 72_000
    monkeypatch.setattr(learning, "ROOM", 1 << 40)
    found = []
    for room in (0, int(2.5 * layer), 1 << 30):
        monkeypatch.setattr(learning, "LEAST_ROOM", room)
        found.append(operations("auto")[silu])
    assert found == [4 + 3, 4 + 2, 4]


def test_bfloat16_keeps_float32_weights_gradients_and_moments(monkeypatch):
    exact, rough = learner(max_grad_norm=1e9), learner(max_grad_norm=1e9, precision="bfloat16")
    rows, gradients = samples(8), []
    for one in (exact, rough):
        monkeypatch.setattr(
            one, "_step", lambda m=one.model: gradients.append(flat(m, True).clone()) or 0.0
        )
        one.update(rows)
    assert gradients[1].dtype == torch.float32
    assert not torch.equal(*gradients)
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.99
    monkeypatch.undo()
    assert rough.update(rows).optimizer_steps == 1
    assert {w.dtype for w in rough.weights().values()} == {torch.float32}
    moments = [s["exp_avg"].dtype for s in rough.optimizer.state_dict()["state"].values()]
    assert set(moments) == {torch.float32}


def test_what_a_model_can_do_is_found_in_full_precision():
    """The first to be asked may be asked under autocast, in which no two ways agree."""
    one = learner(precision="bfloat16", objective=ObjectiveConfig(kl_beta=0.1))
    one.update(samples(4))
    for model in (one.model, one.reference):
        assert abilities(model).packs
        assert abilities(model).splits


def test_entropy_is_reported_and_rewarded_only_if_asked():
    assert learner().update(samples(4)).entropy is None
    one = learner(objective=ObjectiveConfig(kl_beta=0, report_entropy=True))
    assert 0 < one.update(samples(4)).entropy <= math.log(24) + 1e-5
    rows = [replace(s, advantage=0.0) for s in samples(6)]
    one = learner(objective=ObjectiveConfig(kl_beta=0, entropy_coef=1.0), lr=1e-3)
    with torch.no_grad():
        for p in one.model.parameters():
            p.mul_(3)  # away from the uniform distribution
    seen = [one.update(rows).entropy for _ in range(6)]
    assert seen[-1] > seen[0]


def test_one_bad_minibatch_does_not_spoil_the_others():
    rows = samples(4)
    rows[0] = replace(rows[0], advantage=math.inf)
    metrics = learner(minibatches=4).update(rows)
    assert (metrics.optimizer_steps, metrics.skipped_steps) == (3, 1)


def test_gradient_norm_is_clipped(monkeypatch):
    one = learner(max_grad_norm=1e-3)
    norms = []
    monkeypatch.setattr(one, "_step", lambda: norms.append(flat(one.model, True).norm()) or 0.0)
    assert one.update(samples()).grad_norm > 1e-2
    assert float(norms[0]) == pytest.approx(1e-3, rel=1e-3)


def test_no_reference_model_is_kept_without_kl():
    assert learner().reference is None
    one = learner(objective=ObjectiveConfig(kl_beta=0.1))
    first = flat(one.reference).clone()
    assert one.update(samples()).kl == pytest.approx(0, abs=1e-6)
    assert one.update(samples()).kl > 0
    assert torch.equal(flat(one.reference), first)


def test_kl_pulls_back_to_the_reference():
    rows = [replace(s, advantage=0.0) for s in samples(6)]
    one = learner(objective=ObjectiveConfig(kl_beta=1.0), lr=1e-3)
    torch.manual_seed(3)
    with torch.no_grad():
        for p in one.model.parameters():
            p.add_(torch.randn_like(p) * 0.02)
    kl = [one.update(rows).kl for _ in range(10)]
    assert kl[-1] < 0.5 * kl[0]


def test_another_policy_s_samples_and_ids_are_refused():
    one = learner()
    with pytest.raises(TrainingError, match="'p' was given a sample of 'q'"):
        one.update(samples(2, policy="q"))
    with pytest.raises(TrainingError, match="beyond the 24 of its vocabulary"):
        one.update(samples(6, vocab=40))
    with pytest.raises(TrainingError, match="needs samples"):
        one.update([])
    other = learner(model=tiny_neox(vocab=40))
    assert other.update(samples(6, vocab=40)).optimizer_steps == 1


def test_prompt_tokens_are_never_trained():
    """The gradient of the output head touches only what predicts an output token."""
    model = tiny_neox(vocab=24)
    sample = replace(samples(1)[0], prompt_ids=(1, 2, 3, 4, 5), token_ids=(9,), logprobs=(-3.0,))
    output_logprobs(model, [sample]).sum().backward()
    gradient = model.get_output_embeddings().weight.grad
    with torch.no_grad():
        hidden = model.base_model(torch.tensor([[1, 2, 3, 4, 5]]))[0][0, -1]
        p = torch.softmax(model.get_output_embeddings()(hidden), 0)
    want = -p.unsqueeze(1) * hidden
    want[9] += hidden
    torch.testing.assert_close(gradient, want, rtol=1e-4, atol=1e-6)


def test_half_precision_weights_are_refused():
    with pytest.raises(TrainingError, match="not float32"):
        learner(model=tiny_llama().to(torch.bfloat16))


@given(st.integers(0, 20), st.integers(1, 50), st.sampled_from(["constant", "linear", "cosine"]))
def test_learning_rate_never_rises_again_after_the_warm_up(warmup, total, schedule):
    rates = [
        learning_rate(s, total, peak=1.0, warmup=warmup, schedule=schedule)
        for s in range(total + 40)
    ]
    assert all(0 <= r <= 1 for r in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    if schedule != "constant" and total > warmup:
        assert rates[total] == pytest.approx(0)
        assert rates[-1] == pytest.approx(0)


def test_schedule_counts_optimizer_steps_across_updates_and_resume():
    one = learner(schedule="linear", lr=1.0e-3, minibatches=2, warmup_steps=0)
    rates = [one.update(samples(4)).lr for _ in range(3)]
    assert rates == pytest.approx([0.9e-3, 0.7e-3, 0.5e-3])
    two = learner(schedule="linear", lr=1.0e-3, minibatches=2)
    two.load(one.state_dict(), one.training_state())
    assert two.update(samples(4)).lr == pytest.approx(0.3e-3)
