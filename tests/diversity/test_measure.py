"""From solutions to the report: whom it compares, whom it leaves out, by hand on small sets."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from mars2.diversity.embed import Lexical, make_embedder
from mars2.diversity.measure import AT_MOST, LEVELS, measure
from mars2.diversity.normal import distance, normalise, parse
from mars2.diversity.solutions import Solution, Source
from mars2.errors import UsageError

LOOP = "def f(a):\n    s = 0\n    for x in a:\n        s += x\n    return s\n"
LOOP2 = LOOP.replace("x", "value")
FOLD = "def f(a):\n    return sum(a)\n"
SORT = "def f(a):\n    return sorted(a)[0]\n"


class Kinds:
    """Orthogonal vectors by the text's first character."""

    method = "kinds"
    cut = 0

    def __call__(self, texts):
        return np.eye(128)[[ord(t.strip()[0]) for t in texts]]


def of(*solutions: Solution, levels=LEVELS, embedder=None, **more):
    source = Source(Path("x"), "file", list(solutions), list(solutions), **more)
    return measure(source, levels, embedder or Kinds(), resamples=50)


def programs(agent: str, problem: str, *texts: str | None, **more) -> list[Solution]:
    return [Solution(problem, agent, text, **more) for text in texts]


def between(a: str, b: str) -> float:
    return distance(normalise(parse(a)).profile, normalise(parse(b)).profile)


def test_means_over_pairs_then_over_problems_by_hand():
    found = of(
        *programs("a", "p1", "x = 1", "x = 1", "y = 1"),  # 2 of 3 pairs differ
        *programs("a", "p2", "x = 1", "y = 1"),  # 1 of 1
        *programs("a", "p3", "x = 1"),  # no pair
        *programs("b", "p1", "x = 1", "x = 2"),  # 0
        *programs("b", "p2", "z = 1"),
        levels=["semantic"],
    )["levels"]["semantic"]
    a, b = found["agents"]["a"], found["agents"]["b"]
    assert a["diversity"] == pytest.approx((2 / 3 + 1) / 2)
    assert (a["problems"], a["solutions"], a["single"]) == (2, 5, 1)
    assert a["ci95"][0] <= a["diversity"] <= a["ci95"][1]
    assert b["diversity"] == 0
    assert (b["problems"], b["single"]) == (1, 1)
    assert math.isnan(b["ci95"][0])  # one problem says nothing about others
    (pair,) = found["between"]
    assert (pair["a"], pair["b"], pair["problems"]) == ("a", "b", 2)
    assert pair["diversity"] == pytest.approx((1 / 3 + 1) / 2)
    # Only p1 has two of each: 1/3 − (2/3 + 0) / 2.
    assert pair["excess"] == pytest.approx(0)
    # And the team there: (2/3 + 0 + 2 · 1/3) / 4.
    assert found["team"]["diversity"] == pytest.approx(1 / 3)
    assert found["team"]["problems"] == 1


def test_algorithmic_numbers_by_hand():
    found = of(*programs("a", "p", LOOP, LOOP2, FOLD, SORT), levels=["algorithmic"])
    level = found["levels"]["algorithmic"]
    pairs = [between(x, y) for x, y in itertools.combinations([LOOP, LOOP2, FOLD, SORT], 2)]
    row = level["agents"]["a"]
    assert row["diversity"] == pytest.approx(sum(pairs) / 6)
    # Approaches: single_pass twice, reduction, sorting.
    assert row["entropy_bits"] == pytest.approx(1.5)
    assert row["entropy_miller_madow"] == pytest.approx(1.5 + 2 / (8 * math.log(2)))
    assert row["approaches_differ"] == pytest.approx(1 - 2 / 12)
    assert level["families"] == {"a": {"single_pass": 0.5, "reduction": 0.25, "sorting": 0.25}}


def test_duplicates_by_hand():
    found = of(
        *programs("a", "p", LOOP, LOOP, LOOP2, "print 1", "print 1", "print 2", None),
        *programs("b", "p", LOOP),  # another agent's program is no repetition
        *programs("a", "q", LOOP),  # nor is another problem's
    )
    assert found["duplicates"] == {
        "a": {"solutions": 7, "exact": 2, "normalised": 3},
        "b": {"solutions": 1, "exact": 0, "normalised": 0},
    }


