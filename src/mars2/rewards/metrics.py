"""How good scores are at telling right from wrong programs, and at choosing an answer. Pure.

Scores are logits or probabilities, labels are True for programs that pass all tests.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from mars2.evaluation.metrics import bootstrap_ci, difference_ci, mean

BINS = 10
MIN_SLOPE, MAX_SLOPE = 0.02, 50.0  # of a calibration: never zero, so that it keeps the order

_MAX_CHANGE = 5.0  # of any argument of a sigmoid in one step of the fit


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Probability that a right program scores above a wrong one, ties counting half; exact.

    The Mann-Whitney statistic over n₁ n₀, by ranks. NaN unless both kinds are there.
    """
    _same_length(scores, labels)
    positives = sum(map(bool, labels))
    negatives = len(labels) - positives
    if not positives or not negatives:
        return math.nan
    twice, below = 0, 0  # twice the statistic, so that halves stay integers
    ordered = sorted(zip(scores, labels, strict=True), key=lambda pair: pair[0])
    for _, tied in groupby(ordered, key=lambda pair: pair[0]):
        kinds = [bool(label) for _, label in tied]
        right = sum(kinds)
        wrong = len(kinds) - right
        twice += right * (2 * below + wrong)
        below += wrong
    return twice / (2 * positives * negatives)


