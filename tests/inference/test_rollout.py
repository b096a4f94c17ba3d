"""Prompts, agents, verifier and search together, on real executed programs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from mars2.agents.base import Agent, Policy
from mars2.config import RunConfig, SearchConfig
from mars2.errors import GenerationError
from mars2.inference.rollout import Rollout
from mars2.inference.solve import solve
from mars2.search.journal import Journal
from mars2.types import (
    FunctionalTest,
    Generation,
    Message,
    Problem,
    Sampling,
    Status,
    TestSet,
    Verdict,
)
from mars2.verifier import Verifier

SECRET = 987_654_321
PROBLEM = Problem(
    id="t/double",
    statement="Return twice x, whatever x is.",
    entry_point="double",
    public_tests=[FunctionalTest(args=[3], expected=6)],
    private_tests=[FunctionalTest(args=[SECRET], expected=2 * SECRET)],
)
RIGHT = "```python\ndef double(x):\n    return 2 * x\n```"
WRONG = "```python\ndef double(x):\n    return x + 1\n```"


class Recorder(Policy):
    """Answers from a function of (prompt, seed) and keeps every prompt it was shown."""

    def __init__(self, name: str, answer) -> None:
        self.name = name
        self.answer = answer
        self.prompts: list[str] = []

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Generation:
        await asyncio.sleep(0)
        self.prompts.append("\n".join(m.content for m in messages))
        text = self.answer(self.prompts[-1], seed)
        if isinstance(text, Exception):
            raise text
        return Generation(text=text)


def team(**policies: Policy) -> dict[str, Agent]:
    return {name: Agent(name, policy) for name, policy in policies.items()}


def mends_what_it_sees(prompt: str, seed: int) -> str:
    return RIGHT if "x + 1" in prompt else WRONG


async def test_a_refinement_sees_statement_code_and_failure_and_no_private_test() -> None:
    policy = Recorder("p", mends_what_it_sees)
    search = SearchConfig(strategy="sequential", nodes=3, in_flight=1)
    async with Verifier() as verifier:
        rollout = Rollout(team(a=policy), verifier, search, seed=1, reward_tests="all")
        tree = await rollout.tree("t", PROBLEM)
    first, second = policy.prompts[:2]
    assert PROBLEM.statement in first
    assert "x + 1" not in first
    assert PROBLEM.statement in second
    assert "return x + 1" in second
    assert "6" in second  # expected
    assert "4" in second  # actual
    assert str(SECRET) not in "".join(policy.prompts)
    assert [n.reward for n in tree.nodes[:2]] == [0.0, 1.0]
    assert tree.nodes[1].parent_id == 1
    assert tree.nodes[1].action == "refine"


async def test_hidden_failures_are_not_explained() -> None:
    policy = Recorder("p", lambda prompt, seed: "```python\ndef double(x):\n    return 6\n```")
    search = SearchConfig(strategy="sequential", nodes=2, in_flight=1)
    async with Verifier() as verifier:
        await Rollout(team(a=policy), verifier, search, seed=1, reward_tests="all").tree(
            "t", PROBLEM
        )
    assert str(SECRET) not in policy.prompts[1]
    assert str(2 * SECRET) not in policy.prompts[1]


async def test_one_failed_request_ends_one_node() -> None:
    def answer(prompt: str, seed: int) -> str | Exception:
        return GenerationError("lost") if seed % 3 == 0 else RIGHT

    search = SearchConfig(strategy="repeated", nodes=12, in_flight=4)
    async with Verifier() as verifier:
        rollout = Rollout(team(a=Recorder("p", answer)), verifier, search, seed=3)
        trees = await rollout.forest([("t1", PROBLEM), ("t2", PROBLEM)])
    assert all(len(t.nodes) + len(t.failed) == 12 for t in trees)
    assert any(t.failed for t in trees)
    assert all(n.reward == 1.0 for t in trees for n in t.nodes)


class BrokenVerifier(Verifier):
    """The machinery fails on every second program."""

    calls = 0

    async def verify(
        self,
        problem: Problem,
        code: str | None,
        *,
        tests: TestSet = "all",
        early_stop: bool = True,
        id: str = "",
    ) -> Verdict:
        self.calls += 1
        if self.calls % 2:
            return Verdict(status=Status.INFRA, passed=0, total=1)
        return await super().verify(problem, code, tests=tests, early_stop=early_stop, id=id)


async def test_a_failure_of_the_machinery_is_masked_never_a_zero() -> None:
    search = SearchConfig(strategy="repeated", nodes=8, in_flight=2)
    async with BrokenVerifier() as verifier:
        rollout = Rollout(
            team(a=Recorder("p", lambda prompt, seed: RIGHT)), verifier, search, seed=0
        )
        tree = await rollout.tree("t", PROBLEM)
    assert len(tree.failed) == 4
    assert [n.reward for n in tree.nodes] == [1.0] * 4


async def test_a_seed_gives_the_same_trees_and_a_journal_gives_them_back(tmp_path: Path) -> None:
    def answer(prompt: str, seed: int) -> str:
        return RIGHT if seed % 4 == 0 else WRONG

    search = SearchConfig(nodes=10, in_flight=3)
    jobs = [("t1", PROBLEM), ("t2", PROBLEM)]

    async def grow(journal: Journal | None, policy: Recorder) -> list:
        async with Verifier() as verifier:
            agents = team(a=policy, b=policy)
            rollout = Rollout(agents, verifier, search, seed=5, journal=journal)
            trees = await rollout.forest(jobs)
        return [
            [(n.node_id, n.parent_id, n.agent, n.code, n.reward) for n in t.nodes] for t in trees
        ]

    plain = await grow(None, Recorder("p", answer))
    with Journal.open(tmp_path / "j.jsonl", {"config_hash": "x"}) as journal:
        assert await grow(journal, Recorder("p", answer)) == plain
    replayer = Recorder("p", answer)
    with Journal.open(tmp_path / "j.jsonl", {"config_hash": "x"}) as journal:
        assert await grow(journal, replayer) == plain
    assert replayer.prompts == []


async def test_without_public_tests_nothing_private_steers_the_search() -> None:
    problem = PROBLEM.model_copy(update={"public_tests": []})
    policy = Recorder("p", lambda prompt, seed: RIGHT if seed % 2 else WRONG)
    search = SearchConfig(strategy="repeated", nodes=6)
    async with Verifier() as verifier:
        tree = await Rollout(team(a=policy), verifier, search, seed=0).tree("t", problem)
    assert {n.reward for n in tree.nodes} == {0.5}


async def test_solve_judges_the_answer_on_private_tests() -> None:
    hacker = Recorder("p", lambda prompt, seed: "```python\ndef double(x):\n    return 6\n```")
    config = RunConfig(search=SearchConfig(nodes=2))
    async with Verifier() as verifier:
        solution = await solve(PROBLEM, team(a=hacker), verifier, config)
    assert solution.node is not None
    assert solution.node.reward == 1.0
    assert not solution.solved


@pytest.mark.parametrize("text", ["", "I cannot help with that.", "```python\n```"])
async def test_no_program_is_a_verdict_not_a_crash(text: str) -> None:
    policy = Recorder("p", lambda prompt, seed: text)
    async with Verifier() as verifier:
        tree = await Rollout(
            team(a=policy), verifier, SearchConfig(nodes=4, in_flight=2), seed=0
        ).tree("t", PROBLEM)
    assert {n.verdict.status for n in tree.nodes} == {Status.NO_CODE}
    assert {n.reward for n in tree.nodes} == {0.0}
