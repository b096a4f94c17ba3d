"""A study file: what is compared, on what, with how many seeds, and what is expected.

Unknown keys are refused by name, and whatever contradicts itself is refused before anything runs.
docs/studies.md describes every key.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from mars2.config import AgentConfig, RunConfig, load_config
from mars2.config.presets import preset, preset_names
from mars2.config.section import Section
from mars2.errors import ConfigError
from mars2.study.metrics import Metric, parse_metric
from mars2.study.prediction import check_prediction

Accounting = Literal["in_all", "per_policy"]
ACCOUNTINGS: tuple[Accounting, ...] = ("in_all", "per_policy")
NAME = r"^[A-Za-z0-9][A-Za-z0-9+_-]*$"


class Nodes(Section):
    """How many programs training generates. Of a team that acts together: `in_all` by all its
    policies; `per_policy` times their number. Held-out pass@1 is measured every `between` nodes of
    a run; its mean over the last `plateau` measurements is the ceiling."""

    in_all: int | None = Field(default=None, gt=0)
    per_policy: int | None = Field(default=None, gt=0)
    between: int = Field(gt=0)
    plateau: int = Field(default=3, gt=0)
    tolerance: float = Field(default=0.02, gt=0)  # a rise below it, surely, is none

    @model_validator(mode="after")
    def _some(self) -> Nodes:
        if self.in_all is None and self.per_policy is None:
            raise ValueError("give in_all, per_policy or both")
        return self


class DialModel(Section):
    """A micro model that the study makes for itself: a member of the lab's overlap dial. Agents
    name it by `model` instead of `spec`. docs/lab.md says what the numbers are."""

    member: Literal["a1", "a2", "a3", "a4", "twin", "double"]
    overlap: float = Field(ge=0, le=1)
    bases: list[str] = Field(default=["loom"], min_length=1)
    seed: int = 0
    rate: float = Field(default=0.85, ge=0, le=1)
    steps: int = Field(default=60, gt=0)
    base_steps: int = Field(default=900, gt=0)


class Arm(Section):
    """One way to have a team. `teams`: those that act together at test time, each a list of agents;
    an arm of several is their mean. `train`: "together" in one run; "alone", each policy in a run
    of its own, joined at test time; "none"."""

    about: str
    teams: list[list[str]] = Field(min_length=1)
    train: Literal["together", "alone", "none"] = "together"
    control: bool = False
    settings: dict[str, Any] = Field(default={})  # of training; untrained: of first attempts


class Evaluation(Section):
    """Held-out trees of trained teams: one search of `nodes` nodes gives every smaller budget."""

    about: str = ""
    preset: str | None = None
    nodes: int = Field(gt=0)
    budgets: list[int] = Field(default=[])  # shown in tables; empty: powers of two and `nodes`
    accountings: list[Accounting] | None = None  # None: all
    arms: list[str] | None = None  # None: all
    settings: dict[str, Any] = Field(default={})

    def shown(self) -> list[int]:
        """Budgets of tables and figures."""
        if self.budgets:
            return sorted({b for b in self.budgets if b <= self.nodes} | {self.nodes})
        return [n for n in range(1, self.nodes + 1) if n & (n - 1) == 0 or n == self.nodes]


class RewardModel(Section):
    """A reward model for evaluations whose selector asks for one, trained once for the study on
    trees of training problems grown by the untrained agents."""

    base: str
    agents: list[str] = Field(min_length=1)
    problems: int = Field(gt=0)
    nodes: int = Field(default=8, gt=0)
    epochs: int = Field(default=4, gt=0)
    lr: float = Field(default=5e-4, gt=0)


class Comparison(Section):
    """`a` minus `b`. `accounting` None: of every one. An exploratory comparison is reported apart
    and is no part of the family whose p values are corrected."""

    a: str
    b: str
    metric: str
    accounting: Accounting | None = None
    expect: Literal["greater", "less", "different"] = "greater"
    exploratory: bool = False


class Prediction(Section):
    """How well `x`, of the untrained members in the arm `before`, foretells what teams gain in `y`.

    `over`: pairs [arm, arm of its members alone]: every team of the first is one to predict. Its
    gain is over its best member alone, the one with the highest mean over all seeds, or over the
    mean of its members. `mars2.study.prediction` has the forms of x.
    """

    about: str = ""
    before: str
    x: list[str] = Field(min_length=1)
    y: list[str] = Field(min_length=1)
    over: list[list[str]] = Field(min_length=1)
    against: Literal["best", "mean"] = "best"
    accounting: Accounting | None = None  # None: the first
    exploratory: bool = False


class Power(Section):
    """What the study is able to find: chosen before it is run. Standard deviations of a paired
    difference come from `pilot`, a summary.json beside the study file, or are stated."""

    effect: float = Field(gt=0)
    power: float = Field(default=0.8, gt=0, lt=1)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    pilot: str | None = None
    sd_seed: float | None = Field(default=None, ge=0)
    sd_problem: float | None = Field(default=None, ge=0)
    sd_rest: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _known(self) -> Power:
        stated = [self.sd_seed, self.sd_problem, self.sd_rest]
        if self.pilot is None and any(x is None for x in stated):
            raise ValueError("give pilot, or all of sd_seed, sd_problem and sd_rest")
        return self


class Study(Section):
    """A study file."""

    title: str
    question: str = ""
    base: str | dict[str, Any] = "quickstart"
    seeds: list[int] = Field(min_length=1)
    settings: dict[str, Any] = Field(default={})
    agents: dict[str, dict[str, Any]] = Field(min_length=1)
    models: dict[str, DialModel] = Field(default={})
    builds: dict[str, str] = Field(default={})  # agent → the command that makes its model
    nodes: Nodes
    arms: dict[str, Arm] = Field(min_length=1)
    evaluations: dict[str, Evaluation] = Field(default={})
    reward_model: RewardModel | None = None
    comparisons: list[Comparison] = Field(default=[])
    predictions: dict[str, Prediction] = Field(default={})
    power: Power

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed is given twice")
        return seeds

    @field_validator("arms", "evaluations", "agents", "predictions")
    @classmethod
    def _names(cls, found: dict[str, Any]) -> dict[str, Any]:
        for name in found:
            if not re.match(NAME, name):
                raise ValueError(f"{name!r} names directories: use letters, digits, - and _")
        return found

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        for name, arm in self.arms.items():
            for agent in (a for team in arm.teams for a in team):
                _known(f"arms.{name}.teams", agent, self.agents)
            if any(len(set(t)) < len(t) or not t for t in arm.teams):
                raise ValueError(f"arms.{name}.teams: a team is empty or has an agent twice")
        for name, evaluation in self.evaluations.items():
            if evaluation.preset is not None and evaluation.preset not in preset_names():
                raise ValueError(f"evaluations.{name}.preset: there is no {evaluation.preset!r}")
            for arm_name in evaluation.arms or ():
                _known(f"evaluations.{name}.arms", arm_name, self.arms)
        for place, comparison in enumerate(self.comparisons):
            where = f"comparisons.{place}"
            for arm_name in (comparison.a, comparison.b):
                _known(where, arm_name, self.arms)
            if comparison.a == comparison.b:
                raise ValueError(f"{where}: an arm is compared with itself")
            self._metric(where, comparison.metric)
            for accounting in [comparison.accounting] if comparison.accounting else []:
                if accounting not in self.accountings():
                    raise ValueError(f"{where}: nodes.{accounting} is not given")
            if not self.compared_in(comparison):
                raise ValueError(
                    f"{where}: {comparison.metric} is not measured of both "
                    f"{comparison.a} and {comparison.b} at the end of "
                    f"{comparison.accounting or 'any accounting'}"
                )
        for agent in self.builds:
            _known("builds", agent, self.agents)
        for agent, given in self.agents.items():
            if ("model" in given) == ("spec" in given):
                raise ValueError(f"agents.{agent}: give either spec, or model, one of [models]")
            if "model" in given:
                _known(f"agents.{agent}.model", given["model"], self.models)
        if self.reward_model is not None:
            for agent in self.reward_model.agents:
                _known("reward_model.agents", agent, self.agents)
        for name, prediction in self.predictions.items():
            check_prediction(f"predictions.{name}", prediction, self)
        return self

    def _metric(self, where: str, text: str) -> Metric:
        metric = parse_metric(text)
        if metric.evaluation is not None:
            _known(where, metric.evaluation, self.evaluations)
            most = self.evaluations[metric.evaluation].nodes
            if not 1 <= (metric.nodes or 0) <= most:
                raise ValueError(f"{where}: {text!r}: {metric.evaluation} has 1 to {most} nodes")
        return metric

    def accountings(self) -> list[Accounting]:
        """Those given."""
        return [a for a in ACCOUNTINGS if getattr(self.nodes, a) is not None]

    def compared_in(self, comparison: Comparison) -> list[Accounting]:
        """The accountings that a comparison is of: its own, or all in which both are measured."""
        wanted = comparison.accounting
        evaluation = parse_metric(comparison.metric).evaluation

        def measured(arm: str, accounting: Accounting) -> bool:
            trained = self.arms[arm].train != "none"
            return evaluation in self.evaluated(arm, accounting if trained else None)

        return [
            accounting
            for accounting in self.accountings()
            if wanted in (None, accounting)
            and (
                evaluation is None
                or all(measured(arm, accounting) for arm in (comparison.a, comparison.b))
            )
        ]

    def evaluated(self, arm: str, accounting: Accounting | None) -> list[str]:
        """Evaluations of an arm's teams with the weights of an accounting; None: untrained ones."""
        return [
            name
            for name, spec in self.evaluations.items()
            if (spec.arms is None or arm in spec.arms)
            and (accounting is None or accounting in (spec.accountings or ACCOUNTINGS))
        ]

    def searched(self, accounting: Accounting) -> list[str]:
        """Evaluations to show at an accounting's end: those of an arm that is trained, and at the
        first those of untrained arms alone, which are the same at the end of each."""
        arms = [name for name, arm in self.arms.items() if arm.train != "none"]

        def ends(name: str) -> list[Accounting]:
            every = self.accountings()
            return [a for a in every if any(name in self.evaluated(arm, a) for arm in arms)]

        first = self.accountings()[:1]
        return [name for name in self.evaluations if accounting in (ends(name) or first)]

    def config(self, *layers: dict[str, Any], agents: list[dict[str, Any]], seed: int) -> RunConfig:
        """Base, then the study's settings, then `layers`.

        Raises:
            ConfigError: unknown keys or bad values, by name.
        """
        data: dict[str, Any] = {}
        for layer in (base_settings(self.base), self.settings, *layers):
            merge(data, layer)
        data |= {"agents": agents, "seed": seed}
        return load_config(base=data)

    def agent(self, name: str) -> dict[str, Any]:
        """An agent's settings, its policy named after it unless it shares one. The spec of a model
        that the study makes is "micro:@MODEL" (`mars2.study.models` knows the place)."""
        given = {"policy": name, **self.agents[name]}
        if "model" in given:
            given["spec"] = f"micro:@{given.pop('model')}"
        return AgentConfig.model_validate({"name": name, **given}).model_dump()

    def policies(self, team: list[str]) -> dict[str, list[str]]:
        """Policy → its agents in the team."""
        found: dict[str, list[str]] = {}
        for name in team:
            found.setdefault(self.agent(name)["policy"], []).append(name)
        return found


