"""The families: the split holds, references are right, and almost right is wrong."""

from __future__ import annotations

import hashlib
import random
from itertools import islice

import pytest

from mars2.errors import ProblemError
from mars2.lab.corpus import examples, misread
from mars2.lab.families import FAMILIES, composition_of, load_family
from mars2.lab.families.cases import N_PRIVATE, N_PUBLIC, confusions, draw_input
from mars2.lab.families.compose import DEEP, draw, every, one_each, skeletons
from mars2.lab.families.pieces import VOCABULARIES
from mars2.lab.families.render import STYLES, render, run
from mars2.lab.specs import SPECS
from mars2.types import FunctionalTest, Problem

HARD = ("hard-lists", "hard-strings")


def both_splits(name: str) -> list[Problem]:
    return load_family(name) + load_family(name, "heldout")


def answers(problem: Problem, code: str, which: str = "all") -> list[bool]:
    function = run(code)
    tests = problem.tests("all") if which == "all" else problem.tests("public")
    chosen = [t for t in tests if isinstance(t, FunctionalTest)]
    return [function(*t.args) == t.expected for t in chosen]


def test_there_are_enough_problems() -> None:
    assert len(load_family("mix", "train")) >= 300
    assert len(load_family("mix", "heldout")) >= 100
    assert load_family("mix", "train") == load_family("mix")


@pytest.mark.parametrize("name", FAMILIES)
def test_ids_and_statements_are_unique(name: str) -> None:
    problems = both_splits(name)
    assert len({p.id for p in problems}) == len(problems)
    assert len({p.statement for p in problems}) == len(problems)


def test_any_prefix_of_the_mix_is_balanced() -> None:
    families = [p.metadata["family"] for p in load_family("mix", "heldout")[:40]]
    assert families.count("lists") == families.count("strings") == 20


def test_what_packaged_models_were_made_for_stays_as_it_was() -> None:
    problems = "".join(p.model_dump_json() for p in both_splits("mix"))
    assert hashlib.sha256(problems.encode()).hexdigest()[:16] == "46b042f16e68390f"


@pytest.mark.parametrize("name", [*VOCABULARIES, *HARD])
def test_references_in_both_styles_pass_all_tests(name: str) -> None:
    for problem in both_splits(name):
        for style in STYLES:
            assert all(answers(problem, render(composition_of(problem), style)))


@pytest.mark.parametrize("name", VOCABULARIES)
def test_every_confusion_of_one_or_two_pieces_fails(name: str) -> None:
    shown = total = 0
    for problem in both_splits(name):
        assert len(problem.public_tests) == N_PUBLIC
        assert len(problem.private_tests) == N_PRIVATE
        for wrong in confusions(composition_of(problem)):
            results = answers(problem, render(wrong, "loop"))
            assert not all(results[N_PUBLIC:]), f"{problem.id} accepts {wrong.key}"
            total += 1
            shown += not all(results[:N_PUBLIC])
    assert shown / total > 0.95  # nearly always also seen on a public test


@pytest.mark.parametrize("name", HARD)
def test_almost_right_is_wrong_for_hard_problems_too(name: str) -> None:
    shown = total = 0
    for problem in load_family(name, "heldout"):
        for wrong in confusions(composition_of(problem)):
            results = answers(problem, render(wrong, "loop"))
            assert not all(results[N_PUBLIC:]), f"{problem.id} accepts {wrong.key}"
            total += 1
            shown += not all(results[:N_PUBLIC])
    assert shown / total > 0.85


@pytest.mark.parametrize("family", VOCABULARIES)
def test_hard_problems_are_longer_and_split_by_skeleton(family: str) -> None:
    sides = {s: {c.skeleton for c in one_each(family, s, DEEP)} for s in ("train", "heldout")}
    assert not sides["train"] & sides["heldout"]
    easier = {p.id for p in both_splits(family)}
    for side, skeletons_of_side in sides.items():
        problems = load_family(f"hard-{family}", side)
        assert len(problems) >= 100
        assert not easier & {p.id for p in problems}
        for problem in problems:
            composition = composition_of(problem)
            assert len(composition.steps) in (4, 5)
            assert composition.skeleton in skeletons_of_side


def test_both_styles_agree_on_any_pipeline() -> None:
    rng = random.Random(0)
    for _ in range(300):
        composition = draw(rng.choice(list(VOCABULARIES)), "train", rng, DEEP)
        programs = [run(render(composition, style)) for style in STYLES]
        for _ in range(5):
            value = draw_input(composition, rng)
            assert programs[0](value) == programs[1](value), composition.key


