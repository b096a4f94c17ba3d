"""What an update costs: this trainer against TRL's GRPOTrainer on the same frozen rollouts.

One optimizer step (forward, backward, AdamW) on the samples of a few real trees, float32, the
same model, ids, advantages and objective (GSPO, β = 0) on both sides; generation is not counted.
Every measurement is a process of its own, so that its peak memory is its own, on one thread; its
optimizer state exists before the step, as it does in every step of a run but the first. Rounds
take the sides in turn, and medians are compared. "Trained tokens" are output tokens, of which all
sides have the same.

TRL is given several batch sizes, and its own activation checkpointing with the largest of them.
Ratios are to the fastest of these and to the one with the least memory, by the first round; later
rounds measure these two only. Ours comes as it is by default and in steps from plain to whole, so
that it shows what each optimisation brings; its micro-batches are of LearnerConfig's size.

    pip install -c constraints.txt trl     # or MARS2_TRL_PYTHON=…, see docs/trl.md
    python benchmarks/trainer.py lab [--rounds 3] [--json]
    python benchmarks/trainer.py smollm2 --trees 2 --rounds 3
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from memory import peak_mb
from rollouts import samples as frozen
from transformers import AutoModelForCausalLM

from mars2.agents.hf import load_hf
from mars2.config import LearnerConfig, ObjectiveConfig
from mars2.lab.specs import weights_dir
from mars2.training import forward
from mars2.training.learner import Learner
from mars2.training.packing import pack, packed_batches
from mars2.training.sample import Sample

POLICIES = {"lab": "lark", "smollm2": "smollm2"}
# From plain PyTorch to the default and beyond; each of the first five adds to the one before.
VARIANTS = {
    "plain": "padded batches sorted by length, logits of all positions",
    "+ head": "the output layer only where an output token is predicted, in chunks",
    "+ packing": "streams without padding",
    "+ sharing": "shared beginnings computed once",
    "ours": "the default: layers beyond the room for them are computed again",
    "light": "activation_checkpointing = light",
    "checkpointed": "activation_checkpointing = true",
}
CHECKPOINTING = {"ours": "auto", "light": "light", "checkpointed": True}
TRL_BATCHES = (1, 2, 4, 8)
NEVER = 1 << 30


def batch(source: str, trees: int | None) -> list[Sample]:
    """One policy's samples of the first informative trees, as many as TRL can split."""
    rows = frozen(source, POLICIES[source])
    first = sorted({s.tree_id for s in rows})[:trees]
    rows = [s for s in rows if s.tree_id in first]
    return rows[: len(rows) // max(TRL_BATCHES) * max(TRL_BATCHES)]


@functools.cache
def model_directory(source: str) -> str:
    """Weights and tokenizer of the policy that wrote the rollouts."""
    return str(weights_dir("lark")) if source == "lab" else load_hf("", source).model.name_or_path


def shapes(rows: Sequence[Sample], micro_batch_tokens: int) -> dict[str, Any]:
    """Lengths, and how many tokens each way of computing them takes."""
    prompts, outputs = [len(s.prompt_ids) for s in rows], [len(s.token_ids) for s in rows]
    siblings = Counter((s.agent, s.prompt_ids) for s in rows)
    packed = packed_batches(rows, micro_batch_tokens)
    return {
        "trees": len({s.tree_id for s in rows}),
        "samples": len(rows),
        "prompts": len(siblings),
        "siblings": dict(sorted(Counter(siblings.values()).items())),
        "prompt tokens": _spread(prompts),
        "output tokens": _spread(outputs),
        "trained tokens": sum(outputs),
        "tokens": sum(prompts) + sum(outputs),
        "tokens padded to the longest": len(rows) * (max(prompts) + max(outputs)),
        "tokens of our streams": sum(
            len(pack([rows[i] for i in group]).tokens) for group in packed
        ),
    }


def _spread(values: Sequence[int]) -> str:
    return f"{min(values)} / {statistics.median(values):g} / {max(values)}"


# ----------------------------------------------------------------------------- our side


def switch(variant: str, model: torch.nn.Module) -> None:
    """Take back what comes after `variant` in VARIANTS."""
    if variant in ("plain", "+ head"):
        forward._known[model] = forward.Abilities(packs=False, splits=variant == "+ head")
    if variant == "+ packing":
        forward._outputs.__kwdefaults__["min_shared"] = NEVER
        forward.packed_batches.__defaults__ = (NEVER,)


def our_side(spec: dict[str, Any]) -> dict[str, Any]:
    """One update, measured in this process."""
    rows = batch(spec["source"], spec["trees"])
    model = AutoModelForCausalLM.from_pretrained(spec["model"], dtype=torch.float32)
    switch(spec["variant"], model)
    learner = Learner(
        POLICIES[spec["source"]],
        model,
        LearnerConfig(
            lr=1e-6,
            max_grad_norm=NEVER,
            micro_batch_tokens=spec["micro_batch_tokens"],
            activation_checkpointing=CHECKPOINTING.get(spec["variant"], False),
        ),
        ObjectiveConfig(kl_beta=0.0, correction="off"),
        total_steps=1,
    )
    forward.abilities(model)
    prime(learner.optimizer)
    cpu, wall = time.process_time(), time.perf_counter()
    metrics = learner.update(rows)
    return {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "loss": metrics.loss,
        "grad_norm": metrics.grad_norm,
        "peak_mb": peak_mb(),
    }


def prime(optimizer: torch.optim.Optimizer) -> None:
    """Make the optimizer's state: with zero gradients no weight changes."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = torch.zeros_like(p)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


# ----------------------------------------------------------------------------- both sides


def measure_ours(options: argparse.Namespace, variant: str) -> dict[str, Any]:
    """A process of ours."""
    spec = {
        "source": options.source,
        "trees": options.trees,
        "variant": variant,
        "model": model_directory(options.source),
        "micro_batch_tokens": options.micro_batch_tokens,
    }
    return _last_line([sys.executable, __file__, options.source, "--side", json.dumps(spec)])


def measure_trl(
    options: argparse.Namespace, rows: Sequence[Sample], size: int, again: bool
) -> dict[str, Any]:
    """A process of TRL's, `size` sequences a micro-batch, with activation checkpointing or not."""
    spec = {
        "model": model_directory(options.source),
        "timed": True,
        "rollouts": [
            {
                "prompt_ids": s.prompt_ids,
                "token_ids": s.token_ids,
                "logprobs": s.logprobs,
                "reward": s.shaped,
                "advantage": s.advantage,
            }
            for s in rows
        ],
        "cases": [
            {
                "name": "gspo",
                "args": {
                    "importance_sampling_level": "sequence",
                    "loss_type": "grpo",
                    "beta": 0.0,
                    "num_generations": max(TRL_BATCHES),
                    "per_device_train_batch_size": size,
                    "gradient_accumulation_steps": len(rows) // size,
                    "gradient_checkpointing": again,
                    "max_completion_length": max(len(s.token_ids) for s in rows),
                    "learning_rate": 1e-6,
                    "max_steps": 1,
                },
            }
        ],
    }
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "spec.json"
        path.write_text(json.dumps(spec))
        python = os.environ.get("MARS2_TRL_PYTHON", sys.executable)
        return _last_line([python, str(Path(__file__).with_name("trl_side.py")), str(path)])


def _last_line(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[1]} failed:\n{done.stderr[-3000:]}")
    return json.loads(next(x for x in reversed(done.stdout.splitlines()) if x.startswith('{"cpu"')))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All rounds, the sides in turn."""
    rows = batch(options.source, options.trees)
    sizes = [n for n in options.trl_batches if len(rows) % n == 0]
    trl = {f"TRL, batch {n}": (n, False) for n in sizes}
    trl |= {f"TRL, batch {n}, checkpointed": (n, True) for n in options.trl_checkpointed}
    found: dict[str, list[dict[str, Any]]] = {}
    for turn in range(options.rounds):
        for name, how in trl.items():
            _add(found, name, measure_trl(options, rows, *how))
        if turn == 0:
            best = {k: min(trl, key=lambda n: found[n][0][k]) for k in ("cpu", "peak_mb")}
            trl = {name: how for name, how in trl.items() if name in best.values()}
        for variant in options.variants if turn == 0 else options.later:
            _add(found, variant, measure_ours(options, variant))
    losses = [m["loss"] for of in found.values() for m in of]
    if max(losses) - min(losses) > 1e-4:
        sys.exit(f"the sides do not compute the same loss: {losses}")
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, torch {torch.__version__}, 1 thread",
        "shapes": shapes(rows, options.micro_batch_tokens),
        "fastest": best["cpu"],
        "leanest": best["peak_mb"],
        "rounds": found,
    }


def _add(found: dict[str, list[dict[str, Any]]], name: str, row: dict[str, Any]) -> None:
    found.setdefault(name, []).append(row)
    print(f"{name}: {row['cpu']:.1f} CPU s, {row['peak_mb']:.0f} MB", file=sys.stderr)


def table(result: dict[str, Any]) -> str:
    """Medians with least and most, and ratios to the fastest and the leanest of TRL's."""
    tokens = result["shapes"]["trained tokens"]
    mid = {
        name: {k: statistics.median(m[k] for m in of) for k in ("cpu", "peak_mb")}
        for name, of in result["rounds"].items()
    }
    fast, lean = mid[result["fastest"]], mid[result["leanest"]]
    lines = [f"{key}: {value}" for key, value in result["shapes"].items()]
    lines += [
        "",
        f"fast: {result['fastest']}; lean: {result['leanest']}",
        "",
        "| | rounds | CPU s | trained tokens / CPU s | x fast | x lean | peak MB | x fast | x lean "
        "| |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, m in mid.items():
        cpu = [x["cpu"] for x in result["rounds"][name]]
        spread = f" ({min(cpu):.3g} to {max(cpu):.3g})" if len(cpu) > 1 else ""
        lines.append(
            f"| {name} | {len(cpu)} | {m['cpu']:.3g}{spread} | {tokens / m['cpu']:.1f} | "
            f"{fast['cpu'] / m['cpu']:.2f} | {lean['cpu'] / m['cpu']:.2f} | {m['peak_mb']:.0f} | "
            f"{m['peak_mb'] / fast['peak_mb']:.2f} | {m['peak_mb'] / lean['peak_mb']:.2f} | "
            f"{VARIANTS.get(name, '')} |"
        )
    return "\n".join([result["machine"], *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("source", choices=POLICIES)
    parser.add_argument("--trees", type=int, help="the first informative trees [all]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--micro-batch-tokens",
        type=int,
        default=LearnerConfig().micro_batch_tokens,
        help="of ours [%(default)s]",
    )
    parser.add_argument("--trl-batches", type=int, nargs="+", default=list(TRL_BATCHES))
    parser.add_argument(
        "--trl-checkpointed", type=int, nargs="*", default=[1, 8], help="batch sizes [1 8]"
    )
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument(
        "--later", nargs="+", choices=VARIANTS, help="variants of later rounds [all]"
    )
    parser.add_argument("--shapes", action="store_true", help="print the shapes only")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.later = options.later or options.variants
    if options.side:
        print(json.dumps(our_side(json.loads(options.side))))
        return
    if options.shapes:
        print(json.dumps(shapes(batch(options.source, options.trees), options.micro_batch_tokens)))
        return
    result = run(options)
    print(json.dumps(result) if options.json else table(result))


if __name__ == "__main__":
    main()
