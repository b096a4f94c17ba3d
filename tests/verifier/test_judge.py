"""From a fork server's report to a verdict, without any process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mars2.types import AssertionTest, FunctionalTest, Status, StdinTest
from mars2.verifier.judge import Limits, Ran, judge

LIMITS = Limits(time_s=2.0, memory=256 << 20, output=1 << 20, processes=16)
STDIN = StdinTest(input="1", expected="1")


def head(**more: Any) -> dict[str, Any]:
    whole = {
        "exit": 0,
        "killed": "",
        "seconds": 0.4,
        "cpu": 0.4,
        "memory": 0,
        "leftovers": 0,
        "alarmed": False,
        "died": False,
        "apart": True,
        "kinds": [],
    }
    return {**whole, **more}


def error(stage: str = "run", **more: Any) -> bytes:
    return json.dumps(
        {"stage": stage, "type": "KeyError", "message": "KeyError: 1", **more}
    ).encode()


def status(
    test: Any = STDIN,
    stdout: bytes = b"1",
    frames: tuple[bytes, ...] = (b"",),
    kinds: tuple[str, ...] = ("X",),
    **more: Any,
) -> Status:
    if more.get("died"):
        kinds, frames = kinds[:-1], frames[:-1]
    (ran,) = Ran.parse(head(kinds=kinds, **more), [stdout, b"", *frames])
    return judge(test, "f", ran, LIMITS).status


@pytest.mark.parametrize(
    ("more", "want"),
    [
        ({}, Status.PASSED),
        ({"died": True}, Status.PASSED),  # os._exit(0) after the right answer
        ({"died": True, "stdout": b"2"}, Status.RUNTIME_ERROR),
        ({"stdout": b"2"}, Status.WRONG_ANSWER),
        ({"stdout": b"\xff"}, Status.WRONG_ANSWER),
        ({"died": True, "exit": 3}, Status.RUNTIME_ERROR),
        ({"died": True, "exit": -11}, Status.RUNTIME_ERROR),
        ({"died": True, "exit": -31}, Status.SANDBOX_VIOLATION),
        ({"kinds": ("O",)}, Status.OUTPUT_LIMIT),
        ({"died": True, "exit": -24}, Status.TIME_LIMIT),
        ({"died": True, "killed": "cpu", "exit": -9}, Status.TIME_LIMIT),
        ({"died": True, "killed": "idle", "exit": -9}, Status.TIME_LIMIT),
        ({"died": True, "killed": "wall", "exit": -9}, Status.TIME_LIMIT),
        ({"died": True, "killed": "memory", "exit": -9}, Status.MEMORY_LIMIT),
        ({"died": True, "killed": "output", "exit": -9}, Status.OUTPUT_LIMIT),
        ({"memory": 300 << 20}, Status.MEMORY_LIMIT),
        ({"cpu": 2.5}, Status.TIME_LIMIT),
        ({"leftovers": 16}, Status.RUNTIME_ERROR),
        ({"kinds": ("P", "X"), "frames": (b"", b"")}, Status.RUNTIME_ERROR),
        ({"kinds": ("E",), "frames": (error("compile"),)}, Status.COMPILE_ERROR),
        ({"kinds": ("E",), "frames": (error(),)}, Status.RUNTIME_ERROR),
        ({"kinds": ("E",), "frames": (error(memory=True),)}, Status.MEMORY_LIMIT),
        ({"kinds": ("E",), "frames": (b"{not json",)}, Status.RUNTIME_ERROR),
    ],
)
def test_whole_programs(more: dict[str, Any], want: Status) -> None:
    assert status(**more) is want


def test_a_test_program_passes_only_when_it_was_finished() -> None:
    test = AssertionTest(program="assert f() == 1")
    assert status(test) is Status.PASSED
    assert status(test, died=True) is Status.RUNTIME_ERROR
    own = error(type="AssertionError", in_tests=True)
    assert status(test, kinds=("E",), frames=(own,)) is Status.WRONG_ANSWER


def test_answers_that_arrive_together_with_the_end_keep_their_own_verdicts() -> None:
    report = head(exit=1, died=True, kinds=["R", "R", "E"], cpu=4.0, leftovers=20)
    parts = Ran.parse(report, [b"", b"", b"0", b"7", error("call")])
    tests = [FunctionalTest(args=[k], expected=k) for k in range(4)]
    found = [judge(test, "f", ran, LIMITS).status for test, ran in zip(tests, parts, strict=True)]
    assert found == [
        Status.PASSED,
        Status.WRONG_ANSWER,
        Status.RUNTIME_ERROR,
        Status.TIME_LIMIT,  # what was measured belongs to the last
    ]


def test_answers_of_a_living_process_are_one_each() -> None:
    parts = Ran.parse(head(exit=None, kinds=["R", "R"]), [b"", b"", b"0", b"1"])
    assert [ran.answer for ran in parts] == [("R", b"0"), ("R", b"1")]
    assert [ran.seconds for ran in parts] == [0.2, 0.2]


def test_in_a_shared_process_every_test_has_its_own_output() -> None:
    report = head(exit=0, died=True, apart=False, kinds=["T", "X", "X", "T", "E"])
    blobs = [b"left", b"", b"one", b"", b"", b"three", error()]
    assert [ran.stdout for ran in Ran.parse(report, blobs)] == [b"one", b"", b"three", b"left"]
