"""From a study to its cells: which training runs and evaluations each needs, as whole settings.

A cell is an arm with a seed. Its teams are trained by runs of `mars2 train`; a run that several
arms ask for with the same settings (a policy trained alone, joined to another one only at test
time) is made once, by the first arm of the file. Each run goes to the end of every accounting in
turn: a *stage*, whose weights and evaluation are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mars2.agents.spec import parse_spec
from mars2.config import RunConfig
from mars2.config.presets import preset
from mars2.errors import ConfigError, Mars2Error
from mars2.study.models import PREFIX, made_agent
from mars2.study.spec import Accounting, Study
from mars2.training.rundir import safe_name

OFF = 0.05
"""By which share an accounting's nodes may miss a whole number of steps."""


@dataclass(slots=True)
class TrainRun:
    """One `mars2 train` run. `stages`: steps at which weights and evaluation are kept."""

    name: str
    config: RunConfig
    stages: set[int] = field(default_factory=set)

    @property
    def step_nodes(self) -> int:
        """Programs of one step."""
        return self.config.train.trees_per_step * self.config.search.nodes

    @property
    def policies(self) -> int:
        """Number of policies that learn in it."""
        return len({a.policy or a.spec for a in self.config.agents})

    def folder(self, out: Path) -> Path:
        """Of the run."""
        return out / "cells" / self.name

    def stage(self, out: Path, step: int) -> Path:
        """Where a stage's weights and evaluation are kept."""
        return self.folder(out) / "stages" / f"{step:05d}"

    def weights(self, out: Path, step: int, policy: str) -> Path:
        """A policy's weights at a stage."""
        return self.stage(out, step) / "weights" / safe_name(policy)

    def evaluation(self, out: Path, step: int, suffix: str) -> Path:
        """The held-out evaluation after `step` steps; `suffix` .json or .jsonl."""
        if step == 0:
            return self.folder(out) / "eval" / f"before{suffix}"
        if step in self.stages:
            return self.stage(out, step) / f"eval{suffix}"
        return self.folder(out) / "eval" / f"step{step:05d}{suffix}"

    def measured(self, until: int) -> list[int]:
        """Steps after which held-out pass@1 was measured, up to `until`."""
        every = self.config.train.eval_every
        last = max(self.stages)
        steps = {0, *range(every, last + 1, every), *self.stages}
        return sorted(s for s in steps if s <= until)


@dataclass(slots=True)
class System:
    """Agents that act together at test time, and where each policy's weights come from.

    `runs`: the training runs, all with steps of one size; `ends`: accounting → steps of each of
    them. Without runs untrained.
    """

    name: str
    agents: list[str]
    runs: list[TrainRun] = field(default_factory=list)
    ends: dict[Accounting, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Search:
    """One `mars2 eval` run: trees of a system, or (`evaluation` None) first attempts alone.

    `accountings`: those at whose end the system has these weights; none if it is untrained.
    """

    name: str
    system: System
    evaluation: str | None
    accountings: tuple[Accounting, ...]
    config: RunConfig

    def folder(self, out: Path) -> Path:
        """Of the run."""
        return out / "cells" / self.name


@dataclass(slots=True)
class Cell:
    """An arm with a seed."""

    arm: str
    seed: int
    systems: list[System] = field(default_factory=list)
    searches: list[Search] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.arm}/{self.seed}"

    def agents(self) -> list[str]:
        """Agents of all its teams, each once."""
        return list(dict.fromkeys(agent for s in self.systems for agent in s.agents))

    def runs(self) -> list[TrainRun]:
        """Training runs, each once."""
        return list({r.name: r for s in self.systems for r in s.runs}.values())


