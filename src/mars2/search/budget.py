"""What a search may spend: nodes, tokens, seconds and money, of one problem and of the run.

Pure book-keeping: it is told what was asked and what came back, and says whether one more
request may begin. It never interrupts anything: a spent budget starts nothing new, what is under
way ends and is kept. So tokens and money may overshoot by what was under way, never by more.
To overshoot less, what is under way counts as its agent's mean so far (before its first answer,
as the longest answer allowed): near the end fewer requests run at once, not fewer in all.

Shares are functions of the present state alone, not of the way there. Therefore a resumed run,
which rebuilds the state from its journal, shares as the uninterrupted one would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TypeVar

from mars2.config import RunConfig
from mars2.errors import SearchError
from mars2.types import Usage

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that may be spent of each kind; None: any amount.

    `tokens` are of prompts and completions, `seconds` are elapsed time: of a problem since its
    first request, of a run without the pauses between its processes.
    """

    nodes: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    cost: float | None = None

    def __post_init__(self) -> None:
        for name in ("nodes", "tokens", "seconds", "cost"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise SearchError(f"a budget of {name} must be above 0, got {limit!r}")
        if self.nodes is not None and self.nodes < 1:
            raise SearchError(f"a budget of nodes must be at least 1, got {self.nodes!r}")

    def left(self, spent: Spent) -> Limits | None:
        """What may be spent after this; None if any kind is used up."""
        pairs = {
            name: (getattr(self, name), getattr(spent, name))
            for name in ("nodes", "tokens", "seconds", "cost")
        }
        if any(_reached(used, limit) for limit, used in pairs.values()):
            return None
        return Limits(**{n: _left(limit, used) for n, (limit, used) in pairs.items()})


@dataclass(frozen=True, slots=True)
class Rate:
    """An agent's prices, in any currency for a million tokens, and its longest answer, tokens."""

    prompt: float = 0.0
    completion: float = 0.0
    max_tokens: int = 0

    def cost(self, usage: Usage) -> float:
        """What one answer costs."""
        paid = usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion
        return paid / 1e6


@dataclass(frozen=True, slots=True)
class Spent:
    """What has been spent. `nodes` counts what was asked for, failed and cancelled included;
    tokens and cost are of answers alone: what a failed request used is not known."""

    nodes: int = 0
    tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.nodes + other.nodes,
            self.tokens + other.tokens,
            self.seconds + other.seconds,
            self.cost + other.cost,
        )


class Gate(IntEnum):
    """May one more request begin? WAIT: perhaps once something under way has ended."""

    GO = 0
    WAIT = 1
    SPENT = 2


@dataclass(slots=True)
class _Mean:
    answers: int = 0
    tokens: int = 0
    cost: float = 0.0


@dataclass(slots=True)
class Account:
    """What one problem, or the whole run, has spent and has under way."""

    nodes: int = 0
    tokens: int = 0
    cost: float = 0.0
    began: float | None = None  # run seconds of the first request
    latest: float = 0.0  # and of the last thing that happened
    under_way: dict[str, int] = field(default_factory=dict)  # by agent, none with 0
    _answers: dict[str, _Mean] = field(default_factory=dict)

    def asked(self, agent: str, seconds: float) -> None:
        self.nodes += 1
        self.under_way[agent] = self.under_way.get(agent, 0) + 1
        if self.began is None:
            self.began = seconds
        self.latest = seconds

    def ended(self, agent: str, usage: Usage | None, cost: float, seconds: float) -> None:
        left = self.under_way[agent] - 1
        if left:
            self.under_way[agent] = left
        else:
            del self.under_way[agent]
        if usage is not None:
            tokens = usage.prompt_tokens + usage.completion_tokens
            self.tokens += tokens
            self.cost += cost
            mean = self._answers.setdefault(agent, _Mean())
            mean.answers += 1
            mean.tokens += tokens
            mean.cost += cost
        self.latest = seconds

    def age(self, seconds: float) -> float:
        return 0.0 if self.began is None else max(seconds - self.began, 0.0)

    def spent(self) -> Spent:
        return Spent(self.nodes, self.tokens, self.age(self.latest), self.cost)

    def gate(self, limits: Limits, rates: Mapping[str, Rate]) -> Gate:
        """By nodes, tokens and cost."""
        if _reached(self.nodes, limits.nodes):
            return Gate.SPENT
        if limits.tokens is None and limits.cost is None:
            return Gate.GO
        if _reached(self.tokens, limits.tokens) or _reached(self.cost, limits.cost):
            return Gate.SPENT
        tokens, cost = self._expected(rates)
        if _reached(self.tokens + tokens, limits.tokens):
            return Gate.WAIT
        if _reached(self.cost + cost, limits.cost):
            return Gate.WAIT
        return Gate.GO

    def _expected(self, rates: Mapping[str, Rate]) -> tuple[float, float]:
        """Tokens and cost that what is under way will probably come to."""
        tokens = cost = 0.0
        for agent, count in self.under_way.items():
            mean = self._answers.get(agent)
            rate = rates.get(agent, _FREE)
            if mean is not None:
                tokens += count * mean.tokens / mean.answers
                cost += count * mean.cost / mean.answers
            else:
                tokens += count * rate.max_tokens
                cost += count * rate.cost(Usage(0, rate.max_tokens))
        return tokens, cost