def test_private_tests_are_not_public_ones() -> None:
    for problem in load_family("mix", "heldout") + load_family("hard", "heldout"):
        shown = [t.args for t in problem.public_tests if isinstance(t, FunctionalTest)]
        hidden = [t.args for t in problem.private_tests if isinstance(t, FunctionalTest)]
        assert not [a for a in hidden if a in shown]


@pytest.mark.parametrize("family", VOCABULARIES)
def test_the_split_is_by_skeleton(family: str) -> None:
    sides = {s: {c.skeleton for c in every(family, s)} for s in ("train", "heldout")}
    assert not sides["train"] & sides["heldout"]
    assert 0.1 < len(sides["heldout"]) / (len(sides["train"]) + len(sides["heldout"])) < 0.3
    # each pair is met on both sides, in some composition
    for side in ("train", "heldout"):
        pairs = {p.name for skeleton in skeletons(family, side) for p in skeleton}
        assert pairs == {p.name for p in VOCABULARIES[family].pairs}
    for side in ("train", "heldout"):
        problems = load_family(family, side)
        assert {composition_of(p).skeleton for p in problems} <= sides[side]


def test_twins_are_on_the_same_side() -> None:
    rng = random.Random(0)
    for _ in range(200):
        composition = draw(rng.choice(list(VOCABULARIES)), "heldout", rng)
        assert all(c.split == "heldout" for c in confusions(composition, 3))


def test_a_deep_corpus_holds_no_hard_held_out_composition() -> None:
    held = {(f, c.skeleton) for f in VOCABULARIES for c in one_each(f, "heldout", DEEP)}
    lengths = []
    for example in islice(examples({}, "loop", 0.6, 0, deep=0.6), 1500):
        assert (example.family, example.skeleton) not in held
        lengths.append(example.skeleton.count("+") + 1)
    assert set(lengths) == {2, 3, 4, 5}
    assert abs(sum(n > 3 for n in lengths) / len(lengths) - 0.6) < 0.06


@pytest.mark.parametrize("name", SPECS)
def test_no_held_out_composition_or_program_is_in_the_pretraining_corpus(name: str) -> None:
    recipe = SPECS[name]
    held_skeletons = {(f, c.skeleton) for f in VOCABULARIES for c in every(f, "heldout")}
    held_out = load_family("mix", "heldout")
    statements = {p.statement for p in held_out}
    programs = {render(composition_of(p), recipe.style) for p in held_out}
    for example in islice(examples(recipe.misreads, recipe.style, recipe.first_attempts, 0), 4000):
        assert (example.family, example.skeleton) not in held_skeletons
        assert example.prompt.split("\n")[0].removeprefix("Q:") not in statements
        assert example.program.rstrip("\n") not in programs


def test_the_corpus_is_seeded() -> None:
    recipe = next(iter(SPECS.values()))

    def some(seed: int) -> list[tuple[str, str]]:
        stream = examples(recipe.misreads, recipe.style, recipe.first_attempts, seed)
        return [(e.prompt, e.program) for e in islice(stream, 50)]

    assert some(3) == some(3)
    assert some(3) != some(4)


def test_the_corpus_is_ambiguous_where_the_recipe_says_so_and_nowhere_else() -> None:
    for recipe in SPECS.values():
        wrong: dict[str, list[bool]] = {}
        for family in VOCABULARIES:
            rng = random.Random(1)
            for _ in range(2500):
                stated = draw(family, "train", rng)
                believed = misread(stated, recipe.misreads, rng)
                for a, b in zip(stated.steps, believed.steps, strict=True):
                    wrong.setdefault(a.piece.name, []).append(a.variant != b.variant)
        for piece, flips in wrong.items():
            assert abs(sum(flips) / len(flips) - recipe.misreads.get(piece, 0.0)) < 0.08


@pytest.mark.parametrize(("name", "split"), [("nope", "train"), ("lists", "test")])
def test_unknown_names_are_refused_by_name(name: str, split: str) -> None:
    with pytest.raises(ProblemError, match="nope" if name == "nope" else "test"):
        load_family(name, split)


def test_only_lab_problems_have_a_composition() -> None:
    other = Problem(
        id="x", statement="s", entry_point="f", public_tests=[FunctionalTest(args=[], expected=1)]
    )
    with pytest.raises(ProblemError, match="x"):
        composition_of(other)
