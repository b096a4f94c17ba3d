"""What `mars2 verify` tells people: the summary of a run, and one verdict in full.

Programs print what they like: control characters are shown as escapes, so that no output of a
program moves the reader's cursor or changes the terminal.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from mars2.cli.verify_results import Judged, rates
from mars2.evaluation.metrics import mean
from mars2.types import AssertionTest, FunctionalTest, Status, StdinTest, TestVerdict
from mars2.verifier import compare

_CUT = re.compile(r" … \d+ characters cut … ")
_FRAME = re.compile(r'File "[^"]*(?:program|solution|submission)[^"/]*\.py", line (\d+)')
# Those that move the cursor, change the terminal, or reorder what is read.
_CONTROL = {
    code: f"\\x{code:02x}"
    for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))
    if chr(code) not in "\t\n"
} | {code: f"\\u{code:04x}" for code in (*range(0x2028, 0x202F), *range(0x2066, 0x206A))}


# --------------------------------------------------------------------------- summary


def summary(judged: Sequence[Judged], seconds: float, cache_hits: int | None) -> Table:
    """Counts by status, pass@k over problems, time, cache hits.

    Args:
        seconds: wall time of the run.
        cache_hits: programs answered without judging; None without a cache.
    """
    table = Table(title="verdicts", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    statuses = Counter(j.verdict.status for j in judged)
    for status, count in sorted(statuses.items(), key=lambda item: -item[1]):
        table.add_row(str(status), str(count), f"{count / len(judged):.1%}")
    table.add_section()
    samples: dict[str, list[bool | None]] = defaultdict(list)
    for one in judged:
        samples[one.problem.id].append(one.passed)
    for name, of in rates(samples, (1, 5, 10, 100)).items():
        table.add_row(
            name,
            f"{mean(list(of.values())):.3f}",
            f"{len(of)} problem{'s' if len(of) != 1 else ''}",
        )
    table.add_row("programs", str(len(judged)), f"{seconds:.1f} s")
    if cache_hits is not None:
        table.add_row("from cache", str(cache_hits), "")
    return table


def print_summary(table: Table) -> None:
    """On stderr, with colours only on a terminal."""
    Console(stderr=True, highlight=False).print(table, markup=False)


# --------------------------------------------------------------------------- one verdict


def explain(one: Judged, code: str | None, tests: Sequence[object]) -> str:
    """One verdict in full.

    Args:
        code: the program judged.
        tests: the problem's tests that were judged, in order.
    """
    verdict, problem = one.verdict, one.problem
    lines = [
        f"submission  {plain(one.submission.id)}",
        f"problem     {plain(problem.id)}",
        f"verdict     {verdict.status}",
        f"tests       {verdict.passed} of {verdict.total} passed, {len(verdict.tests)} judged",
        f"seconds     {verdict.seconds:g}",
    ]
    if verdict.lcb is not None:
        lines.append(f"lcb         results {verdict.lcb.results}, code {verdict.lcb.error_code}")
    lines += ["", "program", *_program(code, verdict.tests)]
    for place, result in enumerate(verdict.tests):
        case = tests[place] if place < len(tests) else None
        hidden = "public" if place < len(problem.public_tests) else "private"
        lines += ["", f"test {place + 1} of {verdict.total} ({hidden}): {result.status}"]
        lines += _test(case, result)
    missing = verdict.total - len(verdict.tests)
    if missing > 0 and verdict.tests:
        lines += ["", f"{missing} more not judged (--all-tests judges them)"]
    return "\n".join(lines)


def plain(text: str) -> str:
    """`text` without characters that act on a terminal: they are written as escapes."""
    return text.translate(_CONTROL).encode("utf-8", "backslashreplace").decode()


def _program(code: str | None, tests: Sequence[TestVerdict]) -> list[str]:
    if code is None:
        return ["    (no program was found)"]
    trace = next((t.traceback for t in tests if t.traceback), None) or ""
    frames = _FRAME.findall(trace)
    marked = int(frames[-1]) if frames else 0
    rows = code.split("\n")
    if rows and not rows[-1]:
        rows.pop()
    width = len(str(len(rows)))
    return [
        f"{'>' if number == marked else ' '} {number:>{width}} | {plain(row)}"
        for number, row in enumerate(rows, 1)
    ]


def _test(case: object, result: TestVerdict) -> list[str]:
    lines: list[str] = []
    seconds = f"{result.seconds:g} s" if result.seconds is not None else "not measured"
    lines.append(f"  seconds: {seconds}" + (f", limit: {result.limit}" if result.limit else ""))
    if result.input is not None:
        lines += _block(_input_label(case), result.input)
    difference = None
    wrong = result.status is Status.WRONG_ANSWER
    if wrong and result.actual is not None and result.expected is not None:
        if isinstance(case, StdinTest):
            difference = first_difference(case.expected, result.actual)
        elif isinstance(case, FunctionalTest):
            difference = first_character(result.expected, result.actual)
    if result.expected is not None:
        lines += _block("expected", result.expected, difference.expected if difference else None)
    if result.actual is not None:
        lines += _block("actual", result.actual, difference.actual if difference else None)
    if difference is not None:
        lines.append(f"  difference: {plain(difference.note)}")
    if result.exception:
        lines += _block("exception", result.exception)
    if result.traceback:
        lines += _block("traceback", result.traceback)
    return lines


def _input_label(case: object) -> str:
    if isinstance(case, StdinTest):
        return "standard input"
    if isinstance(case, FunctionalTest):
        return "call"
    return "test program" if isinstance(case, AssertionTest) else "input"


@dataclass(frozen=True)
class Mark:
    """A place in a text: line and column from 0, and how many characters."""

    line: int
    column: int = 0
    length: int = 0


@dataclass(frozen=True)
class Difference:
    """Where two texts first disagree. A mark is None where its text has no such place."""

    note: str
    expected: Mark | None = None
    actual: Mark | None = None


def _block(label: str, text: str, mark: Mark | None = None) -> list[str]:
    lines = [f"  {label}:"]
    rows = text.split("\n")
    if len(rows) > 1 and not rows[-1]:
        rows.pop()
    for number, row in enumerate(rows):
        at = mark is not None and mark.line == number
        lines.append(f"  {'>' if at else ' '} | {plain(row)}")
        if at and mark is not None and mark.length:
            before = plain(row[: mark.column])
            under = plain(row[mark.column : mark.column + mark.length])
            gap = "".join("\t" if c == "\t" else " " for c in before)
            lines.append(f"    | {gap}{'^' * len(under)}")
    return lines


def first_difference(expected: str, actual: str) -> Difference | None:
    """Where printed text first differs from the expected one, by the rules of `compare`.

    `actual` may be evidence with its middle cut out: beyond the cut nothing is compared.
    """
    cut = _CUT.search(actual)
    want, want_offset = _stripped(expected)
    got, got_offset = _stripped(actual[: cut.start()] if cut else actual)
    if cut:
        got = got[:-1]  # the line that the cut goes through
    for number, (a, b) in enumerate(zip(want, got, strict=False)):
        if compare.outputs_match(a.strip(), b.strip()):
            continue
        return _line_difference(a, b, number, want_offset, got_offset)
    if cut:
        return Difference("beyond what is shown of the output")
    if len(want) == len(got):
        return None
    note = f"{len(want)} lines are expected, {len(got)} were printed"
    number = min(len(want), len(got))
    if len(want) > len(got):
        return Difference(note, expected=Mark(number + want_offset))
    return Difference(note, actual=Mark(number + got_offset))


def _stripped(text: str) -> tuple[list[str], int]:
    """Lines as they are compared, and how many lines were stripped off before them."""
    start = len(text) - len(text.lstrip())
    offset = text.count("\n", 0, start)
    first = text.rfind("\n", 0, start) + 1
    return text[first:].rstrip().split("\n"), offset


def _line_difference(a: str, b: str, number: int, want_offset: int, got_offset: int) -> Difference:
    want, got = _tokens(a), _tokens(b)
    here = f"line {number + 1}"
    for place in range(max(len(want), len(got))):
        left = want[place] if place < len(want) else None
        right = got[place] if place < len(got) else None
        if left and right and compare.outputs_match(left[0], right[0]):
            continue
        shown = [repr(token[0]) if token else "nothing" for token in (left, right)]
        return Difference(
            f"{here}, word {place + 1}: {shown[0]} is expected, not {shown[1]}",
            Mark(number + want_offset, *(left[1:] if left else ())),
            Mark(number + got_offset, *(right[1:] if right else ())),
        )
    return Difference(
        f"{here}: the same words, but the spaces or the writing of numbers beside words differ",
        Mark(number + want_offset),
        Mark(number + got_offset),
    )


def _tokens(line: str) -> list[tuple[str, int, int]]:
    found = re.finditer(r"\S+", line)
    return [(m[0], m.start(), len(m[0])) for m in found]


def first_character(expected: str, actual: str) -> Difference:
    """Where two representations of values first differ."""
    if expected == actual:
        return Difference("the same text, but not an equal value (its type, or NaN)")
    pairs = enumerate(zip(expected, actual, strict=False))
    place = next((n for n, (a, b) in pairs if a != b), min(len(expected), len(actual)))
    marks = [
        Mark(0, place, 1) if place < len(text) and "\n" not in text else None
        for text in (expected, actual)
    ]
    return Difference(f"from character {place + 1} on", *marks)
