"""AB-MCTS against a slow reference that keeps nothing but the list of what happened."""

import copy
import math
import os
import pickle
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.search.arms import BetaArm, GaussianArm, Siblings
from mars2.search.bandit import ucb1_scores
from mars2.search.depth import DepthGuide
from mars2.search.draws import Draws
from mars2.search.seeds import derive
from mars2.search.tree import AbMcts

AGENTS = ("ann", "bob", "cyd")


class Reference:
    """The rule written down plainly; every statistic is recomputed at every decision."""

    def __init__(self, agents, seed, arm, agent_choice, guide=None):
        self.agents, self.seed, self.arm, self.agent_choice = agents, seed, arm, agent_choice
        self.guide = guide  # (gamma, rho)
        self.parent: dict[int, int] = {}
        self.agent: dict[int, str] = {}
        self.told: list[tuple[int, float]] = []  # (node, reward) in order of completion
        self.ended: set[int] = set()

    def path(self, node):
        """node, its parent, …, up to the root 0."""
        path = [node]
        while path[-1] != 0:
            path.append(self.parent[path[-1]])
        return path

    def gen(self, u):
        return [r for v, r in self.told if self.parent[v] == u]

    def cont(self, u):
        return [r for v, r in self.told if u in self.path(v)[2:]]

    def child(self, c):
        return [r for v, r in self.told if c in self.path(v)]

    def agent_rewards(self, name, node):
        return [
            r
            for v, r in self.told
            if self.agent[v] == name and (self.agent_choice != "node" or self.parent[v] == node)
        ]

    def under_way(self):
        return [v for v in self.parent if v not in self.ended]

    def draw(self, rewards, rng, pending=0):
        values = rewards + [0.0] * pending
        n = len(values)
        if self.arm == "beta":
            s = sum(rewards)
            return rng.beta(0.5 + s, 0.5 + (len(rewards) - s) + pending)
        # Normal-inverse-gamma: m0 = 0, kappa0 = 1, nu0 = 1, tau0^2 = 0.1.
        mean = sum(values) / n if n else 0.0
        spread = sum((v - mean) ** 2 for v in values) + n * mean**2 / (1 + n)
        tau_square = (0.1 + spread) / (1 + n)
        return n * mean / (1 + n) + math.sqrt(tau_square / (1 + n)) * rng.standard_t(1 + n)

    def depth(self, node):
        return len(self.path(node)) - 1

    def ask(self):
        rng = Draws(self.seed).of_ask(len(self.parent) + 1)
        node = 0
        while children := [v for v, _ in self.told if self.parent[v] == node]:
            pending = sum(self.parent[v] == node for v in self.under_way())
            gen = self.draw(self.gen(node), rng, pending)
            if self.guide:
                gamma, rho = self.guide
                below = self.depth(node) + 1
                c = sum(self.depth(v) == below for v, _ in self.told)
                w = (gamma * rho ** (below - 1)) ** c
                gen = gen * w if gen >= 0 else gen / w
            if gen >= self.draw(self.cont(node), rng):
                break
            if len(children) == 1:
                node = children[0]
            else:
                draws = [self.draw(self.child(c), rng) for c in children]
                node = children[draws.index(max(draws))]
        agent = self.choose_agent(node, rng)
        new = len(self.parent) + 1
        self.parent[new], self.agent[new] = node, agent
        return new, node, agent

    def choose_agent(self, node, rng):
        if len(self.agents) == 1:
            return self.agents[0]
        if self.agent_choice != "ucb1":
            draws = [self.draw(self.agent_rewards(a, node), rng) for a in self.agents]
            return self.agents[draws.index(max(draws))]
        pulls = {a: [v for v in self.agent if self.agent[v] == a] for a in self.agents}
        failed = self.ended - {v for v, _ in self.told}
        scores = []
        for a in self.agents:
            rewards = self.agent_rewards(a, node)
            n = sum(v not in failed for v in pulls[a])
            total = sum(v not in failed for b in self.agents for v in pulls[b])
            mean = sum(rewards) / len(rewards) if rewards else 0.5
            scores.append(mean + math.sqrt(2 * math.log(total) / n) if n else math.inf)
        tied = [a for a, s in zip(self.agents, scores, strict=True) if s == max(scores)]
        return tied[0] if len(tied) == 1 else tied[rng.integers(len(tied))]

    def tell(self, node, reward):
        self.told.append((node, reward))
        self.ended.add(node)

    def fail(self, node):
        self.ended.add(node)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    arm=st.sampled_from(["beta", "gaussian"]),
    choice=st.sampled_from(["thompson", "node", "ucb1"]),
    n_agents=st.sampled_from([1, 3]),
    guide=st.sampled_from([None, (0.98, 0.9), (0.5, 0.5)]),
    few=st.sampled_from([0, 3, 100]),
    data=st.data(),
)
def test_decides_as_the_reference_does(seed, arm, choice, n_agents, guide, few, data):
    agents = AGENTS[:n_agents]
    tree = AbMcts(
        agents, seed, arm=arm, agent_choice=choice, guide=DepthGuide(*guide) if guide else None
    )
    reference = Reference(agents, seed, arm, choice, guide)
    under_way: list[int] = []
    for _ in range(40):
        steps = ["tell", "tell", "fail", "cancel", "join", "leave"] if under_way else ["join"]
        step = data.draw(st.sampled_from(["ask", "ask", *steps]))
        if step == "ask":
            with mock.patch.object(Siblings, "FEW", few):
                e = tree.ask()
            assert (e.node_id, e.parent_id or 0, e.agent) == reference.ask()
            under_way.append(e.node_id)
        elif step == "join":
            name = f"late{len(tree.agents) + len(tree.departed)}"
            tree.join(name)
            reference.agents = (*reference.agents, name)
        elif step == "leave":
            if len(tree.agents) > 1:
                name = data.draw(st.sampled_from(tree.agents))
                tree.leave(name)
                reference.agents = tuple(a for a in reference.agents if a != name)
        else:
            node = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            if step == "tell":
                # Eighths: sums are exact, so both sides give the generator the same arguments.
                reward = data.draw(st.integers(0, 8)) / 8
                tree.tell(node, reward)
                reference.tell(node, reward)
            else:
                getattr(tree, step)(node)
                reference.fail(node)
    check_invariants(tree, reference)


