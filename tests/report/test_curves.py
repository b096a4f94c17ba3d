"""Means, bands, smoothing and best steps against values worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.report.curves import Curve, best, ends, group_curve, smooth, smoothed, window_for
from mars2.report.runs import Group, Run


def group(count: int) -> Group:
    runs = [Run(Path(), str(i), {}, {}, [], [], {}) for i in range(count)]
    return Group("g", runs)


def curve_of(*all_points: dict[int, float]) -> Curve | None:
    by_name = {str(i): p for i, p in enumerate(all_points)}
    return group_curve(group(len(all_points)), lambda run: by_name[run.name])


def test_one_run_is_its_own_points_without_a_band() -> None:
    assert curve_of({2: 0.5, 1: 0.25}) == Curve([1, 2], [0.25, 0.5])
    assert curve_of({}) is None


def test_several_runs_by_hand() -> None:
    found = curve_of({1: 0.0, 2: 1.0, 4: 3.0, 9: 5.0}, {1: 2.0, 3: 4.0, 4: 5.0}, {})
    # Step 2 of the second run lies between 2 and 4; step 3 of the first between 1 and 3. Only
    # steps up to 4 were reached by both, and the third run has nothing to say.
    assert found == Curve(
        [1, 2, 3, 4],
        [1.0, 2.0, 3.0, 4.0],
        [0.0, 1.0, 2.0, 3.0],
        [2.0, 3.0, 4.0, 5.0],
    )


def test_runs_that_share_no_step_have_no_mean() -> None:
    assert curve_of({1: 0.0, 2: 1.0}, {5: 2.0, 6: 2.0}) is None


@given(
    st.lists(
        st.dictionaries(st.integers(0, 20), st.floats(-5, 5), min_size=1), min_size=2, max_size=4
    )
)
def test_the_mean_is_within_the_band(all_points) -> None:
    found = curve_of(*all_points)
    if found is None:
        return
    assert found.low is not None
    assert found.high is not None
    assert found.steps == sorted(set(found.steps))
    for low, value, high in zip(found.low, found.values, found.high, strict=True):
        assert low - 1e-9 <= value <= high + 1e-9


def test_smoothing_by_hand() -> None:
    assert smooth([0.0, 3.0, 6.0, 0.0], 3) == [1.5, 3.0, 3.0, 3.0]
    assert smooth([1.0, 2.0], 1) == [1.0, 2.0]
    assert [window_for(n) for n in (1, 23, 24, 40, 48, 60, 240)] == [1, 1, 3, 3, 5, 5, 21]
    flat = Curve(list(range(30)), [2.0] * 30, [1.0] * 30, [3.0] * 30)
    assert smoothed(flat) == flat


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=50), st.sampled_from([1, 3, 7]))
def test_smoothing_stays_within_the_values(values, window) -> None:
    for value in smooth(values, window):
        assert min(values) - 1e-9 <= value <= max(values) + 1e-9


def test_ends_are_fifths() -> None:
    assert ends({s: float(s) for s in range(1, 11)}) == (1.5, 9.5)
    assert ends({3: 0.5}) == (0.5, 0.5)
    assert ends({}) is None


def test_the_best_step_is_the_end_of_the_best_tenth() -> None:
    assert best({1: 0.1, 2: 0.9, 3: 0.9}) == (2, 0.9)
    values = dict.fromkeys(range(1, 21), 0.0) | {5: 1.0, 11: 0.6, 12: 0.6}
    assert best(values) == (12, pytest.approx(0.6))
    assert best({}) is None
