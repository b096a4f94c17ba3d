"""What pydantic refuses, in words for whoever wrote the row."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from mars2.types import Problem

_KINDS = ("stdin", "functional", "assertion")


def _field(loc: Iterable[int | str]) -> str:
    """ "public_tests[0].args" from a pydantic location, less the name of the union's branch."""
    path = ""
    previous: int | str = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not (part in _KINDS and isinstance(previous, int)):
            path += f".{part}" if path else part
        previous = part
    return path


def fault(error: ValidationError, *, test: bool = False) -> tuple[str, str]:
    """Field and fault of a validation error's first entry; the field is "" for the whole.

    `test` says that a single test was validated, not a problem.
    """
    entry = error.errors(include_url=False)[0]
    loc = entry["loc"][1:] if test else entry["loc"]  # a test's begins with its kind
    field = _field(loc)
    what = entry["msg"].removeprefix("Value error, ")
    if entry["type"] == "extra_forbidden":
        what = "unknown field"
        if len(loc) == 1 and not test:
            what += f"; the fields are {', '.join(Problem.model_fields)}"
    elif entry["type"] == "missing":
        what = "is missing"
    elif entry["type"] == "union_tag_not_found":
        what = f'needs "kind", one of {", ".join(_KINDS)}'
    elif entry["type"] == "union_tag_invalid":
        what = f'"kind" has to be one of {", ".join(_KINDS)}'
    return field, what