@pytest.mark.parametrize("arm", ["beta", "gaussian"])
@pytest.mark.parametrize("guide", [None, (0.98, 0.9)])
def test_decides_as_the_reference_does_when_nodes_are_wide(arm, guide):
    tree = AbMcts(AGENTS, 1, arm=arm, guide=DepthGuide(*guide) if guide else None)
    reference = Reference(AGENTS, 1, arm, "thompson", guide)
    for _ in range(120):
        e = tree.ask()
        assert (e.node_id, e.parent_id or 0, e.agent) == reference.ask()
        reward = derive(e.node_id) % 5 / 4
        tree.tell(e.node_id, reward)
        reference.tell(e.node_id, reward)
    assert max(map(len, tree.statistics()["children"])) > Siblings.FEW


def check_invariants(tree, reference):
    stats = tree.statistics()
    under_way = reference.under_way()
    assert tree.in_flight == len(under_way)
    for u in range(tree.asked + 1):
        waiting = sum(reference.parent[v] == u for v in under_way)
        for key, expected, pending in (
            ("gen", reference.gen(u), waiting),
            ("cont", reference.cont(u), 0),
            ("arm", reference.child(u) if u else [], 0),
        ):
            count, seen_pending, *moments = stats[key][u]
            assert (count, seen_pending) == (len(expected), pending)
            mean = moments[0] / count if len(moments) == 1 and count else moments[0]
            assert mean == pytest.approx(sum(expected) / max(len(expected), 1), abs=1e-12)
    pulls = sum(a[0] for arms in stats["agent_arms"].values() for a in arms.values())
    assert pulls == len(reference.told)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**40), st.sampled_from(["beta", "gaussian"]), st.integers(1, 10))
def test_nothing_pending_when_idle(seed, arm, in_flight):
    tree = AbMcts(AGENTS, seed, arm=arm, agent_choice="ucb1")
    for wave in range(6):
        for e in [tree.ask() for _ in range(in_flight)]:
            if (e.node_id + wave) % 3:
                tree.tell(e.node_id, 0.5)
            else:
                tree.fail(e.node_id)
    stats = tree.statistics()
    arms = [*stats["gen"], *stats["cont"], *stats["arm"]]
    arms += [a for by_agent in stats["agent_arms"].values() for a in by_agent.values()]
    assert all(a[1] == 0 for a in arms)
    assert tree.in_flight == 0


def grow(tree, parents, rewards):
    """Force a shape: node i under parents[i - 1], told in order."""
    from mars2.types import Expansion

    depth = {0: 0}
    for i, (p, r) in enumerate(zip(parents, rewards, strict=True), start=1):
        depth[i] = depth[p] + 1
        action = "refine" if p else "generate"
        agent = tree.agents[(i - 1) % len(tree.agents)]
        tree.restore(Expansion(i, p or None, depth[i], agent, action))
        tree.tell(i, r)


def test_update_rule_by_hand():
    #        root            1 (ann, 0.5) and 2 (bob, 0.25) are first attempts,
    #       /    \           3 (cyd, 0.75) refines 1, 4 (ann, 1.0) refines 3.
    #      1      2
    #      |
    #      3
    #      |
    #      4
    tree = AbMcts(AGENTS, 0)
    grow(tree, [0, 0, 1, 3], [0.5, 0.25, 0.75, 1.0])
    stats = tree.statistics()
    # (count, pending, total)
    assert stats["gen"] == [(2, 0, 0.75), (1, 0, 0.75), (0, 0, 0), (1, 0, 1.0), (0, 0, 0)]
    assert stats["cont"] == [(2, 0, 1.75), (1, 0, 1.0), (0, 0, 0), (0, 0, 0), (0, 0, 0)]
    assert stats["arm"][1:] == [(3, 0, 2.25), (1, 0, 0.25), (2, 0, 1.75), (1, 0, 1.0)]
    assert stats["agent_arms"] == {
        0: {"ann": (2, 0, 1.5), "bob": (1, 0, 0.25), "cyd": (1, 0, 0.75)}
    }
    assert stats["parent"] == [0, 0, 0, 1, 3]


