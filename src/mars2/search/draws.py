"""Random numbers of a search: those of the k-th ask depend on (seed, k) and on nothing else.

So a search is restored without repeating a draw, and the same seed gives the same search in any
process. NumPy promises equal streams for one version of NumPy only; a recorded search does not
depend on that, because its decisions are recorded and not drawn again.
"""

from __future__ import annotations

import hashlib

from numpy.random import PCG64, Generator


class Draws:
    """One generator that is set anew for every ask; its own, never NumPy's global state."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._bits = PCG64(0)
        self._rng = Generator(self._bits)

    def of_ask(self, k: int) -> Generator:
        """The generator at its start for the k-th ask; good until the next call."""
        digest = hashlib.sha256(b"ask %d of %d" % (k, self._seed)).digest()
        # A hash gives unrelated states and, any odd number being an increment, unrelated streams.
        # Setting the state costs 2 µs, a new generator four times that.
        self._bits.state = {
            "bit_generator": "PCG64",
            "state": {
                "state": int.from_bytes(digest[:16], "big"),
                "inc": int.from_bytes(digest[16:], "big") | 1,
            },
            "has_uint32": 0,
            "uinteger": 0,
        }
        return self._rng
