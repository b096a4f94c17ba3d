"""LiveCodeBench's official verdicts and codes, from what the sandbox reports of each test. Pure.

The same comparisons as `grade_stdio` and `grade_call_based` of the official checker
(livecodebench/evaluation/testing_util.py), on values of plain built-in types that were decoded
from the program's bytes; then what `evaluate_generations_by_problem` makes of the results.
Numbers are compared without tolerance. A program that the sandbox had to end is to the official
checker one that died: results [-2], error code -5.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mars2.types import FunctionalTest, LcbResult, Status, StdinTest, TestVerdict
from mars2.verifier import judge as native
from mars2.verifier import official_values
from mars2.verifier.evidence import cut, show
from mars2.verifier.judge import Limits, Ran

# The official process's own: a signalling NaN raises, everything else is exact anyway.
_CONTEXT = decimal.Context(
    prec=28, traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]
)


@dataclass(frozen=True)
class Outcome:
    """What one test does to the official results."""

    entries: tuple[Any, ...]
    """Appended: True, False, -2, -3, -4. After False a second one, -4, may follow."""
    error_code: int | None = None
    whole: bool = False
    """The entries replace those of all tests before."""


_PASSED = Outcome((True,))
_WRONG_OUTPUT = Outcome((-2,), -2)
_TIMED_OUT = Outcome((-3,), -3)
_RAISED = Outcome((-4,), -4)
_FAILED = Outcome((-4,), -4, whole=True)  # outside a test: not compiled, not loaded, sNaN
_DIED = Outcome((-2,), -5, whole=True)


def result(outcomes: Sequence[Outcome]) -> LcbResult:
    """Of a whole program: the outcomes of its tests in order, up to the first failing one."""
    results: list[Any] = []
    code = None
    for outcome in outcomes:
        results = [*([] if outcome.whole else results), *outcome.entries]
        code = outcome.error_code
    return LcbResult(results=results, error_code=code)


def judge(
    test: StdinTest | FunctionalTest, entry: str, ran: Ran, limits: Limits
) -> tuple[TestVerdict, Outcome]:
    """The verdict of one test and the official outcome."""
    outcome, told = _judge(test, ran, limits)
    if told["status"] is Status.PASSED and ran.alarmed:
        # It caught the alarm's exception and went on: over the limit all the same.
        outcome, told = _TIMED_OUT, {"status": Status.TIME_LIMIT, "limit": limits.text("cpu")}
    elif told["status"] is Status.PASSED:
        failed = native.failure_of(ran, limits, timed=False)  # time is the alarm's matter
        outcome, told = (outcome, told) if failed is None else (_DIED, failed)
    shown = native.shown_of(test, entry)
    return TestVerdict(**{**shown, "seconds": round(ran.seconds, 4), **told}), outcome


_Judged = tuple[Outcome, dict[str, Any]]


def _judge(test: StdinTest | FunctionalTest, ran: Ran, limits: Limits) -> _Judged:
    if ran.answer is None or ran.killed:
        failed = native.failure_of(ran, limits) or native.ended_as(ran)
        return _DIED, failed
    kind, payload = ran.answer
    error = ran.error()
    if error is not None:
        return _error(error, ran, limits)
    if kind == "O":
        wrong = _WRONG_OUTPUT if isinstance(test, StdinTest) else Outcome((False,), -2)
        return wrong, {"status": Status.OUTPUT_LIMIT, "limit": limits.text("output")}
    if kind == "X" and isinstance(test, StdinTest):
        return _printed(ran.stdout, test.expected)
    if kind == "R" and isinstance(test, FunctionalTest):
        return _returned(payload, test.expected)
    return _DIED, {"status": Status.RUNTIME_ERROR, "exception": "an answer of the wrong kind"}


def _error(error: dict[str, Any], ran: Ran, limits: Limits) -> _Judged:
    told = native.told_by(error)
    if error["stage"] == "call":
        told["actual"] = _text(ran.stdout) or None
        if error["timeout"]:
            return _TIMED_OUT, {**told, "status": Status.TIME_LIMIT, "limit": limits.text("cpu")}
    outcome = _RAISED if error["stage"] == "call" else _FAILED
    if error["memory"]:
        told |= {"status": Status.MEMORY_LIMIT, "limit": limits.text("memory")}
    elif error["stage"] == "compile":
        told["status"] = Status.COMPILE_ERROR
    elif ran.alarmed:
        told |= {"status": Status.TIME_LIMIT, "limit": limits.text("cpu")}
    else:
        told["status"] = Status.RUNTIME_ERROR
    return outcome, told


# --------------------------------------------------------------------------- printed text


def _printed(stdout: bytes, expected: str) -> _Judged:
    try:
        actual = stdout.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # not from our own process code
        return _DIED, {"status": Status.RUNTIME_ERROR, "exception": "a malformed answer"}
    told: dict[str, Any] = {"actual": cut(actual)}
    try:
        same = outputs_match(expected, actual)
    except decimal.DecimalException as error:
        told |= {"status": Status.RUNTIME_ERROR, "exception": f"comparing: {error!r}"}
        return _FAILED, told
    told["status"] = Status.PASSED if same else Status.WRONG_ANSWER
    return (_PASSED if same else _WRONG_OUTPUT), told


def outputs_match(expected: str, actual: str) -> bool:
    """The official comparison. Raises DecimalException for a signalling NaN that is compared."""
    if actual.strip() == expected.strip():  # then every line is equal too
        return True
    got, want = _lines(actual), _lines(expected)
    if len(got) != len(want):
        return False
    for mine, right in zip(got, want, strict=True):
        if mine == right:
            continue
        with decimal.localcontext(_CONTEXT):
            numbers = _numbers(mine)
            if numbers is None or numbers != _numbers(right):
                return False
    return True


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _numbers(line: str) -> list[Decimal] | None:
    try:
        return [Decimal(word) for word in line.split()]
    except Exception:
        return None


# --------------------------------------------------------------------------- returned values


def _returned(payload: bytes, expected: Any) -> _Judged:
    try:
        value, state = official_values.decode(payload)
        if b'"t": "nan"' in payload:
            expected = official_values.one_nan(expected)
    except ValueError as error:
        return _DIED, {"status": Status.RUNTIME_ERROR, "exception": str(error)}
    told: dict[str, Any] = {"actual": show(value), "status": Status.RUNTIME_ERROR}
    entries: tuple[Any, ...] = ()
    try:
        same = value == expected
        entries = (same,)
        passed = bool(same)
    except official_values.Died:
        return _DIED, {**told, "exception": "comparing the result ended the process"}
    except Exception as error:  # an array of several truths, a signalling NaN, a program's __eq__
        told["exception"] = f"comparing: {error!r}"
        return _plain(Outcome((*entries, -4), -4)), told
    if passed:
        return _plain(Outcome(entries)), {**told, "status": Status.PASSED}
    if state == "dies":
        return _DIED, {**told, "exception": "making a text of the result ended the process"}
    if state == "raises":
        told["exception"] = "the result cannot be made into a text"
        return _plain(Outcome((*entries, -4), -4)), told
    return _plain(Outcome(entries, -2)), {**told, "status": Status.WRONG_ANSWER}


def _plain(outcome: Outcome) -> Outcome:
    """Without numpy: an array counts by its first item; an empty one ends the evaluation."""
    entries: list[Any] = []
    code = outcome.error_code
    for entry in outcome.entries:
        if type(entry) in (bool, int):
            entries.append(entry)
        elif getattr(entry, "ndim", 0) and math.prod(entry.shape) == 0:
            entries.append([])
            code = -5
        else:
            entries.append(bool(entry.item(0) if hasattr(entry, "item") else entry))
    return Outcome(tuple(entries), code, outcome.whole)


def _text(data: bytes) -> str:
    return cut(data.decode("utf-8", "replace"))
