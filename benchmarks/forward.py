"""What each way of computing log-probabilities and their gradient costs a learner.

Prints, for shapes of groups of siblings and for frozen real trees, CPU seconds and peak memory of
one forward and backward pass over all samples in micro-batches of equal budget:

    plain      batches padded to their longest sample
    packed     one stream without padding
    shared     the same, beginnings that samples share computed once
    + light    matrix products and attention kept, the rest of each layer computed again
    + again    each layer computed again (activation checkpointing)
    + bf16     with bfloat16 autocast

Every way runs in a process of its own. Ratios compare with `plain` of the same table; the seconds
are of one thread (processor time, least of `--repeats`), the memory is what the pass adds to
weights and gradients. The shapes run on the first `--layers` layers of SmolLM2-135M with random
weights, since what a layer costs does not depend on them; the trees on the real models.

    python benchmarks/forward.py [shapes] [lab] [smollm2] [--layers 6] [--repeats 2] [--trees 4]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import rollouts
import torch
from memory import status_bytes
from transformers import AutoModelForCausalLM

from mars2.agents.hf import load_hf, load_micro
from mars2.training import forward
from mars2.training.activation import checkpoint_layers
from mars2.training.forward import Abilities, abilities, micro_batches
from mars2.training.packing import MIN_SHARED, packed_batches
from mars2.training.sample import Sample

WAYS = (
    "plain",
    "packed",
    "shared",
    "shared + light",
    "shared + again",
    "shared + bf16",
    "shared + again + bf16",
)
SHAPES = [(256, 4, 64), (256, 4, 256), (384, 8, 64), (384, 8, 128), (384, 8, 256)]


def siblings(prompt: int, count: int, output: int, vocabulary: int) -> list[Sample]:
    """`count` samples of unequal lengths (half to all of `output`) with one prompt."""
    rng = random.Random(0)
    ids = tuple(rng.randrange(vocabulary) for _ in range(prompt))
    return [
        Sample(
            agent="a",
            policy="p",
            prompt_ids=ids,
            token_ids=(made := tuple(rng.randrange(vocabulary) for _ in range(length))),
            logprobs=(0.0,) * len(made),
            temperature=1.0,
            reward=0.0,
            shaped=0.0,
            advantage=1.0,
            tree_id="t",
            node_id=i + 1,
            policy_version=0,
            truncated=False,
        )
        for i, length in enumerate(rng.randint(output // 2, output) for _ in range(count))
    ]


def tree_samples(source: str, policy: str, trees: int) -> list[Sample]:
    """A policy's samples of the first informative frozen trees."""
    rows = rollouts.samples(source, policy)
    chosen = sorted({s.tree_id for s in rows})[:trees]
    return [s for s in rows if s.tree_id in chosen]


def model_of(name: str, layers: int) -> Any:
    """ "smollm2", a micro model, or "shape": SmolLM2's shape with few layers."""
    if name == "shape":
        config = load_hf(name, "smollm2").model.config
        config.num_hidden_layers = layers
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    loaded = load_hf(name, name) if name == "smollm2" else load_micro(name, name)
    return loaded.model.requires_grad_(True)


def measure(way: str, name: str, rows: list[Sample], budget: int, layers: int, repeats: int) -> Any:
    """(tokens computed, CPU seconds, peak bytes) of a pass over all rows, in this process."""
    torch.set_num_threads(1)
    model = model_of(name, layers)
    can = abilities(model)
    assert can.packs
    assert can.splits
    if way == "plain":
        model.set_attn_implementation("sdpa")
        can = Abilities(packs=False, splits=True)
    if "again" in way or "light" in way:
        checkpoint_layers(model, "light" if "light" in way else "all")
    shared = MIN_SHARED if "shared" in way else 1 << 30
    groups = (
        packed_batches(rows, budget, shared) if can.packs else list(micro_batches(rows, budget))
    )
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    seconds = []
    before = status_bytes("VmRSS")
    _forget_peak()
    for _ in range(repeats):
        start = time.process_time()
        for group in groups:
            part = [rows[i] for i in group]
            with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in way):
                found, _ = forward._outputs(model, part, can, entropy=False, min_shared=shared)
            found.sum().backward()
        seconds.append(time.process_time() - start)
    return tokens(rows, groups, can.packs, shared), min(seconds), status_bytes("VmHWM") - before


def tokens(rows: Sequence[Sample], groups: Sequence[Sequence[int]], packs: bool, least: int) -> int:
    """How many tokens went through the model."""
    if packs:
        return sum(len(forward.pack([rows[i] for i in g], least).tokens) for g in groups)
    return sum(
        len(g) * max(len(rows[i].prompt_ids) + len(rows[i].token_ids) for i in g) for g in groups
    )


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _child(pipe: Any, *arguments: Any) -> None:
    pipe.send(measure(*arguments))


def table(title: str, ways: Sequence[str], arguments: tuple[Any, ...]) -> None:
    """One row a way."""
    print(f"\n{title}\n\n| way | tokens | CPU s | plain / this | peak MB | of plain |", flush=True)
    print("|---|---|---|---|---|---|")
    plain: tuple[int, float, int] | None = None
    for way in ways:
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_child, args=(there, way, *arguments)
        )
        process.start()
        there.close()
        count, seconds, peak = here.recv()
        process.join()
        plain = plain or (count, seconds, peak)
        print(
            f"| {way} | {count} | {seconds:.2f} | {plain[1] / seconds:.2f} | {peak / 1e6:.0f} "
            f"| {peak / plain[2]:.2f} |",
            flush=True,
        )


def cases(options: argparse.Namespace) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Titles, and what `measure` is given besides the way."""
    rest = (options.layers, options.repeats)
    if "shapes" in options.what:
        for prompt, count, output in SHAPES:
            rows = siblings(prompt, count, output, 49152)
            title = (
                f"SmolLM2 shape, {options.layers} layers: {count} siblings, prompt {prompt}, "
                f"outputs {output // 2} to {output}"
            )
            yield title, ("shape", rows, 1 << 30, *rest)
    if "lab" in options.what:
        for name in ("lark", "loom"):
            rows = tree_samples("lab", name, 1 << 30)
            yield f"lab trees, {name}: {_about(rows)}", (name, rows, options.budget, *rest)
    if "smollm2" in options.what:
        rows = tree_samples("smollm2", "smollm2", options.trees)
        title = f"SmolLM2 trees: {_about(rows)}, {options.budget} tokens a micro-batch"
        yield title, ("smollm2", rows, options.budget, *rest)


def _about(rows: Sequence[Sample]) -> str:
    prompts = [len(s.prompt_ids) for s in rows]
    outputs = [len(s.token_ids) for s in rows]
    return (
        f"{len(rows)} samples of {len({s.tree_id for s in rows})} trees, "
        f"prompts of {min(prompts)} to {max(prompts)} tokens "
        f"({len({s.prompt_ids for s in rows})} different), "
        f"outputs of {min(outputs)} to {max(outputs)}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", nargs="*", default=["shapes", "lab", "smollm2"])
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--trees", type=int, default=4)
    parser.add_argument("--budget", type=int, default=2048, help="tokens of a micro-batch")
    parser.add_argument("--ways", default=",".join(WAYS))
    chosen = parser.parse_args()
    for title, arguments in cases(chosen):
        table(title, chosen.ways.split(","), arguments)
    print(json.dumps({"torch": torch.__version__, "repeats": chosen.repeats}))
