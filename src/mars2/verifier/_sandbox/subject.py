"""The submission's side of an assertion test: run it, then answer the test program's requests.

The test program runs in another process (`examiner`), which holds the expected values. This
process only ever sees the arguments of calls; whatever it answers is a claim about a result,
never about a verdict. So nothing here guards against the submission: it shares the process.
"""

from __future__ import annotations

import _thread
import builtins
import copy
import gc
import io
import operator
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import channel, program, wire

_HANDLES = 1_000_000
# Where a type may come from to be named rather than kept: plain data, nothing that equals all.
NAMED_MODULES = frozenset(
    {"builtins", "collections", "datetime", "decimal", "enum", "fractions", "json", "numbers"}
    | {"itertools", "functools", "typing", "collections.abc", "statistics", "re"}
)
_MUTABLE = frozenset(
    {"tuple", "record", "dict", "ordereddict", "counter", "defaultdict", "set", "deque"}
    | {"bytearray", "array"}
)


def run(job: program.Job, _: program.Answers) -> int:
    """Serve the examiner of an assertion test."""
    gc.enable()
    serve(job.source, job.path, channel.REQUESTS, channel.ANSWERS, job.output)
    return 0


def serve(source: bytes, path: str, requests_fd: int, answers_fd: int, output_limit: int) -> None:
    """Run the submission, say what it defines, and answer until the requests end.

    The submission is a module named "solution". A result is at most `output_limit` bytes;
    a larger one is told as such.
    """
    channel = wire.Channel(requests_fd, answers_fd, None)
    subject = _Subject(channel, output_limit)
    try:
        if subject.load(source, path):
            subject.answer()
    except (EOFError, OSError):
        pass  # the examiner is done


