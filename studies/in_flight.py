"""What an expansion under way should do to the statistics: five policies, measured.

Several expansions of one tree run at once, so each is chosen without knowing what the others will
give. A policy says what is pretended meanwhile:

    none         nothing
    GEN at 0     GEN of the expanded node carries an observation of reward 0 (`AbMcts`)
    GEN at mean  GEN carries an observation at its posterior mean: surer, not worse
    GENs at 0    so does GEN of every node on the way to it
    path at 0    virtual loss: also every child arm and CONT on the way carries a 0

Two landscapes, "deep", where refining pays, and "broad", where it pays little. A program has a
quality in [0, 1]; the best that a tree can reach, its ceiling, is drawn from U[0.6, 1]. A first
attempt has the ceiling times a draw from Beta(1.5, 3) (broad: Beta(0.7, 1.5)). A refinement
breaks its parent's program with probability 0.15 (broad: 0.4), which multiplies its quality by a
draw from U[0, 1]; leaves it much as it was with probability 0.45 (plus a draw from N(0, 0.02^2));
and else closes a share from U[0, 0.5] (broad: U[0, 0.2]) of what is left to the ceiling. The
reward is the fraction of 20 tests nearest to the quality. Latencies are log-normal (sigma 1), so
expansions end out of order; a place that falls free is asked for anew.

Reported at equal budget, over trees: children of the root, greatest depth, best quality, each
with its standard error; and the difference of the best quality to one expansion at a time, paired
by tree. What a policy is for is trees like those of one at a time: one that makes them broader or
narrower looks better or worse than that by the landscape. All numbers depend on the seeds alone.

    python studies/in_flight.py [--trees 250] [--nodes 100] [--json]
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import os
import platform
import random
import statistics
from typing import Any, NamedTuple

from mars2.search.arms import Arm, ArmKind, BetaArm, GaussianArm
from mars2.search.base import ROOT
from mars2.search.seeds import derive
from mars2.search.tree import AbMcts
from mars2.types import Expansion

AGENTS = ("a", "b", "c")
TESTS = 20
IN_FLIGHT = (1, 8, 20)  # one first: the others are compared with it
ARM_KINDS: tuple[ArmKind, ...] = ("beta", "gaussian")
NOW = "GEN at 0"


class NoPending(AbMcts):
    """Pretends nothing."""

    def _pend(self, expansion: Expansion, by: int) -> None:
        return None


class GensOnPath(AbMcts):
    """GEN of every node on the way carries observations of 0."""

    def _pend(self, expansion: Expansion, by: int) -> None:
        super()._pend(expansion, by)
        node = expansion.parent_id or ROOT
        while node != ROOT:
            node = self._parent[node]
            self._gen[node].pending += by


class PathLoss(AbMcts):
    """Virtual loss along the whole path."""

    def _pend(self, expansion: Expansion, by: int) -> None:
        super()._pend(expansion, by)
        node = expansion.parent_id or ROOT
        while node != ROOT:
            above = self._parent[node]
            arm, siblings = self._arm[node], self._siblings[above]
            assert siblings is not None
            arm.pending += by
            siblings.put(self._index[node], arm)
            self._cont[above].pending += by
            node = above


class BetaAtMean(BetaArm):
    """Pending observations at the posterior mean."""

    __slots__ = ()

    def parameters(self) -> tuple[float, float]:
        a, b = 0.5 + self.total, 0.5 + self.count - self.total
        grown = 1 + self.pending / (a + b)
        return a * grown, b * grown


class GaussianAtMean(GaussianArm):
    """Pending observations at the posterior mean: kappa and nu grow, m and nu tau^2 stay."""

    __slots__ = ()

    def posterior(self) -> tuple[float, float, float, float]:
        pending, self.pending = self.pending, 0
        m, kappa, nu, tau_square = super().posterior()
        self.pending = pending
        return m, kappa + pending, nu + pending, tau_square * nu / (nu + pending)


class GenAtMean(AbMcts):
    """GEN carries observations at its mean."""

    def _add_slot(self, parent: int) -> None:
        super()._add_slot(parent)
        kinds: dict[type[Arm], type[Arm]] = {BetaArm: BetaAtMean, GaussianArm: GaussianAtMean}
        self._gen[-1] = kinds[type(self._gen[-1])]()


POLICIES: dict[str, type[AbMcts]] = {
    NOW: AbMcts,
    "none": NoPending,
    "GEN at mean": GenAtMean,
    "GENs at 0": GensOnPath,
    "path at 0": PathLoss,
}


class Landscape(NamedTuple):
    """What a program and its refinements are worth; see the module's docstring."""

    first: tuple[float, float]
    breaks: float
    keeps: float
    share: float


