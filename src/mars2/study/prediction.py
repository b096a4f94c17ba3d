"""What a study may declare of how a team's gain is foretold, and what of it contradicts itself.

x, of members that are not trained yet:
    joint_failure          how often an attempt of each of two of them both fail, mean over the
                           team's pairs
    joint_failure_excess   how much more often than if failures were independent over problems
    expected_gain@N        what `mars2 team suggest` expects a team to gain in Pass@N
    overlap                share of misread pieces that two of them have in common, of models that
                           the study makes, mean over pairs
    agents                 how many they are
y: a metric; the gain is the team's less that of its members alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mars2.study.metrics import parse_metric

if TYPE_CHECKING:
    from mars2.study.spec import Prediction, Study

TraitKind = Literal["joint_failure", "joint_failure_excess", "expected_gain", "overlap", "agents"]
LEAST_TEAMS = 3  # an order of two is no evidence
_GAINS = ("ceiling", "pass@1", "mcts", "any", "gain")


@dataclass(frozen=True, slots=True)
class Trait:
    """A parsed x; see the module. `nodes`: of a team, for its expected gain."""

    kind: TraitKind
    nodes: int = 0

    @property
    def measured(self) -> bool:
        """From attempts of the untrained members; else it is known without."""
        return self.kind not in ("overlap", "agents")


def parse_trait(text: str) -> Trait:
    """Raises ValueError, listing the forms, for anything else."""
    if text in ("joint_failure", "joint_failure_excess", "overlap", "agents"):
        return Trait(text)  # type: ignore[arg-type]
    if found := re.fullmatch(r"expected_gain@(\d+)", text):
        return Trait("expected_gain", int(found[1]))
    raise ValueError(
        f"{text!r} foretells nothing known: x is of joint_failure, joint_failure_excess, "
        "expected_gain@N, overlap, agents"
    )


def samples(study: Study, arm: str) -> int:
    """Attempts of each agent at a problem, of an arm that is not trained."""
    return study.config(study.arms[arm].settings, agents=[], seed=0).eval.samples


def teams_of(study: Study, prediction: Prediction) -> list[tuple[str, str, list[str]]]:
    """(arm, reference arm, team) of every team that is predicted."""
    pairs = [(arm, reference) for arm, reference in prediction.over]
    return [(arm, reference, team) for arm, reference in pairs for team in study.arms[arm].teams]


def check_prediction(where: str, prediction: Prediction, study: Study) -> None:
    """Raises ValueError, or ConfigError of the study's settings, if it contradicts itself or the
    study."""
    named = [prediction.before, *(arm for pair in prediction.over for arm in pair)]
    for arm in named:
        if arm not in study.arms:
            raise ValueError(f"{where}: there is no arm {arm!r}; there are {', '.join(study.arms)}")
    if any(len(pair) != 2 or pair[0] == pair[1] for pair in prediction.over):
        raise ValueError(f"{where}.over: give pairs [arm, arm of its members alone]")
    if study.arms[prediction.before].train != "none":
        raise ValueError(f"{where}.before: {prediction.before} is trained: name an arm that is not")
    if prediction.accounting is not None and prediction.accounting not in study.accountings():
        raise ValueError(f"{where}: nodes.{prediction.accounting} is not given")
    teams = teams_of(study, prediction)
    if len(teams) < LEAST_TEAMS or len({(a, *team) for a, _, team in teams}) < len(teams):
        raise ValueError(
            f"{where}.over: {len(teams)} teams; an order needs {LEAST_TEAMS}, each named once"
        )
    for arm, reference, team in teams:
        if len(team) < 2:
            raise ValueError(f"{where}.over: {arm} has a team of one agent, which gains nothing")
        if (study.arms[arm].train == "none") != (study.arms[reference].train == "none"):
            raise ValueError(f"{where}.over: one of {arm} and {reference} is trained, one is not")
        for agent in team:
            _alone(where, agent, reference, study)
            _alone(where, agent, prediction.before, study)
    for text in prediction.x:
        _trait(f"{where}.x", parse_trait(text), prediction, study)
    for text in prediction.y:
        _gain(f"{where}.y", text, prediction, study)


def _alone(where: str, agent: str, arm: str, study: Study) -> None:
    if [agent] not in study.arms[arm].teams:
        raise ValueError(
            f"{where}: {arm} has no team of {agent} alone; members are compared with themselves "
            f'alone: give it teams = [["{agent}"], ...]'
        )


def _trait(where: str, trait: Trait, prediction: Prediction, study: Study) -> None:
    teams = [team for _, _, team in teams_of(study, prediction)]
    if trait.kind == "expected_gain":
        there, most = samples(study, prediction.before), max(map(len, teams))
        if not most <= trait.nodes <= there:
            raise ValueError(
                f"{where}: expected_gain@{trait.nodes}: teams of up to {most} need at least as "
                f"many nodes, and {prediction.before} has {there} attempts at a problem, which "
                f"are the most; set arms.{prediction.before}.settings.eval.samples"
            )
    if trait.kind == "overlap":
        for agent in (a for team in teams for a in team):
            if "model" not in study.agents[agent]:
                raise ValueError(f"{where}: overlap is known of [models] alone; {agent} has none")


def _gain(where: str, text: str, prediction: Prediction, study: Study) -> None:
    metric = parse_metric(text)
    if metric.kind not in _GAINS:
        raise ValueError(f"{where}: {text!r} is no rate of what is solved, which one could gain in")
    if metric.evaluation is None:
        return
    if metric.evaluation not in study.evaluations:
        there = ", ".join(study.evaluations) or "none"
        raise ValueError(f"{where}: there is no {metric.evaluation!r}; there are {there}")
    most = study.evaluations[metric.evaluation].nodes
    if not 1 <= (metric.nodes or 0) <= most:
        raise ValueError(f"{where}: {text!r}: {metric.evaluation} has 1 to {most} nodes")
    accounting = prediction.accounting or study.accountings()[0]
    for arm in dict.fromkeys(arm for pair in prediction.over for arm in pair):
        end = None if study.arms[arm].train == "none" else accounting
        if metric.evaluation not in study.evaluated(arm, end):
            raise ValueError(f"{where}: {text} is not measured of {arm} at the end of {accounting}")
