"""Judging through an HTTP sandbox: right verdicts, and never the server's fault as a failure."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox_server import SandboxServer, sandbox_server

from mars2.cli.main import main
from mars2.config import VerifierConfig
from mars2.errors import ConfigError, InfraError
from mars2.types import AssertionTest, FunctionalTest, Problem, Status, StdinTest, Verdict
from mars2.verifier.judge import Limits
from mars2.verifier.remote import RemoteVerifier
from mars2.verifier.remote_driver import FRAME
from mars2.verifier.remote_job import RemoteJob

SECRET = "7391246"


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with sandbox_server() as running:
        yield running


def config(server: SandboxServer, **changes: Any) -> VerifierConfig:
    given = {"backend": server.url, "workers": 2, "time_limit_s": 2, "cache": "off"}
    return VerifierConfig(**(given | changes))


def problem(*tests: Any, **changes: Any) -> Problem:
    return Problem(
        id="p", statement="", private_tests=list(tests), **({"entry_point": "f"} | changes)
    )


async def judge(
    server: SandboxServer, of: Problem, code: str | None, early_stop: bool = True, **changes: Any
) -> Verdict:
    async with RemoteVerifier(config(server, **changes), backoff_s=0.0) as verifier:
        return await verifier.verify(of, code, early_stop=early_stop, id="s")


ECHO = problem(StdinTest(input="3 4\n", expected="7"), StdinTest(input="1 1\n", expected="2.0\n"))
ONE = problem(StdinTest(input="3 4\n", expected="7"))
ADD = "print(sum(map(int, input().split())))\n"

STDIN = [
    (ADD, "passed"),
    ("import sys\nfor line in sys.stdin: print(sum(map(int, line.split())))", "passed"),
    (
        "if __name__ == '__main__':\n    a, b = input().split()\n    print(int(a) + int(b))",
        "passed",
    ),
    (f"{ADD}raise SystemExit(0)", "passed"),
    (f"{ADD}raise SystemExit(3)", "runtime_error"),
    ("print(8)", "wrong_answer"),
    ("import os\nos.write(1, b'\\xff\\xfe')", "wrong_answer"),
    ("", "wrong_answer"),
    ("print(1 / 0)", "runtime_error"),
    ("import os\nos._exit(5)", "runtime_error"),
    ("import os\nos.abort()", "runtime_error"),
    ("def f(:\n", "compile_error"),
    ("x = '\ud800'", "compile_error"),
    ("print(7\n", "compile_error"),
    ("while True: pass", "time_limit"),
    ("x = [0] * 10**9", "memory_limit"),
    ("print('x' * 3_000_000)", "output_limit"),
    ("eval('(')", "runtime_error"),
]


async def judge_all(
    server: SandboxServer, jobs: list[tuple[Problem, str]], **changes: Any
) -> list[Verdict]:
    async with RemoteVerifier(config(server, **changes), backoff_s=0.0) as verifier:
        judging = (verifier.verify(of, code, id=str(n)) for n, (of, code) in enumerate(jobs))
        return await asyncio.gather(*judging)


async def test_whole_programs(server: SandboxServer) -> None:
    jobs = [(ECHO, code) for code, _ in STDIN]
    verdicts = await judge_all(server, jobs, time_limit_s=0.5, memory_limit_mb=200)
    assert [v.status for v in verdicts] == [status for _, status in STDIN]
    assert [v.passed for v in verdicts] == [2 * (status == "passed") for _, status in STDIN]
    assert {(v.problem_id, v.total) for v in verdicts} == {("p", 2)}
    assert [v.id for v in verdicts] == [str(n) for n in range(len(STDIN))]


async def test_evidence_of_a_failure(server: SandboxServer) -> None:
    test = (await judge(server, ECHO, "x = 1\nprint('out')\nraise ValueError('why')")).tests[0]
    assert test.exception == "ValueError: why"
    assert "line 3" in (test.traceback or "")
    assert (test.actual, test.input, test.expected) == ("out\n", "3 4\n", "7")
    test = (await judge(server, ECHO, "while True: pass", time_limit_s=0.3)).tests[0]
    assert test.limit == "cpu time 0.3 s"


FUNCTIONAL = [
    ("def f(x, y): return x + y", 7, "passed"),
    ("class Solution:\n    def f(self, x, y): return x + y", 7, "passed"),
    ("def f(x, y): return (x, y)", [3, 4], "passed"),
    ("def f(x, y): return [x, (y,)]", [3, [4]], "wrong_answer"),
    ("def f(x, y): return {x: y}", {3: 4}, "passed"),
    ("def f(x, y): return 10 ** 5000", 10**5000, "passed"),
    ("def f(x, y): return float('nan')", float("nan"), "wrong_answer"),
    ("def f(x, y): print('noise'); return Counter([x])[3]", 1, "passed"),
    ("def f(x, y): return 8", 7, "wrong_answer"),
    ("class E:\n    def __eq__(s, o): return True\ndef f(x, y): return E()", 7, "wrong_answer"),
    (
        "class I(int):\n    def __eq__(s, o): return True\ndef f(x, y): return I(1)",
        7,
        "wrong_answer",
    ),
    ("def g(x): pass", 7, "runtime_error"),
    ("def f(x, y): raise KeyError(x)", 7, "runtime_error"),
    ("raise OSError\ndef f(x, y): return 7", 7, "runtime_error"),
    ("def f(x, y) return 7", 7, "compile_error"),
    ("def f(x, y):\n    import os; os._exit(0)", 7, "runtime_error"),
    ("def f(x, y):\n    import sys; sys.exit(0)", 7, "runtime_error"),
    ("def f(x, y): return [0] * 2_000_000", 7, "output_limit"),
    ("def f(x, y):\n    while True: pass", 7, "time_limit"),
    ("def f(x, y): return f(x, y + 1)", 7, "runtime_error"),
]


async def test_functions(server: SandboxServer) -> None:
    jobs = [
        (problem(FunctionalTest(args=[3, 4], expected=expected)), code)
        for code, expected, _ in FUNCTIONAL
    ]
    verdicts = await judge_all(server, jobs, time_limit_s=1.0)
    assert [v.status for v in verdicts] == [status for _, _, status in FUNCTIONAL]
    assert {v.tests[0].input for v in verdicts} == {"f(3, 4)"}


TESTS = "def check(c):\n    assert c(2) == 4, 'two'\ncheck(f)\n"
ASSERTION = [
    ("def f(x): return 2 * x", "passed"),
    ("def f(x): return x", "wrong_answer"),
    ("def f(x): raise ValueError(x)", "runtime_error"),
    ("def f(x):\n    assert x > 5\n    return 4", "runtime_error"),
    ("def g(x): return 4", "runtime_error"),
    ("import os\ndef f(x): os._exit(0)", "runtime_error"),
    ("raise SystemExit(0)", "runtime_error"),
    ("def f(x)", "compile_error"),
]


async def test_test_programs(server: SandboxServer) -> None:
    of = problem(AssertionTest(program=TESTS))
    verdicts = await judge_all(server, [(of, code) for code, _ in ASSERTION])
    assert [v.status for v in verdicts] == [status for _, status in ASSERTION]


def test_that_a_test_program_ended_well_needs_the_token() -> None:
    limits = Limits(time_s=1, memory=1 << 20, output=1 << 20, processes=1)
    case = AssertionTest(program=TESTS)
    job = RemoteJob(problem(case), case, "", limits)
    assert job._answer(FRAME.pack(32, b"X") + job._token.encode()) == ("X", b"")
    for forged in (b"", b"0" * 32, job._mark.encode()):
        assert job._answer(FRAME.pack(len(forged), b"X") + forged) is None
    assert job._answer(FRAME.pack(2, b"R") + b"[]") is None
    assert job._answer(FRAME.pack(1 << 31, b"X") + b"0") is None


async def test_early_stop_and_all_tests(server: SandboxServer) -> None:
    first = await judge(server, ECHO, "print(2)")
    assert [t.status for t in first.tests] == ["wrong_answer"]
    every = await judge(server, ECHO, "print(2)", early_stop=False)
    assert [t.status for t in every.tests] == ["wrong_answer", "passed"]
    assert (every.passed, every.status) == (1, "wrong_answer")


async def test_no_code_asks_nobody(server: SandboxServer) -> None:
    assert (await judge(server, ECHO, None)).status is Status.NO_CODE
    assert len(server.requests) == 1  # the one at the start


async def test_input_reaches_the_program_as_it_is(server: SandboxServer) -> None:
    odd = "\r\n é \ud800 \u2028 \x00\n"
    code = "import sys\nprint(sys.stdin.buffer.read().hex())"
    for text in (odd, odd.replace("\ud800", ""), "", "x" * 300_000):
        want = text.encode("utf-8", "surrogatepass").hex()
        verdict = await judge(server, problem(StdinTest(input=text, expected=want)), code)
        assert verdict.ok, verdict


async def test_expected_outputs_are_never_sent(server: SandboxServer) -> None:
    of = problem(
        StdinTest(input="x", expected=SECRET),
        FunctionalTest(args=["x"], expected=[SECRET, int(SECRET)]),
    )
    await judge(server, of, "def f(x): pass", early_stop=False)
    assert len(server.requests) == 3
    for body in server.requests:
        packed = body["code"].rsplit("parent('", 1)[1].split("'", 1)[0]
        job = json.loads(zlib.decompress(base64.b64decode(packed)))
        plain = [base64.b64decode(job[k]).decode("latin-1") for k in ("source", "args") if k in job]
        for text in (body["stdin"], body["code"], json.dumps(job), *plain):
            assert SECRET not in text


# --------------------------------------------------------------------------- the server's faults


def http(status: int) -> Any:
    def fault(handler: Any, run: Any) -> None:
        handler.answer(status, {"detail": "no"})

    return fault


def changed(**fields: Any) -> Any:
    def fault(handler: Any, run: Any) -> dict[str, Any]:
        return run() | fields

    return fault


def printed(change: Callable[[str], str]) -> Any:
    def fault(handler: Any, run: Any) -> dict[str, Any]:
        answer = run()
        text = change(answer["run_result"]["stdout"])
        return answer | {"run_result": answer["run_result"] | {"stdout": text}}

    return fault


def dropped(handler: Any, run: Any) -> None:
    handler.close_connection = True


def broken_json(handler: Any, run: Any) -> None:
    handler.answer(200, b'{"status": "Succ')


def half_body(handler: Any, run: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"status"')
    handler.close_connection = True


LOST = {"status": "TimeLimitExceeded", "return_code": None, "stdout": "", "stderr": ""}
FAULTS = {
    "500": http(500),
    "503": http(503),
    "429": http(429),
    "sandbox error": changed(status="SandboxError", message="no worker", run_result=None),
    "sandbox error with a result": changed(status="SandboxError", message="pod lost"),
    "no result": changed(run_result=None),
    "nothing printed": changed(run_result={"status": "Finished", "return_code": 0, "stdout": ""}),
    "stdout null": changed(run_result={"status": "Finished", "return_code": 0, "stdout": None}),
    "lost to its own limit": changed(status="Failed", run_result=LOST),
    "the driver was killed": changed(status="Failed", run_result=LOST | {"return_code": -9}),
    "cut": printed(lambda text: text[:-40]),
    "mixed": printed(lambda text: text[:120] + "xxxx" + text[124:]),
    "dropped": dropped,
    "broken json": broken_json,
    "half a body": half_body,
    "a list": lambda handler, run: handler.answer(200, [run()]),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_tried_again_and_at_last_reported_never_a_failure(
    server: SandboxServer, name: str
) -> None:
    async with RemoteVerifier(config(server), attempts=2, backoff_s=0.0) as verifier:
        server.faults = [FAULTS[name]]
        assert (await verifier.verify(ONE, ADD)).ok
        server.faults = [FAULTS[name]] * 2
        verdict = await verifier.verify(ONE, ADD)
        assert verdict.status is Status.INFRA
        assert server.url in (verdict.tests[0].exception or "")
        assert not server.faults


async def test_a_server_that_cannot_run_programs_is_refused_at_the_start(
    server: SandboxServer,
) -> None:
    for name in ("500", "sandbox error", "cut"):
        server.faults = [FAULTS[name]] * 4
        with pytest.raises(InfraError, match=server.url):
            await RemoteVerifier(config(server), backoff_s=0.0).start()
        assert not server.faults


async def test_a_refused_request_is_not_repeated(server: SandboxServer) -> None:
    async with RemoteVerifier(config(server), backoff_s=0.0) as verifier:
        server.faults = [http(403)]
        assert (await verifier.verify(ECHO, ADD)).status is Status.INFRA
    assert len(server.requests) == 1  # the one at the start: the refused one never ran


async def test_long_output_is_whole_though_the_server_cuts_what_is_printed() -> None:
    with sandbox_server(output_cut=60_000) as server:
        code = "import random\nrandom.seed(1)\nx = [random.random() for _ in range(20000)]\n"
        space: dict[str, Any] = {}
        exec(code, space)
        want = "\n".join(map(str, space["x"]))
        of = problem(StdinTest(input="", expected=want))
        assert (await judge(server, of, f"{code}print(*x, sep='\\n')")).ok
        wrong = await judge(server, of, f"{code}x[-1] = 0\nprint(*x, sep='\\n')")
        assert wrong.status is Status.WRONG_ANSWER


async def test_a_cut_that_cannot_be_made_good_is_no_wrong_answer() -> None:
    with sandbox_server() as server:
        async with RemoteVerifier(config(server), backoff_s=0.0) as verifier:
            server.faults = [changed(files={})] * 4
            code = "import random\nprint([random.random() for _ in range(20000)])"
            assert (await verifier.verify(ONE, code)).status is Status.INFRA


async def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    verifier = RemoteVerifier(VerifierConfig(backend=url), backoff_s=0.0)
    with pytest.raises(InfraError, match=url):
        await verifier.start()


async def test_a_server_that_dies_in_the_middle_is_no_failure(server: SandboxServer) -> None:
    async with RemoteVerifier(config(server), backoff_s=0.0) as verifier:
        server.http.shutdown()
        server.http.server_close()
        server.faults = [dropped]  # the connection that is still open
        assert (await verifier.verify(ECHO, "print(0)")).status is Status.INFRA


async def test_leftover_processes_of_its_group_are_killed(server: SandboxServer) -> None:
    code = "import os, time\nprint(7, flush=True)\nif os.fork() == 0: time.sleep(60)\n"
    of = problem(StdinTest(input="", expected="7"))
    assert (await judge(server, of, code)).ok  # and the server does not wait for it


async def test_requests_under_way_are_bounded(server: SandboxServer) -> None:
    async with RemoteVerifier(config(server), backoff_s=0.0) as verifier:
        verdicts = await asyncio.gather(*(verifier.verify(ECHO, ADD, id=str(k)) for k in range(6)))
    assert [v.id for v in verdicts] == [str(k) for k in range(6)]
    assert all(v.ok for v in verdicts)
    assert server.most_running <= 2


async def test_identical_programs_are_judged_once(server: SandboxServer) -> None:
    async with RemoteVerifier(config(server, cache="memory"), backoff_s=0.0) as verifier:
        verdicts = await asyncio.gather(*(verifier.verify(ECHO, ADD, id=str(k)) for k in range(3)))
        other = ECHO.model_copy(update={"id": "other"})
        again = await verifier.verify(other, ADD, id="x")
    assert [v.id for v in verdicts] == ["0", "1", "2"]
    assert (again.id, again.problem_id, again.ok) == ("x", "other", True)
    assert verifier.cache.hits == 3
    assert len(server.requests) == 3  # the one at the start, and the two tests


async def test_what_a_server_cannot_be_held_to_is_refused(server: SandboxServer) -> None:
    for changes in ({"profile": "lcb"}, {"isolation": "strict"}, {"backend": "ftp://x"}):
        with pytest.raises(ConfigError):
            RemoteVerifier(config(server, **changes))
    closed = RemoteVerifier(config(server))
    with pytest.raises(InfraError):
        await closed.verify(ECHO, ADD)


def test_the_command_judges_on_a_server(
    server: SandboxServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    problems, submissions = tmp_path / "p.jsonl", tmp_path / "s.jsonl"
    problems.write_text(ECHO.model_dump_json() + "\n")
    rows = [{"id": "a", "problem_id": "p", "code": ADD}, {"id": "b", "problem_id": "p", "code": ""}]
    submissions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv = ["verify", "--problems", str(problems), "--submissions", str(submissions), "--json"]

    def run(*more: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([*argv, *more])
        return (stop.value.code, *capfd.readouterr())

    code, out, err = run("--backend", server.url)
    assert code == 0, err
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["passed", "wrong_answer"]
    assert "from cache" in err
    assert len(server.requests) == 4  # the one at the start, two tests, and one that failed
    code, out, err = run("--backend", server.url, "--profile", "lcb")
    assert (code, out, "'lcb'" in err) == (2, "", True)
    code, out, err = run("--backend", server.url, "--isolation", "strict")
    assert (code, out, "'strict'" in err) == (2, "", True)
    code, out, err = run("--backend", "nonsense")
    assert (code, out, "'nonsense'" in err) == (2, "", True)
