"""Settings of credit and objective: what is learnt from a tree, apart from how it is trained.

docs/objective.md has the formulas, their sources, and what TRL, verl and OpenRLHF call them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mars2.config.section import Section
from mars2.types import TestSet


class CreditConfig(Section):
    """Reward to advantage.

    `shaping_*`: tree-consistent shaping (arXiv 2604.14564); gamma 0 keeps the raw reward.
    `scale_rewards`: a group's advantages are divided by its own standard deviation, by that of all
    nodes credited together ("batch"), or by nothing (Dr. GRPO, arXiv 2503.20783).
    `overlong_*`: soft punishment (DAPO, arXiv 2503.14476, eq. 13): none up to L_max − L_buf tokens,
    then falling to −1 at L_max. A buffer below 1 is a fraction of L_max; without `overlong_max`,
    L_max is the output limit of the agent that wrote. Neither set: no punishment.
    `truncated`: outputs cut at their limit are trained on like others ("keep"), take part in their
    group but train nothing ("mask"), or have their raw reward changed before shaping ("penalise"):
    multiplied by `truncated_coef`, or replaced by it where it is below 0.
    """

    reward: Literal["binary", "fraction"] = "binary"
    reward_tests: TestSet = "all"
    shaping_gamma: float = Field(default=0.5, ge=0)
    shaping_lambda: float = Field(default=0.5, ge=0, le=1)
    scale_rewards: Literal["group", "batch", "none"] = "group"
    overlong_max: int | None = Field(default=None, gt=0)  # L_max, tokens
    overlong_buffer: float = Field(default=0, ge=0)  # L_buf, tokens or a fraction
    truncated: Literal["keep", "mask", "penalise"] = "keep"
    truncated_coef: float = Field(default=0.0, ge=-1, lt=1)

    @model_validator(mode="after")
    def _agree(self) -> CreditConfig:
        limit, buffer = self.overlong_max, self.overlong_buffer
        if buffer > 1 and buffer != int(buffer):
            raise ValueError(
                f"overlong_buffer is {buffer:g}: give whole tokens, or a fraction below 1"
            )
        if limit is not None and buffer > limit:
            raise ValueError(
                f"overlong_buffer ({buffer:g}) is above overlong_max ({limit}): the penalty would "
                "begin below 0 tokens; lower the buffer"
            )
        if self.truncated_coef and self.truncated != "penalise":
            raise ValueError(
                f'truncated_coef is {self.truncated_coef:g}, but truncated is "{self.truncated}", '
                'which does not use it: set credit.truncated = "penalise", or leave it out'
            )
        return self

    def overlong_limits(self, max_tokens: int | None) -> tuple[int, float] | None:
        """L_max and L_buf in tokens of an agent with this output limit; None: no penalty.

        Raises:
            ValueError: L_max is the agent's limit, and it has none or a smaller one than L_buf.
        """
        if self.overlong_max is None and not self.overlong_buffer:
            return None
        limit = self.overlong_max if self.overlong_max is not None else max_tokens
        if limit is None:
            raise ValueError("overlong_buffer is set, but neither overlong_max nor max_tokens")
        buffer = self.overlong_buffer
        if buffer > limit:
            raise ValueError(
                f"overlong_buffer ({buffer:g}) is above max_tokens ({limit}): lower it, or give a "
                "fraction below 1, which is one of max_tokens"
            )
        return limit, buffer * limit if buffer < 1 else buffer


class ObjectiveConfig(Section):
    """Policy objective and rollout correction.

    `level`: one importance ratio an output ("sequence", GSPO, arXiv 2507.18071) or a token.
    `normalisation`: mean over samples of the mean over tokens ("sample"), mean over all tokens
    ("token", DAPO), or sum over a constant length ("dr_grpo").
    `dual_clip`: where the advantage is negative, the ratio counts as at most this
    (arXiv 1912.09729, c). `kl_estimator`: Schulman's; `kl_bias_correction` multiplies it by
    π_θ/π_old (DeepSeek-V3.2, arXiv 2512.02556). With `kl_beta` 0 no reference model is loaded,
    unless `report_kl` asks for the KL as a metric. The entropy is computed only if `entropy_coef`
    rewards it or `report_entropy` asks for it as a metric.
    `correction*`: weight π_old/π_rollout against the difference to what wrote the tokens; one
    outside [floor, cap] becomes the bound ("truncate") or 0 ("mask").
    """

    level: Literal["sequence", "token"] = "sequence"
    normalisation: Literal["sample", "token", "dr_grpo"] = "sample"
    epsilon_low: float = Field(default=0.2, gt=0)
    epsilon_high: float = Field(default=0.2, gt=0)
    dual_clip: float | None = Field(default=None, gt=1)
    kl_beta: float = Field(default=1e-3, ge=0)
    kl_estimator: Literal["k1", "k2", "k3"] = "k3"
    kl_bias_correction: bool = False
    report_kl: bool = False
    entropy_coef: float = Field(default=0.0, ge=0)
    report_entropy: bool = False
    correction: Literal["off", "token", "sequence"] = "sequence"
    correction_mode: Literal["truncate", "mask"] = "truncate"
    correction_cap: float = Field(default=2.0, gt=0)
    correction_floor: float | None = Field(default=None, gt=0)

    @property
    def needs_reference(self) -> bool:
        """Whether log-probs under the frozen reference are wanted, to train or to report."""
        return self.kl_beta > 0 or self.report_kl

    @property
    def needs_entropy(self) -> bool:
        """Whether the entropy of every output token is wanted, to train or to report."""
        return self.entropy_coef > 0 or self.report_entropy

    @model_validator(mode="after")
    def _agree(self) -> ObjectiveConfig:
        floor = self.correction_floor
        if floor is not None and self.correction == "off":
            raise ValueError(
                f"correction_floor is {floor:g}, but correction is off: set objective.correction "
                'to "token" or "sequence", or leave the floor out'
            )
        if floor is not None and floor >= self.correction_cap:
            raise ValueError(
                f"correction_floor ({floor:g}) is not below correction_cap "
                f"({self.correction_cap:g}): no weight lies between them"
            )
        if self.kl_bias_correction and self.kl_beta == 0:
            raise ValueError(
                "kl_bias_correction is set, but kl_beta is 0 and no KL is trained: set "
                "objective.kl_beta above 0, or leave it out"
            )
        return self
