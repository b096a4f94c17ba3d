"""Streams with shared beginnings: what is laid out, what it saves, and that nothing is changed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_kit import family, samples, tiny_gemma, tiny_gpt2, tiny_llama, tiny_neox

from mars2.agents.hf import load_micro
from mars2.training import forward
from mars2.training.forward import (
    abilities,
    output_logprobs,
    output_logprobs_and_entropy,
    packing_agrees,
)
from mars2.training.packing import common_prefix, pack, packed_batches

VOCAB = 24
MODELS = {
    "llama": lambda: tiny_llama(VOCAB),
    "neox": lambda: tiny_neox(VOCAB),
    "gpt2": lambda: tiny_gpt2(VOCAB),
    "gemma": lambda: tiny_gemma(VOCAB),  # sliding windows, fewer key heads than query heads
}

# (siblings of a prompt, prompt length, output lengths 1..n, temperatures)
groups = st.lists(
    st.tuples(st.integers(1, 14), st.lists(st.integers(1, 9), min_size=1, max_size=4)),
    min_size=1,
    max_size=4,
)
trees = st.builds(
    family,
    groups,
    seed=st.integers(0, 10**6),
    vocab=st.sampled_from([3, VOCAB]),  # of 3 tokens, outputs begin alike and repeat each other
    temperatures=st.lists(st.sampled_from([0.3, 0.7, 1.0, 1.7]), min_size=1, max_size=3),
    common=st.integers(0, 6),
)


def plain(model, rows):
    """Each sample on its own, all logits: what everything else must agree with."""
    found = []
    for s in rows:
        ids = torch.tensor([[*s.prompt_ids, *s.token_ids]])
        logp = torch.log_softmax(model(ids).logits[0].float() / s.temperature, dim=-1)
        start = len(s.prompt_ids) - 1
        found.append(torch.stack([logp[start + t, i] for t, i in enumerate(s.token_ids)]))
    return found


def flat_gradient(model):
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def agree(model, rows, weights):
    """Log-probs to 1e-5 and gradients of their weighted sum, packed against plain."""
    model.zero_grad()
    packed = output_logprobs(model, rows)
    sum(
        (w * r[: len(s.token_ids)]).sum() for w, r, s in zip(weights, packed, rows, strict=True)
    ).backward()
    gradient = flat_gradient(model)
    model.zero_grad()
    single = plain(model, rows)
    for row, want in zip(packed, single, strict=True):
        torch.testing.assert_close(row[: len(want)], want, rtol=1e-5, atol=1e-5)
        assert row[len(want) :].abs().sum() == 0
    sum((w * r).sum() for w, r in zip(weights, single, strict=True)).backward()
    want = flat_gradient(model)
    assert torch.nn.functional.cosine_similarity(gradient, want, dim=0) > 0.9999
    torch.testing.assert_close(gradient, want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=15, deadline=None)
@given(rows=trees)
def test_packed_is_plain_in_log_probs_and_gradients(name, rows):
    model = _model(name)
    assert abilities(model).packs
    agree(model, rows, [1.0 + 0.1 * i for i in range(len(rows))])


_cache = {}


def _model(name):
    if name not in _cache:
        _cache[name] = MODELS[name]()
    return _cache[name]


@pytest.mark.parametrize("name", ["lark", "loom"])
def test_the_micro_models_pack(name):
    model = load_micro(name, name).clone_model()
    rows = family([(60, [5, 30, 18]), (90, [12, 25])], seed=1, vocab=400, common=20)
    assert abilities(model).packs
    assert abilities(model).splits
    agree(model, rows, [1.0, -1.0, 0.5, 0.3, -0.7])


@settings(deadline=None)
@given(rows=trees, min_shared=st.sampled_from([1, 3, 10**6]))
def test_a_layout_gives_every_output_token_its_own_beginning(rows, min_shared):
    layout = pack(rows, min_shared)
    seen = {}
    place = 0
    for row in layout.rows:
        assert row.start == place < row.end
        place = row.end
        before = [p for low, high in row.prefix for p in range(low, high)]
        assert all(p < row.start for p in before)
        for p in range(row.start, row.end):
            seen[p] = [*before, *range(row.start, p + 1)]
            assert layout.positions[p] == len(seen[p]) - 1
    assert place == len(layout.tokens)
    for s, places in zip(rows, layout.sources, strict=True):
        for t, p in enumerate(places):
            context = [layout.tokens[q] for q in seen[p]]
            assert context == [*s.prompt_ids, *s.token_ids[:t]]
        assert len(places) == len(s.token_ids)


@settings(deadline=None)
@given(rows=trees)
def test_nothing_is_computed_twice(rows):
    """With no least length the stream is the trie: one token for each different beginning."""
    beginnings = {
        ids[: n + 1]
        for s in rows
        for ids in [s.prompt_ids + s.token_ids[:-1]]
        for n in range(len(ids))
    }
    assert len(pack(rows, min_shared=1).tokens) == len(beginnings)


def test_siblings_share_their_prompt_and_short_beginnings_are_repeated():
    rows = family([(50, [10, 10, 10, 10])], seed=0)
    assert len(pack(rows).tokens) == 50 + 4 * 9
    assert len(pack(rows).rows) == 4  # one call of attention a sample, as without sharing
    apart = [replace(s, prompt_ids=s.prompt_ids[:4]) for s in rows]
    assert len(pack(apart).tokens) == 4 * (4 + 9)


@settings(deadline=None)
@given(rows=trees, limit=st.integers(1, 200))
def test_batches_cover_everything_once_within_the_limit(rows, limit):
    groups = packed_batches(rows, limit)
    assert sorted(i for g in groups for i in g) == list(range(len(rows)))
    for group in groups:
        tokens = len(pack([rows[i] for i in group]).tokens)
        assert len(group) == 1 or tokens <= limit


def test_batches_are_as_few_and_as_even_as_the_limit_allows():
    rows = family([(40, [11] * 6)] * 5, seed=2)  # five prompts, 40 + 6 · 10 tokens each
    sizes = [len(pack([rows[i] for i in g]).tokens) for g in packed_batches(rows, 400)]
    assert len(sizes) == 2
    assert max(sizes) <= 320
    assert sum(sizes) <= 540  # at most one prompt is read twice


def test_a_model_that_does_not_pack_falls_back_to_padding():
    class Blind(torch.nn.Module):
        """Ignores what it is told about rows, as a model without our attention would."""

        def __init__(self):
            super().__init__()
            self.inner = tiny_llama(VOCAB)
            self.config = self.inner.config

        def get_input_embeddings(self):
            return self.inner.get_input_embeddings()

        def set_attn_implementation(self, name):
            self.config._attn_implementation = name

        def forward(self, input_ids, position_ids=None, attention_mask=None, packed=None, **_):
            return self.inner(input_ids, position_ids=position_ids)

    model = Blind()
    assert not packing_agrees(model)
    assert model.config._attn_implementation == "sdpa"
    rows = family([(5, [3, 4])], seed=0)
    with torch.no_grad():
        for row, want in zip(output_logprobs(model, rows), plain(model, rows), strict=True):
            torch.testing.assert_close(row[: len(want)], want, rtol=1e-5, atol=1e-5)


def test_a_model_that_packs_still_does_ordinary_batches():
    model = tiny_llama(VOCAB)
    ids = torch.randint(VOCAB, (2, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, :3] = 0
    want = model(ids, attention_mask=mask).logits
    assert abilities(model).packs
    torch.testing.assert_close(model(ids, attention_mask=mask).logits[1:], want[1:])
    torch.testing.assert_close(model(ids, attention_mask=mask).logits[0, 3:], want[0, 3:])
    made = model.generate(ids, attention_mask=mask, max_new_tokens=4, do_sample=False)
    assert made.shape == (2, 13)


@pytest.mark.parametrize("splits", [True, False])
def test_entropy_is_that_of_the_distribution_and_carries_its_gradient(splits):
    model, rows = tiny_llama(VOCAB), family([(6, [3, 5]), (4, [1])], seed=4, temperatures=[0.7])
    forward._known[model] = replace(abilities(model), splits=splits)

    def expected():
        for s in rows:
            ids = torch.tensor([[*s.prompt_ids, *s.token_ids]])
            logits = model(ids).logits[0, len(s.prompt_ids) - 1 : -1] / s.temperature
            yield torch.distributions.Categorical(logits=logits).entropy()

    logprobs, entropy = output_logprobs_and_entropy(model, rows)
    torch.testing.assert_close(logprobs, output_logprobs(model, rows))
    for row, want in zip(entropy, expected(), strict=True):
        torch.testing.assert_close(row[: len(want)], want, rtol=1e-5, atol=1e-5)
    (entropy.sum() + 0.3 * logprobs.sum()).backward()
    gradient = flat_gradient(model)
    model.zero_grad()
    (sum(e.sum() for e in expected()) + 0.3 * output_logprobs(model, rows).sum()).backward()
    torch.testing.assert_close(gradient, flat_gradient(model), rtol=1e-4, atol=1e-5)


def test_common_prefix():
    assert common_prefix((1, 2, 3), (1, 2, 4)) == 2
    assert common_prefix((), (1,)) == 0
    assert common_prefix((1, 2), (1, 2, 3)) == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_packed_is_plain_on_cuda():
    rows = [*samples(5), *family([(40, [9, 20, 4])], seed=3)]
    for name in MODELS:
        model = MODELS[name]()
        want = plain(model, rows)
        model = model.cuda()
        assert abilities(model).packs
        for row, right in zip(output_logprobs(model, rows).cpu(), want, strict=True):
            torch.testing.assert_close(row[: len(right)], right, rtol=1e-4, atol=1e-4)
