"""Trains a scalar head and its body on labelled programs, epoch by epoch, resumable after each.

While training, the directory holds reward_model.json with status "training", `state.pt` (weights,
optimizer and history after the last whole epoch) and the best epoch's weights. Each is replaced
atomically, so a killed process loses the epoch under way and nothing else.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from mars2.errors import TrainingError, UsageError
from mars2.rewards.data import Example, Split, split_of
from mars2.rewards.directory import (
    check_out,
    finished_report,
    load_state,
    save_state,
    write_weights,
)
from mars2.rewards.metrics import cross_entropy, fit_calibration
from mars2.rewards.model import (
    CONFIG,
    KIND,
    SCHEMA,
    ScalarModel,
    base_policy,
    batches_of,
    logits_of,
    pad,
    scalar_model,
)
from mars2.rewards.report import Scored, report_on
from mars2.rewards.text import Encoded, Encoder
from mars2.search.seeds import derive
from mars2.training.rundir import finite, write_json

STATE = "state.pt"
_WINDOW = 8  # batches whose texts are sorted by length together


class TrainSettings(BaseModel):
    """How a reward model is trained; what is not here is a constant of this module."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: str = Field(min_length=1)  # micro:… or hf:…
    epochs: int = Field(default=4, gt=0)
    lr: float = Field(default=1e-4, gt=0)  # 5e-4 suits micro models
    batch_tokens: int = Field(default=2048, gt=0)  # padded tokens of one optimizer step
    max_length: int = Field(default=1024, gt=0)  # tokens of one text
    seed: int = 0
    warmup: float = Field(default=0.05, ge=0, lt=1)  # share of all steps
    weight_decay: float = Field(default=0.01, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)


@dataclass(frozen=True, slots=True)
class _Row:
    """A distinct program of a problem."""

    text: Encoded
    right: bool


@dataclass
class _Part:
    """One split: examples that fit, with the index of their row."""

    examples: list[Example] = field(default_factory=list)
    index: list[int] = field(default_factory=list)
    rows: list[_Row] = field(default_factory=list)
    too_long: int = 0

    def scored(self, model: ScalarModel, batch_tokens: int) -> list[Scored]:
        """Each example with its logit."""
        logits = logits_of(model.eval(), [r.text for r in self.rows], batch_tokens)
        return [Scored(e, logits[i]) for e, i in zip(self.examples, self.index, strict=True)]

    def counts(self) -> dict[str, int]:
        """For the report."""
        return {
            "examples": len(self.examples),
            "right": sum(e.label for e in self.examples),
            "problems": len({e.problem_id for e in self.examples}),
            "programs": len(self.rows),
            "statements_cut": sum(r.text.cut for r in self.rows),
            "too_long": self.too_long,
        }


def train(
    examples: Sequence[Example],
    digest: str,
    settings: TrainSettings,
    out: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    log: Callable[[str], None] = lambda _: None,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
    bootstrap: int = 2000,
) -> dict[str, Any]:
    """Train on the training problems, calibrate on the validation ones, report on the test ones.

    The weights kept are those of the epoch with the least cross-entropy on validation.

    Args:
        digest: of the data, recorded with the model; a resumed training must have the same.
        on_batch: (optimizer steps done, of all).

    Returns:
        The report, as in report.json.

    Raises:
        ResumeError: `out` is not empty, holds something else, or other settings or data.
        UsageError: no training problems, only one kind of label, or a longer `max_length` than
            the base model's context.
        AgentSpecError: the base model cannot be loaded.
        TrainingError: the loss is not finite.
    """
    torch_device = _device(device)
    check_out(out, settings.model_dump(), digest, resume)
    if resume and (finished := finished_report(out)) is not None:
        return finished
    policy = base_policy(settings.base, device=torch_device)
    if policy.context is not None and settings.max_length > policy.context:
        raise UsageError(
            f"max_length is {settings.max_length}, and {settings.base} reads at most "
            f"{policy.context} tokens: lower it"
        )
    encoder = Encoder(policy.tokenizer, policy.prompt_style, settings.max_length)
    parts = _prepare(examples, encoder)
    _check_data(parts["train"])
    config: dict[str, Any] = {
        "kind": KIND,
        "schema": SCHEMA,
        "status": "training",
        "style": policy.prompt_style,
        "settings": settings.model_dump(),
        "data": {"digest": digest, **{k: p.counts() for k, p in parts.items()}},
    }
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / CONFIG, config)
    run = _Run(scalar_model(policy), parts, settings, out, log, on_batch)
    run.train()
    return _finish(run, policy.tokenizer, config, bootstrap)


