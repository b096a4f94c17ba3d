import math
import statistics
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.search.arms import BetaArm, GaussianArm, Siblings
from mars2.search.draws import Draws

rewards = st.lists(st.floats(0, 1), max_size=30)


def fill(arm, observations, pending=0):
    for r in observations:
        arm.observe(r)
    arm.pending = pending
    return arm


@given(rewards, st.integers(0, 5))
def test_gaussian_posterior_equals_the_two_pass_formula(observed, pending):
    arm = fill(GaussianArm(), observed, pending)
    values = observed + [0.0] * pending
    n = len(values)
    mean = statistics.fmean(values) if n else 0.0
    squares = sum((v - mean) ** 2 for v in values)
    expected = (
        n * mean / (1 + n),
        1 + n,
        1 + n,
        (0.1 + squares + mean**2 * n / (1 + n)) / (1 + n),
    )
    assert arm.posterior() == pytest.approx(expected, abs=1e-12)


def test_gaussian_by_hand():
    # Observations 1 and 0: mean 1/2, S = 1/2, kappa = nu = 3, m = 1/3,
    # nu tau^2 = 0.1 + 1/2 + 1/4 * 2/3.
    m, kappa, nu, tau_square = fill(GaussianArm(), [1.0, 0.0]).posterior()
    assert (m, kappa, nu) == (pytest.approx(1 / 3), 3, 3)
    assert tau_square == pytest.approx((0.1 + 0.5 + 1 / 6) / 3)


@pytest.mark.parametrize(
    ("observed", "pending", "mean", "variance"),
    [
        # Beta(a, b): mean a / (a + b), variance ab / ((a + b)^2 (a + b + 1))
        ([], 0, 0.5, 0.125),
        ([1.0, 0.5], 0, 2 / 3, 2 / 9 / 4),
        ([1.0, 0.5], 2, 2 / 5, 6 / 25 / 6),
    ],
)
def test_beta_draws_follow_the_posterior(observed, pending, mean, variance):
    arm = fill(BetaArm(), observed, pending)
    rng = np.random.default_rng(1)
    draws = [arm.draw(rng) for _ in range(20_000)]
    assert statistics.fmean(draws) == pytest.approx(mean, abs=5 * math.sqrt(variance / 20_000))
    assert statistics.pvariance(draws) == pytest.approx(variance, rel=0.05)


def test_gaussian_draws_follow_the_posterior():
    arm = fill(GaussianArm(), [0.25, 0.75, 1.0, 0.5, 0.0, 1.0, 0.5])
    m, kappa, nu, tau_square = arm.posterior()
    # By the two stages of the definition, and by the variance of the marginal, Student's t:
    variance = tau_square / kappa * nu / (nu - 2)
    rng = np.random.default_rng(2)
    draws = [arm.draw(rng) for _ in range(20_000)]
    assert statistics.fmean(draws) == pytest.approx(m, abs=5 * math.sqrt(variance / 20_000))
    assert statistics.pvariance(draws) == pytest.approx(variance, rel=0.1)


@given(rewards, st.integers(1, 4))
def test_pending_leaves_no_trace(observed, pending):
    for kind in (BetaArm, GaussianArm):
        arm, plain = fill(kind(), observed, pending), fill(kind(), observed)
        assert (
            arm.draw(np.random.default_rng(3)) != plain.draw(np.random.default_rng(3))
            or observed == []
        )
        arm.pending = 0
        assert arm.statistics() == plain.statistics()
        assert arm.draw(np.random.default_rng(3)) == plain.draw(np.random.default_rng(3))


def test_pending_is_pessimistic():
    for kind in (BetaArm, GaussianArm):
        free, busy = fill(kind(), [1.0, 1.0]), fill(kind(), [1.0, 1.0], pending=4)
        rng = np.random.default_rng(4)
        wins = sum(free.draw(rng) > busy.draw(rng) for _ in range(500))
        assert wins > 400


