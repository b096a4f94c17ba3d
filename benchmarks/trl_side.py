"""TRL's GRPOTrainer on frozen rollouts: the reference of the objective, and the baseline of speed.

Runs under a Python that has TRL and needs nothing of this package; both sides exchange files and
lines. What is TRL's own: its Trainer loop, batching, padding, log-probabilities, advantages,
importance ratios, rollout correction, KL, loss, normalisation and optimizer. What is ours is only
what it is given: `rollout_func` returns frozen ids and log-probabilities instead of sampling, the
reward function looks rewards up, and with "correction" it believes that a vLLM wrote the ids.

    python benchmarks/trl_side.py SPEC.json

SPEC: {"model", "reference"?, "old"?: directories; "rollouts": [{"prompt_ids", "token_ids",
"logprobs", "reward", "advantage"?}], those of a group one after the other; "cases": [{"name",
"args": settings of GRPOConfig, "correction"?, "lora"?}]; "out": a file for torch.save, or
"timed": true}.

`model` are the weights that train. With `old`, generation and what TRL computes along with it
happen under those weights instead. `advantage` replaces TRL's own, whose groups cannot span
several policies. With "timed", each optimizer step prints a JSON line: its CPU and wall seconds
without generation, and the peak memory so far.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.update(TRL_EXPERIMENTAL_SILENCE="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import torch
from datasets import Dataset
from memory import peak_mb
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

DEFAULTS: dict[str, Any] = {
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "max_grad_norm": 0.0,  # 0: no clipping
    "lr_scheduler_type": "constant",
    "scale_rewards": "group",
    "shuffle_dataset": False,
    "report_to": "none",
    "save_strategy": "no",
    "logging_strategy": "no",
    "disable_tqdm": True,
}


class FrozenTrainer(GRPOTrainer):
    """GRPOTrainer fed with `rollouts`; records which of them each loss was computed on."""

    def __init__(self, rollouts: list[dict[str, Any]], old: dict | None, correction: bool, **kw):
        self.rollouts = rollouts
        self.old = old
        self.losses: list[tuple[float, list[int]]] = []
        self.spent = [0.0, 0.0]  # CPU and wall seconds of generation, which is not training
        size = kw["args"].num_generations
        super().__init__(
            reward_funcs=_reward,
            rollout_func=self._look_up,
            train_dataset=Dataset.from_list(
                [{"prompt": str(i)} for i in range(0, len(rollouts), size)]
            ),
            **kw,
        )
        if correction:  # set here: the constructor would start a vLLM
            self.use_vllm = True
            self._last_loaded_step = -1
            self.vllm_generation = _NoVllm()

    def _look_up(self, prompts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        seen: dict[str, int] = {}
        index = []
        for prompt in prompts:
            index.append(int(prompt) + seen.get(prompt, 0))
            seen[prompt] = seen.get(prompt, 0) + 1
        rows = [self.rollouts[i] for i in index]
        return {
            "prompt_ids": [r["prompt_ids"] for r in rows],
            "completion_ids": [r["token_ids"] for r in rows],
            "logprobs": [r["logprobs"] for r in rows],
            "rollout_reward": [r["reward"] for r in rows],
            "index": index,
        }

    def _generate_and_score_completions(self, inputs):
        started = time.process_time(), time.perf_counter()
        with _weights(self.model, self.old):
            output = super()._generate_and_score_completions(inputs)
        index = [x["index"] for x in inputs]
        output["index"] = torch.tensor(index)
        if "advantage" in self.rollouts[0]:
            output["advantages"] = torch.tensor([self.rollouts[i]["advantage"] for i in index])
        if not self.use_vllm:
            self.spent[0] += time.process_time() - started[0]
            self.spent[1] += time.perf_counter() - started[1]
        return output

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        self.losses.append((float(loss.detach()), inputs["index"].tolist()))
        return loss


class _NoVllm:
    """Frozen rollouts need no weights."""

    def sync_weights(self) -> None:
        pass


def _reward(completions: list[str], rollout_reward: list[float], **_: Any) -> list[float]:
    return rollout_reward


@contextlib.contextmanager
def _weights(model: torch.nn.Module, other: dict | None):
    """The model under other weights for a while."""
    if other is None:
        yield
        return
    own = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(other)
    yield
    model.load_state_dict(own)


class Recorder(TrainerCallback):
    """Loss, members and gradient of each optimizer step, before the weights change."""

    def __init__(self) -> None:
        self.trainer: FrozenTrainer | None = None
        self.steps: list[dict[str, Any]] = []

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        losses = self.trainer.losses
        self.steps.append(
            {
                "loss": sum(loss for loss, _ in losses),
                "samples": [i for _, index in losses for i in index],
                "gradient": {
                    name: p.grad.clone()
                    for name, p in self.trainer.model.named_parameters()
                    if p.grad is not None
                },
            }
        )
        losses.clear()


class Timer(TrainerCallback):
    """CPU and wall seconds of an optimizer step without generation, and the peak memory."""

    trainer: FrozenTrainer

    def on_train_begin(self, args, state, control, model=None, optimizer=None, **kwargs):
        """The optimizer's state as in every step but the first; no weight changes."""
        for p in model.parameters():
            p.grad = torch.zeros_like(p) if p.requires_grad else None
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def on_step_begin(self, args, state, control, **kwargs):
        self.trainer.spent = [0.0, 0.0]
        self.started = time.process_time(), time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        cpu = time.process_time() - self.started[0] - self.trainer.spent[0]
        wall = time.perf_counter() - self.started[1] - self.trainer.spent[1]
        loss = sum(loss for loss, _ in self.trainer.losses)
        self.trainer.losses.clear()
        row = {"cpu": cpu, "wall": wall, "loss": loss, "peak_mb": peak_mb()}
        print(json.dumps(row), flush=True)


def train(spec: dict[str, Any], case: dict[str, Any], callback: Any, scratch: str) -> FrozenTrainer:
    """One call of GRPOTrainer.train."""
    model = AutoModelForCausalLM.from_pretrained(spec["model"], dtype=torch.float32)
    model.config._name_or_path = spec.get("reference") or spec["model"]  # TRL loads its reference
    tokenizer = AutoTokenizer.from_pretrained(spec["model"])
    old = None
    if spec.get("old"):
        old = AutoModelForCausalLM.from_pretrained(spec["old"], dtype=torch.float32).state_dict()
    extra: dict[str, Any] = {}
    if case.get("lora"):
        from peft import LoraConfig

        extra["peft_config"] = LoraConfig(**case["lora"])
    trainer = FrozenTrainer(
        spec["rollouts"],
        old,
        bool(case.get("correction")),
        model=model,
        args=GRPOConfig(output_dir=scratch, **{**DEFAULTS, **case["args"]}),
        processing_class=tokenizer,
        callbacks=[callback],
        **extra,
    )
    callback.trainer = trainer
    trainer.train()
    return trainer


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for case in spec["cases"]:
            recorder = Timer() if spec.get("timed") else Recorder()
            trainer = train(spec, case, recorder, scratch)
            if not spec.get("timed"):
                weights = {k: v.clone() for k, v in trainer.model.state_dict().items()}
                results[case["name"]] = {"steps": recorder.steps, "weights": weights}
    if not spec.get("timed"):
        torch.save(results, spec["out"])


if __name__ == "__main__":
    main()
