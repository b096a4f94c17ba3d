"""Runs searches: asks a strategy, awaits expansions, tells it what came out, records it all.

Knows no model and no sandbox: `expand` is a coroutine function that turns an expansion and its
parent node into a node. One failed or slow expansion concerns nothing but itself.

Two ways to run a tree. *Ordered*: waves of `in_flight` expansions, told in the order in which
they were asked for once the whole wave has ended; the tree is the same however long each one
took. *As completed*: each is told the moment it ends and its place is asked for anew, so no
place is ever idle; the tree depends on which came first, and the journal records that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from mars2.errors import (
    EndpointDownError,
    GenerationError,
    InfraError,
    ResumeError,
    SearchError,
)
from mars2.search.base import Strategy
from mars2.search.codec import expansion_from_json, node_from_json
from mars2.search.journal import TreeJournal
from mars2.types import Expansion, Node, Status

Expand = Callable[[Expansion, Node | None], Awaitable[Node]]


@dataclass(frozen=True, slots=True)
class FailedExpansion:
    """An expansion without a usable node: masked, never a reward of 0.

    `kind` is "generation" (the request failed) or "infra" (machinery failed; `node` is what
    there was when the verdict said so).
    """

    expansion: Expansion
    kind: Literal["generation", "infra"]
    error: str
    node: Node | None = None


@dataclass(slots=True)
class TreeResult:
    """What became of one tree; `nodes` and `failed` are in order of node id.

    `cancelled` were under way when a success ended the tree.
    """

    tree_id: str
    nodes: list[Node] = field(default_factory=list)
    failed: list[FailedExpansion] = field(default_factory=list)
    cancelled: list[Expansion] = field(default_factory=list)


@dataclass(slots=True)
class Contact:
    """Whether any request was answered; the trees of a forest share one."""

    made: bool = False


OnNode = Callable[[Node], None]
OnFail = Callable[[str, FailedExpansion], None]


async def run_tree(
    tree_id: str,
    strategy: Strategy,
    expand: Expand,
    *,
    budget: int,
    in_flight: int = 1,
    journal: TreeJournal | None = None,
    limiter: asyncio.Semaphore | None = None,
    ordered: bool = False,
    stop_on_success: bool = False,
    on_node: OnNode | None = None,
    on_fail: OnFail | None = None,
    contact: Contact | None = None,
) -> TreeResult:
    """Search one tree until `budget` expansions (failed ones included) have been asked for.

    Args:
        strategy: fresh; recorded events are replayed into it.
        expand: must return the node of exactly the expansion it was given.
        in_flight: expansions of this tree under way at once.
        journal: its past events come first: finished nodes are not run again, expansions that
            were under way are, under the same node id.
        limiter: held while an expansion runs; share one to bound all trees together.
        stop_on_success: end at the first reward of 1 (ordered: after its wave).
        on_node, on_fail: called (with the tree id) for each outcome, replayed ones included.

    Raises:
        EndpointDownError: every expansion of the first round failed so, in this process and
            forest. They stay unfinished in the journal, so a later resume runs them again.
        SearchError: bad arguments, or a node that is not what was asked for or has a reward
            outside [0, 1]; nothing of it is recorded.
        ResumeError: the journal does not fit this strategy.
        Exception: whatever else `expand` raised, after the other expansions were cancelled.
    """
    if budget < 1 or in_flight < 1:
        raise SearchError(f"budget and in_flight must be at least 1, got {budget} and {in_flight}")
    run = _TreeRun(
        tree_id=tree_id,
        strategy=strategy,
        expand=expand,
        budget=budget,
        in_flight=in_flight,
        journal=journal,
        limiter=limiter,
        ordered=ordered,
        stop_on_success=stop_on_success,
        on_node=on_node,
        on_fail=on_fail,
        contact=contact or Contact(),
    )
    run.replay()
    if not run.finished:
        await (run.run_waves() if ordered else run.run_as_completed())
    return run.result()


class _Solved(Exception):
    """Ends the other workers of a tree through their task group."""


@contextlib.contextmanager
def first_error() -> Iterator[None]:
    """Raise the first error of a task group itself: callers handle errors, not groups."""
    try:
        yield
    except BaseExceptionGroup as group:
        errors = list(_leaves(group))
        error = next((e for e in errors if not isinstance(e, _Solved)), errors[0])
        raise error from error.__cause__


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


@dataclass
class _TreeRun:
    """The state of one `run_tree` call.

    Every expansion asked for is `_open` until it is settled, that is told to or failed in the
    strategy. Within: `_todo` (found unfinished in the journal), running, `_ended` (ordered:
    waits for its wave), `_down` (found its endpoint down before anything else was answered).
    """

    tree_id: str
    strategy: Strategy
    expand: Expand
    budget: int
    in_flight: int
    journal: TreeJournal | None
    limiter: asyncio.Semaphore | None
    ordered: bool
    stop_on_success: bool
    on_node: OnNode | None
    on_fail: OnFail | None
    contact: Contact
    finished: bool = False  # by success
    _nodes: dict[int, Node] = field(default_factory=dict)
    _failed: list[FailedExpansion] = field(default_factory=list)
    _open: dict[int, Expansion] = field(default_factory=dict)
    _todo: deque[Expansion] = field(default_factory=deque)
    _ended: dict[int, Node | FailedExpansion] = field(default_factory=dict)
    _down: list[tuple[Expansion, EndpointDownError]] = field(default_factory=list)
    _running: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    # ------------------------------------------------------------------ outcomes

    def result(self) -> TreeResult:
        """Closes what is still open: only a success leaves such expansions."""
        cancelled = list(self._open.values())
        for expansion in cancelled:
            self.strategy.fail(expansion.node_id)
        self._open.clear()
        return TreeResult(
            self.tree_id,
            [self._nodes[i] for i in sorted(self._nodes)],
            sorted(self._failed, key=lambda failed: failed.expansion.node_id),
            cancelled,
        )

    def _end(self, outcome: Node | FailedExpansion, *, record: bool = True) -> None:
        """An expansion has ended: check, record, then settle now or with its wave."""
        if isinstance(outcome, Node):
            node_id = outcome.node_id
            self.strategy.check(node_id, outcome.reward)
            if record and self.journal:
                self.journal.tell(outcome)
        else:
            node_id = outcome.expansion.node_id
            self.strategy.check(node_id)
            if record and self.journal:
                self.journal.fail(node_id, outcome.kind, outcome.error, outcome.node)
        self._ended[node_id] = outcome
        if not self.ordered or len(self._ended) == len(self._open):
            self._settle()

    def _settle(self) -> None:
        """Tell the strategy all outcomes that wait, in the order they were asked for."""
        for node_id in sorted(self._ended):
            outcome = self._ended[node_id]
            if isinstance(outcome, Node):
                self.strategy.tell(node_id, outcome.reward)
                self._nodes[node_id] = outcome
                if self.stop_on_success and outcome.reward >= 1:
                    self.finished = True
                if self.on_node:
                    self.on_node(outcome)
            else:
                self.strategy.fail(node_id)
                self._failed.append(outcome)
                if self.on_fail:
                    self.on_fail(self.tree_id, outcome)
            del self._open[node_id]
        self._ended.clear()
        self._changed.set()

    # ------------------------------------------------------------------ replay

    def replay(self) -> None:
        """Bring strategy and result to where the journal ends."""
        if self.journal is None:
            return
        for where, event in self.journal.numbered_events():
            try:
                self._replay_event(event)
            except (KeyError, TypeError, ValueError, SearchError) as error:
                raise ResumeError(f"journal {where}: does not fit this search: {error}") from error
        self._todo.extend(e for i, e in self._open.items() if i not in self._ended)

    def _replay_event(self, event: dict[str, Any]) -> None:
        if event["event"] == "ask":
            expansion = expansion_from_json(event)
            self.strategy.restore(expansion)
            self._open[expansion.node_id] = expansion
            return
        node = node_from_json(event["node"]) if event["node"] else None
        if event["event"] == "tell":
            if node is None:
                raise SearchError("tell event without a node")
            self._end(node, record=False)
        else:
            expansion = self._open[event["node_id"]]
            failed = FailedExpansion(expansion, event["kind"], event["error"], node)
            self._end(failed, record=False)

    # ------------------------------------------------------------------ running

    def _next(self) -> Expansion | None:
        """An expansion to run now: an unfinished one first, else a new one within the limits."""
        if self._todo:
            return self._todo.popleft()
        full = len(self._open) >= self.in_flight
        if self.finished or full or self.strategy.asked >= self.budget:
            return None
        expansion = self.strategy.ask()
        if expansion is not None:
            if self.journal:
                self.journal.ask(expansion)
            self._open[expansion.node_id] = expansion
        return expansion

    async def _attempt(self, expansion: Expansion) -> None:
        """Run one expansion to its end. Nothing awaits between its result and its record."""
        parent = None if expansion.parent_id is None else self._nodes[expansion.parent_id]
        self._running += 1
        try:
            node = await self.expand(expansion, parent)
        except EndpointDownError as error:
            if not self.contact.made:
                self._down.append((expansion, error))
                return
            self._end(FailedExpansion(expansion, "generation", _describe(error)))
        except GenerationError as error:
            self._made_contact()
            self._end(FailedExpansion(expansion, "generation", _describe(error)))
        except InfraError as error:
            self._made_contact()
            self._end(FailedExpansion(expansion, "infra", _describe(error)))
        else:
            self._check_node(expansion, node)
            self._made_contact()
            if node.verdict.status is Status.INFRA:
                self._end(FailedExpansion(expansion, "infra", "the verifier failed", node))
            else:
                self._end(node)
        finally:
            self._running -= 1
            self._changed.set()

    def _check_node(self, expansion: Expansion, node: Node) -> None:
        asked = (self.tree_id, expansion)
        got = (
            node.tree_id,
            Expansion(node.node_id, node.parent_id, node.depth, node.agent, node.action),
        )
        if asked != got:
            raise SearchError(f"asked for {asked}, the expansion returned {got}")

    def _made_contact(self) -> None:
        """Something was answered: endpoints found down before are ordinary failures."""
        self.contact.made = True
        down, self._down = self._down, []
        for expansion, error in down:
            self._end(FailedExpansion(expansion, "generation", _describe(error)))

    def _give_up_if_down(self) -> None:
        """Nothing runs. If all that was tried found its endpoint down, that is the error."""
        if self._down and not self.contact.made:
            raise self._down[0][1]
        if self._down:
            self._made_contact()

    async def run_as_completed(self) -> None:
        with contextlib.suppress(_Solved), first_error():
            async with asyncio.TaskGroup() as group:
                for _ in range(max(self.in_flight, len(self._todo))):
                    group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            # The place under the common limit comes first, so that what to do with it is
            # decided on the latest statistics.
            async with self.limiter or contextlib.nullcontext():
                expansion = self._next()
                if expansion is not None:
                    await self._attempt(expansion)
                    if self.finished:
                        raise _Solved
                    continue
            if self._running == 0:
                if not self._down:
                    return
                self._give_up_if_down()
            elif self.strategy.asked >= self.budget:
                return
            else:
                self._changed.clear()
                await self._changed.wait()

    async def run_waves(self) -> None:
        while not self.finished:
            wave = []
            while (expansion := self._next()) is not None:
                wave.append(expansion)
            if not wave:
                return
            with first_error():
                async with asyncio.TaskGroup() as group:
                    for expansion in wave:
                        group.create_task(self._attempt_within_limit(expansion))
            self._give_up_if_down()

    async def _attempt_within_limit(self, expansion: Expansion) -> None:
        async with self.limiter or contextlib.nullcontext():
            await self._attempt(expansion)


def _describe(error: Exception) -> str:
    return str(error) or type(error).__name__
