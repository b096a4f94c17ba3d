"""The verdict cache: what a key depends on, what is kept, and who is judged once."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mars2.config import VerifierConfig
from mars2.errors import InfraError, UsageError
from mars2.types import (
    AssertionTest,
    FunctionalTest,
    LcbResult,
    Problem,
    Status,
    StdinTest,
    TestVerdict,
    Verdict,
)
from mars2.verifier import cache as module
from mars2.verifier.cache import VerdictCache, key
from mars2.verifier.cache_file import FILE_NAME

CODE = "print(input())"


def problem(**changes: Any) -> Problem:
    given: dict[str, Any] = {
        "id": "p",
        "statement": "",
        "entry_point": "f",
        "public_tests": [StdinTest(input="1", expected="1")],
        "private_tests": [
            FunctionalTest(args=[1, "a"], expected=[1]),
            AssertionTest(program="assert f(1) == 1"),
        ],
    }
    return Problem(**(given | changes))


def verdict(status: Status = Status.PASSED, **changes: Any) -> Verdict:
    return Verdict(id="v", problem_id="p", status=status, passed=1, total=1, **changes)


def base(code: str = CODE, **changes: Any) -> str:
    config = VerifierConfig(**changes.pop("config", {}))
    settings = {k: changes.pop(k) for k in ("tests", "early_stop", "python") if k in changes}
    return key(problem(**changes), code, config=config, **settings)


def functional(*, args: list[Any], expected: Any) -> dict[str, Any]:
    return {"private_tests": [FunctionalTest(args=args, expected=expected)]}


DIFFERENT: list[dict[str, Any]] = [
    {},
    {"code": CODE + " "},
    {"code": "\ud800"},
    {"entry_point": "g"},
    {"time_limit_s": 2.0},
    {"memory_limit_mb": 100},
    {"public_tests": [StdinTest(input="1", expected="2")]},
    {"public_tests": [StdinTest(input="2", expected="1")]},
    {"public_tests": []},
    {"private_tests": [AssertionTest(program="assert f(1) == 1")]},
    functional(args=[1], expected=1),
    functional(args=[1], expected=1.0),
    functional(args=[1], expected=True),
    functional(args=[1], expected="1"),
    functional(args=[1], expected=[1]),
    functional(args=[1], expected=(1,)),
    functional(args=[1], expected=None),
    functional(args=[1], expected=-0.0),
    functional(args=[1], expected=0.0),
    functional(args=[1], expected=10**6000),
    {"config": {"profile": "lcb"}},
    {"config": {"time_limit_s": 3}},
    {"config": {"memory_limit_mb": 300}},
    {"config": {"output_limit_kb": 3}},
    {"config": {"processes": 3}},
    {"config": {"packages": []}},
    {"tests": "public"},
    {"early_stop": False},
    {"python": "3.99"},
]


def test_everything_that_a_verdict_depends_on_changes_the_key() -> None:
    keys = [base(**changes) for changes in DIFFERENT]
    assert len(set(keys)) == len(keys)
    assert all(len(k) == 64 for k in keys)


def test_what_changes_no_verdict_leaves_the_key() -> None:
    for changes in (
        {"id": "other", "statement": "Do it.", "difficulty": "easy", "metadata": {"a": 1}},
        {"config": {"workers": 7, "isolation": "strict", "cache": "off"}},
    ):
        assert base(**changes) == base()


def test_the_key_is_the_same_in_another_process() -> None:
    script = (
        "from mars2.config import VerifierConfig\nfrom mars2.types import *\n"
        "from mars2.verifier.cache import key\n"
        "x = [1, 2.5, 'é', None, True, 'a' * 3]\n"
        "t = FunctionalTest(args=[x, x], expected={'a': 'ab', 'b': 'ab'})\n"
        "p = Problem(id='p', statement='', entry_point='f', public_tests=[t])\n"
        "print(key(p, 'code', config=VerifierConfig()))"
    )
    done = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    ab = "".join(["a", "b"])  # equal text, another object: sharing must not show
    test = FunctionalTest(
        args=[[1, 2.5, "é", None, True, "aaa"], [1, 2.5, "é", None, True, "a" * 3]],
        expected={"a": ab, "b": "ab"},
    )
    here = Problem(id="p", statement="", entry_point="f", public_tests=[test])
    assert {d.stdout.strip() for d in done} == {key(here, "code", config=VerifierConfig())}


def test_changing_the_tests_of_a_problem_in_place_is_noticed() -> None:
    one = problem()
    before = key(one, CODE, config=VerifierConfig())
    one.public_tests[0] = StdinTest(input="1", expected="other")
    assert key(one, CODE, config=VerifierConfig()) != before
    assert key(problem(), CODE, config=VerifierConfig()) == before


def test_a_forgotten_problem_leaves_nothing_behind() -> None:
    one = problem()
    key(one, CODE, config=VerifierConfig())
    place = id(one)
    assert place in module._digests
    del one
    assert place not in module._digests


def test_expected_values_that_are_no_plain_data_are_never_shared() -> None:
    changes = functional(args=[], expected=Decimal(1))
    assert base(**changes) != base(**changes)


def test_least_recently_used_go_first_and_hits_are_counted() -> None:
    cache = VerdictCache(capacity=2)
    first, second, third = (verdict(seconds=float(n)) for n in range(3))
    cache.put("1", first)
    cache.put("2", second)
    assert cache.get("1") is first
    cache.put("3", third)
    assert cache.get("2") is None
    assert (cache.get("1"), cache.get("3")) == (first, third)
    assert cache.hits == 3


def test_failures_of_the_machinery_are_never_kept(tmp_path: Path) -> None:
    for where in ("memory", str(tmp_path)):
        cache = VerdictCache(where)
        cache.put("k", verdict(Status.INFRA))
        cache.put("k", verdict(tests=[TestVerdict(status=Status.INFRA)]))
        assert cache.get("k") is None
        cache.close()


async def test_off_judges_every_time() -> None:
    cache = VerdictCache("off")
    calls = 0

    async def judge() -> Verdict:
        nonlocal calls
        calls += 1
        return verdict()

    for _ in range(3):
        await cache.single_flight("k", judge)
    assert (calls, cache.hits, cache.get("k")) == (3, 0, None)


def counting(gate: asyncio.Event, result: Callable[[], Verdict] = verdict) -> Any:
    async def judge() -> Verdict:
        judge.calls += 1  # type: ignore[attr-defined]
        try:
            await gate.wait()
        except asyncio.CancelledError:
            judge.cancelled += 1  # type: ignore[attr-defined]
            raise
        return result()

    judge.calls = judge.cancelled = 0  # type: ignore[attr-defined]
    return judge


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_identical_requests_under_way_are_judged_once() -> None:
    cache, gate = VerdictCache(), asyncio.Event()
    judge = counting(gate)
    asked = [asyncio.create_task(cache.single_flight("k", judge)) for _ in range(5)]
    await settle()
    gate.set()
    assert {id(v) for v in await asyncio.gather(*asked)} == {id(cache.get("k"))}
    assert judge.calls == 1
    assert cache.hits == 5  # four that joined, and the `get` above


async def test_cancelling_the_first_takes_nothing_from_the_others() -> None:
    cache, gate = VerdictCache(), asyncio.Event()
    judge = counting(gate)
    first, second = (asyncio.create_task(cache.single_flight("k", judge)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    gate.set()
    assert (await second).ok
    assert first.cancelled()
    assert (judge.calls, judge.cancelled) == (1, 0)


async def test_when_nobody_waits_any_more_judging_is_cancelled_and_the_key_is_free() -> None:
    cache, gate = VerdictCache(), asyncio.Event()
    judge = counting(gate)
    asked = [asyncio.create_task(cache.single_flight("k", judge)) for _ in range(2)]
    await settle()
    for task in asked:
        task.cancel()
    await settle()
    assert judge.cancelled == 1
    gate.set()
    assert (await cache.single_flight("k", judge)).ok
    assert judge.calls == 2


async def test_all_who_wait_get_the_error_and_the_next_one_tries_again() -> None:
    cache, gate = VerdictCache(), asyncio.Event()

    def fail() -> Verdict:
        raise InfraError("no runner")

    asked = [asyncio.create_task(cache.single_flight("k", counting(gate, fail))) for _ in range(3)]
    await settle()
    gate.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(r) for r in results] == [InfraError] * 3
    assert (await cache.single_flight("k", counting(gate))).ok


async def test_the_directory_outlives_the_cache(tmp_path: Path) -> None:
    kept = verdict(
        Status.WRONG_ANSWER,
        tests=[TestVerdict(status=Status.WRONG_ANSWER, actual="é\n", seconds=0.25)],
        lcb=LcbResult(results=[True, -2], error_code=-2),
    )
    first = VerdictCache(str(tmp_path / "a" / "b"))
    first.put("k", kept)
    first.close()
    second = VerdictCache(str(tmp_path / "a" / "b"))
    assert second.get("k") == kept
    never = counting(asyncio.Event())
    assert await second.single_flight("k", never) == kept
    assert (never.calls, second.hits) == (0, 2)
    second.close()
    third = VerdictCache(str(tmp_path / "a" / "b"))
    assert await third.single_flight("k", never) == kept  # from disk, by the async way
    assert (never.calls, third.hits) == (0, 1)
    third.close()


def test_text_that_cannot_be_stored_stays_in_memory_only(tmp_path: Path) -> None:
    cache = VerdictCache(str(tmp_path))
    odd = verdict(tests=[TestVerdict(status=Status.PASSED, actual="\ud800")])
    cache.put("odd", odd)
    cache.put("k", verdict())
    assert cache.get("odd") is odd
    cache.close()
    again = VerdictCache(str(tmp_path))
    assert again.get("odd") is None
    assert again.get("k") == verdict()
    again.close()


def test_several_processes_share_a_directory(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom mars2.types import *\nfrom mars2.verifier.cache import VerdictCache\n"
        "cache = VerdictCache(sys.argv[1])\n"
        "for n in range(300):\n"
        "    v = Verdict(status=Status.PASSED, passed=n, total=n)\n"
        "    cache.put(f'{sys.argv[2]}-{n}', v)\n"
        "    cache.put(f'shared-{n}', v)\n"
        "cache.close()\nassert cache.fault is None, cache.fault\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(k)]) for k in range(3)
    ]
    assert [p.wait() for p in running] == [0, 0, 0]
    cache = VerdictCache(str(tmp_path))
    for name in ("0", "1", "2", "shared"):
        for n in range(300):
            found = cache.get(f"{name}-{n}")
            assert found is not None
            assert found.passed == n
    cache.close()


@pytest.mark.parametrize("damage", [b"no database" * 100, b"SQLite format 3\0" + b"x" * 500])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(damage)
    with pytest.raises(UsageError, match=FILE_NAME):
        VerdictCache(str(tmp_path))


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    VerdictCache(str(tmp_path)).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UsageError, match="99"):
        VerdictCache(str(tmp_path))


def test_a_changed_row_is_a_miss_and_never_a_verdict(tmp_path: Path) -> None:
    cache = VerdictCache(str(tmp_path))
    cache.put("k", verdict(Status.WRONG_ANSWER))
    cache.put("other", verdict(Status.PASSED))
    cache.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        (good,) = connection.execute("SELECT verdict FROM verdicts WHERE key = 'other'").fetchone()
        connection.execute("UPDATE verdicts SET verdict = ? WHERE key = 'k'", (good,))
    connection.close()
    again = VerdictCache(str(tmp_path))
    assert again.get("k") is None
    assert again.get("other") == verdict(Status.PASSED)
    again.close()


def test_a_file_damaged_while_in_use_costs_no_verdict(tmp_path: Path) -> None:
    cache = VerdictCache(str(tmp_path), capacity=1)
    for n in range(2000):
        cache.put(str(n), verdict(seconds=float(n)))
    cache.close()
    cache = VerdictCache(str(tmp_path), capacity=1)
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 200_000)
    found = [cache.get(str(n)) for n in range(0, 2000, 100)]
    right = [verdict(seconds=float(n)) for n in range(0, 2000, 100)]
    assert all(f is None or f == r for f, r in zip(found, right, strict=True))
    cache.put("new", verdict())
    assert cache.get("new") == verdict()
    cache.close()


def test_a_directory_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for where in (str(tmp_path / "file"), ""):
        with pytest.raises(UsageError, match="cache"):
            VerdictCache(where)


def test_an_infinite_number_survives_the_disk(tmp_path: Path) -> None:
    odd = verdict(lcb=LcbResult(results=[math.inf], error_code=None))
    cache = VerdictCache(str(tmp_path))
    cache.put("k", odd)
    cache.close()
    again = VerdictCache(str(tmp_path))
    assert again.get("k") == odd
    again.close()