def auc_interval(
    scores: Sequence[float],
    labels: Sequence[bool],
    problems: Sequence[str],
    *,
    resamples: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of `auc`, resampling problems: programs of one problem
    are not independent.

    Args:
        problems: whose program each is.

    Resamples with one kind only are drawn again; (NaN, NaN) unless both kinds are there.
    """
    _same_length(scores, labels)
    _same_length(scores, problems)
    of: dict[str, list[int]] = {}
    for i, problem in enumerate(problems):
        of.setdefault(problem, []).append(i)
    groups = list(of.values())
    if math.isnan(auc(scores, labels)):
        return (math.nan, math.nan)
    rng = random.Random(seed)
    values: list[float] = []
    while len(values) < resamples:
        drawn = [i for group in rng.choices(groups, k=len(groups)) for i in group]
        value = auc([scores[i] for i in drawn], [labels[i] for i in drawn])
        if not math.isnan(value):
            values.append(value)
    values.sort()
    return (values[round(0.025 * (resamples - 1))], values[round(0.975 * (resamples - 1))])


def brier(probabilities: Sequence[float], labels: Sequence[bool]) -> float:
    """Mean squared difference of probability and label; NaN without any."""
    _same_length(probabilities, labels)
    return mean([(p - float(y)) ** 2 for p, y in zip(probabilities, labels, strict=True)])


def ece(probabilities: Sequence[float], labels: Sequence[bool], bins: int = BINS) -> float:
    """Expected calibration error (Guo et al. 2017, arXiv 1706.04599, equation 3).

    Mean over `bins` bins of equal width of |mean probability - share of right programs|,
    weighted by how many programs are in the bin; NaN without any.
    """
    _same_length(probabilities, labels)
    if not labels:
        return math.nan
    sums: dict[int, float] = {}
    for p, y in zip(probabilities, labels, strict=True):
        index = min(int(p * bins), bins - 1)
        sums[index] = sums.get(index, 0.0) + p - float(y)
    return math.fsum(map(abs, sums.values())) / len(labels)


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x) without overflow."""
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


# --------------------------------------------------------------------------- calibration


@dataclass(frozen=True, slots=True)
class Calibration:
    """p = sigmoid(logit / temperature + bias); temperature > 0, so that the order is kept."""

    temperature: float = 1.0
    bias: float = 0.0

    def probability(self, logit: float) -> float:
        """The calibrated probability."""
        return sigmoid(logit / self.temperature + self.bias)


def fit_calibration(logits: Sequence[float], labels: Sequence[bool]) -> Calibration:
    """Temperature and bias of least cross-entropy (Platt 1999, with his smoothed targets).

    The slope 1 / temperature is kept within [MIN_SLOPE, MAX_SLOPE]: where the logits order
    programs worse than chance it becomes small, never negative. The identity for no rows;
    with one kind only, the smoothed targets keep probabilities away from 0 and 1.
    """
    _same_length(logits, labels)
    if not labels:
        return Calibration()
    positives = sum(map(bool, labels))
    negatives = len(labels) - positives
    right = (positives + 1) / (positives + 2)
    wrong = 1 / (negatives + 2)
    targets = [right if y else wrong for y in labels]
    slope, bias = _newton(logits, targets, 1.0, 0.0, free=True)
    if not MIN_SLOPE <= slope <= MAX_SLOPE:
        slope = min(max(slope, MIN_SLOPE), MAX_SLOPE)
        _, bias = _newton(logits, targets, slope, bias, free=False)
    return Calibration(1.0 / slope, bias)


def cross_entropy(
    logits: Sequence[float], targets: Sequence[float], slope: float = 1.0, bias: float = 0.0
) -> float:
    """Mean of -t ln p - (1 - t) ln(1 - p) with p = sigmoid(slope · logit + bias)."""
    total = []
    for z, t in zip(logits, targets, strict=True):
        x = slope * z + bias
        total.append(max(x, 0.0) - x * t + math.log1p(math.exp(-abs(x))))
    return mean(total)


def _newton(
    logits: Sequence[float], targets: Sequence[float], slope: float, bias: float, *, free: bool
) -> tuple[float, float]:
    """Minimise the (convex) cross-entropy from here; `free` False leaves the slope alone."""
    loss = cross_entropy(logits, targets, slope, bias)
    reach = max(map(abs, logits))
    for _ in range(200):
        probabilities = [sigmoid(slope * z + bias) for z in logits]
        errors = [p - t for p, t in zip(probabilities, targets, strict=True)]
        weights = [p * (1.0 - p) for p in probabilities]
        n = len(logits)
        gb = math.fsum(errors) / n
        hbb = math.fsum(weights) / n + 1e-12
        if free:
            ga = math.fsum(e * z for e, z in zip(errors, logits, strict=True)) / n
            haa = math.fsum(w * z * z for w, z in zip(weights, logits, strict=True)) / n + 1e-12
            hab = math.fsum(w * z for w, z in zip(weights, logits, strict=True)) / n
            determinant = haa * hbb - hab * hab
            if determinant > 1e-18:
                da = (hbb * ga - hab * gb) / determinant
                db = (haa * gb - hab * ga) / determinant
            else:  # equal logits: the slope says nothing
                da, db = 0.0, gb / hbb
        else:
            ga, da, db = 0.0, 0.0, gb / hbb
        # Where probabilities are saturated the curvature vanishes and full steps go anywhere.
        change = abs(da) * reach + abs(db)
        if change > _MAX_CHANGE:
            da, db = da * _MAX_CHANGE / change, db * _MAX_CHANGE / change
        descent = ga * da + gb * db
        if not descent > 1e-16:
            break
        step = 1.0
        while step > 1e-8:
            trial = cross_entropy(logits, targets, slope - step * da, bias - step * db)
            if trial <= loss - 1e-4 * step * descent:
                break
            step /= 2
        else:
            break
        slope, bias, loss = slope - step * da, bias - step * db, trial
    return slope, bias


# --------------------------------------------------------------------------- selection


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program that passes the public tests of its problem, within one tree."""

    problem_id: str
    tree_id: str
    right: bool
    score: float


Choice = Callable[[Sequence[Candidate]], float]
"""Probability that what is chosen from one tree's candidates is right."""


def by_score(candidates: Sequence[Candidate]) -> float:
    """Choosing the highest score, ties at random."""
    best = max(c.score for c in candidates)
    return mean([float(c.right) for c in candidates if c.score == best])


def by_chance(candidates: Sequence[Candidate]) -> float:
    """Choosing any candidate with equal probability."""
    return mean([float(c.right) for c in candidates])


def by_oracle(candidates: Sequence[Candidate]) -> float:
    """Choosing a right one if there is one: the most that any selection can reach."""
    return float(any(c.right for c in candidates))


def per_problem(candidates: Iterable[Candidate], choice: Choice) -> dict[str, float]:
    """Selection accuracy by problem: the mean of `choice` over the problem's trees."""
    trees: dict[str, dict[str, list[Candidate]]] = {}
    for c in candidates:
        trees.setdefault(c.problem_id, {}).setdefault(c.tree_id, []).append(c)
    return {p: mean([choice(tree) for tree in of.values()]) for p, of in trees.items()}


def undecided(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates of trees that hold right and wrong ones: where choosing matters."""
    trees: dict[tuple[str, str], list[Candidate]] = {}
    for c in candidates:
        trees.setdefault((c.problem_id, c.tree_id), []).append(c)
    return [c for tree in trees.values() if len({x.right for x in tree}) == 2 for c in tree]


def selection_accuracy(
    candidates: Sequence[Candidate], *, resamples: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """`{"all": …, "undecided": …}`, each a `compare` of model, random and oracle."""
    choices: dict[str, Choice] = {"model": by_score, "random": by_chance, "oracle": by_oracle}
    return {
        name: compare(
            {how: per_problem(of, choice) for how, choice in choices.items()},
            against="random",
            resamples=resamples,
            seed=seed,
        )
        for name, of in (("all", list(candidates)), ("undecided", undecided(candidates)))
    }


def compare(
    values: Mapping[str, Mapping[str, float]], *, against: str, resamples: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Means with 95 % bootstrap intervals over problems, and paired differences to `against`.

    Args:
        values: selection accuracy by way of choosing, then by problem.
    """
    problems = sorted(set.intersection(*(set(v) for v in values.values()))) if values else []
    columns = {how: [of[p] for p in problems] for how, of in values.items()}

    def summary(column: Sequence[float], interval: Callable[..., Any]) -> dict[str, Any]:
        low, high = interval(column, resamples=resamples, seed=seed)
        return {"mean": mean(column), "ci95": [low, high]}

    return {
        "problems": len(problems),
        **{how: summary(column, bootstrap_ci) for how, column in columns.items()},
        f"minus_{against}": {
            how: summary(
                [a - b for a, b in zip(column, columns[against], strict=True)], difference_ci
            )
            for how, column in columns.items()
            if how != against
        },
    }


def _same_length(scores: Sequence[Any], labels: Sequence[Any]) -> None:
    if len(scores) != len(labels):
        raise ValueError(f"{len(scores)} scores for {len(labels)} labels")
