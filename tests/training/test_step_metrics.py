"""Every number of a step's line against values worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_kit import run
from training_kit import node

from mars2.config import CreditConfig
from mars2.training.credit import Writer, credit_forest
from mars2.training.learning import UpdateMetrics
from mars2.training.rundir import finite, read_metrics
from mars2.training.step_metrics import PolicyStep, Seconds, StepData, metrics_line, percentile
from mars2.types import Generation, Usage

WRITERS = {"a": Writer("p"), "b": Writer("p"), "c": Writer("q")}
UPDATE = UpdateMetrics(
    samples=4,
    tokens=30,
    optimizer_steps=1,
    skipped_steps=0,
    loss=0.1,
    grad_norm=0.2,
    kl=0.0,
    ratio_mean=1.0,
    clip_fraction=0.0,
    correction_mean=1.0,
    correction_max=1.5,
    lr=1e-3,
    version=3,
)


@dataclass
class Grown:
    tree_id: str
    nodes: list
    failed: list = field(default_factory=list)


def judged(made, seconds: float):
    return replace(made, verdict=made.verdict.model_copy(update={"seconds": seconds}))


def step() -> StepData:
    """Tree "t": two first attempts of a, a refinement by b. Tree "u": one attempt each, alike."""
    t = [
        judged(node(1, 0.0, agent="a", tree="t", length=10), 0.5),
        judged(node(2, 0.5, agent="a", tree="t", length=4, finish="length"), 0.25),
        judged(node(3, 1.0, 1, agent="b", tree="t", length=6), 0.25),
    ]
    u = [
        node(1, 0.0, agent="a", tree="u", length=0),
        node(2, 0.0, agent="b", tree="u", length=10),
    ]
    nodes = t + u
    samples, credit = credit_forest(nodes, CreditConfig(shaping_gamma=0.0), WRITERS)
    return StepData(
        step=7,
        trees=[Grown("t", t, ["lost"]), Grown("u", u)],
        credit=credit,
        policies={
            "p": PolicyStep(UPDATE, 2, 1, 3, 1.5, ages=[0, 1, 1, 2]),
            "q": PolicyStep(None, 0, 0, 0, 0.0),
        },
        seconds=Seconds(rollout=5.0, update=1.5, checkpoint=0.5, evaluation=2.0, idle=0.25),
        samples=samples,
    )


def test_agents_by_hand() -> None:
    a, b, c = metrics_line(step(), WRITERS)["agents"].values()
    assert (a["nodes"], b["nodes"], c["nodes"]) == (3, 2, 0)
    assert a["reward"] == pytest.approx(1 / 6)
    assert (a["pass_rate"], b["pass_rate"]) == (0.0, 0.5)
    assert (a["refinements"], b["refinements"]) == (0, 1)
    # Rewards 0, .5, 1 of tree t: mean .5, std .5, so advantages ∓1 within the epsilon.
    one = 0.5 / (0.5 + 1e-4)
    assert a["samples"] == 2
    assert a["advantage"]["mean"] == pytest.approx(-one / 2)
    assert a["advantage"]["std"] == pytest.approx(one / math.sqrt(2))
    assert b["advantage"]["mean"] == pytest.approx(one)
    assert math.isnan(b["advantage"]["std"])
    assert a["length"] == {"mean": pytest.approx(14 / 3), "p95": 10, "max": 10}
    assert (a["tokens"], b["tokens"]) == (14, 16)
    assert (a["truncation_rate"], a["empty_rate"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert (b["truncation_rate"], b["empty_rate"]) == (0.0, 0.0)
    assert math.isnan(c["reward"])
    assert math.isnan(c["length"]["p95"])


def test_policies_by_hand() -> None:
    p, q = metrics_line(step(), WRITERS)["policies"].values()
    assert (p["nodes"], p["tokens"], p["truncated"], p["empty"]) == (5, 30, 1, 1)
    assert p["staleness"] == {"mean": 1.0, "max": 2, "dropped": 2}
    assert (p["stale"], p["waiting"], p["version"], p["update_seconds"]) == (2, 1, 3, 1.5)
    assert p["update"]["correction_max"] == 1.5
    assert q["update"] is None
    assert math.isnan(q["staleness"]["mean"])


def test_trees_throughput_and_seconds_by_hand() -> None:
    line = metrics_line(step(), WRITERS)
    trees = line["trees"]
    assert (trees["count"], trees["nodes"], trees["failed_expansions"]) == (2, 5, 1)
    assert (trees["size"], trees["depth"], trees["root_width"]) == (2.5, 1.5, 2.0)
    assert (trees["refinements"], trees["pass_rate"]) == (1, 0.5)
    assert (trees["pass_rate_generate"], trees["pass_rate_refine"]) == (0.0, 1.0)
    assert (trees["informative"], trees["informative_share"]) == (1, 0.5)
    assert line["throughput"] == {
        "generated_tokens": 30,
        "generated_tokens_per_second": 6.0,
        "trained_tokens": 30,
        "trained_tokens_per_second": 20.0,
    }
    assert line["seconds"] == {
        "rollout": 5.0,
        "update": 1.5,
        "checkpoint": 0.5,
        "evaluation": 2.0,
        "idle": 0.25,
        "verify": 1.0,
    }


def test_an_endpoint_that_gives_no_ids_has_lengths() -> None:
    made = node(1, 1.0, agent="c", ids=False)
    made = replace(made, generation=Generation("x", usage=Usage(9, 12)))
    line = metrics_line(StepData(1, [Grown("t", [made])]), WRITERS)
    assert line["agents"]["c"]["length"]["mean"] == 12
    assert line["agents"]["c"]["empty_rate"] == 0
    assert line["throughput"]["generated_tokens"] == 12


def test_a_step_without_trees_is_a_line_of_nothing() -> None:
    line = metrics_line(StepData(1), WRITERS)
    assert line["trees"]["count"] == 0
    assert json.loads(json.dumps(finite(line), allow_nan=False))["trees"]["size"] is None


@given(st.lists(st.integers(-50, 50), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_a_member_with_the_share_at_or_below(values, share) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(v <= found for v in values) >= share * len(values) - 1e-9
    assert sum(v < found for v in values) < share * len(values) + 1e-9


async def test_a_run_writes_them(tmp_path) -> None:
    await run(tmp_path / "run")
    for row in read_metrics(tmp_path / "run/metrics.jsonl"):
        for agent in row["agents"].values():
            assert agent["length"]["mean"] <= agent["length"]["max"] <= 8
        if row["trees"]["informative"]:
            assert any(a["advantage"]["mean"] for a in row["agents"].values() if a["samples"])
        for policy in row["policies"].values():
            if policy["update"]:
                assert 0 <= policy["staleness"]["mean"] <= policy["staleness"]["max"] <= 2
        assert row["seconds"]["idle"] >= 0
        assert row["throughput"]["generated_tokens_per_second"] > 0