def _device(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def _prepare(examples: Sequence[Example], encoder: Encoder) -> dict[Split, _Part]:
    """The examples by split; equal programs of a problem share a row, whoever wrote them: the
    tenth copy teaches nothing new, and programs written often crowd out the others (measured on
    lab programs, 8 epochs: AUC 0.75 with rows weighted by their nodes, 0.79 without).
    """
    parts: dict[Split, _Part] = {"train": _Part(), "validation": _Part(), "test": _Part()}
    seen: dict[tuple[str, str], int | None] = {}
    for e in examples:
        part, key = parts[split_of(e.problem_id)], (e.problem_id, e.code)
        if key not in seen:
            text = encoder.encode(e.statement, e.code)
            seen[key] = None if text is None else len(part.rows)
            if text is not None:
                part.rows.append(_Row(text, e.label))
        index = seen[key]
        if index is None:
            part.too_long += 1
        else:
            part.examples.append(e)
            part.index.append(index)
    return parts


def _check_data(part: _Part) -> None:
    if not part.rows:
        raise UsageError(
            "no training example: 70 % of the problems are trained on, and none of these is; "
            "collect from more problems"
        )
    if len({r.right for r in part.rows}) < 2:
        kind = "right" if part.rows[0].right else "wrong"
        raise UsageError(
            f"all {len(part.rows)} training programs are {kind}: there is nothing to tell apart; "
            "collect from more, easier or harder problems"
        )


class _Run:
    """The loop over epochs, and what it keeps on disk."""

    def __init__(
        self,
        model: ScalarModel,
        parts: dict[Split, _Part],
        settings: TrainSettings,
        out: Path,
        log: Callable[[str], None],
        on_batch: Callable[[int, int], None],
    ) -> None:
        self.model, self.parts, self.settings, self.out = model, parts, settings, out
        self.log, self.on_batch = log, on_batch
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
        )
        self.history: list[dict[str, Any]] = []
        self.best = 0  # epoch

    def train(self) -> None:
        """From the last whole epoch on, to the end; leaves the best weights in the model."""
        rows = self.parts["train"].rows
        batches = [self._batches(epoch) for epoch in range(1, self.settings.epochs + 1)]
        total, step = sum(map(len, batches)), 0
        if self._restore():
            self.log(f"resumed after epoch {len(self.history)}")
        for epoch, groups in enumerate(batches, 1):
            if epoch <= len(self.history):
                step += len(groups)
                continue
            started, losses = time.monotonic(), 0.0
            self.model.train()
            with torch.random.fork_rng():
                torch.manual_seed(derive(self.settings.seed, "dropout", epoch))
                for group in groups:
                    losses += self._step([rows[i] for i in group], self._lr(step, total))
                    step += 1
                    self.on_batch(step, total)
            loss = losses / len(rows)
            self._end_epoch(epoch, loss, time.monotonic() - started)
        self._load_best()

    def _batches(self, epoch: int) -> list[list[int]]:
        """Shuffled, then by length within windows, so that little is padding."""
        rows, size = self.parts["train"].rows, self.settings.batch_tokens
        rng = random.Random(f"{self.settings.seed}:epoch {epoch}")
        order = list(range(len(rows)))
        rng.shuffle(order)
        mean = sum(len(r.text.ids) for r in rows) / len(rows)
        window = max(1, int(_WINDOW * size / mean))
        groups: list[list[int]] = []
        for start in range(0, len(order), window):
            part = order[start : start + window]
            lengths = [len(rows[i].text.ids) for i in part]
            groups += [[part[j] for j in group] for group in batches_of(lengths, size)]
        rng.shuffle(groups)
        return groups

    def _lr(self, step: int, total: int) -> float:
        """Linear warm-up, then a cosine to a tenth."""
        warmup = max(1, round(self.settings.warmup * total))
        if step < warmup:
            return self.settings.lr * (step + 1) / warmup
        done = (step - warmup) / max(1, total - warmup)
        return self.settings.lr * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))

    def _step(self, rows: list[_Row], lr: float) -> float:
        """One optimizer step; the sum of losses before it."""
        device = self.model.head.weight.device
        labels = torch.tensor([float(r.right) for r in rows], device=device)
        logits = self.model(*pad([r.text for r in rows], device))
        total = nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        if not torch.isfinite(total):
            raise TrainingError(f"the loss is {total.item()}: lower lr (it is {self.settings.lr})")
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        (total / len(rows)).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.max_grad_norm)
        self.optimizer.step()
        return float(total.item())

    def _end_epoch(self, epoch: int, loss: float, seconds: float) -> None:
        scored = self.parts["validation"].scored(self.model, self.settings.batch_tokens)
        held = cross_entropy([s.logit for s in scored], [float(s.example.label) for s in scored])
        self.history.append({"epoch": epoch, "loss": loss, "validation_loss": held})
        best = self.history[self.best - 1]["validation_loss"] if self.best else math.inf
        if math.isnan(held) or held < best:
            self.best = epoch
            save_state(self._weights_of(epoch), {"model": self.model.state_dict()})
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
            "best": self.best,
        }
        save_state(self.out / STATE, state)
        for path in self.out.glob("best-*.pt"):
            if path != self._weights_of(self.best):
                path.unlink()
        told = "" if math.isnan(held) else f"  validation {held:.4f}"
        self.log(f"epoch {epoch}/{self.settings.epochs}: loss {loss:.4f}{told}  {seconds:.1f} s")

    def _weights_of(self, epoch: int) -> Path:
        return self.out / f"best-{epoch:05d}.pt"

    def _restore(self) -> bool:
        if not (self.out / STATE).is_file():
            return False
        state = load_state(self.out / STATE)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history, self.best = state["history"], state["best"]
        return True

    def _load_best(self) -> None:
        self.model.load_state_dict(load_state(self._weights_of(self.best))["model"])

    def clean(self) -> None:
        """Remove what only a resumed training needs."""
        for path in (self.out / STATE, *self.out.glob("best-*.pt")):
            path.unlink(missing_ok=True)


