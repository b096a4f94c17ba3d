"""What a test program holds instead of the submission's objects: references that ask for them.

A reference is a claim of the submission, so it decides nothing against the test program's own
values: it equals only itself (an instance of a plain type's subclass: its base value, compared
here), it has no order, arithmetic, number or membership with plain values. Between two of the
submission's objects, its own operators apply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .remote import Link

_CHUNK = 128
# Tests read these off results to judge them, so a submission's own version must not answer.
_JUDGES = frozenset(
    {name for kind in (str, bytes, set, float) for name in dir(kind) if name[:2] == "is"}
    | {"startswith", "endswith"}
)
_SHOWN = frozenset({"__name__", "__doc__", "__dict__", "__annotations__", "__qualname__"})


def _exact(value: Any, kind: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"the submission gave no {kind.__name__}")
    return value


class Handle:
    """An object that the submission's process holds."""

    __slots__ = ("__weakref__", "_mars_kind", "_mars_link", "_mars_number")

    def __init__(self, link: Link, number: int, kind: str) -> None:
        for name, value in (("link", link), ("number", number), ("kind", kind)):
            object.__setattr__(self, f"_mars_{name}", value)

    def __del__(self) -> None:
        self._mars_link.dropped.append(self._mars_number)

    def __getattr__(self, name: str) -> Any:
        if name in _JUDGES or name[:6] == "_mars_" or (name[:2] == "__" and name not in _SHOWN):
            raise AttributeError(f"{self._mars_kind!r} object has no attribute {name!r}")
        return self._mars_link.ask("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._mars_link.ask("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._mars_link.ask("delattr", self, name)

    def __eq__(self, other: object) -> bool:
        if self is other or not (self._mars_link.own_equality and isinstance(other, Handle)):
            return self is other
        return _exact(self._mars_link.ask("eq", self, other), bool)

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __str__(self) -> str:
        return _exact(self._mars_link.ask("str", self), str)

    def __repr__(self) -> str:
        return _exact(self._mars_link.ask("repr", self), str)

    def __format__(self, how: str) -> str:
        return _exact(self._mars_link.ask("format", self, how), str)

    def __bool__(self) -> bool:
        return _exact(self._mars_link.ask("bool", self), bool)

    def __len__(self) -> int:
        return _exact(self._mars_link.ask("len", self), int)

    def __iter__(self) -> Any:
        return iter(self._mars_link.ask("iter", self))

    def __getitem__(self, key: Any) -> Any:
        return self._mars_link.ask("getitem", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._mars_link.ask("setitem", self, key, value)

    def __delitem__(self, key: Any) -> None:
        self._mars_link.ask("delitem", self, key)

    def __copy__(self) -> Any:
        return self._mars_link.ask("copy", self)

    def __deepcopy__(self, _known: Any) -> Any:
        return self._mars_link.ask("deepcopy", self)

    def __enter__(self) -> Any:
        return self._mars_link.ask("enter", self)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        swallowed = self._mars_link.ask("exit", self, kind, None, None)
        own = isinstance(kind, type) and issubclass(kind, AssertionError)
        return False if own else swallowed  # the tests' assertions are not the submission's


def _operator(name: str) -> Callable[[Handle, Any], Any]:
    def apply(self: Handle, other: Any) -> Any:
        # Never against a plain value: its result could pass for whatever the test expects.
        if not isinstance(other, Handle):
            return NotImplemented
        return self._mars_link.ask(name, self, other)

    return apply


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "xor"):
    setattr(Handle, f"__{_name}__", _operator(_name))
for _name in ("lt", "le", "gt", "ge", "lshift", "rshift"):
    setattr(Handle, f"__{_name}__", _operator(_name))
for _name in ("and", "or"):
    setattr(Handle, f"__{_name}__", _operator(f"{_name}_"))
for _name in ("neg", "pos", "invert"):
    setattr(Handle, f"__{_name}__", lambda self, _name=_name: self._mars_link.ask(_name, self))


class CallableHandle(Handle):
    """A function, a method, or an instance with `__call__`."""

    __slots__ = ()

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._mars_link.request("call", (self, *arguments), named)


class ClassHandle(CallableHandle):
    """A class that the submission defined."""

    __slots__ = ()

    def __instancecheck__(self, instance: Any) -> bool:
        if not isinstance(instance, Handle):
            return False
        return _exact(self._mars_link.ask("isinstance", instance, self), bool)

    def __subclasscheck__(self, kind: Any) -> bool:
        if not isinstance(kind, Handle):
            return False
        return _exact(self._mars_link.ask("issubclass", kind, self), bool)


class BasedHandle(CallableHandle):
    """An instance of a subclass of a plain type: equal to what its base value is equal to."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, BasedHandle):
            other = other._mars_link.ask("base", other)
        return bool(self._mars_link.ask("base", self) == other)

    __hash__ = Handle.__hash__

    def __contains__(self, item: Any) -> bool:
        return item in self._mars_link.ask("base", self)


class IteratorHandle(Handle):
    """An iterator or generator; its items come in growing portions."""

    __slots__ = ("_mars_ended", "_mars_items", "_mars_taken")

    def __init__(self, link: Link, number: int, kind: str) -> None:
        super().__init__(link, number, kind)
        for name, value in (("ended", False), ("items", []), ("taken", 0)):
            object.__setattr__(self, f"_mars_{name}", value)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        if not self._mars_items:
            if self._mars_ended:
                raise StopIteration
            count = min(max(1, self._mars_taken // 4), _CHUNK)
            items, ended = self._mars_link.ask("take", self, count)
            object.__setattr__(self, "_mars_items", items[::-1])
            object.__setattr__(self, "_mars_ended", ended)
            object.__setattr__(self, "_mars_taken", self._mars_taken + len(items))
            if not items:
                object.__setattr__(self, "_mars_ended", True)
                raise StopIteration
        return self._mars_items.pop()


KINDS: dict[str, type[Handle]] = {
    "object": Handle,
    "callable": CallableHandle,
    "class": ClassHandle,
    "based": BasedHandle,
    "iterator": IteratorHandle,
}
