"""Which problem the next tree is for, as a function of what is known of them and nothing else.

Every finished tree tells how hard its problem is at present: the mean raw reward of its nodes,
earlier visits counting half with each later one, because policies change. "shuffle" goes through
all problems in a new seeded order every epoch. "difficulty" prefers problems that are solved about
half of the time, which teach most (the variance p(1 - p) of a group is the largest there), and
goes on with the shuffle for those that it has not seen: DAPO's dynamic sampling (arXiv 2503.14476)
drops groups without variance after they were paid for, this one grows fewer of them.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from statistics import fmean
from typing import Any, Literal

from mars2.types import Node, Problem

FLOOR = 0.05
"""Weight of a problem that is always or never solved; 1 is that of one solved half of the time."""
DECAY = 0.5  # of what a visit counts, with every later one


class Curriculum:
    """Draws problems; deterministic in (seed, problems, state).

    Args:
        problems: all with their own id, at least one.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        seed: int,
        kind: Literal["shuffle", "difficulty"] = "shuffle",
    ) -> None:
        self.problems = problems
        self.seed = seed
        self.kind = kind
        self.cursor = 0  # along the shuffles of all epochs
        self._seen: dict[str, tuple[float, float, int]] = {}  # nodes, reward (decayed), visits
        self._order: tuple[int, list[int]] = (-1, [])

    def pick(self, number: int, busy: Collection[str] = ()) -> Problem:
        """The problem of tree `number`; not one whose id is in `busy`, if "difficulty" has others.

        Moves the cursor whenever the shuffle is asked.
        """
        if self.kind == "shuffle":
            return self._next_shuffled()
        free = [p for p in self.problems if p.id not in busy]
        seen = [p for p in free if p.id in self._seen]
        unseen = len(free) - len(seen)
        weights = [self.weight(p.id) for p in seen]
        new = unseen * (fmean(weights) if weights else 1.0)
        draw = random.Random(f"{self.seed}/tree {number}").random() * (sum(weights) + new)
        for problem, weight in zip(seen, weights, strict=True):
            if draw < weight:
                return problem
            draw -= weight
        while unseen:
            problem = self._next_shuffled()
            if problem.id not in busy and problem.id not in self._seen:
                return problem
        return seen[-1] if seen else self._next_shuffled()

    def observe(self, problem_id: str, nodes: Sequence[Node]) -> None:
        """A tree of this problem has these judged nodes."""
        if nodes:
            count, total, visits = self._seen.get(problem_id, (0.0, 0.0, 0))
            self._seen[problem_id] = (
                count * DECAY + len(nodes),
                total * DECAY + sum(n.reward for n in nodes),
                visits + 1,
            )

    def rate(self, problem_id: str) -> float | None:
        """Mean reward of late (a Beta mean with Jeffreys prior), None for an unseen problem."""
        if problem_id not in self._seen:
            return None
        count, total, _ = self._seen[problem_id]
        return (total + 0.5) / (count + 1)

    def weight(self, problem_id: str) -> float:
        """How much a seen problem is preferred, in (0, 1]."""
        rate = self.rate(problem_id)
        assert rate is not None
        return max(FLOOR, 4 * rate * (1 - rate))

    def summary(self) -> dict[str, Any]:
        """For metrics: problems seen, their visits, mean rate, and the share near a half."""
        rates = [r for p in self._seen if (r := self.rate(p)) is not None]
        return {
            "seen": len(rates),
            "visits": sum(visits for _, _, visits in self._seen.values()),
            "rate": fmean(rates) if rates else None,
            "middle": fmean(0.2 <= r <= 0.8 for r in rates) if rates else None,
        }

    def state(self) -> dict[str, Any]:
        """JSON values for a checkpoint."""
        return {"cursor": self.cursor, "seen": {k: list(v) for k, v in self._seen.items()}}

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self.cursor = state["cursor"]
        self._seen = {k: (n, r, v) for k, (n, r, v) in state["seen"].items()}

    def _next_shuffled(self) -> Problem:
        epoch, place = divmod(self.cursor, len(self.problems))
        if self._order[0] != epoch:
            order = list(range(len(self.problems)))
            random.Random(f"{self.seed}/epoch {epoch}").shuffle(order)
            self._order = (epoch, order)
        self.cursor += 1
        return self.problems[self._order[1][place]]
