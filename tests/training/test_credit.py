"""Raw → shaped → overlong → advantage, against numbers worked out by hand."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_kit import node

from mars2.config import CreditConfig
from mars2.errors import CapabilityError, ConfigError, SearchError
from mars2.training.credit import (
    Writer,
    credit_forest,
    group_advantages,
    overlong_penalty,
    shaped_rewards,
    truncated_reward,
)
from mars2.types import Status

PLAIN = CreditConfig(shaping_gamma=0.0)


def test_shaping_changes_a_two_level_tree_as_by_hand():
    # 1 (r=0) → children 3 (1), 4 (0); 2 (r=1) → child 5 (0.5)
    rewards = {1: 0.0, 2: 1.0, 3: 1.0, 4: 0.0, 5: 0.5}
    parents = {1: None, 2: None, 3: 1, 4: 1, 5: 2}
    shaped = shaped_rewards(rewards, parents, 0.5, 0.25)
    assert shaped == {
        1: 0.0 + 0.5 * (0.0 - 1.0),  # only siblings: all the weight is theirs
        2: 1.0 + 0.5 * (1.0 - 0.0),
        3: 1.0 + 0.5 * (1.0 - (0.75 * 0.0 + 0.25 * 0.0)),
        4: 0.0 + 0.5 * (0.0 - (0.75 * 0.0 + 0.25 * 1.0)),
        5: 0.5 + 0.5 * (0.5 - 1.0),  # only a parent
    }


def test_shaping_reads_raw_rewards_not_shaped_ones():
    # a chain: with shaped parents node 3 would get 1 + 0.5 * (1 - 0.75)
    shaped = shaped_rewards({1: 0.5, 2: 0.0, 3: 1.0}, {1: None, 2: 1, 3: 2}, 0.5, 0.5)
    assert shaped == {1: 0.5, 2: -0.25, 3: 1.5}


def test_a_lone_node_is_not_shaped_and_a_missing_parent_leaves_its_weight():
    assert shaped_rewards({1: 1.0}, {1: None}, 0.5, 0.5) == {1: 1.0}
    # node 7's parent never finished: its sibling is all there is to compare with
    assert shaped_rewards({7: 1.0, 8: 0.0}, {7: 6, 8: 6}, 0.5, 0.5) == {7: 1.5, 8: -0.5}


@pytest.mark.parametrize(
    ("length", "penalty"),
    [(0, 0), (60, 0), (70, -0.25), (80, -0.5), (99, -0.975), (100, -1), (500, -1)],
)
def test_overlong_is_flat_then_linear_then_minus_one(length, penalty):
    assert overlong_penalty(length, 100, 40) == pytest.approx(penalty)


def test_overlong_without_limit_or_without_buffer():
    assert overlong_penalty(10**9, None, 40) == 0
    assert overlong_penalty(100, 100, 0) == 0
    assert overlong_penalty(101, 100, 0) == -1


def test_advantage_by_hand_uses_the_unbiased_deviation():
    a = group_advantages([1.0, 0.0, 0.0, 0.0])
    assert a == pytest.approx([0.75 / (0.5 + 1e-4), *[-0.25 / (0.5 + 1e-4)] * 3])


@pytest.mark.parametrize("rewards", [[], [1.0], [0.3] * 5])
def test_groups_without_variance_give_nothing(rewards):
    assert group_advantages(rewards) is None


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=30))
def test_advantages_are_centred_and_of_unit_scale(rewards):
    a = group_advantages(rewards)
    if a is not None:
        assert fmean(a) == pytest.approx(0, abs=1e-6)
        assert stdev(a) <= 1


def trees(seed: int) -> list:
    rng = random.Random(seed)
    made = []
    for t in range(rng.randint(1, 4)):
        for i in range(1, rng.randint(2, 9)):
            parent = rng.choice([None, *range(1, i)])
            reward = rng.choice([0.0, 0.25, 1.0])
            made.append(node(i, reward, parent, tree=f"t{t}", agent=rng.choice("abc")))
    return made


@given(st.integers(0, 10**6))
def test_order_of_nodes_changes_nothing(seed):
    nodes = trees(seed)
    shuffled = nodes[:]
    random.Random(seed).shuffle(shuffled)
    assert credit_forest(nodes, CreditConfig()) == credit_forest(shuffled, CreditConfig())


@given(st.integers(0, 10**6))
def test_gamma_zero_is_the_raw_reward(seed):
    for s in credit_forest(trees(seed), PLAIN)[0]:
        assert s.shaped == s.reward


def test_groups_follow_tree_ids_when_interleaved_and_of_different_size():
    big = [node(i, float(i == 1), tree="big", agent="ab"[i % 2]) for i in range(1, 7)]
    small = [node(1, 0.0, tree="small"), node(2, 1.0, tree="small", agent="b")]
    nodes = [big[3], small[1], big[0], big[5], small[0], big[1], big[2], big[4]]
    made, stats = credit_forest(nodes, PLAIN)
    alone = credit_forest(big, PLAIN)[0] + credit_forest(small, PLAIN)[0]
    assert made == alone
    assert [(s.tree_id, s.node_id) for s in made] == [
        *[("big", i) for i in range(1, 7)],
        ("small", 1),
        ("small", 2),
    ]
    # the whole tree is the group, across agents: not the nodes of one agent
    assert made[0].advantage == pytest.approx((1 - 1 / 6) / (math.sqrt(1 / 6) + 1e-4))
    assert stats.informative == {"big", "small"}


def test_trees_without_variance_are_dropped_and_counted_and_others_are_kept():
    nodes = [node(i, 1.0, tree="solved") for i in (1, 2)]
    nodes += [node(i, 0.0, tree="hopeless") for i in (1, 2)]
    nodes += [node(i, float(i == 1), tree="useful") for i in (1, 2)]
    made, stats = credit_forest(nodes, PLAIN)
    assert {s.tree_id for s in made} == {"useful"}
    assert (stats.trees, stats.dropped_groups, stats.nodes) == (3, 2, 6)


def test_an_empty_generation_counts_in_the_group_but_trains_nothing():
    nodes = [node(1, 0.0, length=0), node(2, 1.0), node(3, 0.0)]
    made, stats = credit_forest(nodes, PLAIN)
    assert [s.node_id for s in made] == [2, 3]
    assert made[0].advantage == pytest.approx((1 - 1 / 3) / (math.sqrt(1 / 3) + 1e-4))
    assert stats.empty == 1


def test_truncated_is_kept_or_masked_as_configured_and_counted():
    nodes = [node(1, 0.0, finish="length"), node(2, 1.0)]
    kept, stats = credit_forest(nodes, PLAIN)
    assert [s.truncated for s in kept] == [True, False]
    assert (stats.truncated, stats.masked) == (1, 0)
    masked, stats = credit_forest(nodes, CreditConfig(shaping_gamma=0.0, truncated="mask"))
    assert masked == kept[1:]  # still part of the group's mean
    assert (stats.truncated, stats.masked) == (1, 1)


def test_nodes_of_backends_without_tokens_count_in_the_group_only():
    made, stats = credit_forest([node(1, 0.0, ids=False, agent="api"), node(2, 1.0)], PLAIN)
    assert [s.agent for s in made] == ["a"]
    assert made[0].advantage > 0
    assert stats.without_ids == 1


def test_infrastructure_failures_say_nothing_about_the_program():
    broken = node(3, 0.0, status=Status.INFRA)
    nodes = [node(1, 1.0), node(2, 1.0), broken]
    made, stats = credit_forest(nodes, PLAIN)
    assert made == []
    assert (stats.infra, stats.dropped_groups) == (1, 1)


def test_overlong_is_added_after_shaping():
    config = CreditConfig(shaping_gamma=0.5, overlong_max=10, overlong_buffer=10)
    made, _ = credit_forest([node(1, 1.0, length=5), node(2, 0.0, length=1)], config)
    assert [s.shaped for s in made] == pytest.approx([1.5 - 0.5, -0.5 - 0.1])
    assert [s.reward for s in made] == [1.0, 0.0]


def test_overlong_counts_from_each_agent_s_own_limit():
    # a may write 20 tokens, b 10; the last fifth is the buffer: 4 and 2 tokens
    writers = {"a": Writer("p", max_tokens=20), "b": Writer("p", max_tokens=10)}
    config = CreditConfig(shaping_gamma=0, overlong_buffer=0.2)
    nodes = [
        node(1, 1.0, length=16, agent="a"),  # not above 20 − 4
        node(2, 1.0, length=17, agent="a"),  # (16 − 17) / 4
        node(3, 0.0, length=9, agent="b"),  # (8 − 9) / 2
        node(4, 0.0, length=10, agent="b"),
    ]
    made, _ = credit_forest(nodes, config, writers)
    assert [s.shaped for s in made] == pytest.approx([1.0, 0.75, -0.5, -1.0])
    in_tokens = CreditConfig(shaping_gamma=0, overlong_buffer=4)
    made, _ = credit_forest(nodes, in_tokens, writers)
    assert [s.shaped for s in made] == pytest.approx([1.0, 0.75, -0.75, -1.0])
    with pytest.raises(ConfigError, match=r"agent 'a': .* neither overlong_max nor max_tokens"):
        credit_forest(nodes, config, {"a": Writer("p")})
    with pytest.raises(ConfigError, match=r"'b': overlong_buffer \(12\) is above max_tokens"):
        credit_forest(nodes, CreditConfig(overlong_buffer=12), writers)


@pytest.mark.parametrize(
    ("reward", "coef", "expected"),
    [(1.0, 0.0, 0.0), (0.8, 0.5, 0.4), (0.0, 0.5, 0.0), (1.0, -0.5, -0.5), (0.0, -1.0, -1.0)],
)
def test_a_truncated_reward_is_scaled_or_replaced(reward, coef, expected):
    assert truncated_reward(reward, coef) == pytest.approx(expected)


def test_truncated_outputs_are_penalised_before_shaping():
    # 1 passed but was cut: its raw reward becomes −1, and its child 2 is compared with that.
    # Siblings of the first level: 1 and 3. λ = 0.5, γ = 0.5.
    #   1: b = r_3 = 1,  r̂ = −1 + 0.5·(−1 − 1) = −2
    #   2: b = r_1 = −1, r̂ = 0.5 + 0.5·(0.5 + 1) = 1.25
    #   3: b = r_1 = −1, r̂ = 1 + 0.5·(1 + 1) = 2
    nodes = [node(1, 1.0, finish="length"), node(2, 0.5, parent=1), node(3, 1.0)]
    config = CreditConfig(truncated="penalise", truncated_coef=-1)
    made, stats = credit_forest(nodes, config)
    assert [s.shaped for s in made] == pytest.approx([-2, 1.25, 2])
    assert [s.reward for s in made] == [1.0, 0.5, 1.0]  # what the judge said
    assert (stats.truncated, stats.masked) == (1, 0)
    # with the default coefficient a cut output has failed, and the tree tells something
    passed = [node(1, 1.0, finish="length"), node(2, 1.0)]
    assert credit_forest(passed, CreditConfig())[1].dropped_groups == 1
    made, _ = credit_forest(passed, CreditConfig(shaping_gamma=0, truncated="penalise"))
    assert [s.shaped for s in made] == [0.0, 1.0]


def test_advantages_are_scaled_by_group_batch_or_not():
    # t: 1, 0, 0, 0, mean 0.25, std 0.5 (the squares sum to 0.75, over 3); u: 1, 0, mean 0.5,
    # std √0.5. All six: mean 1/3, squares 4/3, over 5: std √(4/15) = 0.5164.
    nodes = [node(i, float(i == 1), tree="t") for i in range(1, 5)]
    nodes += [node(1, 1.0, tree="u"), node(2, 0.0, tree="u")]
    centred = [0.75, -0.25, -0.25, -0.25, 0.5, -0.5]
    divisors = {
        "group": [0.5 + 1e-4] * 4 + [math.sqrt(0.5) + 1e-4] * 2,
        "batch": [math.sqrt(4 / 15) + 1e-4] * 6,
        "none": [1.0] * 6,
    }
    for how, divisor in divisors.items():
        made, _ = credit_forest(nodes, CreditConfig(shaping_gamma=0, scale_rewards=how))
        expected = [c / d for c, d in zip(centred, divisor, strict=True)]
        assert [s.advantage for s in made] == pytest.approx(expected)


@pytest.mark.parametrize("how", ["group", "batch", "none"])
def test_groups_without_variance_are_dropped_however_scaled(how):
    nodes = [node(i, 1.0, tree="solved") for i in (1, 2)]
    nodes += [node(i, float(i == 1), tree="useful") for i in (1, 2)]
    made, stats = credit_forest(nodes, CreditConfig(shaping_gamma=0, scale_rewards=how))
    assert {s.tree_id for s in made} == {"useful"}
    assert stats.dropped_groups == 1
    assert credit_forest([], CreditConfig(scale_rewards=how))[0] == []


def test_writers_give_policy_and_temperature():
    writers = {"a": Writer("shared", 0.7), "b": Writer("shared", 1.2)}
    made, _ = credit_forest([node(1, 0.0), node(2, 1.0, agent="b")], PLAIN, writers)
    assert [(s.policy, s.temperature) for s in made] == [("shared", 0.7), ("shared", 1.2)]


def test_bad_nodes_are_refused():
    with pytest.raises(SearchError, match="node 1 of tree 't' occurs twice"):
        credit_forest([node(1, 0.0), node(1, 1.0)], PLAIN)
    with pytest.raises(SearchError, match=r"'a'.*not an agent"):
        credit_forest([node(1, 0.0), node(2, 1.0)], PLAIN, {"b": Writer("b")})
    bad = node(1, 0.0)
    bad = replace(bad, generation=replace(bad.generation, logprobs=None))
    with pytest.raises(CapabilityError, match=r"'a'.*without log-prob"):
        credit_forest([bad, node(2, 1.0)], PLAIN)
