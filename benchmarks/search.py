"""What an expansion costs: this search against TreeQuest's AB-MCTS-A.

The same trees in both engines in the same run: one is grown here, with three agents and the
rewards of a fixed landscape, and node by node put into TreeQuest's state; then both are asked for
more, in turn. Ours is `ask` + `tell`; theirs is `step()`, which copies the state first, and
`ask` + `tell`. Besides: how our cost grows from 1,000 to 10,000 nodes, against the number of
children along the path of an expansion. Needs the reference:

    pip install treequest==0.3.3
    python benchmarks/search.py [--rounds 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import time
from typing import Any, Literal, get_args

import numpy as np
import treequest  # type: ignore[import-not-found, import-untyped]

from mars2.search.seeds import derive
from mars2.search.tree import AbMcts

AGENTS = ("a", "b", "c")
SIZES = (1000, 5000, 10_000)
THEIRS = (1000, 5000)  # sizes at which TreeQuest is measured
Arm = Literal["beta", "gaussian"]


def reward(node: int, parent: float | None, seed: int) -> float:
    """A refinement is its parent's program made a little better or worse."""
    rng = random.Random(derive(seed, node))
    if parent is None:
        return rng.betavariate(2, 3)
    return min(1.0, max(0.0, parent + rng.gauss(0.03, 0.15)))


class Ours:
    """A tree of ours and what its nodes were rewarded."""

    def __init__(self, arm: Arm, seed: int) -> None:
        self.seed = seed
        self.tree = AbMcts(AGENTS, seed, arm=arm)
        self.told: list[tuple[int, str, float]] = []  # parent (0: root), agent, reward

    def expand(self) -> float:
        """Seconds of one ask and tell."""
        started = time.perf_counter()
        e = self.tree.ask()
        asked = time.perf_counter()
        assert e is not None
        parent = e.parent_id or 0
        value = reward(e.node_id, self.told[parent - 1][2] if parent else None, self.seed)
        resumed = time.perf_counter()
        self.tree.tell(e.node_id, value)
        ended = time.perf_counter()
        self.told.append((parent, e.agent, value))
        return asked - started + ended - resumed

    def children_on_path(self) -> int:
        """Children of all nodes from the root to where the latest expansion took place."""
        children = [0] * (len(self.told) + 1)
        for parent, _, _ in self.told:
            children[parent] += 1
        node, total = self.told[-1][0], 0
        while True:
            total += children[node]
            if node == 0:
                return total
            node = self.told[node - 1][0]


class Theirs:
    """TreeQuest's state of the same tree."""

    def __init__(self, arm: Arm, ours: Ours, size: int) -> None:
        np.random.seed(size)
        self.algo = treequest.ABMCTSA(dist_type=arm)
        self.state: Any = self.algo.init_tree()
        self.state.all_rewards_store.update({agent: [] for agent in AGENTS})
        nodes = [self.state.tree.root]
        for number, (parent, agent, value) in enumerate(ours.told[:size], start=1):
            # What `ask` and `tell` do, without the draws that would choose otherwise.
            node = nodes[parent]
            probabilities = self.state.thompson_states.get_or_create(node, list(AGENTS))
            trial = self.state.trial_store.create_trial(node, agent)
            self.state.trial_store.get_finished_trial(trial.trial_id, value)
            new = self.state.tree.add_node((number, value), node, trial_id=trial.trial_id)
            probabilities.register_new_child_node(agent, new, self.algo.model_selection_strategy)
            self.algo._backpropagate(self.state, new, value, agent)
            nodes.append(new)

    def ask_tell(self) -> None:
        """One expansion in place."""
        self.state, trial = self.algo.ask(self.state, list(AGENTS))
        self.state = self.algo.tell(self.state, trial.trial_id, (0, 0.5))

    def step(self) -> None:
        """One expansion by `step()`."""
        self.state = self.algo.step(self.state, {agent: lambda _: (0, 0.5) for agent in AGENTS})


def seconds(call: Any, times: int) -> float:
    """Mean seconds of a call."""
    started = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - started) / times


def measure(rounds: int) -> dict[str, Any]:
    """Seconds an expansion by arm and size, and children on the path; one number a round."""
    found: dict[str, Any] = {}
    for number in range(rounds):
        for arm in get_args(Arm):
            ours = Ours(arm, number)
            for size in SIZES:
                row = found.setdefault(arm, {}).setdefault(str(size), {})
                while len(ours.told) < size - 100:
                    ours.expand()
                spent, path = [], []
                while len(ours.told) < size:
                    spent.append(ours.expand())
                    path.append(ours.children_on_path())
                row.setdefault("ours", []).append(statistics.fmean(spent))
                row.setdefault("path", []).append(statistics.fmean(path))
                if size in THEIRS:
                    theirs = Theirs(arm, ours, size)
                    row.setdefault("ask/tell", []).append(seconds(theirs.ask_tell, 10))
                    row.setdefault("step", []).append(seconds(theirs.step, 3))
    return found


def report(found: dict[str, Any]) -> str:
    """A table of medians and of the ratios' medians over the rounds."""
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, TreeQuest 0.3.3; {len(AGENTS)} agents",
        f"{'ms an expansion':<18}{'ours':>9}{'children on path':>18}"
        f"{'TreeQuest ask/tell':>27}{'TreeQuest step()':>27}",
    ]
    for arm, sizes in found.items():
        for size, row in sizes.items():
            cells = [
                f"{arm:<9}{int(size):>6,}   ",
                f"{statistics.median(row['ours']) * 1000:>9.3f}",
                f"{statistics.median(row['path']):>18.0f}",
            ]
            for way in ("ask/tell", "step"):
                if way in row:
                    ratios = [t / o for t, o in zip(row[way], row["ours"], strict=True)]
                    ratio = statistics.median(ratios)
                    cells.append(f"{statistics.median(row[way]) * 1000:>15.1f} ({ratio:>7,.0f}x)")
            lines.append("".join(cells))
        first, last = sizes[str(SIZES[0])], sizes[str(SIZES[-1])]
        cost, path = (
            statistics.median(b / a for a, b in zip(first[key], last[key], strict=True))
            for key in ("ours", "path")
        )
        lines.append(
            f"{arm}: from {SIZES[0]:,} to {SIZES[-1]:,} nodes our cost grows {cost:.1f}x, "
            f"the children on the path {path:.1f}x"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.rounds)
    print(json.dumps(found) if options.json else report(found))


if __name__ == "__main__":
    main()
