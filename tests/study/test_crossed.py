"""Intervals, tests and power on data whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_kit import rows, table

from mars2.study.crossed import (
    averaged,
    components,
    difference,
    estimate,
    of_rates,
    quantile_t,
    upper_t,
)
from mars2.study.power import needed, power


@pytest.mark.parametrize(
    ("df", "quantile"), [(1, 12.7062), (2, 4.30265), (4, 2.77645), (10, 2.22814), (1e6, 1.95996)]
)
def test_quantiles_of_t_are_those_of_the_tables(df: float, quantile: float) -> None:
    assert quantile_t(0.975, df) == pytest.approx(quantile, rel=1e-5)
    assert upper_t(quantile, df) == pytest.approx(0.025, rel=1e-4)
    assert upper_t(0, df) == pytest.approx(0.5)


def test_components_are_recovered() -> None:
    rng = np.random.default_rng(0)
    sd = components(table(rng, 60, 300, (0.05, 0.2, 0.3))).deviations()
    assert sd["seed"] == pytest.approx(0.05, rel=0.25)
    assert sd["problem"] == pytest.approx(0.2, rel=0.15)
    assert sd["rest"] == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize(
    "sd", [(0.03, 0.1, 0.3), (0.1, 0.05, 0.2), (0.0, 0.1, 0.3)], ids=["usual", "seeds", "no seeds"]
)
def test_intervals_hold_the_truth_and_tests_keep_their_size(sd: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(3)
    trials, held, found = 200, 0, 0
    for _ in range(trials):
        e = estimate(rows(table(rng, 5, 60, sd)), resamples=400)
        held += e["ci95"][0] <= 0 <= e["ci95"][1]
        found += e["p"] < 0.05
    assert 0.905 <= held / trials <= 0.995  # 95 % or a little more, within three standard errors
    assert found / trials <= 0.095


def test_intervals_of_pass_rates_hold_the_truth() -> None:
    """Outcomes of 0 and 1, as of trees: problems differ in how hard they are, seeds in skill."""
    rng = np.random.default_rng(4)
    held, trials = 0, 150
    for _ in range(trials):
        logits = 0.3 * rng.standard_normal((5, 1)) + 1.5 * rng.standard_normal((1, 50))
        chances = 1 / (1 + np.exp(-logits))
        e = estimate(rows((rng.random((5, 50)) < chances).astype(float)), resamples=400)
        held += e["ci95"][0] <= 0.5 <= e["ci95"][1]
    assert held / trials >= 0.9


def test_power_is_that_of_the_test_that_is_made() -> None:
    rng = np.random.default_rng(5)
    sd, effect, trials = (0.02, 0.1, 0.2), 0.05, 200
    found = 0
    for _ in range(trials):
        e = estimate(rows(effect + table(rng, 5, 60, sd)), resamples=400)
        found += e["p"] < 0.05 and e["mean"] > 0
    said = power(effect, dict(zip(("seed", "problem", "rest"), sd, strict=True)), 5, 60)
    assert said == pytest.approx(found / trials, abs=0.1)


def test_power_rises_with_all_that_should_raise_it() -> None:
    sd = {"seed": 0.02, "problem": 0.1, "rest": 0.2}
    base = power(0.06, sd, 5, 100)
    assert power(0.12, sd, 5, 100) > base
    assert power(0.06, sd, 10, 100) > base
    assert power(0.06, sd, 5, 100, comparisons=10) < base
    assert power(0.06, {**sd, "seed": 0.06}, 5, 100) < base
    assert power(-0.06, sd, 5, 100) == pytest.approx(base, abs=0.03)
    assert power(0.0, sd, 5, 100) <= 0.05  # half the size: the wrong side does not count
    found = needed(0.06, sd, 0.8, seeds=(3, 8), problems=(50, 200))
    assert [(r["seeds"], r["problems"]) for r in found] == [(3, 50), (3, 200), (8, 50), (8, 200)]
    assert found[-1]["enough"]
    with pytest.raises(ValueError, match="at least two"):
        power(0.1, sd, 1, 100)


def test_pairing_takes_out_what_both_share() -> None:
    rng = np.random.default_rng(6)
    shared = table(rng, 5, 80, (0.1, 0.4, 0.0))
    one = rows(shared + 0.03 + 0.01 * rng.standard_normal((5, 80)))
    gap = difference(one, rows(shared))
    assert gap is not None
    assert gap["mean"] == pytest.approx(0.03, abs=0.003)
    assert gap["ci95"][1] - gap["ci95"][0] < 0.01
    assert gap["p"] < 0.001
    assert difference({0: {"p": 1.0}}, {1: {"p": 1.0}}) is None


def test_seeds_and_problems_that_lack_a_number_are_left_out() -> None:
    gap = difference(
        {0: {"p": 0.9, "q": 0.2}, 1: {"p": 1.0, "q": 0.5, "r": 0.1}, 2: {"p": 1.0}},
        {1: {"q": 0.4, "p": 0.9}, 0: {"p": 0.8, "q": 0.1, "r": 0.9}, 3: {"p": 0.0}},
    )
    assert gap is not None
    assert gap["mean"] == pytest.approx(0.1)
    assert (sorted(gap["seeds"]), gap["problems"]) == (["0", "1"], 2)
    assert averaged([{"p": 1.0, "q": 0.0}, {"p": 0.0}]) == {"p": 0.5}


def test_one_seed_gives_an_interval_over_problems_and_nothing_none() -> None:
    rng = np.random.default_rng(8)
    one = rng.random((1, 100))
    e = estimate(rows(one))
    half = (e["ci95"][1] - e["ci95"][0]) / 2
    assert half == pytest.approx(1.98 * one.std(ddof=1) / 10, rel=0.06)
    with pytest.raises(ValueError, match="no seed"):
        estimate({})
    with pytest.raises(ValueError, match="no mean"):
        estimate({0: {}})


@given(st.floats(-1, 1), st.integers(1, 4), st.integers(1, 6))
def test_a_constant_has_no_width(value: float, seeds: int, problems: int) -> None:
    e = estimate(rows(np.full((seeds, problems), value)), resamples=50)
    assert e["mean"] == pytest.approx(value)
    if seeds * problems > 1 and max(seeds, problems) > 1:
        assert e["ci95"] == pytest.approx([value, value], abs=1e-9)
    assert not math.isinf(e["se"])


def test_intervals_of_rates_and_of_their_differences_stay_where_those_can_be() -> None:
    good = {s: {"p": 1.0, "q": 1.0, "r": 0.9 - 0.2 * s} for s in range(3)}
    bad = {s: {p: 1 - x for p, x in rates.items()} for s, rates in good.items()}
    assert estimate(good)["ci95"][1] > 1
    assert of_rates(good)["ci95"] == [max(0.0, estimate(good)["ci95"][0]), 1.0]
    assert of_rates(bad)["ci95"][0] == 0.0
    assert difference(good, bad)["ci95"][1] == 1.0
