"""Values between a test program's process and the submission's, as text, never as objects.

A value is JSON: None, bool, float, str, short ints and lists are themselves; everything else is
an object with one key, its kind: {"tuple": [...]}. What travels is the base value of an exact
built-in type, so a subclass's own `__eq__` decides nothing on the other side. What has no such
value stays where it is and travels as a reference, which each side's `Codec` defines.

The receiver takes every byte for hostile: frames are counted and capped, nesting is bounded,
nothing is bigger in memory than a small multiple of its text, and what is malformed raises
ValueError.
"""

from __future__ import annotations

import json
import struct
import sys
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from os import read as _read  # bound here: a submission may replace the modules' functions
from os import write as _write
from types import MappingProxyType
from typing import Any

MAX_DEPTH = 200
UNLIMITED = 1 << 40
_MAX_MESSAGE = 1 << 30
_HEAD = struct.Struct(">I")
_INT_BITS = 13_000  # below the 4300 decimal digits that int() and json refuse
_NUMPY_KINDS = "biufc"
_NUMPY_TYPES = frozenset(
    f"{order}{kind}{size}"
    for order in "<>|"
    for kind in _NUMPY_KINDS
    for size in (1, 2, 4, 8, 16, 32)
)
_dumps = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode
_loads = json.JSONDecoder(parse_constant=float).decode  # a new NaN each time
_MALFORMED = (
    *(TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError),
    *(RecursionError, NotImplementedError),
)


class TooLarge(Exception):
    """A value has more parts than its limit allows bytes."""


def message_limit(limit: int) -> int:
    """Bytes of a message that holds a value of `limit`: escapes, and what is beside the value."""
    return 8 * limit + (1 << 16)


class Opaque:
    """A value that could not travel: it equals nothing and has nothing to use."""

    __slots__ = ("_kind", "_text")

    def __init__(self, kind: str, text: str) -> None:
        self._kind, self._text = kind, text

    def __repr__(self) -> str:
        return self._text or f"<{self._kind}>"


class Channel:
    """Counted messages over two pipes. One side asks, the other answers, in turn.

    `limit` (bytes; None for a trusted sender) is on what comes; an answer may add the size of
    what was asked, because it may hold it again.
    """

    def __init__(self, read_fd: int, write_fd: int, limit: int | None) -> None:
        self._reader, self._writer, self._limit = read_fd, write_fd, limit
        self._buffer = b""
        self.sent = self.received = 0  # sizes of the latest messages

    def send(self, message: Any) -> None:
        """Raises TooLarge (nothing is sent then) or OSError."""
        text = _dumps(message).encode("ascii")
        if len(text) > _MAX_MESSAGE:
            raise TooLarge
        self.sent = len(text)
        data = _HEAD.pack(len(text)) + text
        sent = _write(self._writer, data)
        while sent < len(data):
            sent += _write(self._writer, data[sent : sent + (1 << 20)])

    def receive(self) -> Any:
        """The next message. Raises EOFError at the end and ValueError if it is malformed."""
        self._fill(4)
        self.received = _HEAD.unpack_from(self._buffer)[0]
        if self._limit is not None and self.received > self._limit + 2 * self.sent:
            raise ValueError("the message is too long")
        size = self.received + 4
        self._fill(size)
        text, self._buffer = self._buffer[4:size], self._buffer[size:]
        try:
            return _loads(text.decode("ascii"))
        except RecursionError:
            raise ValueError("the message is nested too deeply") from None

    def _fill(self, size: int) -> None:
        if len(self._buffer) >= size:
            return
        parts, have = [self._buffer], len(self._buffer)
        while have < size:
            part = _read(self._reader, 1 << 16 if size - have < 1 << 16 else 1 << 20)
            if not part:
                raise EOFError
            parts.append(part)
            have += len(part)
        self._buffer = b"".join(parts)


