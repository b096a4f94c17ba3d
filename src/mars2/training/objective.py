"""The policy objective as pure functions of log-probabilities; no model, no optimizer.

Shapes: B samples, T = longest output of the micro-batch. All log-probs are [B, T] float32,
nats, of output tokens only; `mask` is [B, T], 1.0 on real tokens and 0.0 on padding.

Normalisers are counted over the whole optimizer step (`Scale`), so that the losses of
micro-batches of any shape add up to the loss of the full batch, and so do their gradients.
docs/objective.md has the formulas side by side with the names that TRL and verl give them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mars2.config import ObjectiveConfig

LOG_RATIO_LIMIT = 20.0  # e^±20; as verl. Beyond it exp overflows, and even a clipped term gives NaN


@dataclass(frozen=True, slots=True)
class Scale:
    """Counts of one optimizer step: samples, output tokens, and Dr. GRPO's constant length."""

    samples: int
    tokens: int
    max_length: int

    @classmethod
    def of(cls, lengths: Sequence[int], max_length: int | None = None) -> Scale:
        """From the output lengths; `max_length` None: the longest of them."""
        return cls(len(lengths), sum(lengths), max_length or max(lengths))


@dataclass(slots=True)
class ObjectiveSums:
    """Detached sums over the real tokens or samples seen; divide by the counts to report."""

    samples: int = 0
    tokens: int = 0
    ratio: float = 0.0  # over samples (sequence level) or tokens
    clipped: float = 0.0
    dual_clipped: float = 0.0  # of them, those that only the dual clip bounds
    kl: float = 0.0  # the estimator as configured, over tokens
    entropy: float = 0.0  # nats, over tokens
    correction: float = 0.0  # over samples or tokens
    correction_max: float = 0.0
    corrected: float = 0.0  # weights that were truncated or masked
    ratio_terms: int = 0
    correction_terms: int = 0
    entropy_terms: int = 0  # tokens; 0 unless asked for

    def add(self, other: ObjectiveSums) -> None:
        """Accumulate another micro-batch."""
        for name in self.__slots__:
            if name != "correction_max":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        self.correction_max = max(self.correction_max, other.correction_max)


def log_ratio(new: Tensor, old: Tensor, mask: Tensor, level: str) -> Tensor:
    """log of the importance ratio of the clipped objective, at most ±`LOG_RATIO_LIMIT`.

    "sequence": [B, 1], the length-normalised ratio (GSPO, arXiv 2507.18071, eq. 7);
    "token": [B, T] (GRPO, arXiv 2402.03300, eq. 3).
    """
    difference = (new - old) * mask
    if level == "sequence":
        difference = difference.sum(1, keepdim=True) / mask.sum(1, keepdim=True)
    return difference.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)


def importance_weight(old: Tensor, rollout: Tensor, mask: Tensor, level: str) -> Tensor:
    """π_old/π_rollout, how π_old differs from what wrote the tokens; never carries a gradient.

    "token": of each token, [B, T]; "sequence": of the whole output, the product over its tokens,
    [B, 1]; "off": ones, [B, 1].
    """
    if level == "off":
        return torch.ones_like(old[:, :1])
    difference = ((old - rollout) * mask).detach()
    if level == "sequence":
        difference = difference.sum(1, keepdim=True)
    return difference.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()


def rollout_correction(weight: Tensor, c: ObjectiveConfig) -> Tensor:
    """The weight w of the policy term: an `importance_weight`, bounded.

    Outside [floor, cap], "truncate" gives the bound (truncated importance sampling, Yao et al.
    2025) and "mask" gives 0. Shape of `weight`.
    """
    if c.correction == "off":
        return weight
    inside = weight.clamp(c.correction_floor, c.correction_cap)
    if c.correction_mode == "truncate":
        return inside
    return torch.where(weight == inside, weight, torch.zeros_like(weight))


def kl(new: Tensor, reference: Tensor, estimator: str) -> Tensor:
    """Estimate of KL(π_θ ‖ π_ref) at each token (Schulman, joschu.net/blog/kl-approx.html).

    With d = log π_ref − log π_θ: "k1" −d; "k2" d²/2; "k3" e^d − d − 1, ≥ 0 (arXiv 2402.03300,
    eq. 4). Shapes of the arguments and the result are equal.
    """
    difference = reference - new
    if estimator == "k1":
        return -difference
    if estimator == "k2":
        return difference.square() / 2
    bounded = difference.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    return bounded.exp() - bounded - 1


def clipped_surrogate(ratio: Tensor, advantage: Tensor, c: ObjectiveConfig) -> Tensor:
    """min(s·Â, clip(s, 1 − ε_low, 1 + ε_high)·Â), to be maximised; shape of `ratio`.

    With the dual clip (arXiv 1912.09729, “Dual-clip PPO”) at least c·Â where Â < 0, so that one
    output that became far more likely cannot dominate a step.
    """
    clipped = ratio.clamp(1 - c.epsilon_low, 1 + c.epsilon_high)
    surrogate = torch.minimum(ratio * advantage, clipped * advantage)
    if c.dual_clip is None:
        return surrogate
    return torch.where(advantage < 0, torch.maximum(surrogate, c.dual_clip * advantage), surrogate)


