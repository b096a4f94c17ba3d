"""Looking at processes from outside, through /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


def descendants(pid: int) -> list[int]:
    """Living descendants (zombies not counted) of a process."""
    found = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                children = [int(word) for word in file.read().split()]
        except OSError:
            continue
        for child in children:
            found += [child] if alive(child) else []
            found += descendants(child)
    return found


def alive(pid: int) -> bool:
    """True if the process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2].split()[0] not in "ZX"
    except OSError:
        return False


def escaped(pid: int, known: set[int]) -> list[int]:
    """Living children of a process that are not among the known ones.

    If the process is a subreaper, that is where its descendants' orphans are.
    """
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += [int(word) for word in file.read().split()]
        except OSError:
            continue
    return [child for child in found if child not in known and alive(child)]


def command(pid: int) -> str:
    """A process's command line, cut; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read(200).replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def eventually(condition: Callable[[], bool], tries: int = 2000) -> bool:
    """True once the condition holds; gives up after so many looks."""
    for _ in range(tries):
        if condition():
            return True
        time.sleep(0.01)
    return False
