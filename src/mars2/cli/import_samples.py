"""`mars2 import`: a sample file of another evaluator, judged again and kept as a run."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from mars2 import __version__
from mars2.cli.evaluate import show_summary
from mars2.cli.options import json_option, run_async
from mars2.cli.output import Output
from mars2.cli.selection import Selection, selection_options
from mars2.config import AgentConfig, RunConfig, load_config
from mars2.errors import ResumeError, UsageError
from mars2.evaluation.outcomes import EvalResult
from mars2.evaluation.results import details, problem_info
from mars2.exchange.formats import SAMPLE_FORMATS, SampleFormat
from mars2.exchange.read import Samples, check_samples
from mars2.exchange.rejudge import rejudge
from mars2.search.journal import Journal
from mars2.training.rundir import RunDir, problems_digest, safe_name, write_json
from mars2.types import Problem
from mars2.verifier import make_verifier


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("source")
@click.option(
    "--format",
    "format_",
    type=click.Choice(SAMPLE_FORMATS),
    required=True,
    help="LiveCodeBench's custom evaluator, EvalPlus or HumanEval (solution or completion).",
)
@click.option("--agent", help="What the run calls who wrote them [the file's name].")
@click.option(
    "--profile",
    type=click.Choice(["native", "lcb"]),
    help="native: what programs do; lcb: LiveCodeBench's official verdicts. [native]",
)
@click.option("--workers", type=click.IntRange(min=1), help="Programs judged at once [2].")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting, for example --set verifier.time_limit_s=10 (repeatable).",
)
@selection_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the run here, as `mars2 eval` does, for compare, report and export.",
)
@click.option("--resume", is_flag=True, help="Go on in --out where an earlier call stopped.")
@json_option
def command(
    file: Path,
    source: str,
    format_: SampleFormat,
    agent: str | None,
    profile: str | None,
    workers: int | None,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: bool,
    as_json: bool,
    **selected: Any,
) -> int:
    """Judge the programs in FILE on the problems of SOURCE, all of which FILE has to hold.

    The whole file is checked before anything runs or is written. Exits with 1 if the machinery
    failed on a program: --resume tries those again.
    """
    output = Output(as_json)
    if resume and out is None:
        raise UsageError("--resume needs --out, the directory to go on in")
    problems = Selection.taken(selected).load(source, output)
    samples = check_samples(file, problems, format_)
    config = _config(samples, agent, profile, workers, overrides)
    run = _open_run(out, resume, config, problems, samples) if out else None
    started = time.monotonic()
    result = run_async(_run(config, samples, problems, run, output))
    summary = result.summary(resamples=config.eval.bootstrap, seed=config.seed)
    more = details(
        result, problem_info(problems), resamples=config.eval.bootstrap, seed=config.seed
    )
    report = {
        "source": source,
        "file": str(file),
        "problems": len(problems),
        "samples": config.eval.samples,
        **summary,
        "groups": more["groups"],
        "curves": more["curves"],
        "masked": result.masked,
        "spent": asdict(result.spent),
        "seconds": round(time.monotonic() - started, 1),
        "run_dir": str(out) if out else None,
    }
    if run is not None:
        kept = report | {"problem_info": more["problem_info"], "outcomes": result.to_json()}
        write_json(run.path / "results.json", kept)
        run.update_manifest(status="finished")
    if as_json:
        output.data(report)
    else:
        show_summary(output, f"{file} on {source}: {len(problems)} problems", summary, config)
        if result.masked:
            output.show(f"{result.masked} programs could not be judged and are not counted")
    return 1 if result.masked else 0


def _config(
    samples: Samples,
    agent: str | None,
    profile: str | None,
    workers: int | None,
    overrides: tuple[str, ...],
) -> RunConfig:
    name = agent or safe_name(samples.path.name.split(".")[0] or "samples")
    if name == "team":
        raise UsageError("--agent team: trees are called that; choose another name")
    try:
        author = AgentConfig(name=name, spec=f"file:{samples.path.name}")
    except ValidationError:
        raise UsageError(f"--agent {name!r}: only letters, digits, '_', '.' and '-'") from None
    data = load_config(None, overrides).model_dump()
    data["agents"] = [author.model_dump()]
    data["eval"]["samples"] = max(samples.counts.values())
    for key, value in (("profile", profile), ("workers", workers)):
        if value is not None:
            data["verifier"][key] = value
    return load_config(base=data)


def _open_run(
    out: Path, resume: bool, config: RunConfig, problems: list[Problem], samples: Samples
) -> RunDir:
    """Start or continue the record in `out`; refuses before anything is written."""
    digest = problems_digest(problems)
    if not resume:
        about = {"mars2": __version__, "kind": "import", "problems": digest}
        return RunDir.create(out, config, about | {"samples": samples.digest})
    run = RunDir.resume(out, config, digest)
    if run.manifest.get("samples") != samples.digest:
        raise ResumeError(f"{out} was started on another file than {samples.path} is now")
    return run


async def _run(
    config: RunConfig,
    samples: Samples,
    problems: list[Problem],
    run: RunDir | None,
    output: Output,
) -> EvalResult:
    header = {"config_hash": config.digest()}
    with Journal.open(run.journal, header) if run else nullcontext() as journal:
        async with make_verifier(config.verifier) as verifier:
            with output.progress("judge", sum(samples.counts.values())) as advance:
                return await rejudge(
                    samples,
                    problems,
                    verifier,
                    config.agents[0].name,
                    journal=journal,
                    on_node=lambda _: advance(),
                )
