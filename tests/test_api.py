"""`mars2.solve` as a user calls it, with real programs in the real verifier."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mars2
from mars2.agents.base import Agent
from mars2.agents.scripted import load_scripted
from mars2.config import VerifierConfig
from mars2.errors import ConfigError, ResumeError, UsageError
from mars2.search.journal import read_journal
from mars2.types import FunctionalTest, Node, Problem, Verdict
from mars2.verifier import Verifier

PROBLEM = Problem(
    id="t/double",
    statement="Return twice x.",
    entry_point="double",
    public_tests=[FunctionalTest(args=[3], expected=6)],
    private_tests=[FunctionalTest(args=[10], expected=20)],
)
WRITER = """
def answer(messages, seed):
    again = "previous program" in messages[-1].content
    body = "2 * x" if again else "x + 1"
    return f"```python\\ndef double(x):\\n    return {body}\\n```"
"""
NEVER = "def answer(messages, seed):\n    return '```python\\ndef double(x): return 0\\n```'\n"


@pytest.fixture
def writer(tmp_path: Path) -> str:
    """An agent that is right at the second attempt."""
    path = tmp_path / "writer.py"
    path.write_text(WRITER)
    return f"a=scripted:{path}"


@pytest.fixture
def never(tmp_path: Path) -> str:
    path = tmp_path / "never.py"
    path.write_text(NEVER)
    return f"b=scripted:{path}"


def test_a_problem_a_team_a_budget(writer: str) -> None:
    seen: list[int] = []
    result = mars2.solve_sync(
        PROBLEM, [writer], budget=32, seed=1, on_node=lambda node: seen.append(node.node_id)
    )
    assert result.solved
    assert result.code is not None
    assert "2 * x" in result.code
    assert isinstance(result, mars2.Solution)
    assert str(result).startswith("t/double: solved by a in node ")
    assert "2 * x" in result._repr_html_()
    assert len(seen) == len(result.tree.nodes) <= 32


async def test_in_an_event_loop_with_what_is_open_already(writer: str, tmp_path: Path) -> None:
    agents = {"w": Agent("w", load_scripted("p", writer.partition(":")[2]))}
    journal = tmp_path / "j.jsonl"
    async with Verifier(VerifierConfig(workers=1)) as verifier:
        result = await mars2.solve(PROBLEM, agents, verifier=verifier, journal=journal)
        assert result.solved
        count = sum(1 for _ in read_journal(journal))
        again = await mars2.solve(PROBLEM, agents, verifier=verifier, journal=journal)
        assert again.solved
        assert [n.code for n in again.tree.nodes] == [n.code for n in result.tree.nodes]
        assert sum(1 for _ in read_journal(journal)) == count
        assert verifier.worker_pids()
        with pytest.raises(ResumeError, match="other settings"):
            await mars2.solve(PROBLEM, agents, verifier=verifier, journal=journal, budget=3)
        with pytest.raises(UsageError, match="await mars2"):
            mars2.solve_sync(PROBLEM, agents)


HALTING = """
import asyncio
count = 0
async def answer(messages, seed):
    global count
    count += 1
    if count > 3:
        print("halted", flush=True)
        await asyncio.sleep(600)
    return f"```python\\ndef double(x):\\n    return {6 if count == HIT else 0}\\n```"