def normalise(terms: Tensor, mask: Tensor, scale: Scale, how: str) -> Tensor:
    """Sum per-token terms [B, T] into this micro-batch's share of the step's mean.

    "sample": mean over samples of the mean over tokens (GRPO, GSPO); "token": mean over all
    tokens (DAPO, arXiv 2503.14476, eq. 8); "dr_grpo": a constant length (arXiv 2503.20783, §3.2).
    """
    terms = terms * mask
    if how == "sample":
        return (terms.sum(1) / mask.sum(1)).sum() / scale.samples
    if how == "token":
        return terms.sum() / scale.tokens
    return terms.sum() / (scale.samples * scale.max_length)


def policy_loss(
    new: Tensor,
    old: Tensor | None,
    rollout: Tensor,
    reference: Tensor | None,
    advantages: Tensor,
    mask: Tensor,
    scale: Scale,
    config: ObjectiveConfig,
    *,
    entropy: Tensor | None = None,
) -> tuple[Tensor, ObjectiveSums]:
    """−min(s·Â, clip(s, 1 − ε_low, 1 + ε_high)·Â)·w + β·KL, normalised over the step, less
    `entropy_coef` times the mean entropy over all tokens of the step.

    w multiplies the policy term once and is separate from s.

    Args:
        new: log-probs under the weights being trained; carries the gradient.
        old: under the weights at the start of the update; None: `new` without gradient.
        rollout: as reported by whatever wrote the tokens.
        reference: under the frozen reference; None unless `config.needs_reference`.
        advantages: [B].
        entropy: [B, T], of the distribution that each output token was drawn from under the
            weights being trained, with gradient, nats; None unless `config.needs_entropy`.

    Returns:
        This micro-batch's share of the loss (a scalar) and sums for the metrics.

    Raises:
        ValueError: the configuration trains a KL or an entropy that was not given.
    """
    old = new.detach() if old is None else old
    ratio = log_ratio(new, old, mask, config.level).exp()
    advantage = advantages.unsqueeze(1)
    raw_weight = importance_weight(old, rollout, mask, config.correction)
    weight = rollout_correction(raw_weight, config)
    terms = (-clipped_surrogate(ratio, advantage, config) * weight).expand_as(new)
    divergence = None
    if reference is not None:
        divergence = kl(new, reference, config.kl_estimator)
        if config.kl_bias_correction:
            divergence = divergence * log_ratio(new, old, mask, "token").exp()
    if config.kl_beta > 0:
        if divergence is None:
            raise ValueError("kl_beta is above 0 but there are no reference log-probs")
        terms = terms + config.kl_beta * divergence
    loss = normalise(terms, mask, scale, config.normalisation)
    if config.entropy_coef > 0:
        if entropy is None:
            raise ValueError("entropy_coef is above 0 but no entropy was given")
        loss = loss - config.entropy_coef * normalise(entropy, mask, scale, "token")
    with torch.no_grad():
        sums = _sums(ratio, advantage, raw_weight, weight, divergence, entropy, mask, config)
    return loss, sums


def _sums(
    ratio: Tensor,
    advantage: Tensor,
    raw_weight: Tensor,
    weight: Tensor,
    divergence: Tensor | None,
    entropy: Tensor | None,
    mask: Tensor,
    config: ObjectiveConfig,
) -> ObjectiveSums:
    def over(x: Tensor) -> Tensor:  # the cells of x that count
        return mask if x.shape[1] == mask.shape[1] else torch.ones_like(x)

    counted, weighed = over(ratio), over(weight)
    tokens = int(mask.sum())
    high = (ratio > 1 + config.epsilon_high) & (advantage > 0)
    low = (ratio < 1 - config.epsilon_low) & (advantage < 0)
    dual = torch.zeros_like(low)
    if config.dual_clip is not None:
        dual = (ratio > config.dual_clip) & (advantage < 0)
    return ObjectiveSums(
        samples=mask.shape[0],
        tokens=tokens,
        ratio=float((ratio * counted).sum()),
        clipped=float(((high | low | dual) * counted).sum()),
        dual_clipped=float((dual * counted).sum()),
        kl=0.0 if divergence is None else float((divergence * mask).sum()),
        entropy=0.0 if entropy is None else float((entropy * mask).sum()),
        correction=float((weight * weighed).sum()),
        correction_max=float((weight * weighed).max()),
        corrected=float(((weight != raw_weight) * weighed).sum()),
        ratio_terms=int(counted.sum()),
        correction_terms=int(weighed.sum()),
        entropy_terms=0 if entropy is None else tokens,
    )
