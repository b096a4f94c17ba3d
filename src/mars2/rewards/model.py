"""A language model's body with a scalar head: reads a problem and a program, gives one logit.

A directory that `train` finished holds

    reward_model.json   base model, tokenizer files, calibration, data digest, all settings
    body/               weights (safetensors), config and tokenizer, as transformers loads them
    head.safetensors    the scalar head
    report.json         how good it is
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from mars2.agents.hf import load_hf, load_micro
from mars2.agents.local import LocalPolicy
from mars2.agents.spec import parse_spec
from mars2.errors import AgentSpecError, UsageError
from mars2.rewards.metrics import Calibration
from mars2.rewards.text import Encoded, Encoder
from mars2.types import Problem

KIND = "mars2 reward model"
SCHEMA = 1
CONFIG = "reward_model.json"
BODY = "body"
HEAD = "head.safetensors"


class ScalarModel(nn.Module):
    """Logit of "passes all tests" from the hidden state of a text's last token.

    Args:
        body: a causal transformer without output head.
        width: of its hidden states.
    """

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, 1)
        nn.init.zeros_(self.head.weight)  # starts at probability ½ whatever the seed
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[B] float32 logits of `ids` [B, T], padded on the right, of `lengths` [B] tokens.

        Real positions of a causal model do not see padding on their right: no mask is needed.
        """
        hidden = self.body(input_ids=ids, use_cache=False)[0]
        last = hidden[torch.arange(len(ids), device=ids.device), lengths - 1]
        logits: Tensor = self.head(last.float()).squeeze(1)
        return logits


def base_policy(spec: str, *, device: str) -> LocalPolicy:
    """The model that a `micro:` or `hf:` spec names, in float32.

    Raises:
        AgentSpecError: another backend, or a model that cannot be loaded.
    """
    parsed = parse_spec(spec)
    if parsed.backend not in ("micro", "hf"):
        raise AgentSpecError(
            f"base model {spec!r}: a reward model needs weights in this process: micro:NAME, "
            "hf:DIRECTORY, hf:HUB_ID or hf:smollm2"
        )
    load = load_micro if parsed.backend == "micro" else load_hf
    return load(spec, parsed.model, device=device)


def scalar_model(policy: LocalPolicy) -> ScalarModel:
    """A model to train, from the policy's own weights; the policy's output head is dropped."""
    causal = policy.model
    width = int(causal.get_output_embeddings().weight.shape[1])
    return ScalarModel(causal.base_model.float(), width).to(causal.device)


def pad(rows: Sequence[Encoded], device: Any) -> tuple[Tensor, Tensor]:
    """(ids [B, T] int64 padded with 0 on the right, lengths [B] int64) of texts."""
    lengths = torch.tensor([len(r.ids) for r in rows], device=device)
    tensors = [torch.tensor(r.ids) for r in rows]
    return nn.utils.rnn.pad_sequence(tensors, batch_first=True).to(device), lengths


def batches_of(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Indices in groups of similar length, each at most `batch_tokens` padded; all exactly once.

    A text longer than that comes alone.
    """
    groups: list[list[int]] = []
    longest = 0
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not groups or (len(groups[-1]) + 1) * longest > batch_tokens:
            groups.append([])
            longest = lengths[i]
        groups[-1].append(i)
    return groups


@torch.no_grad()
def logits_of(model: ScalarModel, rows: Sequence[Encoded], batch_tokens: int) -> list[float]:
    """The logit of each text, in order."""
    device = model.head.weight.device
    result = [0.0] * len(rows)
    for group in batches_of([len(r.ids) for r in rows], batch_tokens):
        values = model(*pad([rows[i] for i in group], device)).tolist()
        for i, value in zip(group, values, strict=True):
            result[i] = value
    return result


class TorchRewardModel:
    """A trained reward model; see `mars2.rewards.base.RewardModel`.

    Attributes:
        config: the contents of reward_model.json.
    """

    def __init__(
        self, model: ScalarModel, encoder: Encoder, config: dict[str, Any], batch_tokens: int = 8192
    ) -> None:
        self.model = model.eval()
        self.encoder = encoder
        self.config = config
        self.batch_tokens = batch_tokens
        self.calibration = Calibration(**config["calibration"])
        self.base_rate = float(config["base_rate"])
        self._one_at_a_time = threading.Lock()

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str = "auto") -> Self:
        """From a directory that `train` finished. Raises UsageError if it is not one."""
        path = Path(path)
        config = read_config(path)
        if config is None:
            raise UsageError(
                f"{path}: holds no reward model ({CONFIG} is missing); train one with "
                "`mars2 reward-model train --out DIR`"
            )
        if config.get("status") != "finished":
            raise UsageError(
                f"{path}: the training of this reward model was interrupted; go on with "
                "`mars2 reward-model train --resume`"
            )
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            tokenizer = AutoTokenizer.from_pretrained(path / BODY, local_files_only=True)
            with quiet():
                body = AutoModel.from_pretrained(
                    path / BODY, local_files_only=True, dtype=torch.float32
                )
            head = load_file(path / HEAD)
            model = ScalarModel(body, head["weight"].shape[1])
            model.head.load_state_dict(head)
        except Exception as error:  # readers raise whatever a broken file makes them raise
            first = str(error).strip().split("\n", 1)[0]
            raise UsageError(f"{path}: this reward model cannot be loaded: {first}") from error
        encoder = Encoder(tokenizer, config["style"], config["settings"]["max_length"])
        return cls(model.to(device), encoder, config)

    async def score(self, problem: Problem, codes: Sequence[str]) -> list[float]:
        """Calibrated probabilities; runs in a thread, so that the event loop goes on.

        A program too long for the model gets the share of right programs in its training data.
        """
        return await asyncio.to_thread(self.probabilities, [(problem.statement, c) for c in codes])

    def probabilities(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        """Of (statement, program) pairs, in order; equal pairs get equal numbers."""
        distinct = list(dict.fromkeys(texts))
        rows = [self.encoder.encode(*text) for text in distinct]
        fitting = [r for r in rows if r is not None]
        with self._one_at_a_time:
            logits = iter(logits_of(self.model, fitting, self.batch_tokens))
        by_text = {
            text: self.base_rate if row is None else self.calibration.probability(next(logits))
            for text, row in zip(distinct, rows, strict=True)
        }
        return [by_text[text] for text in texts]


def read_config(path: Path) -> dict[str, Any] | None:
    """The reward_model.json of a directory; None if there is none.

    Raises:
        UsageError: it is damaged, or of another schema.
    """
    file = path / CONFIG
    if not file.is_file():
        return None
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        kind, schema = config["kind"], config["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is damaged: {error!r}") from None
    if kind != KIND or schema != SCHEMA:
        raise UsageError(f"{file}: is {kind!r} of schema {schema!r}; this version reads {SCHEMA}")
    return dict(config)


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of transformers for a few files."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
