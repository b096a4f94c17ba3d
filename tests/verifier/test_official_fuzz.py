"""The official profile against LiveCodeBench's own checker, on random cases.

The comparisons use the checker's code with its way of running programs replaced by a function
that prints, or returns, the given case. The programs run through all of it. A disagreement names
the seed.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import lcb_fuzz
import lcb_oracle
import lcb_programs
import pytest
from lcb_local import Local

from mars2.types import FunctionalTest, StdinTest
from mars2.verifier import official
from mars2.verifier._sandbox import encode_exact, official_stdin
from mars2.verifier.judge import Ran

OUTPUTS, VALUES, PROGRAMS = 20_000, 6_000, 2_400


@pytest.fixture
def checker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The official `testing_util`, without alarms and with a stand-in for compiling."""
    lcb_oracle.load()
    module = sys.modules["livecodebench.evaluation.testing_util"]
    monkeypatch.setattr(module, "compile_code", lambda code, timeout: SimpleNamespace())
    monkeypatch.setattr(module, "faulthandler", SimpleNamespace(enable=int, disable=int))
    monkeypatch.setattr(module, "signal", SimpleNamespace(alarm=int))
    monkeypatch.setattr(module, "make_function", lambda code: code)
    monkeypatch.setattr(module, "call_method", lambda method, text: method())
    monkeypatch.setattr(module, "get_function", None)  # each comparison sets its own
    monkeypatch.setattr(module, "json", json)
    with lcb_oracle.official_limits():
        yield module


def _graded(grade: Any, **named: Any) -> tuple[list[Any], int | None]:
    """As `run_test` and `evaluate_generations_by_problem` go on after grading."""
    try:
        results, metadata = grade(timeout=1, **named)
    except Exception:
        return [-4], -4
    code = metadata.get("error_code")
    fixed = []
    for item in results:
        if type(item).__module__ == "numpy":
            if getattr(item, "ndim", 0) and math.prod(item.shape) == 0:
                return [[], *results[1:]], -5
            item = bool(item.item(0) if getattr(item, "ndim", 0) else item)
        fixed.append(item)
    return fixed, code


def _compare_outputs(checker: Any, count: int) -> None:
    printed = ""
    checker.get_function = lambda solution, name: lambda: sys.stdout.write(printed)
    for seed in range(count):
        expected, printed = lcb_fuzz.output_pair(Random(seed))
        theirs = _graded(checker.grade_stdio, code="", all_inputs=[""], all_outputs=[expected])
        data = printed.encode("utf-8", "surrogatepass")
        ran = Ran(answer=("X", b""), stdout=data)
        outcome = official.judge(StdinTest(input="", expected=expected), "", ran, lcb_fuzz.LIMITS)[
            1
        ]
        ours = official.result([outcome])
        assert (ours.results, ours.error_code) == theirs, (seed, expected, printed)


def _compare_values(checker: Any, count: int) -> None:
    numpy = pytest.importorskip("numpy")
    checker.json = SimpleNamespace(
        loads=lambda text: [] if text == "arguments" else json.loads(text)
    )
    for seed in range(count):
        rng = Random(seed)
        expected = lcb_fuzz.json_value(rng)
        value = lcb_fuzz.result_for(rng, expected, numpy)
        text = json.dumps(expected)
        if isinstance(value, lcb_fuzz.Named) and len(value) <= 300 and value != expected:
            continue  # ends the official process: it cannot be told to the parent
        checker.get_function = lambda solution, name, value=value: lambda *arguments: value
        theirs = _graded(
            checker.grade_call_based,
            code="",
            all_inputs=["arguments"],
            all_outputs=[text],
            fn_name="f",
        )
        told = list(value) if isinstance(value, tuple) else value
        ran = Ran(answer=("R", encode_exact.exact(told, 1 << 20)))
        test = FunctionalTest.model_construct(args=[], expected=json.loads(text))
        outcome = official.judge(test, "f", ran, lcb_fuzz.LIMITS)[1]
        ours = official.result([outcome])
        assert repr((ours.results, ours.error_code)) == repr(theirs), (seed, expected, value)


def _compare_programs(seeds: range, folder: Path) -> None:
    lcb_oracle.load()
    wrong = []
    with Local() as local, contextlib.chdir(folder):
        for seed in seeds:
            code, problem = lcb_programs.submission(seed)
            # The package's own standard input, or that of the checker's repository.
            plain = seed % 2 == 0
            mocked = None if plain else official_stdin.Stdin
            # Both go by wall clocks here: a loaded machine gets more time before it counts.
            for seconds in (1, 5, 20):
                theirs = lcb_oracle.evaluate(problem, code, seconds, mocked)
                ours = lcb_fuzz.judged(local, problem, code, seconds, plain)
                if repr(theirs) == repr(ours):
                    break
            else:
                wrong.append((seed, theirs, ours, code))
    assert not wrong, f"{len(wrong)} of {len(seeds)}, the first: {wrong[0]}"


def test_outputs_are_compared_as_by_the_official_checker(checker: Any) -> None:
    _compare_outputs(checker, OUTPUTS)


def test_results_are_compared_as_by_the_official_checker(checker: Any) -> None:
    _compare_values(checker, VALUES // 10)


def test_programs_are_judged_as_by_the_official_checker(tmp_path: Path) -> None:
    _compare_programs(range(60), tmp_path)


@pytest.mark.slow
def test_very_many_outputs_are_compared_as_by_the_official_checker(checker: Any) -> None:
    _compare_outputs(checker, 5 * OUTPUTS)


@pytest.mark.slow
def test_very_many_results_are_compared_as_by_the_official_checker(checker: Any) -> None:
    _compare_values(checker, VALUES)


@pytest.mark.slow
def test_very_many_programs_are_judged_as_by_the_official_checker(tmp_path: Path) -> None:
    start = int(os.environ.get("LCB_FUZZ_SEED", "60"))
    _compare_programs(range(start, start + PROGRAMS), tmp_path)
