"""The verifier as its callers meet it: verdicts, failures of the machinery, cleanliness."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from process_tree import alive, descendants, eventually

from mars2.config import VerifierConfig
from mars2.errors import InfraError
from mars2.types import AssertionTest, FunctionalTest, Problem, Status, StdinTest
from mars2.verifier import Verifier, isolation_level, verify_sync
from mars2.verifier.worker import Turn, Worker, WorkerLost

ONE = VerifierConfig(workers=1)
TWO = VerifierConfig(workers=2)
NO_NAMESPACES = frozenset({"user", "mount", "pid", "net", "ipc", "uts"})


def stdin(*pairs: tuple[str, str], id: str = "p", **more: Any) -> Problem:
    tests = [StdinTest(input=text, expected=want) for text, want in pairs]
    return Problem(id=id, statement="", private_tests=tests, **{"time_limit_s": 5, **more})


def function(*pairs: tuple[list[Any], Any], **more: Any) -> Problem:
    tests = [FunctionalTest(args=args, expected=want) for args, want in pairs]
    return Problem(id="f", statement="", entry_point="f", private_tests=tests, **more)


ECHO = "print(input())"


# --------------------------------------------------------------------------- right verdicts


def test_a_correct_program_passes_and_a_wrong_one_does_not() -> None:
    problem = stdin(("a\n", "a\n"), ("b\n", "b\n"))
    right = verify_sync(problem, ECHO)
    assert (right.status, right.passed, right.total) == (Status.PASSED, 2, 2)
    wrong = verify_sync(problem, "print('a')", id="s1")
    assert (wrong.id, wrong.problem_id) == ("s1", "p")
    assert (wrong.status, wrong.passed, wrong.total) == (Status.WRONG_ANSWER, 1, 2)
    assert (wrong.tests[-1].expected, wrong.tests[-1].actual) == ("b\n", "a\n")


async def test_no_code_is_its_own_verdict() -> None:
    async with Verifier(ONE) as verifier:
        verdict = await verifier.verify(stdin(("a", "a")), None)
    assert (verdict.status, verdict.passed, verdict.total) == (Status.NO_CODE, 0, 1)


async def test_early_stop_public_tests_and_going_on() -> None:
    problem = Problem(
        id="p",
        statement="",
        public_tests=[StdinTest(input="1", expected="1")],
        private_tests=[StdinTest(input=x, expected=x) for x in "234"],
    )
    code = "n = input()\nprint(n if n != '2' else 'no')"
    async with Verifier(ONE) as verifier:
        public = await verifier.verify(problem, code, tests="public")
        stopped = await verifier.verify(problem, code)
        whole = await verifier.verify(problem, code, early_stop=False)
    assert (public.status, public.total) == (Status.PASSED, 1)
    assert (stopped.passed, len(stopped.tests), stopped.total) == (1, 2, 4)
    assert (whole.passed, len(whole.tests)) == (3, 4)
    assert whole.status is Status.WRONG_ANSWER


async def test_functional_tests_go_on_after_every_kind_of_failure() -> None:
    problem = function(*(([k], k) for k in range(7)), time_limit_s=0.5)
    code = (
        "import os\n"
        "def f(k):\n"
        "    if k == 1: return 0\n"
        "    if k == 2: raise KeyError(k)\n"
        "    if k == 3: os._exit(0)\n"
        "    while k == 5: pass\n"
        "    return k\n"
    )
    async with Verifier(ONE) as verifier:
        verdict = await verifier.verify(problem, code, early_stop=False)
        again = await verifier.verify(problem, "def f(k): return k")
    passed, wrong, error, late = (
        Status.PASSED,
        Status.WRONG_ANSWER,
        Status.RUNTIME_ERROR,
        Status.TIME_LIMIT,
    )
    expected = [passed, wrong, error, error, passed, late, passed]
    assert [test.status for test in verdict.tests] == expected
    assert verdict.tests[1].input == "f(1)"
    assert "KeyError" in (verdict.tests[2].exception or "")
    assert again.ok


async def test_mixed_kinds_in_one_problem() -> None:
    tests = [
        FunctionalTest(args=[1], expected=1),
        AssertionTest(program="assert f(2) == 2"),
        FunctionalTest(args=[3], expected=3),
        FunctionalTest(args=[4], expected=4),
    ]
    problem = Problem(id="m", statement="", entry_point="f", private_tests=tests)
    async with Verifier(ONE) as verifier:
        assert (await verifier.verify(problem, "def f(x): return x")).passed == 4


async def test_large_input_large_output_and_unicode() -> None:
    big = "ż" * 500_000
    async with Verifier(ONE) as verifier:
        assert (await verifier.verify(stdin((big, "500000")), "print(len(input()))")).ok
        assert (await verifier.verify(stdin((big[:400_000], big[:400_000])), ECHO)).ok
        many = function(([list(range(50_000))], list(range(50_000))), ([10**6000], 10**6000))
        assert (await verifier.verify(many, "def f(x): return x")).ok
        flood = await verifier.verify(stdin(("", "")), "print('ż' * 3_000_000)")
    assert flood.status is Status.OUTPUT_LIMIT
    assert len(flood.tests[0].actual or "") < 10_000
    assert flood.tests[0].limit == "output 1024 KB"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("x = '\ud800'\nprint(1)", Status.COMPILE_ERROR),
        ("print(1)\0", Status.COMPILE_ERROR),
        ("print('\\ud800')", Status.RUNTIME_ERROR),
        ("x = " + "-" * 50_000 + "1", Status.COMPILE_ERROR),
        ("(" * 300 + ")" * 300, Status.COMPILE_ERROR),
        ("print(1)\r\nprint(2)\r\n", Status.PASSED),
        ("\ufeffprint(1)\nprint(2)", Status.PASSED),
        ("# -*- coding: latin-1 -*-\nprint('1\\n2')", Status.PASSED),
    ],
    ids=["surrogate", "nul", "printed surrogate", "long", "nested", "crlf", "bom", "cookie"],
)
def test_unusual_sources(code: str, status: Status) -> None:
    verdict = verify_sync(stdin(("", "1\n2\n")), code)
    assert verdict.status is status
    verdict.model_dump_json()


def test_a_test_program_cannot_be_swallowed_by_the_submission() -> None:
    problem = Problem(
        id="a", statement="", private_tests=[AssertionTest(program="assert f() == 3\n'''x'''")]
    )
    assert verify_sync(problem, "def f(): return 4\nx = '''").status is Status.COMPILE_ERROR


# --------------------------------------------------------------------------- the machinery


def test_a_missing_runner_raises_and_is_never_a_verdict() -> None:
    async def run() -> None:
        async with Verifier(ONE, python="/nonexistent/python"):
            pass

    with pytest.raises(InfraError, match="/nonexistent/python"):
        asyncio.run(run())


def test_a_runner_that_breaks_at_its_start_raises_with_what_it_said(tmp_path: Any) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho something is missing >&2\nexit 3\n")
    broken.chmod(0o755)

    async def run() -> None:
        async with Verifier(ONE, python=str(broken)):
            pass

    with pytest.raises(InfraError, match="something is missing"):
        asyncio.run(run())


async def test_a_verifier_that_is_not_running_raises() -> None:
    verifier = Verifier(ONE)
    with pytest.raises(InfraError, match="not running"):
        await verifier.verify(stdin(("a", "a")), ECHO)
    await verifier.start()
    await verifier.aclose()
    await verifier.aclose()
    with pytest.raises(InfraError, match="not running"):
        await verifier.verify(stdin(("a", "a")), ECHO)


async def test_a_server_killed_in_the_middle_loses_no_verdict() -> None:
    problems = [stdin((f"{k}\n", f"{k}\n"), (f"{k}\n", f"{k}\n"), id=f"p{k}") for k in range(30)]
    async with Verifier(TWO) as verifier:
        first = verifier.worker_pids()
        tasks = [asyncio.create_task(verifier.verify(p, ECHO)) for p in problems]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for pid in first:
            for child in descendants(pid)[:1]:
                os.kill(child, signal.SIGKILL)
        verdicts = await asyncio.gather(*tasks)
        assert set(verifier.worker_pids()).isdisjoint(first)
    assert [v.problem_id for v in verdicts] == [p.id for p in problems]
    assert all(v.ok for v in verdicts)


async def test_machinery_that_keeps_failing_is_infra_not_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def lose(self: Turn) -> Any:
        raise WorkerLost("cut")

    async with Verifier(ONE) as verifier:
        with monkeypatch.context() as patch:
            patch.setattr(Turn, "receive", lose)
            verdict = await verifier.verify(stdin(("a", "a")), ECHO)
        assert verdict.status is Status.INFRA
        assert not verdict.ok
        assert (await verifier.verify(stdin(("a", "a")), ECHO)).ok


async def test_one_crash_ends_one_program_never_the_batch() -> None:
    codes = [ECHO, "import os; os.abort()", ECHO, "import ctypes; ctypes.string_at(0)", ECHO, "("]
    async with Verifier(TWO) as verifier:
        verdicts = await asyncio.gather(
            *(verifier.verify(stdin(("a", "a")), code) for code in codes)
        )
    assert [v.ok for v in verdicts] == [True, False, True, False, True, False]
    assert "SIGABRT" in (verdicts[1].tests[0].exception or "")


async def test_the_event_loop_goes_on_while_a_program_runs() -> None:
    async with Verifier(ONE) as verifier:
        problem = stdin(("", "1"), time_limit_s=1.0)
        judging = asyncio.create_task(verifier.verify(problem, "while True: pass"))
        turns = 0
        while not judging.done():
            await asyncio.sleep(0)
            turns += 1
        assert judging.result().status is Status.TIME_LIMIT
    assert turns > 1000  # a loop that verification blocks gets a handful


async def test_a_cancelled_verification_leaves_nothing_and_the_worker_works_again() -> None:
    async with Verifier(ONE) as verifier:
        spin = "import os\nos.fork()\nwhile True: pass"
        judging = asyncio.create_task(verifier.verify(stdin(("", "")), spin))
        launcher = verifier.worker_pids()[0]
        while len(descendants(launcher)) < 4:  # noqa: ASYNC110 - it waits for a process
            await asyncio.sleep(0)
        family = descendants(launcher)[2:]  # without the server and its zygote
        judging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await judging
        assert eventually(lambda: not any(map(alive, family)))
        assert (await verifier.verify(stdin(("a", "a")), ECHO)).ok


async def test_short_programs_do_not_wait_behind_a_long_one() -> None:
    async with Verifier(TWO) as verifier:
        ended: list[int] = []

        async def judge(number: int, problem: Problem, code: str, status: Status) -> None:
            assert (await verifier.verify(problem, code)).status is status
            ended.append(number)

        spin = judge(0, stdin(("", ""), time_limit_s=2.0), "while True: pass", Status.TIME_LIMIT)
        short = [judge(n, stdin(("a", "a")), f"{ECHO}\n# {n}", Status.PASSED) for n in range(1, 9)]
        await asyncio.gather(spin, *short)
        assert ended[-1] == 0


async def test_what_is_cancelled_while_it_waits_concerns_nobody() -> None:
    async with Verifier(ONE) as verifier:
        busy = "import time\nt = time.process_time()\nwhile time.process_time() - t < 0.3: pass\n"
        first = asyncio.create_task(verifier.verify(stdin(("a", "a")), busy + ECHO))
        second = asyncio.create_task(verifier.verify(stdin(("a", "a")), ECHO + "#2"))
        third = asyncio.create_task(verifier.verify(stdin(("a", "a")), ECHO + "#3"))
        await asyncio.sleep(0.01)
        second.cancel()
        assert (await first).ok
        assert (await third).ok
        with pytest.raises(asyncio.CancelledError):
            await second


WORK = "x = 0\nfor i in range(200000): x += i\nprint(input())"


@pytest.mark.parametrize("depth", [0, 1, 2, 3], ids=["launcher", "server", "zygote", "program"])
async def test_what_is_killed_in_the_middle_costs_no_verdict(depth: int) -> None:
    """All verdicts stand, or say that the machinery failed; never that the program did."""
    async with Verifier(VerifierConfig(workers=2, cache="off")) as verifier:
        problem = stdin(("a", "a"), ("b", "b"))
        judging = [
            asyncio.create_task(verifier.verify(problem, f"{WORK}\n# {number}"))
            for number in range(12)
        ]
        killed = 0
        while not all(task.done() for task in judging):
            await asyncio.sleep(0.02)
            for launcher in verifier.worker_pids():
                family = [launcher, *descendants(launcher)]
                if len(family) > depth and killed < 2:  # each program has two more chances
                    os.kill(family[depth], signal.SIGKILL)
                    killed += 1
        assert killed
        found = {(await task).status for task in judging}
        assert found <= {Status.PASSED, Status.INFRA}
        assert Status.PASSED in found
        assert (await verifier.verify(problem, ECHO)).ok


async def test_the_whole_pool_killed_loses_no_verdict() -> None:
    async with Verifier(VerifierConfig(workers=2, cache="off")) as verifier:
        problem = stdin(("a", "a"))
        judging = [
            asyncio.create_task(verifier.verify(problem, f"{WORK}\n# {number}"))
            for number in range(8)
        ]
        await asyncio.sleep(0.02)
        for launcher in verifier.worker_pids():
            os.kill(launcher, signal.SIGKILL)
        verdicts = await asyncio.gather(*judging)
        assert {verdict.status for verdict in verdicts} == {Status.PASSED}


# --------------------------------------------------------------------------- cleanliness

DAEMON = (
    "import os, time\n"
    "print(1, flush=True)\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        time.sleep(1000)\n"
    "    os._exit(0)\n"
)


@pytest.mark.parametrize("without", [frozenset(), NO_NAMESPACES], ids=["walls", "no namespaces"])
async def test_no_process_outlives_its_verdict(without: frozenset[str]) -> None:
    async with Verifier(ONE, without=without) as verifier:
        launcher = verifier.worker_pids()[0]
        count = len(descendants(launcher))  # the server and its zygote
        for code, ok in ((DAEMON, True), (DAEMON + "while True: pass\n", False)):
            verdict = await verifier.verify(stdin(("", "1"), time_limit_s=0.5), code)
            assert verdict.ok is ok
            family = descendants(launcher)
            assert len(family) == count
    assert not any(map(alive, [launcher, *family]))


async def test_without_namespaces_verdicts_are_the_same() -> None:
    async with Verifier(ONE, without=NO_NAMESPACES) as verifier:
        assert (await verifier.verify(stdin(("a", "a"), ("b", "b")), ECHO)).ok
        assert (await verifier.verify(function(([1], 1), ([2], 2)), "def f(x): return x")).ok
        pool = (
            "from multiprocessing import Pool\n"
            "if __name__ == '__main__':\n"
            "    with Pool(2) as pool: print(sum(pool.map(int, '123')))\n"
        )
        assert (await verifier.verify(stdin(("", "6")), pool)).ok
        spin = await verifier.verify(stdin(("", ""), time_limit_s=0.3), "while 1: pass")
        assert spin.status is Status.TIME_LIMIT
        folder = verifier._workers[0].hello["folder"]
        assert os.listdir(folder) == []
    assert not os.path.exists(folder)  # noqa: ASYNC240


async def test_two_workers_share_no_path_and_files_do_not_stay() -> None:
    code = (
        "import os, time\n"
        "print(os.listdir('.'), os.path.exists('/tmp/mars2-mark'))\n"
        "open('mark', 'w').close()\n"
        "open('/tmp/mars2-mark', 'w').close()\n"
    )
    async with Verifier(TWO) as verifier:
        folders = [worker.hello["folder"] for worker in verifier._workers]
        assert len(set(folders)) == 2
        private = "private tmp" in verifier._workers[0].hello["active"]
        if not private:
            code = code.replace("/tmp/mars2-mark", "mark2")
        problems = [stdin(("", "['program.py'] False"), id=f"{k}") for k in range(8)]
        verdicts = await asyncio.gather(*(verifier.verify(p, code) for p in problems))
    assert all(v.ok for v in verdicts), verdicts[0].tests


async def test_expected_outputs_never_leave_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    send = Worker.send

    def record(self: Worker, message: bytes) -> None:
        sent.append(message)
        send(self, message)

    monkeypatch.setattr(Worker, "send", record)
    async with Verifier(ONE) as verifier:
        await verifier.verify(stdin(("in-7351", "out-7351")), ECHO)
        await verifier.verify(function((["in-7351"], "out-7351")), "def f(x): return x")
    assert b"in-7351" in b"".join(sent)
    assert b"out-7351" not in b"".join(sent)


def test_programs_see_no_environment_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARS2_SECRET", "secret")
    assert verify_sync(stdin(("", "None")), "import os\nprint(os.environ.get('MARS2_SECRET'))").ok


def test_the_walls_that_are_said_to_stand_do() -> None:
    level = isolation_level()
    assert not set(level.active) & set(level.missing)
    if "net" in level.active:
        code = "import socket\nsocket.create_connection(('127.0.0.1', 9), 1)"
        verdict = verify_sync(stdin(("", "")), code)
        error = verdict.tests[0].exception or ""
        assert "unreachable" in error or "not permitted" in error
    if "private root" in level.active:
        code = "open('/mars2-canary', 'w')"
        assert verify_sync(stdin(("", "")), code).status is Status.RUNTIME_ERROR
        assert not os.path.exists("/mars2-canary")
    if "uid" in level.active:
        assert verify_sync(stdin(("", "True")), "import os\nprint(os.getuid() > 999)").ok
    if "proc" in level.active:
        code = "import os\nprint(len([p for p in os.listdir('/proc') if p.isdigit()]))"
        assert verify_sync(stdin(("", "3")), code).ok  # the server, its zygote and this one


def test_walls_switched_off_are_reported_missing() -> None:
    level = isolation_level(NO_NAMESPACES)
    assert set(level.missing) >= NO_NAMESPACES - {"user"}
    assert not set(level.active) & NO_NAMESPACES


@pytest.mark.parametrize("without", [frozenset(), NO_NAMESPACES], ids=["walls", "no namespaces"])
def test_programs_die_with_a_killed_caller(without: frozenset[str]) -> None:
    script = (
        "import asyncio, sys\n"
        "from mars2.config import VerifierConfig\n"
        "from mars2.types import Problem, StdinTest\n"
        "from mars2.verifier import Verifier\n"
        "async def main():\n"
        f"    async with Verifier(VerifierConfig(workers=1), without={set(without)!r}) as v:\n"
        "        p = Problem(id='p', statement='', private_tests=[\n"
        "            StdinTest(input='', expected='')], time_limit_s=600)\n"
        "        await v.verify(p, 'import os\\nos.fork()\\nwhile True: pass')\n"
        "asyncio.run(main())\n"
    )
    caller = subprocess.Popen([sys.executable, "-c", script])
    try:
        assert eventually(lambda: len(descendants(caller.pid)) >= 4)
        family = descendants(caller.pid)
    finally:
        caller.kill()
        caller.wait()
    assert eventually(lambda: not any(map(alive, family)))
