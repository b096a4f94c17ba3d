"""Scores against labels: exact AUC, calibration that keeps the order, selection accuracy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.rewards.metrics import (
    Calibration,
    Candidate,
    auc,
    auc_interval,
    brier,
    by_chance,
    by_oracle,
    by_score,
    compare,
    cross_entropy,
    ece,
    fit_calibration,
    per_problem,
    selection_accuracy,
    sigmoid,
    undecided,
)

SCORED = st.lists(
    st.tuples(st.integers(-3, 3).map(float) | st.floats(-30, 30), st.booleans()), max_size=40
)


def split(rows: list[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [r[0] for r in rows], [r[1] for r in rows]


@given(SCORED)
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[float, bool]]) -> None:
    right = [s for s, y in rows if y]
    wrong = [s for s, y in rows if not y]
    value = auc(*split(rows))
    if not right or not wrong:
        assert math.isnan(value)
        return
    pairs = [1.0 if r > w else 0.5 if r == w else 0.0 for r in right for w in wrong]
    assert value == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


@given(SCORED)
def test_auc_turns_round_with_the_labels(rows: list[tuple[float, bool]]) -> None:
    scores, labels = split(rows)
    value = auc(scores, labels)
    if not math.isnan(value):
        assert auc(scores, [not y for y in labels]) == pytest.approx(1 - value)
        assert auc([-s for s in scores], labels) == pytest.approx(1 - value)


def test_unequal_lengths_are_refused() -> None:
    for metric in (auc, brier, ece, fit_calibration):
        with pytest.raises(ValueError, match="1 scores for 2 labels"):
            metric([0.5], [True, False])


def test_the_interval_of_an_auc_is_by_problem() -> None:
    # Ten copies of two programs of one problem are no more evidence than two programs: with
    # resampling of programs the interval would shrink, of problems it cannot.
    scores, labels, problems = [], [], []
    for p in range(6):
        for _ in range(10):
            scores += [1.0, 0.0]
            labels += [p % 2 == 0, p % 2 == 1]
            problems += [str(p)] * 2
    low, high = auc_interval(scores, labels, problems, seed=1)
    assert auc(scores, labels) == 0.5
    assert low < 0.25
    assert high > 0.75
    assert (low, high) == auc_interval(scores, labels, problems, seed=1)
    assert all(map(math.isnan, auc_interval([1.0], [True], ["p"])))


def test_calibration_errors_by_hand() -> None:
    assert brier([1.0, 0.0, 0.5], [True, True, False]) == pytest.approx((0 + 1 + 0.25) / 3)
    # Bin [0.2, 0.3): mean 0.25, none right; bin [0.9, 1]: mean 0.95, half right.
    assert ece([0.25, 0.25, 0.9, 1.0], [False, False, True, False]) == pytest.approx(
        (2 * 0.25 + 2 * 0.45) / 4
    )
    assert ece([1.0], [True]) == 0.0
    assert math.isnan(ece([], []))


@given(SCORED)
def test_calibration_never_changes_the_order(rows: list[tuple[float, bool]]) -> None:
    logits, labels = split(rows)
    calibration = fit_calibration(logits, labels)
    assert calibration.temperature > 0
    ordered = sorted(logits)
    values = [calibration.probability(z) for z in ordered]
    assert values == sorted(values)
    assert all(0.0 <= v <= 1.0 for v in values)
    before = auc(logits, labels)
    if not math.isnan(before):
        # By the argument of the sigmoid, which does not run into 0 and 1, and on logits that
        # adding the bias does not round into one.
        logits = [round(z, 3) for z in logits]
        before = auc(logits, labels)
        after = auc([z / calibration.temperature + calibration.bias for z in logits], labels)
        assert after == pytest.approx(before, abs=1e-12)


@given(SCORED.filter(lambda rows: len({y for _, y in rows}) == 2))
def test_the_fit_is_the_least_cross_entropy(rows: list[tuple[float, bool]]) -> None:
    logits, labels = split(rows)
    right = sum(labels)
    targets = [(right + 1) / (right + 2) if y else 1 / (len(labels) - right + 2) for y in labels]
    fitted = fit_calibration(logits, labels)
    slope = 1 / fitted.temperature
    best = cross_entropy(logits, targets, slope, fitted.bias)
    for factor in (0.9, 0.99, 1.01, 1.1):
        if 0.02 <= slope * factor <= 50:
            assert best <= cross_entropy(logits, targets, slope * factor, fitted.bias) + 1e-6
    for shift in (-0.1, 0.1):
        assert best <= cross_entropy(logits, targets, slope, fitted.bias + shift) + 1e-6


def test_calibration_undoes_overconfidence() -> None:
    true = [z / 10 for z in range(-30, 31)]
    logits, labels = [], []
    for z in true:  # 100 programs at each, as many right as the true probability says
        right = round(100 * sigmoid(z))
        logits += [3 * z + 1] * 100
        labels += [True] * right + [False] * (100 - right)
    fitted = fit_calibration(logits, labels)
    assert fitted.temperature == pytest.approx(3, rel=0.02)
    assert fitted.bias == pytest.approx(-1 / 3, abs=0.02)
    before = ece([sigmoid(z) for z in logits], labels)
    assert ece([fitted.probability(z) for z in logits], labels) < before / 5


def test_nothing_to_fit_on_is_the_identity() -> None:
    assert fit_calibration([], []) == Calibration()
    one_kind = fit_calibration([1.0, 2.0], [True, True])
    assert 0.5 < one_kind.probability(1.0) < 1.0


def candidates(*trees: tuple[str, str, list[tuple[bool, float]]]) -> list[Candidate]:
    return [Candidate(p, t, right, score) for p, t, of in trees for right, score in of]


def test_selection_by_hand() -> None:
    found = candidates(
        ("p", "1", [(True, 0.9), (False, 0.1), (False, 0.2)]),  # chosen right, chance 1/3
        ("p", "2", [(True, 0.5), (False, 0.5)]),  # a tie counts half
        ("q", "3", [(False, 0.9), (True, 0.1)]),
        ("r", "4", [(True, 0.3)]),
        ("s", "5", [(False, 0.3)]),
    )
    assert per_problem(found, by_score) == {"p": 0.75, "q": 0.0, "r": 1.0, "s": 0.0}
    assert per_problem(found, by_chance)["p"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert per_problem(found, by_oracle) == {"p": 1.0, "q": 1.0, "r": 1.0, "s": 0.0}
    assert {c.problem_id for c in undecided(found)} == {"p", "q"}
    report = selection_accuracy(found, resamples=50)
    assert report["all"]["problems"] == 4
    assert report["all"]["model"]["mean"] == pytest.approx(1.75 / 4)
    assert report["undecided"]["problems"] == 2
    assert report["undecided"]["oracle"]["mean"] == 1.0


@given(
    st.lists(
        st.tuples(st.sampled_from("pqr"), st.sampled_from("12"), st.booleans(), st.integers(0, 3)),
        max_size=25,
    )
)
def test_nothing_beats_the_oracle_and_equal_scores_are_chance(rows: list[tuple]) -> None:
    found = [Candidate(p, t, right, float(score)) for p, t, right, score in rows]
    flat = [Candidate(c.problem_id, c.tree_id, c.right, 0.0) for c in found]
    oracle, model = per_problem(found, by_oracle), per_problem(found, by_score)
    assert all(model[p] <= oracle[p] for p in oracle)
    assert per_problem(flat, by_score) == per_problem(found, by_chance)


def test_differences_are_paired_by_problem() -> None:
    easy = {str(i): float(i % 2) for i in range(20)}
    report = compare({"a": easy, "b": {p: v - 0.1 for p, v in easy.items()}}, against="b")
    low, high = report["minus_b"]["a"]["ci95"]  # unpaired, it would be 0.6 wide
    assert 0.05 < low <= high == pytest.approx(0.1)
    assert "b" not in report["minus_b"]
