"""One measurement of `benchmarks/plan.py`, in a process of its own: calibration, or one run.

    python benchmarks/plan_runs.py '{"kind": "calibrate"}'

Prints one JSON object. CPU seconds are of this process on one thread, the least of a few repeats,
which is what the machine can do while others use it, too; memory is the most ever resident.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from memory import peak_mb, status_bytes
from rollouts import samples as frozen
from trainer import prime
from transformers import AutoModelForCausalLM, LlamaConfig

from mars2.agents.base import Agent
from mars2.agents.hf import load_hf, load_micro
from mars2.agents.sampler import generate_batch
from mars2.agents.scripted import ScriptedPolicy
from mars2.cli.output import Output
from mars2.cli.train import run_training
from mars2.config import LearnerConfig, ObjectiveConfig, RunConfig, load_config
from mars2.evaluation.evaluate import evaluate
from mars2.plan.workload import observe
from mars2.problems import load
from mars2.search.journal import Journal
from mars2.training import forward
from mars2.training.learner import Learner
from mars2.training.packing import Layout, pack, packed_batches
from mars2.training.sample import Sample
from mars2.types import Generation, Usage
from mars2.verifier import Verifier

NEVER = 1 << 30


def least(work: Callable[[], Any], repeats: int) -> float:
    """CPU seconds of the fastest of several calls, after one that is not counted."""
    work()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


# ------------------------------------------------------------------------- calibration


def calibrate() -> dict[str, Any]:
    """What this machine can do, from products, copies and a model that no run is judged on."""
    found: dict[str, Any] = _layer_times()  # first: what is resident then is what libraries take
    found["overhead_gb"] = status_bytes("VmRSS") / 1e9
    for name, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        a, b = torch.randn(512, 768, dtype=kind), torch.randn(768, 2048, dtype=kind)
        seconds = least(lambda a=a, b=b: [torch.mm(a, b) for _ in range(8)], 5) / 8
        found[f"{name}_tflops"] = 2 * 512 * 768 * 2048 / seconds / 1e12
        found[f"{name}_attend_ps"] = 1e12 * _attend_seconds(kind)
    # Matrices that do not fit into a cache, each read for two rows.
    many = [torch.randn(2048, 768) for _ in range(32)]
    rows = torch.randn(2, 768)
    read = least(lambda: [torch.nn.functional.linear(rows, m) for m in many], 5)
    found["read_gbs"] = len(many) * many[0].nbytes / read / 1e9
    found["node_us"] = 1e6 * asyncio.run(_node_seconds())
    # Products by element into new memory, as in a layer: three buffers through memory.
    x, y = torch.randn(1 << 23), torch.randn(1 << 23)
    found["bandwidth_gbs"] = 3 * x.nbytes / least(lambda: x * y, 5) / 1e9
    return found


def _attend_seconds(kind: torch.dtype, answers: int = 24, heads: int = 3, past: int = 160) -> float:
    """Of one token of each answer, two query heads to a key head, by element of a head's keys."""
    query = torch.randn(answers, heads, 2, 48, dtype=kind)
    keys, values = torch.randn(2, answers, heads, past, 48, dtype=kind)
    mask = torch.zeros(answers, 1, 1, past, dtype=kind)
    attend = torch.nn.functional.scaled_dot_product_attention
    seconds = least(lambda: [attend(query, keys, values, attn_mask=mask) for _ in range(10)], 5)
    return seconds / 10 / (answers * heads * past * 48)


