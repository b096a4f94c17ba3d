"""Many trees at once under one concurrency limit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from mars2.errors import SearchError
from mars2.search.base import Strategy
from mars2.search.journal import Journal
from mars2.search.runner import (
    Contact,
    Expand,
    OnFail,
    OnNode,
    TreeResult,
    first_error,
    run_tree,
)


@dataclass(frozen=True, slots=True)
class TreeJob:
    """One tree of a forest: its id, a fresh strategy and what expands it."""

    tree_id: str
    strategy: Strategy
    expand: Expand


async def run_forest(
    jobs: Sequence[TreeJob],
    *,
    budget: int,
    in_flight: int = 1,
    journal: Journal | None = None,
    limiter: asyncio.Semaphore | None = None,
    ordered: bool = False,
    stop_on_success: bool = False,
    on_node: OnNode | None = None,
    on_fail: OnFail | None = None,
) -> list[TreeResult]:
    """Search all trees concurrently; results in the order of `jobs`.

    `budget` and `in_flight` are per tree, `limiter` bounds all together; the other arguments
    are those of `run_tree`. An error that ends one tree cancels the others.

    Raises:
        SearchError: two jobs with one tree id.
        Exception: as `run_tree`.
    """
    seen: set[str] = set()
    for job in jobs:
        if job.tree_id in seen:
            raise SearchError(f"tree id {job.tree_id!r} is used by more than one tree")
        seen.add(job.tree_id)
    contact = Contact()
    with first_error():
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    run_tree(
                        job.tree_id,
                        job.strategy,
                        job.expand,
                        budget=budget,
                        in_flight=in_flight,
                        journal=journal.tree(job.tree_id) if journal else None,
                        limiter=limiter,
                        ordered=ordered,
                        stop_on_success=stop_on_success,
                        on_node=on_node,
                        on_fail=on_fail,
                        contact=contact,
                    )
                )
                for job in jobs
            ]
    return [task.result() for task in tasks]
