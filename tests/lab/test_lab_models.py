"""Packaged weights and the build: small, loadable, reproducible, and able to write programs."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from mars2.errors import AgentSpecError  # noqa: E402
from mars2.lab import SPECS, cards, spec, weights_dir  # noqa: E402
from mars2.lab import build as lab_build  # noqa: E402
from mars2.lab.corpus import examples  # noqa: E402
from mars2.lab.specs import CONTEXT, WEIGHTS  # noqa: E402

AWKWARD = ("", "é☃ ▁ ## <x>\t\r\n", "x" * 900, "#" * 30, "a  b   \n\n\n c", "0123456789" * 9)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_the_agents_differ_in_architecture_tokenizer_and_style() -> None:
    assert len(SPECS) >= 2
    for field in ("architecture", "tokenizer", "style"):
        assert len({getattr(s, field) for s in SPECS.values()}) >= 2


def test_packaged_weights_are_small() -> None:
    size = sum(f.stat().st_size for f in WEIGHTS.rglob("*") if f.is_file())
    assert size <= 10 * 2**20
    assert [c["name"] for c in cards()] == list(SPECS)


@pytest.mark.parametrize("name", SPECS)
def test_weights_load_and_the_card_is_theirs(name: str) -> None:
    directory = weights_dir(name)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    parameters = sum(p.numel() for p in model.parameters())
    assert parameters <= 2_000_000
    assert model.config.model_type == spec(name).architecture
    assert model.config.max_position_embeddings == CONTEXT
    card = json.loads((directory / "card.json").read_text())
    assert card["parameters"] == parameters
    assert card["misreads"] == dict(spec(name).misreads)


@pytest.mark.parametrize("name", SPECS)
def test_any_text_survives_the_tokenizer(name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(weights_dir(name))
    recipe = spec(name)
    stream = islice(examples(recipe.misreads, recipe.style, recipe.first_attempts, 9), 400)
    longest = 0
    for text in [*AWKWARD, *(e.prompt + e.program for e in stream)]:
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
        assert tokenizer.eos_token_id not in ids
        longest = max(longest, len(ids))
    assert longest <= CONTEXT


@pytest.mark.parametrize("name", SPECS)
def test_programs_fit_the_token_limit(name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(weights_dir(name))
    recipe = spec(name)
    stream = islice(examples(recipe.misreads, recipe.style, 1.0, 9), 600)
    assert max(len(tokenizer.encode(e.program)) for e in stream) < lab_build.MAX_TOKENS


@pytest.mark.parametrize("name", SPECS)
def test_models_solve_some_held_out_problems_and_not_all(name: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(weights_dir(name), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(weights_dir(name))
    measured = lab_build.measure(model, tokenizer, problems=12, samples=4)
    rates = [r["pass@1"] for r in measured.values()]
    assert 0.1 < min(rates) < max(rates) <= 1.0
    assert 0.3 < sum(rates) / len(rates) < 0.9  # room to learn, and something to learn from


@pytest.mark.parametrize("name", ["lark", pytest.param("loom", marks=pytest.mark.slow)])
def test_a_tiny_build_is_reproducible_bit_for_bit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = replace(spec(name), hidden=32, layers=1, heads=2, intermediate=48, batch=8)
    monkeypatch.setitem(SPECS, name, tiny)
    lines: list[str] = []

    def weights(where: str, seed: int) -> bytes:
        lab_build.build(tmp_path / where, only=name, steps=3, seed=seed, log=lines.append)
        return (tmp_path / where / name / "model.safetensors").read_bytes()

    monkeypatch.setattr(lab_build, "measure", lambda *_: {"lists": {"pass@1": 0.0}})
    assert weights("a", 1) == weights("b", 1)
    assert weights("c", 2) != weights("a", 1)
    files = [sorted(p.name for p in (tmp_path / w / name).iterdir()) for w in ("a", "b")]
    assert files[0] == files[1]
    for file in files[0]:
        if file != "card.json":  # it holds seconds
            both = [(tmp_path / w / name / file).read_bytes() for w in ("a", "b")]
            assert both[0] == both[1], file
    assert any("step 3/3" in line for line in lines)


def test_unknown_models_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(AgentSpecError, match="owl"):
        weights_dir("owl")
    with pytest.raises(AgentSpecError, match="lark"):
        lab_build.build(tmp_path, only="owl")
    assert not list(tmp_path.iterdir())
