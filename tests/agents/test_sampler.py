from __future__ import annotations

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny_models import tiny_model  # noqa: E402

from mars2.agents.sampler import (  # noqa: E402
    Row,
    SampledRow,
    generate_batch,
    sample,
    sample_rows,
    uniforms,
)

EOS, PAD = 1, 2
KINDS = ["llama", "neox", "sliding"]


def prompts(count: int, low: int = 1, high: int = 20, seed: int = 0) -> list[list[int]]:
    rng = random.Random(seed)
    return [[rng.randrange(3, 100) for _ in range(rng.randint(low, high))] for _ in range(count)]


def run(model, ids, *, temperature=1.0, top_p=1.0, max_tokens=12, seeds=None, eos=(EOS,)):
    rows = len(ids)
    limits = [max_tokens] * rows if isinstance(max_tokens, int) else max_tokens
    return generate_batch(
        model,
        ids,
        temperature=[temperature] * rows,
        top_p=[top_p] * rows,
        max_tokens=limits,
        seeds=list(range(100, 100 + rows)) if seeds is None else seeds,
        eos_ids=set(eos),
        pad_id=PAD,
    )


def full_logprobs(model, prompt: list[int], row: SampledRow, temperature: float) -> list[float]:
    """One plain forward pass over prompt + output, without cache, padding or batch."""
    ids = torch.tensor([prompt + row.token_ids])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0].float() / temperature
    logprobs = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return logprobs.gather(1, torch.tensor(row.token_ids)[:, None])[:, 0].tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.8)])
def test_logprobs_are_those_of_a_plain_forward_pass(kind, temperature, top_p):
    model = tiny_model(kind)
    ids = prompts(9)
    ids[4] = ids[2]  # a shared prompt is read once
    eos = range(1, 12)  # rows end early: the batch is compacted
    rows = run(model, ids, temperature=temperature, top_p=top_p, max_tokens=90, eos=eos)
    assert len({len(r.token_ids) for r in rows}) > 3
    for prompt, row in zip(ids, rows, strict=True):
        expected = full_logprobs(model, prompt, row, temperature)
        assert row.logprobs == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_does_not_depend_on_its_batch(kind):
    model = tiny_model(kind)
    ids, seeds = prompts(8), [5, 6, 7, 8, 9, 10, 11, 12]
    eos = range(1, 12)
    together = run(model, ids, max_tokens=[30, 3, 30, 17, 30, 1, 30, 30], seeds=seeds, eos=eos)
    for i, limit in enumerate([30, 3, 30, 17, 30, 1, 30, 30]):
        alone = run(model, [ids[i]], max_tokens=[limit], seeds=[seeds[i]], eos=eos)[0]
        assert alone.token_ids == together[i].token_ids
        assert alone.finish_reason == together[i].finish_reason


def test_equal_prompts_with_different_seeds_differ_and_equal_seeds_agree():
    model = tiny_model()
    rows = run(model, [[5, 6]] * 3, seeds=[1, 2, 1], eos=())
    assert rows[0].token_ids == rows[2].token_ids != rows[1].token_ids


@pytest.mark.parametrize("kind", KINDS)
def test_low_temperature_is_greedy_decoding(kind):
    model = tiny_model(kind)
    for prompt in prompts(3, low=4):
        row = run(model, [prompt, [9]], temperature=1e-4, max_tokens=15)[0]
        reference = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=15,
        )[0, len(prompt) :].tolist()
        assert row.token_ids == reference


def test_bfloat16_model_runs_padded():
    model = tiny_model().to(torch.bfloat16)
    rows = run(model, prompts(4))
    assert all(row.token_ids and all(p <= 0 for p in row.logprobs) for row in rows)


def test_eos_is_kept_and_the_limit_is_reported():
    model = tiny_model()
    rows = run(model, prompts(16), max_tokens=6, eos=range(1, 40))
    assert {row.finish_reason for row in rows} == {"stop", "length"}
    for row in rows:
        assert len(row.token_ids) == len(row.logprobs) <= 6
        if row.finish_reason == "stop":
            assert 1 <= row.token_ids[-1] < 40
        else:
            assert len(row.token_ids) == 6
        assert all(token >= 40 for token in row.token_ids[:-1])


def test_many_tokens_grow_the_cache():
    model = tiny_model()
    ids = prompts(3)
    rows = run(model, ids, max_tokens=170, eos=())
    for prompt, row in zip(ids, rows, strict=True):
        assert len(row.token_ids) == 170
        assert row.logprobs == pytest.approx(full_logprobs(model, prompt, row, 1.0), abs=2e-4)


