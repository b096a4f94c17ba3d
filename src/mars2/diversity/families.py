"""Families of algorithms, each a predicate over the syntax of a program.

A program can belong to several; the set of them is its *approach*. The predicates know shapes, not
meaning: docs/diversity.md says what each is blind to.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from mars2.diversity import patterns
from mars2.diversity.facts import Facts, root_name, within

_HEAP = {"heappush", "heappop", "heapify", "heappushpop", "heapreplace", "nsmallest", "nlargest"}
_ENUMERATE = {"permutations", "combinations", "combinations_with_replacement", "product"}
_MATH = {
    "math.ceil", "math.comb", "math.dist", "math.exp", "math.factorial", "math.floor", "math.gcd",
    "math.hypot", "math.isqrt", "math.lcm", "math.log", "math.log10", "math.log2", "math.perm",
    "math.pow", "math.prod", "math.sqrt", "gcd", "lcm", "isqrt", "comb", "factorial",
}  # fmt: skip
_TEXT = {
    "capitalize", "casefold", "center", "endswith", "find", "isalnum", "isalpha", "isdecimal",
    "isdigit", "islower", "isnumeric", "isspace", "isupper", "ljust", "lower", "maketrans",
    "partition", "removeprefix", "removesuffix", "replace", "rfind", "rjust", "rpartition",
    "startswith", "swapcase", "title", "translate", "upper", "zfill",
}  # fmt: skip
_TABLES = {"Counter", "OrderedDict", "defaultdict", "dict", "frozenset", "fromkeys", "set"}
_REDUCTIONS = {"sum", "max", "min", "any", "all", "reduce", "accumulate", "prod"}
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_BITS = (ast.LShift, ast.RShift, ast.BitXor)


def recursion(f: Facts) -> bool:
    """A function reaches itself through calls inside the program."""
    return bool(f.recursive)


def dynamic_programming(f: Facts) -> bool:
    """A table filled from its own earlier entries, or a recursive function that remembers.

    Table: as `patterns.fills_table`. Remembers: decorated with a cache, or it stores into a
    container that it also looks into (`in`, `.get`, a comparison of an entry, or a handler for
    KeyError).
    """
    if any(patterns.is_cached(g, f) or patterns.remembers(g) for g in f.recursive):
        return True
    return any(patterns.fills_table(loop) for loop, depth in f.loops if depth == 1)


def sorting(f: Facts) -> bool:
    """`sorted`, `.sort()`, or elements swapped inside two loops."""
    if "sorted" in f.calls or "sort" in f.methods:
        return True
    deep = (loop for loop, depth in f.loops if depth >= 2)
    return any(patterns.swaps(node) for loop in deep for node in within(loop))


def heap(f: Facts) -> bool:
    """A priority queue: functions of heapq, or `PriorityQueue`."""
    return bool(_last_words(f) & (_HEAP | {"PriorityQueue"}))


def greedy(f: Facts) -> bool:
    """A choice at each step along a sorted sequence: a loop over one with an `if` in it.

    The sequence is `sorted(…)` itself, or a name that got it or was sorted in place; a loop over
    its positions (`range(len(…))`) does not count.
    """
    ordered = set()
    for node in f.nodes:
        if isinstance(node, ast.Assign) and _is_sorted(node.value, f):
            ordered |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "sort"
        ):
            ordered.add(root_name(node.func.value) or "")
    for loop, _ in f.loops:
        if isinstance(loop, ast.While) or not any(isinstance(n, ast.If) for n in within(loop)):
            continue
        if any(isinstance(n, ast.Call) and f.callee(n) == "range" for n in ast.walk(loop.iter)):
            continue
        if any(
            _is_sorted(n, f) or (isinstance(n, ast.Name) and n.id in ordered)
            for n in ast.walk(loop.iter)
        ):
            return True
    return False


def _is_sorted(node: ast.AST, f: Facts) -> bool:
    return isinstance(node, ast.Call) and f.callee(node) == "sorted"


def binary_search(f: Facts) -> bool:
    """bisect, or a loop or recursion that halves an interval.

    Halving: `(a + b) // 2`, `(a + b) >> 1` or `a + (b − a) // 2` of two names, in a `while` or a
    recursive function.
    """
    if any(name.startswith(("bisect", "insort")) for name in _last_words(f)):
        return True
    whiles = [loop for loop, _ in f.loops if isinstance(loop, ast.While)]
    return any(patterns.halves(n) for part in [*whiles, *f.recursive] for n in within(part))


def two_pointers(f: Facts) -> bool:
    """Two positions that close in on each other, or a window with a trailing end.

    Closing in: `while a < b` (two names) with steps of both in it. Window: a `while` inside a
    `for` that moves on a name set before that loop, which is an index or a bound of a slice.
    """
    return any(patterns.closes_in(loop) or patterns.window(loop) for loop, _ in f.loops)


def graph_search(f: Facts) -> bool:
    """A worklist, or recursion that marks what it has visited.

    Worklist: `while work:` that takes from `work` and puts into it (or replaces it by a list that
    it filled). Recursion: as `patterns.visits_neighbours`.
    """
    return any(patterns.worklist(loop) for loop, _ in f.loops) or any(
        patterns.visits_neighbours(g) for g in f.recursive
    )


def backtracking(f: Facts) -> bool:
    """A recursive function that tries alternatives in a loop, each with its own past.

    The past is taken back after the call (`path.pop()`), or passed on as a longer copy.
    """
    return any(
        (patterns.undoes(g) or patterns.grows_arguments(g)) and patterns.recursion_in_loop(g)
        for g in f.recursive
    )


def union_find(f: Facts) -> bool:
    """A table of representatives: `p[x] != x` (or `==`) and stores into `p`."""
    return patterns.finds_representatives(f)


def enumeration(f: Facts) -> bool:
    """All of a product: permutations, combinations, product, or a loop over `range(1 << n)`."""
    if _last_words(f) & _ENUMERATE:
        return True
    return any(
        isinstance(node, ast.Call)
        and f.callee(node) == "range"
        and any(
            isinstance(n, ast.BinOp)
            and isinstance(n.op, ast.LShift | ast.Pow)
            and isinstance(n.left, ast.Constant)
            for argument in node.args
            for n in ast.walk(argument)
        )
        for node in f.nodes
    )


def nested_loops(f: Facts) -> bool:
    """Loops or comprehensions within each other, in one function."""
    return f.nesting >= 2


def single_pass(f: Facts) -> bool:
    """Loops or comprehensions, none within another."""
    return f.nesting == 1


def stack(f: Facts) -> bool:
    """A list that is appended to and popped from its end, and is no worklist of a search."""
    return bool(patterns.stack_names(f)) and not graph_search(f) and not backtracking(f)


def hashing(f: Facts) -> bool:
    """Sets and dictionaries: made by name, by a display or by a comprehension."""
    if _last_words(f) & _TABLES:
        return True
    return any(isinstance(n, ast.Set | ast.Dict | ast.SetComp | ast.DictComp) for n in f.nodes)


def text(f: Facts) -> bool:
    """Methods of strings beyond reading and printing (not split, strip, join), `ord`, `chr`."""
    return bool(f.methods & _TEXT or f.calls & {"ord", "chr"})


def regex(f: Facts) -> bool:
    """Functions of the module re."""
    return any(name.startswith(("re.", "regex.")) for name in f.calls)


def bits(f: Facts) -> bool:
    """Shifts, exclusive or, inversion, `&` or `|` with a number, `bin`, `bit_count`."""
    if f.calls & {"bin"} or f.methods & {"bit_count", "bit_length"}:
        return True
    for node in f.nodes:
        if isinstance(node, ast.BinOp | ast.AugAssign):
            if isinstance(node.op, _BITS):
                return True
            sides = [node.value] if isinstance(node, ast.AugAssign) else [node.left, node.right]
            number = any(isinstance(s, ast.Constant) and isinstance(s.value, int) for s in sides)
            if number and isinstance(node.op, ast.BitAnd | ast.BitOr):
                return True
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            return True
    return False


def number_theory(f: Facts) -> bool:
    """Functions of the module math, `pow` with a modulus, or Euclid's `a, b = b, a % b`."""
    if f.calls & _MATH:
        return True
    for node in f.nodes:
        if isinstance(node, ast.Call) and f.callee(node) == "pow" and len(node.args) == 3:
            return True
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Tuple)
            and any(isinstance(e, ast.BinOp) and isinstance(e.op, ast.Mod) for e in node.value.elts)
        ):
            return True
    return False