class Codec:
    """Values to JSON and back. Subclasses say how what cannot travel is referred to."""

    def __init__(self, limit: int) -> None:
        self._limit = self._budget = limit
        self._path: set[int] = set()
        self._records: dict[tuple[str, ...], Any] = {}

    def refer(self, value: Any) -> Any:
        """A reference (an object with one key) to a value that stays on this side."""
        raise NotImplementedError

    def resolve(self, kind: str, data: Any) -> Any:
        """What a reference from the other side stands for. Raises ValueError."""
        raise NotImplementedError

    # ------------------------------------------------------------------ encode

    def pack(self, value: Any, more: int = 0) -> Any:
        """`value` as JSON, which may be `more` bytes over the limit. Raises TooLarge."""
        self._budget = self._limit + more
        self._path.clear()
        return self._encode(value, 0)

    def _encode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self._budget -= 1
        if self._budget < 0:
            raise TooLarge
        if value is None or kind is bool or kind is float:
            return value
        encode = _ENCODERS.get(kind)
        if encode is None:
            encode = self._inherited(kind)
            if encode is None:
                return self.refer(value)
        return encode(self, value, depth)

    def _inherited(self, kind: type) -> Callable[[Codec, Any, int], Any] | None:
        numpy: Any = sys.modules.get("numpy")
        array = getattr(numpy, "ndarray", None)
        if array is not None and (kind is array or issubclass(kind, numpy.generic)):
            return _numpy
        return next((_ENCODERS[base] for base in kind.__mro__ if base in _ENCODERS), None)

    def _items(self, value: Any, depth: int, items: Iterable[Any]) -> list[Any]:
        """The parts of a container; a container within itself ends as an opaque value."""
        if depth >= MAX_DEPTH or id(value) in self._path:
            return [{"opaque": [type(value).__name__, "..."]}]
        self._path.add(id(value))
        found = [self._encode(item, depth + 1) for item in items]
        self._path.discard(id(value))
        return found

    def _list(self, value: list[Any], depth: int) -> Any:
        kinds: set[Any] = set(map(type, value)) if type(value) is list else {list}
        if kinds <= _PLAIN and not (int in kinds and _wide(value, kinds)):
            self._budget -= len(value)
            if self._budget < 0:
                raise TooLarge
            return value
        return self._items(value, depth, list.__iter__(value))

    def _int(self, value: int, _depth: int) -> Any:
        bits = int.bit_length(value)
        if bits < _INT_BITS:
            return int.__index__(value)
        self._budget -= bits // 4
        return {"int": int.__format__(value, "x")}

    def _str(self, value: str, _depth: int) -> Any:
        self._budget -= len(value)
        if self._budget < 0:
            raise TooLarge
        if not str.isascii(value):
            try:
                str.encode(value)
            except UnicodeEncodeError:  # JSON would join surrogates
                return {"str": str.encode(value, "utf-8", "surrogatepass").hex()}
        return str.__str__(value)

    def _bytes(self, value: bytes | bytearray, _depth: int) -> Any:
        self._budget -= 2 * len(value)
        if self._budget < 0:
            raise TooLarge
        return {"bytes" if isinstance(value, bytes) else "bytearray": bytes(value).hex()}

    def _tuple(self, value: tuple[Any, ...], depth: int) -> Any:
        items = self._items(value, depth, tuple.__iter__(value))
        fields = getattr(type(value), "_fields", None)
        if type(value) is tuple or type(fields) is not tuple or len(fields) != len(items):
            return {"tuple": items}
        names = [str.__str__(name) for name in fields if issubclass(type(name), str)]
        return {"record": [type(value).__name__, names, items]}

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        keys = self._items(value, depth, dict.keys(value))
        values = self._items(value, depth, dict.values(value))
        kind = type(value)
        if kind is defaultdict and value.default_factory in _FACTORIES.values():  # type: ignore[attr-defined]
            factory = value.default_factory.__name__  # type: ignore[attr-defined]
            return {"defaultdict": [keys, values, factory]}
        return {_DICTS.get(kind, "dict"): [keys, values]}

    # ------------------------------------------------------------------ decode

    def unpack(self, value: Any) -> Any:
        """The value of JSON from the other side. Raises ValueError."""
        try:
            return self._decode(value, 0)
        except _MALFORMED as error:
            raise ValueError(f"malformed value: {type(error).__name__}: {error}") from None

    def _decode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is list:
            return self._decoded(value, depth)
        if kind is not dict:
            return value
        ((tag, data),) = value.items()
        decode = _DECODERS.get(tag)
        return self.resolve(tag, data) if decode is None else decode(self, data, depth)

    def _decoded(self, items: Any, depth: int) -> list[Any]:
        if type(items) is not list or depth > MAX_DEPTH:
            raise ValueError("not a list, or nested too deeply")
        if set(map(type, items)) <= _LEAVES:
            return items[:]
        return [self._decode(item, depth + 1) for item in items]

    def _record(self, data: Any, depth: int) -> Any:
        name, fields, items = data
        key = (name, *fields)
        if key not in self._records:
            if len(self._records) >= 256 or len(key) > 256:
                raise ValueError("too many named tuples")
            # namedtuple() itself refuses whatever is not a plain name
            self._records[key] = namedtuple(name, fields)
        return self._records[key](*self._decoded(items, depth))

    def _mapping(self, kind: Any, data: Any, depth: int) -> Any:
        keys, values = data[:2]
        pairs = zip(self._decoded(keys, depth), self._decoded(values, depth), strict=True)
        if kind is defaultdict:
            return defaultdict(_FACTORIES[data[2]], pairs)
        return kind(dict(pairs))

    def _array(self, data: Any, depth: int) -> Any:
        kind, shape, items = data
        flat = self._decoded(items, depth)
        try:
            import numpy
        except ImportError:
            return flat
        if kind not in _NUMPY_TYPES:
            raise ValueError("not a number's type")
        return numpy.array(flat, dtype=kind).reshape(shape)


