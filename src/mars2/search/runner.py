"""One tree's search: what to run next, what came out, and the record of both.

No task, no clock, no waiting here: `mars2.search.forest` runs the expansions. Knows no model and
no sandbox: an expansion and what it builds on go out, a node or a failure comes in.

Two ways to run a tree. *Ordered*: waves of `in_flight` expansions, told in the order in which
they were asked for once the whole wave has ended; the tree is the same however long each one
took. *As completed*: each is told the moment it ends and its place is asked for anew, so no
place is ever idle; the tree depends on which came first, and the journal records that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mars2 import telemetry
from mars2.errors import ResumeError, SearchError
from mars2.search.base import Strategy
from mars2.search.budget import Budget, Gate, Spent
from mars2.search.codec import expansion_from_json, node_from_json, stored_node
from mars2.search.journal import TreeJournal
from mars2.types import Expansion, Node, Status, Usage

Expand = Callable[[Expansion, Node | None, Sequence[Node]], Awaitable[Node]]
"""What turns an expansion, its parent and the nodes of its references into a node."""


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


@dataclass(slots=True, repr=False)
class TreeResult:
    """What became of one tree; all lists are in order of node id.

    `cancelled` were under way when a success ended the tree. `unfinished` were under way when
    the search was interrupted: a resumed one runs them again. `spent` may exceed a budget of
    tokens or cost by what was under way when it was reached.
    """

    tree_id: str
    nodes: list[Node] = field(default_factory=list)
    failed: list[FailedExpansion] = field(default_factory=list)
    cancelled: list[Expansion] = field(default_factory=list)
    unfinished: list[Expansion] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent, compare=False)

    @property
    def solved(self) -> bool:
        """True if a node has a reward of 1."""
        return any(node.reward >= 1 for node in self.nodes)

    def __repr__(self) -> str:
        # Short: asyncio writes down results on its own, and programs of 10,000 nodes take seconds.
        best = max((node.reward for node in self.nodes), default=None)
        counts = f"{len(self.nodes)} nodes, {len(self.failed)} failed, best reward {best}"
        return f"<TreeResult {self.tree_id!r}: {counts}>"


OnNode = Callable[[Node], None]
OnFail = Callable[[str, FailedExpansion], None]


@dataclass(frozen=True, slots=True)
class TreeJob:
    """One tree to search: its id, a fresh strategy and what expands it.

    `problem` is what telemetry calls the problem.
    """

    tree_id: str
    strategy: Strategy
    expand: Expand
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How trees are run.

    Args:
        budget: what they may spend; a number is that many nodes a tree (failed ones included).
            Searches that are given one `Budget` share its limits of the whole run.
        in_flight: expansions of one tree under way at once.
        ordered: see the module's text. Trees are then the same at any speed, unless seconds,
            a limit of the whole run, or reallocation decide.
        stop_on_success: end a tree at its first reward of 1 (ordered: after its wave). What is
            under way in it is cancelled.
        on_node, on_fail: called (with the tree id) for each outcome, replayed ones included.
    """

    budget: Budget | int
    in_flight: int = 1
    ordered: bool = False
    stop_on_success: bool = False
    on_node: OnNode | None = None
    on_fail: OnFail | None = None


