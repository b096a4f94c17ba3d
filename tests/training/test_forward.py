"""Log-probs of outputs: independent of padding, chunks and head splitting."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_kit import samples, tiny_gpt2, tiny_llama, tiny_neox

from mars2.training import forward, head
from mars2.training.forward import micro_batches, output_logprobs, output_mask, rollout_logprobs

MODELS = {"llama": tiny_llama, "neox": tiny_neox, "gpt2": tiny_gpt2}


def direct(model, sample):
    """Full logits of one unpadded row."""
    ids = torch.tensor([[*sample.prompt_ids, *sample.token_ids]])
    logp = torch.log_softmax(model(ids).logits[0].float() / sample.temperature, dim=-1)
    start = len(sample.prompt_ids)
    return torch.stack([logp[start + t - 1, i] for t, i in enumerate(sample.token_ids)])


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_padding_and_batching_do_not_change_logprobs(name, packs):
    model = MODELS[name](vocab=24)
    rows = samples(7, temperature=0.7)
    forward._known[model] = forward.Abilities(packs and forward.abilities(model).packs, True)
    assert forward.abilities(model).packs == packs
    batch = output_logprobs(model, rows)
    assert batch.shape == output_mask(rows).shape
    for row, sample in zip(batch, rows, strict=True):
        n = len(sample.token_ids)
        torch.testing.assert_close(row[:n], direct(model, sample), rtol=1e-5, atol=1e-5)
        assert row[n:].abs().sum() == 0
    assert forward.split_head_agrees(model)


def test_chunks_change_neither_values_nor_gradients(monkeypatch):
    model, rows = tiny_llama(), samples(5)

    def run():
        model.zero_grad()
        out = output_logprobs(model, rows)
        out.sum().backward()
        return out.detach(), torch.cat([p.grad.flatten() for p in model.parameters()])

    whole, gradient = run()
    monkeypatch.setattr(head, "CHUNK_ELEMENTS", 24 * 4)
    parts, gradient_of_parts = run()
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(gradient_of_parts, gradient, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_model_that_scales_its_logits_is_taken_as_it_is():
    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = tiny_llama()
            self.base_model = self.inner.base_model

        def get_output_embeddings(self):
            return self.inner.get_output_embeddings()

        def forward(self, input_ids, use_cache=False):
            out = self.inner(input_ids)
            out.logits = 3 * out.logits
            return out

    model, rows = Scaled(), samples(3)
    assert not forward.split_head_agrees(model)
    for row, sample in zip(output_logprobs(model, rows), rows, strict=True):
        want = direct(lambda ids: model(ids), sample)
        torch.testing.assert_close(row[: len(want)], want, rtol=1e-5, atol=1e-5)


def test_rollout_logprobs_keep_order_and_pad_with_zero():
    rows = samples(4)
    batch = rollout_logprobs(rows)
    for row, sample in zip(batch, rows, strict=True):
        n = len(sample.token_ids)
        assert row[:n].tolist() == pytest.approx(sample.logprobs)
        assert row[n:].abs().sum() == 0


@given(st.integers(0, 20), st.integers(1, 120), st.integers(0, 99))
def test_micro_batches_cover_everything_once_within_the_limit(count, limit, seed):
    rows = samples(count, seed=seed)
    groups = list(micro_batches(rows, limit))
    assert sorted(i for g in groups for i in g) == list(range(count))
    for group in groups:
        longest = max(len(rows[i].prompt_ids) + len(rows[i].token_ids) for i in group)
        assert len(group) == 1 or len(group) * longest <= limit