@dataclass(slots=True)
class Grid:
    """All cells of a study, seed by seed, so that an early end leaves whole seeds. `missing`: arm →
    why it cannot be run here."""

    study: Study
    out: Path
    cells: list[Cell]
    missing: dict[str, str]

    @property
    def reward_model(self) -> Path:
        """Directory of the study's reward model."""
        return self.out / "reward-model" / "model"

    def heldout(self, evaluation: str | None) -> tuple[str | None, int | None]:
        """Source and limit of the held-out problems of an evaluation; None: of pass@1."""
        layers = [] if evaluation is None else [self.study.evaluations[evaluation].settings]
        problems = self.study.config(*layers, agents=[], seed=0).problems
        return problems.heldout, problems.heldout_limit


def make_grid(study: Study, out: Path) -> Grid:
    """Raises ConfigError if an arm's settings are wrong or contradict the accounting."""
    made: dict[str, TrainRun] = {}
    cells = []
    for seed in study.seeds:
        for arm in study.arms:
            cells.append(_cell(study, out, arm, seed, made))
    grid = Grid(study, out, cells, _missing(study))
    for cell in cells:  # when the stages of every run are known
        cell.searches = _searches(grid, cell)
    return grid


def _cell(study: Study, out: Path, arm: str, seed: int, made: dict[str, TrainRun]) -> Cell:
    spec = study.arms[arm]
    cell = Cell(arm, seed)
    for team in spec.teams:
        policies = study.policies(team)
        system = System("+".join(team), team)
        groups = {"together": [team], "alone": list(policies.values()), "none": []}[spec.train]
        for group in groups:
            config = _training(study, out, arm, group, seed)
            # Runs with the same settings are one run, whatever arm asks for them.
            key = config.model_dump_json()
            name = f"{arm}/{seed}/train-{'+'.join(group)}"
            system.runs.append(made.setdefault(key, TrainRun(name, config)))
        for accounting in study.accountings() if system.runs else ():
            system.ends[accounting] = _ends(study, arm, system, accounting, len(policies))
            for run in system.runs:
                run.stages.add(system.ends[accounting])
        cell.systems.append(system)
    return cell


def _training(study: Study, out: Path, arm: str, group: Sequence[str], seed: int) -> RunConfig:
    """Settings of a training run but for how many steps it makes (`train.steps` stays 1)."""
    agents = [made_agent(study, out, name) for name in group]
    config = study.config(study.arms[arm].settings, agents=agents, seed=seed)
    where = f"arms.{arm}: "
    train = config.train
    if not config.problems.heldout:
        raise ConfigError(where + "problems.heldout is not set: a study measures on such problems")
    if train.mode != "sync" or train.refill_rounds:
        raise ConfigError(
            where + 'equal nodes need train.mode = "sync" and train.refill_rounds = 0, which make '
            f"every step of one size (got {train.mode!r}, {train.refill_rounds})"
        )
    if config.learner.schedule != "constant":
        raise ConfigError(
            where + "learner.schedule must be constant: runs go on from one accounting to the next"
        )
    size = train.trees_per_step * config.search.nodes
    every = round(study.nodes.between / size)
    if every < 1 or abs(every * size / study.nodes.between - 1) > OFF:
        raise ConfigError(
            where + f"nodes.between = {study.nodes.between} is no whole number of steps of {size} "
            f"nodes ({train.trees_per_step} trees of {config.search.nodes})"
        )
    data = config.model_dump()
    data["train"] |= {"steps": 1, "eval_every": every, "keep_best": "off", "time_budget_s": None}
    data["train"] |= {"keep_checkpoints": 1}
    data["eval"]["nodes"] = 1
    return RunConfig.model_validate(data)


def _ends(study: Study, arm: str, system: System, accounting: Accounting, policies: int) -> int:
    """Steps of each of the system's runs at the end of an accounting."""
    nodes = getattr(study.nodes, accounting)
    share = (nodes if accounting == "in_all" else nodes * policies) / len(system.runs)
    size = system.runs[0].step_nodes  # all runs of an arm have its settings
    steps = max(1, round(share / size))
    if abs(steps * size / share - 1) > OFF:
        raise ConfigError(
            f"arms.{arm}: nodes.{accounting} = {nodes} gives each run of {system.name} {share:g} "
            f"nodes, which is no whole number of steps of {size}: {steps} would be {steps * size}"
        )
    return steps


