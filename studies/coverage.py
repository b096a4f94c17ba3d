"""How often 95 % intervals hold the truth: the simulation by which their method was chosen.

    python studies/coverage.py [--trials 1000]

Prints Markdown tables for docs/evaluation.md: for numbers of problems from 20 to 500, the share of
simulated evaluations whose interval contains the true mean, in per cent. Outcomes of 0 or 1 are
not simulated: their coverage is a sum over the numbers of solved problems.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence

import numpy as np

from mars2.evaluation.intervals import bootstrap_ci, difference_ci

PROBLEMS = (20, 50, 150, 500)
RATES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95)
ATTEMPTS = 8
# Probabilities of a gain and of a loss, of outcomes of 0 or 1.
CHANGES = ((0.02, 0.0), (0.05, 0.05), (0.1, 0.02), (0.2, 0.1), (0.3, 0.3), (0.4, 0.1))
SHAPES = {0.6: "most problems always or never solved", 2: "uniform", 20: "problems alike"}
Interval = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=400)
    options = parser.parse_args()
    print("Solved or not, by probability p (mean: over p ± 0.04):\n")
    head("method", "problems", *(f"p = {p:g}" for p in RATES), "mean of means")
    methods = {"percentile": percentile, "used": lambda k, n: bootstrap_ci([1] * k + [0] * (n - k))}
    for name, interval in methods.items():
        for n in PROBLEMS:
            intervals = [interval(k, n) for k in range(n + 1)]
            exact = [binomial_coverage(intervals, p) for p in RATES]
            near = [
                np.mean([binomial_coverage(intervals, p + d / 500) for d in range(-20, 21)])
                for p in RATES
            ]
            cells = [f"{100 * e:.1f} ({100 * m:.1f})" for e, m in zip(exact, near, strict=True)]
            row(name, n, *cells, f"{100 * np.mean(near):.1f}")
    print(f"\nShare of {ATTEMPTS} attempts, by mean rate p:\n")
    head("rates of problems", "problems", *(f"p = {p:g}" for p in RATES))
    for strength, shape in SHAPES.items():
        for n in PROBLEMS:
            row(shape, n, *(f"{rates(p, strength, n, options):.1f}" for p in RATES))
    print("\nDifferences of outcomes of 0 or 1, by probabilities of gain and loss:\n")
    head("problems", *(f"{gain:g}, {loss:g}" for gain, loss in CHANGES))
    for n in PROBLEMS:
        row(n, *(f"{changes(gain, loss, n, options):.1f}" for gain, loss in CHANGES))
    print(f"\nDifferences of shares of {ATTEMPTS} attempts, by true mean difference:\n")
    head("rates of problems", "problems", "0", "0.05", "0.2")
    for strength, shape in SHAPES.items():
        for n in PROBLEMS:
            row(shape, n, *(f"{rises(d, strength, n, options):.1f}" for d in (0, 0.05, 0.2)))


def percentile(k: int, n: int) -> Interval:
    """The percentile bootstrap with endlessly many resamples: quantiles of Binomial(n, k/n)."""
    cumulative = np.cumsum(binomial(n, k / n))
    low, high = (int(np.searchsorted(cumulative, q - 1e-12)) for q in (0.025, 0.975))
    return low / n, high / n


def binomial(n: int, p: float) -> np.ndarray:
    """Probabilities of 0…n successes."""
    if p <= 0 or p >= 1:
        return np.eye(n + 1)[n if p >= 1 else 0]
    k = np.arange(n + 1)
    ways = np.array([math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in k])
    return np.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))


def binomial_coverage(intervals: Sequence[Interval], p: float) -> float:
    """Share of evaluations whose interval holds p; `intervals` by number of successes."""
    holds = np.array([low <= p <= high for low, high in intervals])
    return float(binomial(len(intervals) - 1, p)[holds].sum())


def rates(p: float, strength: float, n: int, options: argparse.Namespace) -> float:
    """Coverage for shares of attempts: a problem's rate is Beta(p · strength, (1−p) · strength)."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        return rng.binomial(ATTEMPTS, rng.beta(p * strength, (1 - p) * strength, n)) / ATTEMPTS

    return simulated(draw, p, bootstrap_ci, options)


def changes(gain: float, loss: float, n: int, options: argparse.Namespace) -> float:
    """Coverage for differences of -1, 0 and 1."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        return rng.choice([1.0, -1.0, 0.0], p=[gain, loss, 1 - gain - loss], size=n)

    return simulated(draw, gain - loss, difference_ci, options)


def rises(rise: float, strength: float, n: int, options: argparse.Namespace) -> float:
    """Coverage for differences of shares of attempts: each unsolved part shrinks by the same."""
    mean = 0.4

    def draw(rng: np.random.Generator) -> np.ndarray:
        before = rng.beta(mean * strength, (1 - mean) * strength, n)
        after = before + rise / (1 - mean) * (1 - before)
        return (rng.binomial(ATTEMPTS, after) - rng.binomial(ATTEMPTS, before)) / ATTEMPTS

    return simulated(draw, rise, difference_ci, options)


def simulated(
    draw: Callable[[np.random.Generator], np.ndarray],
    truth: float,
    interval: Callable[..., Interval],
    options: argparse.Namespace,
) -> float:
    """Per cent of trials whose interval holds the truth."""
    rng = np.random.default_rng(7)
    hits = 0
    for trial in range(options.trials):
        low, high = interval(draw(rng).tolist(), resamples=options.resamples, seed=trial)
        hits += low - 1e-12 <= truth <= high + 1e-12
    return 100 * hits / options.trials


def head(*names: str) -> None:
    row(*names)
    row(*("---" for _ in names))


def row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
