"""Loss, gradients and whole updates on frozen rollouts equal those of TRL's GRPOTrainer.

The rollouts are from real trees (`benchmarks/rollouts.py`), float32, with unequal lengths,
padding and gradient accumulation on both sides; TRL runs in a process of its own and computes
everything itself except what `benchmarks/trl_side.py` says.

    pip install trl==1.16.0          # or into an environment of its own, and
    export MARS2_TRL_PYTHON=/path/to/that/bin/python
    pytest -m slow -s tests/training/test_trl.py
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_kit import samples  # noqa: F401  (one torch thread)
from transformers import AutoModelForCausalLM, AutoTokenizer

from mars2.config import CreditConfig, LearnerConfig, ObjectiveConfig
from mars2.lab.specs import weights_dir
from mars2.training.credit import group_advantages
from mars2.training.forward import (
    batches,
    output_logprobs,
    output_mask,
    rollout_logprobs,
)
from mars2.training.learner import Learner
from mars2.training.objective import ObjectiveSums, Scale, policy_loss

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import rollouts  # noqa: E402

pytestmark = pytest.mark.slow

SAMPLES = 24
MAX_LENGTH = 64  # Dr. GRPO's constant


def trl_python() -> str:
    given = os.environ.get("MARS2_TRL_PYTHON")
    if given is None and importlib.util.find_spec("trl") is None:
        pytest.skip("the reference is not installed: pip install trl==1.16.0")
    return given or sys.executable


def run_trl(tmp_path, model, rows, cases, *, advantages, **directories):
    """What TRL did in each case: steps with loss, samples and gradient; the weights at the end."""
    spec = {
        "model": str(model),
        "rollouts": [
            {
                "prompt_ids": s.prompt_ids,
                "token_ids": s.token_ids,
                "logprobs": s.logprobs,
                "reward": s.shaped,
            }
            | ({"advantage": s.advantage} if advantages else {})
            for s in rows
        ],
        "cases": cases,
        "out": str(tmp_path / "trl.pt"),
        **{k: str(v) for k, v in directories.items()},
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    side = [trl_python(), str(BENCHMARKS / "trl_side.py"), str(tmp_path / "spec.json")]
    done = subprocess.run(side, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(tmp_path / "trl.pt")


def trl_args(objective: ObjectiveConfig, temperature: float = 1.0) -> dict:
    """The names that our settings have in GRPOConfig."""
    return {
        "importance_sampling_level": objective.level,
        "loss_type": {"sample": "grpo", "token": "dapo", "dr_grpo": "dr_grpo"}[
            objective.normalisation
        ],
        "epsilon": objective.epsilon_low,
        "epsilon_high": objective.epsilon_high,
        "beta": objective.kl_beta,
        "use_bias_correction_kl": objective.kl_bias_correction,
        "delta": objective.dual_clip,
        "vllm_importance_sampling_mode": f"{objective.correction}_{objective.correction_mode}"
        if objective.correction != "off"
        else "token_truncate",
        "vllm_importance_sampling_clip_max": objective.correction_cap,
        "vllm_importance_sampling_clip_min": objective.correction_floor,
        "max_completion_length": MAX_LENGTH,
        "temperature": temperature,
    }


def compare(name, ours, theirs):
    """Cosine and relative norm of two gradients (or updates) by weight name."""
    assert ours.keys() == theirs.keys()
    a = torch.cat([ours[k].flatten().double() for k in sorted(ours)])
    b = torch.cat([theirs[k].flatten().double() for k in sorted(theirs)])
    cosine = float(a @ b / (a.norm() * b.norm()))
    print(f"{name}: cosine {cosine:.9f}, norms {float(a.norm()):.6g} and {float(b.norm()):.6g}")
    assert cosine > 0.9999
    assert float(a.norm()) == pytest.approx(float(b.norm()), rel=1e-3)


# ------------------------------------------------------------------ one step, all three weights


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Directories of the weights that train, that were trained before, and of the reference."""
    root, made = tmp_path_factory.mktemp("weights"), {}
    source = weights_dir("lark")
    for i, name in enumerate(("new", "old", "reference")):
        model = AutoModelForCausalLM.from_pretrained(source)
        torch.manual_seed(i)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn_like(p) * 0.03 * p.std() if p.ndim > 1 else 0)
        model.save_pretrained(root / name)
        AutoTokenizer.from_pretrained(source).save_pretrained(root / name)
        made[name] = root / name
    return made


