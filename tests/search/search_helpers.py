"""Small deterministic stand-ins for agents and verifier, shared by the search tests."""

from __future__ import annotations

import asyncio

from mars2.config import SearchConfig
from mars2.search import (
    RunSettings,
    TreeJob,
    TreeResult,
    derive,
    make_strategy,
    run_forest,
    run_tree,
)
from mars2.types import Expansion, Generation, Message, Node, Status, Usage, Verdict


def reward_of(tree_id: str, node_id: int, levels: int = 8) -> float:
    """A fixed reward in {0, 1/levels, …, 1}, exact in binary for levels a power of two."""
    return (derive("reward", tree_id, node_id) % (levels + 1)) / levels


def make_node(
    tree_id: str, e: Expansion, reward: float, status: Status = Status.WRONG_ANSWER
) -> Node:
    return Node(
        tree_id=tree_id,
        node_id=e.node_id,
        parent_id=e.parent_id,
        depth=e.depth,
        agent=e.agent,
        action=e.action,
        prompt=(Message("user", f"solve {tree_id}"),),
        generation=Generation(
            text=f"attempt {e.node_id}",
            prompt_ids=(1, 2),
            token_ids=(3, e.node_id),
            logprobs=(-0.1, -1.0 / 3),
            usage=Usage(2, 2),
        ),
        code=f"print({e.node_id})",
        verdict=Verdict(status=status, passed=0, total=1),
        reward=reward,
    )


class FakeExpand:
    """Gives each node its fixed reward after `steps(expansion)` turns of the event loop."""

    def __init__(self, tree_id: str, steps=lambda e: 1, outcome=None) -> None:
        self.tree_id = tree_id
        self.steps = steps
        self.outcome = outcome  # expansion -> exception to raise, Node, or None
        self.started: list[int] = []
        self.parents: dict[int, Node | None] = {}
        self.references: dict[int, tuple[int, ...]] = {}
        self.running = 0
        self.peak = 0

    async def __call__(self, e: Expansion, parent: Node | None, references) -> Node:
        self.started.append(e.node_id)
        self.parents[e.node_id] = parent
        self.references[e.node_id] = tuple(node.node_id for node in references)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            for _ in range(self.steps(e)):
                await asyncio.sleep(0)
        finally:
            self.running -= 1
        special = self.outcome(e) if self.outcome else None
        if isinstance(special, BaseException):
            raise special
        return special or make_node(self.tree_id, e, reward_of(self.tree_id, e.node_id))


async def grow(
    tree_id, strategy, expand, *, journal=None, limiter=None, budget, **settings
) -> TreeResult:
    """`run_tree` with the settings spelled out."""
    job, settings = TreeJob(tree_id, strategy, expand), RunSettings(budget, **settings)
    return await run_tree(job, settings, journal=journal, limiter=limiter)


async def grow_forest(jobs, *, journal=None, limiter=None, budget, **settings) -> list[TreeResult]:
    """`run_forest` with the settings spelled out."""
    settings = RunSettings(budget, **settings)
    return await run_forest(jobs, settings, journal=journal, limiter=limiter)


AGENTS = ["ann", "bob", "cyd"]


def strategy(name="ab-mcts", seed=0):
    return make_strategy(SearchConfig(strategy=name), AGENTS, seed)


def uneven(e):
    """Turns of the event loop that an expansion takes: 0 to 12."""
    return derive("steps", e.node_id) % 13


def slower(e):
    return derive("other", e.node_id) % 29
