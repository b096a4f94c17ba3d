"""Models that a study makes for itself: members of the lab's overlap dial (docs/lab.md)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mars2.lab.dial import AgentRecipe, Recipe, directory_name, make_dial
from mars2.study.spec import DialModel, Study

_ALL = 4  # agents of the dial: a smaller one has the first of them, unchanged
PREFIX = "micro:@"
"""Of the spec of an agent whose model the study makes, before it is known where."""


def recipe(model: DialModel) -> AgentRecipe:
    """How it is made.

    Raises:
        UsageError: a number out of its range.
        AgentSpecError: no such base.
    """
    dial = make_dial(
        _ALL,
        model.overlap,
        seed=model.seed,
        bases=model.bases,
        rate=model.rate,
        twin=True,
        double=True,
        steps=model.steps,
        base_steps=model.base_steps,
    )
    return (dial.agents | dial.controls)[model.member]


def model_path(out: Path, model: DialModel) -> Path:
    """Where it is, or will be."""
    return out / "models" / directory_name(recipe(model))


def recipes(models: Sequence[DialModel]) -> dict[str, Recipe]:
    """What there is to make, by name of its directory: bases, which several may share, first."""
    found = [recipe(model) for model in models]
    ordered: list[Recipe] = [*(agent.base for agent in found), *found]
    return {directory_name(wanted): wanted for wanted in ordered}


def make(out: Path, wanted: Recipe) -> None:
    """Make a model, and its base, unless they are there. Imports torch."""
    from mars2.lab.finish import make_model_of

    folder = out / "models"
    folder.mkdir(parents=True, exist_ok=True)
    make_model_of(wanted, folder, lambda line: print(line, file=sys.stderr, flush=True))


def made_agent(study: Study, out: Path, name: str) -> dict[str, object]:
    """An agent's settings, with the place of its model where the study makes it."""
    agent = study.agent(name)
    spec = str(agent["spec"])
    if spec.startswith(PREFIX):
        agent["spec"] = f"micro:{model_path(out, study.models[spec.removeprefix(PREFIX)])}"
    return agent
