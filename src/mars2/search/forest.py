"""Runs the searches of many trees at once, in tasks, under one limit on expansions under way.

One failed or slow expansion concerns nothing but itself. There are no workers: an expansion that
ends tells its tree, gives its place back, and whoever's turn it is begins the next one in the
same turn of the event loop.

    forest = Forest(jobs, RunSettings(budget=64, in_flight=8), journal=journal)
    try:
        results = await forest.run()
    except asyncio.CancelledError:  # Ctrl-C
        results = forest.results()  # the best so far; the journal goes on from here
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence

from mars2 import telemetry
from mars2.errors import EndpointDownError, GenerationError, InfraError, SearchError
from mars2.search.budget import Budget, Limits
from mars2.search.journal import Journal, TreeJournal
from mars2.search.limiter import Limiter, Taker
from mars2.search.runner import (
    FailedExpansion,
    RunSettings,
    TreeJob,
    TreeResult,
    TreeRun,
)
from mars2.types import Expansion, Node


class Forest:
    """A search of many trees.

    Args:
        jobs: each with its own tree id.
        journal: past events come first: finished nodes are not run again, expansions that were
            under way are, under the same node id.
        limiter: share one to bound several searches together; by default nothing bounds the
            trees together.

    Raises:
        SearchError: two jobs with one tree id, or bad settings.
    """

    def __init__(
        self,
        jobs: Sequence[TreeJob],
        settings: RunSettings,
        *,
        journal: Journal | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        if settings.in_flight < 1:
            raise SearchError(f"in_flight must be at least 1, got {settings.in_flight}")
        budget = settings.budget
        self.budget = Budget(Limits(nodes=budget)) if isinstance(budget, int) else budget
        self._in_flight = settings.in_flight
        self._limiter = limiter or Limiter(max(1, settings.in_flight * len(jobs)))
        self._trees: dict[str, _Tree] = {}
        for job in jobs:
            if job.tree_id in self._trees:
                raise SearchError(f"tree id {job.tree_id!r} is used by more than one tree")
            part = journal.tree(job.tree_id) if journal else None
            self._trees[job.tree_id] = _Tree(self, job, settings, part)
        self._tasks: dict[asyncio.Task[None], None] = {}  # in the order in which they began
        self._contact = False  # whether any request was answered
        self._down: list[tuple[_Tree, Expansion, EndpointDownError]] = []
        self._over = asyncio.Event()
        self._error: Exception | None = None
        self._started = self._running = False

    # ------------------------------------------------------------------ for callers

    async def run(self) -> list[TreeResult]:
        """Search until every tree has ended; results in the order of the jobs. Once only.

        Cancelling it ends cleanly: nothing is left running, the journal holds every finished
        node, and `results` has them.

        Raises:
            EndpointDownError: every expansion of the first round failed so, in this process.
                They stay unfinished in the journal, so a later resume runs them again.
            SearchError: an expansion returned what was not asked for, or a reward outside [0, 1];
                or this has been called before.
            ResumeError: the journal does not fit.
            Exception: whatever else an expansion raised, after the others were cancelled.
        """
        if self._started:
            raise SearchError("a forest is searched once; its journal takes another one further")
        self._started = True
        self._replay()
        self._running = True
        try:
            self._limiter.want(*self._trees.values())
            self._check_soon()
            await self._over.wait()
        finally:
            self._running = False
            for tree in self._trees.values():
                self._limiter.leave(tree)
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
            for tree in self._trees.values():
                tree.run.tell_over("interrupted")  # unless it was over
        if self._error is not None:
            raise self._error
        return self.results()

    def _replay(self) -> None:
        """All trees before any begins: they share the budget."""
        self.budget.start()
        # Nothing here is garbage: looking for it takes as long as all the rest.
        collects = gc.isenabled()
        gc.disable()
        try:
            for tree in self._trees.values():
                tree.run.replay()
        finally:
            if collects:
                gc.enable()

    def results(self) -> list[TreeResult]:
        """What there is now, in the order of the jobs; at any time."""
        return [tree.run.result() for tree in self._trees.values()]

    def join(self, agent: str) -> None:
        """An agent joins the team of every tree that goes on; `expand` must know it.

        Raises:
            SearchError: the search is not running, or has such an agent.
        """
        self._change_team("join", agent)

    def leave(self, agent: str) -> None:
        """An agent leaves: it is asked for nothing more, what it has under way counts.

        Raises:
            SearchError: the search is not running, has no such agent, or no other one.
        """
        self._change_team("leave", agent)

    def _change_team(self, event: str, agent: str) -> None:
        if not self._running:
            raise SearchError(f"agent {agent!r} cannot {event}: the search is not running")
        going = [tree for tree in self._trees.values() if not tree.run.stopped]
        for tree in going:
            tree.run.change_team("join" if event == "join" else "leave", agent)
        self._limiter.want(*going)

    # ------------------------------------------------------------------ for trees

    def _begin(self, tree: _Tree) -> bool:
        """Start an expansion of this tree, if there is one to run."""
        if not self._running or self._error is not None:
            return False
        run, was_closed = tree.run, tree.run.closed
        try:
            expansion = run.next() if len(tree.tasks) < self._in_flight else None
        except Exception as error:  # this tree's, not of whoever gave the place back
            self._fail(error)
            return False
        if expansion is not None:
            task = asyncio.create_task(self._attempt(tree, expansion))
            tree.tasks[expansion.node_id] = task
            self._tasks[task] = None
            task.add_done_callback(lambda done: self._done(tree, expansion, done))
            return True
        if run.waiting:
            self.budget.wait(lambda: self._limiter.want(tree))
        if run.closed and not was_closed:
            self.budget.changed()  # it leaves something
        if not (tree.tasks or run.open or run.waiting):
            run.tell_over()
        self._check_soon()
        return False

    async def _attempt(self, tree: _Tree, expansion: Expansion) -> None:
        """Run one expansion to its end. Nothing awaits between its result and its record."""
        try:
            outcome = await self._expand(tree, expansion)
            # Not open: cancelled, and it did not care. Not running: a client that fails because
            # it was cancelled has not failed; what came out nevertheless is kept.
            if expansion.node_id in tree.run.open and (self._running or isinstance(outcome, Node)):
                self._ended(tree, expansion, outcome)
        except Exception as error:
            self._fail(error)
        finally:
            self._release(tree, expansion)

    def _done(self, tree: _Tree, expansion: Expansion, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._release(tree, expansion)  # a task that is cancelled before its first step

    def _release(self, tree: _Tree, expansion: Expansion) -> None:
        """Hand the place of an expansion that has ended on to whoever's turn it is. Once."""
        if tree.tasks.pop(expansion.node_id, None) is not None:
            self._limiter.give_back(tree)
            self._limiter.want(tree)
            self.budget.changed()
            self._check_soon()

    async def _expand(
        self, tree: _Tree, expansion: Expansion
    ) -> Node | FailedExpansion | EndpointDownError:
        parent, references = tree.run.builds_on(expansion)
        try:
            with telemetry.span(
                "expansion", tree.run.span, node=expansion.node_id, agent=expansion.agent
            ):
                return await tree.expand(expansion, parent, references)
        except EndpointDownError as error:
            return error
        except GenerationError as error:
            return FailedExpansion(expansion, "generation", _describe(error))
        except InfraError as error:
            return FailedExpansion(expansion, "infra", _describe(error))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody here cancelled it: some client did, and that ends one node.
            return FailedExpansion(expansion, "generation", "the request was cancelled")

    def _ended(
        self, tree: _Tree, expansion: Expansion, outcome: Node | FailedExpansion | EndpointDownError
    ) -> None:
        if isinstance(outcome, EndpointDownError):
            if not self._contact:
                self._down.append((tree, expansion, outcome))
                return
            outcome = FailedExpansion(expansion, "generation", _describe(outcome))
        if isinstance(outcome, FailedExpansion):
            tree.run.end(outcome)
        else:
            tree.run.returned(expansion, outcome)
        self._made_contact()
        self._stop_if_solved(tree)

    def _made_contact(self) -> None:
        """Something was answered: endpoints found down before are ordinary failures."""
        self._contact = True
        down, self._down = self._down, []
        for tree, expansion, error in down:
            if expansion.node_id in tree.run.open:
                tree.run.end(FailedExpansion(expansion, "generation", _describe(error)))
                self._stop_if_solved(tree)
                self._limiter.want(tree)

    def _stop_if_solved(self, tree: _Tree) -> None:
        if tree.run.stopped and not tree.run.closed:
            self._limiter.leave(tree)
            tree.run.cancel_open()
            for task in tree.tasks.values():
                if task is not asyncio.current_task():
                    task.cancel()

    def _fail(self, error: Exception) -> None:
        """The whole search ends with this error."""
        if self._error is None:
            self._error = error
        self._over.set()

    def _check_soon(self) -> None:
        """See whether all is over, once all that follows from the present event has."""
        asyncio.get_running_loop().call_soon(self._end_if_over)

    def _end_if_over(self) -> None:
        trees = self._trees.values()
        if not self._running or any(t.tasks or self._limiter.wanted_by(t) for t in trees):
            return
        if self._down:  # all that was tried found its endpoint down
            self._fail(self._down[0][2])
        elif self.budget.idle or not any(tree.run.waiting for tree in trees):
            self._over.set()


class _Tree(Taker):
    """A tree in a forest and its running tasks, by node id."""

    def __init__(
        self, forest: Forest, job: TreeJob, settings: RunSettings, journal: TreeJournal | None
    ) -> None:
        self.run = TreeRun(job, settings, forest.budget, journal)
        self.expand = job.expand
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self._forest = forest

    def begin(self) -> bool:
        return self._forest._begin(self)


async def run_forest(
    jobs: Sequence[TreeJob],
    settings: RunSettings,
    *,
    journal: Journal | None = None,
    limiter: Limiter | None = None,
) -> list[TreeResult]:
    """Search all trees; results in the order of `jobs`. Arguments and errors as of `Forest`."""
    return await Forest(jobs, settings, journal=journal, limiter=limiter).run()


async def run_tree(
    job: TreeJob,
    settings: RunSettings,
    *,
    journal: Journal | None = None,
    limiter: Limiter | None = None,
) -> TreeResult:
    """Search one tree. Arguments and errors as of `Forest`."""
    return (await run_forest([job], settings, journal=journal, limiter=limiter))[0]


def _describe(error: Exception) -> str:
    return str(error) or type(error).__name__
