"""How well what is known of untrained agents foretells what their team gains, from a summary alone.

Every x and y of a team is a mean of numbers by seed and problem, so one redrawing of seeds and of
problems, the same for all teams, gives the interval of the rank correlation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, Any

from mars2.diversity.team import Attempts, expected_pass, turns
from mars2.study.crossed import averaged, estimate
from mars2.study.models import recipe
from mars2.study.prediction import LEAST_TEAMS, Trait, parse_trait, samples, teams_of
from mars2.study.results import BySeed, Results, Values
from mars2.study.spec import Prediction, Study

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

RESAMPLES = 4000
_TIE = 9  # decimals beyond which numbers are equal
_WHOLE = 1e-3  # by which a rounded rate times attempts may miss a whole number


@dataclass(frozen=True, slots=True)
class Team:
    """One to predict: numbers by seed and problem of each x and y, empty where not measured.
    `best`: y → the member that it is compared with, where that is the best."""

    label: str
    arm: str
    agents: list[str]
    x: dict[str, BySeed]
    y: dict[str, BySeed]
    best: dict[str, str]


@dataclass(frozen=True, slots=True)
class Ranks:
    """Spearman's correlation over teams, with a 95 % interval; None where it is not defined."""

    x: str
    y: str
    teams: int
    rho: float | None
    ci95: list[float] | None


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a declared prediction came to."""

    name: str
    declared: Prediction
    teams: list[Team]
    ranks: list[Ranks]


def predicted(results: Results) -> list[Predicted]:
    """All that are declared."""
    found = []
    for name, declared in results.study.predictions.items():
        teams = _teams(results, declared)
        ranks = [_ranks(results, teams, x, y) for x in declared.x for y in declared.y]
        found.append(Predicted(name, declared, teams, ranks))
    return found


def _teams(results: Results, declared: Prediction) -> list[Team]:
    study, found = results.study, []
    accounting = declared.accounting or study.accountings()[0]
    for arm, reference, agents in teams_of(study, declared):
        label = arm if len(study.arms[arm].teams) == 1 else "+".join(agents)
        x = {text: _trait(results, declared, parse_trait(text), agents) for text in declared.x}
        team = Team(label, arm, agents, x, {}, {})
        for text in declared.y:
            alone = {a: results.of_team(reference, [a], text, accounting) for a in agents}
            team.y[text] = {}
            if all(alone.values()):
                ours = results.of_team(arm, agents, text, accounting)
                team.y[text] = _gain(ours, alone, declared, team.best, text)
        found.append(team)
    return found


def _gain(
    ours: BySeed, alone: Mapping[str, BySeed], declared: Prediction, best: dict[str, str], key: str
) -> BySeed:
    """A team's numbers less those of its best member, or of the mean of its members."""
    if declared.against == "best":
        best[key] = max(alone, key=lambda agent: _mean(alone[agent]))
        other = alone[best[key]]
    else:
        seeds = set.intersection(*(set(by_seed) for by_seed in alone.values()))
        other = {s: averaged([by_seed[s] for by_seed in alone.values()]) for s in sorted(seeds)}
    return {
        s: {p: v - other[s][p] for p, v in ours[s].items() if p in other[s]}
        for s in ours
        if s in other
    }


def _mean(by_seed: BySeed) -> float:
    return fmean(fmean(values.values()) for values in by_seed.values() if values)


# --------------------------------------------------------------------------- what is known before


def _trait(results: Results, declared: Prediction, trait: Trait, agents: Sequence[str]) -> BySeed:
    study, accounting = results.study, results.study.accountings()[0]
    if not trait.measured:
        value = float(len(agents)) if trait.kind == "agents" else misread_overlap(study, agents)
        return {s: dict.fromkeys(results.problems, value) for s in study.seeds}
    rates = {a: results.of_team(declared.before, [a], "pass@1", accounting) for a in agents}
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in rates.values())))
    by_seed = {s: {a: rates[a][s] for a in agents} for s in seeds}
    if trait.kind == "joint_failure":
        return {s: joint_failure(of) for s, of in by_seed.items()}
    if trait.kind == "joint_failure_excess":
        return {s: joint_failure_excess(of) for s, of in by_seed.items()}
    attempts = samples(study, declared.before)
    counted = {s: {a: _counts(of[a], attempts) for a in of} for s, of in by_seed.items()}
    together = {s: _expected(list(of.values()), trait.nodes) for s, of in counted.items()}
    alone = {a: {s: _expected([of[a]], trait.nodes) for s, of in counted.items()} for a in agents}
    return _gain(together, alone, declared, {}, "") if seeds else {}


def misread_overlap(study: Study, agents: Sequence[str]) -> float:
    """Share of the pieces that one misreads which another does, too; mean over pairs."""
    pieces = [set(recipe(study.models[study.agents[a]["model"]]).pieces) for a in agents]
    return fmean(len(a & b) / len(a) for a, b in combinations(pieces, 2))


