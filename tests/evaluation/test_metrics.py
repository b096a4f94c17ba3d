"""Pass rates against hand counts and by simulation."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.evaluation.metrics import bootstrap_ci, mean, pass_at_k
from mars2.evaluation.outcomes import EvalResult, TreeOutcome, paired_rise


def test_pass_at_k_by_hand() -> None:
    assert pass_at_k(4, 2, 1) == 0.5
    assert pass_at_k(4, 2, 2) == pytest.approx(1 - 1 / 6)
    assert pass_at_k(4, 0, 4) == 0.0
    assert pass_at_k(4, 1, 4) == 1.0


@given(n=st.integers(1, 300), data=st.data())
def test_pass_at_k_is_the_published_product(n: int, data: st.DataObject) -> None:
    """Chen et al. 2021, figure 3: 1 - prod(1 - k / arange(n - c + 1, n + 1))."""
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    published = 1.0
    if n - c >= k:
        published = 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))
    assert pass_at_k(n, c, k) == pytest.approx(published, abs=1e-9)


@given(n=st.integers(1, 8), data=st.data())
def test_pass_at_k_is_the_mean_over_all_subsets(n: int, data: st.DataObject) -> None:
    outcomes = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    k = data.draw(st.integers(1, n))
    subsets = list(itertools.combinations(outcomes, k))
    expected = sum(any(s) for s in subsets) / len(subsets)
    assert pass_at_k(n, sum(outcomes), k) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 0), (4, 2, 5)])
def test_pass_at_k_refuses_nonsense(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=r"correct=|k="):
        pass_at_k(n, c, k)


def test_nothing_to_average_is_not_a_number() -> None:
    assert math.isnan(mean([]))
    assert all(math.isnan(x) for x in bootstrap_ci([]))


def result(a: list[list[bool]], b: list[list[bool]]) -> EvalResult:
    names = [f"p{i}" for i in range(len(a))]
    return EvalResult(
        attempts={"a": dict(zip(names, a, strict=True)), "b": dict(zip(names, b, strict=True))},
        trees={n: TreeOutcome(i == 0, i < 2, 4, 0) for i, n in enumerate(names)},
    )


def test_summary_by_hand() -> None:
    r = result(
        [[True, True], [True, False], [False, False]],
        [[False, False], [True, True], [False, True]],
    )
    summary = r.summary(resamples=100)
    assert summary["agents"]["a"]["pass@1"] == pytest.approx(0.5)
    assert summary["agents"]["a"]["pass@2"] == pytest.approx(2 / 3)
    assert summary["agents"]["b"]["pass@1"] == pytest.approx(0.5)
    assert summary["team"]["pass@1"] == pytest.approx(0.5)
    assert summary["team"]["pass@1(mcts)"] == pytest.approx(1 / 3)
    assert summary["team"]["pass@n"] == pytest.approx(2 / 3)


def test_a_lost_attempt_is_masked_not_a_failure() -> None:
    r = result([[True], [], [True]], [[True], [True], [True]])
    assert r.summary(resamples=50)["agents"]["a"]["pass@1"] == 1.0
    assert set(r.mean_rates()) == {"p0", "p2"}


def test_rise_is_paired_by_problem() -> None:
    before = result([[False], [False]], [[False], [True]])
    after = result([[True], [False]], [[True], [True]])
    rise = paired_rise(before, after, resamples=100)
    assert rise["mean"] == pytest.approx(0.5)
    assert rise["problems"] == 2
