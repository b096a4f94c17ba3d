"""The way from the test program's process to the submission's: requests, callbacks, references.

Every answer is hostile bytes. A result becomes plain values (`wire`) or references (`handles`);
an exception becomes one of the built-in classes, or a class made here with the told name. What
is no answer, and no answer at all, is `Lost`: for good, whatever the test program catches.
"""

from __future__ import annotations

import _thread
import builtins
import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from weakref import WeakValueDictionary

from . import handles, subject, wire

_ITEMS = 100_000  # of an iterator that the test program passes
# A call that ends in one of these would silently end a loop of the test program around it.
_CONTROL = (StopIteration, StopAsyncIteration, GeneratorExit)
MODULES = frozenset(
    {"array", "bisect", "calendar", "cmath", "collections", "collections.abc", "copy", "datetime"}
    | {"decimal", "enum", "fractions", "functools", "heapq", "itertools", "json", "math"}
    | {"numbers", "operator", "random", "re", "statistics", "string", "struct", "sys", "time"}
    | {"typing", "hashlib", "numpy", "os", "io", "textwrap", "dataclasses", "queue"}
)


class Lost(BaseException):
    """The submission's process ended, or answered what is no answer. Not a test's to catch."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message  # kind: "died" or "large"


class Link(wire.Codec):
    """Asks the submission's process; one request at a time, callbacks within."""

    def __init__(self, channel: wire.Channel) -> None:
        super().__init__(wire.UNLIMITED)  # the test program is trusted
        self._channel = channel
        self.lost: Lost | None = None
        self.failed: AssertionError | None = None
        """Of the test program, in a function that the submission called and may have caught."""
        self.own_equality = False
        self._lock = _thread.RLock()  # a test program may have threads
        self.dropped: list[int] = []
        self._handles: WeakValueDictionary[int, handles.Handle] = WeakValueDictionary()
        self._errors: dict[int, type[BaseException]] = {}
        self._callbacks: dict[int, Callable[..., Any]] = {}

    def lose(self, kind: str, message: str) -> Lost:
        """Note, for good, that nothing can be asked any more."""
        if self.lost is None:
            self.lost = Lost(kind, message)
        return self.lost

    def receive(self) -> list[Any]:
        """One message from the submission's process. Raises Lost."""
        try:
            message = self._channel.receive()
        except (EOFError, OSError):
            raise self.lose("died", "the process ended before it answered") from None
        except ValueError as error:
            raise self.lose("died", f"malformed answer: {error}") from None
        if type(message) is not list or not message or type(message[0]) is not str:
            raise self.lose("died", "malformed answer: not a message")
        return message

    def ask(self, operation: str, *arguments: Any, **named: Any) -> Any:
        """The result of an operation there. Raises what it raised, or Lost."""
        return self.request(operation, arguments, named)

    def request(self, operation: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """As `ask`, with the arguments as they are."""
        with self._lock:
            return self._request(operation, arguments, named)

    def _request(self, operation: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if self.lost is not None:
            raise self.lost
        packed = [self.pack(item) for item in arguments]
        names = {name: self.pack(item) for name, item in named.items()} if named else {}
        dropped, self.dropped = self.dropped, []
        self._send(["ask", operation, packed, names, dropped])
        while True:
            answer = self.receive()
            if answer[0] == "callback":
                self._called(answer)
                continue
            if answer[0] == "printed":
                if sys.stdout is not sys.__stdout__:  # the test program wants to see it
                    sys.stdout.write(str(answer[-1]))
                continue
            try:
                if answer[0] == "ok":
                    if len(answer) > 2 and answer[2]:
                        self._change(answer[2], arguments, named)
                    return self.unpack(answer[1])
                if answer[0] == "same":
                    self._change(answer[2], arguments, named)
                    return arguments[answer[1]]
                error = self._error(answer) if answer[0] == "raised" else None
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as wrong:
                raise self.lose("died", f"malformed answer: {wrong}") from None
            if error is not None:
                raise error
            if answer[0] == "large":
                raise self.lose("large", "a result is too large")
            raise self.lose("died", "malformed answer: no such kind")

    def _send(self, message: list[Any]) -> None:
        try:
            self._channel.send(message)
        except OSError:
            raise self.lose("died", "the process ended before it was asked") from None

    def _called(self, message: list[Any]) -> None:
        """The submission calls a function of the test program: run it and send its return."""
        try:
            function = self._callbacks[message[1]]
            arguments = [self.unpack(item) for item in message[2]]
            named = {name: self.unpack(item) for name, item in message[3].items()}
        except (ValueError, TypeError, LookupError, AttributeError) as wrong:
            raise self.lose("died", f"malformed call: {wrong}") from None
        try:
            answer = ["return", self.pack(function(*arguments, **named))]
        except Exception as error:
            # An assertion's text may hold what the submission must not see.
            if isinstance(error, AssertionError):
                self.failed = self.failed or error
            shown = [] if isinstance(error, AssertionError) else list(error.args)
            kind: type = next(c for c in type(error).__mro__ if c.__module__ == "builtins")
            answer = ["raise", self.pack(kind), self.pack(shown)]
        self._send(answer)

    def _change(self, changes: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        for where, item in changes:
            old = named[where] if type(where) is str else arguments[where]
            _update(old, self.unpack(item))

    def _error(self, answer: list[Any]) -> BaseException:
        _, kind, arguments, attributes, text, told = answer
        cls, args = self.unpack(kind), self.unpack(arguments)
        if not issubclass(cls, BaseException) or type(told) is not dict or type(args) is not list:
            raise ValueError("not an exception")
        if issubclass(cls, _CONTROL):
            cls, args = RuntimeError, [f"the call raised {cls.__name__}"]
        try:
            error = cls(*args) if cls.__module__ == "builtins" else cls.__new__(cls, *args)
        except Exception:
            error = RuntimeError(str(text))
        error.__dict__.update(self.unpack(attributes))
        error.__dict__.update(_mars_told=told, _mars_text=str(text))
        return error

    # ------------------------------------------------------------------ references

    def refer(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(value, handles.Handle):
            return {"ref": value._mars_number}
        if isinstance(value, type) and "_mars_number" in vars(value):
            return {"ref": vars(value)["_mars_number"]}
        if callable(value):
            named = subject.named_type(value)
            if named is not None and (isinstance(value, type) or named[0] == "builtins"):
                return {"named": named}
            self._callbacks[id(value)] = value
            return {"callback": [id(value), getattr(value, "__name__", kind.__name__)]}
        if isinstance(value, Iterator):
            items: list[Any] = []
            for item in value:
                if len(items) >= _ITEMS:
                    raise wire.TooLarge("an iterator among the arguments has too many items")
                items.append(self._encode(item, 1))
            return {"iterator": items}
        return {"opaque": [kind.__name__, f"<{kind.__name__} of the test program>"]}

    def resolve(self, kind: str, data: Any) -> Any:
        if kind == "ref":
            number, what, name = data
            if type(number) is not int or type(name) is not str:
                raise ValueError("not a reference")
            if number in self.dropped:
                self.dropped.remove(number)
            handle = self._handles.get(number)
            if handle is None:
                handle = handles.KINDS[what](self, number, name)
                self._handles[number] = handle
            return handle
        if kind == "named" and data[0] in subject.NAMED_MODULES:
            found = getattr(importlib.import_module(data[0]), data[1])
            if isinstance(found, type):
                return found
        if kind == "exception":
            return self._error_class(*data)
        if kind == "callback":
            return self._callbacks[data]
        if kind == "module" and type(data) is str:
            return module(data) or wire.Opaque("module", f"<module {data!r}>")
        raise ValueError(f"no such reference: {kind!r}")

    def _error_class(
        self, number: int, names: list[str], base: str, home: str
    ) -> type[BaseException]:
        if type(number) is not int or len(self._errors) > 10_000 or len(names) > 100:
            raise ValueError("not an exception class")
        if number not in self._errors:
            self._errors[number] = self._find_error(names, base, home)
            if vars(self._errors[number]).get("_mars_link") is self:
                type.__setattr__(self._errors[number], "_mars_number", number)
        return self._errors[number]

    def _find_error(self, names: list[str], base: str, home: str) -> type[BaseException]:
        """The library's class if there is one; else one made here, as its parents are."""
        if names and home.partition(".")[0] in MODULES:  # not unittest's: it ends a test well
            found = getattr(sys.modules.get(home), names[0], None)
            if isinstance(found, type) and issubclass(found, BaseException):
                return found
        line: type[BaseException] = getattr(builtins, base)
        if not issubclass(line, BaseException):
            raise ValueError("not an exception class")
        for name in reversed(names):
            known = (c for c in line.__subclasses__() if c.__name__ == name)
            own = next((c for c in known if vars(c).get("_mars_link") is self), None)
            line = own or type(name, (line,), {"__str__": _text, "_mars_link": self})
        return line


def _text(error: BaseException) -> str:
    told = vars(error).get("_mars_text")
    return told if type(told) is str else BaseException.__str__(error)


def module(name: str) -> ModuleType | None:
    """A module of plain helpers that tests may use because the submission imported it."""
    if name not in MODULES:
        return None
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _update(old: Any, new: Any) -> None:
    """Make `old`, the test program's object, what the call made of its copy, in place."""
    if isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            if _nested(a, b):
                _update(a, b)
            elif isinstance(old, list):
                old[index] = b
    elif isinstance(old, list | bytearray):
        old[:] = new
    elif isinstance(old, dict):
        kept = [(k, old[k], v) for k, v in new.items() if k in old and _nested(old[k], v)]
        for _, a, b in kept:
            _update(a, b)
        old.clear()
        dict.update(old, new)
        dict.update(old, [(k, a) for k, a, _ in kept])
    elif hasattr(old, "clear"):  # a set or a deque
        old.clear()
        (old.update if hasattr(old, "update") else old.extend)(new)
    elif type(old).__module__ == "numpy" and getattr(old, "shape", ()) == new.shape:
        old[...] = new


def _nested(old: Any, new: Any) -> bool:
    return type(old) is type(new) and isinstance(old, list | dict | set | tuple | bytearray)
