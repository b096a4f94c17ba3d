"""Generation: our `hf` back end, plain transformers `generate`, and vLLM, on the same prompts.

Each writes answers to the first-attempt prompts of builtin problems, at 1, 16 and 64
requests under way, in interleaved rounds of one run; medians of the rounds are printed. A token a
CPU second counts every process of a back end and does not depend on what else the machine does; a
token a second does. Then each back end that a search can use grows trees, and the share of time in
which it had at least one request is printed.

    MARS2_VLLM_PYTHON=.venv-vllm/bin/python python benchmarks/rollout.py [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

from mars2.agents.base import Agent, Policy, Role
from mars2.agents.hf import load_hf
from mars2.agents.local import LocalPolicy
from mars2.agents.vllm.load import load_vllm
from mars2.agents.vllm.policy import VllmPolicy
from mars2.config import LearnerConfig, ObjectiveConfig, SearchConfig, VerifierConfig, VllmConfig
from mars2.errors import TrainingError
from mars2.inference.rollout import Rollout
from mars2.problems import load
from mars2.prompts import build_prompt
from mars2.training.learner import Learner
from mars2.training.publication_engine import agreement_line, examine
from mars2.types import Generation, Message, Sampling
from mars2.verifier import make_verifier

CONCURRENCY = (1, 16, 64)


def cpu_seconds(policy: Any) -> float:
    """Of this process, or of the processes that serve a vLLM policy."""
    if not isinstance(policy, VllmPolicy):
        return time.process_time()
    assert policy._server is not None
    assert policy._server._process is not None
    watch = psutil.Process(policy._server._process.pid)
    times = [p.cpu_times() for p in [watch, *watch.children(recursive=True)]]
    return sum(t.user + t.system for t in times)


async def ours(policy: Policy, prompts: Sequence[Sequence[Message]], sampling: Sampling) -> int:
    """Tokens written by a policy, all prompts at once."""
    asked = [policy.generate(p, sampling, seed=i) for i, p in enumerate(prompts)]
    answers = await asyncio.gather(*asked)
    return sum(len(a.token_ids or ()) for a in answers)


async def plain(
    policy: LocalPolicy, prompts: Sequence[Sequence[Message]], sampling: Sampling
) -> int:
    """Tokens written by `generate` on one padded batch, counted up to the end of each text."""

    def run() -> int:
        rows = [policy.encode(p) for p in prompts]
        longest = max(map(len, rows))
        pads = [longest - len(r) for r in rows]
        ids = torch.tensor([[policy.pad_id] * n + r for n, r in zip(pads, rows, strict=True)])
        mask = torch.tensor([[0] * n + [1] * len(r) for n, r in zip(pads, rows, strict=True)])
        with torch.no_grad():
            out = policy.model.generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=True,
                temperature=sampling.temperature,
                top_k=0,
                max_new_tokens=sampling.max_tokens,
                eos_token_id=sorted(policy.eos_ids),
                pad_token_id=policy.pad_id,
            )
        written = 0
        for row in out[:, longest:].tolist():
            ends = [i for i, token in enumerate(row) if token in policy.eos_ids]
            written += ends[0] + 1 if ends else len(row)
        return written

    return await asyncio.to_thread(run)


class Watched(Policy):
    """A policy, and for how long it had a request."""

    has_logprobs = True

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.name = policy.name
        self.prompt_style = policy.prompt_style
        self.times: list[tuple[float, float]] = []  # from a first request to a last answer
        self.tokens = 0
        self._inside = 0
        self._since = 0.0

    async def generate(
        self, messages: Sequence[Message], sampling: Sampling, *, seed: int
    ) -> Generation:
        """The policy's answer."""
        if not self._inside:
            self._since = time.monotonic()
        self._inside += 1
        try:
            answer = await self.policy.generate(messages, sampling, seed=seed)
        finally:
            self._inside -= 1
            if not self._inside:
                self.times.append((self._since, time.monotonic()))
        self.tokens += len(answer.token_ids or ())
        return answer


async def search(policy: Policy, sampling: Sampling, trees: int) -> dict[str, float]:
    """Grow trees with this policy alone; the share of time that it was busy, and its idle seconds:
    before the first request, between requests, and after the last answer."""
    watched = Watched(policy)
    agents = {"coder": Agent("coder", watched, Role(sampling=sampling))}
    config = SearchConfig(nodes=6, in_flight=4)
    async with make_verifier(VerifierConfig()) as verifier:
        rollout = Rollout(agents, verifier, config, seed=1)
        jobs = [(f"{i}", p) for i, p in enumerate(load("builtin", limit=trees))]
        started = time.monotonic()
        await rollout.forest(jobs)
        ended = time.monotonic()
    times = watched.times
    return {
        "busy": sum(until - since for since, until in times) / (ended - started),
        "before": times[0][0] - started,
        "between": sum(b[0] - a[1] for a, b in itertools.pairwise(times)),
        "after": ended - times[-1][1],
        "tokens": watched.tokens,
        "seconds": ended - started,
    }