class _Subject(wire.Codec):
    def __init__(self, channel: wire.Channel, limit: int) -> None:
        super().__init__(limit)
        self._channel, self._pid = channel, os.getpid()
        self._objects: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}  # id of a kept object: its number
        self._next = 0
        self._callbacks: dict[int, Any] = {}
        self._pending: dict[int, BaseException] = {}  # what ended an iterator after some items
        self._printed = io.BytesIO()
        self._lock = _thread.RLock()  # threads may call back
        self._operations: dict[str, Callable[..., Any]] = {**_OPERATIONS, "take": self._take}

    # ------------------------------------------------------------------ the submission

    def load(self, source: bytes, path: str) -> bool:
        """Compile and run it. Tells its names, or what went wrong (then False)."""
        stage = "compile"
        try:
            code = compile(source, path, "exec", dont_inherit=True)
            stage = "run"
            module = ModuleType("solution")
            module.__dict__.update(__file__=path, __builtins__=builtins)
            sys.stdout = io.TextIOWrapper(self._printed, "utf-8", "replace", write_through=True)
            sys.modules["solution"] = module  # dataclasses and pickle look it up
            sys.setrecursionlimit(1000 + program.stack_depth())
            self._operations["global"] = module.__dict__.__getitem__
            exec(code, module.__dict__)
        except BaseException as error:
            program.own_frames_off(error, 1 if stage == "run" else 10)
            self._channel.send(["failed", {"stage": stage, **program.describe(error)}])
            return False
        names = {}
        for name, value in list(module.__dict__.items()):
            if type(name) is str and not name.startswith("__"):
                fixed = callable(value) or isinstance(value, ModuleType)
                names[name] = self.refer(value) if fixed else None
        self._channel.send(["loaded", names])
        return True

    def _show(self) -> None:
        """Pass on what was printed: a test program may have redirected its own output."""
        text = self._printed.getvalue()[: self._limit].decode("utf-8", "replace")
        self._printed.seek(0)
        self._printed.truncate()
        self._channel.send(["printed", text])

    # ------------------------------------------------------------------ requests

    def answer(self) -> Any:
        """Answer requests until the end (EOFError), or until a callback's return comes."""
        while True:
            message = self._channel.receive()
            if message[0] != "ask":
                return message
            answer = self._answer(*message[1:])
            if os.getpid() != self._pid:
                os._exit(0)  # the program forked and its child arrived here
            try:
                if self._printed.tell():
                    self._show()
                self._channel.send(answer)
            except wire.TooLarge:
                self._channel.send(["large"])

    def _answer(
        self, operation: str, arguments: list[Any], named: dict[str, Any], dropped: list[int]
    ) -> list[Any]:
        for number in dropped:
            self._numbers.pop(id(self._objects.pop(number, None)), None)
        try:
            values = [self.unpack(item) for item in arguments]
            names = {name: self.unpack(item) for name, item in named.items()}
            if operation != "call":
                result = self._operations[operation](*values, **names)
                return ["ok", self.pack(result)]
            result = values[0](*values[1:], **names)
            for index, value in enumerate(values):
                if value is result and _mutable(arguments[index]):
                    return ["same", index, self._changes(arguments, values, named, names)]
            made = isinstance(values[0], type) and _has_methods(type(result))
            packed = self._reference(result, "based") if made else self.pack(result)
            return ["ok", packed, self._changes(arguments, values, named, names)]
        except wire.TooLarge:
            return ["large"]
        except BaseException as error:
            program.own_frames_off(error)
            return self._raised(error)

    def _changes(
        self, before: list[Any], values: list[Any], named: dict[str, Any], names: dict[str, Any]
    ) -> list[Any]:
        """[[position or name, value], …] of the arguments that are not what they were."""
        changes: list[Any] = []
        size = self._channel.received  # large arguments are no result, even if they changed
        for index, item in enumerate(before):
            if _mutable(item) and (now := self.pack(values[index], size)) != item:
                changes.append([index, now])
        for name, item in named.items():
            if _mutable(item) and (now := self.pack(names[name], size)) != item:
                changes.append([name, now])
        return changes

    def _raised(self, error: BaseException) -> list[Any]:
        told = {"stage": "run", **program.describe(error), "in_tests": False}
        try:
            text = str.__str__(str(error))
        except BaseException:
            text = ""
        try:
            arguments = self.pack(list(error.args))
            attributes = self.pack({k: v for k, v in vars(error).items() if k[:1] != "_"})
        except BaseException:
            arguments, attributes = self.pack([]), self.pack({})
        return ["raised", self.refer(type(error)), arguments, attributes, text, told]

    def _take(self, iterator: Any, count: int) -> tuple[list[Any], bool]:
        """Up to `count` items, and whether the iterator ended. What it raises comes after them."""
        number = self._numbers.get(id(iterator), -1)
        if number in self._pending:
            raise self._pending.pop(number)
        items: list[Any] = []
        try:
            while len(items) < count:
                items.append(next(iterator))
        except StopIteration:
            return items, True
        except BaseException as error:
            if not items:
                raise
            self._pending[number] = error
        return items, False

    # ------------------------------------------------------------------ references

    def refer(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(value, ModuleType):
            return {"module": value.__name__}
        if kind is _Callback:
            return {"callback": value._number}
        if issubclass(kind, type):
            if (named := named_type(value)) is not None:
                return {"named": named}
            if issubclass(value, BaseException):
                line = value.__mro__
                own = [c.__name__ for c in line if c.__module__ != "builtins"]
                base = next(c.__name__ for c in line if c.__module__ == "builtins")
                return {"exception": [self._keep(value), own, base, value.__module__]}
            return self._reference(value, "class")
        what = "iterator" if hasattr(kind, "__next__") else "object"
        if what == "object" and callable(value):
            what = "callable"
        return self._reference(value, what)

    def _reference(self, value: Any, what: str) -> Any:
        name = value.__name__ if what == "class" else type(value).__name__
        return {"ref": [self._keep(value), what, name]}

    def _keep(self, value: Any) -> int:
        number = self._numbers.get(id(value))
        if number is None:
            if len(self._objects) >= _HANDLES:
                raise wire.TooLarge
            self._next = number = self._next + 1
            self._objects[number], self._numbers[id(value)] = value, number
        return number

    def resolve(self, kind: str, data: Any) -> Any:
        if kind == "ref":
            return self._objects[data]
        if kind == "callback":
            number, name = data
            if number not in self._callbacks:
                self._callbacks[number] = _Callback(self, number, name)
            return self._callbacks[number]
        if kind == "named":
            return getattr(sys.modules.get(data[0]) or __import__(data[0]), data[1])
        raise ValueError(f"no such reference: {kind}")

    def call_back(self, number: int, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a function of the test program, which waits for this call's answer."""
        with self._lock:
            packed = [self.pack(item) for item in arguments]
            names = {name: self.pack(item) for name, item in named.items()}
            self._channel.send(["callback", number, packed, names])
            message = self.answer()
            if message[0] == "return":
                return self.unpack(message[1])
        raise self.unpack(message[1])(*self.unpack(message[2]))


class _Callback:
    """A function of the test program, as the submission sees it."""

    def __init__(self, subject: _Subject, number: int, name: str) -> None:
        self._subject, self._number = subject, number
        self.__name__ = name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._subject.call_back(self._number, arguments, named)


def named_type(value: Any) -> list[str] | None:
    """[module, name] of a type that both sides have and that is plain data's."""
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if type(module) is not str or module not in NAMED_MODULES or type(name) is not str:
        return None
    found = getattr(sys.modules.get(module), name, None)
    return [module, name] if found is value else None


def _mutable(item: Any) -> bool:
    """Whether an encoded argument is, or may hold, something that a call can change in place."""
    if type(item) is list:
        return True
    return type(item) is dict and not _MUTABLE.isdisjoint(item)


def _has_methods(kind: type) -> bool:
    """Whether it is a subclass of a plain type with methods of its own (not a named tuple)."""
    if kind in wire.PLAIN_TYPES or hasattr(kind, "_fields"):
        return False
    for owner in kind.__mro__:
        if owner in wire.PLAIN_TYPES:
            return True
        if not any(name[:2] != "__" and callable(item) for name, item in vars(owner).items()):
            return False
    return False


def _base(value: Any) -> Any:
    """The base value of an instance that is kept although it has one."""
    kinds: tuple[Callable[[Any], Any], ...] = (list, dict, set, tuple, str, int, float)
    for base in kinds:
        if isinstance(value, base):  # type: ignore[arg-type]
            return base(value)
    raise TypeError("no base value")


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "len": len,
    "bool": bool,
    "str": str,
    "repr": repr,
    "format": format,
    "iter": iter,
    "isinstance": isinstance,
    "issubclass": issubclass,
    "base": _base,
    "eq": operator.eq,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "enter": lambda value: type(value).__enter__(value),
    "exit": lambda value, *about: type(value).__exit__(value, *about),
    **{
        name: getattr(operator, name)
        for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
    },
    **{name: getattr(operator, name) for name in ("and_", "or_", "xor", "lshift", "rshift")},
    **{name: getattr(operator, name) for name in ("neg", "pos", "invert")},
    **{name: getattr(operator, name) for name in ("lt", "le", "gt", "ge")},
}
