"""Packed tests: a problem that holds them is the same problem, and few are ever unpacked."""

from __future__ import annotations

import copy
import functools
import gc
import hashlib
import json
import pickle
import zlib

import pytest

from mars2.packed import PackedTests, Recent
from mars2.prompts import build_prompt
from mars2.training.rundir import problems_digest
from mars2.types import Problem, Status, StdinTest
from mars2.verifier import Verifier

UNPACKED: list[int] = []


def decode(payload: bytes, sign: str) -> list[StdinTest]:
    UNPACKED.append(len(payload))
    return [
        StdinTest(input=f"{n}\n", expected=f"{sign}{n}\n")
        for n in json.loads(zlib.decompress(payload))
    ]


def packed(numbers: list[int], size: int = 10) -> PackedTests:
    payload = zlib.compress(json.dumps(numbers).encode())
    how = functools.partial(decode, sign="-")
    return PackedTests(payload, how, count=len(numbers), kinds=["stdin"], size=size)


def problem(numbers: list[int], **more: object) -> Problem:
    public = [StdinTest(input="7\n", expected="-7\n")]
    return Problem(
        id="neg", statement="-n", public_tests=public, private_tests=packed(numbers), **more
    )


@pytest.fixture(autouse=True)
def _count() -> None:
    UNPACKED.clear()


def test_listing_counting_and_prompting_unpack_nothing() -> None:
    p = problem([1, 2, 3])
    assert (p.count(), p.count("public"), p.kind, p.kinds) == (4, 1, "stdin", ("stdin",))
    assert p.unpacked("public") is p
    build_prompt(p, style="chat", system_prompt="", parent=None)
    problems_digest([p])
    assert not UNPACKED


def test_it_is_the_same_problem_as_the_one_with_lists() -> None:
    p = problem([1, 2, 3])
    plain = Problem.model_validate_json(p.model_dump_json())
    assert isinstance(plain.private_tests, list)
    assert p == plain
    assert p != problem([1, 2])
    assert p.tests() == plain.tests()
    assert p.private_tests[1:] == plain.private_tests[1:]


def test_it_travels_packed() -> None:
    p = problem([1, 2])
    for there in (pickle.loads(pickle.dumps(p)), copy.deepcopy(p), Problem.model_validate(p)):
        assert isinstance(there.private_tests, PackedTests)
        assert not UNPACKED
        assert len(there.tests()) == 3
        UNPACKED.clear()


def test_unpacking_again_and_again_happens_once() -> None:
    p = problem([1, 2])
    assert {id(p.unpacked()) for _ in range(5)} == {id(p.unpacked())}
    assert len(UNPACKED) == 1
    assert type(p.unpacked().private_tests) is list
    assert p.unpacked().unpacked() is p.unpacked()


def test_only_the_recent_ones_are_kept_and_the_last_one_always() -> None:
    recent: Recent[int] = Recent(100)
    tests = [packed([n], size=40) for n in range(5)]
    for t in tests:
        recent.get(t, len)
    assert len(recent) == 2
    recent.get(tests[3], len)
    assert len(UNPACKED) == 5
    recent.get(packed([9], size=1000), len)
    assert len(recent) == 1


def test_the_digest_tells_packed_problems_apart_and_undated_ones_count_as_before() -> None:
    assert problems_digest([problem([1])]) != problems_digest([problem([2])])
    p = Problem(id="a", statement="s", public_tests=[StdinTest(input="", expected="")])
    before = json.dumps({k: v for k, v in p.model_dump().items() if k != "date"}, indent=None)
    line = before.replace(", ", ",").replace(": ", ":").encode() + b"\n"
    assert problems_digest([p]) == hashlib.sha256(line).hexdigest()[:16]
    dated = p.model_copy(update={"date": "2024-01-01"})
    assert problems_digest([dated]) != problems_digest([p])


async def test_it_is_judged_like_any_other() -> None:
    p = problem([1, 2, 3])
    async with Verifier() as verifier:
        good = await verifier.verify(p.unpacked(), "print(-int(input()))")
        bad = await verifier.verify(p.unpacked(), "n = int(input()); print(-n if n != 3 else 3)")
    assert (good.status, good.passed, good.total) == (Status.PASSED, 4, 4)
    assert (bad.status, bad.passed) == (Status.WRONG_ANSWER, 3)


async def test_judging_many_problems_keeps_few_unpacked() -> None:
    many = [
        Problem(id=f"p{n}", statement="", private_tests=packed([n] * 50, size=60 << 20))
        for n in range(12)
    ]
    before = tests_alive()
    async with Verifier() as verifier:
        for p in many:
            verdict = await verifier.verify(p.unpacked(), "print(-int(input()))")
            assert verdict.passed == 50
    kept = tests_alive() - before
    assert kept < 3 * 50, "the verifier, or somebody else, holds on to what was unpacked"


def tests_alive() -> int:
    gc.collect()
    return sum(type(o) is StdinTest for o in gc.get_objects())