async def _node_seconds(problems: int = 40, nodes: int = 12) -> float:
    """Of a node of a tree in this process, where answers cost nothing: prompts, journal, verifier's
    client, strategy. The mean of what many more nodes take, over a few that are not counted."""

    def answer(messages: Any, seed: int) -> Generation:
        kept = f"[x * {seed % 9} for x in a if x > {seed % 5}]"
        text = f"def f(a):  # {seed}\n    b = {kept}\n    return sum(b)\n"
        ids = tuple(range(48))
        return Generation(text, ids, ids, (-0.5,) * len(ids), usage=Usage(48, 48))

    agents = {
        name: Agent(name, ScriptedPolicy(name, answer, prompt_style="micro", has_logprobs=True))
        for name in ("a", "b")
    }
    chosen = load("lab:lists:train", limit=problems)
    config = quickstart(1)
    marks = []
    with tempfile.TemporaryDirectory() as out:
        async with Verifier(config.verifier) as verifier:
            for count in (1, 1 + nodes):
                settings = load_config(
                    base=config.model_dump() | {"eval": {"samples": 1, "nodes": count}}
                )
                journal = Journal.open(Path(out) / f"{count}.jsonl", {})
                start = time.process_time()
                await evaluate(agents, chosen, verifier, settings, journal=journal)
                marks.append(time.process_time() - start)
                journal.close()
    return (marks[1] - marks[0]) / problems / nodes


def _layer_times() -> dict[str, float]:
    """Microseconds of calling models so small that nothing else counts, and their layers."""
    small, large = _Tiny(2), _Tiny(10)
    step, more = small.step(1), large.step(1)
    many = small.step(33)
    one, learn = small.learn(1), large.learn(1)
    nine = small.learn(9)
    layer, trained = (more - step) / 8, (learn - one) / 8
    found = {
        "layer_us": layer,
        "call_us": step - 2 * layer,
        "answer_us": (many - step) / 32 / 2 / _Tiny.HEADS,
        "train_layer_us": trained,
        "train_call_us": one - 2 * trained,
        "row_us": (nine - one) / 8 / 3 / 2,
    }
    return {name: max(0.0, 1e6 * seconds) for name, seconds in found.items()}


class _Tiny:
    """A model of which only the number of layers and heads matters."""

    HEADS = 4

    def __init__(self, layers: int) -> None:
        torch.manual_seed(0)
        config = LlamaConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=layers,
            num_attention_heads=self.HEADS,
            vocab_size=64,
        )
        self.model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()

    def step(self, rows: int) -> float:
        """Seconds of one token for each row, with prompts of unequal lengths."""

        def write(count: int) -> None:
            generate_batch(
                self.model,
                [[1, 2, 3, 4, *[5] * (i % 2)] for i in range(rows)],
                temperature=[1.0] * rows,
                top_p=[1.0] * rows,
                max_tokens=[count] * rows,
                seeds=list(range(rows)),
                eos_ids=set(),
                pad_id=0,
            )

        return (least(lambda: write(49), 4) - least(lambda: write(1), 4)) / 48

    def learn(self, rows: int) -> float:
        """Seconds of a pass forwards and backwards over so many rows with one beginning."""
        made = [_sample(tuple(range(20)), (i, 7, 7)) for i in range(rows)]
        return least(lambda: forward.output_logprobs(self.model, made).sum().backward(), 8)


def _sample(prompt: tuple[int, ...], output: tuple[int, ...]) -> Sample:
    return forward._bare_sample(prompt, output)


# ------------------------------------------------------------------------- learner


def model_of(name: str, dtype: str = "float32") -> Any:
    """A policy's model."""
    load = load_hf if name == "smollm2" else load_micro
    return load(name, name, dtype=dtype).model


def batch_of(name: str, trees: int) -> list[Sample]:
    """A policy's samples of the first informative frozen trees."""
    rows = frozen("smollm2" if name == "smollm2" else "lab", name)
    chosen = sorted({s.tree_id for s in rows})[:trees]
    return [s for s in rows if s.tree_id in chosen]


def learner(spec: dict[str, Any]) -> dict[str, Any]:
    """Updates of one learner on the same samples. The optimizer has its state before the first."""
    rows = batch_of(spec["model"], spec["trees"])
    model = model_of(spec["model"]).requires_grad_(True)
    options = {k: spec[k] for k in ("lora_rank", "precision", "minibatches") if k in spec}
    made = Learner(
        spec["model"],
        model,
        LearnerConfig(
            lr=1e-6,
            micro_batch_tokens=spec["micro_batch_tokens"],
            activation_checkpointing=spec.get("checkpointing", "auto"),
            **options,
        ),
        ObjectiveConfig(kl_beta=spec.get("kl_beta", 0.0)),
        total_steps=100,
    )
    forward.abilities(made.model)
    prime(made.optimizer)
    seconds = []
    for _ in range(spec["repeats"]):
        start, wall = time.process_time(), time.perf_counter()
        made.update(rows)
        seconds.append(time.process_time() - start)
    return {
        "seconds": min(seconds),
        "wall": time.perf_counter() - wall,
        "peak_mb": peak_mb(),
    }


