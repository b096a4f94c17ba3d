"""What a source holds, counted problem by problem, so that nothing has to be kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mars2.packed import PackedTests
from mars2.problems.fields import RowError
from mars2.types import AssertionTest, FunctionalTest, Problem, TestCase


class Statistics:
    """Counts of the problems added, and the bad rows that were told."""

    def __init__(self) -> None:
        self.bad: list[RowError] = []
        self._problems = self._public = self._private = self._without_public = 0
        self._packed = self._unpacked = 0
        self._largest = ("", 0)
        self._kinds: Counter[str] = Counter()
        self._difficulties: Counter[str] = Counter()
        self._dates: list[str] = []
        self._undated = 0

    def add(self, problem: Problem) -> None:
        """Count a problem; nothing of it is kept."""
        self._problems += 1
        self._public += problem.count("public")
        self._private += len(problem.private_tests)
        self._without_public += not problem.public_tests
        self._kinds["+".join(problem.kinds)] += 1
        self._difficulties[problem.difficulty or "none"] += 1
        if problem.date is None:
            self._undated += 1
        else:
            self._dates = [min([*self._dates, problem.date]), max([*self._dates, problem.date])]
        private = problem.private_tests
        if isinstance(private, PackedTests):
            packed, size = len(private.payload), private.size
        else:
            packed = size = sum(map(_size, private))
        self._packed += packed
        self._unpacked += size
        if size > self._largest[1]:
            self._largest = (problem.id, size)

    def reasons(self) -> dict[str, int]:
        """Bad rows by what is wrong with them, most frequent first."""
        return dict(Counter(error.reason for error in self.bad).most_common())

    def to_json(self) -> dict[str, Any]:
        """All counts; sizes in bytes, of private tests."""
        return {
            "problems": self._problems,
            "tests": {"public": self._public, "private": self._private},
            "without_public_tests": self._without_public,
            "kinds": dict(self._kinds),
            "difficulties": dict(self._difficulties),
            "dates": {
                "first": self._dates[0] if self._dates else None,
                "last": self._dates[1] if self._dates else None,
                "without": self._undated,
            },
            "bytes": {
                "packed": self._packed,
                "unpacked": self._unpacked,
                "largest": {"id": self._largest[0], "unpacked": self._largest[1]},
            },
            "bad": {
                "rows": len(self.bad),
                "reasons": self.reasons(),
                "list": [error.to_json() for error in self.bad],
            },
        }


def _size(test: TestCase) -> int:
    if isinstance(test, AssertionTest):
        return len(test.program)
    if isinstance(test, FunctionalTest):
        return len(test.model_dump_json(include={"args", "expected"}))
    return len(test.input) + len(test.expected)
