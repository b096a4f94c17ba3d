"""`mars2 export`: a run's programs as a sample file of another evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mars2.cli.options import json_option
from mars2.cli.output import Output
from mars2.cli.verify_results import KS, rates
from mars2.errors import UsageError
from mars2.evaluation.metrics import mean
from mars2.exchange.formats import SAMPLE_FORMATS, SampleFormat
from mars2.exchange.programs import WHATS, What, agents_of, read_programs
from mars2.exchange.write import check_target, pad, write_samples
from mars2.problems import load


@click.command(name="export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(SAMPLE_FORMATS),
    required=True,
    help="LiveCodeBench's custom evaluator, EvalPlus (whole programs), HumanEval (completions).",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write: .json for lcb, .jsonl for the others.",
)
@click.option(
    "--what",
    type=click.Choice(WHATS),
    default="samples",
    show_default=True,
    help="First attempts of an agent; the answer of each tree; all nodes of the trees.",
)
@click.option("--agent", help="Whose samples; needed if the run has several agents.")
@click.option(
    "--problems",
    "source",
    help="The evaluator's whole set, a source as for eval; humaneval needs it for the prompts.",
)
@json_option
def command(
    run: Path,
    format_: SampleFormat,
    out: Path,
    what: What,
    agent: str | None,
    source: str | None,
    as_json: bool,
) -> None:
    """Write the programs of RUN, a directory of `mars2 eval`, for another evaluator.

    Says what that evaluator should then find. Where a program is missing, one that fails stands in.
    """
    output = Output(as_json)
    check_target(out, format_)
    if format_ == "humaneval" and source is None:
        raise UsageError(
            "--format humaneval continues the problems' prompts: give --problems SOURCE"
        )
    found = read_programs(run, what, agent)
    problems = load(source) if source is not None else None
    padded = pad(found.codes, format_, problems)
    write_samples(out, format_, padded.rows, problems or ())
    if what == "samples":
        agent = agent or agents_of(run)[0]
    report: dict[str, Any] = {
        "run": str(run),
        "format": format_,
        "what": what,
        "agent": agent,
        "problems": len(padded.rows),
        "samples": sum(map(len, padded.rows.values())),
        "padded": padded.missing,
        "out": str(out),
    }
    if what != "all-nodes" and found.passed is not None:
        report["expected"] = _expected(found.passed, padded.missing)
    if as_json:
        output.data(report)
    else:
        _show(output, report)


def _expected(passed: Mapping[str, Sequence[bool]], missing: Mapping[str, int]) -> dict[str, float]:
    """pass@k that the evaluator should find; what is missing counts as failed there."""
    samples = {
        problem: [*passed.get(problem, ()), *([False] * missing.get(problem, 0))]
        for problem in passed.keys() | missing.keys()
    }
    return {name: mean(list(of.values())) for name, of in rates(samples, KS).items()}


def _show(output: Output, report: Mapping[str, Any]) -> None:
    who = f" of {report['agent']}" if report["agent"] else ""
    output.show(
        f"{report['out']}: {report['samples']} programs for {report['problems']} problems "
        f"({report['what']}{who})"
    )
    if report["padded"]:
        output.show(
            f"{sum(report['padded'].values())} programs on {len(report['padded'])} problems are "
            "missing in the run; one that fails stands in for each, and the evaluator counts it"
        )
    for name, value in report.get("expected", {}).items():
        output.show(f"expected {name}: {value}")
