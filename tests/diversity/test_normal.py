"""What canonical programs forget, what they keep, and the distance between them."""

from __future__ import annotations

import ast
import builtins
import keyword
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.diversity.measure import analyse
from mars2.diversity.normal import Normal, Profile, distance, normalise, parse
from mars2.diversity.solutions import Solution

SUM = "def total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n"
PROGRAMS = [
    SUM,
    "def total(xs):\n    return sum(xs)\n",
    "import heapq\ndef f(a, k):\n    heapq.heapify(a)\n"
    "    return [heapq.heappop(a) for _ in range(k)]\n",
    "n = int(input())\nfor i in range(n):\n    print(i * 2 if i % 3 else 'x')\n",
    "class Solution:\n    def go(self, n):\n        self.memo = {}\n"
    "        return self.go(n - 1)\n",
    "def f(a, b):\n    while b:\n        a, b = b, a % b\n    return a\n",
]


def normal(code: str) -> Normal:
    module = parse(code)
    assert isinstance(module, ast.Module)
    found = normalise(module)
    assert found is not None
    return found


def apart(a: str, b: str) -> float:
    return distance(normal(a).profile, normal(b).profile)


def test_pq_grams_of_a_tree_by_hand():
    # x + 1: Module over Expr over BinOp over (name x, constant); P = 2, Q = 3.
    found = normal("print(x)\n").profile
    call = "Call"
    assert found == Profile(
        {
            ("*", "Module", "*", "*", "Expr"): 1,
            ("*", "Module", "*", "Expr", "*"): 1,
            ("*", "Module", "Expr", "*", "*"): 1,
            ("Module", "Expr", "*", "*", call): 1,
            ("Module", "Expr", "*", call, "*"): 1,
            ("Module", "Expr", call, "*", "*"): 1,
            ("Expr", call, "*", "*", "name print"): 1,
            ("Expr", call, "*", "name print", "name x"): 1,
            ("Expr", call, "name print", "name x", "*"): 1,
            ("Expr", call, "name x", "*", "*"): 1,
            (call, "name print", "*", "*", "*"): 1,
            (call, "name x", "*", "*", "*"): 1,
        }
    )


def test_distance_by_hand():
    # 12 grams each (above); those that mention the argument differ: 3 of the call, 1 of its leaf.
    assert apart("print(x)\n", "print(y)\n") == pytest.approx(1 - 8 / 16)
    bags = Profile({("a",): 2, ("b",): 1}), Profile({("a",): 1, ("c",): 1})
    assert distance(*bags) == pytest.approx(1 - 1 / 4)
    assert distance(Profile(), Profile()) == 0.0
    assert distance(Profile(), bags[0]) == 1.0


@pytest.mark.parametrize(
    "same",
    [
        "def total(values):\n    acc = 0\n    for v in values:\n        acc += v\n    return acc\n",
        "# a comment\ndef total(xs):\n\n    '''Adds.'''\n    s = (0)\n"
        "    for x in xs: s += x\n    return s\n",
        "from typing import List\ndef total(xs: List[int]) -> int:\n    s: int = 0\n"
        "    for x in xs:\n        s += x\n    return s\n",
        "import math\ndef total(xs):\n    s = 0\n    t: int\n    for x in xs:\n        pass\n"
        "        s += x\n    return s\n",
    ],
    ids=["names", "layout", "annotations", "no effect"],
)
def test_what_does_not_matter_is_forgotten(same):
    assert normal(same).fingerprint == normal(SUM).fingerprint
    assert apart(same, SUM) == 0.0


@pytest.mark.parametrize(
    "other",
    [
        SUM.replace("+=", "-="),
        SUM.replace("s = 0", "s = 1"),
        SUM.replace("s += x", "x += s"),
        SUM.replace("return s", "return x"),
        SUM.replace("    return s", "        return s"),
    ],
    ids=["operator", "constant", "which name", "another name", "nesting"],
)
def test_what_matters_is_kept_in_the_fingerprint(other):
    assert normal(other).fingerprint != normal(SUM).fingerprint


def test_an_import_s_spelling_does_not_matter_but_its_origin_does():
    a = "import heapq as h\nh.heappush(a, 1)\n"
    b = "import heapq\nheapq.heappush(a, 1)\n"
    assert normal(a).fingerprint == normal(b).fingerprint
    c = "from heapq import heappush as p\np(a, 1)\n"
    d = "from heapq import heappop as p\np(a, 1)\n"
    assert normal(c).fingerprint != normal(d).fingerprint
    assert apart(c, d) > 0