def test_agent_arms_per_node_see_only_that_nodes_children():
    tree = AbMcts(AGENTS, 0, agent_choice="node")
    grow(tree, [0, 0, 1, 3], [0.5, 0.25, 0.75, 1.0])
    assert tree.statistics()["agent_arms"] == {
        0: {"ann": (1, 0, 0.5), "bob": (1, 0, 0.25)},
        1: {"cyd": (1, 0, 0.75)},
        3: {"ann": (1, 0, 1.0)},
    }


def test_pending_is_only_on_gen_of_the_expanded_node():
    tree = AbMcts(AGENTS, 0)
    first = tree.ask()
    stats = tree.statistics()
    assert stats["gen"][0] == (0, 1, 0.0)
    assert stats["cont"][0] == (0, 0, 0.0)
    assert stats["agent_arms"] == {}
    tree.tell(first.node_id, 1.0)
    assert tree.statistics()["gen"][0] == (1, 0, 1.0)


def test_pending_narrows_the_root():
    def width(pending: bool) -> int:
        total = 0
        for seed in range(30):
            tree = AbMcts(("a",), seed, arm="gaussian")
            for _ in range(6):
                wave = []
                for _ in range(10):
                    wave.append(tree.ask())
                    if not pending:
                        for arm in tree._gen:
                            arm.pending = 0
                for e in wave:
                    if not pending:
                        tree._gen[e.parent_id or 0].pending = 1
                    tree.tell(e.node_id, derive(seed, e.node_id) % 5 / 4)
            total += len(tree.statistics()["children"][0])
        return total

    assert width(pending=True) < width(pending=False)


def test_ucb1():
    arms = [BetaArm(), GaussianArm()]
    for arm, rewards in zip(arms, ([1.0, 0.5], [0.5]), strict=True):
        for r in rewards:
            arm.observe(r)
    assert ucb1_scores(arms) == [
        pytest.approx(0.75 + math.sqrt(2 * math.log(3) / 2)),
        pytest.approx(0.5 + math.sqrt(2 * math.log(3))),
    ]
    assert ucb1_scores([None, arms[0]])[0] == math.inf


def test_ucb1_tries_every_agent_in_one_wave():
    tree = AbMcts(AGENTS, 5, agent_choice="ucb1")
    assert {tree.ask().agent for _ in range(3)} == set(AGENTS)


def test_the_better_agent_writes_more():
    tree = AbMcts(AGENTS, 1)
    counts = dict.fromkeys(AGENTS, 0)
    for _ in range(200):
        e = tree.ask()
        counts[e.agent] += 1
        tree.tell(e.node_id, 0.75 if e.agent == "bob" else 0.25)
    assert counts["bob"] > 120


@pytest.mark.parametrize("choice", ["thompson", "node", "ucb1"])
def test_a_chain_of_1500_needs_no_recursion(choice):
    check_chain(AbMcts(AGENTS, 0, agent_choice=choice), 1500)


@pytest.mark.slow
def test_a_chain_of_10000():
    check_chain(AbMcts(AGENTS, 0, arm="gaussian", guide=DepthGuide(0.98, 0.9)), 10_000)


def check_chain(tree, length):
    grow(tree, range(length), [1.0] * length)
    stats = tree.statistics()
    assert stats["depths"][length] == length
    assert stats["arm"][1][0] == length
    # GEN never wins: the walk goes all the way down.
    for arm in tree._gen:
        arm.pending = 10**9
    # Near the end CONT has seen so little that a Gaussian draw of it may be below 0.
    assert tree.ask().depth > length - 10


def test_state_is_never_copied_or_pickled(monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("tree state was copied")

    for module, name in ((copy, "deepcopy"), (copy, "copy"), (pickle, "dumps"), (pickle, "dump")):
        monkeypatch.setattr(module, name, forbidden)
    tree = AbMcts(AGENTS, 0)
    for _ in range(30):
        e = tree.ask()
        tree.tell(e.node_id, 0.5)


def test_no_global_random_state():
    import random

    random.seed(1)
    np.random.seed(1)
    before, numpy_before = random.getstate(), np.random.get_state()[1].tolist()
    tree = AbMcts(AGENTS, 0)
    for _ in range(20):
        tree.tell(tree.ask().node_id, 0.5)
    assert random.getstate() == before
    assert np.random.get_state()[1].tolist() == numpy_before


def test_another_process_draws_the_same():
    script = (
        "from mars2.search.tree import AbMcts\n"
        "tree = AbMcts(('ann', 'bob'), 12, arm='gaussian')\n"
        "for _ in range(60):\n"
        "    e = tree.ask()\n"
        "    print(e.parent_id, e.agent)\n"
        "    tree.tell(e.node_id, e.node_id % 5 / 4)\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert len(set(runs[0].split("\n"))) > 4


def test_the_package_loads_without_numpy():
    script = "import sys, mars2.search; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
