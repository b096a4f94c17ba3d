"""`mars2 reward-model`: collect labelled programs, train a scalar head on them, score programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from mars2.cli.options import json_option, run_async
from mars2.cli.output import Advance, Output, percent
from mars2.cli.reward_collect import command as collect
from mars2.errors import ResumeError, UsageError
from mars2.problems import load
from mars2.prompts import extract_program
from mars2.rewards.base import load_reward_model
from mars2.rewards.data import find_journals, read_examples, read_nodes
from mars2.types import Problem

if TYPE_CHECKING:
    from mars2.rewards.train import TrainSettings


@click.group(name="reward-model")
def command() -> None:
    """Train a model that says which programs pass the private tests, and choose by it."""


command.add_command(collect)


# --------------------------------------------------------------------------- train


@command.command(name="train")
@click.argument("data", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--base", help="Model to start from: micro:NAME or hf:MODEL.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Directory: new or empty; with --resume, the one to go on in.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the data [4].")
@click.option("--lr", type=float, help="Highest learning rate [1e-4]; 5e-4 suits micro models.")
@click.option("--batch-tokens", type=click.IntRange(min=1), help="Tokens of a step [2048].")
@click.option("--max-length", type=click.IntRange(min=1), help="Tokens of a text [1024].")
@click.option("--seed", type=int, help="Order of the data [0].")
@click.option("--device", default="auto", help="cpu, cuda, or auto [auto].")
@click.option("--resume", is_flag=True, help="Go on in --out with its own settings.")
@json_option
def train(
    data: Path, base: str | None, out: Path, device: str, resume: bool, as_json: bool, **given: Any
) -> None:
    """Train a reward model on DATA, a file that `collect` wrote.

    Problems are split by their id: 70 % to train on, 15 % to calibrate on, 15 % to report on.
    """
    output = Output(as_json)
    try:
        from mars2.rewards.train import train as fit
    except ImportError as error:
        raise UsageError(f"training needs torch: pip install 'mars2[train]' ({error})") from None
    settings = _settings(out, resume, {"base": base, **given})
    examples, known = read_examples(data)
    started = time.monotonic()
    try:
        with _batches(output) as on_batch:
            report = fit(
                examples,
                known,
                settings,
                out,
                resume=resume,
                device=device,
                log=output.log,
                on_batch=on_batch,
            )
    except KeyboardInterrupt:
        if (out / "state.pt").exists():
            output.log(f"whole epochs are kept in {out}: go on with --resume")
        raise
    report |= {"out": str(out), "seconds": round(time.monotonic() - started, 1)}
    output.data(report) if as_json else _show_trained(output, report)


def _settings(out: Path, resume: bool, given: dict[str, Any]) -> TrainSettings:
    """From the options; on resume those of the directory, which options may only repeat."""
    from mars2.rewards.model import read_config
    from mars2.rewards.train import TrainSettings

    values: dict[str, Any] = {}
    if resume:
        config = read_config(out)
        if config is None:
            raise ResumeError(f"--resume: {out} holds no reward model to go on with")
        values = dict(config["settings"])
    values |= {k: v for k, v in given.items() if v is not None}
    if not values.get("base"):
        raise UsageError("--base is missing: the model to start from, micro:NAME or hf:MODEL")
    try:
        return TrainSettings.model_validate(values)
    except ValidationError as error:
        issue = error.errors()[0]
        name = ".".join(str(p) for p in issue["loc"]).replace("_", "-")
        raise UsageError(f"--{name}: {issue['msg']} (got {issue['input']!r})") from None


@contextmanager
def _batches(output: Output) -> Iterator[Callable[[int, int], None]]:
    """Progress over optimizer steps; how many are left is known with the first."""
    with ExitStack() as stack:
        advance: Advance | None = None

        def on_batch(done: int, total: int) -> None:
            nonlocal advance
            if advance is None:
                advance = stack.enter_context(output.progress("train", total - done + 1))
            advance()

        yield on_batch


def _show_trained(output: Output, report: dict[str, Any]) -> None:
    def number(value: float | None, interval: Sequence[float] | None = None) -> str:
        return "–" if value is None else percent(value, interval)

    rows = []
    for name in ("train", "validation", "test"):
        part, counts = report[name], report["data"][name]
        rows.append(
            [
                name,
                counts["problems"],
                counts["examples"],
                number(part["auc"], part["auc_ci95"]),
                number(part["auc_public_passing"], part["auc_public_passing_ci95"]),
                f"{number(part['brier']['before'])} -> {number(part['brier']['after'])}",
                f"{number(part['ece']['before'])} -> {number(part['ece']['after'])}",
            ]
        )
    output.table(
        f"epoch {report['best_epoch']} of {len(report['epochs'])}, "
        f"temperature {report['calibration']['temperature']:.2f}",
        ["problems of", "number", "programs", "AUC", "AUC public ok", "Brier", "ECE"],
        rows,
    )
    selection = report["test"]["selection"]
    rows = [
        [
            name,
            of["problems"],
            *(
                percent(of[how]["mean"], of[how]["ci95"]) if of["problems"] else "–"
                for how in ("random", "model", "oracle")
            ),
        ]
        for name, of in selection.items()
    ]
    output.table(
        "selected program passes all tests (test problems, among those that pass the public ones)",
        ["problems", "number", "random", "reward model", "oracle"],
        rows,
    )
    output.show(f"{report['out']}  ({report['seconds']} s)")


# --------------------------------------------------------------------------- score


class _Row(BaseModel):
    """A program to score."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str | None = None
    problem_id: str
    code: str | None = None
    completion: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> _Row:
        if (self.code is None) == (self.completion is None):
            raise ValueError("needs exactly one of code and completion")
        return self


