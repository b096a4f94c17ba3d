"""A whole training run in miniature: real tiny models, searches and journals, no sandbox.

The judge rewards outputs by their characters, so that a run takes seconds. Run as a program it
trains into a directory and, if told to, kills itself at a given node.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from training_kit import tiny_llama, tiny_neox
from transformers import PreTrainedTokenizerFast

from mars2.agents.base import Agent, Role
from mars2.agents.local import LocalPolicy
from mars2.config import RunConfig
from mars2.search import make_strategy
from mars2.search.forest import run_tree
from mars2.search.runner import RunSettings, TreeJob, TreeResult
from mars2.search.seeds import derive
from mars2.training.trainer import train
from mars2.types import Message, Node, Problem, Sampling, Status, StdinTest, Verdict

CHARACTERS = "abcdefghijklmnopqrst"


def tokenizer(characters: str) -> PreTrainedTokenizerFast:
    vocab = {"<end>": 0, "<unk>": 1} | {c: i + 2 for i, c in enumerate(characters)}
    raw = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    raw.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>", unk_token="<unk>")


def policy(name: str, model, characters: str = CHARACTERS, kind=LocalPolicy) -> LocalPolicy:
    """One request at a time, so that equal weights give equal bits."""
    return kind(name, model, tokenizer(characters), prompt_style="micro", max_batch=1, linger_s=0)


def default_judge(text: str) -> float:
    return float(text.count("a") >= 1)


class TinyForest:
    """Trees one after the other; refinement prompts carry the parent's text, never its ids."""

    def __init__(self, config, agents, journal, judge=default_judge) -> None:
        self.config, self.agents, self.journal, self.judge = config, agents, journal, judge
        self.expansions = 0
        self.reached = True
        self._one_at_a_time = asyncio.Lock()

    async def tree(self, tree_id: str, problem: Problem, on_node=None) -> TreeResult:
        async with self._one_at_a_time:
            return await self._tree(tree_id, problem, on_node)

    async def _tree(self, tree_id: str, problem: Problem, on_node) -> TreeResult:
        async def expand(expansion, parent: Node | None, references) -> Node:
            self.expansions += 1
            text = problem.statement + (parent.generation.text if parent else "")
            seed = derive(self.config.seed, tree_id, expansion.node_id)
            prompt = (Message("user", text),)
            generation = await self.agents[expansion.agent].generate(prompt, seed=seed)
            reward = self.judge(generation.text)
            status = Status.PASSED if reward == 1 else Status.WRONG_ANSWER
            return Node(
                tree_id=tree_id,
                node_id=expansion.node_id,
                parent_id=expansion.parent_id,
                depth=expansion.depth,
                agent=expansion.agent,
                action=expansion.action,
                prompt=prompt,
                generation=generation,
                code=generation.text,
                verdict=Verdict(status=status, passed=int(reward), total=1),
                reward=reward,
            )

        strategy = make_strategy(
            self.config.search, list(self.agents), seed=derive(self.config.seed, tree_id)
        )
        return await run_tree(
            TreeJob(tree_id, strategy, expand),
            RunSettings(self.config.search.nodes, ordered=True, on_node=on_node),
            journal=self.journal,
        )


def problems(count: int = 5) -> list[Problem]:
    return [
        Problem(id=f"p{i}", statement=CHARACTERS[i : i + 4], private_tests=[_test()])
        for i in range(count)
    ]


def _test() -> StdinTest:
    return StdinTest(input="", expected="")


def config(**sections) -> RunConfig:
    base = {
        "seed": 3,
        "search": {"nodes": 6},
        "credit": {"shaping_gamma": 0.5},
        "learner": {"lr": 3e-3, "minibatches": 2, "schedule": "linear"},
        "train": {"steps": 3, "trees_per_step": 3, "keep_best": "off"},
    }
    for name, values in sections.items():
        base[name] = base.get(name, {}) | values if isinstance(values, dict) else values
    return RunConfig.model_validate(base)


def free(**sections) -> RunConfig:
    """Settings of an asynchronous run."""
    train = {"mode": "async", "steps": 4, "trees_per_step": 3, "batch_samples": 4, "open_trees": 4}
    sections["train"] = train | sections.get("train", {})
    return config(**sections)


def program(out: Path, *options: str) -> int:
    """Run this file as a process of its own; its exit code."""
    here = Path(__file__)
    return subprocess.run(
        [sys.executable, str(here), str(out), *options], cwd=here.parent, timeout=300, check=False
    ).returncode


def team() -> dict[str, Agent]:
    """Two roles on a Llama and one on a GPT-NeoX with another tokenizer."""
    llama = policy("llama", tiny_llama(vocab=22))
    neox = policy("neox", tiny_neox(vocab=40), CHARACTERS[::-1] + "uvwxyz0123456789")
    role = Role(sampling=Sampling(max_tokens=8))
    return {
        "coder": Agent("coder", llama, role),
        "mender": Agent("mender", llama, Role(sampling=Sampling(temperature=0.8, max_tokens=8))),
        "other": Agent("other", neox, role),
    }


async def run(out: Path, settings: RunConfig | None = None, agents=None, **options):
    """`train` with the kit's parts; returns (result, forests opened)."""
    settings = settings or config()
    agents = agents or team()
    judge = options.pop("judge", default_judge)
    forests = []

    def open_forest(journal):
        forests.append(TinyForest(settings, agents, journal, judge))
        return forests[-1]

    options = {"problems": problems(), **options}
    try:
        result = await train(settings, out, agents=agents, open_forest=open_forest, **options)
    finally:
        for agent in agents.values():
            await agent.policy.aclose()
    return result, forests


def kill_at(count: int) -> Callable[[Node], None]:
    """Kill this process, as `kill -9` does, when node number `count` is told."""
    left = count

    def on_node(node: Node) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_node


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kill-at", type=int)
    parser.add_argument("--mode", default="sync")
    arguments = parser.parse_args()
    hook = kill_at(arguments.kill_at) if arguments.kill_at else None
    settings = config() if arguments.mode == "sync" else free()
    asyncio.run(run(arguments.out, settings, resume=arguments.resume, on_node=hook))
