"""What to change so that a plan fits: single settings that are tried, never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mars2.config import RunConfig, load_config
from mars2.errors import ConfigError
from mars2.plan.layout import Layout
from mars2.plan.memory import gigabytes
from mars2.plan.planning import Plan, make_plan

_SMALLEST = 512  # tokens of a micro-batch below which nothing more is gained


@dataclass(frozen=True, slots=True)
class Change:
    """Settings that, changed together, make it fit, or come closest."""

    settings: dict[str, Any]
    fits: bool
    over: float  # bytes that are still too many

    def __str__(self) -> str:
        text = " and ".join(f"{k} = {v!r}" for k, v in self.settings.items())
        return text if self.fits else f"{text} (still {gigabytes(self.over)} too many)"


def advise(config: RunConfig, layout: Layout, plan: Plan, most: int = 4) -> list[Change]:
    """Changes that make a plan fit which does not: alone, then added one to the other.

    If nothing does, the one that comes closest.
    """
    if not plan.misfits:
        return []
    found: list[Change] = []
    closest: Change | None = None
    together: dict[str, Any] = {}
    for settings in _single(config, layout):
        change = _tried(config, layout, settings)
        if change is None:
            continue
        if change.fits and not any(c.settings.keys() == settings.keys() for c in found):
            found.append(change)
        together |= settings
        both = _tried(config, layout, together)
        if both is not None and (closest is None or both.over < closest.over):
            closest = both
    if found:
        return found[:most]
    return [closest] if closest is not None else []


def _single(config: RunConfig, layout: Layout) -> Iterator[dict[str, Any]]:
    """What could be changed, the least harmful first."""
    learner = config.learner
    if learner.activation_checkpointing in (False, "light"):
        yield {"learner.activation_checkpointing": "auto"}
    if learner.activation_checkpointing is not True:
        yield {"learner.activation_checkpointing": True}
    tokens = learner.micro_batch_tokens
    while tokens // 2 >= _SMALLEST:
        tokens //= 2
        yield {"learner.micro_batch_tokens": tokens}
    rows = max(a.max_batch for a in config.agents)
    while rows > 1 and layout.engine == "process":
        rows //= 2
        yield {"agents.max_batch": rows}
    if any(a.dtype == "float32" for a in config.agents):
        yield {"agents.dtype": "bfloat16"}
    if learner.precision == "float32":
        yield {"learner.precision": "bfloat16"}
    if config.objective.needs_reference and not learner.lora_rank:
        yield {"objective.kl_beta": 0.0, "objective.report_kl": False}
    if layout.engine == "sharded":
        for share in (0.4, 0.3, 0.25, 0.2, 0.125):
            yield {"layout.generate_share": share}
        for degree in (2, 4, 8):
            yield {"layout.tensor_parallel": degree}
        for factor in (2, 3, 4, 8):
            yield {"layout.count": layout.count * factor}
    if not learner.lora_rank:
        yield {"learner.lora_rank": 16}
    tokens = max(a.max_tokens for a in config.agents)
    while tokens // 2 >= _SMALLEST:
        tokens //= 2
        yield {"agents.max_tokens": tokens}


def _tried(config: RunConfig, layout: Layout, settings: dict[str, Any]) -> Change | None:
    """The plan with these settings; None if they do not go together."""
    data, place = config.model_dump(), layout
    for key, value in settings.items():
        section, _, name = key.partition(".")
        if section == "layout":
            place = place.model_copy(update={name: value})
        elif section == "agents":
            for agent in data["agents"]:
                agent[name] = min(agent[name], value) if isinstance(value, int) else value
        else:
            data[section][name] = value
    try:
        plan = make_plan(load_config(base=data), place)
    except ConfigError:
        return None
    over = max((p.over for p in plan.misfits), default=0.0)
    return Change(dict(settings), not plan.misfits, over)
