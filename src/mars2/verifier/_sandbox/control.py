"""The fork server's end of its socket: what to run next, and news while something runs.

The next program may be here already when one ends, so that nobody waits for a message. If the
one that runs turns out to take long, those that wait are given back: others may be free.
"""

from __future__ import annotations

import socket
from collections import deque

from . import frames


class Control:
    """Messages from the grader, in order; stops take effect at once."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._waiting: deque[frames.Received] = deque()
        self._current, self._slow = 0, False

    def fileno(self) -> int:
        """Readable when there is news, or the grader is gone."""
        return self._sock.fileno()

    def next(self) -> frames.Received | None:
        """The next "run", as soon as there is one; None if the grader is gone."""
        while not self._waiting:
            message = frames.receive(self._sock)
            if message is None:
                return None
            if message.head["op"] == "run":  # a stop came after the end: nothing to do
                self._waiting.append(message)
        message = self._waiting.popleft()
        self._current, self._slow = message.head["id"], False
        return message

    def stopped(self) -> bool:
        """Take one message; True if the program that runs shall end."""
        message = frames.receive(self._sock)
        if message is None:
            return True
        if message.head["op"] == "run":
            self._waiting.append(message)
        elif message.head["id"] == self._current:
            return True
        if self._slow:
            self.slow()
        return False

    def slow(self) -> None:
        """The program that runs takes long: give back what waits for its end."""
        self._slow = True
        while self._waiting:
            message = self._waiting.popleft()
            self._sock.sendall(frames.pack({"op": "back", "id": message.head["id"]}))
            message.wipe()
