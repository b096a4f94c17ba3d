"""Tiny random models as directories that vLLM serves."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_models import char_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM


def write_model(path: Path, *, tied: bool, seed: int = 7) -> LlamaForCausalLM:
    """Random weights, scaled up so that distributions are peaked, and a character tokenizer."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=104,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=192,
        max_position_embeddings=1024,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        initializer_range=0.12,
        tie_word_embeddings=tied,
    )
    model = LlamaForCausalLM(config).eval()
    model.save_pretrained(path)
    char_tokenizer().save_pretrained(path)
    return model
