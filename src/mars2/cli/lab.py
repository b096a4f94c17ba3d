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


@command.command(name="dial")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where models are kept by recipe, and the team's file.",
)
@click.option("--overlap", type=click.FloatRange(0, 1), default=0.0, show_default=True)
@click.option("--agents", type=click.IntRange(1, 4), default=2, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--base", "bases", multiple=True, default=("loom",), show_default=True, help="By turns."
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 1),
    default=0.85,
    show_default=True,
    help="How often an ambiguous piece is misread.",
)
@click.option("--twin", is_flag=True, help="Also a1 with another seed.")
@click.option("--double", is_flag=True, help="Also a1 with twice the parameters.")
@click.option("--steps", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--base-steps", type=click.IntRange(min=1), default=900, show_default=True)
@json_option
def dial_command(
    out: Path,
    overlap: float,
    agents: int,
    seed: int,
    bases: tuple[str, ...],
    rate: float,
    twin: bool,
    double: bool,
    steps: int,
    base_steps: int,
    as_json: bool,
) -> None:
    """A team whose agents misread the same pieces as far as --overlap says, for lab:hard.

    Writes a file of agents for `--config` of eval and train; models that --out holds are not made
    again.
    """
    from mars2.lab.dial import make_dial

    output = Output(as_json)
    dial = make_dial(
        agents,
        overlap,
        seed=seed,
        bases=bases,
        rate=rate,
        twin=twin,
        double=double,
        steps=steps,
        base_steps=base_steps,
    )
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file")
    try:
        from mars2.lab.finish import make_model_of, write_team
    except ImportError as error:
        raise UsageError(f"building needs torch: pip install 'mars2[train]' ({error})") from None
    made = {
        name: make_model_of(recipe, out, output.log)
        for name, recipe in (dial.agents | dial.controls).items()
    }
    file = out / f"{'-'.join(bases)}-{agents}-agents-overlap-{overlap:.2f}-seed-{seed}.toml"
    write_team({name: made[name][0] for name in dial.agents}, file)
    if as_json:
        agents_made = {
            name: {"directory": str(path), "spec": f"micro:{path}", "card": card}
            for name, (path, card) in made.items()
        }
        output.data({"team": str(file), "overlap": overlap, "agents": agents_made})
        return
    for name, (path, card) in made.items():
        output.show(f"{name}: {card['parameters']:,} parameters in {path}")
    output.show(f"team: {file}")