class TreeRun:
    """The state of one tree.

    Every expansion asked for is open until it is settled, that is told to, failed or cancelled in
    the strategy. Within: waiting to run (`_todo`), running, or ended (ordered: until the wave
    has).
    """

    def __init__(
        self, job: TreeJob, settings: RunSettings, budget: Budget, journal: TreeJournal | None
    ) -> None:
        self.tree_id = job.tree_id
        self.strategy = job.strategy
        self.settings = settings
        self.stopped = False  # by success
        self.closed = False  # asks for nothing more, whatever the others leave
        self.waiting = False  # for what other requests leave of the budget
        self.nodes: dict[int, Node] = {}
        self.open: dict[int, Expansion] = {}
        self._budget = budget
        self._journal = journal
        self._failed: list[FailedExpansion] = []
        self._cancelled: list[Expansion] = []
        self._todo: deque[Expansion] = deque()
        self._ended: dict[int, Node | FailedExpansion] = {}
        self._wave_cut = False  # the journal ends within the asks of a wave
        self.span = telemetry.OFF  # from the first expansion of this process on
        self._about = {"tree": job.tree_id, "problem": job.problem}
        self._within = telemetry.current()  # trees begin in each other's tasks
        budget.open(job.tree_id)

    # ------------------------------------------------------------------ what to run

    def next(self) -> Expansion | None:
        """An expansion to run now: an unfinished one first, else a new one within the limits."""
        self.waiting = False
        if self.stopped:
            return None
        if self._wave_cut or not self._todo:
            self._ask()
        if self._todo and self.span is telemetry.OFF:
            self.span = telemetry.begin("tree", self._within, **self._about)
        return self._todo.popleft() if self._todo else None

    def _ask(self) -> None:
        """Ask for one expansion, or for a wave."""
        if self.settings.ordered and self.open and not self._wave_cut:
            return
        self._wave_cut = False
        while len(self.open) < self.settings.in_flight:
            gate = self._budget.gate(self.tree_id)
            if gate is not Gate.GO:
                self.waiting = gate is Gate.WAIT
                break
            expansion = self.strategy.ask()
            if expansion is None:
                break
            seconds = self._budget.seconds()
            self._opened(expansion, seconds)
            if self._journal:
                self._journal.ask(expansion, seconds)
            self._todo.append(expansion)
            if not self.settings.ordered:
                return
        if not self.open and not self.waiting and self._is_over():
            self._close()

    def _close(self) -> None:
        self.closed = True
        self._budget.close(self.tree_id)
        self.tell_over()

    def tell_over(self, outcome: str | None = None) -> None:
        """Tell telemetry that nothing more is searched here, unless it knows."""
        if outcome is None:
            solved = any(node.reward >= 1 for node in self.nodes.values())
            outcome = "solved" if solved else "unsolved"
        self.span.end(outcome=outcome, nodes=len(self.nodes), failed=len(self._failed))

    def _is_over(self) -> bool:
        """Nothing is open: is there nothing left to ask, or no time for it?"""
        if self._budget.out_of_time(self.tree_id):
            return True
        return self._budget.gate(self.tree_id) is Gate.GO  # the strategy had nothing

    def _opened(self, expansion: Expansion, seconds: float) -> None:
        self.open[expansion.node_id] = expansion
        self._budget.asked(self.tree_id, expansion.agent, seconds)

    def builds_on(self, expansion: Expansion) -> tuple[Node | None, list[Node]]:
        """The parent of an expansion and the nodes of its references."""
        parent = None if expansion.parent_id is None else self.nodes[expansion.parent_id]
        return parent, [self.nodes[i] for i in expansion.references]

    # ------------------------------------------------------------------ what came out

    def returned(self, expansion: Expansion, node: Node) -> None:
        """The expansion gave this node.

        Raises:
            SearchError: it is not what was asked for or has a reward outside [0, 1]; nothing of
                it is recorded.
        """
        self._check_place(expansion, node)
        if node.verdict.status is Status.INFRA:
            self.end(FailedExpansion(expansion, "infra", "the verifier failed", node))
        else:
            self.end(node)

    def _check_place(self, expansion: Expansion, node: Node) -> None:
        asked = (self.tree_id, *_place(expansion))
        got = (node.tree_id, *_place(node))
        if asked != got:
            raise SearchError(f"asked for {asked}, the expansion returned {got}")

    def end(self, outcome: Node | FailedExpansion) -> None:
        """An expansion has ended: check, record, then settle now or with its wave."""
        node = outcome if isinstance(outcome, Node) else outcome.node
        self._end(outcome, self._budget.seconds(), _usage(node), record=True)

    def _end(
        self,
        outcome: Node | FailedExpansion,
        seconds: float,
        usage: Usage | None,
        *,
        record: bool,
    ) -> None:
        if isinstance(outcome, Node):
            node_id = outcome.node_id
            self._check(node_id, outcome.reward)
            if record and self._journal:
                self._journal.tell(outcome, seconds)
            if record:
                self._told(outcome)
        else:
            node_id = outcome.expansion.node_id
            self._check(node_id)
            if record and self._journal:
                self._journal.fail(node_id, outcome.kind, outcome.error, outcome.node, seconds)
            if record:
                self.span.emit(
                    "expansion failed",
                    node=node_id,
                    agent=outcome.expansion.agent,
                    kind=outcome.kind,
                    error=outcome.error,
                )
        self._paid(self.open[node_id], usage, seconds)
        self._ended[node_id] = outcome
        if not self.settings.ordered or len(self._ended) == len(self.open):
            self._settle()

    def _told(self, node: Node) -> None:
        self.span.emit(
            "node",
            node=node.node_id,
            agent=node.agent,
            action=node.action,
            depth=node.depth,
            status=node.verdict.status.value,
            reward=node.reward,
        )

    def _check(self, node_id: int, reward: float | None = None) -> None:
        self.strategy.check(node_id, reward)
        if node_id in self._ended:  # its wave has not, so the strategy does not know
            raise SearchError(f"node {node_id} has already ended")

    def _paid(self, expansion: Expansion, usage: Usage | None, seconds: float) -> None:
        self._budget.ended(self.tree_id, expansion.agent, usage, seconds)

    def _settle(self) -> None:
        """Tell the strategy all outcomes that wait, in the order they were asked for."""
        settings = self.settings
        for node_id in sorted(self._ended):
            outcome = self._ended[node_id]
            del self.open[node_id]
            if isinstance(outcome, Node):
                self.strategy.tell(node_id, outcome.reward)
                self.nodes[node_id] = outcome
                if settings.stop_on_success and outcome.reward >= 1:
                    self.stopped = True
                if settings.on_node:
                    settings.on_node(outcome)
            else:
                self.strategy.fail(node_id)
                self._failed.append(outcome)
                if settings.on_fail:
                    settings.on_fail(self.tree_id, outcome)
        self._ended.clear()

    def cancel_open(self) -> None:
        """The tree has stopped: give up what is open, and what the budget still holds for it."""
        for expansion in list(self.open.values()):
            seconds = self._budget.seconds()
            if self._journal:
                self._journal.cancel(expansion.node_id, seconds)
            self._cancel(expansion, seconds)
        self._todo.clear()
        self._close()

    def _cancel(self, expansion: Expansion, seconds: float) -> None:
        self.strategy.cancel(expansion.node_id)
        del self.open[expansion.node_id]
        self._paid(expansion, None, seconds)
        self._cancelled.append(expansion)

    def change_team(self, event: Literal["join", "leave"], agent: str) -> None:
        """An agent joins or leaves the search.

        Raises:
            SearchError: it is there already, or is not, or would leave nobody.
        """
        self._change_team(event, agent)
        if self._journal:
            self._journal.team(event, agent, self._budget.seconds())

    def _change_team(self, event: str, agent: str) -> None:
        (self.strategy.join if event == "join" else self.strategy.leave)(agent)

    # ------------------------------------------------------------------ replay

    def replay(self) -> None:
        """Bring everything to where the journal ends.

        Raises:
            ResumeError: the journal does not fit this strategy.
        """
        if self._journal is None:
            return
        for where, event in self._journal.replay():
            try:
                self._replay_event(event)
            except (KeyError, TypeError, ValueError, SearchError) as error:
                raise ResumeError(f"journal {where}: does not fit this search: {error}") from error
        self._todo.extend(e for i, e in self.open.items() if i not in self._ended)
        self._wave_cut = self.settings.ordered and bool(self.open) and not self._ended
        if self.stopped:
            self.cancel_open()

    def _replay_event(self, event: dict[str, Any]) -> None:
        kind, seconds = event["event"], event["seconds"]
        self._budget.resumed(seconds)
        if kind == "ask":
            expansion = expansion_from_json(event)
            self.strategy.restore(expansion)
            self._opened(expansion, seconds)
        elif kind == "tell":
            node, usage = self._recorded(event)
            self._end(node, seconds, usage, record=False)
        elif kind == "fail":
            evidence = node_from_json(event["node"]) if event["node"] else None
            expansion = self.open[event["node_id"]]
            failed = FailedExpansion(expansion, event["kind"], event["error"], evidence)
            self._end(failed, seconds, _usage(evidence), record=False)
        elif kind == "cancel":
            self._cancel(self.open[event["node_id"]], seconds)
        else:
            self._change_team(kind, event["agent"])

    def _recorded(self, event: dict[str, Any]) -> tuple[Node, Usage | None]:
        """The node of a "tell" and what it took."""
        node_id, reward, written = event["node_id"], event["reward"], event["node"]
        if isinstance(written, bytes):
            if node_id not in self.open:
                self.strategy.check(node_id)  # says why not
            node = stored_node(self.tree_id, self.open[node_id], reward, written)
            return node, Usage(*event["usage"])
        whole = node_from_json(written)
        if (node_id, reward) != (whole.node_id, whole.reward):
            said, holds = (node_id, reward), (whole.node_id, whole.reward)
            raise SearchError(f"(node id, reward) is {said}, but {holds} in the node")
        if node_id in self.open:
            self._check_place(self.open[node_id], whole)
        return whole, _usage(whole)

    # ------------------------------------------------------------------ result

    def result(self) -> TreeResult:
        """What there is now; also in the middle of a search."""
        ended = [self._ended[i] for i in sorted(self._ended)]  # of a wave that was interrupted
        nodes = self.nodes | {o.node_id: o for o in ended if isinstance(o, Node)}
        failed = [*self._failed, *(o for o in ended if isinstance(o, FailedExpansion))]
        return TreeResult(
            self.tree_id,
            [nodes[i] for i in sorted(nodes)],
            sorted(failed, key=lambda one: one.expansion.node_id),
            sorted(self._cancelled, key=lambda one: one.node_id),
            [e for i, e in sorted(self.open.items()) if i not in self._ended],
            self._budget.spent(self.tree_id),
        )


def _usage(node: Node | None) -> Usage | None:
    return node.generation.usage if node else None


def _place(of: Expansion | Node) -> tuple[int, int | None, int, str, str]:
    return of.node_id, of.parent_id, of.depth, of.agent, of.action
