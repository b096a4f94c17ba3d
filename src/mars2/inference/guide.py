"""What the settings say about reward models, made ready before a search begins."""

from __future__ import annotations

from dataclasses import dataclass

from mars2.config import InferenceConfig
from mars2.errors import ConfigError
from mars2.inference.select import Selector, choose
from mars2.rewards.base import RewardModel, load_reward_model
from mars2.search.runner import TreeResult
from mars2.types import Node, Problem
from mars2.verifier import AnyVerifier

_NEEDS = ("reward-model", "combined")


@dataclass(frozen=True, slots=True)
class Guide:
    """How answers are chosen, and what the reward model adds to rewards."""

    selector: Selector = "public"
    model: RewardModel | None = None
    weight: float = 0.0

    async def reward(self, problem: Problem, code: str | None, reward: float) -> float:
        """(1 - weight) * reward + weight * the model's probability; `reward` without a program.

        With a weight above 0 a program that passes all public tests has a reward below 1, so
        that it ends no search.
        """
        if not self.weight or self.model is None or code is None:
            return reward
        (probability,) = await self.model.score(problem, [code])
        return (1 - self.weight) * reward + self.weight * probability

    async def choose(
        self, tree: TreeResult, problem: Problem, verifier: AnyVerifier, seed: int
    ) -> Node | None:
        """The answer of a tree."""
        return await choose(tree.nodes, problem, self.selector, verifier, self.model, seed=seed)


def make_guide(config: InferenceConfig, model: RewardModel | None = None) -> Guide:
    """`model` instead of loading `config.reward_model`.

    Raises:
        ConfigError: something is to use a reward model, and none is named.
        UsageError: it cannot be loaded.
    """
    uses = config.selector in _NEEDS or config.reward_model_weight > 0
    if model is None and config.reward_model is not None and uses:
        model = load_reward_model(config.reward_model)
    if uses and model is None:
        what = (
            f"inference.selector is {config.selector!r}"
            if config.selector in _NEEDS
            else f"inference.reward_model_weight is {config.reward_model_weight}"
        )
        raise ConfigError(
            f"{what}, which needs a reward model: set inference.reward_model to the directory "
            "that `mars2 reward-model train` wrote, or inference.selector to 'agreement'"
        )
    return Guide(config.selector, model, config.reward_model_weight)
