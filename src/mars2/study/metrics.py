"""Names of what arms are compared in.

ceiling               held-out pass@1, mean over the last measurements of the accounting
pass@1                held-out pass@1 at its end
EVALUATION.mcts@N     does the node pass that the selector picks after N nodes? Pass@1(MCTS)
EVALUATION.any@N      does any of the first N nodes pass? Pass@N
EVALUATION.gain@N     mcts@N less pass@1: what search at test time adds
diversity.LEVEL       semantic, algorithmic or reasoning: expected distance of two first attempts
                      at a problem, each by an agent drawn at random
joint_failure         chance that a first attempt of each agent fails, mean over pairs of agents
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Level = Literal["semantic", "algorithmic", "reasoning"]
LEVELS: tuple[str, ...] = get_args(Level)
Kind = Literal["ceiling", "pass@1", "mcts", "any", "gain", "diversity", "joint_failure"]

TITLES: dict[str, str] = {
    "ceiling": "Ceiling (held-out pass@1 at the plateau)",
    "pass@1": "Held-out pass@1",
    "mcts": "Pass@1(MCTS)",
    "any": "Pass@N",
    "gain": "Gain of search, Pass@1(MCTS) − pass@1",
    "diversity": "Diversity",
    "joint_failure": "Joint failure",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A parsed name; see the module."""

    kind: Kind
    evaluation: str | None = None
    nodes: int | None = None
    level: str | None = None

    @property
    def text(self) -> str:
        """The name."""
        if self.evaluation is not None:
            return f"{self.evaluation}.{self.kind}@{self.nodes}"
        return f"diversity.{self.level}" if self.kind == "diversity" else self.kind


def parse_metric(text: str) -> Metric:
    """Raises ValueError, listing the forms, for anything else."""
    if text in ("ceiling", "pass@1", "joint_failure"):
        return Metric(text)  # type: ignore[arg-type]
    first, dot, rest = text.partition(".")
    if first == "diversity" and rest in LEVELS:
        return Metric("diversity", level=rest)
    found = re.fullmatch(r"(mcts|any|gain)@(\d+)", rest)
    if dot and found:
        return Metric(found[1], evaluation=first, nodes=int(found[2]))  # type: ignore[arg-type]
    raise ValueError(
        f"{text!r} is no metric: there are ceiling, pass@1, joint_failure, diversity.LEVEL "
        f"({', '.join(LEVELS)}), and EVALUATION.mcts@N, EVALUATION.any@N, EVALUATION.gain@N"
    )
