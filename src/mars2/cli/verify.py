"""`mars2 verify`: judge submissions, one JSON verdict a line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
from pydantic import ValidationError

from mars2.cli.options import json_option, run_async
from mars2.cli.output import Output
from mars2.config import VerifierConfig
from mars2.errors import UsageError
from mars2.problems import load
from mars2.problems.jsonl import read_text, rows
from mars2.types import Problem, Status, Submission, TestSet
from mars2.verifier.batch import run_verify


@click.command(name="verify")
@click.option("--problems", "source", required=True, help="Problems: a .jsonl file or a source.")
@click.option(
    "--submissions",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON lines: id, problem_id, and code or completion.",
)
@click.option("--profile", type=click.Choice(["native"]), default="native", show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--tests", type=click.Choice(["all", "public"]), default="all", show_default=True)
@click.option("--all-tests", is_flag=True, help="Go on after the first failing test.")
@click.option("--time-limit", type=float, help="CPU seconds a test, for problems without one.")
@click.option("--memory-limit", type=int, help="MiB, for problems without a limit.")
@json_option
def command(
    source: str,
    submissions: Path,
    profile: str,
    workers: int,
    tests: TestSet,
    all_tests: bool,
    time_limit: float | None,
    memory_limit: int | None,
    as_json: bool,
) -> int:
    """Judge every submission in real, limited processes.

    Verdicts go to stdout in the order of the submissions. Exits 0 when all were judged (also
    when they fail), 1 if the machinery failed on one.
    """
    output = Output(as_json)
    limits = {"time_limit_s": time_limit, "memory_limit_mb": memory_limit}
    try:
        config = VerifierConfig.model_validate(
            {"profile": profile, "workers": workers}
            | {k: v for k, v in limits.items() if v is not None}
        )
    except ValidationError as error:
        raise UsageError(f"limits: {error.errors()[0]['msg']}") from None
    is_file = Path(source).exists() or source.endswith(".jsonl")
    problems = load(f"jsonl:{source}" if is_file and ":" not in source else source)
    judged = read_submissions(submissions)
    statuses = run_async(_run(problems, judged, config, tests, not all_tests, output))
    if not as_json:
        table = sorted(statuses.items(), key=lambda item: -item[1])
        output.log(", ".join(f"{n} {s}" for s, n in table))
    return 1 if statuses[Status.INFRA] else 0


async def _run(
    problems: list[Problem],
    submissions: list[Submission],
    config: VerifierConfig,
    tests: TestSet,
    early_stop: bool,
    output: Output,
) -> Counter[Status]:
    statuses: Counter[Status] = Counter()
    with output.progress("verify", len(submissions)) as advance:
        async for verdict in run_verify(
            problems, submissions, config, tests=tests, early_stop=early_stop
        ):
            statuses[verdict.status] += 1
            output.data(verdict.model_dump(mode="json", exclude_none=True))
            advance()
    return statuses


def read_submissions(path: Path) -> list[Submission]:
    """Submissions of a JSON-lines file.

    Raises:
        UsageError: missing file, bad JSON, unknown field, an id used twice; names the row.
    """
    submissions: list[Submission] = []
    seen: dict[str, int] = {}
    for number, value in rows(read_text(path), str(path)):
        try:
            # not model_validate_json: it refuses lone surrogates, which a model can write
            row = Submission.model_validate(value)
        except ValidationError as error:
            issue = error.errors()[0]
            field = ".".join(str(p) for p in issue["loc"]) or "row"
            raise UsageError(f"{path}, row {number}, {field}: {issue['msg']}") from None
        if row.id in seen:
            raise UsageError(
                f"{path}, row {number}: id {row.id!r} is already in row {seen[row.id]}"
            )
        seen[row.id] = number
        submissions.append(row)
    if not submissions:
        raise UsageError(f"{path}: holds no submissions")
    return submissions
