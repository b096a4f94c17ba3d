"""What `mars2 compare` says of the reported runs: differences paired by problem, and p values."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mars2.evaluation.compare import Evaluated, compare
from mars2.evaluation.outcomes import EvalResult
from mars2.report.evaluations import TEAM
from mars2.report.runs import Group, Run
from mars2.report.tables import Table
from mars2.report.text import NOTHING, count, finite, interval, shown

MOST = 6
"""Up to so many evaluations every pair of them is compared: time and rows grow with the square."""

_NOTE = (
    "Paired by problem; the difference is B − A, with its 95 % interval. p: McNemar's exact test "
    "where a problem is either solved or not, else the sign-flip permutation test of the mean "
    "difference; adjusted for the number of comparisons (Holm). Only A, only B: problems that one "
    "of the two solved and the other did not."
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`found` is the JSON of `mars2 compare`; or `why` tells why not and `command` what prints it.

    All are empty where there are no two evaluations to compare.
    """

    found: dict[str, Any] | None = None
    why: str = ""
    command: str = ""


def compare_runs(groups: Sequence[Group]) -> Comparison:
    """Every pair of evaluations: of `mars2 eval`, and of training before and after it."""
    runs = [r for g in groups for r in g.runs]
    evaluated = [e for run in runs for e in _evaluated(run, alone=len(runs) == 1)]
    if len(evaluated) < 2:
        return Comparison()
    paths = dict.fromkeys(str(e.path) for e in evaluated)
    command = shlex.join(("mars2", "compare", *paths))
    if len({frozenset(e.problems) for e in evaluated}) > 1:
        if not set.intersection(*(set(e.problems) for e in evaluated)):
            return Comparison()
        why = "The runs are of different problems; on those that all of them have, this compares:"
        return Comparison(None, why, f"{command} --shared")
    if len(evaluated) > MOST:
        why = f"Pairs of {len(evaluated)} evaluations are too many to show here; this prints them:"
        return Comparison(None, why, command)
    return Comparison(compare(evaluated))


def comparison_table(comparison: Comparison) -> Table:
    """A row a pair and metric."""
    columns = ["A", "B", "metric", "A's", "B's", "difference", "p (Holm)", "only A", "only B"]
    pairs = comparison.found["pairs"] if comparison.found else []
    table = Table("compare", "Compared on the same problems", columns, [*map(_row, pairs)])
    table = table.compact("only A", "only B")
    return Table(table.key, table.title, table.columns, table.rows, (_NOTE,))


def shown_command(comparison: Comparison) -> str:
    """The command, as long as it is: it is there to be copied."""
    return shown(comparison.command, 100_000)


def _evaluated(run: Run, *, alone: bool) -> Iterator[Evaluated]:
    """Those that `mars2 compare` reads; what is broken, or not numbers, is left out."""
    for label in ("result", "before", "after"):
        evaluation = run.evaluation(label)
        if evaluation is None:
            continue
        name = run.name if label == "result" else label if alone else f"{run.name}:{label}"
        try:
            found = Evaluated(name, run.path, EvalResult.from_json(evaluation.outcomes))
            values = [v for by_problem in found.metrics().values() for v in by_problem.values()]
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
            continue
        if values and all(finite(v) is not None for v in values):
            yield found


def _row(pair: Mapping[str, Any]) -> list[str]:
    metric = str(pair["metric"])
    # Only outcomes of 0 or 1 have them: those of trees, and of a single attempt.
    alone = [count(len(pair[key])) if key in pair else NOTHING for key in ("only_a", "only_b")]
    return [
        *(pair["a"], pair["b"], TEAM.get(metric, metric)),
        *(interval(pair[key], None) for key in ("a_value", "b_value")),
        interval(pair["difference"], pair["ci95"], sign=True),
        "< 0.0001" if pair["p_adjusted"] < 1e-4 else f"{pair['p_adjusted']:.4f}",
        *alone,
    ]