CLIPS = {"epsilon_low": 0.02, "epsilon_high": 0.028}
CAP = {"correction_cap": 1.05}
CASES = {
    "gspo": {"level": "sequence", "epsilon_low": 3e-3, "epsilon_high": 4e-3},
    "gspo-kl": {"level": "sequence", "kl_beta": 0.04},
    "gspo-sequence-truncate": {"level": "sequence", "correction": "sequence", **CAP},
    "gspo-sequence-mask": {
        "level": "sequence",
        "correction": "sequence",
        "correction_mode": "mask",
        **CAP,
    },
    "gspo-token-truncate-kl": {
        "level": "sequence",
        "correction": "token",
        "kl_beta": 0.04,
        **CAP,
    },
    "grpo": {"level": "token", **CLIPS},
    "grpo-kl": {"level": "token", "kl_beta": 0.04},
    "grpo-token-truncate": {"level": "token", "correction": "token", **CAP},
    "grpo-token-mask": {"level": "token", "correction": "token", "correction_mode": "mask", **CAP},
    "grpo-sequence-truncate-kl": {
        "level": "token",
        "correction": "sequence",
        "kl_beta": 0.04,
        **CAP,
    },
    "grpo-kl-bias": {"level": "token", "kl_beta": 0.04, "kl_bias_correction": True},
    "grpo-dual-clip": {"level": "token", "dual_clip": 1.05, **CLIPS},
    "grpo-token-floor": {
        "level": "token",
        "correction": "token",
        "correction_mode": "mask",
        "correction_floor": 0.97,
        **CAP,
    },
    "dapo": {"level": "token", "normalisation": "token", **CLIPS},
    "dapo-kl": {"level": "token", "normalisation": "token", "kl_beta": 0.04},
    "dr_grpo": {"level": "token", "normalisation": "dr_grpo", **CLIPS},
}
OBJECTIVES = {
    name: ObjectiveConfig(**{"kl_beta": 0.0, "correction": "off", **settings})
    for name, settings in CASES.items()
}


def lab_samples() -> list:
    """Samples of one policy of a two-model team, advantages relative to the whole trees."""
    rows = rollouts.samples("lab", "lark", CreditConfig(shaping_gamma=0.5))
    random.Random(0).shuffle(rows)
    return rows[:SAMPLES]


@pytest.fixture(scope="module")
def reference_steps(three, tmp_path_factory):
    cases = [
        {
            "name": name,
            "args": {
                **trl_args(objective),
                "num_generations": 2,
                "per_device_train_batch_size": 6,
                "gradient_accumulation_steps": SAMPLES // 6,
                # reuse of a generation is what makes TRL compute old log-probs
                "num_iterations": 1 if objective.correction != "off" else 2,
                "max_steps": 1,
            },
            "correction": objective.correction != "off",
        }
        for name, objective in OBJECTIVES.items()
    ]
    return run_trl(
        tmp_path_factory.mktemp("trl"),
        three["new"],
        lab_samples(),
        cases,
        advantages=True,
        old=three["old"],
        reference=three["reference"],
    )


