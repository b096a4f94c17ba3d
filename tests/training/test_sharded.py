"""A learner spread over two real processes is the learner of one process: loss, gradients, weights,
checkpoints. One pair of processes serves all tests; the last one kills it."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from run_kit import config, policy, run, tokenizer
from training_kit import family, samples, tiny_gpt2, tiny_llama, tiny_neox
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM

from mars2.agents.base import Agent
from mars2.config import LearnerConfig, ObjectiveConfig, load_config
from mars2.errors import ConfigError, LearnerLostError, TrainingError, UsageError
from mars2.training.buffer import SampleBuffer
from mars2.training.checkpoint import (
    PolicyState,
    export_final,
    latest_checkpoint,
    restore_policy,
    save_checkpoint,
)
from mars2.training.forward import abilities, batches, output_logprobs
from mars2.training.learner import Learner
from mars2.training.learning import LearnerSetup
from mars2.training.packing import pack, packed_batches
from mars2.training.sharded import learners
from mars2.training.sharded_part import deal

CLOSE = {"rtol": 1e-5, "atol": 1e-6}
SETTINGS = LearnerConfig(lr=1e-3, micro_batch_tokens=48, shards=2, max_grad_norm=1e9)
TREE = family([(12, [5, 9, 3]), (6, [7, 8]), (15, [4, 4])], seed=1, common=9)


def tiny_gemma2(seed: int = 4) -> Gemma2ForCausalLM:
    """Caps logits in attention and at its end: neither packs, nor splits into body and head."""
    torch.manual_seed(seed)
    shape = Gemma2Config(
        vocab_size=24,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        final_logit_softcapping=0.5,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=None,
    )
    return Gemma2ForCausalLM(shape).eval()


@pytest.fixture(scope="module")
def make():
    with learners(SETTINGS) as make_learner:
        yield make_learner


def sharded(make, model, settings=SETTINGS, objective=None, name="p", steps=10):
    setup = LearnerSetup(name, settings, objective or ObjectiveConfig(kl_beta=0), steps)
    return make(setup, SimpleNamespace(name=name, model=model, version=0))


def single(model, settings=SETTINGS, objective=None, name="p", steps=10):
    objective = objective or ObjectiveConfig(kl_beta=0)
    return Learner(name, copy.deepcopy(model), settings, objective, total_steps=steps)


def gradients(learner) -> dict[int, torch.Tensor]:
    """Of the first step of AdamW: its first moment is (1 − β₁) g then."""
    moments = learner.training_state()["optimizer"]["state"]
    return {i: m["exp_avg"] / 0.1 for i, m in moments.items()}


def same(one: dict, other: dict, **how) -> None:
    assert one.keys() == other.keys()
    for key, tensor in one.items():
        torch.testing.assert_close(other[key], tensor, **(how or {"rtol": 0, "atol": 0}))


LONG = family([(20, [20])] * 3)  # no two fit into a micro-batch
BATCHES = {
    "a tree in several micro-batches": (tiny_llama, TREE, True, 4),
    "an odd number of micro-batches": (tiny_neox, LONG, True, 3),
    "one rank without a sample": (tiny_llama, TREE[:1], True, 1),
    "padded, and a head that is no matrix": (tiny_gemma2, samples(9), False, 3),
}


@pytest.mark.parametrize("case", BATCHES)
def test_loss_and_gradients_are_those_of_one_process(make, case: str) -> None:
    build, batch, packs, count = BATCHES[case]
    model = build()
    one, two = single(model), sharded(make, model)
    first, second = one.update(batch), two.update(batch)
    assert second.loss == pytest.approx(first.loss, abs=1e-6)
    assert second.grad_norm == pytest.approx(first.grad_norm, rel=1e-5)
    assert (second.samples, second.tokens) == (first.samples, first.tokens)
    same(gradients(one), gradients(two), **CLOSE)
    can = abilities(one.model)
    assert can == abilities(two._part.model)
    assert can.packs == can.splits == packs
    assert len(batches(batch, 48, one.model, 2)) == count


@pytest.mark.parametrize("checkpointing", ["auto", "light", True])
def test_whole_updates_give_the_same_weights(make, checkpointing) -> None:
    """KL against a frozen reference, old log-probs of several minibatches, clipping, a schedule."""
    settings = SETTINGS.model_copy(
        update={
            "minibatches": 2,
            "activation_checkpointing": checkpointing,
            "max_grad_norm": 0.3,
            "schedule": "linear",
        }
    )
    objective = ObjectiveConfig(
        kl_beta=0.05, level="token", report_entropy=True, entropy_coef=0.01, normalisation="token"
    )
    model = tiny_llama()
    one = single(model, settings, objective)
    two = sharded(make, model, settings, objective)
    for step in range(3):
        first, second = one.update(samples(9, seed=step)), two.update(samples(9, seed=step))
        assert first.grad_norm > 0.3
        for field in first.__dataclass_fields__:
            assert getattr(second, field) == pytest.approx(getattr(first, field), abs=2e-6), field
    same(one.weights(), two.weights(), **CLOSE)
    assert not torch.equal(one.weights()["lm_head.weight"], model.state_dict()["lm_head.weight"])


def test_saved_by_two_resumed_by_one_and_back(make, tmp_path) -> None:
    """Checkpoints of both kinds are the same files; what is read is what was written, to a bit."""
    model = tiny_llama()
    straight = single(model)
    for step in range(3):
        straight.update(samples(9, seed=step))

    def state(learner) -> PolicyState:
        return PolicyState(learner, SampleBuffer("p", 2), tokenizer("abc"), {})

    def hand_over(giver, taker, step: int) -> None:
        root = tmp_path / str(step)
        save_checkpoint(root, {"p": state(giver)}, step=step, progress={}, digest="", keep=1)
        restore_policy(latest_checkpoint(root), "p", state(taker))
        same(giver.weights(), taker.weights())
        old, new = giver.training_state(), taker.training_state()
        for i, moments in old["optimizer"]["state"].items():
            same(moments, new["optimizer"]["state"][i])
        assert old["optimizer"]["param_groups"] == new["optimizer"]["param_groups"]
        assert (taker.version, taker.updates) == (giver.version, giver.updates) == (step, step)

    two = sharded(make, model)
    two.update(samples(9, seed=0))
    one = single(tiny_llama(seed=9))
    hand_over(two, one, 1)
    one.update(samples(9, seed=1))
    again = sharded(make, tiny_llama(seed=8))
    hand_over(one, again, 2)
    again.update(samples(9, seed=2))
    same(straight.weights(), again.weights(), **CLOSE)

    final = export_final(tmp_path / "final", {"p": state(again)})["p"]
    same(again.weights(), AutoModelForCausalLM.from_pretrained(final).state_dict())
    one.load(again.weights(), again.training_state())
    other = export_final(tmp_path / "other", {"p": state(one)})["p"]
    for name in ("model.safetensors", "config.json", "mars2.json"):
        assert (final / name).read_bytes() == (other / name).read_bytes()


def test_a_loss_that_is_not_finite_on_one_rank_is_skipped_by_all(make) -> None:
    model = tiny_llama()
    two = sharded(make, model)
    good = samples(9)
    bad = [replace(s, advantage=float("inf")) if i == 4 else s for i, s in enumerate(good)]
    seen = two.update(bad)
    assert (seen.optimizer_steps, seen.skipped_steps) == (0, 1)
    assert (two.version, two.failures, two.updates) == (0, 1, 1)
    same(model.state_dict(), two.weights())
    assert two.update(good).optimizer_steps == 1
    one = single(model)
    one.update(bad)
    one.update(good)
    same(one.weights(), two.weights(), **CLOSE)


def test_log_probs_are_told_and_a_policy_elsewhere_gives_a_copy(make) -> None:
    model, rows = tiny_llama(), samples(5)
    setup = LearnerSetup("p", SETTINGS, ObjectiveConfig(kl_beta=0), 10)
    away = SimpleNamespace(name="p", model="served", version=3, clone_model=lambda: model)
    told = make(setup, away).score(rows)
    with torch.no_grad():
        for row, ours in zip(rows, told, strict=True):
            want = output_logprobs(model, [row])[0].tolist()
            assert ours == pytest.approx(want, abs=1e-5)


def test_samples_that_are_refused_harm_nothing(make) -> None:
    two = sharded(make, tiny_gpt2(vocab=24))
    with pytest.raises(TrainingError, match="was given a sample of 'other'"):
        two.update(samples(policy="other"))
    assert two.update(samples()).optimizer_steps == 1


def test_two_policies_share_the_processes(make) -> None:
    pair = {n: sharded(make, b(), name=n) for n, b in {"a": tiny_llama, "b": tiny_neox}.items()}
    for name, learner in pair.items():
        one = single({"a": tiny_llama, "b": tiny_neox}[name](), name=name)
        one.update(samples(policy=name))
        learner.update(samples(policy=name))
        same(one.weights(), learner.weights(), **CLOSE)
    assert not any(learner.concurrent for learner in pair.values())


async def test_a_run_publishes_what_sharded_learners_learn(make, tmp_path) -> None:
    team = {"a": Agent("a", policy("llama", tiny_llama(vocab=22)))}
    settings = config(train={"steps": 2}, learner={"min_samples": 1})
    result, _ = await run(tmp_path / "run", settings, team, make_learner=make)
    assert result.status == "finished"
    held = team["a"].policy
    assert held.version > 0
    saved = AutoModelForCausalLM.from_pretrained(result.final["llama"]).state_dict()
    same(held.model.state_dict(), saved)


async def test_a_lost_learner_ends_the_run_instead_of_halting_a_policy(tmp_path) -> None:
    class Lost(Learner):
        def update(self, samples):
            raise LearnerLostError("rank 1 ended with signal 9")

    def lost(setup, policy):
        return Lost(
            setup.policy, policy.clone_model(), setup.config, setup.objective, total_steps=1
        )

    with pytest.raises(LearnerLostError, match="signal 9"):
        await run(tmp_path / "run", make_learner=lost)


@given(
    st.lists(st.integers(1, 50), max_size=12).flatmap(
        lambda sizes: st.tuples(st.just(sizes), st.integers(1, 5))
    )
)
def test_every_micro_batch_is_dealt_once_in_rounds_of_equal_number(drawn) -> None:
    lengths, ranks = drawn
    hands = deal([[i] for i in range(len(lengths))], lengths, ranks)
    assert len(hands) == ranks
    assert len({len(hand) for hand in hands}) == 1
    assert sorted(i for hand in hands for g in hand for i in g) == list(range(len(lengths)))
    for earlier, later in itertools.pairwise(hands):  # who is left out comes last
        assert all(g or not h for g, h in zip(earlier, later, strict=True))


def test_two_ranks_get_equal_micro_batches() -> None:
    rows = family([(40, [11] * 6)] * 5, seed=2)
    for limit, wanted in ((10_000, 2), (400, 2), (250, 4)):
        groups = packed_batches(rows, limit, ranks=2)
        sizes = [len(pack([rows[i] for i in g]).tokens) for g in groups]
        assert len(sizes) == wanted
        assert max(sizes) <= min(limit, 2 * min(sizes))
    assert len(packed_batches(rows[:1], 400, ranks=2)) == 1


def test_settings_that_do_not_fit_are_refused(monkeypatch) -> None:
    with pytest.raises(ConfigError, match="adapters cannot be sharded"):
        load_config(overrides=["learner.shards=2", "learner.lora_rank=4"])
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    for shards in (1, 2):
        with (
            pytest.raises(UsageError, match=r"torchrun started 4 .*set learner.shards = 4"),
            learners(LearnerConfig(shards=shards)),
        ):
            pass


def test_a_model_without_layers_is_refused(make) -> None:
    with pytest.raises(TrainingError, match=r"cannot be sharded: set learner.shards = 1"):
        sharded(make, torch.nn.Linear(2, 2))


def test_a_killed_rank_is_named_and_nothing_hangs(make) -> None:
    """The last test of this file: nobody can use these processes after it."""
    two = sharded(make, tiny_llama())
    (child,) = two._ranks._children
    child.kill()
    for _ in range(2):
        with pytest.raises(LearnerLostError, match="rank 1 ended with signal 9"):
            two.update(samples())
