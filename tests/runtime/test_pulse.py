"""Who has to be ended for silence, and who not."""

from __future__ import annotations

from typing import Any

import pytest

from mars2.runtime.pulse import Watch


class Someone:
    """What is seen of a member."""

    name = "it"
    newest = 1


class Ward:
    """One member whose actor is a number; pings of the numbers in `silent` do not come back."""

    def __init__(self, timeout_s: float = 10) -> None:
        self.member: Any = Someone()
        self.silent: set[int] = set()
        self.killed: list[int] = []
        self.said: list[str] = []
        self.watch = Watch(
            lambda: [self.member],
            lambda actor: actor,
            lambda ping: ping not in self.silent,
            self.killed.append,
            timeout_s=timeout_s,
            say=self.said.append,
        )

    def turns(self, count: int, seconds: float = 1) -> None:
        for _ in range(count):
            self.watch.turn(seconds)


@pytest.fixture
def ward() -> Ward:
    return Ward()


def test_who_falls_silent_is_ended_once_and_said_to_be(ward):
    ward.turns(3)
    ward.silent.add(1)
    ward.turns(9)
    assert ward.killed == []
    ward.turns(2)
    assert ward.killed == [1]
    (line,) = ward.said
    assert "it has given no sign of life for 10 s (runtime.hang_timeout_s)" in line


def test_who_answers_late_is_left_alone(ward):
    for _ in range(5):
        ward.turns(2)
        ward.silent.add(1)
        ward.turns(8)
        ward.silent.clear()
    assert ward.killed == []


def test_who_has_never_answered_may_wait_for_room(ward):
    ward.silent.add(1)
    ward.turns(100)
    assert ward.killed == []


def test_a_successor_is_asked_anew(ward):
    ward.turns(3)
    ward.silent |= {1, 2}
    ward.turns(8)
    ward.member.newest = 2
    ward.turns(50)  # it is starting
    assert ward.killed == []
    ward.silent.clear()
    ward.turns(2)
    ward.silent.add(2)
    ward.turns(11)
    assert ward.killed == [2]


def test_its_thread_ends_and_0_means_none():
    for timeout_s in (0, 0.05):
        ward = Ward(timeout_s)
        ward.watch.start()
        assert ward.watch._thread.is_alive() == bool(timeout_s)
        ward.watch.stop()
        assert not ward.watch._thread.is_alive()
