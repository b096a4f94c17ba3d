from __future__ import annotations

import asyncio
import threading

import pytest

torch = pytest.importorskip("torch")

from tiny_models import char_tokenizer, tiny_model  # noqa: E402

from mars2.agents import local  # noqa: E402
from mars2.agents.local import LocalPolicy  # noqa: E402
from mars2.errors import GenerationError  # noqa: E402
from mars2.types import Generation, Message, Sampling  # noqa: E402

CHAT = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }};{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + CHAT


def make(kind="llama", *, style="micro", template=None, max_batch=64, **options) -> LocalPolicy:
    return LocalPolicy(
        f"{kind}-policy",
        tiny_model(kind),
        char_tokenizer(template),
        prompt_style=style,
        max_batch=max_batch,
        **options,
    )


@pytest.fixture
async def policy():
    made = make()
    yield made
    await made.aclose()


def ask(policy: LocalPolicy, text: str, seed: int = 0, **sampling):
    sampling = {"max_tokens": 8} | sampling
    return policy.generate([Message("user", text)], Sampling(**sampling), seed=seed)


def record_batches(monkeypatch) -> list[int]:
    """How many rows each batch begins with, and how many it has after others have joined."""
    sizes: list[int] = []
    real = local.sample_rows

    def recording(model, rows, *, join, **arguments):
        sizes.append(len(rows))

        def joined(under_way):
            more = join(under_way)
            if more:
                sizes.append(under_way + len(more))
            return more

        return real(model, rows, join=joined, **arguments)

    monkeypatch.setattr(local, "sample_rows", recording)
    return sizes


async def test_generation_carries_ids_logprobs_and_version(policy):
    policy.version = 3
    got = await ask(policy, "Q:ab")
    assert policy.has_logprobs
    assert got.prompt_ids == tuple(policy.tokenizer.encode("Q:ab"))
    assert got.token_ids is not None
    assert got.logprobs is not None
    assert len(got.token_ids) == len(got.logprobs) == got.usage.completion_tokens
    assert got.usage.prompt_tokens == 4
    assert got.policy_version == 3


async def test_a_wave_is_one_batch_and_freed_places_are_taken(monkeypatch):
    sizes = record_batches(monkeypatch)
    policy = make(max_batch=5)
    policy.eos_ids = set()
    await asyncio.gather(*(ask(policy, "ab", s, max_tokens=2 + s) for s in range(12)))
    assert sizes == [5] * 8  # each that ends leaves its place to one that waits
    await policy.aclose()


async def test_where_nobody_can_join_max_batch_splits_a_wave(monkeypatch):
    sizes = record_batches(monkeypatch)
    policy = make("sliding", max_batch=5)
    await asyncio.gather(*(ask(policy, "ab", seed) for seed in range(12)))
    assert sizes == [5, 5, 2]
    await policy.aclose()


async def test_an_answer_is_there_while_its_batch_goes_on(policy):
    policy.eos_ids = set()
    order = []

    async def one(name, count):
        await ask(policy, "ab", max_tokens=count)
        order.append(name)
        if name == "short":
            await ask(policy, "abc", max_tokens=1)
            order.append("its successor")

    await asyncio.gather(one("long", 240), one("short", 1))
    assert order == ["short", "its successor", "long"]


async def test_nobody_joins_while_weights_wait(monkeypatch, policy):
    sizes = record_batches(monkeypatch)
    policy.eos_ids = set()
    loop = asyncio.get_running_loop()
    first = asyncio.create_task(ask(policy, "ab", max_tokens=240))
    while not sizes:  # noqa: ASYNC110 - set in the worker thread
        await asyncio.sleep(0)
    state = {name: w * 0.5 for name, w in policy.model.state_dict().items()}
    adopted = loop.run_in_executor(None, policy.load_weights, state, 3)
    while not policy._changing and not adopted.done():  # noqa: ASYNC110
        await asyncio.sleep(0)
    late = await ask(policy, "ab", max_tokens=1)
    assert (await first).policy_version == 0
    await adopted
    assert len(sizes) == 2
    assert late.policy_version in (0, 3)  # a lock decides who is next
    joined = await asyncio.gather(ask(policy, "ab", max_tokens=1), ask(policy, "ab", max_tokens=9))
    assert {answer.policy_version for answer in joined} == {3}
    assert not policy._changing


async def test_answers_do_not_depend_on_the_batch(policy):
    texts = ["a", "bcd", "Q:some longer question", "zz"]
    together = await asyncio.gather(*(ask(policy, t, i) for i, t in enumerate(texts)))
    alone = [await ask(policy, t, i) for i, t in enumerate(texts)]
    assert [g.token_ids for g in together] == [g.token_ids for g in alone]


async def test_requests_during_a_batch_form_the_next_where_nobody_can_join(monkeypatch):
    policy = make("sliding")
    started, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    sizes: list[int] = []
    real = local.sample_rows

    def slow(model, rows, **arguments):
        sizes.append(len(rows))
        loop.call_soon_threadsafe(started.set)
        release.wait(30)
        return real(model, rows, **arguments)

    monkeypatch.setattr(local, "sample_rows", slow)
    first = asyncio.create_task(ask(policy, "a"))
    await started.wait()  # the event loop runs on while the worker is busy
    later = [asyncio.create_task(ask(policy, "b", s)) for s in range(3)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(first, *later)
    assert sizes == [1, 3]
    await policy.aclose()


async def test_cancelled_requests_leave_the_queue(monkeypatch):
    sizes = record_batches(monkeypatch)
    policy = make()
    tasks = [asyncio.create_task(ask(policy, "a", s)) for s in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done[1], asyncio.CancelledError)
    assert sum(isinstance(d, Generation) for d in done) == 3
    assert sizes == [3]
    await policy.aclose()


async def test_one_impossible_prompt_fails_alone(policy):
    results = await asyncio.gather(
        ask(policy, "ok"), ask(policy, "x" * 300), ask(policy, ""), return_exceptions=True
    )
    assert isinstance(results[0], Generation)
    assert isinstance(results[1], GenerationError)
    assert "300 tokens" in str(results[1])
    assert "256" in str(results[1])
    assert isinstance(results[2], GenerationError)


async def test_output_is_cut_at_the_context(policy):
    policy.eos_ids = set()
    got = await ask(policy, "x" * 250, max_tokens=100)
    assert got.finish_reason == "length"
    assert len(got.token_ids) == 6


async def test_text_excludes_end_of_text_and_empty_answers_are_data(policy):
    policy.eos_ids.update(range(100))  # whatever comes first ends the text
    got = await ask(policy, "ab")
    assert got.text == ""
    assert got.finish_reason == "stop"
    assert len(got.token_ids) == len(got.logprobs) == 1
    policy.eos_ids.intersection_update({1})
    assert policy.decode([*policy.tokenizer.encode("x = 1"), 1]) == "x = 1"


async def test_a_defect_in_the_worker_surfaces_and_the_next_batch_works(monkeypatch, policy):
    def broken(*args, **kwargs):
        raise KeyError("defect")

    with monkeypatch.context() as patch:
        patch.setattr(local, "sample_rows", broken)
        with pytest.raises(KeyError, match="defect"):
            await ask(policy, "a")
    assert (await ask(policy, "a")).token_ids


async def test_memory_errors_split_the_batch(monkeypatch, policy):
    sizes: list[int] = []
    real = local.sample_rows

    def small(model, rows, **arguments):
        sizes.append(len(rows))
        if len(rows) > 2 or len(rows[0].prompt_ids) > 9:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried …")
        return real(model, rows, **arguments)

    monkeypatch.setattr(local, "sample_rows", small)
    texts = ["a", "b", "c", "long long long", "d"]
    results = await asyncio.gather(*(ask(policy, t) for t in texts), return_exceptions=True)
    assert [isinstance(r, Generation) for r in results] == [True, True, True, False, True]
    assert isinstance(results[3], GenerationError)
    assert sizes[0] == 5


async def test_broken_weights_are_a_generation_error(policy):
    with torch.no_grad():
        policy.model.lm_head.weight[5] = float("nan")
    with pytest.raises(GenerationError, match="not finite"):
        await ask(policy, "a")


@pytest.mark.parametrize(
    ("style", "template", "expected"),
    [
        ("micro", None, "Be brief.Q:x"),
        ("chat", None, "Be brief.\n\nQ:x\n\n"),
        ("chat", CHAT, "<system>Be brief.;<user>Q:x;<assistant>"),
        ("chat", NO_SYSTEM, "<user>Be brief.\n\nQ:x;<assistant>"),
    ],
)
def test_messages_become_a_prompt(style, template, expected):
    policy = make(style=style, template=template)
    messages = [Message("system", "Be brief."), Message("user", "Q:x")]
    assert policy.tokenizer.decode(policy.encode(messages)) == expected


async def test_published_weights_change_answers_and_versions(policy):
    before = await ask(policy, "abc", max_tokens=30)
    other = {name: w * 0.5 for name, w in policy.model.state_dict().items()}
    policy.load_weights(other, version=4)
    after = await ask(policy, "abc", max_tokens=30)
    assert after.policy_version == 4
    assert after.token_ids != before.token_ids
    for name, weight in policy.model.state_dict().items():
        assert torch.equal(weight, other[name])
    assert policy.differs(other) is None
    other["model.norm.weight"].zero_()  # the policy owns a copy
    assert policy.model.state_dict()["model.norm.weight"].abs().sum() > 0
    assert policy.differs(other) == "model.norm.weight"


async def test_weights_change_between_batches_only(monkeypatch, policy):
    versions = []
    real = local.sample_rows

    def slow(model, rows, **arguments):
        worker = threading.Thread(target=policy.load_weights, args=(policy.model.state_dict(), 9))
        worker.start()
        real(model, rows, **arguments)
        versions.append(policy.version)

    monkeypatch.setattr(local, "sample_rows", slow)
    got = await ask(policy, "a")
    assert policy._worker is not None
    await asyncio.wrap_future(policy._worker.submit(int))  # after the batch
    assert versions == [0]
    assert got.policy_version == 0
    monkeypatch.setattr(local, "sample_rows", real)
    assert (await ask(policy, "a")).policy_version == 9


def test_bad_weights_are_refused_whole():
    policy = make()
    good = policy.model.state_dict()
    kept = {name: w.clone() for name, w in good.items()}
    changed = {name: w + 1 for name, w in good.items()}
    name = "model.norm.weight"
    for broken, message in (
        ({k: v for k, v in changed.items() if k != name}, "missing"),
        (changed | {"nonsense": torch.zeros(1)}, "nonsense"),
        (changed | {name: torch.zeros(3)}, "shape"),
    ):
        with pytest.raises(ValueError, match=message):
            policy.load_weights(broken, 1)
    assert policy.version == 0
    assert all(torch.equal(w, kept[n]) for n, w in policy.model.state_dict().items())


async def test_a_tied_output_head_follows_its_embedding():
    model = tiny_model()
    model.config.tie_word_embeddings = True
    model.tie_weights()
    policy = LocalPolicy("tied", model, char_tokenizer(), prompt_style="micro")
    half = {n: w * 0.5 for n, w in model.state_dict().items() if n != "lm_head.weight"}
    policy.load_weights(half, 1)
    embedding = model.get_input_embeddings().weight
    assert torch.equal(model.lm_head.weight, embedding)
    assert torch.equal(embedding, half["model.embed_tokens.weight"])
    await policy.aclose()


def test_clone_is_independent_float32():
    policy = LocalPolicy(
        "b", tiny_model().to(torch.bfloat16), char_tokenizer(), prompt_style="micro"
    )
    clone = policy.clone_model()
    weight = next(clone.parameters())
    assert weight.dtype == torch.float32
    assert weight.requires_grad
    assert not clone.training
    with torch.no_grad():
        weight.zero_()
    assert next(policy.model.parameters()).abs().sum() > 0


async def test_close_twice_and_waiting_requests_fail(policy):
    task = asyncio.create_task(ask(policy, "a"))
    await asyncio.sleep(0)
    await policy.aclose()
    with pytest.raises(GenerationError, match="closed"):
        await task
    await policy.aclose()


def test_a_policy_outlives_an_event_loop():
    policy = make()
    first = asyncio.run(ask(policy, "a"))
    assert asyncio.run(ask(policy, "a")).token_ids == first.token_ids
    asyncio.run(policy.aclose())


async def test_two_tokenizers_never_mix():
    """Each policy answers in its own ids; agents exchange text only."""
    one = make("llama")
    two = LocalPolicy("small", tiny_model("neox", vocab=40), char_tokenizer(), prompt_style="micro")
    a, b = await asyncio.gather(ask(one, "0123"), ask(two, "0123"))
    assert max(b.token_ids) < 40
    assert b.text == two.decode(b.token_ids)
    assert a.text == one.decode(a.token_ids)
    await asyncio.gather(one.aclose(), two.aclose())
