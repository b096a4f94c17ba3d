"""Bandit arms: what a search believes about the reward that follows a decision.

An arm keeps sufficient statistics of the rewards seen (constant memory and time per
observation) and, apart from them, how many pending observations it carries. A pending
observation stands for an expansion under way and counts as a reward of 0 in draws: it steers
work asked for at the same moment elsewhere, and it is taken back without trace.

The arms of one node's children are drawn together (`Siblings`): one call for a thousand draws.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.random import Generator

ArmKind = Literal["beta", "gaussian"]


class Arm(ABC):
    """Posterior over the mean reward of one decision.

    Attributes:
        count: real observations.
        pending: expansions under way, each counted as a reward of 0 by `draw`.
    """

    __slots__ = ("count", "pending")

    WIDTH: int  # how many parameters the posterior has

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
    def parameters(self) -> tuple[float, ...]:
        """What `sample` needs, pending observations included; `WIDTH` numbers."""

    @staticmethod
    @abstractmethod
    def sample(rng: Generator, *parameters: Any) -> Any:
        """Thompson samples, of one arm (floats) or of many at once (arrays [n], one column each).

        A vector of draws equals as many single draws, one after the other.
        """

    @abstractmethod
    def statistics(self) -> tuple[float, ...]:
        """Everything the posterior depends on: (count, pending, moments …)."""

    def draw(self, rng: Generator) -> float:
        """One Thompson sample: a draw of the mean reward from its posterior."""
        return self.sample(rng, *self.parameters())


class BetaArm(Arm):
    """Beta posterior under the Jeffreys prior (1/2, 1/2), for rewards in [0, 1].

    A fractional reward r counts as r successes and 1 - r failures (AB-MCTS-A,
    arXiv 2503.04412).
    """

    __slots__ = ("total",)

    WIDTH = 2

    def __init__(self) -> None:
        super().__init__()
        self.total = 0.0

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.5

    def observe(self, reward: float) -> None:
        self.count += 1
        self.total += reward

    def parameters(self) -> tuple[float, float]:
        total = self.total
        return 0.5 + total, 0.5 + (self.count - total) + self.pending

    @staticmethod
    def sample(rng: Generator, *parameters: Any) -> Any:
        return rng.beta(*parameters)

    def statistics(self) -> tuple[float, ...]:
        return (self.count, self.pending, self.total)


class GaussianArm(Arm):
    """Normal rewards of unknown mean and variance, normal-inverse-gamma prior.

    Prior m0 = 0, kappa0 = 1, nu0 = 1, tau0^2 = 0.1 (arXiv 2503.04412). With n observations of
    mean x̄ and summed squared deviation S (Murphy, Probabilistic Machine Learning: Advanced
    Topics, 3.4.3.3): kappa = kappa0 + n, nu = nu0 + n, m = (kappa0 m0 + n x̄) / kappa and
    nu tau^2 = nu0 tau0^2 + S + (m0 - x̄)^2 n kappa0 / kappa. Drawing
    sigma^2 ~ InvGamma(nu / 2, nu tau^2 / 2) and then the mean ~ N(m, sigma^2 / kappa) is drawing
    the mean from its marginal, m + sqrt(tau^2 / kappa) t with Student's t of nu degrees of
    freedom (same section).
    """

    __slots__ = ("_mean", "squares")

    WIDTH = 3
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

    def parameters(self) -> tuple[float, float, float]:
        m, kappa, nu, tau_square = self.posterior()
        return m, math.sqrt(tau_square / kappa), nu

    @staticmethod
    def sample(rng: Generator, *parameters: Any) -> Any:
        m, scale, nu = parameters
        return m + scale * rng.standard_t(nu)

    def statistics(self) -> tuple[float, ...]:
        return (self.count, self.pending, self._mean, self.squares)


ARMS: dict[ArmKind, Callable[[], Arm]] = {"beta": BetaArm, "gaussian": GaussianArm}


class Siblings:
    """The arms of one node's children, as columns of posterior parameters that grow in place.

    Whoever changes an arm puts it here again. Reading costs no copy, growing is amortised.
    """

    __slots__ = ("_columns",)

    # Below this many, single draws are faster than a call on arrays (about 15 µs against 1 to
    # 2 µs a draw). The draws are the same either way.
    FEW = 8

    def __init__(self) -> None:
        self._columns: tuple[array[float], ...] = ()

    def append(self, arm: Arm) -> None:
        """A further child's arm."""
        if not self._columns:
            self._columns = tuple(array("d") for _ in range(arm.WIDTH))
        for column, value in zip(self._columns, arm.parameters(), strict=True):
            column.append(value)

    def put(self, index: int, arm: Arm) -> None:
        """The arm of child `index` (in the order of `append`) has changed."""
        for column, value in zip(self._columns, arm.parameters(), strict=True):
            column[index] = value

    def best(self, sample: Callable[..., Any], rng: Generator) -> int:
        """Index of the best of one Thompson draw each; `sample` is that of the arms.

        A single child needs no draw.
        """
        columns = self._columns
        n = len(columns[0])
        if n == 1:
            return 0
        if n < self.FEW:
            draws = [sample(rng, *parameters) for parameters in zip(*columns, strict=True)]
            return draws.index(max(draws))
        return int(sample(rng, *map(np.frombuffer, columns)).argmax())
