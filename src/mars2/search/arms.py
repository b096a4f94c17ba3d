"""Bandit arms: what a search believes about the reward that follows a decision.

An arm keeps sufficient statistics of the rewards seen (constant memory and time per
observation) and, apart from them, how many pending observations it carries. A pending
observation stands for an expansion under way and counts as a reward of 0 in draws: it steers
work asked for at the same moment elsewhere, and it is taken back without trace.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from random import Random
from typing import Literal

ArmKind = Literal["beta", "gaussian"]


class Arm(ABC):
    """Posterior over the mean reward of one decision.

    Attributes:
        count: real observations.
        pending: expansions under way, each counted as a reward of 0 by `draw`.
    """

    __slots__ = ("count", "pending")

    def __init__(self) -> None:
        self.count = 0
        self.pending = 0

    @property
    @abstractmethod
    def mean(self) -> float:
        """Mean of the real observations; 0.5 if there are none."""

    @abstractmethod
    def observe(self, reward: float) -> None:
        """Add one real observation in [0, 1]."""

    @abstractmethod
    def draw(self, rng: Random) -> float:
        """One Thompson sample: a draw of the mean reward from its posterior."""

    @abstractmethod
    def statistics(self) -> tuple[float, ...]:
        """Everything the posterior depends on: (count, pending, moments …)."""


class BetaArm(Arm):
    """Beta posterior under the Jeffreys prior (1/2, 1/2), for rewards in [0, 1].

    A fractional reward r counts as r successes and 1 - r failures (AB-MCTS-A,
    arXiv 2503.04412).
    """

    __slots__ = ("total",)

    def __init__(self) -> None:
        super().__init__()
        self.total = 0.0

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.5

    def observe(self, reward: float) -> None:
        self.count += 1
        self.total += reward

    def draw(self, rng: Random) -> float:
        return rng.betavariate(0.5 + self.total, 0.5 + (self.count - self.total) + self.pending)

    def statistics(self) -> tuple[float, ...]:
        return (self.count, self.pending, self.total)


class GaussianArm(Arm):
    """Normal rewards of unknown mean and variance, normal-inverse-gamma prior.

    Prior m0 = 0, kappa0 = 1, nu0 = 1, tau0^2 = 0.1 (arXiv 2503.04412). With n observations of
    mean x̄ and summed squared deviation S (Murphy, Probabilistic Machine Learning: Advanced
    Topics, 3.4.3.3): kappa = kappa0 + n, nu = nu0 + n, m = (kappa0 m0 + n x̄) / kappa and
    nu tau^2 = nu0 tau0^2 + S + (m0 - x̄)^2 n kappa0 / kappa. A draw takes
    sigma^2 ~ InvGamma(nu / 2, nu tau^2 / 2), then the mean ~ N(m, sigma^2 / kappa).
    """

    __slots__ = ("_mean", "squares")

    M0 = 0.0
    KAPPA0 = 1.0
    NU0 = 1.0
    TAU0_SQUARE = 0.1

    def __init__(self) -> None:
        super().__init__()
        self._mean = 0.0
        self.squares = 0.0  # sum of squared deviations from the mean (Welford)

    @property
    def mean(self) -> float:
        return self._mean if self.count else 0.5

    def observe(self, reward: float) -> None:
        self.count += 1
        delta = reward - self._mean
        self._mean += delta / self.count
        self.squares += delta * (reward - self._mean)

    def posterior(self) -> tuple[float, float, float, float]:
        """(m, kappa, nu, tau^2), pending observations included as rewards of 0."""
        n = self.count + self.pending
        mean, squares = self._mean, self.squares
        if self.pending and self.count:
            # Merge with a block of zeros: their own deviation is 0.
            squares += mean * mean * self.count * self.pending / n
            mean *= self.count / n
        kappa = self.KAPPA0 + n
        nu = self.NU0 + n
        m = (self.KAPPA0 * self.M0 + n * mean) / kappa
        shift = (self.M0 - mean) ** 2 * n * self.KAPPA0 / kappa
        return m, kappa, nu, (self.NU0 * self.TAU0_SQUARE + squares + shift) / nu

    def draw(self, rng: Random) -> float:
        m, kappa, nu, tau_square = self.posterior()
        # A gamma draw can underflow to exactly 0; the variance is then huge, not undefined.
        gamma = max(rng.gammavariate(nu / 2, 1.0), sys.float_info.min)
        sigma_square = nu * tau_square / 2 / gamma
        return rng.gauss(m, math.sqrt(sigma_square / kappa))

    def statistics(self) -> tuple[float, ...]:
        return (self.count, self.pending, self._mean, self.squares)


ARMS: dict[ArmKind, Callable[[], Arm]] = {"beta": BetaArm, "gaussian": GaussianArm}
