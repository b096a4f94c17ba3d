"""The shapes in which datasets publish tests → test cases. Pure; every function raises Fault.

listed      [{"input", "output", "testtype": "stdin" | "functional"}]: LiveCodeBench and what
            descends from it; a functional input is one JSON value a line, an argument each
paired      {"inputs": […], "outputs": […], "fn_name"?}: APPS, TACO; also one test an item,
            [{"input", "output", "fn_name"?, "type"?}]: PrimeIntellect
columns     {"input": […], "output": […]}: CodeContests
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from mars2.packed import PackedTests
from mars2.problems.fields import Fault, Fields, kind_of, strict_json
from mars2.problems.unpack import pack, pickled_string, unpack
from mars2.types import FunctionalTest, StdinTest, TestCase

Shape = Callable[[Any], list[TestCase]]
"""Makes tests of a JSON value; has to be picklable."""
_INTEGER = re.compile(r"-?\d+")
_SHOWN = 2000  # longer inputs stand in no statement
_OUTPUT_FOLLOWS = re.compile(r"\W*(?:sample|example|expected)?\W*outputs?\W*(?:#?\d+:)?\s*", re.I)


def _member(value: Any, name: str, kind: type, at: str) -> Any:
    if name not in value:
        raise Fault("is missing", f"{at}.{name}")
    if type(value[name]) is not kind:
        raise Fault(
            f"has to be {kind.__name__}, not {kind_of(value[name])}",
            f"{at}.{name}",
        )
    return value[name]


def _items(value: Any, at: str = "") -> list[Any]:
    if type(value) is not list:
        raise Fault(f"has to be a list of tests, not {kind_of(value)}", at)
    for place, item in enumerate(value):
        if type(item) is not dict:
            raise Fault(f"has to be an object, not {kind_of(item)}", f"{at}[{place}]")
    return value


def listed(value: Any, entry: str | None = None) -> list[TestCase]:
    """Tests of LiveCodeBench's shape; functional ones call `entry`."""
    cases: list[TestCase] = []
    for place, item in enumerate(_items(value)):
        at = f"[{place}]"
        given, wanted = _member(item, "input", str, at), _member(item, "output", str, at)
        kind = item.get("testtype", "stdin")
        if kind in ("stdin", "stdin_stdout"):
            cases.append(StdinTest(input=given, expected=wanted))
        elif kind != "functional":
            raise Fault(f"has to be stdin or functional, not {kind!r:.40}", f"{at}.testtype")
        elif not entry:
            raise Fault("is functional, but no func_name says what to call", f"{at}.testtype")
        else:
            lines = given.strip().split("\n") if given.strip() else []
            args = [_json(line, f"{at}.input") for line in lines]
            cases.append(FunctionalTest(args=args, expected=_json(wanted, f"{at}.output")))
    return cases


def _json(text: str, at: str) -> Any:
    try:
        return strict_json(text)
    except Fault as fault:
        raise Fault(fault.what, at) from None


def paired(value: Any) -> list[TestCase]:
    """Tests of APPS's shape, or one an item of PrimeIntellect's."""
    if type(value) is list:
        value = _gathered(value)
    if type(value) is not dict:
        raise Fault(f"has to be an object with inputs and outputs, not {kind_of(value)}")
    given, wanted = _member(value, "inputs", list, ""), _member(value, "outputs", list, "")
    if len(given) != len(wanted):
        raise Fault(f"holds {len(given)} inputs and {len(wanted)} outputs")
    if value.get("fn_name"):
        _member(value, "fn_name", str, "")
        return _calls(given, wanted)
    return [
        StdinTest(input=_lines(a, f".inputs[{i}]"), expected=_lines(b, f".outputs[{i}]"))
        for i, (a, b) in enumerate(zip(given, wanted, strict=True))
    ]


def _gathered(value: list[Any]) -> dict[str, Any]:
    items = _items(value)
    names = {item.get("fn_name") for item in items}
    if len(names) > 1:
        raise Fault(f"calls several functions: {', '.join(sorted(map(str, names)))}")
    for place, item in enumerate(items):
        for name in ("input", "output"):
            if name not in item:
                raise Fault("is missing", f"[{place}].{name}")
    return {
        "inputs": [item["input"] for item in items],
        "outputs": [item["output"] for item in items],
        "fn_name": next(iter(names), None),
    }