def _finish(run: _Run, tokenizer: Any, config: dict[str, Any], bootstrap: int) -> dict[str, Any]:
    """Calibrate, report, and write what `TorchRewardModel.load` reads; status comes last."""
    size = run.settings.batch_tokens
    scored = {name: part.scored(run.model, size) for name, part in run.parts.items()}
    held = scored["validation"]
    calibration = fit_calibration([s.logit for s in held], [s.example.label for s in held])
    train_part = run.parts["train"].counts()
    report: dict[str, Any] = {
        "base": run.settings.base,
        "data": config["data"],
        "epochs": run.history,
        "best_epoch": run.best,
        "calibration": {
            "temperature": calibration.temperature,
            "bias": calibration.bias,
            "fitted_on": len(held),
        },
    }
    for name, of in scored.items():
        report[name] = report_on(of, calibration, resamples=bootstrap, seed=run.settings.seed)
    files = write_weights(run.out, run.model, tokenizer)
    write_json(run.out / "report.json", report)
    config = config | {
        "status": "finished",
        "calibration": {"temperature": calibration.temperature, "bias": calibration.bias},
        "base_rate": (train_part["right"] + 1) / (train_part["examples"] + 2),
        "tokenizer_files": files,
    }
    write_json(run.out / CONFIG, config)
    run.clean()
    return dict(finite(report))