def streams(name: str, trees: int, micro_batch_tokens: int) -> list[dict[str, int]]:
    """The micro-batches of those updates, as `mars2.plan.memory.Stream` describes them."""
    rows = batch_of(name, trees)
    return [
        described(pack([rows[i] for i in group]), [rows[i] for i in group])
        for group in packed_batches(rows, micro_batch_tokens)
    ]


def described(layout: Layout, rows: Sequence[Sample]) -> dict[str, int]:
    """A stream in numbers."""
    joined = pairs = mask = 0
    seen = set()
    for row in layout.rows:
        before = sum(end - start for start, end in row.prefix)
        own = row.end - row.start
        pairs += own * before + own * own // 2
        if before:
            joined += before + own
            if (own, before) not in seen:
                seen.add((own, before))
                mask += own * (before + own)
    return {
        "tokens": len(layout.tokens),
        "outputs": sum(len(s.token_ids) for s in rows),
        "rows": len(layout.rows),
        "joined": joined,
        "pairs": pairs,
        "mask": mask,
    }


# ------------------------------------------------------------------------- policy


def policy(spec: dict[str, Any]) -> dict[str, Any]:
    """One batch of answers of a given length to real prompts."""
    model = model_of(spec["model"], spec["dtype"])
    prompts = prompts_of(spec["model"], spec["rows"])

    def answer() -> None:
        generate_batch(
            model,
            prompts,
            temperature=[1.0] * len(prompts),
            top_p=[1.0] * len(prompts),
            max_tokens=[spec["output"]] * len(prompts),
            seeds=list(range(len(prompts))),
            eos_ids=set(),
            pad_id=0,
        )

    found = []
    for _ in range(spec["repeats"]):
        start = time.process_time()
        answer()
        found.append(time.process_time() - start)
    return {"seconds": min(found), "peak_mb": peak_mb()}


def prompts_of(name: str, rows: int) -> list[list[int]]:
    """The first prompts of the frozen trees, equal ones as often as they were used."""
    given = [list(s.prompt_ids) for s in batch_of(name, NEVER)]
    return [given[i % len(given)] for i in range(rows)]


# ------------------------------------------------------------------------- training


class _Clocked(Output):
    """Notes this process's CPU seconds whenever a step has ended."""

    def __init__(self) -> None:
        super().__init__(as_json=True)
        self.seconds: list[float] = []

    def log_table(self, table: Any, line: str) -> None:
        self.seconds.append(time.process_time())


def quickstart(steps: int) -> RunConfig:
    """`mars2 quickstart` without its evaluations."""
    text = resources.files("mars2.configs").joinpath("quickstart.toml").read_text("utf-8")
    data = tomllib.loads(text)
    del data["problems"]["heldout"]
    data["train"] |= {"steps": steps, "time_budget_s": None, "checkpoint_every": NEVER}
    return load_config(base=data)


def training(spec: dict[str, Any]) -> dict[str, Any]:
    """CPU seconds of a step of a whole run, after the first one, and what its trees were like.

    The verifier's processes are not counted, as they are not in the prediction.
    """
    output = _Clocked()
    with tempfile.TemporaryDirectory() as out:
        run = Path(out) / "run"
        run_training(quickstart(spec["steps"]), run, False, output)
        workload = observe([run]).workload.model_dump()
    marks = output.seconds
    seconds = (marks[-1] - marks[0]) / (len(marks) - 1)
    return {"seconds": seconds, "peak_mb": peak_mb(), "workload": workload}


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    kinds: dict[str, Callable[[dict[str, Any]], Any]] = {
        "calibrate": lambda _: calibrate(),
        "learner": learner,
        "policy": policy,
        "training": training,
    }
    sys.stdout.write(json.dumps(kinds[wanted["kind"]](wanted)) + "\n")
