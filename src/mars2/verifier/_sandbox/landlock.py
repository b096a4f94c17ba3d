"""Landlock: which files a program may open, where the kernel offers it (since Linux 5.13).

With a private root it is the second wall in front of the same files; without namespaces it is
the main one. It also keeps signals, and sockets without a file, inside the program (Linux 6.12).
Where nothing else is needed from it, the fork server enters it once, for all its programs.

Source: landlock(7) and the kernel's Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable

from . import linux

READ_FILE, READ_DIR = 1 << 2, 1 << 3
WRITE_FILE = 1 << 1
# Rights on files, as opposed to directories: execute, write, read, truncate, ioctl.
_ON_FILES = 1 | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15
# All but running files (0), making devices (6, 11) and sockets (9), and ioctl on devices (15).
_WRITE = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 14
READ = READ_FILE | READ_DIR
READ_WRITE = READ | _WRITE
_NETWORK = 1 | 2  # bind and connect TCP
_SCOPES = 1 | 2  # abstract Unix sockets, signals


class Ruleset:
    """What programs of a server may open; everything that no rule allows is refused."""

    def __init__(self, rules: Iterable[tuple[str, int]]) -> None:
        """`rules`: paths, links followed, with READ, READ_WRITE or parts. Raises OSError."""
        self._version = linux.landlock_version()
        last = {1: 12, 2: 13, 3: 14, 4: 14}.get(self._version, 15)
        self._handled = (1 << last + 1) - 1
        self._rules = list(rules)
        network = _NETWORK if self._version >= 4 else 0
        known = 8 * (3 if self._version >= 6 else 2 if self._version >= 4 else 1)
        self._attributes = struct.pack("=QQQ", self._handled, network, _SCOPES)[:known]
        self._only_scopes = struct.pack("=QQQ", 0, 0, _SCOPES)
        self.moves = self._version >= 2
        """Files can be moved from one folder to another."""
        self.signals = self._version >= 6
        """Signals reach only processes that entered together, or were forked since."""
        os.close(self._build())

    def _build(self) -> int:
        ruleset = linux.landlock_ruleset(self._attributes)
        for path, rights in self._rules:
            try:
                fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue  # absent, or not this user's to see
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                rights &= _ON_FILES
            rights &= self._handled
            if rights:
                linux.landlock_allow(ruleset, fd, rights)
            os.close(fd)
        return ruleset

    def enter(self) -> None:
        """For this thread and all its descendants, for good. Needs no_new_privs. OSError.

        The rules are opened here, by this process: /proc/self is its own.
        """
        _restrict(self._build())

    def keep_signals_in(self) -> None:
        """Of all this, only what `signals` says. For good. Raises OSError."""
        _restrict(linux.landlock_ruleset(self._only_scopes))


def _restrict(ruleset: int) -> None:
    linux.landlock_restrict(ruleset)
    os.close(ruleset)
