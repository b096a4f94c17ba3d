"""One row of a dataset, read strictly: what is wrong is told with file, row and field."""

from __future__ import annotations

import datetime
import json
import re
from typing import Any, NamedTuple, NoReturn

from mars2.errors import ProblemError

_KINDS = {str: "a string", int: "an integer", list: "a list", dict: "an object"}


class Place(NamedTuple):
    """Where a row stands: the file, and the row in it, counted from 1."""

    file: str
    row: int

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}"


class RowError(ProblemError):
    """A row that cannot be used. `field` is "" if no field of it can be read."""

    def __init__(self, place: Place, field: str, what: str) -> None:
        super().__init__(f"{place}: field {field}: {what}" if field else f"{place}: {what}")
        self.place, self.field, self.what = place, field, what

    @property
    def reason(self) -> str:
        """What is wrong without the numbers in it, to count rows by."""
        field = re.sub(r"\[\d+\]", "[…]", self.field)
        what = re.sub(r"'[^']*'|\d[\d,.]*", "…", self.what)
        return f"{field}: {what}" if field else what

    def to_json(self) -> dict[str, Any]:
        """{"file", "row", "field", "what"}."""
        return {**self.place._asdict(), "field": self.field, "what": self.what}


class Fault(ProblemError):
    """What is wrong inside one field; `at` is the place in it, as "[2].input"."""

    def __init__(self, what: str, at: str = "") -> None:
        super().__init__(what)
        self.what, self.at = what, at


class Fields:
    """The fields of one row; `index` counts rows of the dataset from 0. Other fields are ignored.

    Every method raises RowError naming the field.
    """

    def __init__(self, place: Place, index: int, value: Any) -> None:
        self.place, self.index = place, index
        if not isinstance(value, dict):
            raise RowError(place, "", f"has to be a JSON object, not {kind_of(value)}")
        self._value = value

    @property
    def value(self) -> dict[str, Any]:
        """The row as it is."""
        return self._value

    def fail(self, field: str, what: str) -> NoReturn:
        """Refuse the row."""
        raise RowError(self.place, field, what)

    def get(self, name: str, kind: type, *, optional: bool = False) -> Any:
        """The value of a field, exactly of that type; None for null or nothing if `optional`."""
        value = self._value.get(name)
        if value is None:
            if optional:
                return None
            self.fail(name, "is null" if name in self._value else "is missing")
        if type(value) is not kind:
            self.fail(name, f"has to be {_KINDS[kind]}, not {kind_of(value)}")
        return value

    def has(self, name: str) -> bool:
        """The field is there and not null."""
        return self._value.get(name) is not None

    def text(self, name: str) -> str:
        """A string that is not blank."""
        value: str = self.get(name, str)
        if not value.strip():
            self.fail(name, "is empty")
        return value

    def texts(self, name: str, *, optional: bool = False) -> list[str]:
        """A list of strings; [] for null or nothing if `optional`."""
        values = self.get(name, list, optional=optional) or []
        for place, value in enumerate(values):
            if type(value) is not str:
                self.fail(f"{name}[{place}]", f"has to be a string, not {kind_of(value)}")
        return values

    def json(self, name: str) -> Any:
        """The value that a string holds as JSON."""
        text = self.text(name)
        with self.faults(name):
            return strict_json(text)

    def day(self, name: str) -> str:
        """The day of an ISO date or time."""
        value = self._value.get(name)
        if isinstance(value, datetime.datetime | datetime.date):  # columnar files have such a type
            return value.isoformat()[:10]
        text = self.text(name)
        try:
            return datetime.datetime.fromisoformat(text).date().isoformat()
        except ValueError:
            self.fail(name, f"has to be a date such as 2024-01-31, not {text[:40]!r}")

    def faults(self, name: str) -> _Faults:
        """A context in which a Fault becomes a RowError of this field."""
        return _Faults(self, name)


class _Faults:
    def __init__(self, fields: Fields, name: str) -> None:
        self._fields, self._name = fields, name

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        if isinstance(error, Fault):
            raise RowError(self._fields.place, self._name + error.at, error.what) from None


def kind_of(value: Any) -> str:
    """The type of a value in words."""
    return "null" if value is None else type(value).__name__


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `object_pairs_hook`: raises ValueError for a key that is given twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [k for k, _ in pairs]
        raise ValueError(f"key {next(k for k in keys if keys.count(k) > 1)!r} is given twice")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON, and equal to no answer")


def strict_json(text: str | bytes) -> Any:
    """The value of a JSON text: keys unique, no NaN or Infinity, integers up to 4300 digits.

    Raises Fault.
    """
    try:
        return json.loads(text, object_pairs_hook=unique_keys, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise Fault(f"is not UTF-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise Fault(f"is not valid JSON: {error.msg} (character {error.pos})") from None
    except RecursionError:
        raise Fault("is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        what = str(error)
        if "integer string conversion" in what:  # as Python words it, the limit is our caller's
            what = "an integer has more than 4300 digits"
        raise Fault(f"is not valid JSON: {what}") from None
