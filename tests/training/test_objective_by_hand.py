"""The objective on numbers small enough to work out on paper, as the comments do."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mars2.config import ObjectiveConfig
from mars2.training.objective import (
    ObjectiveSums,
    Scale,
    importance_weight,
    kl,
    log_ratio,
    normalise,
    policy_loss,
    rollout_correction,
)


def plain(**settings: Any) -> ObjectiveConfig:
    """Nothing but the clipped objective."""
    return ObjectiveConfig(**{"kl_beta": 0.0, "correction": "off", **settings})


def one_token(
    ratio: float, advantage: float, **settings: Any
) -> tuple[float, float, ObjectiveSums]:
    """Loss, its gradient by log π_θ, and sums, of one sample of one token with this s."""
    new = torch.tensor([[-1.0]], dtype=torch.float64, requires_grad=True)
    old = torch.tensor([[-1.0 - math.log(ratio)]], dtype=torch.float64)
    loss, sums = policy_loss(
        new,
        old,
        old,
        None,
        torch.tensor([advantage], dtype=torch.float64),
        torch.ones(1, 1, dtype=torch.float64),
        Scale(1, 1, 1),
        plain(**settings),
    )
    loss.backward()
    return loss.item(), new.grad.item(), sums


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient", "clipped"),
    [
        # ε = 0.2 below, 0.28 above. Inside: −s·Â, and d(−s·Â)/d log π = −s·Â.
        (1.1, 2.0, -2.2, -2.2, 0),
        (0.9, -2.0, 1.8, 1.8, 0),
        # Â > 0 and s above 1.28: −1.28·2; nothing more to gain, no gradient.
        (1.5, 2.0, -2.56, 0.0, 1),
        # Â < 0 and s below 0.8: min(0.5·−2, 0.8·−2) = −1.6.
        (0.5, -2.0, 1.6, 0.0, 1),
        # The min takes the worse of the two: these are not clipped.
        (0.5, 2.0, -1.0, -1.0, 0),
        (1.5, -2.0, 3.0, 3.0, 0),
    ],
)
def test_clip_higher(
    ratio: float, advantage: float, loss: float, gradient: float, clipped: int
) -> None:
    for level in ("token", "sequence"):
        got = one_token(ratio, advantage, level=level, epsilon_low=0.2, epsilon_high=0.28)
        assert got[:2] == (pytest.approx(loss), pytest.approx(gradient))
        assert got[2].clipped == clipped


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient", "dual_clipped"),
    [
        # c = 3. Â < 0 and s = 5: max(min(−5, −1.2), −3) = −3, constant in θ.
        (5.0, -1.0, 3.0, 0.0, 1),
        # s = 2 is below c: −s as without the dual clip.
        (2.0, -1.0, 2.0, 2.0, 0),
        # s = 0.5: the lower clip bounds it, not the dual one.
        (0.5, -1.0, 0.8, 0.0, 0),
        # Â > 0 is left alone: the upper clip has it.
        (5.0, 1.0, -1.2, 0.0, 0),
    ],
)
def test_dual_clip(
    ratio: float, advantage: float, loss: float, gradient: float, dual_clipped: int
) -> None:
    got = one_token(ratio, advantage, dual_clip=3.0)
    assert got[:2] == (pytest.approx(loss), pytest.approx(gradient))
    assert got[2].dual_clipped == dual_clipped
    assert got[2].clipped == int(gradient == 0)


def test_without_a_dual_clip_a_likely_mistake_counts_in_full() -> None:
    assert one_token(5.0, -1.0)[:2] == (pytest.approx(5.0), pytest.approx(5.0))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("sample", 3.75),  # (1.5 + 6) / 2
        ("token", 4.2),  # 21 / 5
        ("dr_grpo", 1.05),  # 21 / (2 · 10)
    ],
)
def test_normalisations(how: str, expected: float) -> None:
    terms = torch.tensor([[1.0, 2.0, 100.0], [3.0, 6.0, 9.0]])
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    scale = Scale.of([2, 3], max_length=10)
    assert normalise(terms, mask, scale, how).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        # log π_ref − log π_θ = −1 + 1.5 = 0.5
        ("k1", -0.5),
        ("k2", 0.125),
        ("k3", math.exp(0.5) - 1.5),  # 0.14872
    ],
)
def test_kl_estimators(estimator: str, expected: float) -> None:
    got = kl(torch.tensor(-1.5), torch.tensor(-1.0), estimator)
    assert got.item() == pytest.approx(expected, abs=1e-6)
    assert kl(torch.tensor(-1.0), torch.tensor(-1.0), estimator).item() == 0


def test_kl_in_the_loss_with_and_without_bias_correction() -> None:
    # Â = 0, β = 0.1, k2 with d = 0.5: 0.1 · 0.125. π_θ/π_old = e^0.2 multiplies it if asked to.
    new, old, reference = (torch.tensor([[x]]) for x in (-1.5, -1.7, -1.0))
    for corrected in (False, True):
        config = plain(kl_beta=0.1, kl_estimator="k2", kl_bias_correction=corrected)
        loss, sums = policy_loss(
            new, old, old, reference, torch.zeros(1), torch.ones(1, 1), Scale(1, 1, 1), config
        )
        expected = 0.125 * (math.exp(0.2) if corrected else 1)
        assert loss.item() == pytest.approx(0.1 * expected)
        assert sums.kl == pytest.approx(expected)


def test_a_kl_can_be_reported_without_being_trained() -> None:
    config = plain(report_kl=True)
    assert config.needs_reference
    arguments = (torch.zeros(1), torch.ones(1, 1), Scale(1, 1, 1), config)
    new = torch.tensor([[-1.5]])
    loss, sums = policy_loss(new, None, new, torch.tensor([[-1.0]]), *arguments)
    assert loss.item() == 0
    assert sums.kl == pytest.approx(math.exp(0.5) - 1.5)
    assert not plain().needs_reference
    assert policy_loss(new, None, new, None, *arguments)[1].kl == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_kl_estimators_against_the_exact_divergence(seed: int, categories: int) -> None:
    """Over all outcomes: k1 and k3 have the right mean, and the bias correction makes their
    gradient that of the divergence; without it, k1's is zero on average.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        return torch.randn(categories, generator=generator, dtype=torch.float64)

    logits, reference = draw().requires_grad_(), draw().log_softmax(0)
    log_pi = logits.log_softmax(0)
    exact = (log_pi.exp() * (log_pi - reference)).sum()
    (true_gradient,) = torch.autograd.grad(exact, logits, retain_graph=True)

    def mean_and_gradient(estimator: str, corrected: bool) -> tuple[Tensor, Tensor]:
        config = plain(kl_beta=1.0, kl_estimator=estimator, kl_bias_correction=corrected)
        total = torch.zeros((), dtype=torch.float64)
        for o in range(categories):
            new, zero = log_pi[o].view(1, 1), torch.zeros(1, dtype=torch.float64)
            loss, _ = policy_loss(
                new,
                None,
                new.detach(),
                reference[o].view(1, 1),
                zero,
                torch.ones(1, 1, dtype=torch.float64),
                Scale(1, 1, 1),
                config,
            )
            total = total + log_pi[o].exp().detach() * loss
        return total.detach(), torch.autograd.grad(total, logits, retain_graph=True)[0]

    for estimator in ("k1", "k3"):
        mean, gradient = mean_and_gradient(estimator, corrected=True)
        torch.testing.assert_close(mean, exact.detach())
        torch.testing.assert_close(gradient, true_gradient)
    torch.testing.assert_close(mean_and_gradient("k1", False)[1], torch.zeros_like(logits))
    torch.testing.assert_close(mean_and_gradient("k2", False)[1], true_gradient)


