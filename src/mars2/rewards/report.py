"""What scores are worth on a set of labelled programs: apart, calibrated, and in choosing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mars2.rewards.data import Example
from mars2.rewards.metrics import (
    Calibration,
    Candidate,
    auc,
    auc_interval,
    brier,
    ece,
    selection_accuracy,
    sigmoid,
)


@dataclass(frozen=True, slots=True)
class Scored:
    """An example with the model's logit before calibration."""

    example: Example
    logit: float


def report_on(
    scored: Sequence[Scored], calibration: Calibration, *, resamples: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """AUC of all programs and of those that pass the public tests, calibration before and after,
    and selection accuracy among the latter (see `selection_accuracy`).

    NaN stands for what there are too few programs to say.
    """
    logits = [s.logit for s in scored]
    labels = [s.example.label for s in scored]
    passing = [s for s in scored if s.example.public.ok]
    before = [sigmoid(z) for z in logits]
    after = [calibration.probability(z) for z in logits]
    candidates = [
        Candidate(s.example.problem_id, s.example.tree_id, s.example.label, s.logit)
        for s in passing
    ]
    return {
        "examples": len(scored),
        **_auc("auc", scored, resamples // 4, seed),
        **_auc("auc_public_passing", passing, resamples // 4, seed),
        "brier": {"before": brier(before, labels), "after": brier(after, labels)},
        "ece": {"before": ece(before, labels), "after": ece(after, labels)},
        "selection": selection_accuracy(candidates, resamples=resamples, seed=seed),
    }


def _auc(name: str, scored: Sequence[Scored], resamples: int, seed: int) -> dict[str, Any]:
    logits = [s.logit for s in scored]
    labels = [s.example.label for s in scored]
    problems = [s.example.problem_id for s in scored]
    interval = auc_interval(logits, labels, problems, resamples=max(resamples, 1), seed=seed)
    return {name: auc(logits, labels), f"{name}_ci95": list(interval)}