@pytest.mark.parametrize("kind", ["llama", "neox"])
def test_rows_that_join_are_as_if_alone(kind):
    """Others come with shorter and with longer prompts, into freed places and beyond them, and
    the buffer grows, and forgets columns that nobody sees any more."""
    model = tiny_model(kind)
    rng = random.Random(4)
    limits = [150, 3, 40, 1, 90, 7, 60, 130, 20, 5, 100, 2]
    ids = prompts(12, high=8)
    ids[4], ids[7], ids[11] = prompts(3, low=70, high=100, seed=1)
    ids[9] = ids[8]
    rows = [Row(p, 0.8, 1.0 if i % 3 else 0.9, limits[i], i) for i, p in enumerate(ids)]
    waiting, sampled, most = rows[3:], {}, 0

    def join(under_way):
        nonlocal most
        more = [waiting.pop(0) for _ in range(min(len(waiting), 5 - under_way, 2))]
        if rng.random() < 0.8:  # not at once, so that the columns move on meanwhile
            waiting[:0] = more
            more = []
        most = max(most, under_way + len(more))
        return more

    def ended(number, row):
        assert number not in sampled
        sampled[number] = row

    sample_rows(model, rows[:3], eos_ids=set(), pad_id=PAD, ended=ended, join=join)
    assert most == 5
    assert len(sampled) == len(rows)
    for i, row in enumerate(rows):
        assert len(sampled[i].token_ids) == limits[i]
        expected = full_logprobs(model, ids[i], sampled[i], 0.8)
        assert sampled[i].logprobs == pytest.approx(expected, abs=2e-4)
        alone: dict[int, SampledRow] = {}
        sample_rows(model, [row], eos_ids=set(), pad_id=PAD, ended=alone.__setitem__)
        assert alone[0].token_ids == sampled[i].token_ids


def test_nobody_joins_a_model_with_windows():
    def join(under_way):
        raise AssertionError

    rows: dict[int, SampledRow] = {}
    sample_rows(
        tiny_model("sliding"),
        [Row([5], 1.0, 1.0, 9, 0)],
        eos_ids=set(),
        pad_id=PAD,
        ended=rows.__setitem__,
        join=join,
    )
    assert len(rows[0].token_ids) == 9


def test_sampling_follows_the_distribution():
    logits = torch.tensor([[0.0, 1.0, float("-inf"), 2.0, -1.0]])
    count = 20000
    noise = torch.from_numpy(uniforms(3, count)).float()[:, None]
    ones = torch.ones(count, 1)
    token, logprob = sample(logits.expand(count, -1), 2 * ones, None, noise)
    expected = (logits * 2).softmax(-1)[0]
    seen = torch.bincount(token, minlength=5) / count
    assert torch.allclose(seen, expected, atol=0.01)
    assert seen[2] == 0
    assert torch.allclose(logprob, expected.log()[token])


def test_top_p_keeps_the_smallest_nucleus_and_reports_full_logprobs():
    probs = torch.tensor([[0.4, 0.05, 0.3, 0.25]])
    count = 4000
    noise = torch.from_numpy(uniforms(1, count)).float()[:, None]
    ones = torch.ones(count, 1)
    token, logprob = sample(probs.log().expand(count, -1), ones, 0.65 * ones, noise)
    assert set(token.tolist()) == {0, 2}
    assert torch.allclose(logprob, probs[0].log()[token], atol=1e-6)
    assert (token == 0).float().mean() == pytest.approx(0.4 / 0.7, abs=0.03)
    tiny, _ = sample(probs.log(), ones[:1], 1e-6 * ones[:1], noise[:1])
    assert tiny.tolist() == [0]


def test_extreme_noise_never_draws_an_impossible_token():
    logits = torch.tensor([[float("-inf"), 0.0, 0.0, float("-inf")]])
    ones = torch.ones(1, 1)
    for value, token in ((0.0, 1), (1.0, 2), (float(np.nextafter(np.float32(1), 0)), 2)):
        assert sample(logits, ones, None, torch.tensor([[value]]))[0].item() == token


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": [0.0]}, "temperature"),
        ({"temperature": [float("nan")]}, "temperature"),
        ({"top_p": [0.0]}, "top_p"),
        ({"max_tokens": [0]}, "max_tokens"),
        ({"seeds": [1, 2]}, "2 values of seeds"),
        ({"prompt_ids": [[]]}, "no tokens"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    arguments = {
        "prompt_ids": [[3]],
        "temperature": [1.0],
        "top_p": [1.0],
        "max_tokens": [2],
        "seeds": [1],
    } | change
    with pytest.raises(ValueError, match=message):
        generate_batch(tiny_model(), **arguments, eos_ids={EOS}, pad_id=PAD)


def test_broken_weights_are_reported():
    model = tiny_model()
    with torch.no_grad():
        model.lm_head.weight[5] = float("nan")
    with pytest.raises(FloatingPointError, match="not finite"):
        run(model, [[3, 4]])


def test_no_prompts_no_rows_and_training_mode_is_restored():
    model = tiny_model().train()
    assert run(model, []) == []
    run(model, [[3]])
    assert model.training
