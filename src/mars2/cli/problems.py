"""`mars2 problems list|show|check`: what there is to solve, and whether it can be used."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from mars2.cli.options import json_option
from mars2.cli.output import Output
from mars2.cli.selection import Selection, selection_options, tell_bad
from mars2.errors import ProblemError
from mars2.problems import sources, stream
from mars2.problems.stats import Statistics
from mars2.types import Problem

# What an id begins with → the source it is from, where that is one source.
_SOURCE_OF = {"HumanEval": "humaneval", "mbpp": "mbpp", "Mbpp": "mbpp+"}


@click.group(name="problems")
def command() -> None:
    """List, show and check problems of any source."""


@command.command(name="list")
@click.argument("source", required=False)
@selection_options
@json_option
def list_command(source: str | None, as_json: bool, **shared: Any) -> None:
    """Problems of SOURCE, one a line; without SOURCE, the sources."""
    out = Output(as_json)
    selection = Selection.taken(shared)
    if source is None:
        for name, line in sources().items():
            if as_json:
                out.data({"source": name, "description": line})
            else:
                out.show(f"{name}\n    {line}" if len(name) > 22 else f"{name:22} {line}")
        return
    lines = [_line(problem) for problem in selection.load(source, out)]
    if as_json:
        for one in lines:
            out.data(one)
        return
    rows = [list(one.values()) for one in lines]
    out.table(f"{source}: {len(lines)} problems", list(lines[0]), rows)


@command.command(name="check")
@click.argument("source")
@selection_options
@json_option
def check_command(source: str, as_json: bool, **shared: Any) -> int:
    """Read every row of SOURCE, its tests included, and say what it holds.

    Ends with 1 if rows are bad, unless --skip-bad is given, or if no problem is left.
    """
    out = Output(as_json)
    selection = Selection.taken(shared)
    stats = Statistics()
    problems = stream(source, on_bad=stats.bad.append, **selection.window())
    for problem in islice(problems, selection.limit):
        stats.add(problem)
    found = stats.to_json()
    if as_json:
        out.data({"source": source, **found})
    else:
        _show_statistics(out, source, found)
        tell_bad(stats.bad, source, out)
    return int(found["problems"] == 0 or (bool(stats.bad) and not selection.skip_bad))


def _show_statistics(out: Output, source: str, found: dict[str, Any]) -> None:
    def counted(counts: dict[str, int]) -> str:
        return ", ".join(f"{n} {word}" for word, n in counts.items()) or "-"

    tests, dates, sizes = found["tests"], found["dates"], found["bytes"]
    time = f"{dates['first']} to {dates['last']}" if dates["first"] else "-"
    largest = sizes["largest"]
    rows: list[tuple[str, object]] = [
        ("problems", found["problems"]),
        ("bad rows", found["bad"]["rows"]),
        ("public tests", f"{tests['public']} ({found['without_public_tests']} problems without)"),
        ("private tests", tests["private"]),
        ("kinds", counted(found["kinds"])),
        ("difficulties", counted(found["difficulties"])),
        ("released", f"{time} ({dates['without']} without a date)"),
        ("private tests, packed", f"{sizes['packed'] / 1e6:.1f} MB"),
        ("private tests, unpacked", f"{sizes['unpacked'] / 1e6:.1f} MB"),
        ("largest problem", f"{largest['id']}, {largest['unpacked'] / 1e6:.1f} MB unpacked"),
    ]
    out.table(source, ["", "value"], rows)


@command.command(name="show")
@click.argument("problem_id")
@click.option("--source", help="Where to look; by default what the id begins with, or builtin.")
@click.option("--private", is_flag=True, help="Show the private tests too.")
@json_option
def show_command(problem_id: str, source: str | None, private: bool, as_json: bool) -> None:
    """One problem in full: statement, starter code, public tests."""
    out = Output(as_json)
    problem = find_problem(problem_id, source)
    if as_json:
        out.data(problem.model_dump(mode="json", exclude=None if private else {"private_tests"}))
        return
    out.show(f"{problem.id}  ({problem.difficulty or 'no difficulty'})\n\n{problem.statement}")
    if problem.starter_code:
        out.show(f"\n{problem.starter_code}")
    for title, tests in (("public", problem.public_tests), ("private", problem.private_tests)):
        out.show(f"\n{len(tests)} {title} tests")
        if title == "public" or private:
            for test in tests:
                out.show("  " + test.model_dump_json(exclude={"kind"}))


def find_problem(problem_id: str, source: str | None = None) -> Problem:
    """The problem with this id, in `source` or in the source that the id's first part names.

    Raises:
        ProblemError: no such problem, or the source cannot be read.
    """
    if source is None:
        prefix = problem_id.partition("/")[0]
        source = _SOURCE_OF.get(prefix, "builtin")
        if prefix.startswith("lab"):
            raise ProblemError(f"problem {problem_id!r}: say --source lab:FAMILY[:SPLIT]")
    for problem in stream(source):
        if problem.id in (problem_id, f"{source}/{problem_id}"):
            return problem
    raise ProblemError(
        f"{source} has no problem {problem_id!r}; `mars2 problems list {source}` shows what it has"
    )


def _line(problem: Problem) -> dict[str, Any]:
    return {
        "id": problem.id,
        "difficulty": problem.difficulty or "",
        "kind": problem.kind,
        "public": len(problem.public_tests),
        "private": len(problem.private_tests),
    }