"""
ONE_BY_ONE = {"search": {"in_flight": 1, "strategy": "repeated", "stop_on_success": False}}


@pytest.fixture
def halting(tmp_path: Path) -> str:
    """An agent that passes the public test at the second attempt and hangs at the fourth."""
    path = tmp_path / "halting.py"
    path.write_text(HALTING.replace("HIT", "2"))
    return f"h=scripted:{path}"


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_cancelled_it_hands_over_the_best_so_far(halting: str, how: str) -> None:
    found: list[mars2.Solution] = []
    third = asyncio.Event()

    def on_node(node: Node) -> None:
        if node.node_id == 3:
            third.set()

    options: dict[str, Any] = {"on_node": on_node, "on_result": found.append, "config": ONE_BY_ONE}

    async def cancelled() -> None:
        task = asyncio.create_task(mars2.solve(PROBLEM, halting, **options))
        await third.wait()
        task.cancel()
        await task

    async def timed_out() -> None:
        async with asyncio.timeout(None) as limit:
            seen = asyncio.create_task(third.wait())
            seen.add_done_callback(lambda _: limit.reschedule(0))
            await mars2.solve(PROBLEM, halting, **options)

    end, raised = {
        "cancel": (cancelled, asyncio.CancelledError),
        "timeout": (timed_out, TimeoutError),
    }[how]
    with pytest.raises(raised):
        await end()
    (best,) = found
    assert best.interrupted
    assert not best.solved
    assert best.node is not None
    assert best.node.node_id == 2
    assert best.code is not None
    assert [node.node_id for node in best.tree.nodes] == [1, 2, 3]
    assert str(best).startswith("t/double: interrupted, 1/1 public tests passed by h in node 2")


async def test_cancelled_while_judging_it_hands_over_the_answer(writer: str) -> None:
    found: list[mars2.Solution] = []
    async with Verifier(VerifierConfig(workers=1)) as verifier:

        class Slow:
            async def verify(self, problem: Problem, code: str | None, **options: Any) -> Verdict:
                if "tests" not in options:  # the final judgement
                    task.cancel()
                return await verifier.verify(problem, code, **options)

        task = asyncio.create_task(
            mars2.solve(PROBLEM, writer, verifier=Slow(), seed=1, on_result=found.append)  # type: ignore[arg-type]
        )
        with pytest.raises(asyncio.CancelledError):
            await task
    assert found[0].interrupted
    assert "2 * x" in (found[0].code or "")


@pytest.mark.parametrize(("hit", "node"), [(2, 2), (9, 1)])
def test_ctrl_c_returns_the_best_so_far(tmp_path: Path, hit: int, node: int) -> None:
    agent, program = tmp_path / "halting.py", tmp_path / "program.py"
    agent.write_text(HALTING.replace("HIT", str(hit)))
    program.write_text(
        "import mars2\n"
        "from mars2.types import Problem\n"
        f"problem = Problem.model_validate_json({PROBLEM.model_dump_json()!r})\n"
        "given = []\n"
        f"found = mars2.solve_sync(problem, 'h=scripted:{agent}', config={ONE_BY_ONE!r},\n"
        "                         on_result=given.append)\n"
        "assert given == [found]\n"
        "print(found.interrupted, found.node.node_id, len(found.tree.nodes))\n"
    )
    with subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "halted\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, f"True {node} 3\n"), err


def test_ctrl_c_before_anything_began_is_raised(never: str, monkeypatch: Any) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("mars2.api.make_verifier", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mars2.solve_sync(PROBLEM, never)


async def test_on_result_has_what_is_returned(writer: str) -> None:
    found: list[mars2.Solution] = []
    result = await mars2.solve(PROBLEM, writer, on_result=found.append)
    assert found == [result]
    assert not result.interrupted


@pytest.mark.parametrize(("budget", "nodes"), [(5, 5), ({"nodes": 3, "seconds": 600}, 3)])
def test_budgets_end_a_search(never: str, budget: Any, nodes: int) -> None:
    result = mars2.solve_sync(PROBLEM, never, budget=budget, config={"search": {"in_flight": 1}})
    assert not result.solved
    assert "not solved: wrong_answer" in str(result)
    assert len(result.tree.nodes) == nodes


def test_presets_and_settings_are_merged_in_order(never: str) -> None:
    result = mars2.solve_sync(
        PROBLEM, [never], preset="mars2", budget=2, config={"search": {"error_feedback": True}}
    )
    refined = [n for n in result.tree.nodes if n.action == "refine"]
    assert all("What went wrong" in n.prompt[-1].content for n in refined)
    with pytest.raises(ConfigError, match=r"unknown preset 'x'; there are .* mars2\+, mars2-t"):
        mars2.solve_sync(PROBLEM, [never], preset="x")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": {"hours": 1}}, "unknown 'hours'"),
        ({"problem": "no-such"}, "no builtin problem is called 'no-such'"),
        ({"team": []}, "at least one agent"),
        ({"budget": 0}, "nodes"),
        ({"config": {"serch": {}}}, "serch"),
    ],
)
def test_bad_arguments_are_named(never: str, options: dict[str, Any], said: str) -> None:
    arguments = {"problem": PROBLEM, "team": [never], **options}
    with pytest.raises((UsageError, ConfigError), match=said):
        mars2.solve_sync(**arguments)


def test_the_package_imports_nothing_before_it_is_needed() -> None:
    code = "import sys, mars2, json; print(json.dumps([m for m in sys.modules if 'mars2' in m]))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout) == ["mars2"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mars2.nothing
