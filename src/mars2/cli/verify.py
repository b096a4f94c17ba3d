"""`mars2 verify`: judge submissions, one JSON verdict a line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click
from pydantic import ValidationError

from mars2.cli.options import json_option, run_async
from mars2.cli.output import Output
from mars2.cli.selection import Selection
from mars2.cli.verify_journal import Journal, digest, read_verdicts
from mars2.cli.verify_report import explain, print_summary, summary
from mars2.cli.verify_results import Judged, metrics_path, write_results
from mars2.config import VerifierConfig
from mars2.errors import UsageError
from mars2.types import Problem, Status, Submission, TestSet, Verdict
from mars2.verifier import AnyVerifier, make_verifier
from mars2.verifier.batch import run_verify
from mars2.verifier.formats import FORMATS, Format, program, read_file, read_submissions


@click.command(name="verify")
@click.option("--problems", "source", required=True, help="Problems: a .jsonl file or a source.")
@click.option(
    "--submissions",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON lines or a JSON array, gzipped or not; see --format.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="Of --submissions: ours, LiveCodeBench's custom evaluator's, EvalPlus's. Default: seen.",
)
@click.option(
    "--profile",
    type=click.Choice(["native", "lcb"]),
    default="native",
    show_default=True,
    help="native: what the program does; lcb: LiveCodeBench's official verdicts, quirks included.",
)
@click.option(
    "--isolation",
    type=click.Choice(["basic", "restricted", "strict"]),
    help="The least level that is accepted; see `mars2 doctor`.",
)
@click.option("--backend", help="local, bwrap, or the URL of a SandboxFusion server.")
@click.option("--cache", metavar="off|memory|DIR", help="Verdicts of identical jobs.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--tests", type=click.Choice(["all", "public"]), default="all", show_default=True)
@click.option("--all-tests", is_flag=True, help="Go on after the first failing test.")
@click.option("--skip-bad", is_flag=True, help="Leave bad rows of --problems out.")
@click.option("--time-limit", type=float, help="CPU seconds a test, for problems without one.")
@click.option("--memory-limit", type=int, help="MiB, for problems without a limit.")
@click.option(
    "--output",
    "output_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write all results to this file; FILE.partial keeps them until then.",
)
@click.option("--output-format", type=click.Choice(FORMATS), help="Default: that of --submissions.")
@click.option("--resume", is_flag=True, help="Go on with the interrupted run of --output.")
@click.option("--explain", "explained", metavar="ID", help="One submission's verdict in full.")
@click.option(
    "--results",
    type=click.Path(path_type=Path, dir_okay=False),
    help="For --explain: verdicts of an earlier run, instead of judging.",
)
@json_option
def command(
    source: str,
    submissions: Path,
    format_: Format | None,
    profile: str,
    isolation: str | None,
    backend: str | None,
    cache: str | None,
    workers: int,
    tests: TestSet,
    all_tests: bool,
    skip_bad: bool,
    time_limit: float | None,
    memory_limit: int | None,
    output_path: Path | None,
    output_format: Format | None,
    resume: bool,
    explained: str | None,
    results: Path | None,
    as_json: bool,
) -> int:
    """Judge every submission in real, limited processes.

    Verdicts go to stdout in the order of the submissions. Exits 0 when all were judged (also
    when they fail), 1 if the machinery failed on one.
    """
    config = _config(
        profile=profile,
        workers=workers,
        isolation=isolation,
        backend=backend,
        cache=cache,
        time_limit_s=time_limit,
        memory_limit_mb=memory_limit,
    )
    if output_path is None and (resume or output_format):
        raise UsageError(f"{'--resume' if resume else '--output-format'} needs --output FILE")
    if results is not None and explained is None:
        raise UsageError("--results needs --explain ID")
    if explained is not None and output_path is not None:
        raise UsageError("--explain judges one submission: leave --output out")
    is_file = Path(source).exists() or (source.endswith(".jsonl") and "@" not in source)
    known = f"jsonl:{source}" if is_file and ":" not in source else source
    problems = Selection(skip_bad=skip_bad).load(known, Output(as_json))
    loaded = read_submissions(submissions, problems, format_)
    run = _Run(
        problems={problem.id: problem for problem in problems},
        submissions=loaded.submissions,
        config=config,
        tests=tests,
        early_stop=not all_tests,
        output=Output(as_json),
    )
    if explained is not None:
        return run.explain(explained, results)
    if output_path is None:
        return run.judge(None)
    output_format = output_format or loaded.format
    _check_output(output_path, output_format, submissions)
    journal = Journal(output_path, run.settings(), resume=resume)
    try:
        return run.judge(journal, output_path, output_format)
    finally:
        journal.close()


def _config(**given: Any) -> VerifierConfig:
    try:
        return VerifierConfig.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        issue = error.errors()[0]
        field = ".".join(str(p) for p in issue["loc"])
        raise UsageError(f"{field}: {issue['msg']}") from None


def _check_output(path: Path, format: Format, submissions: Path) -> None:
    if not path.parent.is_dir():
        raise UsageError(f"--output {path}: there is no directory {path.parent}")
    written = [path, metrics_path(path)] if format == "lcb" else [path]
    if submissions.resolve() in [p.resolve() for p in written]:
        raise UsageError(f"--output {path}: would replace the submissions")


@dataclass(frozen=True)
class _Run:
    """What to judge and how."""

    problems: dict[str, Problem]
    submissions: list[Submission]
    config: VerifierConfig
    tests: TestSet
    early_stop: bool
    output: Output

    def settings(self) -> dict[str, Any]:
        """What has to be the same for verdicts of an interrupted run to be used."""
        config = self.config.model_dump(mode="json")
        for free in ("workers", "cache", "isolation"):
            del config[free]
        return config | {
            "tests": self.tests,
            "all_tests": not self.early_stop,
            "problems": digest(self.problems.values()),
            "submissions": digest(self.submissions),
        }

    def judge(
        self, journal: Journal | None, path: Path | None = None, format: Format = "mars2"
    ) -> int:
        """Judge all, print and write; the exit code."""
        done = dict(journal.done) if journal is not None else {}
        started = time.monotonic()
        verdicts: list[Verdict] = []
        try:
            hits = run_async(self._all(done, journal, verdicts))
        except (KeyboardInterrupt, asyncio.CancelledError):
            self._tell_interrupted(journal, verdicts)
            raise KeyboardInterrupt from None
        judged = [self._judged(s, v) for s, v in zip(self.submissions, verdicts, strict=True)]
        failed = sum(v.status is Status.INFRA for v in verdicts)
        if path is not None and journal is not None:
            written = write_results(path, format, judged)
            self.output.log(f"written: {', '.join(map(str, written))}")
            if failed:
                self.output.log(f"{failed} could not be judged: --resume tries them again")
            else:
                journal.remove()
        print_summary(summary(judged, time.monotonic() - started, hits))
        return 1 if failed else 0

    def _judged(self, submission: Submission, verdict: Verdict) -> Judged:
        return Judged(self.problems[submission.problem_id], submission, verdict)

    def _tell_interrupted(self, journal: Journal | None, verdicts: list[Verdict]) -> None:
        if journal is None:
            self.output.log(f"{len(verdicts)} of {len(self.submissions)} judged")
        else:
            self.output.log(
                f"what was judged of {len(self.submissions)} is kept in {journal.path}: "
                "continue with --resume"
            )

    async def _all(
        self, done: Mapping[str, Verdict], journal: Journal | None, verdicts: list[Verdict]
    ) -> int | None:
        """Fill `verdicts` in the order of the submissions; returns the cache's hits."""
        rest = [s for s in self.submissions if s.id not in done]
        hits = None
        async with make_verifier(self.config) if rest else nullcontext() as verifier:
            recorder = cast(AnyVerifier, _Recorder(verifier, journal))
            judging = run_verify(
                self.problems.values(),
                rest,
                self.config,
                tests=self.tests,
                early_stop=self.early_stop,
                verifier=recorder,
            )
            try:
                with self.output.progress("verify", len(self.submissions)) as advance:
                    for submission in self.submissions:
                        verdict = done.get(submission.id)
                        if verdict is None:
                            verdict = await anext(judging)
                        verdicts.append(verdict)
                        self.output.data(verdict.model_dump(mode="json", exclude_none=True))
                        advance()
            finally:
                await judging.aclose()  # type: ignore[attr-defined]
            cache = getattr(verifier, "cache", None)
            if cache is not None:
                hits = cache.hits
        return hits

    def explain(self, id: str, results: Path | None) -> int:
        """Print one verdict in full, judged now or taken from `results`."""
        submission = next((s for s in self.submissions if s.id == id), None)
        if submission is None:
            some = ", ".join(repr(s.id) for s in self.submissions[:5])
            raise UsageError(f"--explain {id!r}: no submission has that id; the first are {some}")
        if results is not None:
            found = read_verdicts(results, read_file(results))
            if id not in found:
                raise UsageError(f"--explain {id!r}: {results} holds no verdict of that id")
            verdict = found[id]
            if verdict.problem_id != submission.problem_id:
                raise UsageError(
                    f"--explain {id!r}: in {results} it is for problem {verdict.problem_id!r}, "
                    f"not {submission.problem_id!r}"
                )
        else:
            verdict = run_async(self._one(submission))
        one = self._judged(submission, verdict)
        if self.output.as_json:
            self.output.data(verdict.model_dump(mode="json", exclude_none=True))
        tests = one.problem.tests(self.tests)
        self.output.show(explain(one, program(one.problem, submission), tests))
        return 1 if verdict.status is Status.INFRA else 0

    async def _one(self, submission: Submission) -> Verdict:
        problem = self.problems[submission.problem_id]
        config = self.config.model_copy(update={"workers": 1})
        async with make_verifier(config) as verifier:
            return await verifier.verify(
                problem.unpacked(self.tests),
                program(problem, submission),
                tests=self.tests,
                early_stop=self.early_stop,
                id=submission.id,
            )


class _Recorder:
    """A verifier that writes every verdict down before it passes it on."""

    def __init__(self, verifier: Any, journal: Journal | None) -> None:
        self._verifier, self._journal = verifier, journal
        self.config: VerifierConfig = getattr(verifier, "config", None) or VerifierConfig()

    async def verify(self, problem: Problem, code: str | None, **how: Any) -> Verdict:
        full = problem.unpacked(how.get("tests", "all"))
        verdict: Verdict = await self._verifier.verify(full, code, **how)
        if self._journal is not None:
            self._journal.add(verdict)
        return verdict
