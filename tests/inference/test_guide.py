"""Reward models in rewards and in the choice of the answer, end to end but for the model."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mars2.agents.base import Agent, Policy
from mars2.config import InferenceConfig, RunConfig, VerifierConfig
from mars2.errors import ConfigError
from mars2.evaluation.evaluate import evaluate
from mars2.inference.guide import Guide, make_guide
from mars2.inference.solve import solve
from mars2.types import FunctionalTest, Generation, Message, Problem, Sampling
from mars2.verifier import Verifier

PROBLEM = Problem(
    id="t/double",
    statement="Return twice x.",
    entry_point="double",
    public_tests=[FunctionalTest(args=[2], expected=4)],
    private_tests=[FunctionalTest(args=[5], expected=10)],
)
PROGRAMS = ["def double(x): return x * x", "def double(x): return 4", "def double(x): return x + x"]


class Cycle(Policy):
    """Writes the programs in turn; all pass the public test, the last one all."""

    def __init__(self) -> None:
        self.name = "cycle"
        self.count = 0

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Generation:
        self.count += 1
        return Generation(text=f"```python\n{PROGRAMS[(self.count - 1) % 3]}\n```")


class LikesSums:
    async def score(self, problem: Problem, codes: Sequence[str]) -> list[float]:
        return [0.9 if "x + x" in code else 0.2 for code in codes]


def team() -> dict[str, Agent]:
    return {"a": Agent("a", Cycle())}


def settings(**inference: object) -> RunConfig:
    return RunConfig.model_validate(
        {
            "search": {"strategy": "repeated", "nodes": 6, "in_flight": 1},
            "eval": {"nodes": 6, "samples": 1},
            "inference": inference,
        }
    )


@pytest.mark.parametrize(
    ("selector", "right"), [("public", False), ("reward-model", True), ("combined", True)]
)
async def test_the_selector_decides(selector: str, right: bool) -> None:
    async with Verifier(VerifierConfig(workers=1)) as verifier:
        config = settings(selector=selector)
        found = await solve(PROBLEM, team(), verifier, config, reward_model=LikesSums())
        assert found.solved is right
        result = await evaluate(
            team(), [PROBLEM], verifier, config, reward_model=LikesSums(), ordered=True
        )
        assert result.trees[PROBLEM.id].selected is right
        assert result.trees[PROBLEM.id].any_passed


async def test_a_reward_model_is_mixed_into_rewards() -> None:
    async with Verifier(VerifierConfig(workers=1)) as verifier:
        config = settings(reward_model_weight=0.25)
        found = await solve(PROBLEM, team(), verifier, config, reward_model=LikesSums())
        rewards = {(node.code or "").strip(): node.reward for node in found.tree.nodes}
        assert rewards[PROGRAMS[2]] == pytest.approx(0.75 + 0.25 * 0.9)
        assert rewards[PROGRAMS[0]] == pytest.approx(0.75 + 0.25 * 0.2)
        assert found.tree.nodes[0].verdict.ok
        assert not found.tree.solved  # the whole budget is used


async def test_an_unguided_search_asks_no_model() -> None:
    assert await Guide().reward(PROBLEM, "x", 1.0) == 1.0
    assert await Guide(model=LikesSums(), weight=0.5).reward(PROBLEM, None, 0.0) == 0.0


@pytest.mark.parametrize(
    "inference", [{"selector": "combined"}, {"reward_model_weight": 0.5}], ids=["select", "mix"]
)
async def test_a_missing_reward_model_is_an_error_before_anything_runs(
    inference: dict[str, object],
) -> None:
    with pytest.raises(ConfigError, match=r"needs a reward model: set inference\.reward_model"):
        make_guide(InferenceConfig.model_validate(inference))
    policy = Cycle()
    with pytest.raises(ConfigError):
        await solve(PROBLEM, {"a": Agent("a", policy)}, None, settings(**inference))  # type: ignore[arg-type]
    assert policy.count == 0
    assert make_guide(InferenceConfig()) == Guide()