def joint_failure(rates: Mapping[str, Values]) -> Values:
    """The chance that an attempt of each fails, mean over pairs of agents."""
    shared = sorted(set.intersection(*(set(of) for of in rates.values())))
    pairs = list(combinations(rates, 2))
    return {p: fmean((1 - rates[a][p]) * (1 - rates[b][p]) for a, b in pairs) for p in shared}


def joint_failure_excess(rates: Mapping[str, Values]) -> Values:
    """Numbers by problem whose mean is that of `mars2.diversity.overlap`: the chance that an
    attempt of each fails less the product of their failure rates is the covariance of pass rates
    over problems, mean over pairs of agents."""
    shared = sorted(set.intersection(*(set(of) for of in rates.values())))
    means = {a: fmean(of[p] for p in shared) for a, of in rates.items()} if shared else {}
    pairs = list(combinations(rates, 2))
    return {
        p: fmean((rates[a][p] - means[a]) * (rates[b][p] - means[b]) for a, b in pairs)
        for p in shared
    }


def _counts(rates: Values, attempts: int) -> dict[str, Attempts]:
    """Attempts by problem; without those of which some were lost, so that their number is not
    known."""
    found = {}
    for problem, rate in rates.items():
        right = round(rate * attempts)
        if abs(rate * attempts - right) < _WHOLE * attempts:
            found[problem] = Attempts([i < right for i in range(attempts)])
    return found


def _expected(of: Sequence[Mapping[str, Attempts]], nodes: int) -> Values:
    """Expected Pass@N of agents that take turns."""
    shared = sorted(set.intersection(*(set(one) for one in of)))
    shares = turns(nodes, len(of))
    return {p: expected_pass([one[p] for one in of], shares) for p in shared}


# --------------------------------------------------------------------------- rank correlation


def _ranks(results: Results, teams: Sequence[Team], x: str, y: str) -> Ranks:
    known = [t for t in teams if t.x[x] and t.y[y]]
    tables = [[t.x[x] for t in known], [t.y[y] for t in known]]
    every = [set(by_seed) for tables_of in tables for by_seed in tables_of]
    seeds = sorted(set.intersection(*every)) if every else []
    if len(known) < LEAST_TEAMS or not seeds:
        return Ranks(x, y, len(known), None, None)
    import numpy as np

    n, m = len(seeds), len(results.problems)
    rng = np.random.default_rng(0)
    drawn = [np.ones((1, n)), np.ones((1, m))]
    drawn_again = [rng.multinomial(k, [1 / k] * k, RESAMPLES).astype(float) for k in (n, m)]

    def correlation(weights: Sequence[Array]) -> Array:
        means = [
            np.stack([_means(by_seed, seeds, results.problems, weights) for by_seed in of], axis=1)
            for of in tables
        ]
        return spearman(means[0], means[1])

    rho = float(correlation(drawn)[0])
    if np.isnan(rho):
        return Ranks(x, y, len(known), None, None)
    again = correlation(drawn_again)
    defined = again[~np.isnan(again)]
    ends = [float(q) for q in np.quantile(defined, [0.025, 0.975])] if len(defined) else None
    return Ranks(x, y, len(known), rho, ends)


def _means(
    by_seed: BySeed, seeds: Sequence[int], problems: Sequence[str], weights: Sequence[Array]
) -> Array:
    """Weighted means [draws] of a table, of what it has."""
    import numpy as np

    table = np.array([[by_seed[s].get(p, np.nan) for p in problems] for s in seeds], dtype=float)
    there = ~np.isnan(table)
    total = ((weights[0] @ np.where(there, table, 0.0)) * weights[1]).sum(axis=1)
    count = ((weights[0] @ there.astype(float)) * weights[1]).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = total / count
    return found


def spearman(x: Array, y: Array) -> Array:
    """Spearman's rank correlation of each row of two tables [draws, teams], ties with their mean
    rank. NaN where all numbers of a row are equal, or one is NaN."""
    import numpy as np

    def ranked(values: Array) -> Array:
        rounded = np.round(values, _TIE)
        one, other = rounded[:, :, None], rounded[:, None, :]
        ranks: Array = (other < one).sum(axis=2) + 0.5 * (other == one).sum(axis=2)
        ranks[np.isnan(rounded).any(axis=1)] = np.nan
        return ranks - ranks.mean(axis=1, keepdims=True)

    a, b = ranked(x), ranked(y)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return found


def mean_of(by_seed: BySeed) -> dict[str, Any] | None:
    """`estimate` of a number of a team; None if it is not measured."""
    there = {seed: values for seed, values in by_seed.items() if values}
    return estimate(there) if there else None