def _wide(items: list[Any], kinds: set[Any]) -> bool:
    """Whether an int among numbers is too long for JSON."""
    if kinds <= {int, bool}:
        return max(max(items), -min(items)).bit_length() >= _INT_BITS
    return any(item.bit_length() >= _INT_BITS for item in items if type(item) is int)


def _numpy(codec: Codec, value: Any, depth: int) -> Any:
    if getattr(value, "shape", ()) == () or not hasattr(value, "tolist"):
        plain = value.item()
        return codec.refer(value) if type(plain) is type(value) else codec._encode(plain, depth)
    if value.dtype.kind not in _NUMPY_KINDS:
        return codec._list(value.tolist(), depth)
    codec._budget -= value.size
    if codec._budget < 0:
        raise TooLarge
    flat = value.ravel().tolist()
    return {"array": [value.dtype.str, list(value.shape), codec._list(flat, depth)]}


def _zone(value: Any) -> Any:
    """A fixed offset in microseconds, None without one."""
    offset = value.utcoffset()
    return None if offset is None else offset // timedelta(microseconds=1)


def _zoned(offset: Any) -> timezone | None:
    return None if offset is None else timezone(timedelta(microseconds=offset))


def _clock(value: Any) -> list[int]:
    return [value.hour, value.minute, value.second, value.microsecond]


_PLAIN = frozenset({type(None), bool, float, int})
_LEAVES = _PLAIN | {str}
_FACTORIES = {kind.__name__: kind for kind in (int, float, str, list, dict, set, tuple, bool)}
_DICTS: dict[type, str] = {OrderedDict: "ordereddict", Counter: "counter"}
_CONSTANTS = {"NotImplemented": NotImplemented, "Ellipsis": Ellipsis}