LANDSCAPES = {
    "deep": Landscape((1.5, 3), 0.15, 0.45, 0.5),
    "broad": Landscape((0.7, 1.5), 0.4, 0.45, 0.2),
}


def refine(quality: float, ceiling: float, land: Landscape, rng: random.Random) -> float:
    """Quality of a refinement."""
    luck = rng.random()
    if luck < land.breaks:
        return quality * rng.random()
    if luck < land.breaks + land.keeps:
        return min(ceiling, max(0.0, quality + rng.gauss(0, 0.02)))
    return quality + (ceiling - quality) * rng.uniform(0, land.share)


def search(
    policy: str, land: Landscape, arm: ArmKind, in_flight: int, nodes: int, seed: int
) -> tuple[int, int, float]:
    """(children of the root, greatest depth, best quality) of one tree."""
    tree = POLICIES[policy](AGENTS, seed, arm=arm)
    ceiling = random.Random(derive(seed, "ceiling")).uniform(0.6, 1.0)
    quality: dict[int, float] = {}
    under_way: list[tuple[float, int, Expansion, float]] = []  # (end, node, what, quality)
    now, width, depth = 0.0, 0, 0
    while True:
        while len(under_way) < in_flight and tree.asked < nodes:
            e = tree.ask()
            rng = random.Random(derive(seed, "node", e.node_id))
            if e.parent_id is None:
                new = rng.betavariate(*land.first) * ceiling
            else:
                new = refine(quality[e.parent_id], ceiling, land, rng)
            heapq.heappush(under_way, (now + rng.lognormvariate(0, 1), e.node_id, e, new))
        if not under_way:
            return width, depth, max(quality.values())
        now, _, e, new = heapq.heappop(under_way)
        quality[e.node_id] = new
        width += e.depth == 1
        depth = max(depth, e.depth)
        tree.tell(e.node_id, round(new * TESTS) / TESTS)


def measure(trees: int, nodes: int) -> list[dict[str, Any]]:
    """One row a setting: means and standard errors."""
    rows = []
    alone: list[tuple[int, int, float]] = []
    for name, arm, in_flight in itertools.product(LANDSCAPES, ARM_KINDS, IN_FLIGHT):
        # Alone, an expansion is asked for when nothing is under way: all policies are one.
        for policy in POLICIES if in_flight > 1 else [NOW]:
            run = [
                search(policy, LANDSCAPES[name], arm, in_flight, nodes, seed)
                for seed in range(trees)
            ]
            if in_flight == 1:
                alone = run
            columns = dict(
                zip(("root width", "depth", "best"), zip(*run, strict=True), strict=True)
            )
            columns["gain"] = tuple(mine[2] - one[2] for mine, one in zip(run, alone, strict=True))
            row: dict[str, Any] = {
                "landscape": name,
                "arm": arm,
                "in_flight": in_flight,
                "policy": policy,
            }
            for column, values in columns.items():
                row[column] = statistics.fmean(values)
                row[f"{column} se"] = statistics.stdev(values) / math.sqrt(trees)
            rows.append(row)
    return rows


def report(rows: list[dict[str, Any]], trees: int, nodes: int) -> str:
    """A table."""
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"{trees} trees of {nodes} nodes, {len(AGENTS)} agents; mean ± standard error",
        f"{'':<7}{'arm':<10}{'in flight':>9}  {'policy':<12}{'root width':>14}{'depth':>14}"
        f"{'best quality':>18}{'against one':>20}",
    ]
    for row in rows:
        cells = [
            f"{row[name]:>{width}.{digits}f} ± {row[f'{name} se']:.{digits}f}"
            for name, width, digits in (("root width", 8, 1), ("depth", 7, 2), ("best", 9, 4))
        ]
        gain = f"{row['gain']:>+11.4f} ± {row['gain se']:.4f}" if row["in_flight"] > 1 else ""
        lines.append(
            f"{row['landscape']:<7}{row['arm']:<10}{row['in_flight']:>9}  {row['policy']:<12}"
            f"{''.join(cells)}{gain}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trees", type=int, default=250)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.trees, options.nodes)
    print(json.dumps(rows) if options.json else report(rows, options.trees, options.nodes))


if __name__ == "__main__":
    main()
