"""The training loop as events: trees, servers, verifier, buffers, learners, publication.

When trees may begin is decided by the loop's own `mars2.training.pace`; the rest follows
`mars2.training.loop` and `state`: a buffer a policy, a batch when there is one, samples that are
too old dropped, trees held back while every learner is behind. What nodes say is not simulated: an
expansion refines with a given chance once anything has come back, and a tree is informative with a
given chance. Deterministic under its seed.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mars2.plan.events import BatchServer, Clock, Server, Workers
from mars2.plan.workload import Draws
from mars2.training.pace import Barrier, Counts, Free


@dataclass(slots=True)
class Policy:
    """One policy's machines.

    Attributes:
        share: chance that a node is its.
        servers: of which each request goes to the less loaded of two.
        learn: seconds of an update, by how many samples; publish: seconds of handing its result
            on, in which its servers stand still.
        read: tokens written in the time of reading one token of a prompt.
        together: servers and learner are one device and take turns.
    """

    share: float
    servers: Sequence[Server | BatchServer]
    draws: Draws
    learn: Callable[[int], float]
    publish: float = 0.0
    read: float = 0.0
    together: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """Settings of the loop, as `train`, `search` and `learner` have them.

    `samples`: how many of a step's informative trees' nodes a policy's batch is made of; None: its
    share.
    """

    mode: str
    steps: int
    trees_per_step: int
    nodes: int
    in_flight: int
    concurrency: int = 1 << 30
    refill_rounds: int = 0
    open_trees: int | None = None
    max_staleness: int = 2
    min_samples: int = 2
    samples: int | None = None
    informative: float = 1.0
    refine_share: float = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. Shares are of all devices of a kind, over the whole run."""

    seconds: float
    nodes: int
    samples: int  # learnt from
    stale: int
    serving: float  # share of time in which a server had anything under way
    occupancy: float  # answers under way on a server, mean
    learning: float
    verifying: float
    staleness: float  # versions, mean over samples learnt from
    paused: float  # share of time in which no tree began because every learner was behind


class _Learner:
    def __init__(self, policy: Policy, batch: int, full: float, capacity: float) -> None:
        self.policy = policy
        self.batch = batch
        self.full = full
        self.capacity = capacity
        self.buffer: deque[int] = deque()  # version of each sample
        self.version = 0
        self.busy = 0.0
        self.at_work = False


class _Tree:
    __slots__ = ("asked", "back", "number", "under_way", "wave", "written")

    def __init__(self, number: int) -> None:
        self.number = number
        self.asked = self.back = self.under_way = self.wave = 0
        self.written: list[tuple[int, int]] = []  # policy, version


