"""Two tiny random models of different architecture, and a character tokenizer, for tests."""

from __future__ import annotations

import string
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
)


def tiny_model(kind: str = "llama", *, layers: int = 2, width: int = 32, vocab: int = 100) -> Any:
    """Random weights, scaled up so that distributions are peaked; evaluation mode."""
    torch.set_num_threads(1)
    torch.manual_seed(7)
    common: dict[str, Any] = {
        "vocab_size": vocab,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
        "initializer_range": 0.25,
    }
    if kind == "llama":
        model: Any = LlamaForCausalLM(
            LlamaConfig(**common, num_key_value_heads=2, intermediate_size=3 * width)
        )
    elif kind == "neox":
        model = GPTNeoXForCausalLM(GPTNeoXConfig(**common, intermediate_size=4 * width))
    elif kind == "sliding":
        model = MistralForCausalLM(
            MistralConfig(
                **common, num_key_value_heads=2, intermediate_size=3 * width, sliding_window=8
            )
        )
    else:
        raise ValueError(kind)
    return model.eval()


def char_tokenizer(template: str | None = None) -> PreTrainedTokenizerFast:
    """One token a printable character; <bos> 0, <eos> 1, <pad> 2."""
    vocab = {token: i for i, token in enumerate(["<bos>", "<eos>", "<pad>", "<unk>"])}
    for character in string.printable[:95] + "\n":
        vocab.setdefault(character, len(vocab))
    core = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    core.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
    )
    if template is not None:
        tokenizer.chat_template = template
    return tokenizer
