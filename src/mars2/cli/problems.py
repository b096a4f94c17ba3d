"""`mars2 problems list|show`: what there is to solve."""

from __future__ import annotations

from typing import Any

import click

from mars2.cli.options import json_option
from mars2.cli.output import Output
from mars2.errors import ProblemError
from mars2.problems import load, sources
from mars2.types import Problem


@click.group(name="problems")
def command() -> None:
    """List and show problems of any source."""


@command.command(name="list")
@click.argument("source", required=False)
@click.option("--difficulty", help="Only problems of this difficulty.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N.")
@json_option
def list_command(
    source: str | None, difficulty: str | None, limit: int | None, as_json: bool
) -> None:
    """Problems of SOURCE, one a line; without SOURCE, the sources."""
    out = Output(as_json)
    if source is None:
        for name, line in sources().items():
            if as_json:
                out.data({"source": name, "description": line})
            else:
                out.show(f"{name:22} {line}")
        return
    problems = load(source, difficulty=difficulty, limit=limit)
    if as_json:
        for problem in problems:
            out.data(_line(problem))
        return
    rows = [list(_line(p).values()) for p in problems]
    out.table(f"{source}: {len(problems)} problems", list(_line(problems[0])), rows)


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
        source = {"HumanEval": "humaneval"}.get(prefix, "builtin")
        if prefix.startswith("lab"):
            raise ProblemError(f"problem {problem_id!r}: say --source lab:FAMILY[:SPLIT]")
    for problem in load(source):
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