@pytest.mark.parametrize("observed", [[], [1.0], [0.25, 0.75, 1.0, 0.5]])
def test_gaussian_draws_are_those_of_variance_then_mean(observed):
    """Quantiles against sigma^2 ~ InvGamma, then mean ~ N: the definition."""
    arm = fill(GaussianArm(), observed)
    m, kappa, nu, tau_square = arm.posterior()
    rng, n = np.random.default_rng(5), 40_000
    ours = np.sort(arm.sample(rng, *(np.full(n, p) for p in arm.parameters())))
    sigma_square = nu * tau_square / 2 / rng.gamma(nu / 2, 1.0, n)
    plain = np.sort(rng.normal(m, np.sqrt(sigma_square / kappa)))
    # Two-sample Kolmogorov-Smirnov; 1.95 sqrt(2 / n) is its 0.1 % level.
    both = np.concatenate([ours, plain])
    gap = np.abs(np.searchsorted(ours, both, "right") - np.searchsorted(plain, both, "right"))
    assert gap.max() / n < 1.95 * math.sqrt(2 / n)


@pytest.mark.parametrize("kind", [BetaArm, GaussianArm])
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 300])
def test_siblings_draw_as_single_arms_do(kind, n):
    siblings, arms = Siblings(), []
    for i in range(n):
        arms.append(fill(kind(), [i % 9 / 8] * (i % 4)))
        siblings.append(arms[-1])
    arms[n // 2].observe(1.0)
    siblings.put(n // 2, arms[n // 2])
    for seed in range(20):
        rng = np.random.default_rng(seed)
        draws = [arm.draw(rng) for arm in arms]
        best = siblings.best(kind.sample, np.random.default_rng(seed))
        assert best == draws.index(max(draws))


@pytest.mark.parametrize("kind", [BetaArm, GaussianArm])
def test_few_and_many_siblings_leave_the_generator_alike(kind):
    def after(few):
        siblings = Siblings()
        for r in (0.0, 0.5, 1.0):
            siblings.append(fill(kind(), [r]))
        rng = np.random.default_rng(6)
        with mock.patch.object(Siblings, "FEW", few):
            return siblings.best(kind.sample, rng), rng.random()

    assert after(0) == after(100)


def test_the_best_sibling_follows_the_odds():
    """P(best) of three Beta arms, against draws made one arm at a time."""
    siblings, arms = Siblings(), [fill(BetaArm(), o) for o in ([1.0], [0.5, 0.5], [0.0])]
    for arm in arms:
        siblings.append(arm)
    rng, n = np.random.default_rng(7), 20_000
    seen = np.bincount([siblings.best(BetaArm.sample, rng) for _ in range(n)], minlength=3) / n
    columns = [rng.beta(*arm.parameters(), n) for arm in arms]
    expected = np.bincount(np.argmax(columns, axis=0), minlength=3) / n
    assert np.abs(seen - expected).max() < 5 * math.sqrt(2 * 0.25 / n)


def test_draws_depend_on_seed_and_ask_alone():
    first, second = Draws(3), Draws(3)
    second.of_ask(8).random(100)  # what was drawn before does not matter
    assert list(first.of_ask(2).random(5)) == list(second.of_ask(2).random(5))
    assert first.of_ask(2).random() != first.of_ask(3).random()
    assert first.of_ask(2).random() != Draws(4).of_ask(2).random()


def test_draws_of_many_asks_are_uniform_and_unrelated():
    draws, n = Draws(11), 4000
    x = np.array([draws.of_ask(k).random(2) for k in range(n)])
    assert np.abs(x.mean(axis=0) - 0.5).max() < 5 * math.sqrt(1 / 12 / n)
    assert abs(np.corrcoef(x[:-1, 0], x[1:, 0])[0, 1]) < 5 / math.sqrt(n)
    assert abs(np.corrcoef(x[:, 0], x[:, 1])[0, 1]) < 5 / math.sqrt(n)
