"""Budgets of real searches: what is started, what is kept, what a resumed run knows of it."""

import asyncio

import pytest
from search_helpers import FakeExpand, grow_forest, make_node, strategy, uneven

from mars2.errors import GenerationError
from mars2.search import Budget, Forest, Journal, Limits, Rate, RunSettings, TreeJob, derive

RATES = {agent: Rate(100.0, 300.0) for agent in ("ann", "bob", "cyd")}
ANSWER = 4  # tokens of each answer: 2 + 2


def jobs(ids, outcome=None, steps=uneven, name="repeated"):
    return [TreeJob(i, strategy(name, derive(0, i)), FakeExpand(i, steps, outcome)) for i in ids]


def sizes(results):
    return [len(r.nodes) + len(r.failed) for r in results]


async def test_tokens_of_each_problem():
    budget = Budget(Limits(nodes=50, tokens=40))
    results = await grow_forest(jobs("abc"), budget=budget, in_flight=4)
    # Reached by the tenth answer at the latest; three others may be under way then.
    assert all(10 <= size <= 13 for size in sizes(results))
    for result in results:
        assert result.spent.tokens == ANSWER * len(result.nodes)
        assert result.spent.nodes == len(result.nodes)
    assert budget.spent().tokens == sum(r.spent.tokens for r in results)


async def test_cost_of_the_run():
    budget = Budget(Limits(nodes=50), Limits(cost=0.02), rates=RATES)
    results = await grow_forest(jobs("abc"), budget=budget, in_flight=4)
    each = (2 * 100 + 2 * 300) / 1e6
    assert 25 <= sum(sizes(results)) <= 25 + 11
    assert budget.spent().cost == pytest.approx(each * sum(sizes(results)))
    assert max(sizes(results)) - min(sizes(results)) <= 2


async def test_lost_requests_are_nodes_without_tokens():
    lost = GenerationError("lost")
    found = jobs("a", lambda e: lost if e.node_id % 2 else None)
    (result,) = await grow_forest(found, budget=10, in_flight=2)
    assert (result.spent.nodes, result.spent.tokens) == (10, 5 * ANSWER)


async def test_nodes_of_the_run():
    budget = Budget(Limits(nodes=50), Limits(nodes=31))
    results = await grow_forest(jobs("abc"), budget=budget, in_flight=4)
    assert sum(sizes(results)) == 31


@pytest.mark.parametrize("ordered", [True, False])
async def test_seconds_start_nothing_new_and_keep_what_is_under_way(ordered):
    now = 0.0

    class Ticking(FakeExpand):
        async def __call__(self, *what):
            nonlocal now
            now += 1.0
            return await super().__call__(*what)

    budget = Budget(Limits(seconds=10), clock=lambda: now)
    job = TreeJob("a", strategy("repeated"), Ticking("a", uneven))
    (result,) = await grow_forest([job], budget=budget, in_flight=3, ordered=ordered)
    assert 10 <= len(result.nodes) <= 12
    assert result.unfinished == []


def solved_at(tree, number):
    def outcome(e):
        return make_node(tree, e, 1.0 if e.node_id == number else 0.0)

    return outcome


async def test_what_solved_problems_leave_goes_to_the_others():
    def run(reallocate):
        found = [
            TreeJob(i, strategy("repeated"), FakeExpand(i, uneven, solved_at(i, n)))
            for i, n in (("easy", 2), ("hard", 25), ("never", 99), ("nope", 99))
        ]
        budget = Budget(Limits(nodes=12), reallocate=reallocate)
        return grow_forest(found, budget=budget, in_flight=2, stop_on_success=True)

    easy, hard, never, nope = await run(False)
    assert (hard.solved, *sizes([hard, never, nope])) == (False, 12, 12, 12)
    easy, hard, never, nope = await run(True)
    assert easy.solved
    assert sum(r.spent.nodes for r in (easy, hard, never, nope)) == 48
    assert min(sizes([hard, never, nope])) >= 14  # 12 + 9 / 3
    assert not hard.solved


async def test_who_waits_for_a_share_gets_it_when_the_last_one_is_solved():
    found = [
        TreeJob(
            "fast", strategy("repeated"), FakeExpand("fast", lambda e: 1, solved_at("fast", 99))
        ),
        TreeJob(
            "slow", strategy("repeated"), FakeExpand("slow", lambda e: 99, solved_at("slow", 1))
        ),
    ]
    budget = Budget(Limits(nodes=10), reallocate=True)
    fast, slow = await grow_forest(found, budget=budget, in_flight=1, stop_on_success=True)
    assert slow.spent.nodes == 1
    assert fast.spent.nodes == 19


async def test_a_strategy_with_nothing_to_ask_leaves_its_share():
    class Three(type(strategy("repeated"))):
        def ask(self):
            return super().ask() if self.asked < 3 else None

    found = jobs("ab")
    found[0] = TreeJob("a", Three(["ann"], 0), found[0].expand)
    budget = Budget(Limits(nodes=10), reallocate=True)
    results = await grow_forest(found, budget=budget, in_flight=4)
    assert sizes(results) == [3, 17]


@pytest.mark.parametrize("name", ["repeated", "ab-mcts"])
async def test_forests_that_share_a_budget(name):
    budget = Budget(Limits(nodes=50), Limits(tokens=100), rates=RATES)
    both = await asyncio.gather(
        *(grow_forest(jobs(ids, name=name), budget=budget, in_flight=2) for ids in ("ab", "cd"))
    )
    total = sum(r.spent.tokens for results in both for r in results)
    assert 100 <= total <= 100 + 7 * ANSWER
    assert budget.spent().tokens == total


async def test_a_resumed_run_knows_what_was_spent(tmp_path):
    now = 0.0

    def fresh():
        return Budget(Limits(nodes=50), Limits(tokens=200), rates=RATES, clock=lambda: now)

    whole = fresh()
    await grow_forest(jobs("abc"), budget=whole, in_flight=4)
    path = tmp_path / "j"
    told = 0

    def on_node(node):
        nonlocal told, now
        told += 1
        now += 0.25
        if told == 20:
            task.cancel()

    with Journal.open(path, {}) as journal:
        settings = RunSettings(fresh(), in_flight=4, on_node=on_node)
        forest = Forest(jobs("abc"), settings, journal=journal)
        task = asyncio.ensure_future(forest.run())
        with pytest.raises(asyncio.CancelledError):
            await task
        spent, at = forest.budget.spent(), now
        assert spent.tokens == sum(r.spent.tokens for r in forest.results()) >= 20 * ANSWER
    now += 1000.0  # nobody searched
    with Journal.open(path, {}) as journal:
        budget = fresh()
        seen = []
        settings = RunSettings(
            budget, in_flight=4, on_node=lambda n: seen.append((budget.spent(), n))
        )
        results = await grow_forest(
            jobs("abc"), journal=journal, budget=budget, in_flight=4, on_node=settings.on_node
        )
    replayed = seen[told - 1][0]
    assert replayed.tokens == spent.tokens
    assert replayed.cost == pytest.approx(spent.cost)
    assert budget.spent().seconds == pytest.approx(at, abs=0.3)
    assert abs(budget.spent().tokens - whole.spent().tokens) <= 11 * ANSWER
    assert sum(r.spent.tokens for r in results) == budget.spent().tokens
