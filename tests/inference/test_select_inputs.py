"""Generated inputs keep what all examples have in common."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mars2.inference.inputs import calls_in, generate_inputs
from mars2.problems import load
from mars2.types import AssertionTest, FunctionalTest, Problem, StdinTest


def problem(*examples: Any) -> Problem:
    """Of argument lists, or of texts for standard input."""
    if isinstance(examples[0], str):
        tests: list[Any] = [StdinTest(input=x, expected="") for x in examples]
    else:
        tests = [FunctionalTest(args=x, expected=None) for x in examples]
    return Problem(id="p", statement="s", entry_point="f", public_tests=tests)


def made(*examples: Any, count: int = 60) -> list[Any]:
    tests = generate_inputs(problem(*examples), count)
    return [t.input if isinstance(t, StdinTest) else t.args for t in tests]  # type: ignore[union-attr]


def test_the_same_seed_gives_the_same_inputs_none_of_them_known() -> None:
    p = problem([[3, 1, 2], 4], [[5], 6])
    first = generate_inputs(p, 20, seed=1)
    assert first == generate_inputs(p, 20, seed=1)
    assert first != generate_inputs(p, 20, seed=2)
    texts = [repr(t.args) for t in first]  # type: ignore[union-attr]
    assert len(texts) == len(set(texts)) == 20
    assert not {"[[3, 1, 2], 4]", "[[5], 6]"} & set(texts)


def test_examples_are_not_changed_themselves() -> None:
    p = problem([[3, 1, 2], [[1, 2], [3, 4]]])
    before = p.model_dump()
    generate_inputs(p, 30)
    assert p.model_dump() == before


def test_signs_types_and_emptiness_are_kept() -> None:
    for a, b, c in made([[3, 1], 1, "ab"], [[7, 7, 2], 0, "cab"]):
        assert a
        assert all(type(x) is int and x >= 1 for x in a)
        assert type(b) is int
        assert b >= 0
        assert c.isalpha()
        assert c.islower()
    assert any(x < 0 for (a,) in made([[3, -1]]) for x in a)
    assert [] in [a for a, _ in made([[1], 5], [[], 6])]


def test_sizes_vary_and_a_length_beside_a_list_follows() -> None:
    lists = made([3, [5, 1, 4]], [1, [2]])
    assert all(n == len(a) for n, a in lists)
    assert len({n for n, _ in lists}) > 3


def test_order_distinctness_and_rows_are_kept() -> None:
    assert all(a == sorted(set(a)) for (a,) in made([[1, 4, 9]], [[2, 3, 5, 8]]))
    for (grid,) in made([[[1, 2, 3], [4, 5, 6]]], [[[7, 8, 9]]]):
        assert all(len(row) == 3 for row in grid)
    for (names,) in made([["abc", "abd"]], [["xyz"]]):
        assert all(len(name) == 3 for name in names)


def test_small_alphabets_are_kept() -> None:
    assert all(set(s) <= set("()") for (s,) in made(["(())()"], ["()()"]))
    assert {c for (s,) in made(["hello"]) for c in s} > set("hello")


def test_words_come_and_go_where_an_example_has_several() -> None:
    counts = {len(s.split()) for (s,) in made(["tea for two"])}
    assert min(counts) < 3 < max(counts)
    assert all(" " not in s for (s,) in made(["tea"], ["two"]))


def test_counts_of_standard_input_follow() -> None:
    sizes = set()
    for text in made("3\n5 1 4\n", "2\n7 7\n"):
        n, words = text.rstrip("\n").split("\n")
        assert int(n) == len(words.split(" "))
        assert text.endswith("\n")
        sizes.add(n)
    assert len(sizes) > 2
    for text in made("2\n1 4\n6 3\n", "1\n5 5\n"):
        first, *rows = text.rstrip("\n").split("\n")
        assert int(first) == len(rows)
        assert all(len(row.split(" ")) == 2 for row in rows)


def test_grids_of_standard_input_keep_their_width() -> None:
    for text in made("2 3\n#.#\n..#\n", "1 4\n#..#\n"):
        head, *rows = text.rstrip("\n").split("\n")
        height, width = map(int, head.split())
        assert len(rows) == height
        assert all(len(row) == width and set(row) <= set("#.") for row in rows)


def test_what_is_not_counted_keeps_its_place() -> None:
    for text in made("10 2\nabc\n", "7 1\nxy\n"):
        first, word = text.rstrip("\n").split("\n")
        assert len(first.split(" ")) == 2
        assert word.isalpha()


def test_calls_in_test_programs_are_examples() -> None:
    program = "assert f([1, 2], k=1) == 3\nassert f([3], 4) == f(x, 2)\nassert candidate([5], 6)"
    assert calls_in(program, "f") == [[[3], 4], [[5], 6]]
    assert calls_in("def (", "f") == []
    test = AssertionTest(program="assert f([3, 4]) == 7")
    p = Problem(id="p", statement="s", entry_point="f", public_tests=[test])
    tests = generate_inputs(p, 5)
    assert len(tests) == 5
    assert all(isinstance(t, FunctionalTest) for t in tests)


def test_nothing_to_change_gives_nothing() -> None:
    private = FunctionalTest(args=[1], expected=1)
    assert (
        generate_inputs(Problem(id="p", statement="s", entry_point="f", private_tests=[private]), 5)
        == []
    )
    assert made([]) == []
    assert len(made([True])) == 1  # there is but one other


VALUES = st.recursive(
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | st.booleans()
    | st.none(),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=2), x, max_size=2),
    max_leaves=6,
)


@given(st.lists(st.lists(VALUES, min_size=2, max_size=2), min_size=1, max_size=3))
def test_any_arguments_will_do(calls: list[list[Any]]) -> None:
    for args in made(*calls, count=3):
        assert len(args) == 2


@given(st.lists(st.text("01ab -\n.", max_size=20), min_size=1, max_size=3))
def test_any_text_will_do(texts: list[str]) -> None:
    for text in made(*texts, count=3):
        assert isinstance(text, str)


def test_every_builtin_problem_gets_inputs() -> None:
    few = [p.id for p in load("builtin") if p.public_tests and len(generate_inputs(p, 8)) < 8]
    assert len(few) <= 3, few
