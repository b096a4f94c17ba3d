import asyncio

import pytest
from search_helpers import FakeExpand, grow, grow_forest, strategy, uneven

from mars2.errors import EndpointDownError, GenerationError, SearchError
from mars2.search import Journal, Limiter, TreeJob, derive

MODES = pytest.mark.parametrize("ordered", [True, False])


@MODES
async def test_forest(tmp_path, ordered):
    ids = [f"tree {i}" for i in range(6)]
    limiter = Limiter(5)
    running = peak = 0
    nodes, fails = [], []

    def job(tree_id):
        inner = FakeExpand(
            tree_id,
            uneven,
            lambda e: GenerationError("lost") if e.node_id == 3 else None,
        )

        async def expand(e, parent, references):
            nonlocal running, peak
            running += 1
            peak = max(peak, running)
            try:
                return await inner(e, parent, references)
            finally:
                running -= 1

        return TreeJob(tree_id, strategy(seed=derive(0, tree_id)), expand)

    with Journal.open(tmp_path / "j", {}) as journal:
        results = await grow_forest(
            [job(i) for i in ids],
            budget=10,
            in_flight=3,
            journal=journal,
            limiter=limiter,
            ordered=ordered,
            on_node=lambda n: nodes.append((n.tree_id, n.node_id)),
            on_fail=lambda tree, f: fails.append((tree, f.expansion.node_id)),
        )
    assert peak == 5
    assert [r.tree_id for r in results] == ids
    assert [len(r.nodes) for r in results] == [9] * 6
    assert sorted(nodes) == sorted((i, n) for i in ids for n in range(1, 11) if n != 3)
    assert sorted(fails) == [(i, 3) for i in ids]
    # The trees hold what each would hold alone.
    if ordered:
        alone = job(ids[2])
        assert results[2] == await grow(
            ids[2], alone.strategy, alone.expand, budget=10, in_flight=3, ordered=True
        )
    with Journal.open(tmp_path / "j", {}) as journal:
        again = [job(i) for i in ids]
        resumed = await grow_forest(again, budget=10, in_flight=3, journal=journal, ordered=ordered)
    assert resumed == results


async def test_forest_refuses_equal_ids_and_passes_errors_on():
    def job(tree_id, outcome=None):
        return TreeJob(tree_id, strategy(), FakeExpand(tree_id, uneven, outcome))

    with pytest.raises(SearchError, match="'a'"):
        await grow_forest([job("a"), job("b"), job("a")], budget=3)
    with pytest.raises(KeyError, match="bug"):
        await grow_forest([job("a"), job("b", lambda e: KeyError("bug"))], budget=3)
    with pytest.raises(EndpointDownError):
        await grow_forest([job(i, lambda e: EndpointDownError("down")) for i in "ab"], budget=3)
    assert await grow_forest([], budget=3) == []


async def test_no_place_is_idle_as_completed():
    """With work left, every place under the limit is in use at every turn of the loop."""
    idle = done = 0
    total = 8 * 20
    limiter = Limiter(12)
    jobs = [
        TreeJob(i, strategy(seed=derive(0, i)), FakeExpand(i, lambda e: 1 + uneven(e)))
        for i in "abcdefgh"
    ]

    def on_node(node):
        nonlocal done
        done += 1

    async def watch():
        nonlocal idle
        await asyncio.sleep(0)
        while done < total - 24:
            await asyncio.sleep(0)
            idle += limiter.free

    watcher = asyncio.create_task(watch())
    await grow_forest(jobs, budget=20, in_flight=3, limiter=limiter, on_node=on_node)
    await watcher
    assert idle == 0
    assert limiter.free == 12


async def test_forests_share_places_and_one_may_end_early():
    """Whoever ends, fails or is interrupted gives its places to the other."""
    limiter = Limiter(4)

    def search(tree_id, outcome=None):
        job = TreeJob(tree_id, strategy(), FakeExpand(tree_id, uneven, outcome))
        return asyncio.create_task(
            grow_forest([job], budget=30, in_flight=4, limiter=limiter), name=tree_id
        )

    tasks = [search("a"), search("b", lambda e: KeyError("bug") if e.node_id == 7 else None)]
    tasks += [search("c"), search("d")]
    for _ in range(30):
        await asyncio.sleep(0)
        assert limiter.free == 0
    tasks[2].cancel()
    a, b, c, d = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(b, KeyError)
    assert isinstance(c, asyncio.CancelledError)
    assert [len(r.nodes) for r in (*a, *d)] == [30, 30]
    assert limiter.free == 4
    assert len(asyncio.all_tasks()) == 1


async def test_a_tree_with_many_waiting_does_not_starve_another():
    order = []
    jobs = [TreeJob(i, strategy("repeated"), FakeExpand(i, lambda e: 3)) for i in ("big", "small")]
    settings = {"limiter": Limiter(2), "on_node": lambda n: order.append(n.tree_id)}
    big = asyncio.create_task(grow_forest(jobs[:1], budget=60, in_flight=50, **settings))
    await asyncio.sleep(0)
    await grow_forest(jobs[1:], budget=10, in_flight=1, **settings)
    until = order.index("small")
    assert order[until:].count("small") == 10
    last = len(order) - 1 - order[::-1].index("small")
    assert order[: last + 1].count("big") <= 14
    await big
