"""Seeds that depend on what they are for, never on what happened before.

A run has one seed; every tree, node and draw gets its own by hashing the run seed with names.
So work can be repeated, resumed or reordered and still see the same random numbers.
"""

from __future__ import annotations

import hashlib


def derive(*parts: int | str) -> int:
    """A seed in [0, 2**63) from the parts: SHA-256 over their types, lengths and values.

    `derive("a", "bc")` and `derive("ab", "c")` differ, and so do `derive(1)` and `derive("1")`.

    Raises:
        TypeError: a part is neither int nor str.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, int):
            kind, data = b"i", b"%d" % part
        elif isinstance(part, str):
            kind, data = b"s", part.encode("utf-8", "surrogatepass")
        else:
            raise TypeError(f"a seed part must be int or str, not {type(part).__name__}")
        digest.update(b"%b%d:%b" % (kind, len(data), data))
    return int.from_bytes(digest.digest()[:8], "big") >> 1