def _searches(grid: Grid, cell: Cell) -> list[Search]:
    study, found = grid.study, []
    for system in cell.systems:
        place = f"{cell.arm}/{cell.seed}"
        if not system.runs:
            config = _eval_config(
                grid, system, None, cell.seed, None, study.arms[cell.arm].settings
            )
            found.append(Search(f"{place}/attempts-{system.name}", system, None, (), config))
            for name in study.evaluated(cell.arm, None):
                config = _eval_config(grid, system, name, cell.seed, None)
                found.append(Search(f"{place}/{name}-{system.name}", system, name, (), config))
        for name in study.evaluations:
            by_step: dict[int, list[Accounting]] = {}
            for accounting, step in system.ends.items():
                if name in study.evaluated(cell.arm, accounting):
                    by_step.setdefault(step, []).append(accounting)
            for step, accountings in by_step.items():
                config = _eval_config(grid, system, name, cell.seed, step)
                label = f"{place}/{name}@{step}-{system.name}"
                found.append(Search(label, system, name, tuple(accountings), config))
    return found


def _eval_config(
    grid: Grid,
    system: System,
    evaluation: str | None,
    seed: int,
    step: int | None,
    settings: Mapping[str, Any] | None = None,
) -> RunConfig:
    """`settings`: of first attempts."""
    study = grid.study
    weights: dict[str, str] = {}
    if step is not None:
        for run in system.runs:
            for agent in run.config.agents:
                backend = parse_spec(agent.spec).backend
                path = run.weights(grid.out, step, agent.policy or agent.spec)
                weights[agent.name] = f"{backend}:{path}"
    agents = [
        made_agent(study, grid.out, name) | ({"spec": weights[name]} if weights else {})
        for name in system.agents
    ]
    layers: list[dict[str, Any]] = []
    if evaluation is None:
        layers += [dict(settings or {}), {"eval": {"nodes": 1}}]
    else:
        spec = study.evaluations[evaluation]
        if spec.preset is not None:
            layers.append(preset(spec.preset))
        layers += [spec.settings, {"eval": {"nodes": spec.nodes, "samples": 1}}]
        if study.reward_model is not None:
            layers.append({"inference": {"reward_model": str(grid.reward_model)}})
    return study.config(*layers, agents=agents, seed=seed)


def _missing(study: Study) -> dict[str, str]:
    """Arms whose models are not there."""
    found: dict[str, str] = {}
    why: dict[str, str] = {}
    for name in study.agents:
        try:
            _available(study.agent(name)["spec"])
        except Mars2Error as error:
            hint = f"; build it with: {study.builds[name]}" if name in study.builds else ""
            why[name] = f"{error}{hint}"
    for arm, spec in study.arms.items():
        lacking = [a for team in spec.teams for a in team if a in why]
        if lacking:
            found[arm] = f"agent {lacking[0]}: {why[lacking[0]]}"
    return found


def _available(text: str) -> None:
    """Raises a Mars2Error if a model is known not to be there; asks no network."""
    spec = parse_spec(text)
    if text.startswith(PREFIX):
        return  # the study makes it
    if spec.backend == "micro" and not (Path(spec.model).expanduser() / "config.json").is_file():
        from mars2.lab.specs import weights_dir

        weights_dir(spec.model)


def toml(settings: dict[str, Any]) -> str:
    """As TOML: plain values, agents, and sections of plain values, whose JSON is TOML too. What is
    None is left out, as TOML has no such value."""

    def lines(values: dict[str, Any]) -> list[str]:
        return [
            f"{key} = {json.dumps(value)}"
            for key, value in values.items()
            if value is not None and not isinstance(value, dict) and key != "agents"
        ]

    parts = lines(settings)
    for agent in settings.get("agents", []):
        parts += ["[[agents]]", *lines(agent)]
    for section, values in settings.items():
        if isinstance(values, dict):
            parts += [f"[{section}]", *lines(values)]
    return "\n".join(parts) + "\n"
