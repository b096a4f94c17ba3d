"""The policy objective as pure functions of log-probabilities; no model, no optimizer.

Shapes: B samples, T = longest output of the micro-batch. All log-probs are [B, T] float32,
nats, of output tokens only; `mask` is [B, T], 1.0 on real tokens and 0.0 on padding.

Normalisers are counted over the whole optimizer step (`Scale`), so that the losses of
micro-batches of any shape add up to the loss of the full batch, and so do their gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mars2.config import ObjectiveConfig


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
    kl: float = 0.0  # k3, over tokens
    correction: float = 0.0  # over samples or tokens
    correction_max: float = 0.0
    ratio_terms: int = 0
    correction_terms: int = 0

    def add(self, other: ObjectiveSums) -> None:
        """Accumulate another micro-batch."""
        for name in self.__slots__:
            if name != "correction_max":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        self.correction_max = max(self.correction_max, other.correction_max)


def log_ratio(new: Tensor, old: Tensor, mask: Tensor, level: str) -> Tensor:
    """log of the importance ratio of the clipped objective.

    "sequence": [B, 1], the length-normalised ratio (GSPO, arXiv 2507.18071, eq. 7);
    "token": [B, T] (GRPO, arXiv 2402.03300).
    """
    difference = (new - old) * mask
    if level == "sequence":
        return difference.sum(1, keepdim=True) / mask.sum(1, keepdim=True)
    return difference


def rollout_correction(old: Tensor, rollout: Tensor, mask: Tensor, c: ObjectiveConfig) -> Tensor:
    """Weight w of truncated importance sampling: how π_old differs from what wrote the tokens.

    "token": π_old/π_rollout of each token, [B, T]; "sequence": of the whole output (product over
    its tokens), [B, 1]. Above the cap C, "truncate" gives C and "mask" gives 0. Never carries a
    gradient. "off": ones, [B, 1].
    """
    if c.correction == "off":
        return torch.ones_like(old[:, :1])
    difference = ((old - rollout) * mask).detach()
    if c.correction == "sequence":
        difference = difference.sum(1, keepdim=True)
    weight = difference.exp()
    if c.correction_mode == "truncate":
        return weight.clamp(max=c.correction_cap)
    return torch.where(weight <= c.correction_cap, weight, torch.zeros_like(weight))


def k3(new: Tensor, reference: Tensor) -> Tensor:
    """The k3 estimator of KL(π_θ ‖ π_ref) for each token, ≥ 0 (Schulman; arXiv 2402.03300)."""
    difference = reference - new
    return difference.exp() - difference - 1


def normalise(terms: Tensor, mask: Tensor, scale: Scale, how: str) -> Tensor:
    """Sum per-token terms [B, T] into this micro-batch's share of the step's mean.

    "sample": mean over samples of the mean over tokens (GRPO, GSPO); "token": mean over all
    tokens (DAPO, arXiv 2503.14476); "dr_grpo": a constant length (arXiv 2503.20783).
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
) -> tuple[Tensor, ObjectiveSums]:
    """−min(s·Â, clip(s, 1 − ε_low, 1 + ε_high)·Â)·w + β·KL, normalised over the step.

    w multiplies the policy term once and is separate from s.

    Args:
        new: log-probs under the weights being trained; carries the gradient.
        old: under the weights at the start of the update; None: `new` without gradient.
        rollout: as reported by whatever wrote the tokens.
        reference: under the frozen reference; None only if β is 0.
        advantages: [B].

    Returns:
        This micro-batch's share of the loss (a scalar) and sums for the metrics.
    """
    old = new.detach() if old is None else old
    ratio = log_ratio(new, old, mask, config.level).exp()
    advantage = advantages.unsqueeze(1)
    clipped = ratio.clamp(1 - config.epsilon_low, 1 + config.epsilon_high)
    weight = rollout_correction(old, rollout, mask, config)
    terms = (-torch.minimum(ratio * advantage, clipped * advantage) * weight).expand_as(new)
    divergence = None if reference is None else k3(new, reference)
    if config.kl_beta > 0:
        if divergence is None:
            raise ValueError("kl_beta is above 0 but there are no reference log-probs")
        terms = terms + config.kl_beta * divergence
    loss = normalise(terms, mask, scale, config.normalisation)
    with torch.no_grad():
        bites = ratio * advantage > clipped * advantage
        sums = _sums(ratio.detach(), bites, weight, divergence, mask)
    return loss, sums


def _sums(
    ratio: Tensor, bites: Tensor, weight: Tensor, divergence: Tensor | None, mask: Tensor
) -> ObjectiveSums:
    def over(x: Tensor) -> Tensor:  # the cells of x that count
        return mask if x.shape[1] == mask.shape[1] else torch.ones_like(x)

    counted, weighed = over(ratio), over(weight)
    return ObjectiveSums(
        samples=mask.shape[0],
        tokens=int(mask.sum()),
        ratio=float((ratio * counted).sum()),
        clipped=float((bites * counted).sum()),
        kl=0.0 if divergence is None else float((divergence * mask).sum()),
        correction=float((weight * weighed).sum()),
        correction_max=float((weight * weighed).max()),
        ratio_terms=int(counted.sum()),
        correction_terms=int(weighed.sum()),
    )
