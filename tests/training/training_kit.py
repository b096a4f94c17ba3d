"""Small real parts for the training tests: nodes, samples, tiny language models."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from mars2.training.sample import Sample
from mars2.types import Generation, Node, Status, Usage, Verdict

torch.set_num_threads(1)


def node(
    node_id: int,
    reward: float,
    parent: int | None = None,
    *,
    tree: str = "t",
    agent: str = "a",
    length: int = 3,
    finish: str = "stop",
    ids: bool = True,
    status: Status = Status.WRONG_ANSWER,
    version: int = 0,
) -> Node:
    """A judged node whose output is `length` tokens long."""
    generation = Generation(
        text="x",
        finish_reason=finish,
        prompt_ids=(1, 2) if ids else None,
        token_ids=tuple(range(3, 3 + length)) if ids else None,
        logprobs=(-1.0,) * length if ids else None,
        policy_version=version,
        usage=Usage(2, length),
    )
    return Node(
        tree_id=tree,
        node_id=node_id,
        parent_id=parent,
        depth=1 if parent is None else 2,
        agent=agent,
        action="generate" if parent is None else "refine",
        prompt=(),
        generation=generation,
        code="x",
        verdict=Verdict(status=status, passed=0, total=1),
        reward=reward,
    )


def tiny_llama(vocab: int = 24, seed: int = 0, layers: int = 2) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=0,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def tiny_neox(vocab: int = 40, seed: int = 1) -> GPTNeoXForCausalLM:
    torch.manual_seed(seed)
    config = GPTNeoXConfig(
        vocab_size=vocab,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=0,
    )
    return GPTNeoXForCausalLM(config).eval()


def tiny_gpt2(vocab: int = 30, seed: int = 2) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    config = GPT2Config(vocab_size=vocab, n_embd=32, n_layer=2, n_head=2, n_positions=128)
    return GPT2LMHeadModel(config).eval()


def tiny_gemma(vocab: int = 24, seed: int = 3) -> Gemma3ForCausalLM:
    """Its first layer sees eight tokens back."""
    torch.manual_seed(seed)
    config = Gemma3TextConfig(
        vocab_size=vocab,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        layer_types=["sliding_attention", "full_attention"],
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=8,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=None,
    )
    return Gemma3ForCausalLM(config).eval()


def family(
    groups: Sequence[tuple[int, Sequence[int]]],
    *,
    seed: int = 0,
    vocab: int = 24,
    temperatures: Sequence[float] = (1.0,),
    common: int = 0,
) -> list[Sample]:
    """Samples of one tree: for each (prompt length, output lengths) siblings with equal prompts;
    all prompts begin with the same `common` tokens. In random order."""
    rng = random.Random(seed)
    start = tuple(rng.randrange(vocab) for _ in range(common))
    made = []
    for length, outputs in groups:
        prompt = start + tuple(rng.randrange(vocab) for _ in range(length))
        for size in outputs:
            output = tuple(rng.randrange(vocab) for _ in range(size))
            made.append(
                Sample(
                    agent="a",
                    policy="p",
                    prompt_ids=prompt,
                    token_ids=output,
                    logprobs=tuple(-rng.uniform(2.5, 3.5) for _ in output),
                    temperature=temperatures[len(made) % len(temperatures)],
                    reward=float(len(made) % 2),
                    shaped=float(len(made) % 2),
                    advantage=rng.gauss(0, 1),
                    tree_id="t",
                    node_id=len(made) + 1,
                    policy_version=0,
                    truncated=False,
                )
            )
    rng.shuffle(made)
    return made


def samples(
    count: int = 6,
    *,
    vocab: int = 24,
    policy: str = "p",
    seed: int = 0,
    temperature: float = 1.0,
    version: int = 0,
) -> list[Sample]:
    """Random samples of unequal prompt and output lengths."""
    rng = random.Random(seed)
    made = []
    for i in range(count):
        prompt = tuple(rng.randrange(vocab) for _ in range(rng.randint(2, 9)))
        output = tuple(rng.randrange(vocab) for _ in range(rng.randint(1, 12)))
        made.append(
            Sample(
                agent=policy,
                policy=policy,
                prompt_ids=prompt,
                token_ids=output,
                logprobs=tuple(-rng.uniform(2.5, 3.5) for _ in output),
                temperature=temperature,
                reward=float(i % 2),
                shaped=float(i % 2),
                advantage=rng.gauss(0, 1),
                tree_id="t",
                node_id=i + 1,
                policy_version=version,
                truncated=False,
            )
        )
    return made