@pytest.mark.parametrize("normalisation", ["sample", "token", "dr_grpo"])
def test_the_entropy_bonus_is_the_mean_over_tokens(normalisation: str) -> None:
    # Entropies 2 | 1, 1, 4 nats: mean 8/4 = 2, at 0.1 the loss falls by 0.2, −0.1/4 a token,
    # however the policy term is normalised.
    entropy = torch.tensor([[2.0, 7.0, 7.0], [1.0, 1.0, 4.0]], requires_grad=True)
    mask = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    new = torch.full((2, 3), -1.0)
    config = plain(entropy_coef=0.1, normalisation=normalisation)
    assert config.needs_entropy
    loss, sums = policy_loss(
        new, None, new, None, torch.zeros(2), mask, Scale.of([1, 3]), config, entropy=entropy
    )
    assert loss.item() == pytest.approx(-0.2)
    loss.backward()
    assert torch.equal(entropy.grad, -0.025 * mask)
    assert (sums.entropy, sums.entropy_terms) == (8.0, 4)


def test_an_entropy_that_is_only_reported_changes_no_loss() -> None:
    new, entropy = torch.full((1, 2), -1.0), torch.tensor([[0.5, 1.5]])
    arguments = (torch.ones(1), torch.ones(1, 2), Scale(1, 2, 2))
    config = plain(report_entropy=True)
    assert config.needs_entropy
    loss, sums = policy_loss(new, None, new, None, *arguments, config, entropy=entropy)
    bare, none = policy_loss(new, None, new, None, *arguments, plain())
    assert loss.item() == bare.item() == -1
    assert (sums.entropy, sums.entropy_terms) == (2.0, 2)
    assert (none.entropy, none.entropy_terms) == (0.0, 0)
    assert not plain().needs_entropy