_FREE = Rate()


class Budget:
    """The accounts of a run: one a problem's tree, one over all.

    With `reallocate`, what closed problems (solved, or with nothing left to ask) did not use is
    shared equally by the others: each of m open problems may spend (T - C) / m, where C is what
    the closed ones have spent and T is the sum of all problems' limits, or the run's limit if that
    is less or the only one; what does not divide goes one each to the first in order of opening.
    All together start nothing once T is spent. Seconds are not shared.

    Args:
        problem: limits of each problem.
        run: limits of all together.
        rates: by agent; an agent without one is free and its longest answer unknown.
        clock: seconds from any origin; only differences count.
    """

    def __init__(
        self,
        problem: Limits | None = None,
        run: Limits | None = None,
        *,
        rates: Mapping[str, Rate] | None = None,
        reallocate: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem = problem or Limits()
        self.run = run or Limits()
        self.rates = dict(rates or {})
        self.reallocate = reallocate
        self._clock = clock
        self._origin: float | None = None
        self._total = Account(began=0.0)
        self._accounts: dict[str, Account] = {}
        self._open: dict[str, None] = {}  # tree ids in order of opening
        self._shares: dict[str, Limits] | None = None  # None: to be worked out anew
        self._waiting: list[Callable[[], None]] = []

    # ------------------------------------------------------------------ time

    def start(self) -> None:
        """Start the clock, unless it runs."""
        if self._origin is None:
            self._origin = self._clock()

    def seconds(self) -> float:
        """Elapsed seconds of the run, earlier processes' recorded ones included."""
        return 0.0 if self._origin is None else self._clock() - self._origin

    def resumed(self, seconds: float) -> None:
        """The run had already taken this long when a recorded event happened."""
        self.start()
        if seconds > self.seconds():
            self._origin = self._clock() - seconds

    # ------------------------------------------------------------------ book-keeping

    def open(self, tree_id: str) -> None:
        """Give a problem its account. Opening it again changes nothing."""
        if tree_id not in self._accounts:
            self._accounts[tree_id] = Account()
            self._open[tree_id] = None
            self._shares = None

    def asked(self, tree_id: str, agent: str, seconds: float) -> None:
        """A request to `agent` has begun, at this second of the run."""
        for account in (self._accounts[tree_id], self._total):
            account.asked(agent, seconds)

    def ended(self, tree_id: str, agent: str, usage: Usage | None, seconds: float) -> None:
        """A request has ended; `usage` is None if it was lost."""
        cost = self.rates.get(agent, _FREE).cost(usage) if usage else 0.0
        for account in (self._accounts[tree_id], self._total):
            account.ended(agent, usage, cost, seconds)
        if tree_id not in self._open:
            self._shares = None  # what a closed problem leaves has changed

    def close(self, tree_id: str) -> None:
        """This problem asks for nothing more: it is solved or there is nothing left to ask."""
        if tree_id in self._open:
            del self._open[tree_id]
            self._shares = None

    # ------------------------------------------------------------------ questions

    @property
    def idle(self) -> bool:
        """True if nothing is under way."""
        return not self._total.under_way

    def spent(self, tree_id: str | None = None) -> Spent:
        """What one problem has spent, or all together."""
        if tree_id is not None:
            return self._accounts[tree_id].spent()
        return replace(self._total.spent(), seconds=self.seconds())

    def limits(self, tree_id: str) -> Limits:
        """What this problem may spend now in all."""
        if not self.reallocate or tree_id not in self._open:
            return self.problem
        if self._shares is None:
            self._shares = self._share_out()
        return self._shares[tree_id]

    def out_of_time(self, tree_id: str) -> bool:
        """True if the seconds of this problem, or of the run, have passed."""
        seconds = self.seconds()
        age = self._accounts[tree_id].age(seconds)
        return _reached(seconds, self.run.seconds) or _reached(age, self.problem.seconds)

    def gate(self, tree_id: str) -> Gate:
        """May this problem ask for one more node now?"""
        if self.out_of_time(tree_id):
            return Gate.SPENT
        whole = self._total.gate(self._whole() if self.reallocate else self.run, self.rates)
        own = self._accounts[tree_id].gate(self.limits(tree_id), self.rates)
        if own is Gate.SPENT and self.reallocate and len(self._open) > 1:
            own = Gate.WAIT  # another problem may yet leave something
        return max(whole, own)

    # ------------------------------------------------------------------ waiting

    def wait(self, wake: Callable[[], None]) -> None:
        """Call this at the next `changed`: for whom the gate said WAIT."""
        self._waiting.append(wake)

    def changed(self) -> None:
        """Something has ended or was closed, and all its consequences are drawn."""
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    # ------------------------------------------------------------------ shares

    def _whole(self) -> Limits:
        """What all problems together may spend when they share."""
        count = len(self._accounts)
        return Limits(
            nodes=_less(self.problem.nodes, count, self.run.nodes),
            tokens=_less(self.problem.tokens, count, self.run.tokens),
            cost=_less(self.problem.cost, count, self.run.cost),
        )

    def _share_out(self) -> dict[str, Limits]:
        whole, order = self._whole(), list(self._open)
        closed = [a for t, a in self._accounts.items() if t not in self._open]
        nodes = _left(whole.nodes, sum(a.nodes for a in closed))
        tokens = _left(whole.tokens, sum(a.tokens for a in closed))
        cost = _left(whole.cost, sum(a.cost for a in closed))
        return {
            tree_id: _Share(
                nodes=_part(nodes, len(order), i),
                tokens=_part(tokens, len(order), i),
                seconds=self.problem.seconds,
                cost=None if cost is None else cost / len(order),
            )
            for i, tree_id in enumerate(order)
        }


class _Share(Limits):
    """Limits of which nothing may be left."""

    __slots__ = ()

    def __post_init__(self) -> None:
        pass


def make_budget(
    config: RunConfig,
    *,
    run: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Budget:
    """The budget that the settings describe: `search.nodes`, `budget`, the agents' prices.

    Args:
        run: limits of the whole run instead of those of the settings.
    """
    limits = config.budget
    return Budget(
        problem=Limits(
            nodes=config.search.nodes,
            tokens=limits.problem_tokens,
            seconds=limits.problem_seconds,
            cost=limits.problem_cost,
        ),
        run=run or Limits(limits.nodes, limits.tokens, limits.seconds, limits.cost),
        rates={
            agent.name: Rate(agent.price_prompt, agent.price_completion, agent.max_tokens)
            for agent in config.agents
        },
        reallocate=limits.reallocate,
        clock=clock,
    )


def _reached(spent: float, limit: float | None) -> bool:
    return limit is not None and spent >= limit


def _less(each: N | None, count: int, run: N | None) -> N | None:
    whole = None if each is None else each * count
    return run if whole is None else whole if run is None else min(whole, run)


def _left(whole: N | None, spent: N) -> N | None:
    return None if whole is None else max(whole - spent, 0)


def _part(total: int | None, parts: int, index: int) -> int | None:
    """The `index`-th of `parts` nearly equal whole parts, larger ones first."""
    return None if total is None else total // parts + (index < total % parts)
