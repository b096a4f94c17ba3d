"""`mars2 lab build`: make the micro models from nothing, in minutes on two cores.

Corpus → tokenizer → pretraining → weights in Hugging Face layout + `card.json` with what was
measured. Everything is seeded. This is the only lab module that imports torch.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from mars2.agents.sampler import generate_batch
from mars2.lab.corpus import Example, examples
from mars2.lab.families import load_family
from mars2.lab.families.pieces import VOCABULARIES
from mars2.lab.specs import CONTEXT, SPECS, WEIGHTS, MicroSpec, spec
from mars2.prompts.micro import render_generate
from mars2.verifier import Verifier

EOS, PAD = "<eos>", "<pad>"
INSIDE = "▁"  # marks a byte inside a word; outside the byte alphabet, so never text
Log = Callable[[str], None]
MAX_TOKENS = 64  # of a program; the longest in the corpus has fewer


def make_tokenizer(recipe: MicroSpec, seed: int) -> PreTrainedTokenizerFast:
    """Over bytes, so that any text round-trips: whole words with a byte fallback, or BPE merges."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    stream = examples(recipe.misreads, recipe.style, recipe.first_attempts, seed + 1)
    texts = [e.prompt + e.program for e in islice(stream, 4000)]
    if recipe.tokenizer == "word":
        counts = Counter(word for text in texts for word, _ in split.pre_tokenize_str(text))
        # most frequent first, ties by spelling: the same vocabulary on every machine
        words = sorted((w for w in counts if len(w) > 1), key=lambda w: (-counts[w], w))
        entries = [PAD, EOS, *alphabet, *(INSIDE + c for c in alphabet)]
        entries += words[: recipe.vocabulary - len(entries)]
        tokenizer = Tokenizer(
            models.WordPiece(
                vocab={t: i for i, t in enumerate(entries)},
                unk_token=PAD,  # never used: every byte is an entry
                continuing_subword_prefix=INSIDE,
                max_input_chars_per_word=1_000_000,
            )
        )
        tokenizer.add_special_tokens([PAD, EOS])
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace(INSIDE, ""), decoders.Fuse(), decoders.ByteLevel()]
        )
        tokenizer.pre_tokenizer = split
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = split
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=recipe.vocabulary,
            special_tokens=[PAD, EOS],
            initial_alphabet=alphabet,
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def make_model(recipe: MicroSpec, vocabulary: int, seed: int) -> PreTrainedModel:
    """A fresh float32 model of the recipe's architecture."""
    torch.manual_seed(seed)
    common: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": recipe.hidden,
        "num_hidden_layers": recipe.layers,
        "num_attention_heads": recipe.heads,
        "intermediate_size": recipe.intermediate,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }
    if recipe.architecture == "llama":
        return LlamaForCausalLM(LlamaConfig(num_key_value_heads=recipe.heads, **common))
    return GPTNeoXForCausalLM(GPTNeoXConfig(rotary_pct=1.0, **common))


