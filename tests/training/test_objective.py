"""The objective against slow references and fixtures worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_kit import samples, tiny_llama

from mars2.config import ObjectiveConfig
from mars2.training.forward import output_logprobs, output_mask
from mars2.training.objective import (
    ObjectiveSums,
    Scale,
    importance_weight,
    policy_loss,
    rollout_correction,
)

LENGTHS = [3, 1, 5]


def batch(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)

    def draw(spread):
        return torch.randn(3, 5, generator=generator, dtype=torch.float64) * spread

    mask = torch.tensor([[1.0] * n + [0.0] * (5 - n) for n in LENGTHS], dtype=torch.float64)
    old = (-2 + draw(0.3)) * mask
    new = ((old + draw(0.3)) * mask).requires_grad_()
    rollout = (old + draw(0.4)) * mask
    reference = (old + draw(0.2)) * mask
    return new, old, rollout, reference, torch.tensor([1.5, -0.7, 0.4]).double(), mask


def slow(new, old, rollout, reference, advantages, c, max_length, entropy=None):
    """One token at a time, with math only."""
    samples_, total_tokens = len(LENGTHS), sum(LENGTHS)
    loss = 0.0
    for v, n in enumerate(LENGTHS):
        diffs = [(new[v, t] - old[v, t]).item() for t in range(n)]
        mismatch = [(old[v, t] - rollout[v, t]).item() for t in range(n)]
        for t in range(n):
            s = math.exp(sum(diffs) / n if c.level == "sequence" else diffs[t])
            clipped = min(max(s, 1 - c.epsilon_low), 1 + c.epsilon_high)
            a = float(advantages[v])
            w = 1.0
            if c.correction != "off":
                w = math.exp(sum(mismatch) if c.correction == "sequence" else mismatch[t])
                if w > c.correction_cap:
                    w = c.correction_cap if c.correction_mode == "truncate" else 0.0
                elif w < (c.correction_floor or 0):
                    w = c.correction_floor if c.correction_mode == "truncate" else 0.0
            surrogate = min(s * a, clipped * a)
            if c.dual_clip and a < 0:
                surrogate = max(surrogate, c.dual_clip * a)
            d = (reference[v, t] - new[v, t]).item()
            divergence = {"k1": -d, "k2": d * d / 2, "k3": math.exp(d) - d - 1}[c.kl_estimator]
            if c.kl_bias_correction:
                divergence *= math.exp(diffs[t])
            term = -surrogate * w + c.kl_beta * divergence
            loss += {
                "sample": term / n / samples_,
                "token": term / total_tokens,
                "dr_grpo": term / (samples_ * max_length),
            }[c.normalisation]
            if entropy is not None:
                loss -= c.entropy_coef * entropy[v, t].item() / total_tokens
    return loss


def assert_equal_to_slow(config, **more):
    """Loss, and gradient by central differences of the slow reference."""
    new, old, rollout, reference, advantages, mask = batch()
    scale = Scale.of(LENGTHS, max_length=8)
    loss, _ = policy_loss(new, old, rollout, reference, advantages, mask, scale, config, **more)
    rest = (old, rollout, reference, advantages, config, 8, more.get("entropy"))
    assert loss.item() == pytest.approx(slow(new, *rest), abs=1e-9)
    loss.backward()
    step = 1e-6
    for v, n in enumerate(LENGTHS):
        for t in range(n):
            up, down = new.detach().clone(), new.detach().clone()
            up[v, t] += step
            down[v, t] -= step
            numeric = (slow(up, *rest) - slow(down, *rest)) / (2 * step)
            assert float(new.grad[v, t]) == pytest.approx(numeric, abs=1e-6)
    assert float((new.grad * (1 - mask)).abs().max()) == 0


@pytest.mark.parametrize("level", ["sequence", "token"])
@pytest.mark.parametrize("normalisation", ["sample", "token", "dr_grpo"])
@pytest.mark.parametrize(
    ("correction", "mode"),
    [("off", "truncate"), *[(c, m) for c in ("token", "sequence") for m in ("truncate", "mask")]],
)
def test_loss_and_gradient_equal_the_slow_reference(level, normalisation, correction, mode):
    assert_equal_to_slow(
        ObjectiveConfig(
            level=level,
            normalisation=normalisation,
            correction=correction,
            correction_mode=mode,
            correction_cap=1.3,
            epsilon_low=0.1,
            epsilon_high=0.15,
            kl_beta=0.05,
        )
    )


@pytest.mark.parametrize("mode", ["truncate", "mask"])
@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
@pytest.mark.parametrize("bias_correction", [False, True])
def test_the_rest_of_the_settings_equals_the_slow_reference(mode, estimator, bias_correction):
    new = batch()[0]
    assert_equal_to_slow(
        ObjectiveConfig(
            level="token",
            normalisation="token",
            dual_clip=1.05,
            epsilon_low=0.1,
            kl_beta=0.3,
            kl_estimator=estimator,
            kl_bias_correction=bias_correction,
            entropy_coef=0.2,
            correction="token",
            correction_mode=mode,
            correction_cap=1.2,
            correction_floor=0.9,
        ),
        entropy=torch.full_like(new, 1.7, requires_grad=False),
    )


@pytest.mark.parametrize("correction", ["sequence", "token"])
def test_the_correction_carries_no_gradient(correction):
    old = torch.full((1, 2), -1.0, requires_grad=True)
    config = ObjectiveConfig(correction=correction)
    raw = importance_weight(old, torch.full((1, 2), -1.1), torch.ones(1, 2), correction)
    weight = rollout_correction(raw, config)
    assert not weight.requires_grad


@pytest.mark.parametrize("level", ["sequence", "token"])
@pytest.mark.parametrize("correction", ["sequence", "token"])
def test_the_correction_weight_is_applied_once(level, correction):
    """θ = θ_old and a uniform mismatch: the gradient is the plain one times the weight."""
    model, rows = tiny_llama(), samples(5)
    mask = output_mask(rows)
    scale = Scale.of([len(s.token_ids) for s in rows])
    advantages = torch.tensor([s.advantage for s in rows])

    def gradient(mismatch, mode):
        model.zero_grad()
        new = output_logprobs(model, rows)
        shift = mismatch if correction == "token" else mismatch / mask.sum(1, keepdim=True)
        config = ObjectiveConfig(level=level, correction=mode, correction_cap=10, kl_beta=0)
        rollout = (new.detach() - shift) * mask
        loss, _ = policy_loss(new, None, rollout, None, advantages, mask, scale, config)
        loss.backward()
        return torch.cat([p.grad.flatten() for p in model.parameters()])

    weight = math.exp(0.5)
    plain, weighted = gradient(0.5, "off"), gradient(0.5, correction)
    assert plain.abs().max() > 1e-3
    torch.testing.assert_close(weighted, weight * plain, rtol=1e-4, atol=1e-7)


def test_kl_without_reference_is_refused():
    new, old, rollout, _, advantages, mask = batch()
    with pytest.raises(ValueError, match="reference"):
        policy_loss(new, old, rollout, None, advantages, mask, Scale.of(LENGTHS), ObjectiveConfig())


def test_an_entropy_bonus_without_entropy_is_refused():
    new, old, rollout, _, advantages, mask = batch()
    config = ObjectiveConfig(kl_beta=0, entropy_coef=0.1)
    with pytest.raises(ValueError, match="entropy"):
        policy_loss(new, old, rollout, None, advantages, mask, Scale.of(LENGTHS), config)


SETTINGS = st.builds(
    ObjectiveConfig,
    level=st.sampled_from(["sequence", "token"]),
    normalisation=st.sampled_from(["sample", "token", "dr_grpo"]),
    dual_clip=st.sampled_from([None, 1.1, 3.0]),
    kl_beta=st.sampled_from([0.0, 0.1]),
    kl_estimator=st.sampled_from(["k1", "k2", "k3"]),
    entropy_coef=st.sampled_from([0.0, 0.01]),
    correction=st.sampled_from(["off", "token", "sequence"]),
    correction_mode=st.sampled_from(["truncate", "mask"]),
    correction_cap=st.sampled_from([1.05, 2.0]),
)


def random_batch(lengths, seed):
    """[B, T] tensors: new, old, rollout, reference, entropy (double), and advantages, mask."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = len(lengths), max(lengths)

    def draw(spread):
        return torch.randn(rows, columns, generator=generator, dtype=torch.float64) * spread

    mask = (torch.arange(columns) < torch.tensor(lengths).unsqueeze(1)).double()
    old = -2 + draw(0.5)
    tensors = [old + draw(0.3), old, old + draw(0.3), old + draw(0.3), draw(1.0).abs()]
    return [*(x * mask for x in tensors), draw(1.0)[:, 0], mask]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=2, max_size=6),
    st.integers(1, 5),
    st.integers(0, 10**6),
    SETTINGS,
)
def test_micro_batches_of_any_shape_add_up(lengths, cut, seed, config):
    new, old, rollout, reference, entropy, advantages, mask = random_batch(lengths, seed)
    scale = Scale.of(lengths, max_length=10)

    def part(chosen):
        longest = max(lengths[i] for i in chosen)
        cells = [x[chosen, :longest] for x in (new, old, rollout, reference, entropy, mask)]
        leaf = cells[0].clone().requires_grad_()
        loss, sums = policy_loss(
            leaf, *cells[1:4], advantages[chosen], cells[5], scale, config, entropy=cells[4]
        )
        loss.backward()
        grown = torch.zeros(len(chosen), max(lengths), dtype=torch.float64)
        grown[:, :longest] = leaf.grad
        return loss.item(), grown, sums

    rows = list(range(len(lengths)))
    cut = min(cut, len(rows) - 1)
    whole, first, second = part(rows), part(rows[:cut]), part(rows[cut:])
    assert first[0] + second[0] == pytest.approx(whole[0], abs=1e-9)
    torch.testing.assert_close(torch.cat([first[1], second[1]]), whole[1])
    added = ObjectiveSums()
    added.add(first[2])
    added.add(second[2])
    for name in ObjectiveSums.__slots__:
        assert getattr(added, name) == pytest.approx(getattr(whole[2], name)), name


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.integers(0, 10**6),
    st.floats(-0.2, 0.2),
    SETTINGS,
)
def test_on_policy_the_gradient_is_the_plain_one_times_the_weight(lengths, seed, shift, config):
    """At θ = θ_old every variant is −Â·w·∇log π / N, written out without autograd."""
    config = config.model_copy(update={"kl_beta": 0.0, "entropy_coef": 0.0})
    new, _, _, _, _, advantages, mask = random_batch(lengths, seed)
    leaf = new.clone().requires_grad_()
    rollout = (new - shift) * mask
    scale = Scale.of(lengths, max_length=10)
    loss, _ = policy_loss(leaf, None, rollout, None, advantages, mask, scale, config)
    loss.backward()
    expected = torch.zeros_like(new)
    for v, n in enumerate(lengths):
        w = {"off": 1.0, "token": math.exp(shift), "sequence": math.exp(shift * n)}[
            config.correction
        ]
        if w > config.correction_cap:
            w = config.correction_cap if config.correction_mode == "truncate" else 0.0
        per_token = {
            "sample": 1 / n / scale.samples,
            "token": 1 / scale.tokens,
            "dr_grpo": 1 / (scale.samples * 10),
        }[config.normalisation]
        expected[v, :n] = -advantages[v] * w * per_token
    torch.testing.assert_close(leaf.grad, expected)


def test_absurd_log_probs_give_no_nan():
    """A token that fell from e^-200 to e^0, or the reverse, overflows exp; its step must not."""
    for jump in (200.0, -200.0):
        new = torch.tensor([[-200.0 + max(jump, 0), -1.0]], requires_grad=True)
        old = torch.tensor([[-200.0 - min(jump, 0), -1.0]])
        for level in ("token", "sequence"):
            config = ObjectiveConfig(level=level, dual_clip=3.0, correction="token")
            for advantage in (1.0, -1.0):
                new.grad = None
                loss, sums = policy_loss(
                    new,
                    old,
                    old - jump,
                    old,
                    torch.tensor([advantage]),
                    torch.ones(1, 2),
                    Scale(1, 2, 2),
                    config,
                )
                loss.backward()
                assert torch.isfinite(loss)
                assert torch.isfinite(new.grad).all()
                assert math.isfinite(sums.ratio)