def reduction(f: Facts) -> bool:
    """Built-in folds: sum, max, min, any, all, reduce, accumulate, prod."""
    return bool(_last_words(f) & _REDUCTIONS)


def closed_form(f: Facts) -> bool:
    """Arithmetic without any iteration: no loop, comprehension, recursion, fold or sorting."""
    if f.nesting or f.recursive or reduction(f) or sorting(f):
        return False
    return any(isinstance(n, ast.BinOp) and isinstance(n.op, _ARITHMETIC) for n in f.nodes)


def _last_words(f: Facts) -> set[str]:
    return {name.rpartition(".")[2] for name in f.calls}


FAMILIES: dict[str, Callable[[Facts], bool]] = {
    predicate.__name__: predicate
    for predicate in (
        recursion,
        dynamic_programming,
        backtracking,
        graph_search,
        union_find,
        sorting,
        greedy,
        heap,
        binary_search,
        two_pointers,
        enumeration,
        nested_loops,
        single_pass,
        stack,
        hashing,
        text,
        regex,
        bits,
        number_theory,
        reduction,
        closed_form,
    )
}
"""Name → predicate."""


def families_of(facts: Facts) -> frozenset[str]:
    """The approach of a program: names of all families that it belongs to, maybe none."""
    return frozenset(name for name, predicate in FAMILIES.items() if predicate(facts))
