"""One expansion at a time, our AB-MCTS grows the trees that TreeQuest's AB-MCTS-A grows.

TreeQuest draws from NumPy's global generator, so trees agree in distribution only: means over
many seeds of root width, depth and nodes an agent, within three standard errors of their
difference.

    pip install treequest==0.3.3
    pytest -m slow -s tests/search/test_treequest.py
"""

import math
import random
import statistics

import numpy as np
import pytest

from mars2.search.seeds import derive
from mars2.search.tree import AbMcts

SEEDS = 400
NODES = 60
AGENTS = ("a", "b", "c")
SKILL = {"a": (2, 3), "b": (3, 2), "c": (1, 3)}  # Beta parameters of a first attempt


def reward(rng, agent, parent):
    if parent is None:
        return rng.betavariate(*SKILL[agent])
    return min(1.0, max(0.0, parent + rng.gauss(0.05 if agent == "b" else 0.0, 0.15)))


def grow_ours(arm, agents, seed):
    """(depths of all nodes, agents of all nodes)."""
    rng = random.Random(derive("ours", seed))
    tree, rewards, asked = AbMcts(agents, seed, arm=arm), {None: None}, []
    for _ in range(NODES):
        e = tree.ask()
        rewards[e.node_id] = reward(rng, e.agent, rewards[e.parent_id])
        tree.tell(e.node_id, rewards[e.node_id])
        asked.append(e)
    return [e.depth for e in asked], [e.agent for e in asked]


def grow_theirs(treequest, arm, agents, seed):
    rng = random.Random(derive("theirs", seed))
    np.random.seed(derive(seed) % 2**32)
    algo = treequest.ABMCTSA(dist_type=arm)
    state = algo.init_tree()
    depths, wrote = {-1: 0}, []
    for node in range(NODES):
        state, trial = algo.ask(state, list(agents))
        parent = trial.parent_state  # (reward,), None at the root
        value = reward(rng, trial.action, parent[0] if parent else None)
        state = algo.tell(state, trial.trial_id, ((value,), value))
        depths[node] = depths[trial.node_to_expand] + 1
        wrote.append(trial.action)
    return list(depths.values())[1:], wrote


def measure(trees, agents):
    """One list over seeds for each quantity."""
    found = {
        "root width": [depths.count(1) for depths, _ in trees],
        "depth": [max(depths) for depths, _ in trees],
        "mean depth": [statistics.fmean(depths) for depths, _ in trees],
    }
    if len(agents) > 1:
        for agent in agents:
            found[f"nodes of {agent}"] = [wrote.count(agent) for _, wrote in trees]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("n_agents", [1, 3])
@pytest.mark.parametrize("arm", ["beta", "gaussian"])
def test_same_trees_as_treequest(arm, n_agents):
    treequest = pytest.importorskip("treequest", reason="the reference: pip install treequest")
    agents = AGENTS[:n_agents]
    ours = measure([grow_ours(arm, agents, seed) for seed in range(SEEDS)], agents)
    theirs = measure([grow_theirs(treequest, arm, agents, seed) for seed in range(SEEDS)], agents)
    print(f"\n{arm}, {n_agents} agents, {SEEDS} seeds, {NODES} nodes: ours, TreeQuest, difference")
    off = {}
    for name, mine in ours.items():
        difference = statistics.fmean(mine) - statistics.fmean(theirs[name])
        error = math.sqrt(
            (statistics.variance(mine) + statistics.variance(theirs[name])) / len(mine)
        )
        print(
            f"  {name:<12}{statistics.fmean(mine):>8.2f}{statistics.fmean(theirs[name]):>8.2f}"
            f"{difference / error:>+7.2f} standard errors"
        )
        off[name] = abs(difference) / error
    assert max(off.values()) < 3
