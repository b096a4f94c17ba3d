"""The test program's side of an assertion test: the process that holds the expected values.

The test program runs as if in the submission's namespace, but the submission runs in another
process (`subject`): its functions and classes are references here (`remote`), its results are
plain values. Nothing that the submission does can end the test program early, patch it or read
it, so "the test program ended" means that its assertions held.
"""

from __future__ import annotations

import builtins
import json
import linecache
import symtable
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import program, remote, wire

TESTS_FILE = "<tests>"
_OUTPUT_LIMIT = 16 << 20
_TEXT = 6000
# Tests use these to judge; whatever a submission so calls, they mean the module.
_TRUSTED = {
    **{name: name for name in ("math", "cmath", "numpy", "itertools", "collections")},
    **{name: name for name in ("functools", "re", "operator", "copy")},
    "np": "numpy",
}
_TEXTS = ("stage", "type", "message", "traceback")


def examine(
    tests: bytes,
    requests_fd: int,
    answers_fd: int,
    report: Callable[[bytes, bytes], None],
    *,
    entry: str = "",
    output_limit: int = _OUTPUT_LIMIT,
    own_equality: bool = False,
) -> None:
    """Run the test program against the submission behind the two descriptors.

    Reports once: "D" (its payload empty) if the test program ended normally, "O" if a result is
    larger than `output_limit` bytes, else "E" with the fields of `program.describe` as JSON; its
    stage is "compile", "run", or "died" when the submission's process ended or sent no answer.
    `entry` is the function under test, if known: the one name that may hide a built-in.
    With `own_equality` two of the submission's objects are compared by its own `==`; without, an
    object equals only itself.
    """
    limit = wire.message_limit(output_limit)
    link = remote.Link(wire.Channel(answers_fd, requests_fd, limit))
    link.own_equality = own_equality
    failure: BaseException | None = None
    try:
        told = link.receive()
        if told[0] == "failed":
            report(b"E", _told(told[1:], "run"))
            return
        code, space = _prepare(tests, link, told, entry)
        sys.setrecursionlimit(1000 + program.stack_depth())
        exec(code, space)
    except BaseException as error:
        failure = error
    failure = failure or link.failed
    if link.lost is not None:
        # Whatever the test program made of it: it cannot have been answered.
        report(*_lost(link.lost))
    elif failure is None:
        report(b"D", b"")
    else:
        report(b"E", _failed(failure))


def _lost(lost: remote.Lost) -> tuple[bytes, bytes]:
    if lost.kind == "large":
        return b"O", b""
    return b"E", _told([{"stage": "died", "message": lost.message}], "died")


def _told(parts: list[Any], stage: str) -> bytes:
    """What the submission's process told of its exception, in known fields of known types."""
    told = parts[0] if parts and type(parts[0]) is dict else {}
    fields: dict[str, Any] = {name: _cut(str(told.get(name, ""))) for name in _TEXTS}
    if fields["stage"] not in ("compile", stage):
        fields["stage"] = stage
    memory = told.get("memory") is True
    return json.dumps({**fields, "memory": memory, "in_tests": False}).encode()


def _failed(error: BaseException) -> bytes:
    told = vars(error).get("_mars_told") if hasattr(error, "__dict__") else None
    if told is not None:
        return _told([{**told, "stage": "run"}], "run")
    program.own_frames_off(error)
    # Only trusted code runs here, so an assertion, wherever it is, is the tests'.
    own = isinstance(error, AssertionError)
    return json.dumps({"stage": "run", **program.describe(error), "in_tests": own}).encode()


def _cut(text: str) -> str:
    return text if len(text) <= 2 * _TEXT else f"{text[:_TEXT]}\n…\n{text[-_TEXT:]}"


# --------------------------------------------------------------------------- namespace


class _Space(dict[str, Any]):
    """Globals that ask for the submission's plain global values, which may change.

    Name look-ups of a dict subclass honour `__missing__` in every CPython from 3.3 on, in the
    module and in its functions.
    """

    def __init__(self, link: remote.Link, lazy: set[str]) -> None:
        super().__init__()
        self._link, self._lazy = link, lazy

    def __missing__(self, name: str) -> Any:
        if name not in self._lazy:
            raise KeyError(name)
        return self._link.ask("global", name)


def _prepare(
    tests: bytes, link: remote.Link, told: list[Any], entry: str
) -> tuple[Any, dict[str, Any]]:
    """The test program's code and its globals, with the submission's names that it uses."""
    text = tests.decode("utf-8", "replace")
    linecache.cache[TESTS_FILE] = (len(text), None, text.splitlines(True), TESTS_FILE)
    code = compile(tests, TESTS_FILE, "exec", dont_inherit=True)
    names = told[1] if told[0] == "loaded" and len(told) > 1 else None
    if type(names) is not dict:
        raise link.lose("died", "malformed answer: no names")
    used, own = _names(text)
    hidden = _hidden(used - own, set(names), entry)
    lazy = {n for n in used - hidden - _TRUSTED.keys() if n in names and names[n] is None}
    space: dict[str, Any] = _Space(link, lazy) if lazy else {}
    space.update(__name__="tests", __builtins__=builtins)
    solution = _module(link, names)
    for name in used & names.keys():
        if name in _TRUSTED:
            space[name] = remote.module(_TRUSTED[name])
        elif names[name] is not None and name not in hidden:
            space[name] = vars(solution)["__getattr__"](name)
    return code, space


def _module(link: remote.Link, names: dict[str, Any]) -> ModuleType:
    """`solution`, for tests that import from it."""
    module = ModuleType("solution")
    found: dict[str, Any] = {}

    def find(name: str) -> Any:
        if name in found:
            return found[name]
        if name not in names:
            raise AttributeError(f"module 'solution' has no attribute {name!r}")
        if names[name] is None:
            return link.ask("global", name)
        try:
            found[name] = link.unpack(names[name])
        except ValueError as wrong:
            raise link.lose("died", f"malformed name: {wrong}") from None
        return found[name]

    module.__dict__.update(__getattr__=find, __all__=[n for n in names if n[:1] != "_"])
    sys.modules["solution"] = module
    return module


def _names(text: str) -> tuple[set[str], set[str]]:
    """The global names that a test program uses, and those that it makes itself."""
    used: set[str] = set()
    own: set[str] = set()
    top = symtable.symtable(text, TESTS_FILE, "exec")
    tables = [top]
    while tables:
        table = tables.pop()
        tables.extend(table.get_children())
        for symbol in table.get_symbols():
            if table is top or symbol.is_global():
                if symbol.is_referenced():
                    used.add(symbol.get_name())
                if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                    own.add(symbol.get_name())
    return used, own


def _hidden(used: set[str], names: set[str], entry: str) -> set[str]:
    """The submission's names that the test program must not get: they are built-ins' names.

    A submission that defines `abs` must not judge itself by it. Only the function under test
    may have such a name (`sum` in MBPP): `entry`, or where that is unknown, what is left when
    the test program uses nothing of the submission but such names.
    """
    clashes = {name for name in names if hasattr(builtins, name)}
    if entry:
        return clashes - {entry}
    return clashes if (used & names) - clashes else set()
