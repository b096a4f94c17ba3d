"""Which problem comes next: the shuffle, and the preference for what is solved half of the time."""

from __future__ import annotations

from collections import Counter

from run_kit import problems
from training_kit import node

from mars2.training.curriculum import Curriculum
from mars2.training.pace import Barrier, Counts, Free


def visit(curriculum: Curriculum, problem: str, passed: int, nodes: int = 8) -> None:
    curriculum.observe(problem, [node(i, float(i <= passed)) for i in range(1, nodes + 1)])


def test_the_shuffle_goes_through_all_in_seeded_epochs():
    some = problems(5)
    one = Curriculum(some, seed=1)
    drawn = [one.pick(i) for i in range(10)]
    assert {p.id for p in drawn[:5]} == {p.id for p in drawn[5:]} == {p.id for p in some}
    assert drawn[:5] != drawn[5:]
    again = Curriculum(some, seed=1)
    again.load({"cursor": 3, "seen": {}})
    assert [again.pick(i) for i in range(4)] == drawn[3:7]
    other = Curriculum(some, seed=2)
    assert [other.pick(i) for i in range(10)] != drawn


def test_problems_solved_half_of_the_time_are_preferred():
    one = Curriculum(problems(4), 0, "difficulty")
    for _ in range(3):
        visit(one, "p0", 0)
        visit(one, "p1", 4)
        visit(one, "p2", 8)
        visit(one, "p3", 8)
    picked = Counter(one.pick(i).id for i in range(400))
    assert picked["p1"] > 200
    assert all(picked[p] > 0 for p in ("p0", "p2", "p3"))  # nothing is given up for good


def test_unseen_problems_come_in_the_order_of_the_shuffle():
    some = problems(5)
    plain, one = Curriculum(some, 3), Curriculum(some, 3, "difficulty")
    order = [plain.pick(i).id for i in range(5)]
    got = []
    for i in range(5):
        got.append(one.pick(i, busy=set(got)).id)
    assert got == order


def test_what_is_under_way_is_not_taken_again_while_there_are_others():
    one = Curriculum(problems(3), 0, "difficulty")
    for p in ("p0", "p1", "p2"):
        visit(one, p, 4)
    assert {one.pick(i, busy={"p0", "p2"}).id for i in range(20)} == {"p1"}
    assert one.pick(0, busy={"p0", "p1", "p2"}).id in {"p0", "p1", "p2"}


def test_the_rate_follows_the_latest_visits_and_the_state_survives():
    one = Curriculum(problems(2), 0, "difficulty")
    assert one.rate("p0") is None
    visit(one, "p0", 0)
    assert one.rate("p0") == 0.5 / 9
    visit(one, "p0", 8)
    assert one.rate("p0") == 8.5 / 13  # 8 of 8, and half of 0 of 8
    again = Curriculum(problems(2), 0, "difficulty")
    again.load(one.state())
    assert again.state() == one.state()
    assert [again.pick(i).id for i in range(9)] == [one.pick(i).id for i in range(9)]
    assert one.summary()["visits"] == 2


def counts(**values) -> Counts:
    return Counts(**{"under_way": 0, "finished": 0, "missing": 3, "left": 5, "later": 9} | values)


def test_the_barrier_starts_whole_rounds_and_releases_them_in_order():
    barrier = Barrier()
    assert barrier.to_start(counts(behind=False)) == 3
    assert barrier.to_start(counts(behind=False, left=2)) == 2
    assert barrier.to_start(counts(behind=False, under_way=1)) == 0
    assert barrier.to_start(counts(behind=False, finished=1)) == 0

    class Tree:
        def __init__(self, number):
            self.number = number

    trees = [Tree(2), Tree(0)]
    assert barrier.release(trees, 1) == []
    assert barrier.release(trees, 0) == trees[::-1]
    assert Free(4).release(trees, 7) == trees[:1]


def test_without_it_places_are_filled_but_for_what_nobody_needs():
    free = Free(4)
    assert free.to_start(counts(behind=False, under_way=1)) == 3
    assert free.to_start(counts(behind=True, under_way=1)) == 0
    assert free.to_start(counts(behind=False, finished=4)) == 0
    assert free.to_start(counts(behind=False, missing=1, later=1)) == 2
    assert free.to_start(counts(behind=False, missing=1, later=0, under_way=1)) == 0
    assert free.to_start(counts(behind=False, missing=-3, later=0)) == 0
