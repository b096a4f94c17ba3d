import math
import statistics
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.search.arms import BetaArm, GaussianArm

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
    rng = Random(1)
    draws = [arm.draw(rng) for _ in range(20_000)]
    assert statistics.fmean(draws) == pytest.approx(mean, abs=5 * math.sqrt(variance / 20_000))
    assert statistics.pvariance(draws) == pytest.approx(variance, rel=0.05)


def test_gaussian_draws_follow_the_posterior():
    arm = fill(GaussianArm(), [0.25, 0.75, 1.0, 0.5, 0.0, 1.0, 0.5])
    m, kappa, nu, tau_square = arm.posterior()
    # The marginal of the mean is Student t: variance tau^2 / kappa * nu / (nu - 2).
    variance = tau_square / kappa * nu / (nu - 2)
    rng = Random(2)
    draws = [arm.draw(rng) for _ in range(20_000)]
    assert statistics.fmean(draws) == pytest.approx(m, abs=5 * math.sqrt(variance / 20_000))
    assert statistics.pvariance(draws) == pytest.approx(variance, rel=0.1)


@given(rewards, st.integers(1, 4))
def test_pending_leaves_no_trace(observed, pending):
    for kind in (BetaArm, GaussianArm):
        arm, plain = fill(kind(), observed, pending), fill(kind(), observed)
        assert arm.draw(Random(3)) != plain.draw(Random(3)) or observed == []
        arm.pending = 0
        assert arm.statistics() == plain.statistics()
        assert arm.draw(Random(3)) == plain.draw(Random(3))


def test_pending_is_pessimistic():
    for kind in (BetaArm, GaussianArm):
        free, busy = fill(kind(), [1.0, 1.0]), fill(kind(), [1.0, 1.0], pending=4)
        rng = Random(4)
        wins = sum(free.draw(rng) > busy.draw(rng) for _ in range(500))
        assert wins > 400


def test_a_zero_gamma_draw_is_survived():
    class Zero(Random):
        def gammavariate(self, alpha, beta):
            return 0.0

    assert math.isfinite(GaussianArm().draw(Zero(0)))
