"""Budgets apart from any search: what may begin, what was spent, who gets what is left."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.config import RunConfig
from mars2.errors import SearchError
from mars2.search import Budget, Limits, Rate, Spent, make_budget
from mars2.search.budget import Gate
from mars2.types import Usage

RATES = {"ann": Rate(2.0, 8.0, 60), "bob": Rate(0.0, 30.0)}
PRICE = {"ann": (2.0, 8.0), "bob": (0.0, 30.0)}


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def optional(values):
    return st.none() | values


limits = st.builds(
    Limits,
    nodes=optional(st.integers(1, 12)),
    tokens=optional(st.integers(1, 900)),
    cost=optional(st.floats(1e-6, 5e-3)),
)


class Search:
    """Asks and ends at random, as any search could, and keeps its own books."""

    def __init__(self, budget, trees, seed, in_flight):
        self.budget, self.rng, self.in_flight = budget, Random(seed), in_flight
        self.trees = [f"t{i}" for i in range(trees)]
        self.under_way = []
        self.books = {t: [0, 0, 0.0] for t in self.trees}
        self.solved = set()
        self.worst = 0  # most tokens under way when a request began
        for tree in self.trees:
            budget.open(tree)

    def total(self, kind):
        return sum(book[kind] for book in self.books.values())

    def may_ask(self):
        return [
            t
            for t in self.trees
            if t not in self.solved
            and sum(u[0] == t for u in self.under_way) < self.in_flight
            and self.budget.gate(t) is Gate.GO
        ]

    def ask(self, tree):
        agent = self.rng.choice(["ann", "bob"])
        usage = Usage(self.rng.randrange(50), self.rng.randrange(60))
        if self.rng.random() < 0.1:
            usage = None  # lost
        self.budget.asked(tree, agent, self.budget.seconds())
        self.under_way.append((tree, agent, usage))
        self.books[tree][0] += 1

    def end(self):
        tree, agent, usage = self.under_way.pop(self.rng.randrange(len(self.under_way)))
        self.budget.ended(tree, agent, usage, self.budget.seconds())
        if usage:
            book, price = self.books[tree], PRICE[agent]
            book[1] += usage.prompt_tokens + usage.completion_tokens
            book[2] += usage.prompt_tokens * price[0] / 1e6
            book[2] += usage.completion_tokens * price[1] / 1e6

    def solve(self, tree):
        self.solved.add(tree)
        self.budget.close(tree)

    def step(self, solving=0.05):
        """False if nothing can happen any more."""
        askable = self.may_ask()
        if not askable and not self.under_way:
            return False
        if askable and (not self.under_way or self.rng.random() < 0.6):
            self.ask(self.rng.choice(askable))
        else:
            self.end()
        unsolved = [t for t in self.trees if t not in self.solved]
        if unsolved and self.rng.random() < solving:
            self.solve(self.rng.choice(unsolved))
        return True


def reached(search, tree, problem, run, reallocate):
    """Is a limit spent that this tree must heed?"""
    for kind, name in enumerate(("nodes", "tokens", "cost")):
        each, of_run = getattr(problem, name), getattr(run, name)
        if of_run is not None and search.total(kind) >= of_run:
            return True
        if each is None:
            continue
        if reallocate and search.total(kind) >= each * len(search.trees):
            return True
        if not reallocate and search.books[tree][kind] >= each:
            return True
    return False


@settings(max_examples=150, deadline=None)
@given(limits, limits, st.booleans(), st.integers(1, 5), st.integers(1, 6), st.integers())
def test_a_reached_limit_starts_nothing(problem, run, reallocate, trees, in_flight, seed):
    """So whatever exceeds a limit in the end was under way when it was reached."""
    if problem.nodes is None and run.nodes is None:
        problem = Limits(8, problem.tokens, None, problem.cost)
    budget = Budget(problem, run, rates=RATES, reallocate=reallocate, clock=Clock())
    search = Search(budget, trees, seed, in_flight)
    for _ in range(3000):
        for tree in search.may_ask():
            assert not reached(search, tree, problem, run, reallocate)
        if not search.step():
            break
    else:
        raise AssertionError("it never ends")
    # The books agree, and nodes never overshoot: a request is one node for certain.
    for tree, (nodes, tokens, cost) in search.books.items():
        spent = budget.spent(tree)
        assert (spent.nodes, spent.tokens) == (nodes, tokens)
        assert math.isclose(spent.cost, cost, abs_tol=1e-12)
        assert reallocate or problem.nodes is None or nodes <= problem.nodes
    total = budget.spent()
    assert (total.nodes, total.tokens) == (search.total(0), search.total(1))
    assert run.nodes is None or total.nodes <= run.nodes
    assert problem.nodes is None or total.nodes <= problem.nodes * trees
    assert budget.idle


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 900),
    optional(st.integers(1, 60)),
    st.integers(1, 6),
    st.integers(),
)
def test_reallocation_loses_and_creates_nothing(nodes, tokens, of_run, trees, seed):
    problem = Limits(nodes=nodes, tokens=tokens)
    budget = Budget(problem, Limits(nodes=of_run), reallocate=True, clock=Clock())
    search = Search(budget, trees, seed, in_flight=3)
    shares = {}
    going = True
    while going:
        opened = [t for t in search.trees if t not in search.solved]
        now = {t: budget.limits(t) for t in opened}
        if opened:
            closed = [search.books[t] for t in search.solved]
            whole = min(nodes * trees, of_run or nodes * trees)
            assert sum(s.nodes for s in now.values()) + sum(b[0] for b in closed) == whole
            assert sum(s.tokens for s in now.values()) == max(
                tokens * trees - sum(b[1] for b in closed), 0
            )
        for kind in ("nodes", "tokens"):  # fair: equal but for what does not divide
            each = [getattr(s, kind) for s in now.values()]
            assert not each or max(each) - min(each) <= 1
            assert each == sorted(each, reverse=True)
        for tree, share in now.items():  # what was promised is never taken back
            assert share.nodes >= shares.get(tree, 0)
            shares[tree] = share.nodes
        going = search.step(solving=0.1)


def test_what_solved_problems_leave_is_used_up():
    budget = Budget(Limits(nodes=10), reallocate=True, clock=Clock())
    search = Search(budget, 4, seed=0, in_flight=2)
    search.ask("t0")
    search.end()
    search.solve("t0")
    assert [budget.limits(t).nodes for t in search.trees[1:]] == [13, 13, 13]
    while search.step(solving=0):
        pass
    assert [book[0] for book in search.books.values()] == [1, 13, 13, 13]
    assert budget.gate("t1") is Gate.SPENT


def test_who_has_used_its_share_waits_for_what_others_leave():
    budget = Budget(Limits(nodes=2), reallocate=True, clock=Clock())
    search = Search(budget, 2, seed=0, in_flight=9)
    search.ask("t0")
    search.ask("t0")
    assert budget.gate("t0") is Gate.WAIT
    search.ask("t1")
    search.solve("t1")
    assert budget.gate("t0") is Gate.GO
    search.ask("t0")
    assert budget.gate("t0") is Gate.SPENT


def test_without_reallocation_nothing_moves():
    budget = Budget(Limits(nodes=10), clock=Clock())
    search = Search(budget, 2, seed=0, in_flight=2)
    search.solve("t0")
    while search.step(solving=0):
        pass
    assert search.books["t1"][0] == 10
    assert budget.gate("t1") is Gate.SPENT


def test_what_is_under_way_counts_as_its_agents_mean():
    budget = Budget(Limits(tokens=100), rates={"ann": Rate(max_tokens=40)}, clock=Clock())
    budget.open("t")
    started = 0
    while budget.gate("t") is Gate.GO:
        budget.asked("t", "ann", 0.0)
        started += 1
    assert started == 3  # 40 + 40 < 100: the longest answers would not reach it
    assert budget.gate("t") is Gate.WAIT
    budget.ended("t", "ann", Usage(5, 5), 0.0)
    while budget.gate("t") is Gate.GO:
        budget.asked("t", "ann", 0.0)
        started += 1
    assert started == 10
    while not budget.idle:
        budget.ended("t", "ann", Usage(5, 5), 0.0)
    assert budget.spent("t").tokens == 100
    assert budget.gate("t") is Gate.SPENT


def test_an_unknown_worst_case_holds_nothing_back():
    budget = Budget(Limits(tokens=10), clock=Clock())
    budget.open("t")
    for _ in range(5):
        assert budget.gate("t") is Gate.GO
        budget.asked("t", "zoe", 0.0)
    budget.ended("t", "zoe", Usage(7, 8), 0.0)
    assert budget.gate("t") is Gate.SPENT
    while not budget.idle:
        budget.ended("t", "zoe", Usage(7, 8), 0.0)
    assert budget.spent("t").tokens == 75  # four were under way: reported, not hidden


def test_cost_is_that_of_the_prices():
    budget = Budget(rates=RATES, clock=Clock())
    budget.open("t")
    for agent in ("ann", "bob", "zoe"):
        budget.asked("t", agent, 0.0)
        budget.ended("t", agent, Usage(1_000_000, 500_000), 0.0)
    assert budget.spent("t").cost == pytest.approx(2 + 4 + 15)


def test_seconds_of_a_problem_count_from_its_first_request():
    clock = Clock()
    budget = Budget(Limits(seconds=10), Limits(seconds=25), clock=clock)
    budget.start()
    for tree in "tu":
        budget.open(tree)
    clock.now += 9
    budget.asked("t", "ann", budget.seconds())
    clock.now += 9.9
    assert budget.gate("t") is Gate.GO
    budget.ended("t", "ann", None, budget.seconds())
    assert budget.spent("t").seconds == pytest.approx(9.9)
    clock.now += 0.1
    assert budget.gate("t") is Gate.SPENT
    assert budget.gate("u") is Gate.GO
    clock.now += 6
    assert budget.gate("u") is Gate.SPENT
    assert budget.spent().seconds == pytest.approx(25)


def test_a_resumed_run_leaves_pauses_out():
    clock = Clock()
    budget = Budget(Limits(seconds=10), clock=clock)
    budget.open("t")
    budget.start()
    for seconds in (3.0, 8.0, 5.0):  # trees are replayed one after another
        budget.resumed(seconds)
    budget.asked("t", "ann", 3.0)
    assert budget.seconds() == pytest.approx(8.0)
    clock.now += 4
    assert budget.gate("t") is Gate.GO
    clock.now += 1.5
    assert budget.gate("t") is Gate.SPENT


@pytest.mark.parametrize("kind", ["nodes", "tokens", "seconds", "cost"])
@pytest.mark.parametrize("limit", [0, -1, math.nan])
def test_bad_limits(kind, limit):
    with pytest.raises(SearchError, match=kind):
        Limits(**{kind: limit})


def test_what_is_left():
    limits = Limits(nodes=5, tokens=100, cost=0.5)
    assert limits.left(Spent()) == limits
    spent = Spent(2, 30, 7.0, 0.25) + Spent(1, 30, 1.0, 0.125)
    assert spent == Spent(3, 60, 8.0, 0.375)
    assert limits.left(spent) == Limits(nodes=2, tokens=40, cost=0.125)
    assert Limits().left(spent) == Limits()
    assert limits.left(Spent(tokens=100)) is None
    assert Limits(seconds=8.0).left(spent) is None


def test_from_the_settings():
    config = RunConfig.model_validate(
        {
            "search": {"nodes": 5},
            "budget": {"problem_tokens": 70, "cost": 0.5, "reallocate": True},
            "agents": [{"name": "ann", "spec": "x", "price_prompt": 1.5, "max_tokens": 9}],
        }
    )
    budget = make_budget(config)
    assert budget.problem == Limits(nodes=5, tokens=70)
    assert budget.run == Limits(cost=0.5)
    assert budget.rates == {"ann": Rate(1.5, 0.0, 9)}
    assert budget.reallocate
    assert make_budget(config, run=Limits(nodes=3)).run == Limits(nodes=3)