def test_what_cannot_be_compared_is_counted():
    found = of(
        *programs("a", "p", None, "", "print 1", "x = 1\n" * 170_000, FOLD, SORT),
        Solution("p", "a", FOLD, reasoning=""),
        Solution("p", "a", FOLD, reasoning="  Add them."),
        Solution("p", "a", FOLD, reasoning="Better fold."),
    )["levels"]
    assert found["semantic"]["left_out"] == {"no_program": 2}
    assert found["algorithmic"]["left_out"] == {"no_program": 2, "syntax": 1, "too_large": 1}
    assert found["algorithmic"]["agents"]["a"]["solutions"] == 5
    assert found["reasoning"]["left_out"] == {"no_text": 1, "text_unknown": 6}
    assert found["reasoning"]["agents"]["a"]["diversity"] == 1.0


def test_nothing_to_compare_is_no_error():
    found = of(*programs("a", "p", None), *programs("b", "q", None))
    for level in LEVELS:
        assert found["levels"][level]["agents"] == {}
    assert found["duplicates"] == {}


def test_steps_are_kept_apart_and_the_latest_stands_for_the_run():
    rows = [
        *programs("a", "p", "x", "y", step=0),
        *programs("a", "q", "x", "x", step=0),
        *programs("a", "p", "x", "x", step=5),
        *programs("a", "q", "x", "x", step=5),
    ]
    found = of(*rows, levels=["semantic"], latest=5)
    level = found["levels"]["semantic"]
    assert [(r["step"], r["agent"], r["diversity"]) for r in level["steps"]] == [
        (0, "a", 0.5),
        (5, "a", 0.0),
    ]
    assert level["agents"]["a"]["diversity"] == 0.0
    assert (found["step"], found["solutions"]) == (5, 4)
    # Without a latest step, a problem counts once: the mean of its steps.
    whole = of(*rows, levels=["semantic"])["levels"]["semantic"]["agents"]["a"]
    assert (whole["diversity"], whole["problems"]) == (0.25, 2)


def test_only_the_first_solutions_are_compared():
    found = of(*programs("a", "p", *["x"] * AT_MOST, "y", "z"), levels=["semantic"])
    assert found["levels"]["semantic"]["agents"]["a"]["diversity"] == 0
    assert "2 solutions beyond the first" in found["notes"][0]


def test_vendi_is_taken_at_equal_numbers():
    found = of(
        *programs("a", "p", "w", "x", "y", "z"), *programs("b", "p", "w", "x"), levels=["semantic"]
    )["levels"]["semantic"]["agents"]
    assert found["a"]["vendi"] == pytest.approx(2.0)
    assert found["b"]["vendi"] == pytest.approx(2.0)


def test_the_lexical_embedder_by_hand():
    rows = Lexical()(["a b", "a b a"])
    assert sorted(rows[0][rows[0] > 0]) == [1, 1, 1]  # a, b, "a b"
    two = 1 + math.log(2)
    assert sorted(rows[1][rows[1] > 0]) == pytest.approx([1, 1, 1, 1, two])  # a twice; "a b a"
    assert Lexical()(["x = 1"]).tolist() == Lexical()(["X   =  1"]).tolist()


def test_lexical_distances_grow_with_what_is_replaced():
    from mars2.diversity.dispersion import cosine_distances

    words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog"]
    texts = [" ".join([*("z" * i + "q" for i in range(1, n + 1)), *words[n:]]) for n in range(10)]
    found = cosine_distances(Lexical()(texts))[0]
    assert list(found) == sorted(found)
    assert found[-1] > 0.95


def test_unknown_embedders_are_refused():
    with pytest.raises(UsageError, match="lexical, minilm"):
        make_embedder("word2vec")


def test_a_missing_package_is_named(monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n.startswith("gt_") else real(n, *a)
    )
    with pytest.raises(UsageError, match=r"mars2\[embed\]"):
        make_embedder("minilm")
