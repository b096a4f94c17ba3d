"""`mars2 lab`: the embedded micro models and their problem families."""

from __future__ import annotations

from pathlib import Path

import click

from mars2.cli.options import json_option
from mars2.cli.output import Output
from mars2.errors import UsageError


@click.group(name="lab")
def command() -> None:
    """Micro language models on generated problems: a test bed that runs anywhere."""


@command.command(name="list")
@json_option
def list_command(as_json: bool) -> None:
    """The packaged models, with what their build measured."""
    from mars2.lab import cards

    output = Output(as_json)
    found = cards()
    if as_json:
        for card in found:
            output.data(card)
        return
    columns = ["name", "architecture", "tokenizer", "parameters"]
    rows = [[card.get(c, "") for c in columns] for card in found]
    output.table("packaged micro models (agents micro:NAME)", columns, rows)


@command.command(name="build")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the model directories go.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--only", help="Build one model instead of all.")
@json_option
def build_command(out: Path, seed: int, only: str | None, as_json: bool) -> None:
    """Pretrain the micro models from nothing: minutes on two cores, seeded."""
    output = Output(as_json)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file")
    try:
        from mars2.lab.build import build
    except ImportError as error:
        raise UsageError(f"building needs torch: pip install 'mars2[train]' ({error})") from None
    for card in build(out, seed=seed, only=only, log=output.log):
        if as_json:
            output.data(card)
        else:
            output.show(
                f"{card['name']}: {card['parameters']:,} parameters in {out / card['name']}"
            )