def load(path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradient_with_three_different_weights(name, three, reference_steps):
    """π_θ, π_old, π_rollout and π_ref all differ; clipping and caps bite."""
    objective, rows = OBJECTIVES[name], lab_samples()
    new, old, reference = (load(three[k]) for k in ("new", "old", "reference"))
    lengths = [len(s.token_ids) for s in rows]
    assert len(set(lengths)) > 3
    total, seen = 0.0, ObjectiveSums()
    for group in batches(rows, 400, new):
        batch = [rows[i] for i in group]
        with torch.no_grad():
            earlier = output_logprobs(old, batch)
            base = output_logprobs(reference, batch)
        loss, sums = policy_loss(
            output_logprobs(new, batch),
            earlier,
            rollout_logprobs(batch),
            base,
            torch.tensor([s.advantage for s in batch]),
            output_mask(batch),
            Scale.of(lengths, MAX_LENGTH),
            objective,
        )
        loss.backward()
        total += float(loss.detach())
        seen.add(sums)
    (step,) = reference_steps[name]["steps"]
    assert sorted(step["samples"]) == list(range(SAMPLES))
    print(
        f"\n{name}: loss {total:.8f} and {step['loss']:.8f}, clipped {seen.clipped:.0f}, "
        f"weights bounded {seen.corrected:.0f}"
    )
    assert total == pytest.approx(step["loss"], abs=1e-5)
    assert abs(total) > 1e-3
    if "epsilon_low" in CASES[name]:
        assert seen.clipped > 0
    if objective.correction != "off":
        assert seen.corrected > 0
    if objective.dual_clip:
        assert seen.dual_clipped > 0
    compare(name, {k: p.grad for k, p in new.named_parameters()}, step["gradient"])


# ------------------------------------------------------------------ whole updates


def grouped(rows, size: int):
    """As TRL groups: `size` neighbours each, advantages from their own rewards, none without."""
    kept = []
    for start in range(0, len(rows) - size + 1, size):
        group = rows[start : start + size]
        advantages = group_advantages([s.shaped for s in group])
        if advantages is not None:
            kept += [replace(s, advantage=a) for s, a in zip(group, advantages, strict=True)]
    return kept


def run_ours(learner, updates):
    """Per update: metrics and the gradient of each of its steps, as the optimizer saw it."""
    gradients: list[dict] = []
    learner.optimizer.register_step_pre_hook(
        lambda *_: gradients.append(
            {k: p.grad.clone() for k, p in learner.model.named_parameters()}
        )
    )
    metrics = [learner.update(rows) for rows in updates]
    return metrics, gradients


def as_shuffled(rows, learner: Learner, update: int):
    """The order of `rows` in which the learner's own shuffle deals them out as they are here."""
    count, order = learner.config.minibatches, list(range(len(rows)))
    if count > 1:
        random.Random(f"{learner.seed}/{learner.policy}/{update}").shuffle(order)
    dealt = [order[part::count] for part in range(count)]
    placed = list(rows)
    for position, row in zip([i for part in dealt for i in part], rows, strict=True):
        placed[position] = row
    return placed


def check_updates(name, learner, start, rows, theirs, *, per_update):
    """`per_update` steps of TRL's are one update of ours."""
    steps = theirs["steps"]
    updates = [
        as_shuffled(
            [rows[i] for step in steps[k : k + per_update] for i in step["samples"]],
            learner,
            k // per_update,
        )
        for k in range(0, len(steps), per_update)
    ]
    metrics, gradients = run_ours(learner, updates)
    assert len(gradients) == len(steps)
    for k, m in enumerate(metrics):
        want = sum(s["loss"] for s in steps[k * per_update : (k + 1) * per_update]) / per_update
        print(f"\n{name}, update {k}: loss {m.loss:.8f} and {want:.8f}, ratio {m.ratio_mean:.4f}")
        assert m.loss == pytest.approx(want, abs=1e-5)
    for k, step in enumerate(steps):
        compare(f"{name}, step {k}", gradients[k], step["gradient"])
    ours = {k: v - start[k] for k, v in learner.model.state_dict().items()}
    compare(f"{name}, weights", ours, {k: v - start[k] for k, v in theirs["weights"].items()})
    return metrics


RUNS = {  # objective, optimizer steps a generation
    "gspo-correction": ({"level": "sequence", "correction": "sequence", "kl_beta": 0.0}, 2),
    "grpo-kl": ({"level": "token", "correction": "off", "kl_beta": 0.04}, 2),
    "dapo": ({"level": "token", "normalisation": "token", "correction": "off", "kl_beta": 0}, 1),
}


@pytest.mark.parametrize("name", RUNS)
def test_updates_of_a_learner_equal_those_of_the_trainer(name, tmp_path):
    """Advantages, old log-probs, clipping of gradients, AdamW and schedule are each side's own."""
    settings, per_update = RUNS[name]
    objective = ObjectiveConfig(**settings)
    rows = grouped(rollouts.samples("lab", "lark", CreditConfig(shaping_gamma=0)), 4)[:48]
    assert len(rows) == 48
    config = LearnerConfig(
        lr=3e-4,
        weight_decay=0.1,
        schedule="linear",
        max_grad_norm=0.05,
        minibatches=per_update,
        micro_batch_tokens=400,
    )
    case = {
        "name": name,
        "args": {
            **trl_args(objective),
            "num_generations": 4,
            "per_device_train_batch_size": 6,
            "gradient_accumulation_steps": 2,
            "steps_per_generation": 2 * per_update,
            "max_steps": 4,
            "learning_rate": config.lr,
            "weight_decay": config.weight_decay,
            "lr_scheduler_type": config.schedule,
            "max_grad_norm": config.max_grad_norm,
        },
        "correction": objective.correction != "off",
    }
    source = weights_dir("lark")
    theirs = run_trl(tmp_path, source, rows, [case], advantages=False)[name]
    learner = Learner("lark", load(source), config, objective, total_steps=4)
    start = learner.state_dict()
    metrics = check_updates(name, learner, start, rows, theirs, per_update=per_update)
    if per_update > 1:
        assert metrics[0].ratio_mean != pytest.approx(1, abs=1e-5)
    if objective.kl_beta:
        assert metrics[-1].kl > 0
