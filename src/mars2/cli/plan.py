"""`mars2 plan`: does it fit, how long will it take, what will wait, what will it cost."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import click

from mars2.cli.options import json_option
from mars2.cli.output import Output
from mars2.config import RunConfig, load_config
from mars2.config.presets import preset
from mars2.errors import UsageError
from mars2.plan.advice import Change, advise
from mars2.plan.layout import Layout, load_layout, parse_hardware
from mars2.plan.memory import gigabytes
from mars2.plan.planning import Plan, make_plan
from mars2.plan.workload import Observed, observe

_RECIPES = resources.files("mars2").joinpath("configs/recipes")


@click.command(name="plan")
@click.argument("config")
@click.option(
    "--hardware",
    metavar="NAME:COUNT|FILE",
    help="Devices by name, or a description (docs/plan.md) [CONFIG with .plan.toml].",
)
@click.option(
    "--from",
    "runs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Take lengths and verdict times from a run's journal (repeatable).",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting.")
@click.option("--simulate", is_flag=True, help="Play the asynchronous system event by event.")
@click.option("--gpus", default="1,4,16,64,256,1024", help="--simulate: numbers of devices.")
@click.option("--in-flight", default="1,2,4,8", help="--simulate: expansions under way in a tree.")
@click.option("--figures", type=click.Path(path_type=Path), help="--simulate: write SVG here.")
@json_option
def command(
    config: str,
    hardware: str | None,
    runs: tuple[Path, ...],
    overrides: tuple[str, ...],
    simulate: bool,
    gpus: str,
    in_flight: str,
    figures: Path | None,
    as_json: bool,
) -> int:
    """Plan the training run of CONFIG, a file or the name of a recipe.

    Exit code 1 if it does not fit, with what would make it fit.
    """
    output = Output(as_json)
    path = find(config)
    settings = read(path, overrides)
    layout = place(path, hardware)
    seen = observe(runs) if runs else None
    if seen is not None:
        layout = layout.model_copy(update={"workload": seen.workload})
    if simulate:
        return _simulate(settings, layout, seen, gpus, in_flight, figures, output)
    plan = make_plan(settings, layout)
    changes = advise(settings, layout, plan)
    if as_json:
        output.data(to_json(plan, changes))
    else:
        show(plan, settings, changes, output)
    return 1 if plan.misfits else 0


def recipe_names() -> list[str]:
    """The packaged recipes."""
    names = (f.name for f in _RECIPES.iterdir() if f.name.endswith(".toml"))
    return sorted(n.removesuffix(".toml") for n in names if not n.endswith(".plan.toml"))


def find(config: str) -> Path:
    """A file, or a recipe by name. Raises UsageError, listing the recipes."""
    path = Path(config)
    if path.is_file():
        return path
    if config in recipe_names():
        return Path(str(_RECIPES / f"{config}.toml"))
    raise UsageError(
        f"{config} is neither a file nor a recipe; recipes are {', '.join(recipe_names())}"
    )


def read(path: Path, overrides: tuple[str, ...] = ()) -> RunConfig:
    """Settings of a file, above those of the preset that its first comment may name
    (`# preset: NAME`, as `--preset NAME` does for `mars2 train`)."""
    first = path.read_text("utf-8").split("\n", 1)[0]
    name = first.removeprefix("# preset:").strip() if first.startswith("# preset:") else None
    return load_config(path, overrides, preset(name) if name else None)


def place(path: Path, hardware: str | None) -> Layout:
    """The description that goes with a file, or what `--hardware` names: then placement and
    lengths stay those of the description, if there is one.

    Raises:
        UsageError: there is neither.
        ConfigError: an unknown name, or a bad file.
    """
    beside = path.with_name(path.name.removesuffix(".toml") + ".plan.toml")
    if hardware is not None and Path(hardware).is_file():
        return load_layout(Path(hardware))
    known = load_layout(beside) if beside.is_file() else None
    if hardware is not None:
        found, count = parse_hardware(hardware)
        if known is None:
            return Layout(device=found, count=count)
        return known.model_copy(update={"device": found, "count": count})
    if known is None:
        raise UsageError(
            f"on what? Give --hardware NAME:COUNT or a file; {beside.name} is not beside {path}"
        )
    return known


def to_json(plan: Plan, changes: list[Change]) -> dict[str, Any]:
    """All numbers, bytes and seconds."""
    return {
        "fits": not plan.misfits,
        "devices": {
            "name": plan.layout.device.name,
            "count": plan.layout.count,
            "engine": plan.layout.engine,
        },
        "parts": [
            {
                "name": p.name,
                "devices": p.count,
                "bytes": p.holds,
                "needs": p.needs,
                "limit": p.limit,
                "over": p.over,
            }
            for p in plan.parts
        ],
        "policies": {
            p.name: {
                "parameters": p.shape.parameters,
                "nodes": p.requests,
                "samples": p.samples,
                "generated_tokens": p.requests * p.output_tokens,
                "trained_tokens": p.samples * p.output_tokens,
                "stream_tokens": p.stream.tokens,
                "micro_batches": p.micro_batches,
                "answers_at_once": p.rows,
                "generate_s": p.generate_s,
                "tail_s": p.tail_s,
                "train_s": p.train_s,
                "publish_s": p.publish_s,
            }
            for p in plan.policies
        },
        "step": {
            "trees": plan.trees,
            "sync_s": plan.sync_s,
            "async_s": plan.async_s,
            "seconds": plan.step_s,
            "idle": plan.idle,
            "cost": plan.cost,
        },
        "run": {"seconds": plan.total_s, "cost": plan.total_cost},
        "changes": [{"set": c.settings, "fits": c.fits, "over": c.over} for c in changes],
        "assumptions": plan.assumptions,
    }


def show(plan: Plan, config: RunConfig, changes: list[Change], output: Output) -> None:
    """Tables for people."""
    rows = []
    for part in plan.parts:
        held = ", ".join(f"{k} {gigabytes(v)}" for k, v in part.holds.items() if v > 0.001)
        fits = "fits" if not part.over else f"{gigabytes(part.over)} too many"
        rows.append(
            [
                part.name,
                part.count,
                gigabytes(part.needs),
                gigabytes(part.limit),
                fits,
                held,
            ]
        )
    output.table(
        f"memory of each of {plan.layout.count} x {plan.layout.device.name}",
        ["part", "devices", "needs", "has", "", "for"],
        rows,
    )
    output.table(
        f"a step: {plan.trees:.0f} trees of {config.search.nodes} nodes",
        ["policy", "parameters", "nodes", "tokens written", "learnt from", "writing", "learning"],
        [
            [
                p.name,
                f"{p.shape.parameters / 1e9:.3g} B",
                f"{p.requests:.0f}",
                f"{p.requests * p.output_tokens:,.0f}",
                f"{p.samples * p.output_tokens:,.0f}",
                f"{p.generate_s:.3g} s (+ {p.tail_s:.2g} s tail), {p.rows:.0f} at once",
                f"{p.train_s:.3g} s + {p.publish_s:.2g} s to publish",
            ]
            for p in plan.policies
        ],
    )
    names = list(plan.idle["sync"])
    output.table(
        "a step's seconds, and the share of it in which each part waits",
        ["mode", "seconds", *names],
        [
            [mode, f"{seconds:.4g}", *(f"{plan.idle[mode][n]:.0%}" for n in names)]
            for mode, seconds in (("sync", plan.sync_s), ("async", plan.async_s))
        ],
    )
    output.show(
        f'train.mode = "{config.train.mode}", {config.train.steps} steps: '
        f"{plan.total_s / 3600:.3g} hours, {plan.total_cost:,.2f} in the currency of the price"
    )
    output.show("assumed:\n  " + "\n  ".join(plan.assumptions))
    if plan.misfits:
        for part in plan.misfits:
            output.show(
                f"does not fit: {part.name} needs {gigabytes(part.needs)}, "
                f"has {gigabytes(part.limit)}: {gigabytes(part.over)} too many"
            )
        what = "any of these would do" if changes and changes[0].fits else "the closest"
        output.show(f"change ({what}):\n  " + "\n  ".join(map(str, changes)))


def _simulate(
    config: RunConfig,
    layout: Layout,
    seen: Observed | None,
    gpus: str,
    in_flight: str,
    figures: Path | None,
    output: Output,
) -> int:
    from mars2.plan.sweep import STEPS, sweep

    try:
        counts = [int(x) for x in gpus.split(",")]
        flights = [int(x) for x in in_flight.split(",")]
    except ValueError:
        raise UsageError("--gpus and --in-flight take whole numbers, such as 1,8,64") from None
    rows = sweep(config, layout, seen, counts, flights)
    if output.as_json:
        output.data(rows)
    else:
        output.table(
            f"{layout.device.name}, {STEPS} steps; the batch grows with the devices",
            list(rows[0]),
            [[f"{v:.3g}" if isinstance(v, float) else v for v in row.values()] for row in rows],
        )
    if figures is not None:
        from mars2.plan.figures import draw

        for made in draw(rows, figures):
            output.log(f"figure: {made}")
    return 0