_ENCODERS: dict[type, Callable[[Any, Any, int], Any]] = {
    int: Codec._int,
    bool: lambda c, v, d: v,
    float: lambda c, v, d: float.__float__(v),
    str: Codec._str,
    list: Codec._list,
    tuple: Codec._tuple,
    dict: Codec._dict,
    set: lambda c, v, d: {"set": c._items(v, d, set.__iter__(v))},
    frozenset: lambda c, v, d: {"frozenset": c._items(v, d, frozenset.__iter__(v))},
    bytes: Codec._bytes,
    bytearray: Codec._bytes,
    complex: lambda c, v, d: {"complex": [v.real, v.imag]},
    range: lambda c, v, d: {"range": [c._int(n, d) for n in (v.start, v.stop, v.step)]},
    slice: lambda c, v, d: {"slice": c._items(v, d, (v.start, v.stop, v.step))},
    Decimal: lambda c, v, d: {"decimal": Decimal.__str__(v)},
    Fraction: lambda c, v, d: {"fraction": [f"{v.numerator:x}", f"{v.denominator:x}"]},
    deque: lambda c, v, d: {"deque": [c._items(v, d, deque.__iter__(v)), v.maxlen]},
    timedelta: lambda c, v, d: {"timedelta": [v.days, v.seconds, v.microseconds]},
    datetime: lambda c, v, d: {"datetime": [v.year, v.month, v.day, *_clock(v), v.fold, _zone(v)]},
    date: lambda c, v, d: {"date": [v.year, v.month, v.day]},
    time: lambda c, v, d: {"time": [*_clock(v), v.fold, _zone(v)]},
    type(NotImplemented): lambda c, v, d: {"constant": "NotImplemented"},
    type(Ellipsis): lambda c, v, d: {"constant": "Ellipsis"},
    MappingProxyType: lambda c, v, d: c._dict(dict(v), d),
    type({}.keys()): lambda c, v, d: {"dict_keys": c._items(v, d, v)},
    type({}.values()): lambda c, v, d: {"dict_values": c._items(v, d, v)},
    type({}.items()): lambda c, v, d: {"dict_items": c._items(v, d, v)},
    Opaque: lambda c, v, d: {"opaque": [v._kind, v._text]},
}
PLAIN_TYPES = frozenset(_ENCODERS)

_DECODERS: dict[str, Callable[[Any, Any, int], Any]] = {
    "int": lambda c, v, d: int(v, 16),
    "str": lambda c, v, d: bytes.fromhex(v).decode("utf-8", "surrogatepass"),
    "tuple": lambda c, v, d: tuple(c._decoded(v, d)),
    "record": Codec._record,
    "dict": lambda c, v, d: c._mapping(dict, v, d),
    "ordereddict": lambda c, v, d: c._mapping(OrderedDict, v, d),
    "counter": lambda c, v, d: c._mapping(Counter, v, d),
    "defaultdict": lambda c, v, d: c._mapping(defaultdict, v, d),
    "set": lambda c, v, d: set(c._decoded(v, d)),
    "frozenset": lambda c, v, d: frozenset(c._decoded(v, d)),
    "bytes": lambda c, v, d: bytes.fromhex(v),
    "bytearray": lambda c, v, d: bytearray.fromhex(v),
    "complex": lambda c, v, d: complex(float(v[0]), float(v[1])),
    "range": lambda c, v, d: range(*c._decoded(v, d)),
    "slice": lambda c, v, d: slice(*c._decoded(v, d)),
    "decimal": lambda c, v, d: Decimal(str(v)),
    "fraction": lambda c, v, d: Fraction(int(v[0], 16), int(v[1], 16)),
    "deque": lambda c, v, d: deque(c._decoded(v[0], d), v[1]),
    "timedelta": lambda c, v, d: timedelta(*v),
    "datetime": lambda c, v, d: datetime(*v[:7]).replace(fold=v[7], tzinfo=_zoned(v[8])),
    "date": lambda c, v, d: date(*v),
    "time": lambda c, v, d: time(*v[:4]).replace(fold=v[4], tzinfo=_zoned(v[5])),
    "constant": lambda c, v, d: _CONSTANTS[v],
    "dict_keys": lambda c, v, d: dict.fromkeys(c._decoded(v, d)).keys(),
    "dict_values": lambda c, v, d: dict(enumerate(c._decoded(v, d))).values(),
    "dict_items": lambda c, v, d: dict(c._decoded(v, d)).items(),
    "array": Codec._array,
    "iterator": lambda c, v, d: iter(c._decoded(v, d)),
    "opaque": lambda c, v, d: Opaque(str(v[0]), str(v[1])),
}
