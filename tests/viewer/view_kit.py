"""Run directories for the viewer's tests, grown by the search itself on made-up programs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mars2.config import AgentConfig, RunConfig, SearchConfig
from mars2.search import make_strategy
from mars2.search.journal import Journal
from mars2.types import (
    Expansion,
    Generation,
    Message,
    Node,
    Status,
    TestVerdict,
    Usage,
    Verdict,
)

AGENTS = ("ann", "bob", "cyd")
STATEMENT = "Read n numbers and print the largest sum of neighbours.\n\nThere are at most 10."
HOSTILE = (
    "</script><script>document.title = 'broken'</script><!--<script>"
    "<img src=x onerror=\"document.title='broken'\">&amp;\u2028\u2029\x00\x1b[31m"
    "\u202eesrever\u202c\u2066\ud800 שלום"
)

MakeNode = Callable[[Expansion, random.Random], Node]


def settings(**search: Any) -> RunConfig:
    """Of a run of three agents."""
    agents = [AgentConfig(name=name, spec="scripted:echo") for name in AGENTS]
    return RunConfig(agents=agents, search=SearchConfig(**search))


def grow(
    path: Path,
    nodes: int,
    config: RunConfig,
    *,
    tree: str = "eval/team/P1",
    make: MakeNode | None = None,
    fail: Callable[[int], bool] = lambda node_id: False,
    watch: Callable[[int, Any], None] | None = None,
) -> None:
    """A tree of a run directory. `watch(time, strategy)` is called before each ask and at the end.

    Outcomes are told one after the other, in the order asked for, `in_flight` at a time.
    """
    write_settings(path, config)
    rng = random.Random(1)
    strategy = make_strategy(config.search, AGENTS, seed=3)
    time = 0
    with Journal.open(path / "journal.jsonl", {"config_hash": config.digest()}) as journal:
        record = journal.tree(tree)
        while strategy.asked < nodes:
            wave = []
            while len(wave) < config.search.in_flight and strategy.asked < nodes:
                if watch:
                    watch(time, strategy)
                expansion = strategy.ask()
                if expansion is None:
                    break
                record.ask(expansion, time / 10)
                time += 1
                wave.append(expansion)
            for expansion in wave:
                time += 1
                if fail(expansion.node_id):
                    strategy.fail(expansion.node_id)
                    record.fail(expansion.node_id, "generation", "no answer", seconds=time / 10)
                    continue
                node = (make or made_up)(expansion, rng)
                node = node if node.tree_id == tree else _of(node, tree)
                strategy.tell(expansion.node_id, node.reward)
                record.tell(node, time / 10)
    if watch:
        watch(time, strategy)


def _of(node: Node, tree: str) -> Node:
    from dataclasses import replace

    return replace(node, tree_id=tree)


def write_settings(path: Path, config: RunConfig, kind: str = "eval") -> None:
    """config.json and manifest.json."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(config.model_dump_json())
    (path / "manifest.json").write_text(json.dumps({"kind": kind, "status": "finished"}))


def write_results(path: Path, trees: dict[str, Any]) -> None:
    """results.json as `mars2 eval` writes the part that the viewer reads."""
    (path / "results.json").write_text(json.dumps({"outcomes": {"trees": trees}}))


def made_up(expansion: Expansion, rng: random.Random) -> Node:
    """A node with a program, evidence, tokens and times; deeper ones are better."""
    total = 5
    passed = min(total, int(rng.random() * (2 + expansion.depth)))
    reward = passed / total
    code = program(expansion.node_id, passed)
    logprobs = tuple(-rng.random() for _ in range(30))
    prompt = (Message("system", "You fix programs."), Message("user", f"{STATEMENT}\n\n{code}"))
    return node_of(expansion, code, reward, passed, total, prompt, logprobs)


def program(number: int, passed: int) -> str:
    """Some Python that differs between nodes."""
    extra = "".join(f"    best = max(best, a[{i}] + a[{i + 1}])\n" for i in range(passed))
    return (
        "def solve(a: list[int]) -> int:\n"
        f"    # attempt {number}\n"
        f'    best = float("-inf")  # {number * 7919 % 101}\n{extra}'
        "    for x, y in zip(a, a[1:]):\n"
        "        best = max(best, x + y)\n"
        "    return best\n\n\nprint(solve([int(x) for x in input().split()]))\n"
    )


def node_of(
    expansion: Expansion,
    code: str | None,
    reward: float,
    passed: int,
    total: int,
    prompt: tuple[Message, ...],
    logprobs: tuple[float, ...] | None = None,
    failing: TestVerdict | None = None,
) -> Node:
    """A node of that expansion."""
    ok = passed == total
    failing = failing or TestVerdict(
        status=Status.WRONG_ANSWER, input="3 1 2", expected="4", actual="3", seconds=0.01
    )
    tests = [TestVerdict(status=Status.PASSED, input="1 2", expected="3", actual="3")] * passed
    status = Status.PASSED if ok else failing.status
    return Node(
        tree_id="",
        node_id=expansion.node_id,
        parent_id=expansion.parent_id,
        depth=expansion.depth,
        agent=expansion.agent,
        action=expansion.action,
        prompt=prompt,
        generation=Generation(
            text=f"Here it is:\n```python\n{code}```",
            logprobs=logprobs,
            token_ids=None if logprobs is None else tuple(range(len(logprobs))),
            usage=Usage(120, 30),
            seconds=1.25,
        ),
        code=code,
        verdict=Verdict(
            status=status,
            passed=passed,
            total=total,
            tests=tests if ok else [*tests, failing],
            seconds=0.02,
        ),
        reward=reward,
    )