def _known(where: str, name: str, among: Any) -> None:
    if name not in among:
        raise ValueError(f"{where}: there is no {name!r}; there are {', '.join(among) or 'none'}")


def merge(into: dict[str, Any], new: dict[str, Any]) -> None:
    """Settings of `new` over those of `into`, section by section; `new` is left as it is."""
    for key, value in new.items():
        if isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def base_settings(base: str | dict[str, Any]) -> dict[str, Any]:
    """Settings of "quickstart", of a preset, of a TOML file or of a table, without agents and seed.

    Raises:
        ConfigError: none of these.
    """
    if isinstance(base, dict):
        data = base
    elif base == "quickstart":
        text = resources.files("mars2").joinpath("configs/quickstart.toml").read_text("utf-8")
        data = tomllib.loads(text)
        data["train"].pop("time_budget_s")
    elif base in preset_names():
        data = preset(base)
    else:
        data = _toml(Path(base))
    return {k: v for k, v in data.items() if k not in ("agents", "seed")}


def load_study(path: Path) -> Study:
    """Read and check a study file. A `base` that is a file is relative to the study's.

    Raises:
        ConfigError: missing, no TOML, or wrong; names every key.
    """
    data = _toml(path)
    base = data.get("base", "quickstart")
    if isinstance(base, str) and base != "quickstart" and base not in preset_names():
        data["base"] = str(path.parent / base)
    where = ""
    try:
        study = Study.model_validate(data)
        for name in study.agents:
            where = f"agents.{name}."
            study.agent(name)
    except ValidationError as error:
        raise ConfigError(_explain(error, path, where)) from None
    return study


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from None


def _explain(error: ValidationError, path: Path, where: str) -> str:
    lines = []
    for issue in error.errors():
        key = where + ".".join(map(str, issue["loc"]))
        if issue["type"] == "extra_forbidden":
            lines.append(f"{path}: unknown key {key!r}")
        elif issue["type"] == "value_error":
            lines.append(f"{path}: {key + ': ' if key else ''}{issue['ctx']['error']}")
        else:
            got = f" (got {issue['input']!r})" if issue["type"] != "missing" else ""
            lines.append(f"{path}: {key}: {issue['msg']}{got}")
    return "\n".join(lines)
