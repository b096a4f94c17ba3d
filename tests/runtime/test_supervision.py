"""Deaths are noticed, made good and counted, whatever the actors are."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mars2.runtime.supervision import Gone, Group, Member, begin_all


class Actor:
    """A stand-in for a process: dies when told to."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.dead = False
        self.ready = False
        self.asked: list[str] = []

    def ask(self, what: str) -> str:
        if self.dead:
            raise Gone("it was dead")
        assert self.ready, "asked before it had its state"
        self.asked.append(what)
        return f"{what} by {self.number}"


class Lost(Exception):
    pass


class Hall:
    """Makes members, and remembers all that happened."""

    def __init__(self, restarts: int = 2, stillborn: int = 0) -> None:
        self.restarts = restarts
        self.stillborn = stillborn  # that many more die while they are made ready
        self.actors: list[Actor] = []
        self.said: list[str] = []
        self.killed: list[Actor] = []

    def member(self, name: str = "it") -> Member[Actor]:
        member = Member(
            name,
            self._create,
            self._prepare,
            self.killed.append,
            restarts=self.restarts,
            lost=Lost,
            say=self.said.append,
        )
        member.begin()
        return member

    def _create(self) -> Actor:
        self.actors.append(Actor(len(self.actors)))
        return self.actors[-1]

    def _prepare(self, actor: Actor) -> None:
        if self.stillborn:
            self.stillborn -= 1
            actor.dead = True
            raise Gone("it could not begin")
        actor.ready = True


def test_a_dead_actor_is_replaced_and_asked_again() -> None:
    hall = Hall()
    member = hall.member("the learner")
    hall.actors[0].dead = True
    assert member.call(lambda a: a.ask("x")) == "x by 1"
    assert hall.killed == [hall.actors[0]]
    assert hall.said == ["the learner died and is started again (it was dead)"]
    assert member.call(lambda a: a.ask("y")) == "y by 1"


def test_deaths_in_a_row_end_it_and_an_answer_between_them_forgives() -> None:
    hall = Hall(restarts=2)
    member = hall.member("it")
    for round in range(5):  # more deaths than allowed, but never in a row
        member.handle.dead = True
        assert member.call(lambda a: a.ask("x")) == f"x by {round + 1}"
    hall.stillborn = 2
    member.handle.dead = True
    with pytest.raises(Lost, match=r"it died 3 times in a row.*it could not begin.*restarts = 2"):
        member.call(lambda a: a.ask("x"))
    with pytest.raises(Lost, match="3 times"):  # from now on at once
        member.call(lambda a: a.ask("x"))
    assert len(hall.actors) == 8


def test_what_no_actor_survives_is_given_up() -> None:
    hall = Hall(restarts=2)
    member = hall.member()

    def poison(actor: Actor) -> str:
        member.answered()  # others are served meanwhile
        actor.dead = True
        return actor.ask("x")

    with pytest.raises(Lost, match="3 times while asked the same"):
        member.call(poison)
    assert member.call(lambda a: a.ask("y")) == "y by 3"


def test_no_restarts_allowed() -> None:
    hall = Hall(restarts=0)
    member = hall.member()
    member.handle.dead = True
    with pytest.raises(Lost, match="died once"):
        member.call(lambda a: a.ask("x"))


def test_many_who_notice_one_death_start_one_actor() -> None:
    hall = Hall()
    member = hall.member()
    dead = member.handle
    dead.dead = True
    threads = [threading.Thread(target=member.replace, args=(dead, Gone("?"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hall.actors) == 2


def test_a_closed_member_starts_nothing() -> None:
    hall = Hall()
    member = hall.member()
    member.handle.dead = True
    member.close()
    with pytest.raises(Lost, match="closed"):
        member.call(lambda a: a.ask("x"))
    assert len(hall.actors) == 1


def test_nobody_asks_an_actor_that_is_being_made_ready() -> None:
    hall = Hall()
    member = hall.member()
    dead = member.handle
    dead.dead = True
    prepare, seen = hall._prepare, []

    def look(actor: Actor) -> None:
        seen.append(member.handle)
        prepare(actor)

    member._prepare = look
    assert member.call(lambda a: a.ask("x")) == "x by 1"
    assert seen == [dead]


def test_if_one_cannot_begin_all_are_closed() -> None:
    hall = Hall(restarts=0)
    good = hall.member("good")
    bad = hall.member("bad")
    hall.stillborn = 1
    with pytest.raises(Lost):
        begin_all([bad])
    begin_all([good])
    hall.stillborn = 2
    with pytest.raises(Lost):
        begin_all([good, bad])
    assert {good.handle, bad.handle} <= set(hall.killed)


async def test_a_group_spreads_calls_and_asks_those_of_a_dead_one_again() -> None:
    hall = Hall()
    group = Group([hall.member("a"), hall.member("b")])
    first, second = hall.actors
    go = asyncio.Event()

    async def ask(actor: Actor) -> str:
        if actor.dead:
            raise Gone("it was dead")
        await go.wait()
        return actor.ask("x")

    calls = [asyncio.create_task(group.call(ask)) for _ in range(6)]
    await asyncio.sleep(0)
    assert [m.under_way for m in group.members] == [3, 3]
    first.dead = True
    go.set()
    answers = await asyncio.gather(*calls)
    assert len(answers) == 6
    assert first.asked == []
    assert len(second.asked) >= 3
    assert len(hall.actors) == 3  # one restart for three who noticed
    assert [m.under_way for m in group.members] == [0, 0]


async def test_a_group_whose_actors_keep_dying_says_so() -> None:
    hall = Hall(restarts=1)
    group = Group([hall.member("a")])

    async def ask(actor: Actor) -> str:
        actor.dead = True
        return actor.ask("x")

    calls = [group.call(ask) for _ in range(5)]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(e, Lost) for e in ended)
    assert len(hall.actors) == 2
