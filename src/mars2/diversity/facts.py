"""What a program does, read off its syntax tree once: the facts that families are made of.

One walk with an explicit stack; nothing is run, and no type is known: `x.pop()` is a call of
something named pop, whatever x is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from mars2.diversity.normal import bound_names, constant_text, imported_names

Loop = ast.For | ast.AsyncFor | ast.While
Function = ast.FunctionDef | ast.AsyncFunctionDef
MAX_LOOPS = 20
"""Loops that Python compiles within each other (CO_MAXBLOCKS); its parser takes more."""
LOOPS = (ast.For, ast.AsyncFor, ast.While)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(slots=True)
class Facts:
    """Facts of one program.

    Attributes:
        own: names that the program itself gives a meaning: its `product` is not that of itertools.
        calls: dotted names of what is called, imports resolved (`heapq.heappush`, `sorted`).
        methods: names of methods that are called on anything (`append`).
        nesting: most loops around each other in a function; generators of comprehensions count,
            but not of those that read input.
        recursive: functions that reach themselves through calls inside this program.
        loops: every loop statement with how many loops are around it, itself included.
    """

    module: ast.Module
    imported: dict[str, str]
    own: set[str]
    nodes: list[ast.AST] = field(default_factory=list)
    calls: set[str] = field(default_factory=set)
    methods: set[str] = field(default_factory=set)
    functions: list[Function] = field(default_factory=list)
    recursive: list[Function] = field(default_factory=list)
    loops: list[tuple[Loop, int]] = field(default_factory=list)
    nesting: int = 0

    def callee(self, call: ast.Call) -> str:
        """Dotted name of what is called; "" if it is no name, or one of the program's own."""
        if isinstance(call.func, ast.Name) and call.func.id in self.own:
            return ""
        return dotted(call.func, self.imported)


def facts_of(module: ast.Module) -> Facts:
    """All facts of a program. Linear in its size but for the graph of its functions' calls."""
    facts = Facts(module, imported_names(module), bound_names(module)[0])
    todo: list[tuple[ast.AST, int]] = [(module, 0)]
    while todo:
        node, depth = todo.pop()
        facts.nodes.append(node)
        inside = depth
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            facts.functions.append(node)
            inside = 0
        elif isinstance(node, ast.Lambda):
            inside = 0
        elif isinstance(node, Loop):
            inside = depth + 1
            facts.loops.append((node, inside))
        elif isinstance(node, COMPREHENSIONS):
            inside = depth + (0 if _reads_input(node) else len(node.generators))
        elif isinstance(node, ast.Call):
            facts.calls.add(facts.callee(node))
            if isinstance(node.func, ast.Attribute):
                facts.methods.add(node.func.attr)
        facts.nesting = max(facts.nesting, inside)
        todo.extend((child, inside) for child in ast.iter_child_nodes(node))
    facts.recursive = _recursive(facts.functions)
    return facts


def _reads_input(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Name) and n.id == "input" for n in within(node))


def dotted(node: ast.AST, imported: dict[str, str]) -> str:
    """`heapq.heappush` of a chain of names and attributes; "" of anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(imported.get(node.id, node.id))
    return ".".join(reversed(parts))


def within(node: ast.AST) -> Iterator[ast.AST]:
    """Everything below a node, not itself."""
    walk = ast.walk(node)
    next(walk)
    return walk


def root_name(node: ast.AST) -> str | None:
    """The name a chain of subscripts and attributes begins at: `t` of `t[i][j]`, `self.t[i]`.

    Attributes of `self` are names of their own: `self.t`.
    """
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return None


def text_of(node: ast.AST) -> str:
    """Equal for equal expressions. Unlike `ast.dump`, it copes with any depth."""
    parts: list[str] = []
    todo: list[ast.AST] = [node]
    while todo:
        item = todo.pop()
        if isinstance(item, ast.Constant):
            own = [constant_text(item.value)]
        else:
            own = [v for _, v in ast.iter_fields(item) if isinstance(v, str)]
        children = [c for c in ast.iter_child_nodes(item) if not isinstance(c, ast.expr_context)]
        parts.append(f"{type(item).__name__}({len(children)}){','.join(own)}")
        todo.extend(children)
    return " ".join(parts)


def own_callee(function: ast.expr) -> str | None:
    """`f` of a call `f(…)`, `self.f(…)` or `cls.f(…)`."""
    if isinstance(function, ast.Name):
        return function.id
    if (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id in ("self", "cls")
    ):
        return function.attr
    return None


def _recursive(functions: list[Function]) -> list[Function]:
    """Functions on a cycle of calls; functions of one name are taken for one."""
    names = {f.name for f in functions}
    called: dict[str, set[str]] = {name: set() for name in names}
    for f in functions:  # what an inner function calls counts for the outer one as well
        for n in within(f):
            if isinstance(n, ast.Call) and (target := own_callee(n.func)) in names:
                called[f.name].add(target or "")
    return [f for f in functions if _reaches(f.name, called)]


def _reaches(start: str, called: dict[str, set[str]]) -> bool:
    seen: set[str] = set()
    todo = list(called[start])
    while todo:
        name = todo.pop()
        if name == start:
            return True
        if name not in seen:
            seen.add(name)
            todo.extend(called[name])
    return False