def test_a_branch_and_its_else_are_not_one_list():
    assert apart("if a:\n    f()\n    g()\n", "if a:\n    f()\nelse:\n    g()\n") > 0


def renamed(code: str, names: dict[str, str]) -> str:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        for field in ("id", "arg", "name"):
            old = getattr(node, field, None)
            if isinstance(old, str) and not isinstance(node, ast.alias):
                setattr(node, field, names.get(old, old))
    return ast.unparse(tree)


def own_names(code: str) -> list[str]:
    tree = ast.parse(code)
    found = {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    found |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    return sorted(found)


fresh = st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True).filter(
    lambda name: not keyword.iskeyword(name) and not hasattr(builtins, name)
)


@settings(max_examples=60)
@given(st.sampled_from(PROGRAMS), st.data())
def test_renaming_changes_nothing(code, data):
    names = own_names(code)
    taken = set(re.findall(r"\w+", code))  # another meaning for a name would be another program
    size = len(names)
    new = data.draw(
        st.lists(fresh.filter(lambda n: n not in taken), min_size=size, max_size=size, unique=True)
    )
    other = renamed(code, dict(zip(names, new, strict=True)))
    assert normal(other) == normal(code)


@settings(max_examples=40)
@given(st.sampled_from(PROGRAMS), st.sampled_from(PROGRAMS), st.sampled_from(PROGRAMS))
def test_it_is_a_distance(a, b, c):
    assert 0.0 <= apart(a, b) <= 1.0
    assert apart(a, b) == apart(b, a)
    assert apart(a, a) == 0.0
    assert apart(a, c) <= apart(a, b) + apart(b, c) + 1e-12
    if a != b:
        assert apart(a, b) > 0.0


@given(st.integers(1, 8), st.integers(1, 8))
def test_more_changes_are_further_away(few, more):
    """Replacing statements by unrelated ones, one after another."""
    few, more = sorted((few, more))
    lines = [f"print(len(a[{i}]))" for i in range(8)]
    others = [f"while q{i}:\n    q{i}.sort(key=abs)" for i in range(8)]

    def changed(n: int) -> str:
        return "\n".join([*others[:n], *lines[n:]]) + "\n"

    assert apart(changed(0), changed(few)) <= apart(changed(0), changed(more))
    assert apart(changed(0), changed(8)) > 0.8


HOSTILE = {
    "python 2": ('print "hello"\n', "syntax"),
    "null byte": ("x = 1\0", "syntax"),
    "lone surrogate": ("x = '\ud800'", "syntax"),
    "parentheses": ("(" * 10_000 + ")" * 10_000, "syntax"),
    "minus signs": ("x = " + "-" * 10_000 + "1", "syntax"),
    "sums": ("x = " + "+".join(["1"] * 10_000), "syntax"),
    "elif": ("if a:\n pass\n" + "elif a:\n pass\n" * 5_000, "syntax"),
    "loops in loops": (
        "".join(" " * i + "while a:\n" for i in range(60)) + " " * 60 + "b\n",
        "syntax",
    ),
    "1 MB": ("x = 1\n" * 170_000, "too_large"),
    "many statements": ("x = [i for i in y]\n" * 7_000, "too_large"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_are_counted_and_never_run(name):
    code, why = HOSTILE[name]
    assert analyse(Solution("p", "a", code)).normal == why


@pytest.mark.parametrize(
    "code",
    [
        "x = " + "+".join(["1"] * 700),
        "x = 0x" + "f" * 20_000,
        "if a:\n pass\n" + "elif a:\n pass\n" * 200,
        "x = " + "1 if a else " * 500 + "1",
        "match p:\n    case {'a': b, **rest}:\n        pass\n    case [1, *_]:\n        pass\n",
        "async def f():\n    async with a as b:\n        return [x async for x in b]\n",
        "# nothing\n",
    ],
)
def test_odd_programs_have_a_form(code):
    assert isinstance(analyse(Solution("p", "a", code)).normal, Normal)


@settings(max_examples=150)
@given(st.text(max_size=60))
def test_any_text_is_taken(text):
    analyse(Solution("p", "a", text))


def test_nothing_is_executed(tmp_path):
    mark = tmp_path / "ran"
    analyse(Solution("p", "a", f"open({str(mark)!r}, 'w').close()\n"))
    assert not mark.exists()