async def main(options: argparse.Namespace) -> dict[str, Any]:
    problems = load("builtin", limit=max(CONCURRENCY))
    prompts = [build_prompt(p, style="chat") for p in problems]
    sampling = Sampling(temperature=0.7, max_tokens=options.tokens)
    settings = VllmConfig(kv_cache_mb=1024, max_model_len=2048, args=options.vllm_arg)
    local = load_hf("hf", options.model, dtype=options.dtype, max_batch=options.max_batch)
    sides: dict[str, tuple[Any, Any]] = {"generate": (local, plain), "hf": (local, ours)}
    served = None
    if not options.no_vllm:
        served = load_vllm("vllm", options.model, None, settings=settings, dtype=options.dtype)
        sides["vllm"] = (served, ours)
    report: dict[str, Any] = {"model": options.model, "dtype": options.dtype, "rows": []}
    try:
        for policy, write in sides.values():  # whatever happens once only
            await write(policy, prompts[:2], sampling)
        seen: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for number in range(options.rounds):
            for count in CONCURRENCY:
                for name, (policy, write) in sides.items():
                    start, cpu = time.monotonic(), cpu_seconds(policy)
                    tokens = await write(policy, prompts[:count], sampling)
                    spent, used = time.monotonic() - start, cpu_seconds(policy) - cpu
                    seen.setdefault((name, count), []).append((tokens / spent, tokens / used))
                    print(f"round {number + 1} {name} {count}: {tokens} tokens, {spent:.1f} s, "
                          f"{used:.1f} CPU s", flush=True)  # fmt: skip
        for (name, count), rates in seen.items():
            wall, cpu = (statistics.median(r[i] for r in rates) for i in (0, 1))
            report["rows"].append(
                {"side": name, "requests": count, "per_s": wall, "per_cpu_s": cpu}
            )
        for name in list(sides)[1:]:
            longer = Sampling(temperature=0.7, max_tokens=options.search_tokens)
            report[f"search {name}"] = await search(sides[name][0], longer, options.trees)
        if served:
            report["agreement"] = agreement_of(served)
    finally:
        await asyncio.gather(*(policy.aclose() for policy in (local, served) if policy))
    return report


def agreement_of(served: VllmPolicy) -> str:
    """How far the engine's log-probs are from those of a float32 model of the same weights."""
    learner = Learner(
        "vllm", served.clone_model(), LearnerConfig(), ObjectiveConfig(), total_steps=1
    )
    try:
        found = examine(learner, served)
    except TrainingError as error:
        return str(error)
    assert found is not None
    return agreement_line(found)


def show(report: dict[str, Any]) -> None:
    """Tables in Markdown."""
    rows = {(r["side"], r["requests"]): r for r in report["rows"]}
    names = list(dict.fromkeys(r["side"] for r in report["rows"]))
    print("\n| requests | " + " | ".join(f"{c} ({u})" for u in ("tokens/s", "tokens/CPU s")
          for c in names) + " |\n" + "| --- " * (1 + 2 * len(names)) + "|")  # fmt: skip
    for count in CONCURRENCY if rows else ():
        cells = [
            f"{rows[side, count][unit]:.1f}" for unit in ("per_s", "per_cpu_s") for side in names
        ]
        print(f"| {count} | " + " | ".join(cells) + " |")
    heads = ("busy", "tokens", "seconds", "idle before (s)", "between (s)", "after (s)")
    print("\n| search on | " + " | ".join(heads) + " |\n" + "| --- " * 7 + "|")
    for name in ("hf", "vllm"):
        if found := report.get(f"search {name}"):
            idle = " | ".join(f"{found[k]:.2f}" for k in ("before", "between", "after"))
            print(f"| {name} | {found['busy']:.1%} | {found['tokens']} | {found['seconds']:.1f} | "
                  f"{idle} |")  # fmt: skip
    print(f"\n{report['agreement']}" if "agreement" in report else "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--rounds", type=int, default=3, help="0: the searches alone")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--max-batch", type=int, default=64, help="of hf")
    parser.add_argument("--search-tokens", type=int, default=96)
    parser.add_argument("--trees", type=int, default=8)
    parser.add_argument("--no-vllm", action="store_true", help="what needs no vLLM alone")
    parser.add_argument("--vllm-arg", action="append", default=[])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    made = asyncio.run(main(given))
    show(made)
    if given.json:
        given.json.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