@pytest.mark.parametrize(
    ("correction", "mode", "floor", "expected"),
    [
        ("off", "truncate", None, [[1.0], [1.0]]),
        ("token", "truncate", None, [[2.0, 1.5, 0.5], [1.0, 1.0, 1.0]]),
        ("token", "truncate", 0.8, [[2.0, 1.5, 0.8], [1.0, 1.0, 1.0]]),
        ("token", "mask", None, [[0.0, 1.5, 0.5], [1.0, 1.0, 1.0]]),
        ("token", "mask", 0.8, [[0.0, 1.5, 0.0], [1.0, 1.0, 1.0]]),
        ("sequence", "truncate", None, [[2.0], [1.0]]),
        ("sequence", "truncate", 1.2, [[2.0], [1.2]]),
        ("sequence", "mask", None, [[0.0], [1.0]]),
        ("sequence", "mask", 1.2, [[0.0], [0.0]]),
    ],
)
def test_correction_modes(
    correction: str, mode: str, floor: float | None, expected: list[list[float]]
) -> None:
    # first row: π_old/π_rollout = 4, 1.5, 0.5 (product 3); second row: one token, ratio 1
    ratio = torch.tensor([[4.0, 1.5, 0.5], [1.0, 9.0, 9.0]])
    mask = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    rollout = torch.full((2, 3), -2.0)
    config = ObjectiveConfig(
        correction=correction, correction_mode=mode, correction_cap=2.0, correction_floor=floor
    )
    raw = importance_weight(rollout + ratio.log(), rollout, mask, correction)
    weight = rollout_correction(raw, config)
    assert weight.tolist() == [pytest.approx(row) for row in expected]


def test_the_corrected_loss_and_what_is_told_of_it() -> None:
    # On policy, Â = 1 and −1; w = 2 (cut from 4), 1.5, 0.5 | 1. GRPO's mean:
    # (−(2 + 1.5 + 0.5)/3 + 1/1) / 2 = −1/6. One of four weights was cut; their sum is 5.
    new = torch.full((2, 3), -2.0)
    rollout = new - torch.tensor([[4.0, 1.5, 0.5], [1.0, 9.0, 9.0]]).log()
    mask = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    config = ObjectiveConfig(level="token", kl_beta=0, correction="token")
    loss, sums = policy_loss(
        new, None, rollout, None, torch.tensor([1.0, -1.0]), mask, Scale.of([3, 1]), config
    )
    assert loss.item() == pytest.approx(-1 / 6)
    assert (sums.corrected, sums.correction_terms) == (1, 4)
    assert sums.correction == pytest.approx(5)
    assert sums.correction_max == pytest.approx(2)


def test_the_two_levels_of_the_ratio() -> None:
    # log-ratios 0.3, 0.1 | 0.4 and padding: GSPO's are their means, 0.2 | 0.4
    new = torch.tensor([[-1.0, -1.0], [-1.0, -9.0]])
    old = torch.tensor([[-1.3, -1.1], [-1.4, -1.0]])
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    sequence = log_ratio(new, old, mask, "sequence")
    torch.testing.assert_close(sequence, torch.tensor([[0.2], [0.4]]))
    token = log_ratio(new, old, mask, "token")
    torch.testing.assert_close(token, torch.tensor([[0.3, 0.1], [0.4, 0.0]]))


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
