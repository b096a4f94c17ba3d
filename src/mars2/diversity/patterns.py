"""Shapes in a syntax tree that families of algorithms are recognised by."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mars2.diversity.facts import (
    COMPREHENSIONS,
    LOOPS,
    Facts,
    Function,
    Loop,
    dotted,
    own_callee,
    root_name,
    text_of,
    within,
)

_POPS = {"pop", "popleft", "get", "get_nowait"}
_PUSHES = {"append", "appendleft", "extend", "extendleft", "put", "add", "push", "insert"}


def is_cached(function: Function, f: Facts) -> bool:
    """Decorated with a cache of functools."""
    for decorator in function.decorator_list:
        name = decorator.func if isinstance(decorator, ast.Call) else decorator
        if dotted(name, f.imported).rpartition(".")[2] in ("cache", "lru_cache"):
            return True
    return False


def remembers(function: Function) -> bool:
    """Stores into a container that it also looks into."""
    stored, looked_into = set(), set()
    for node in within(function):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            stored.add(root_name(node))
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            looked_into.add(root_name(node.comparators[0]))
        elif isinstance(node, ast.Compare):  # table[n] != -1: a value for "not known yet"
            looked_into.add(root_name(node.left) if isinstance(node.left, ast.Subscript) else None)
        elif isinstance(node, ast.Attribute) and node.attr == "get":
            looked_into.add(root_name(node.value))
        elif isinstance(node, ast.Name) and node.id == "KeyError":
            looked_into |= stored
    return bool(stored & looked_into - {None})


def fills_table(loop: Loop) -> bool:
    """In this loop, entries of a table are made from entries elsewhere in it.

    Directly or by way of one variable: `t[i] = t[j] + 1`, `x = t[j] + 1; t[i] = x`. Copying
    (`t[i] = t[j]`) and swapping do not count, nor does a search that notes distances.
    """
    made = [item for node in _outside_searches(loop) for item in _made(node)]
    reads: dict[str, list[ast.Subscript]] = {}  # variable → entries it is made from
    for target, value, _ in made:
        if isinstance(target, ast.Name):
            reads.setdefault(target.id, []).extend(_entries(value))
    for target, value, appended in made:
        sources = _entries(value)
        if isinstance(target, ast.Subscript):
            for n in ast.walk(value):
                if isinstance(n, ast.Name):
                    sources = sources + reads.get(n.id, [])
            place = _place(target)
            sources = [s for s in sources if len(_place(s)) == len(place) and _place(s) != place]
        elif not appended:
            continue
        if any(root_name(s) == root_name(target) for s in sources):
            return True
    return False


def _outside_searches(loop: Loop) -> Iterator[ast.AST]:
    """Everything in a loop, itself included, that is not in a search over a worklist."""
    todo: list[ast.AST] = [loop]
    while todo:
        node = todo.pop()
        if not isinstance(node, ast.While) or not worklist(node):
            yield node
            todo.extend(ast.iter_child_nodes(node))


def _made(node: ast.AST) -> list[tuple[ast.expr, ast.expr, bool]]:
    """(what, from what, whether by append) where a value is made, not only copied."""
    appended = False
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AugAssign):
        targets, value = [node.target], node.value
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "append"
        and len(node.args) == 1
    ):
        targets, value, appended = [node.func.value], node.args[0], True
    else:
        return []
    if isinstance(value, ast.Tuple):
        return []
    if isinstance(value, ast.Subscript) and not isinstance(node, ast.AugAssign):
        return []
    return [(t, value, appended) for t in targets if isinstance(t, ast.Name | ast.Subscript)]


def _entries(value: ast.expr) -> list[ast.Subscript]:
    return [n for n in ast.walk(value) if isinstance(n, ast.Subscript)]


def _place(node: ast.expr) -> list[str]:
    places = []
    while isinstance(node, ast.Subscript):
        places.append(text_of(node.slice))
        node = node.value
    return places


def swaps(node: ast.AST) -> bool:
    """`a[i], a[j] = a[j], a[i]`"""
    if not (isinstance(node, ast.Assign) and len(node.targets) == 1):
        return False
    target, value = node.targets[0], node.value
    if not (isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)):
        return False
    if len(target.elts) != 2 or len(value.elts) != 2:
        return False
    if not all(isinstance(e, ast.Subscript) for e in target.elts):
        return False
    left = [text_of(e) for e in target.elts]
    return left == [text_of(e) for e in reversed(value.elts)]


def halves(node: ast.AST) -> bool:
    """`(a + b) // 2`, `(a - b) // 2`, or the same by a shift, of two names."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.right, ast.Constant):
        return False
    if (type(node.op), node.right.value) not in ((ast.FloorDiv, 2), (ast.RShift, 1)):
        return False
    span = node.left
    return (
        isinstance(span, ast.BinOp)
        and isinstance(span.op, ast.Add | ast.Sub)
        and isinstance(span.left, ast.Name)
        and isinstance(span.right, ast.Name)
    )


def _steps(loop: ast.AST) -> set[str]:
    """Names moved by a constant: `a += 1`, `b = b - 1`."""
    found = set()
    for node in within(loop):
        if isinstance(node, ast.AugAssign) and isinstance(node.value, ast.Constant):
            if isinstance(node.target, ast.Name) and isinstance(node.op, ast.Add | ast.Sub):
                found.add(node.target.id)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
            left, target = node.value.left, node.targets[0]
            if (
                isinstance(node.value.right, ast.Constant)
                and isinstance(node.value.op, ast.Add | ast.Sub)
                and isinstance(left, ast.Name)
                and isinstance(target, ast.Name)
                and left.id == target.id
            ):
                found.add(left.id)
    return found


