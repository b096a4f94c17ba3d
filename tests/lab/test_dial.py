"""The overlap dial: exact overlaps, models that are made once, reproducible and whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.errors import AgentSpecError, UsageError
from mars2.lab.dial import ambiguities, digest, directory_name, make_dial
from mars2.lab.families.pieces import VOCABULARIES

PAIRS = [p for v in VOCABULARIES.values() for p in v.pairs]
TWIN = {p.first.name: p.second.name for p in PAIRS} | {p.second.name: p.first.name for p in PAIRS}
STRATUM = {
    piece.name: (family, pair.kind)
    for family, v in VOCABULARIES.items()
    for pair in v.pairs
    for piece in (pair.first, pair.second)
}


@given(st.integers(1, 4), st.integers(0, 12), st.integers(0, 10**6))
def test_any_two_agents_share_exactly_the_overlap(agents: int, twelfths: int, seed: int) -> None:
    found = [set(own) for own in ambiguities(agents, twelfths / 12, seed)]
    for i, own in enumerate(found):
        assert len(own) == 12
        assert not own & {TWIN[piece] for piece in own}  # never both of a pair
        strata = [STRATUM[piece] for piece in own]
        assert {strata.count(s) for s in strata} == {2}  # as many of each kind and family
        for other in found[:i]:
            assert len(own & other) == twelfths
    if agents > 1 and twelfths < 12:
        shared = set.intersection(*found)
        assert len(shared) == twelfths  # and what is shared is shared by all


@given(st.integers(0, 10**6))
def test_turning_the_dial_changes_as_little_as_it_can(seed: int) -> None:
    before = ambiguities(4, 0, seed)
    for twelfths in range(1, 13):
        now = ambiguities(4, twelfths / 12, seed)
        assert now[0] == before[0]  # the first agent is the same model at every overlap
        assert all(len(set(a) & set(b)) == 11 for a, b in zip(before[1:], now[1:], strict=True))
        assert ambiguities(2, twelfths / 12, seed) == now[:2]  # a further agent changes no other
        before = now


def test_recipes_are_shared_where_they_can_be() -> None:
    none, half, all_ = (make_dial(2, o, twin=True, double=True) for o in (0, 0.5, 1))
    assert none.agents["a1"] == half.agents["a1"] == all_.agents["a1"]
    assert len({digest(d.agents["a2"]) for d in (none, half, all_)}) == 3
    one, twin, double = none.agents["a1"], none.controls["twin"], none.controls["double"]
    assert (one.base, one.pieces) == (twin.base, twin.pieces)
    assert one.seed != twin.seed
    assert (one.pieces, one.seed) == (double.pieces, double.seed)
    assert double.base.double
    assert not one.base.double
    assert make_dial(2, 0, seed=1).agents["a1"].base == one.base  # bases serve all seeds
    mixed = make_dial(3, 0, bases=("loom", "lark")).agents
    assert [a.base.packaged for a in mixed.values()] == ["loom", "lark", "loom"]
    assert directory_name(one.base).startswith("base-loom-")
    assert directory_name(double).startswith("loom-double-")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"agents": 5}, "5 agents"),
        ({"agents": 0}, "0 agents"),
        ({"overlap": 1.5}, "overlap of 1.5"),
        ({"rate": -0.1}, "rate of -0.1"),
        ({"steps": 0}, "at least one step"),
    ],
)
def test_what_there_is_not_is_refused(change: dict[str, float], said: str) -> None:
    values = {"agents": 2, "overlap": 0.5} | change
    with pytest.raises(UsageError, match=said):
        make_dial(**values)  # type: ignore[arg-type]
    with pytest.raises(AgentSpecError, match="owl"):
        make_dial(2, 0.5, bases=("owl",))


# ------------------------------------------------------------------ models


@pytest.mark.parametrize("name", ["lark", "loom"])
def test_twice_the_parameters_and_the_same_function(name: str) -> None:
    torch = pytest.importorskip("torch", reason="models need torch")
    from transformers import AutoModelForCausalLM

    from mars2.lab import weights_dir
    from mars2.lab.finish import doubled

    model = AutoModelForCausalLM.from_pretrained(weights_dir(name), dtype=torch.float32).eval()
    larger = doubled(model).eval()
    sizes = [sum(p.numel() for p in m.parameters()) for m in (model, larger)]
    assert 1.8 < sizes[1] / sizes[0] < 2.2
    ids = torch.randint(2, 500, (2, 30), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(model(input_ids=ids).logits, larger(input_ids=ids).logits, atol=1e-4)
    loss = larger(input_ids=ids, labels=ids).loss
    loss.backward()
    # every block learns, the new ones too
    block = [
        p for n, p in larger.named_parameters() if n.endswith(("o_proj.weight", "dense.weight"))
    ]
    assert len(block) == larger.config.num_hidden_layers
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in block)