def fn_name(value: Any) -> str | None:
    """The function that tests of APPS's or PrimeIntellect's shape call; None for programs."""
    first = value[0] if type(value) is list and value else value
    name = first.get("fn_name") if type(first) is dict else None
    if name is not None and type(name) is not str:
        raise Fault(f"has to be a string, not {kind_of(name)}", ".fn_name")
    return name or None


def _lines(value: Any, at: str) -> str:
    if type(value) is list and all(type(line) is str for line in value):
        return "\n".join(value)
    if type(value) is not str:
        raise Fault(f"has to be a string or a list of strings, not {kind_of(value)}", at)
    return value


def _calls(given: list[Any], wanted: list[Any]) -> list[TestCase]:
    """Outputs are mostly published as a list of the one result; APPS's checker takes either.

    So if every output of a problem is a list of one, that one is the result.
    """
    wrapped = all(type(b) is list and len(b) == 1 for b in wanted)
    cases: list[TestCase] = []
    for place, (args, result) in enumerate(zip(given, wanted, strict=True)):
        if type(args) is not list:
            raise Fault(f"has to be a list of arguments, not {kind_of(args)}", f".inputs[{place}]")
        expected = _keys(result[0] if wrapped else result)
        cases.append(FunctionalTest(args=[_keys(a) for a in args], expected=expected))
    return cases


def _keys(value: Any) -> Any:
    """A dict whose keys are all integers in quotes has integer keys: JSON cannot say so."""
    if type(value) is dict and value and all(map(_INTEGER.fullmatch, value)):
        return {int(k): v for k, v in value.items()}
    return value


def columns(value: Any) -> list[TestCase]:
    """Tests of CodeContests's shape."""
    if type(value) is not dict:
        raise Fault(f"has to be an object with input and output, not {kind_of(value)}")
    given, wanted = _member(value, "input", list, ""), _member(value, "output", list, "")
    return paired({"inputs": given, "outputs": wanted})


def shown(statement: str, cases: list[TestCase]) -> list[int]:
    """Places of the tests that stand in the statement as examples: input, "Output", output.

    Whoever solves the problem sees them, so they are public.
    """
    text = " ".join(statement.split())
    return [i for i, case in enumerate(cases) if _stands_in(text, case)]


def _stands_in(text: str, case: TestCase) -> bool:
    if not isinstance(case, StdinTest) or len(case.input) + len(case.expected) > _SHOWN:
        return False
    given, wanted = " ".join(case.input.split()), " ".join(case.expected.split())
    if not given or not wanted:
        return False
    start = text.find(given)
    while start >= 0:
        follows = _OUTPUT_FOLLOWS.match(text, start + len(given))
        if follows and text.startswith(wanted, follows.end()):
            return True
        start = text.find(given, start + 1)
    return False


def decode(payload: bytes, shape: Shape, left_out: frozenset[int]) -> list[TestCase]:
    """The tests of a payload: zlib of JSON, or of a pickle of JSON. Raises Fault."""
    return _cases(_text(payload), shape, left_out)


def _text(payload: bytes) -> bytes | str:
    data = unpack(payload)
    # where every pickle since protocol 2 begins, and no JSON
    return pickled_string(data) if data[:1] == b"\x80" else data


def _cases(text: bytes | str, shape: Shape, left_out: frozenset[int]) -> list[TestCase]:
    return [c for i, c in enumerate(shape(strict_json(text))) if i not in left_out]


def packed(
    fields: Fields, name: str, payload: bytes, shape: Shape, left_out: frozenset[int] = frozenset()
) -> PackedTests:
    """The tests of the field `name`, checked by unpacking them once. Raises RowError."""
    how = partial(decode, shape=shape, left_out=left_out)
    with fields.faults(name):
        text = _text(payload)
        cases = _cases(text, shape, left_out)
    kinds = dict.fromkeys(c.kind for c in cases)
    return PackedTests(payload, how, count=len(cases), kinds=list(kinds), size=len(text))


def with_examples(
    fields: Fields, name: str, statement: str, value: Any, shape: Shape
) -> tuple[list[TestCase], PackedTests]:
    """Public and private tests of a field that holds all tests, as a string of JSON: `value`.

    Those that the statement shows are public. Raises RowError.
    """
    with fields.faults(name):
        cases = shape(value)
    examples = shown(statement, cases)
    payload = pack(fields.text(name).encode("utf-8", "surrogatepass"))
    private = packed(fields, name, payload, shape, frozenset(examples))
    return [cases[i] for i in examples], private
