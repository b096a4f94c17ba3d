"""From metrics of one or several runs to the points of a curve. Pure Python."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mars2.report.runs import Group, Run, number


@dataclass(frozen=True, slots=True)
class Curve:
    """Values by rising step, or by any other number. `low` and `high`, if given, are as long."""

    steps: Sequence[float]
    values: list[float]
    low: list[float] | None = None
    high: list[float] | None = None


Points = dict[int, float]


def points(run: Run, path: Sequence[str]) -> Points:
    """The finite values at a path of a run's metrics, by step."""
    found = {row["step"]: number(row, path) for row in run.rows}
    return {step: value for step, value in found.items() if value is not None}


def group_curve(group: Group, read: Callable[[Run], Points]) -> Curve | None:
    """The mean of the group's runs, with the smallest and the largest as `low` and `high`.

    Between its own points a run is interpolated linearly. The mean covers the steps that all runs
    with any value have reached; one run alone has no band. None without values.
    """
    all_points = [p for p in map(read, group.runs) if p]
    if not all_points:
        return None
    first = max(min(p) for p in all_points)
    last = min(max(p) for p in all_points)
    steps = sorted({s for p in all_points for s in p if first <= s <= last})
    if not steps:
        return None
    columns = [[_at(p, s) for p in all_points] for s in steps]
    values = [sum(c) / len(c) for c in columns]
    if len(all_points) == 1:
        return Curve(steps, values)
    return Curve(steps, values, [min(c) for c in columns], [max(c) for c in columns])


def window_for(count: int) -> int:
    """Points that a smoothed curve averages: an odd number, 1 below 24 points, about a twelfth."""
    return 1 if count < 24 else count // 12 // 2 * 2 + 1


def smooth(values: Sequence[float], window: int) -> list[float]:
    """Centred moving average; near the ends, over what there is of the window."""
    half = window // 2
    parts = [values[max(0, i - half) : i + half + 1] for i in range(len(values))]
    return [sum(p) / len(p) for p in parts]


def smoothed(curve: Curve) -> Curve:
    """The curve and its band, each averaged with `window_for` its number of points."""
    window = window_for(len(curve.values))
    return Curve(
        curve.steps,
        smooth(curve.values, window),
        curve.low and smooth(curve.low, window),
        curve.high and smooth(curve.high, window),
    )


def ends(values: Mapping[int, float]) -> tuple[float, float] | None:
    """Means of the first and of the last fifth of the values by step, at least one each."""
    if not values:
        return None
    ordered = [values[s] for s in sorted(values)]
    count = max(1, len(ordered) // 5)
    return sum(ordered[:count]) / count, sum(ordered[-count:]) / count


def best(values: Mapping[int, float]) -> tuple[int, float] | None:
    """The step at which the mean over the last tenth of all values ended highest, and that mean.

    The earliest of equals; None without values.
    """
    if not values:
        return None
    steps = sorted(values)
    width = max(1, len(steps) // 10)
    means = [
        (sum(values[s] for s in steps[i - width : i]) / width, -steps[i - 1])
        for i in range(width, len(steps) + 1)
    ]
    value, step = max(means)
    return -step, value


def _at(found: Points, step: int) -> float:
    if step in found:
        return found[step]
    steps = sorted(found)
    after = bisect_right(steps, step)
    left, right = steps[after - 1], steps[after]
    share = (step - left) / (right - left)
    return found[left] + share * (found[right] - found[left])