def closes_in(loop: Loop) -> bool:
    """`while a < b`, both of which the loop moves."""
    if not isinstance(loop, ast.While):
        return False
    moved = _steps(loop)
    for test in ast.walk(loop.test):
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            sides = (test.left, test.comparators[0])
            names = {s.id for s in sides if isinstance(s, ast.Name)}
            if len(names) == 2 and names <= moved:
                return True
    return False


def window(loop: Loop) -> bool:
    """A `for` with a `while` in it that moves a position set before."""
    if not isinstance(loop, ast.For | ast.AsyncFor):
        return False
    ahead = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    set_inside = {
        t.id
        for node in within(loop)
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.BinOp)
        for t in node.targets
        if isinstance(t, ast.Name)
    }
    for node in within(loop):
        if isinstance(node, ast.For | ast.AsyncFor):
            set_inside |= {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}
    positions = {
        n.id
        for node in within(loop)
        if isinstance(node, ast.Subscript)
        for n in ast.walk(node.slice)
        if isinstance(n, ast.Name)
    }
    inner = (n for n in within(loop) if isinstance(n, ast.While))
    return any((_steps(w) - ahead - set_inside) & positions for w in inner)


def worklist(loop: Loop) -> bool:
    """`while work:` that takes from `work` and puts into it."""
    if not isinstance(loop, ast.While):
        return False
    tested = {n.id for n in ast.walk(loop.test) if isinstance(n, ast.Name)} - {"len"}
    taken: set[str | None] = set()
    put: set[str | None] = set()
    for node in within(loop):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, root_name(node.func.value)
        else:  # heappop(work), heappush(work, …)
            name = "pop" if "heappop" in text_of(node.func) else "push"
            owner = root_name(node.args[0]) if "heap" in text_of(node.func) and node.args else None
        if name in _POPS:
            taken.add(owner)
        elif name in _PUSHES:
            put.add(owner)
    # A queue rebuilt level by level: `level = next_level`.
    rebuilt = {
        t.id
        for node in loop.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name)
        for t in node.targets
        if isinstance(t, ast.Name) and node.value.id in put
    }
    return bool(tested & taken & put) or bool(tested & rebuilt)


def visits_neighbours(function: Function) -> bool:
    """Recursion inside a loop, or several calls of itself, with a record of what was visited.

    The record: `.add(…)`, or an element set to a constant.
    """
    marks = any(
        (isinstance(n, ast.Attribute) and n.attr == "add")
        or (
            isinstance(n, ast.Assign)
            and isinstance(n.value, ast.Constant)
            and any(isinstance(t, ast.Subscript) for t in n.targets)
        )
        for n in within(function)
    )
    return marks and (len(_calls(function, function)) > 1 or recursion_in_loop(function))


def recursion_in_loop(function: Function) -> bool:
    """The function calls itself from within a loop or a comprehension of its own."""
    loops = (n for n in within(function) if isinstance(n, (*LOOPS, *COMPREHENSIONS)))
    return any(_calls(loop, function) for loop in loops)


def _calls(node: ast.AST, function: Function) -> list[ast.Call]:
    return [
        n for n in within(node) if isinstance(n, ast.Call) and own_callee(n.func) == function.name
    ]


def grows_arguments(function: Function) -> bool:
    """It calls itself with a longer copy: `f([*path, x])`, `f(path + [x])`, `f(seen | {x})`."""
    grown = {
        t.id
        for node in within(function)
        if isinstance(node, ast.Assign) and _longer(node.value)
        for t in node.targets
        if isinstance(t, ast.Name)
    }
    return any(
        _longer(argument) or (isinstance(argument, ast.Name) and argument.id in grown)
        for call in _calls(function, function)
        for argument in call.args
    )


def _longer(node: ast.expr) -> bool:
    displays = (ast.List, ast.Tuple, ast.Set)
    if isinstance(node, displays):
        return any(isinstance(e, ast.Starred) for e in node.elts)
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Add | ast.BitOr)
        and isinstance(node.right, displays)
    )


def undoes(function: Function) -> bool:
    """Something is put in before a call and taken out after it: `path.append(…)`, `path.pop()`."""
    put, taken = set(), set()
    for node in within(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = root_name(node.func.value)
            if node.func.attr in ("append", "add"):
                put.add(owner)
            elif node.func.attr in ("pop", "remove", "discard"):
                taken.add(owner)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            cells = {root_name(t) for t in node.targets if isinstance(t, ast.Subscript)}
            (put if node.value.value not in (False, None, ".", "") else taken).update(cells)
    return bool(put & taken - {None})


def stack_names(f: Facts) -> set[str]:
    """Lists to which the program appends and from whose end it pops."""
    put, taken = set(), set()
    for node in f.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = root_name(node.func.value)
            if owner and node.func.attr == "append":
                put.add(owner)
            elif owner and node.func.attr == "pop" and not node.args:
                taken.add(owner)
    return put & taken


def finds_representatives(f: Facts) -> bool:
    """`p[x] != x`: an element that stands for itself, in a table that the program writes to."""
    stored = {
        root_name(n)
        for n in f.nodes
        if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)
    }
    for node in f.nodes:
        if not (isinstance(node, ast.Compare) and len(node.ops) == 1):
            continue
        if not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        for element, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
            if (
                isinstance(element, ast.Subscript)
                and isinstance(other, ast.Name)
                and root_name(element) in stored
                and text_of(element.slice) == text_of(other)
            ):
                return True
    return False
