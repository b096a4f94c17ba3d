"""Unpacks what a dataset packed, without trusting it: bounded sizes, and nothing is unpickled.

LiveCodeBench packs private tests as base64 of zlib of a pickle of one string of JSON
(github.com/LiveCodeBench/LiveCodeBench, lcb_runner/benchmarks/code_generation.py). A pickle is a
program; here its instructions are only looked at, and only those that make one string are allowed.
"""

from __future__ import annotations

import base64
import binascii
import os
import pickletools
import zlib

from mars2.errors import UsageError
from mars2.problems.fields import Fault

BOUND = "MARS2_MAX_PROBLEM_MB"
"""The environment variable that holds the bound of `max_bytes`, in MB."""
_DEFAULT_MB = 512
_STRINGS = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
_HARMLESS = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "STOP"})


def max_bytes() -> int:
    """The most bytes that one row, or the tests of one problem unpacked, may have.

    512 MB, or what the environment says. Raises UsageError if that is no number.
    """
    text = os.environ.get(BOUND, str(_DEFAULT_MB))
    if not text.isdecimal() or not int(text):
        raise UsageError(f"{BOUND} is {text!r}; it has to be a whole number of MB, at least 1")
    return int(text) << 20


def too_large(what: str) -> Fault:
    """Of something that is larger than `max_bytes`."""
    return Fault(
        f"{what} more than {max_bytes() >> 20} MB; if that is right, set {BOUND} to more MB"
    )


def from_base64(text: str) -> bytes:
    """The bytes of a base64 text. Raises Fault."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Fault(f"is neither JSON nor base64: {error}") from None


def pack(data: bytes) -> bytes:
    """zlib, fast: for tests that were published as they are."""
    return zlib.compress(data, 1)


def unpack(data: bytes) -> bytes:
    """What zlib packed: whole, nothing behind it, and not above `max_bytes`. Raises Fault."""
    bound = max_bytes()
    inflate = zlib.decompressobj()
    try:
        found = inflate.decompress(data, bound + 1)
    except zlib.error as error:
        raise Fault(f"cannot be unpacked: {error}") from None
    if len(found) > bound:
        raise too_large("unpacks to")
    if not inflate.eof:
        raise Fault("cannot be unpacked: it ends too early")
    if inflate.unused_data:
        raise Fault(f"has {len(inflate.unused_data)} bytes behind what is packed")
    return found


def pickled_string(data: bytes) -> str:
    """The string that a pickle holds, if it holds exactly one and nothing else. Raises Fault."""
    found: list[str] = []
    end = 0
    try:
        for opcode, argument, position in pickletools.genops(data):
            if opcode.name in _STRINGS:
                found.append(str(argument))
            elif opcode.name not in _HARMLESS:
                raise Fault(f"is a pickle with the instruction {opcode.name}: refused")
            end = position or 0
    except Fault:
        raise
    except Exception as error:  # whatever the bytes make pickletools stumble over
        raise Fault(f"is no pickle: {str(error)[:200]}") from None
    if len(found) != 1:
        raise Fault(f"is a pickle of {len(found)} strings; it has to hold exactly one")
    if end + 1 != len(data):
        raise Fault(f"has {len(data) - end - 1} bytes behind the pickle")
    return found[0]
