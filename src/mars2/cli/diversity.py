"""`mars2 diversity`: how different solutions are, and whether agents fail on the same problems."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mars2.cli.options import json_option
from mars2.cli.output import Output
from mars2.diversity.embed import make_embedder
from mars2.diversity.measure import LEVELS, Level, measure
from mars2.diversity.solutions import load_source
from mars2.errors import UsageError
from mars2.training.rundir import write_json


@click.command(name="diversity")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--levels", default=",".join(LEVELS), show_default=True, help="Which, separated by commas."
)
@click.option(
    "--embed",
    "embedder",
    default="lexical",
    show_default=True,
    metavar="NAME",
    help="Of the semantic and the reasoning level: lexical (words as written), minilm (sentence "
    "embeddings), or hf:MODEL or micro:NAME (a policy's own hidden states).",
)
@click.option(
    "--of",
    "which",
    type=click.Choice(["attempts", "trees"]),
    default="attempts",
    show_default=True,
    help="A run's independent attempts at held-out problems, or its trees.",
)
@click.option(
    "--nodes",
    type=click.Choice(["first", "all"]),
    default="first",
    show_default=True,
    help="Of trees: first attempts, or refinements too (which are not independent).",
)
@click.option("--bootstrap", type=click.IntRange(min=1), default=2000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@json_option
def command(
    runs: tuple[Path, ...],
    levels: str,
    embedder: str,
    which: Any,
    nodes: Any,
    bootstrap: int,
    seed: int,
    as_json: bool,
) -> None:
    """Measure the diversity of RUNS: directories of `mars2 eval` or `mars2 train`, or files.

    A file holds a JSON object a line: problem, agent, program or text (the whole answer), and
    optionally step and passed. Writes diversity.json into each run directory. Programs are parsed,
    never run.
    """
    output = Output(as_json)
    chosen = _levels(levels)
    sources = [load_source(path, which, nodes) for path in runs]
    embed = make_embedder(embedder)
    for source in sources:
        with output.progress("solutions", len(source.solutions)) as advance:
            report = measure(source, chosen, embed, resamples=bootstrap, seed=seed, advance=advance)
        report = {"run": str(source.path), "embed": embedder, "nodes": nodes, **report}
        if source.path.is_dir():
            write_json(source.path / "diversity.json", report)
            output.log(f"diversity: {source.path / 'diversity.json'}")
        if as_json:
            output.data(report)
        else:
            _show(output, report)


def _levels(text: str) -> list[Level]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in LEVELS]
    if unknown or not names:
        raise UsageError(f"--levels {text!r}: give some of {', '.join(LEVELS)}")
    return [level for level in LEVELS if level in names]


def _show(output: Output, report: Mapping[str, Any]) -> None:
    of = {"attempts": "independent attempts", "trees": "nodes of trees", "file": "of the file"}
    step = "" if report["step"] is None else f", after {report['step']} training steps"
    output.show(
        f"{report['run']}: {report['solutions']} solutions ({of[report['of']]}{step}) of "
        f"{report['problems']} problems\n"
    )
    for level, found in report["levels"].items():
        _show_level(output, level, found)
    rows = [
        [a, d["solutions"], d["exact"], d["normalised"]] for a, d in report["duplicates"].items()
    ]
    output.table(
        "Programs that repeat an earlier one of the same agent and problem",
        ["agent", "programs", "same text", "same but for names and layout"],
        rows,
    )
    if report["error_overlap"]:
        _show_overlap(output, report["error_overlap"])
    for note in report["notes"]:
        output.show(f"note: {note}")
    if report["cut_texts"]:
        output.show(f"note: of {report['cut_texts']} texts only the beginning was embedded")


def _show_level(output: Output, level: str, found: Mapping[str, Any]) -> None:
    rows: list[list[object]] = []
    for name, row in found["agents"].items():
        more = {"entropy_miller_madow": "entropy {:.2f} bits", "vendi": "Vendi {:.2f}"}
        also = [text.format(row[k]) for k, text in more.items() if k in row]
        rows.append([name, *_value(row), row["problems"], row["solutions"], ", ".join(also)])
    for pair in found["between"]:
        also = [f"excess {_number(pair['excess'], pair['excess_ci95'])}"]
        rows.append([f"{pair['a']} – {pair['b']}", *_value(pair), pair["problems"], "", also[0]])
    if len(found["agents"]) > 1:
        rows.append(["team", *_value(found["team"]), found["team"]["problems"], "", ""])
    if not rows:
        output.show(f"{level}: nothing to compare ({found['method']})")
    else:
        output.table(
            f"{level}: {found['method']}",
            ["who", "mean distance [95 % interval]", "problems", "solutions", "also"],
            rows,
        )
    if found["left_out"]:
        counts = ", ".join(f"{k.replace('_', ' ')} {n}" for k, n in found["left_out"].items())
        output.show(f"left out: {counts}\n")
    if found["steps"]:
        _show_steps(output, level, found["steps"])


def _show_steps(output: Output, level: str, rows: Sequence[Mapping[str, Any]]) -> None:
    agents = sorted({row["agent"] for row in rows})
    by_step: dict[int, dict[str, Any]] = {}
    for row in rows:
        by_step.setdefault(row["step"], {})[row["agent"]] = row
    table = [
        [step, *(_value(found[a])[0] if a in found else "–" for a in agents)]
        for step, found in by_step.items()
    ]
    output.table(f"{level} by training step", ["step", *agents], table)


def _show_overlap(output: Output, pairs: Sequence[Mapping[str, Any]]) -> None:
    keys = {
        "both": "both solve",
        "only_a": "only A",
        "only_b": "only B",
        "neither": "neither",
        "joint_failure_excess": "joint failure less independence",
        "fails_b_given_a": "B fails where A fails",
        "fails_a_given_b": "A fails where B fails",
        "pass@2": "pass@2 of the pair",
        "pass@2_a": "pass@2 of A alone",
        "pass@2_b": "pass@2 of B alone",
        "gain": "gain over the better one alone",
    }
    for pair in pairs:
        output.table(
            f"A = {pair['a']}, B = {pair['b']}: one attempt each, {pair['problems']} problems",
            ["what", "share [95 % interval]"],
            [[text, _number(pair[key], pair["ci95"][key])] for key, text in keys.items()],
        )


def _value(row: Mapping[str, Any]) -> list[str]:
    return [_number(row["diversity"], row["ci95"])]


def _number(value: float, interval: Sequence[float]) -> str:
    if math.isnan(value):
        return "–"
    if math.isnan(interval[0]):
        return f"{value:.3f}"
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