class Simulation:
    """One run.

    Args:
        verifier: what judges programs.
    """

    def __init__(
        self, rules: Rules, policies: Sequence[Policy], verifier: Workers, clock: Clock, seed: int
    ) -> None:
        self.rules = rules
        self.clock = clock
        self.verifier = verifier
        self.rng = random.Random(seed)
        self.learners = [self._learner(p) for p in policies]
        shares = [p.share for p in policies]
        self._weights = [sum(shares[: i + 1]) / sum(shares) for i in range(len(shares))]
        trees = rules.open_trees or rules.trees_per_step
        self.pace: Barrier | Free = Barrier() if rules.mode == "sync" else Free(trees)
        self.finished: list[_Tree] = []
        self.under_way = self.begun = self.nodes = self.places = 0
        self.step = 0
        self.trees = self.informative = 0  # of this step
        self.learnt = self.stale = 0
        self.age = self.paused = 0.0
        self._paused_at: float | None = None
        self._queue: deque[_Tree] = deque()  # trees with an expansion that waits for a place

    def _learner(self, policy: Policy) -> _Learner:
        rules = self.rules
        if rules.mode == "sync":
            return _Learner(policy, rules.samples or rules.min_samples, math.inf, math.inf)
        part = round(rules.trees_per_step * rules.nodes * policy.share)
        batch = rules.samples or max(rules.min_samples, part)
        full = max(1, rules.max_staleness) * batch
        trees = rules.open_trees or rules.trees_per_step
        return _Learner(policy, batch, full, full + trees * rules.nodes)

    def run(self) -> Outcome:
        """From the first tree to the end of the last step."""
        self._start_trees()
        self.clock.run(until=lambda: self.step >= self.rules.steps)
        seconds = self.clock.now
        servers = [s for each in self.learners for s in each.policy.servers]
        whole = max(seconds, 1e-12)
        if self._paused_at is not None:
            self.paused += seconds - self._paused_at
        return Outcome(
            seconds=seconds,
            nodes=self.nodes,
            samples=self.learnt,
            stale=self.stale,
            serving=min(1.0, sum(s.busy for s in servers) / len(servers) / whole),
            occupancy=sum(s.area for s in servers) / len(servers) / whole,
            learning=sum(x.busy for x in self.learners) / len(self.learners) / whole,
            verifying=self.verifier.busy / whole,
            staleness=self.age / self.learnt if self.learnt else 0.0,
            paused=self.paused / whole,
        )

    # ------------------------------------------------------------------ trees

    def _start_trees(self) -> None:
        rules = self.rules
        behind = all(len(x.buffer) >= x.full for x in self.learners)
        self._pause(behind)
        now = Counts(
            under_way=self.under_way,
            finished=len(self.finished),
            missing=rules.trees_per_step - self.informative,
            left=rules.trees_per_step * (1 + rules.refill_rounds) - self.trees,
            later=(rules.steps - self.step - 1) * rules.trees_per_step,
            behind=behind,
        )
        for _ in range(self.pace.to_start(now)):
            self.under_way += 1
            self.begun += 1
            self._ask(_Tree(self.begun))

    def _pause(self, behind: bool) -> None:
        if behind and self._paused_at is None:
            self._paused_at = self.clock.now
        elif not behind and self._paused_at is not None:
            self.paused += self.clock.now - self._paused_at
            self._paused_at = None

    def _ask(self, tree: _Tree) -> None:
        """Fill the tree's places; behind a barrier, one wave after another."""
        rules = self.rules
        if self.pace.waits and tree.under_way:
            return
        while tree.asked < rules.nodes and tree.under_way < rules.in_flight:
            if self.places >= rules.concurrency:
                self._queue.append(tree)
                return
            self._expand(tree)

    def _expand(self, tree: _Tree) -> None:
        self.places += 1
        tree.asked += 1
        tree.under_way += 1
        draw = self.rng.random
        value = draw()
        which = next((i for i, w in enumerate(self._weights) if value <= w), 0)
        learner = self.learners[which]
        policy = learner.policy
        answer = policy.draws.answer(bool(tree.back) and draw() < self.rules.refine_share)
        version = learner.version
        servers = policy.servers
        server = servers[int(draw() * len(servers))]
        if len(servers) > 1:
            other = servers[int(draw() * len(servers))]
            server = other if other.load < server.load else server
        server.submit(
            answer.output + policy.read * answer.prompt,
            lambda: self.verifier.submit(answer.verify, lambda: self._told(tree, which, version)),
        )

    def _told(self, tree: _Tree, which: int, version: int) -> None:
        self.nodes += 1
        self.places -= 1
        tree.under_way -= 1
        tree.back += 1
        tree.written.append((which, version))
        if tree.back == self.rules.nodes:
            self.under_way -= 1
            self.finished.append(tree)
            self._credit()
        else:
            self._ask(tree)
        while self._queue and self.places < self.rules.concurrency:
            self._ask(self._queue.popleft())

    # ------------------------------------------------------------------ learning

    def _credit(self) -> None:
        ready = self.pace.release(self.finished, self.under_way)
        while ready:
            for tree in ready:
                self.finished.remove(tree)
                self.trees += 1
                if self.rng.random() < self.rules.informative:
                    self.informative += 1
                    for which, version in tree.written:
                        self.learners[which].buffer.append(version)
            if self.pace.waits:
                self._close_round()
                return
            for learner in self.learners:
                while len(learner.buffer) > learner.capacity:
                    learner.buffer.popleft()
                self._learn(learner)
            self._close_step()
            self._start_trees()
            ready = self.pace.release(self.finished, self.under_way)
        self._start_trees()

    def _full(self) -> bool:
        rules = self.rules
        most = rules.trees_per_step * (1 + rules.refill_rounds)
        return self.informative >= rules.trees_per_step or self.trees >= most

    def _close_step(self) -> None:
        if self._full():
            self.step += 1
            self.trees = self.informative = 0

    def _close_round(self) -> None:
        """Behind the barrier: another round of trees, or everybody's turn."""
        if not self._full():
            self._start_trees()
            return
        for learner in self.learners:
            self._learn(learner)
        if not any(x.at_work for x in self.learners):
            self._after_turns()

    def _after_turns(self) -> None:
        self._close_step()
        self._start_trees()

    def _learn(self, learner: _Learner) -> None:
        """Take a turn if there is a batch and none is under way."""
        if learner.at_work or len(learner.buffer) < learner.batch:
            return
        oldest = learner.version - self.rules.max_staleness
        kept = deque(v for v in learner.buffer if v >= oldest)
        self.stale += len(learner.buffer) - len(kept)
        learner.buffer = kept
        if len(kept) < learner.batch:
            return
        free = isinstance(self.pace, Free) or self.rules.samples is not None
        count = learner.batch if free else len(kept)
        self.age += sum(learner.version - kept.popleft() for _ in range(count))
        self.learnt += count
        learner.at_work = True
        policy, started = learner.policy, self.clock.now
        if policy.together:
            for server in policy.servers:
                server.stop()
        self.clock.at(started + policy.learn(count), lambda: self._publish(learner, started))

    def _publish(self, learner: _Learner, started: float) -> None:
        policy = learner.policy
        if not policy.together:
            for server in policy.servers:
                server.stop()
        self.clock.at(self.clock.now + policy.publish, lambda: self._published(learner, started))

    def _published(self, learner: _Learner, started: float) -> None:
        for server in learner.policy.servers:
            server.go()
        learner.version += 1
        learner.busy += self.clock.now - started
        learner.at_work = False
        if self.pace.waits:
            if self.rules.samples is not None:
                self._learn(learner)  # every batch that waits
            if not any(x.at_work for x in self.learners):
                self._after_turns()
        else:
            self._learn(learner)
            self._start_trees()