@command.command(name="score")
@click.argument("model", type=click.Path(path_type=Path, file_okay=False))
@click.option("--source", required=True, help="Where the problems come from.")
@click.option(
    "--submissions",
    type=click.Path(path_type=Path, dir_okay=False),
    help='JSON lines of {"problem_id", "code" | "completion"}, with "id" if you like.',
)
@click.option(
    "--journal",
    "journals",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A journal or run directory (repeatable).",
)
@click.option("--device", default="auto", help="cpu, cuda, or auto [auto].")
@json_option
def score(
    model: Path,
    source: str,
    submissions: Path | None,
    journals: tuple[Path, ...],
    device: str,
    as_json: bool,
) -> None:
    """Probability that programs pass all tests, by the reward model in directory MODEL.

    One JSON object a program on stdout, in the order of the input. 0 where there is no program.
    """
    output = Output(as_json)
    if (submissions is None) == (not journals):
        raise UsageError("give either --submissions FILE or --journal PATH")
    problems = {p.id: p for p in load(source)}
    rows: list[tuple[dict[str, Any], str | None]]
    if submissions is not None:
        rows = _read_submissions(submissions, problems)
    else:
        rows = [
            (
                {"problem_id": n.problem_id, "tree_id": n.tree_id, "node_id": n.node_id},
                n.code,
            )
            for n in read_nodes(find_journals(journals))
        ]
        strange = next((r["problem_id"] for r, _ in rows if r["problem_id"] not in problems), None)
        if strange is not None:
            raise UsageError(f"the journal is of problem {strange!r}, which {source} does not hold")
    if not rows:
        raise UsageError("there is nothing to score")
    scores = run_async(_score(model, device, problems, rows, output))
    for (row, _), value in zip(rows, scores, strict=True):
        output.data(row | {"probability": value})


def _read_submissions(
    path: Path, problems: dict[str, Problem]
) -> list[tuple[dict[str, Any], str | None]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--submissions {path} cannot be read: {error}") from None
    rows: list[tuple[dict[str, Any], str | None]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, row {number}"
        try:
            row = _Row.model_validate(json.loads(line))
        except ValidationError as error:
            issue = error.errors()[0]
            field = ".".join(str(p) for p in issue["loc"])
            what = issue["msg"].removeprefix("Value error, ")
            raise UsageError(f"{where}: {field + ': ' if field else ''}{what}") from None
        except ValueError as error:
            raise UsageError(f"{where}: not JSON: {error}") from None
        problem = problems.get(row.problem_id)
        if problem is None:
            raise UsageError(f"{where}: problem_id: the source holds no {row.problem_id!r}")
        code = row.code
        if row.completion is not None:
            code = extract_program(problem, row.completion)
        named = {} if row.id is None else {"id": row.id}
        rows.append((named | {"problem_id": row.problem_id}, code))
    return rows


async def _score(
    path: Path,
    device: str,
    problems: dict[str, Problem],
    rows: Sequence[tuple[dict[str, Any], str | None]],
    output: Output,
) -> list[float]:
    model = load_reward_model(path, device=device)
    by_problem: dict[str, list[int]] = {}
    for i, (row, code) in enumerate(rows):
        if code is not None:
            by_problem.setdefault(row["problem_id"], []).append(i)
    scores = [0.0] * len(rows)
    with output.progress("score", len(by_problem)) as advance:
        for problem_id, indices in by_problem.items():
            codes = [code for i in indices if (code := rows[i][1]) is not None]
            values = await model.score(problems[problem_id], codes)
            for i, value in zip(indices, values, strict=True):
                scores[i] = value
            advance()
    return scores