def batches(
    stream: Iterator[Example], tokenizer: PreTrainedTokenizerFast, size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(input ids, labels), int64 [batch, time]; similar lengths together, loss on programs only.

    Labels are -100 on prompt and padding.
    """
    window = 8
    while True:
        rows: list[tuple[list[int], int]] = []
        for example in islice(stream, size * window):
            prompt = tokenizer.encode(example.prompt, add_special_tokens=False)
            program = tokenizer.encode(example.program, add_special_tokens=False)
            rows.append((prompt + program + [1], len(prompt)))
        rows.sort(key=lambda r: len(r[0]))
        order = torch.randperm(window).tolist()
        for b in order:
            part = rows[b * size : (b + 1) * size]
            longest = max(len(ids) for ids, _ in part)
            ids = torch.zeros(size, longest, dtype=torch.long)
            labels = torch.full((size, longest), -100, dtype=torch.long)
            for i, (tokens, start) in enumerate(part):
                ids[i, : len(tokens)] = torch.tensor(tokens)
                labels[i, start : len(tokens)] = torch.tensor(tokens[start:])
            yield ids, labels


def fit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    stream: Iterator[Example],
    *,
    name: str,
    steps: int,
    batch: int,
    lr: float,
    log: Log,
) -> dict[str, Any]:
    """Train all weights on a corpus: warm-up, then a cosine to a fiftieth of `lr`.

    Batches are mixed with torch's global generator. The model is left in evaluation mode.

    Returns:
        `{"steps", "tokens" (of whole batches, padding included), "loss" (a moving average, in nats
        a token of a program), "train_seconds"}`.
    """
    started = time.perf_counter()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    warmup = max(1, min(60, steps // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda i: (
            min(1.0, (i + 1) / warmup)
            * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, i / steps))))
        ),
    )
    seen, recent = 0, 0.0
    model.train()
    for step, (ids, labels) in enumerate(islice(batches(stream, tokenizer, batch), steps), start=1):
        # padding is on the right and carries no loss: under a causal mask it changes nothing
        logits = model(input_ids=ids).logits
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        seen += ids.numel()
        recent = loss.item() if step == 1 else 0.95 * recent + 0.05 * loss.item()
        if step % 50 == 0 or step == steps:
            seconds = time.perf_counter() - started
            log(
                f"{name}: step {step}/{steps}  loss {recent:.4f}  "
                f"{seen / seconds:,.0f} tokens/s  {seconds:.0f} s"
            )
    model.eval()
    return {
        "steps": steps,
        "tokens": seen,
        "loss": round(recent, 4),
        "train_seconds": round(time.perf_counter() - started, 1),
    }


def pretrain(
    recipe: MicroSpec, seed: int, log: Log = print
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, dict[str, Any]]:
    """Train one model from scratch; (model in eval mode, tokenizer, facts for the card)."""
    tokenizer = make_tokenizer(recipe, seed)
    model = make_model(recipe, len(tokenizer), seed)
    parameters = sum(p.numel() for p in model.parameters())
    log(f"{recipe.name}: {recipe.about}; {parameters:,} parameters, {recipe.steps} steps")
    trained = fit(
        model,
        tokenizer,
        examples(recipe.misreads, recipe.style, recipe.first_attempts, seed),
        name=recipe.name,
        steps=recipe.steps,
        batch=recipe.batch,
        lr=recipe.lr,
        log=log,
    )
    facts = {
        "name": recipe.name,
        "about": recipe.about,
        "architecture": recipe.architecture,
        "tokenizer": recipe.tokenizer,
        "style": recipe.style,
        "misreads": dict(recipe.misreads),
        "parameters": parameters,
        "vocabulary": len(tokenizer),
        "seed": seed,
        **trained,
    }
    return model, tokenizer, facts


def save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    card: dict[str, Any],
    directory: Path,
) -> None:
    """Write Hugging Face layout with float16 safetensors, and the card."""
    directory.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(directory)
    model.float()
    tokenizer.save_pretrained(directory)
    (directory / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def measure(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    *,
    problems: int = 48,
    samples: int = 8,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Held-out pass@1 and pass@`samples` of first attempts by family, really executed."""
    return asyncio.run(_measure(model, tokenizer, problems, samples, seed))


async def _measure(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    problems: int,
    samples: int,
    seed: int,
) -> dict[str, dict[str, float]]:
    measured = {}
    async with Verifier() as verifier:
        for family in VOCABULARIES:
            chosen = load_family(family, "heldout")[:problems]
            passed = []
            for number, problem in enumerate(chosen):
                prompt = tokenizer.encode(render_generate(problem), add_special_tokens=False)
                rows = generate_batch(
                    model,
                    [prompt] * samples,
                    temperature=[1.0] * samples,
                    top_p=[1.0] * samples,
                    max_tokens=[MAX_TOKENS] * samples,
                    seeds=[seed * 1_000_003 + number * samples + i for i in range(samples)],
                    eos_ids={tokenizer.eos_token_id},
                    pad_id=tokenizer.pad_token_id,
                )
                texts = [tokenizer.decode(r.token_ids, skip_special_tokens=True) for r in rows]
                verdicts = await asyncio.gather(*(verifier.verify(problem, t) for t in texts))
                passed.append([v.ok for v in verdicts])
            measured[family] = {
                "pass@1": round(sum(map(sum, passed)) / (samples * len(passed)), 3),
                f"pass@{samples}": round(sum(map(any, passed)) / len(passed), 3),
            }
    return measured


def build(
    out: Path | None = None,
    *,
    seed: int = 0,
    only: str | None = None,
    steps: int | None = None,
    log: Log = print,
) -> list[dict[str, Any]]:
    """Build every model (or `only` one) into `out`/NAME; their cards, as written there.

    `out` defaults to the package's own weights. `steps` shortens training (for tests).
    Raises AgentSpecError if `only` names no model.
    """
    recipes = [spec(only)] if only else list(SPECS.values())
    cards = []
    for recipe in recipes:
        if steps is not None:
            recipe = replace(recipe, steps=steps)
        model, tokenizer, card = pretrain(recipe, seed, log)
        card["heldout"] = measure(model, tokenizer)
        for family, result in card["heldout"].items():
            numbers = "  ".join(f"{k} {v:.3f}" for k, v in result.items())
            log(f"{recipe.name}: held-out {family}: {numbers}")
        directory = (out or WEIGHTS) / recipe.name
        save(model, tokenizer, card, directory)
        log(f"{recipe.name}: written to {directory}")
        cards.append(card)
    return cards
