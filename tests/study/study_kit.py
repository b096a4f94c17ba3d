"""Study files, and summaries of known truth, for the tests of studies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mars2.study.spec import Study, load_study
from mars2.study.store import described

SMALL = """
title = "Small"
seeds = [0, 1]
base = "quickstart"

[settings.problems]
heldout_limit = 3

[settings.search]
nodes = 8

[settings.train]
trees_per_step = 4

[agents.lark]
spec = "micro:lark"
[agents.loom]
spec = "micro:loom"

[nodes]
in_all = 128
per_policy = 64
between = 32
plateau = 2

[arms.base]
about = "untrained"
teams = [["lark"], ["loom"]]
train = "none"
[arms.tree]
about = "alone"
teams = [["lark"], ["loom"]]
[arms.team]
about = "together"
teams = [["lark", "loom"]]
[arms.joined]
about = "alone, joined"
teams = [["lark", "loom"]]
train = "alone"
control = true

[evaluations.rep]
nodes = 4
settings = { search = { strategy = "repeated" } }

[[comparisons]]
a = "team"
b = "tree"
metric = "ceiling"
[[comparisons]]
a = "team"
b = "tree"
metric = "rep.gain@4"
accounting = "in_all"
[[comparisons]]
a = "team"
b = "tree"
metric = "diversity.algorithmic"
accounting = "in_all"
expect = "less"

[power]
effect = 0.1
sd_seed = 0.02
sd_problem = 0.1
sd_rest = 0.2
"""


def study(folder: Path, text: str = SMALL, **replaced: str) -> Study:
    """The study of a text in which each key's text was replaced by its value."""
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    return load_study(written(folder, text))


def written(folder: Path, text: str = SMALL, name: str = "small") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def table(
    rng: np.random.Generator, seeds: int, problems: int, sd: tuple[float, float, float]
) -> np.ndarray:
    """Crossed effects of seeds, of problems, and a rest, around 0."""
    a, b, e = sd
    return (
        a * rng.standard_normal((seeds, 1))
        + b * rng.standard_normal((1, problems))
        + e * rng.standard_normal((seeds, problems))
    )


def rows(values: np.ndarray) -> dict[int, dict[str, float]]:
    """As `estimate` takes it."""
    return {s: {f"p{i:03d}": float(x) for i, x in enumerate(row)} for s, row in enumerate(values)}


def summary(declared: Study, rates: Mapping[str, float], *, problems: int = 12) -> dict[str, Any]:
    """Every arm passes a share of attempts, drawn around its rate; trees find what they find."""
    rng = np.random.default_rng(7)
    ids = [f"problem-{i}" for i in range(problems)]

    def drawn(mean: float) -> list[float]:
        return [float(x) for x in rng.binomial(4, mean, problems) / 4]

    def point(nodes: int, mean: float, agents: list[str]) -> dict[str, Any]:
        return {
            "nodes": nodes,
            "rates": {agent: drawn(mean) for agent in agents},
            "joint_failure": (1 - mean) ** 2,
            "diversity": {"semantic": 0.2, "algorithmic": 0.3},
        }

    def end(place: int, mean: float, spent: dict[str, float]) -> dict[str, Any]:
        firsts = [int(x) for x in rng.integers(0, 5, problems)]
        return {
            "point": place,
            "joint_failure": [float(x) for x in rng.random(problems) * (1 - mean)],
            "diversity": {"algorithmic": [float(x) for x in 0.3 + 0.1 * rng.random(problems)]},
            "spent": spent,
            "trees": {"rep": [[n, [n] if n else []] for n in firsts]},
        }

    cells = []
    for seed in declared.seeds:
        for arm, spec in declared.arms.items():
            systems = []
            for team in spec.teams:
                mean = rates[arm]
                if spec.train == "none":
                    points, ends = [point(0, mean, team)], {"untrained": end(0, mean, {})}
                else:
                    points = [point(32 * k, mean * (0.8 + 0.05 * k), team) for k in range(5)]
                    spent = {"nodes": 128.0, "updates": 4.0}
                    ends = {
                        "per_policy": end(2, mean, spent),
                        "in_all": end(4, mean, spent),
                    }
                systems.append(
                    {"name": "+".join(team), "agents": team, "points": points, "ends": ends}
                )
            cells.append({"format": 1, "arm": arm, "seed": seed, "systems": systems})
    return {
        "format": 1,
        "name": "small",
        "study": described(declared),
        "problems": ids,
        "cells": cells,
    }
