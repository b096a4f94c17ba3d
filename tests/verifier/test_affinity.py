"""Where a fork server runs. In forks, because the tests' own process keeps its CPUs."""

import os
from collections.abc import Callable

import pytest

from mars2.verifier._sandbox import affinity

ALL = os.sched_getaffinity(0)
several = pytest.mark.skipif(len(ALL) < 2, reason="this process has one CPU only")


def in_a_fork(work: Callable[[], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@several
def test_servers_of_one_verifier_begin_on_different_cpus() -> None:
    def work() -> bool:
        affinity.Home(0)
        first = os.sched_getaffinity(0)
        os.sched_setaffinity(0, ALL)
        affinity.Home(1)
        second = os.sched_getaffinity(0)
        return len(first) == len(second) == 1 and first != second

    assert in_a_fork(work)


@several
def test_a_long_program_gets_all_cpus() -> None:
    def work() -> bool:
        home = affinity.Home(0)
        home.release(os.getpid())
        return os.sched_getaffinity(0) == ALL

    assert in_a_fork(work)


@several
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_crowded_server_moves(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(affinity.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(affinity, "_waited", lambda: share * clock[0])

    def work() -> bool:
        home = affinity.Home(0)
        before = os.sched_getaffinity(0)
        home.look(os.getpid())  # too early to say
        if os.sched_getaffinity(0) != before:
            return False
        clock[0] += 1.0
        home.look(os.getpid())
        return (os.sched_getaffinity(0) != before) is (share > 0)

    assert in_a_fork(work)


def test_without_statistics_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> float:
        raise FileNotFoundError

    monkeypatch.setattr(affinity, "_waited", missing)

    def work() -> bool:
        affinity.Home(0).look(os.getpid())
        return os.sched_getaffinity(0) == ALL

    assert in_a_fork(work)
