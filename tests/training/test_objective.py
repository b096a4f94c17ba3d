"""The objective against slow references and fixtures worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from training_kit import samples, tiny_llama

from mars2.config import ObjectiveConfig
from mars2.training.forward import output_logprobs, output_mask
from mars2.training.objective import Scale, k3, policy_loss, rollout_correction

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


def slow(new, old, rollout, reference, advantages, c, max_length):
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
            term = -min(s * a, clipped * a) * w
            d = (reference[v, t] - new[v, t]).item()
            term += c.kl_beta * (math.exp(d) - d - 1)
            loss += {
                "sample": term / n / samples_,
                "token": term / total_tokens,
                "dr_grpo": term / (samples_ * max_length),
            }[c.normalisation]
    return loss


@pytest.mark.parametrize("level", ["sequence", "token"])
@pytest.mark.parametrize("normalisation", ["sample", "token", "dr_grpo"])
@pytest.mark.parametrize(
    ("correction", "mode"),
    [("off", "truncate"), *[(c, m) for c in ("token", "sequence") for m in ("truncate", "mask")]],
)
def test_loss_and_gradient_equal_the_slow_reference(level, normalisation, correction, mode):
    config = ObjectiveConfig(
        level=level,
        normalisation=normalisation,
        correction=correction,
        correction_mode=mode,
        correction_cap=1.3,
        epsilon_low=0.1,
        epsilon_high=0.15,
        kl_beta=0.05,
    )
    new, old, rollout, reference, advantages, mask = batch()
    scale = Scale.of(LENGTHS, max_length=8)
    loss, _ = policy_loss(new, old, rollout, reference, advantages, mask, scale, config)
    assert loss.item() == pytest.approx(
        slow(new, old, rollout, reference, advantages, config, 8), abs=1e-9
    )
    loss.backward()
    step = 1e-6
    for v, n in enumerate(LENGTHS):
        for t in range(n):
            up, down = new.detach().clone(), new.detach().clone()
            up[v, t] += step
            down[v, t] -= step
            numeric = slow(up, old, rollout, reference, advantages, config, 8)
            numeric -= slow(down, old, rollout, reference, advantages, config, 8)
            assert float(new.grad[v, t]) == pytest.approx(numeric / (2 * step), abs=1e-6)
    assert float((new.grad * (1 - mask)).abs().max()) == 0


def test_sequence_ratio_and_clip_higher_by_hand():
    # two tokens, log-ratios 0.3 and 0.1: s = e^0.2; Â = 1 is clipped at 1.1, Â = −1 is not
    new = torch.tensor([[-1.0, -1.0], [-1.0, -1.0]], requires_grad=True)
    old = torch.tensor([[-1.3, -1.1], [-1.3, -1.1]])
    config = ObjectiveConfig(epsilon_low=0.05, epsilon_high=0.1, kl_beta=0, correction="off")
    loss, sums = policy_loss(
        new, old, old, None, torch.tensor([1.0, -1.0]), torch.ones(2, 2), Scale(2, 4, 2), config
    )
    assert loss.item() == pytest.approx((-1.1 + math.exp(0.2)) / 2, abs=1e-6)
    assert (sums.clipped, sums.ratio_terms) == (1, 2)
    assert sums.ratio == pytest.approx(2 * math.exp(0.2), abs=1e-5)
    loss.backward()
    assert new.grad[0].abs().max() == 0  # clipped: no gradient
    assert new.grad[1] == pytest.approx(math.exp(0.2) / 4)


@pytest.mark.parametrize(
    ("correction", "mode", "expected"),
    [
        ("off", "truncate", [[1.0], [1.0]]),
        ("token", "truncate", [[2.0, 1.5, 0.5], [1.0, 1.0, 1.0]]),
        ("token", "mask", [[0.0, 1.5, 0.5], [1.0, 1.0, 1.0]]),
        ("sequence", "truncate", [[2.0], [1.0]]),
        ("sequence", "mask", [[0.0], [1.0]]),
    ],
)
def test_correction_modes_by_hand(correction, mode, expected):
    # first row: π_old/π_rollout = 4, 1.5, 0.5 (product 3); second row: one token, ratio 1
    ratio = torch.tensor([[4.0, 1.5, 0.5], [1.0, 9.0, 9.0]])
    mask = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    rollout = torch.full((2, 3), -2.0)
    config = ObjectiveConfig(correction=correction, correction_mode=mode, correction_cap=2.0)
    weight = rollout_correction(rollout + ratio.log(), rollout, mask, config)
    assert weight.tolist() == [pytest.approx(row) for row in expected]


@pytest.mark.parametrize("correction", ["sequence", "token"])
def test_the_correction_carries_no_gradient(correction):
    old = torch.full((1, 2), -1.0, requires_grad=True)
    config = ObjectiveConfig(correction=correction)
    weight = rollout_correction(old, torch.full((1, 2), -1.1), torch.ones(1, 2), config)
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


def test_k3_is_zero_at_equality_and_positive_elsewhere():
    x = torch.linspace(-3, 0, 7)
    assert k3(x, x).abs().max() == 0
    assert (k3(x, x + 0.3) > 0).all()
    assert (k3(x, x - 0.3) > 0).all()
    assert float(k3(torch.tensor(-1.0), torch.tensor(-1.5))) == pytest.approx(math.exp(-0.5) - 0.5)


def test_kl_without_reference_is_refused():
    new, old, rollout, _, advantages, mask = batch()
    with pytest.raises(ValueError, match="reference"):
        policy_loss(new, old, rollout, None, advantages, mask, Scale.of(LENGTHS), ObjectiveConfig())
